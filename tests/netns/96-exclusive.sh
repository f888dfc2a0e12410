#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 96-exclusive.sh - a port that is its pod's only way out: what stays on eth0, what does not, and when it comes back
#
# Behind the node there is an "outside", 198.51.100.1 and fd51::1, which the pod reaches by its own default route as long
# as it may. A capture on the node's end of the pod's veth is the judge.
# shellcheck disable=SC2119 # daemon takes options, or none
. "$(dirname "$0")/lib.sh"

outside() { p ping -"$1" -c1 -W1 "$2" && echo reached; }
# What the pod sends itself in the end, by the same interface, has to be seen too: then all that went before has been.
leaks() { # leaks TEXT WANTED: how many packets to the outside leave by the pod's eth0 while it tries to reach it
	bgpkt node "$TMP/leaks" toward pod1 198.51.100.1 fd51::1
	local capture=$!
	tries >/dev/null 2>&1
	pkt pod1 frames eth0 good:end
	poll 5 grep -q '^good:end$' "$TMP/leaks" || die "the capture does not see what leaves by eth0"
	quit $capture
	same "$1" "$2" "$(grep -c '^to ' "$TMP/leaks" || true)"
}
tries() {
	p ping -4 -c1 -W1 198.51.100.1 || true
	p ping -6 -c1 -W1 fd51::1 || true
	p ping -4 -c1 -W1 -I eth0 198.51.100.1 || true
	p ping -6 -c1 -W1 -I eth0 fd51::1 || true
}
no_way6() { p ip -6 route get fd51::1 2>&1 || true; }
# The metric that the kernel gives an IPv6 route and the lifetime it counts down are not the pod's doing.
plain() { { p ip -4 route show; p ip -6 route show; p ip rule; } | sed 's/ *$//' | sort; }

build
far gwa
far gwb
n ip addr add 198.51.100.1/32 dev lo
n ip addr add fd51::1/128 dev lo
n ip addr add 10.96.0.10/32 dev lo
daemon
gateway a 1
gateway b 2
before=$(plain)

echo "== without"
leaks "the capture sees what leaves" 4

echo "== exclusive"
ctl port add pod1 --gateway a --netns "$P-pod1" --address 172.16.0.11/24 --default-via 172.16.0.1 --exclusive on \
	--keep 10.96.0.0/16 --probe 1
soon "its router answers" ready eval 'ctl -j port show pod1 | jq -r .client.state'
leaks "nothing leaves by eth0" 0
check "what is kept is reached" p ping -c1 -W1 10.96.0.10
check "the gateway is reached" p ping -c1 -W1 172.16.0.1
same "the way to anywhere leads to the gateway" "172.16.0.1 vx0" \
	"$(p ip -j -4 route get 198.51.100.1 | jq -r '.[0] | "\(.gateway) \(.dev)"')"
check "by IPv6 there is none" says 'unreachable' no_way6

echo "== podswitchd is away"
crash
leaks "nothing leaves by eth0" 0
daemon
soon "it is served again" ready eval 'ctl -j port show pod1 | jq -r .client.state'
leaks "nothing leaves by eth0" 0

echo "== another gateway, other networks to keep"
ctl port set pod1 --gateway b --keep 10.97.0.0/16
soon "its router answers" ready eval 'ctl -j port show pod1 | jq -r .client.state'
check "the new gateway is reached" p ping -c1 -W1 172.16.0.1
check "what is not kept any more is not reached" not p ping -c1 -W1 -I eth0 10.96.0.10
leaks "nothing leaves by eth0" 0

echo "== cut off"
ctl port set pod1 --gateway none
leaks "nothing leaves by eth0" 0
check "nor by the gateway" not p ping -c1 -W1 172.16.0.1
ctl port set pod1 --gateway a

echo "== no longer exclusive"
ctl port set pod1 --default-via none --probe 0
ctl port set pod1 --exclusive off --keep ''
check "the pod's own default route is back" p ping -c1 -W1 198.51.100.1
ctl port remove pod1
same "everything is as it was" "$before" "$(plain)"

echo "== removed"
ctl port add pod1 --gateway a --netns "$P-pod1" --address 172.16.0.11/24 --default-via 172.16.0.1 --exclusive on
leaks "nothing leaves by eth0" 0
ctl port remove pod1
same "everything is as it was" "$before" "$(plain)"
check "the outside is reached again" p ping -c1 -W1 198.51.100.1

echo "== somebody in the pod"
harm() { # harm TEXT COMMAND...: is repaired within a minute, and told of
	ctl port remove pod1 2>/dev/null || true
	ctl port add pod1 --gateway a --netns "$P-pod1" --address 172.16.0.11/24 --default-via 172.16.0.1 --exclusive on \
		--keep 10.96.0.0/16
	p "${@:2}"
	leaks "nothing leaves: $1" 0
	soon "it is repaired" 1 repairs
	check "the gateway is reached" p ping -c1 -W1 172.16.0.1
	check "anywhere else by it" says 'via 172.16.0.1 dev vx0' p ip route get 198.51.100.1
	check "what is kept is reached" p ping -c1 -W1 10.96.0.10
	check "a log line says so" grep -q "port pod1: somebody has changed" "$LOG"
	: >"$LOG"
}
repairs() { ctl -j port show pod1 | jq -r .way_out.repairs; }
harm "the TAP's default route was deleted" ip route del default dev vx0 table 1886584835
harm "the TAP was set down" ip link set vx0 down
harm "its addresses were flushed" ip addr flush dev vx0
harm "the table was flushed" ip route flush table 1886584835
harm "our rules were deleted" sh -c 'while ip rule del pref 0 proto 80 2>/dev/null; do :; done; true'
harm "the packet filter was removed" nft delete table inet podswitch
ctl port remove pod1

echo "== removed, and to stay closed"
ctl port add pod1 --gateway a --netns "$P-pod1" --address 172.16.0.11/24 --default-via 172.16.0.1 --exclusive on
ctl port remove pod1 --closed
leaks "nothing leaves by eth0" 0

echo "== what cannot be added leaves nothing behind"
refused "an address that is taken" . ctl port add pod2 --gateway a --netns "$P-pod2" --address 172.16.0.12/24 \
	--default-via 10.99.0.1 --route 172.16.9.0/24,10.98.0.1 --exclusive on --ifname eth0
check "the pod's default route is there" q ping -c1 -W1 198.51.100.1

finish
