#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 96-way-out.sh - no way out of an exclusive port's pod but the TAP, whatever its routes and rules say
#
# Behind the node there is an "outside", 198.51.100.1 and 2001:db8:51::1. ways.py in the pod tries to reach it, multicast
# groups and broadcast addresses past the TAP. A capture on the node's end of the pod's veth is the judge.
# shellcheck disable=SC2119 # daemon takes options, or none
. "$(dirname "$0")/lib.sh"

OUTSIDE=(198.51.100.1 2001:db8:51::1)
GROUPS4=(224.0.0.251 239.255.255.250 255.255.255.255 10.1.1.255)
GROUPS6=(ff02::fb ff05::c ff0e::101)

# What the pod sends itself in the end, by the same interface, has to be seen too: then all that went before has been.
seen() { # seen ADDRESS...: which of them packets to leave by eth0, a line each
	bgpkt node "$TMP/seen" toward pod1 "$@"
	local capture=$!
	p "$PYTHON" "$HERE/ways.py" eth0 10.1.1.2 fd01:1::2 "$@" || die "ways.py failed"
	pkt pod1 frames eth0 good:end
	poll 5 grep -q '^good:end$' "$TMP/seen" || die "the capture does not see what leaves by eth0"
	quit $capture
	grep '^to ' "$TMP/seen" | sort | uniq -c | sed 's/^ *//' >"$TMP/left" || true
}
closed() { # closed TEXT: nothing leaves
	seen "${OUTSIDE[@]}" "${GROUPS4[@]}" "${GROUPS6[@]}"
	same "$1" "" "$(cat "$TMP/left")"
}
attach() { # attach GATEWAY
	ctl port add pod1 --gateway "$1" --netns "$P-pod1" --address 172.16.0.11/24 --address fd42::11/64 \
		--default-via 172.16.0.1 --exclusive on --keep 10.96.0.0/16
}
link_local() { n ip -6 -o addr show dev pod1 scope link | awk '{ sub("/.*", "", $4); print $4 }'; }
group() { p ip -d -j link show "$1" | jq -r '.[0].group'; }
way_out() { ctl -j port show pod1 | jq -r ".way_out.$1"; }
plain() { { p ip -4 route show table all; p ip -6 route show table all; p ip rule; p ip -6 rule; p nft list ruleset; } |
	sed -e 's/ *$//' -e '/vx0/d' | sort; }

build
far gwa
far gwb
n ip addr add 198.51.100.1/32 dev lo
n ip addr add 2001:db8:51::1/128 dev lo
n ip addr add 10.96.0.10/32 dev lo
n sysctl -qw net.ipv4.conf.pod1.proxy_arp=1 net.ipv4.neigh.pod1.proxy_delay=0
daemon
gateway a 1
p ip link add net1 type veth peer name peer1
p ip link set peer1 up
p ip addr add 10.8.0.5/24 dev net1
p ip link set net1 up
soon "every interface has its link-local address" 3 eval 'p ip -6 -o addr show scope link | grep -vc tentative'
before=$(plain)

echo "== without"
seen "${OUTSIDE[@]}" "${GROUPS4[@]}" "${GROUPS6[@]}"
same "the capture sees ways to every address" 9 "$(wc -l <"$TMP/left")"

echo "== what was connected before"
bg node socat TCP6-LISTEN:7000,fork,ipv6only=0 OPEN:/dev/null
poll 5 listening node t 7000
mkfifo "$TMP/go"
p "$PYTHON" "$HERE/ways.py" hold 10.1.1.2 fd01:1::2 "${OUTSIDE[@]}" <"$TMP/go" >"$TMP/held" &
PIDS+=($!)
exec 7>"$TMP/go"
poll 5 grep -q ready "$TMP/held"
attach a
bgpkt node "$TMP/seen" toward pod1 "${OUTSIDE[@]}"
capture=$!
echo go >&7
exec 7>&-
poll 5 not kill -0 "${PIDS[-2]}" 2>/dev/null
pkt pod1 frames eth0 good:end
poll 5 grep -q '^good:end$' "$TMP/seen"
quit $capture
same "nothing of it leaves any more" 0 "$(grep -c '^to ' "$TMP/seen" || true)"

echo "== exclusive"
closed "nothing leaves"
check "what is kept is reached" p ping -c1 -W1 10.96.0.10
check "bound to the interface, too" p ping -c1 -W1 -I eth0 10.96.0.10
check "the node is reached" p ping -c1 -W1 fd01:1::1
check "the node is reached by its link-local address" p ping -c1 -W1 "$(link_local)%eth0"
check "the gateway is reached" poll 5 p ping -c1 -W1 172.16.0.1
check "a neighbour in the pod's second network has a route" says 'dev net1' p ip route get 10.8.0.9
check "the node resolves the pod's address" n ping -6 -c1 -W1 fd01:1::2
same "it says so" "closed 0 true" "$(way_out state) $(way_out repairs) $(way_out filtered)"

echo "== ways that somebody adds later"
later() { # later TEXT OPTIONS OF IP...: in the pod
	p ip "${@:2}"
	closed "$1"
}
later "the default in two halves" route add 0.0.0.0/1 via 10.1.1.1
p ip route add 128.0.0.0/1 via 10.1.1.1
closed "both of them"
later "the same for IPv6" -6 route add 2000::/3 via fd01:1::1 dev eth0
later "a route to just that host" route add 198.51.100.1 via 10.1.1.1
later "and by IPv6" -6 route add 2001:db8:51::/48 via fd01:1::1 dev eth0
later "a default route in another table" route add default via 10.1.1.1 table 100
later "which the source leads to" rule add from 10.1.1.2 lookup 100 pref 5
later "or the preference of a VPN" rule add pref 1 lookup 100
later "and by IPv6" -6 route add default via fd01:1::1 dev eth0 table 100
later "a rule of IPv6" -6 rule add pref 1 lookup 100
later "a rule with preference 0" rule add pref 0 lookup 100
later "a better default route" route add default via 10.1.1.1 metric 0 proto static tos 0x10
later "a route in the table of local addresses" route add 198.51.100.0/24 via 10.1.1.1 table local
later "the same for IPv6" -6 route add 2001:db8:51::/64 via fd01:1::1 dev eth0 table local
check "what is kept is still reached" p ping -c1 -W1 10.96.0.10

echo "== a router's advertisements"
p sysctl -qw net.ipv6.conf.eth0.accept_ra=2 net.ipv6.conf.eth0.accept_ra_rt_info_max_plen=64
pkt node advertise pod1
check "the pod has taken its default route" poll 5 says 'proto ra' p ip -6 route show default
closed "nothing leaves by it"
p sysctl -qw net.ipv6.conf.eth0.accept_ra=0
p ip -6 addr flush dev eth0 dynamic
p ip -6 route flush proto ra
p ip -6 route del 2001:db8:51::/64 dev eth0

echo "== interfaces that come later"
p ip link add br0 type bridge
p ip addr add 172.30.0.1/24 dev br0
p ip link set br0 up
p ip link add net2 type veth peer name peer2
p ip link set peer2 master br0 up
p ip addr add 172.31.0.1/24 dev net2
p ip link set net2 up
check "a network of containers in the pod is there at once" says 'dev br0' p ip route get 172.30.0.2
check "and so is what another plugin adds" p ip route add 172.32.0.0/16 via 172.31.0.2
check "that route is used" says 'dev net2' p ip route get 172.32.0.2
p ip route add 192.0.2.0/25 dev net2
eventually 40 "in the end it is frozen" 1886584834 group net2
check "what it had then is used" says 'dev net2' p ip route get 172.32.0.2
p ip route add 192.0.2.128/25 via 172.31.0.2
check "what it gets later is not" says 'dev vx0' p ip route get 192.0.2.129
same "that was no repair" 0 "$(way_out repairs)"
p ip link del net2
p ip link del br0

echo "== a VPN in the pod"
p ip tuntap add tun0 mode tun
p ip addr add 10.66.0.2/24 dev tun0
p ip link set tun0 up
p ip route add 0.0.0.0/1 dev tun0 metric 1
p ip route add 128.0.0.0/1 dev tun0 metric 1
p ip route add default dev tun0 table 51820
p ip rule add not fwmark 51820 lookup 51820 pref 100
closed "nothing leaves by eth0"
check "its own network has a route" says 'dev tun0' p ip route get 10.66.0.9
check "the rest goes by the TAP" says 'dev vx0' p ip route get 203.0.113.5
p ip rule del pref 100
p ip link del tun0

echo "== what was there before"
ctl port remove pod1
p ip route del 198.51.100.0/24 table local
p ip -6 route del 2001:db8:51::/64 dev eth0 table local
p ip route del 198.51.100.1
p ip -6 route del 2001:db8:51::/48 dev eth0
attach a
closed "halves, other tables and rules are closed, too"
same "a rule that came before ours comes behind" "unreachable;lookup 100;" "$(p ip rule | sed -n '/^0:/s/.*\(unreachable\|lookup 100\).*/\1/p' | tail -n 2 | tr '\n' ';')"
same "and all is well" closed "$(way_out state)"
p ip rule del pref 0 lookup 100
check "what is kept is reached" p ping -c1 -W1 10.96.0.10
ctl port remove pod1
for rule in 5 1; do p ip rule del pref $rule; done
p ip -6 rule del pref 1
p ip route flush table 100
p ip -6 route flush table 100
p ip route del default metric 0 tos 0x10
p ip route del 0.0.0.0/1
p ip route del 128.0.0.0/1
p ip -6 route del 2000::/3 dev eth0
same "everything is as it was" "$before" "$(plain)"

echo "== the tunnel through the pod's own network"
gateway b 2 --underlay pod
attach b
check "the gateway is reached" poll 5 p ping -c1 -W1 172.16.0.1
closed "nothing else leaves"
ctl port remove pod1
same "everything is as it was" "$before" "$(plain)"

echo "== more nftables in the pod than may be looked through"
for i in {1..3000}; do echo "add table ip t$i"; done | p nft -f -
begun=${EPOCHREALTIME/./}
attach a
took=$(((${EPOCHREALTIME/./} - begun) / 1000))
check "nobody waits for that ($took ms)" test $took -lt $((1500 * ${SLOW:-1}))
check "port show says what to do" says 'more than 64 nftables tables of its own; remove some' way_out unfiltered
p nft flush ruleset
ctl port set pod1 --keep 10.97.0.0/16
closed "without them nothing leaves"
same "and port show says nothing" null "$(way_out unfiltered)"
ctl port remove pod1

finish
