#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 94-dhcp.sh - an address from the gateway's own dnsmasq, its renewal, its return; and whether the router is there
# shellcheck disable=SC2119 # daemon takes options, or none
. "$(dirname "$0")/lib.sh"

# dnsmasq as pod-gateway's gateway_sidecar.sh runs it, on gwa's or gwb's kernel vxlan device
serve() { # serve NAMESPACE FIRST LAST [LEASE]: its process id goes to SERVER; with PING it pings addresses, as by default
	ip netns exec "$P-$1" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-hosts --no-resolv --port=0 --user=root "${PING:---no-ping}" \
		--interface=vxlan0 --bind-interfaces --dhcp-range="${NET:-172.16.0}.$2,${NET:-172.16.0}.$3,${4:-12h}" \
		--dhcp-leasefile="$TMP/leases-$1" --pid-file= --log-dhcp --log-facility=- >"$TMP/dnsmasq-$1" 2>&1 &
	SERVER=$!
	PIDS+=("$SERVER")
	poll 5 grep -q 'started' "$TMP/dnsmasq-$1" || die "dnsmasq does not start: $(cat "$TMP/dnsmasq-$1")"
}
client() { ctl -j port show "$1" | jq -r ".client.$2"; }
leased() { ctl -j port show "$1" | jq -r '.addresses[]'; }

build
daemon
far gwa
far gwb
serve gwa 20 60
p ip route del default
ctl gateway add a --vni 42 --remote 10.0.1.2
ctl gateway add b --vni 42 --remote 10.0.2.2

echo "== a lease"
ctl port add pod1 --gateway a --netns "$P-pod1" --dhcp --hostname web-0 --probe 1
soon "the port is ready" ready client pod1 state
same "its address is on the interface" "$(leased pod1)" "$(p ip -j -4 addr show vx0 | jq -r '.[0].addr_info[0] | "\(.local)/\(.prefixlen)"')"
same "the default route is the lease's" "172.16.0.1 vx0" "$(p ip -j route show default | jq -r '.[0] | "\(.gateway) \(.dev)"')"
check "the pod reaches its gateway" p ping -c1 -W2 172.16.0.1
check "dnsmasq knows its name" grep -q 'web-0' "$TMP/leases-gwa"
check "dnsmasq was not asked to broadcast" not grep -qi 'broadcast response' "$TMP/dnsmasq-gwa"
first=$(leased pod1)

echo "== podswitchd starts again"
stop
daemon
soon "the port is ready again" ready client pod1 state
same "the address is the same" "$first" "$(leased pod1)"
check "no second lease was taken" test "$(wc -l <"$TMP/leases-gwa")" = 1

echo "== another gateway"
serve gwb 100 140
ctl port set pod1 --gateway b
soon "the port is ready there" ready client pod1 state
poll 5 says '^172\.16\.0\.1[0-4][0-9]/' leased pod1 || true
same "one address, of the new gateway" 1 "$(leased pod1 | grep -c '^172\.16\.0\.1[0-4][0-9]/24$')"
soon "the interface has no other" 1 eval 'p ip -j -4 addr show vx0 | jq ".[0].addr_info | length"'
check "the pod reaches it" p ping -c1 -W2 172.16.0.1

echo "== a gateway that falls silent, and comes back"
ctl monitor >"$TMP/monitor" &
PIDS+=($!)
poll 5 says . ctl -j status
b ip link set vxlan0 down
soon "it is lost" lost client pod1 state
check "an event says so" poll 5 grep -q 'port.lost' "$TMP/monitor"
b ip link set vxlan0 up
poll 10 says '^ready$' client pod1 state || true
same "it is ready again" ready "$(client pod1 state)"
check "an event says so, too" poll 5 grep -q 'port.ready' "$TMP/monitor"

echo "== removal"
ctl port remove pod1
check "the lease was given back" poll 5 not test -s "$TMP/leases-gwb"

echo "== the gateway moves, to one that does not know its clients, and pings what it is asked for"
ctl port add pod1 --gateway a --netns "$P-pod1" --dhcp --probe 1
soon "ready" ready client pod1 state
kill "$SERVER"
poll 5 not kill -0 "$SERVER" 2>/dev/null || die "dnsmasq does not end"
rm -f "$TMP/leases-gwb"
PING=--log-queries serve gwb 20 60 # (an option that changes nothing here)
address=$(leased pod1)
ctl port set pod1 --gateway b
check "traffic is back at once" poll 3 p ping -c1 -W1 172.16.0.1
check "the new gateway leases an address" poll 20 grep -q 172.16.0 "$TMP/leases-gwb"
check "after it was looked whether that is free" grep -q 'DHCPDISCOVER.*'"${address%/*}" "$TMP/dnsmasq-gwb"
same "it is the one that the pod had" "${address%/*}" "$(cut -d' ' -f3 "$TMP/leases-gwb")"
same "and has" "$address" "$(leased pod1)"
like "the pod did not answer for itself" '^[1-9]' "$(ctl -j port show pod1 | jq .counters.drops.address_check)"
check "later it does answer" poll 10 b ping -c1 -W1 "${address%/*}"

echo "== no address is left"
ctl port remove pod1
kill "$SERVER"
poll 5 not kill -0 "$SERVER" 2>/dev/null || die "dnsmasq does not end"
rm -f "$TMP/leases-gwb"
serve gwb 77 77
ctl port add pod1 --gateway b --netns "$P-pod1" --dhcp --probe 1
soon "the first client has it" ready client pod1 state
ctl port add pod2 --gateway b --netns "$P-pod2" --dhcp --probe 1
check "the second one's question arrives" poll 10 grep -q 'no address available' "$TMP/dnsmasq-gwb"
same "and it waits" waiting "$(client pod2 state)"
same "the first one has kept it" 172.16.0.77/24 "$(leased pod1)"
ctl port remove pod1
check "it comes when the address is given back" poll 30 says '^ready$' client pod2 state
ctl port remove pod2

echo "== a lease that cannot be configured is tried again"
p ip route add default via 10.1.1.1
ctl port add pod1 --gateway a --netns "$P-pod1" --dhcp --probe 1
check "the port says why it cannot be used" poll 5 says 'default' client pod1 trouble
p ip route del default
by_lease() { [ "$(p ip -j route show default | jq -r '.[0] | "\(.gateway) \(.dev)"')" = "172.16.0.1 vx0" ]; }
check "it is used when it can be" poll 12 by_lease
soon "nothing is said of it any more" null client pod1 trouble
ctl port remove pod1

echo "== detached on purpose"
ctl port add pod1 --gateway a --netns "$P-pod1" --dhcp --probe 1
soon "ready" ready client pod1 state
ctl port set pod1 --gateway none
same "the port says so" detached "$(ctl -j port show pod1 | jq -r .state)"
check "and nothing passes" not p ping -c1 -W1 172.16.0.1
ctl port set pod1 --gateway a
check "until it is attached again" poll 5 p ping -c1 -W1 172.16.0.1

echo "== a lease that takes what stays on the first interface"
ctl port remove pod1
ctl port add pod1 --gateway b --netns "$P-pod1" --dhcp --probe 1 --exclusive on --keep 10.96.0.0/16
soon "ready" ready client pod1 state
ctl port remove pod1
quit $SERVER
b ip addr add 10.96.0.1/28 dev vxlan0
p ip route replace default via 10.1.1.1
n ip addr add 10.96.0.10/32 dev lo
NET=10.96.0 serve gwb 2 8
ctl port add pod1 --gateway b --netns "$P-pod1" --dhcp --probe 1 --exclusive on --keep 10.96.0.0/16
soon "it says why it is not used" yes eval 'says "the lease 10.96.0.[0-9]*/28 from 10.96.0.1 overlaps 10.96.0.0/16" client pod1 trouble >/dev/null && echo yes'
check "the cluster's DNS stays on the first interface" says 'dev eth0' p ip route get 10.96.0.10
same "the interface has no address" "" "$(leased pod1)"
ctl port remove pod1
check "without such a network it is used" ctl port add pod1 --gateway b --netns "$P-pod1" --dhcp --probe 1 --exclusive on
soon "ready" ready client pod1 state
ctl port set pod1 --keep 10.96.0.8/29
soon "until the network is kept" yes eval 'says "overlaps 10.96.0.8/29" client pod1 trouble >/dev/null && echo yes'
same "then the address goes" "" "$(leased pod1)"
ctl port set pod1 --keep '' --network 172.16.0.0/24
soon "a lease outside of the expected network" yes \
	eval 'says "is not in 172.16.0.0/24, the network that is expected" client pod1 trouble >/dev/null && echo yes'
ctl port set pod1 --network none
eventually 40 "is used when none is expected" 1 eval 'leased pod1 | grep -c "^10.96.0"'
ctl port remove pod1
refused "a static address in a kept network" 'address: 10.96.0.9/28 overlaps 10.96.0.0/16' ctl port add pod1 --gateway b \
	--netns "$P-pod1" --address 10.96.0.9/28 --exclusive on --keep 10.96.0.0/16
refused "one whose network contains a kept one" 'overlaps 172.16.7.0/24' ctl port add pod1 --gateway b \
	--netns "$P-pod1" --address 172.16.0.9/16 --exclusive on --keep 172.16.7.0/24
ctl port add pod1 --gateway b --netns "$P-pod1" --address 172.16.0.9/24 --route 10.96.5.0/24 --exclusive on --keep 10.96.0.0/16
check "a route that overlaps is named in the log" grep -q 'the route 10.96.5.0/24 overlaps 10.96.0.0/16' "$LOG"
refused "a change to such an address" 'overlaps' ctl port set pod1 --address 10.96.0.9/28
ctl port remove pod1

echo "== what is refused"
refused "a probe without a router" 'no router' ctl port add x --gateway a --netns "$P-pod2" --probe 5
refused "networks to keep of a port that is not exclusive" 'exclusive' \
	ctl port add x --gateway a --netns "$P-pod2" --keep 10.0.0.0/8
refused "a host name that is none" 'not a host name' ctl port add x --gateway a --netns "$P-pod2" --dhcp --hostname 'a b'
refused "a gateway called none" 'choose another name' ctl gateway add none --vni 1 --remote 10.0.1.2

finish
