#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 27-silence.sh - a gateway that sends nothing back: why, as far as the network tells, and `auto` finds what works
#
# NAT on the way is what many clusters do: what the gateway's pod sends to a node's own address leaves with the address
# of the gateway's node (here 10.0.1.9); what it sends to pods does not. As there, the node's address (10.9.9.9) is not on
# the gateway's link: Linux's vxlan keeps the route to a client that has moved to another outer address.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa pod1
far gwa
a ip addr add 10.0.1.9/24 dev eth0
n ip addr add 10.9.9.9/32 dev lo
daemon -w 1 --vtep 10.9.9.9
FDS=$(descriptors)

# Without connection tracking, which would leave flows that it knows already as they are.
masquerade() { a nft "table ip m { chain post { type filter hook postrouting priority 0; ip daddr != 10.1.0.0/16 udp dport 4789 ip saddr set 10.0.1.9; }; }"; }
plain() { a nft delete table ip m; }
policy() { a nft "table ip f { chain in { type filter hook input priority 0; udp dport 4789 $1; }; }"; }
open() { a nft delete table ip f; }

try() { p ping -c1 -W1 172.16.0.1 >/dev/null 2>&1 || true; }
silence() { ctl -j gateway show "${1:-a}" | jq -r ".silence.$2"; }
explained() { # explained REASON PATTERN [GATEWAY]: by gateway show, and by port show of its port
	try
	[ "$(silence "${3:-a}" reason)" = "$1" ] || { silence "${3:-a}" reason && return 1; }
	silence "${3:-a}" text | grep -E -- "$2" || { silence "${3:-a}" text && return 1; }
	[ "$(ctl -j port show pod1 | jq -r .silence.reason)" = "$1" ]
}
quiet() { [ "$(silence a reason)" = null ]; }
logged() { grep -E "gateway a is silent: .*$1" "$LOG"; }

echo "-- a gateway that answers"
gateway a 1 --underlay host
port 1 a
check "ping" p ping -c2 -i0.1 -W2 172.16.0.1
sleep 1.2 # two looks
check "nothing is said of it" quiet

echo "-- masquerading, host underlay"
ctl port remove pod1
ctl gateway remove a
masquerade
gateway a 1 --underlay host
port 1 a
check "answers from another address are named" poll 10 explained other_source '10\.0\.1\.9 instead of 10\.0\.1\.2.*NAT.*--underlay pod'
check "and in the log" logged '10\.0\.1\.9'
same "with that address" 10.0.1.9 "$(silence a from)"
like "its datagrams are counted" '^[1-9]' "$(silence a sent)"
like "people see it, too" '10\.0\.1\.9' "$(ctl gateway show a)"
check "the pod underlay cures it" ctl gateway set a --underlay pod
check "ping" poll 5 p ping -c1 -W1 172.16.0.1
check "nothing is said of it any more" poll 5 quiet

echo "-- masquerading that begins while traffic flows"
plain
ctl gateway set a --underlay host
check "ping by the host underlay" poll 5 p ping -c1 -W1 172.16.0.1
masquerade
check "it is found out" poll 20 explained other_source '10\.0\.1\.9'
ctl port remove pod1
ctl gateway remove a

echo "-- masquerading, auto"
gateway a 1
port 1 a
same "auto begins with the host underlay" host "$(gateways '.[0].underlay')"
check "and finds out what works" poll 20 p ping -c1 -W1 172.16.0.1
same "the pod underlay" pod "$(gateways '.[0].underlay')"
sleep 2
check "and stays there" p ping -c1 -W1 172.16.0.1
same "with what was asked for" auto "$(gateways '.[0].config.underlay')"
ctl port remove pod1
ctl gateway remove a
plain

for mode in host pod; do
	echo "-- $mode underlay: refused by ICMP"
	ctl gateway add a --vni 42 --remote 10.0.1.2:4790 --underlay $mode
	port 1 a
	check "a closed port is named" poll 15 explained icmp '10\.0\.1\.2.*port unreachable'
	ctl port remove pod1
	ctl gateway remove a
	policy 'reject with icmp admin-prohibited'
	gateway a 1 --underlay $mode
	port 1 a
	check "a firewall that says so is named" poll 15 explained icmp 'communication prohibited'
	ctl port remove pod1
	ctl gateway remove a
	open

	echo "-- $mode underlay: nothing at all"
	policy drop
	gateway a 1 --underlay $mode
	port 1 a
	check "the usual causes are named" poll 20 explained nothing 'firewall.*port or VNI'
	open
	check "ping, once it is gone" poll 10 p ping -c1 -W1 172.16.0.1
	check "nothing is said of it any more" poll 5 quiet
	ctl port remove pod1
	ctl gateway remove a

	echo "-- $mode underlay: another VNI"
	policy drop
	a ip neigh flush all # else it may ask whether the pod is still there: then it is heard
	gateway a 1 --underlay $mode
	port 1 a
	try
	wrong() {
		pkt gwa inject --to "$([ "$mode" = host ] && echo 10.9.9.9 || echo 10.1.1.2)" --source 10.0.1.2 --vni 43 good:x
		explained other_vni 'VNI 43 instead of 42' && [ "$(silence a vni)" = 43 ]
	}
	check "it is named, as a number too" poll 15 wrong
	open
	ctl port remove pod1
	ctl gateway remove a
done

echo "-- a late answer of the gateway that a port has left"
gateway a 1 --underlay pod
port 1 a
check "ping" poll 5 p ping -c1 -W1 172.16.0.1
ctl gateway add b --vni 42 --remote 10.0.1.77 --underlay pod # nobody
ctl port set pod1 --gateway b
late() {
	pkt gwa inject --to 10.1.1.2 --source 10.0.1.2 --vni 42 good:x
	explained nothing 'nothing has come back from 10\.0\.1\.77' b || explained icmp '10\.0\.1\.77.*host unreachable' b
}
check "is not taken for masquerading" poll 20 late
check "and is in no line of the log" not grep 'gateway b is silent: its VNI' "$LOG"
ctl port remove pod1
ctl gateway remove a
ctl gateway remove b

echo "-- from an underlay that is answered to one that is not"
policy 'ip saddr 10.9.9.9 drop'
gateway a 1 --underlay pod
port 1 a
check "ping by the pod underlay" poll 5 p ping -c1 -W1 172.16.0.1
p ping -i0.1 -c5 -W1 172.16.0.1 >/dev/null
bgpkt gwa "$TMP/wire" watch eth0
WATCHER=$!
ctl gateway set a --underlay host
check "what was heard by the other one does not count" poll 20 explained nothing 'firewall.*port or VNI'
quit $WATCHER
like "it was asked why" 'header=00505357' "$(cat "$TMP/wire")"
! linux 6.3 || same "from a port of the dynamic range, as all datagrams come from" "" \
	"$(grep -oE 'sport=[0-9]+' "$TMP/wire" | sed 's/sport=//' | awk '$1 < 49152')"
open
p ip neigh flush all # the gateway, which has asked for the pod in vain meanwhile, is told by the pod's question
check "ping, once it is let in" poll 10 p ping -c1 -W1 172.16.0.1
ctl port remove pod1
ctl gateway remove a

echo "-- IPv6"
FAMILY=6 gateway a 1 --port 4790
port 1 a
check "a closed port is named" poll 15 explained icmp 'fd00:1::2.*port unreachable'

finish
