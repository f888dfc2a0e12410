#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 43-taken-address.sh - a pod is given an address that somebody else has: at its gateway, or another pod there
#
#   pod1, pod2 --- podswitchd --- gateways "a" and "b": kernel vxlan devices, which have more addresses than they should
#
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build
far gwa
far gwb
daemon -w 1
FDS=$(descriptors)
gateway a 1
gateway b 2
client() { ctl -j port show "$1" | jq -r ".client.$2"; }
has() { p ip -j -4 addr show vx0 | jq -r '[.[0].addr_info[]?.local] | join(" ")'; }
now_ms() { date +%s%3N; }

echo "-- a free address"
begin=$(now_ms)
port 1 a
took=$(($(now_ms) - begin))
same "it is there when podswitchctl returns" 172.16.0.11 "$(has)"
check "after $took ms, with three probes" test $took -lt $((3000 * SLOW))
check "and it works" p ping -c1 -W3 172.16.0.1
ctl port remove pod1
a ip link set vxlan0 down
begin=$(now_ms)
port 1 a
took=$(($(now_ms) - begin))
same "a dead gateway does not hold it back" 172.16.0.11 "$(has)"
check "nor make it slower: $took ms" test $took -lt $((3000 * SLOW))
ctl port remove pod1
far gwa

echo "-- the gateway has it"
a ip addr add 172.16.0.11/24 dev vxlan0
holder=$(mac gwa vxlan0)
refused "whose it is, is said" "172.16.0.11 is in use by $holder" port 1 a --route 10.9.0.0/16,172.16.0.1
same "the pod does not get it" "" "$(has)"
same "nor a route by it" "" "$(p ip -j route show dev vx0 | jq -r '.[] | select(.dst | test("172|10.9")).dst')"
same "port show has it, too" "172.16.0.11 is in use by $holder" "$(client pod1 trouble | sed 's/;.*//')"
same "its client waits" waiting "$(client pod1 state)"
check "what is not taken works: IPv6" p ping -c1 -W3 fd42::1
same "a port list does, too" '["fd42::11/64"]' "$(ctl -j port list | jq -c '.[0].addresses')"
crash
daemon -w 1
soon "nor does it get it from a podswitchd that starts anew" "172.16.0.11 is in use by $holder" eval 'client pod1 trouble | sed "s/;.*//"'
same "the interface still lacks it" "" "$(has)"
a ip addr del 172.16.0.11/24 dev vxlan0
eventually 60 "when it is free, the pod gets it" 172.16.0.11 has
soon "and nothing is said any more" null client pod1 trouble
check "it works" p ping -c1 -W3 172.16.0.1
same "with its routes" 10.9.0.0/16 "$(p ip -j route show dev vx0 | jq -r '.[] | select(.dst == "10.9.0.0/16").dst')"

echo "-- a change"
a ip addr add 172.16.0.31/24 dev vxlan0
refused "to an address that is taken" "172.16.0.31 is in use by $holder" ctl port set pod1 --address 172.16.0.31/24
same "the pod has neither" "" "$(has)"
ctl port set pod1 --address 172.16.0.11/24 --address fd42::11/64
same "and back" 172.16.0.11 "$(has)"
refused "one more that is taken" "172.16.0.31 is in use" ctl port set pod1 --address 172.16.0.11/24 --address 172.16.0.31/24
same "the first one stays meanwhile" 172.16.0.11 "$(has)"
ctl port set pod1 --address 172.16.0.11/24 --address fd42::11/64

echo "-- another gateway"
b ip addr add 172.16.0.11/24 dev vxlan0
ctl port set pod1 --gateway b
soon "where it is taken, the pod loses it" "" has
soon "and it is said why" "172.16.0.11 is in use by $(mac gwb vxlan0)" eval 'client pod1 trouble | sed "s/;.*//"'
ctl port set pod1 --gateway a
soon "where it is free, it gets it back" 172.16.0.11 has
soon "and nothing is said any more" null client pod1 trouble

echo "-- another pod"
ctl gateway set a --isolate off
port 2 a
q ip addr add 172.16.0.41/32 dev vx0
refused "of this node, that has given it to itself" "172.16.0.41 is in use by $(mac pod2 vx0)" \
	ctl port set pod1 --address 172.16.0.41/24
ctl port remove pod1
ctl port remove pod2
bg gwa dnsmasq --keep-in-foreground --conf-file=/dev/null --no-hosts --no-resolv --port=0 --user=root --no-ping \
	--interface=vxlan0 --bind-interfaces --dhcp-authoritative --dhcp-range=172.16.0.50,172.16.0.50,12h \
	--dhcp-leasefile="$TMP/leases" --pid-file= --log-facility="$TMP/dnsmasq"
poll 5 grep -q started "$TMP/dnsmasq" || die "dnsmasq does not start"
q ip route del default
ctl port add pod2 --gateway a --netns "$P-pod2" --dhcp
check "that has it by DHCP" poll 10 says '172.16.0.50' ctl -j port show pod2
refused "is known without a question" "port 'pod2' of the same gateway has the address 172.16.0.50" \
	ctl port add pod1 --gateway a --netns "$P-pod1" --address 172.16.0.50/24
finish
