#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 99-races.sh - two workers, traffic of every kind, and a control thread that changes all it can meanwhile
#
#   pod1, pod2 --- podswitchd --- "a": gwa             "hub": gwb is one of its remotes, learned and forgotten
#
# Without ThreadSanitizer it shows that podswitchd lives through it; `make tsan` runs it for the data races.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

CHURN=${CHURN:-8} # seconds

build
daemon -w 2 --ageing 10
FDS=$(descriptors)
far gwa
gateway a 1
ctl gateway add hub --vni 43 --port 4790 --underlay host
port 1 a --own-addresses on --exclusive on --default-via 172.16.0.1 --probe 1
space pod3
ctl port add pod3 --gateway hub --netns "$P-pod3" --address 172.17.0.1/24
p ping -q -c1 -W3 172.16.0.1 >/dev/null || die "no way to the gateway"

again() { # again COMMAND...: until the time is over; what fails is tried again
	local end=$((SECONDS + CHURN))
	while [ $SECONDS -lt $end ]; do "$@" >/dev/null 2>&1 || true; done
}
change_pod2() {
	port 2 a
	ctl port set pod2 --own-addresses on
	ctl port set pod2 --gateway hub
	ctl port remove pod2
}
change_mtu() { # of the path, so that the ports follow; and of the port itself
	local mtu
	for mtu in 1400 1500; do
		ip -n "$P-node" link set gwa mtu $mtu
		ctl port set pod1 --mtu $((mtu - 60))
		sleep 0.3
	done
}
change_gateway() {
	ctl gateway set a --remote 10.0.1.2 --remote 10.0.2.2
	ctl gateway set a --remote 10.0.1.2 --isolate off
	ctl fdb add a 02:00:00:00:00:77 10.0.1.2
	ctl fdb remove a 02:00:00:00:00:77
}
look() {
	ctl -j stats
	ctl -j port list
	ctl -j gateway list
	ctl -j fdb list
}
change_underlay() {
	ctl gateway add b --vni 44 --remote 10.0.2.2 --underlay pod
	ctl port set pod1 --gateway b
	ctl port set pod1 --gateway a
	ctl gateway remove b
}
streams() { transfer pod1 gwa 172.16.0.1 "$(random_file 2)"; }
clients() { # new addresses for the hub
	pkt gwb inject --to 10.0.2.1 --port 4790 --vni 43 --src "02:00:00:00:01:$(printf %02x $((RANDOM % 256)))" good:one
	pkt gwb noise --to 10.0.2.1 --port 4790 --vni 43 --count 200 --seed $RANDOM
}
timeout $((CHURN + 5)) "$BUILD/podswitchctl" monitor >"$TMP/monitor" 2>&1 &
PIDS+=($!)

random_file 2 >/dev/null
CHURNERS=()
begin() { # begin COMMAND...: the same beside all else
	again "$@" &
	CHURNERS+=($!)
	PIDS+=($!)
}
begin change_pod2
begin change_mtu
begin change_gateway
begin change_underlay
begin look
begin streams
begin clients
begin p ping -q -c20 -i0.01 -W1 172.16.0.1
for churner in "${CHURNERS[@]}"; do wait "$churner" || true; done
check "podswitchd lives" answers
ip -n "$P-node" link set gwa mtu 1500
for name in $(ports '.[].name'); do ctl port remove "$name"; done
for name in $(gateways '.[].name'); do ctl gateway remove "$name"; done
gateway a 1
port 1 a
check "and traffic goes on" poll 10 p ping -c1 -W1 172.16.0.1
check "TCP too" transfer pod1 gwa 172.16.0.1 "$(random_file 2)"

finish
