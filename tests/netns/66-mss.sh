#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 66-mss.sh - a gateway with a narrow way on, whose ICMP errors are lost: TCP works by the MSS that we lower
#
#   pod1 vx0 (1450) --- podswitchd --- vxlan0 gwa wan (1320) --- wan (1500) web
#
# gwa is as a VPN gateway behind a strict firewall: no ICMP error leaves it. What is larger than 1320 bytes is lost on
# its way from gwa to web, and the other way.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa pod1
daemon -w 1
FDS=$(descriptors)

space web
ip link add wan mtu 1320 netns "$P-gwa" type veth peer name wan mtu 1500 netns "$P-web"
for end in gwa web; do
	ns $end ethtool -K wan tso off gso off gro off tx off >/dev/null 2>&1
	ip -n "$P-$end" addr add "10.8.0.$([ $end = gwa ] && echo 1 || echo 2)/24" dev wan
	ip -n "$P-$end" addr add "fd08::$([ $end = gwa ] && echo 1 || echo 2)/64" dev wan nodad
	ip -n "$P-$end" link set wan up
done
ip -n "$P-web" route add default via 10.8.0.1
ip -n "$P-web" route add default via fd08::1
a sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
a nft 'table inet strict { chain out { type filter hook output priority 0;
	icmp type destination-unreachable drop; icmpv6 type packet-too-big drop; }; }'

routes() { p ip route replace 10.8.0.0/24 via 172.16.0.1 && p ip -6 route replace fd08::/64 via fd42::1; }
there() { transfer pod1 web "$1" "$(random_file 1)" "${2:-20}"; }
back() { transfer web pod1 "$1" "$(random_file 1)" "${2:-20}"; }
flows() { # flows TEXT
	check "$1: to the web, IPv4" there 10.8.0.2
	check "$1: from it, IPv4" back 172.16.0.11
	check "$1: to the web, IPv6" there fd08::2
	check "$1: from it, IPv6" back fd42::11
}
hangs() { # hangs TEXT
	check "$1: nothing gets to the web, IPv4" not there 10.8.0.2 2
	check "$1: nor from it, IPv4" not back 172.16.0.11 2
	check "$1: nor to it, IPv6" not there fd08::2 2
	check "$1: nor from it, IPv6" not back fd42::11 2
}
tap_mtu() { p ip -j link show vx0 | jq '.[0].mtu'; }

suite() { # suite UNDERLAY
	echo "-- IPv$FAMILY underlay, $1"
	far gwa
	gateway a 1 --underlay "$1"
	port 1 a
	routes
	p ping -q -c1 -W3 10.8.0.2 >/dev/null || miss "no way to the web"
	hangs "with the path's MTU"
	ctl gateway set a --mtu 1320
	same "the gateway's MTU reaches the pod" 1320 "$(tap_mtu)"
	flows "with the VPN's"
	p ip link set vx0 mtu "$((FAMILY == 4 ? 1450 : 1430))"
	routes
	flows "and when the pod has raised its own"
	ctl gateway set a --clamp-mss off
	hangs "without clamping"
	ctl gateway set a --clamp-mss on
	flows "and with it again"
	ctl gateway set a --mtu 0
	hangs "with the path's MTU again"
	ctl port set pod1 --mtu 1320
	p ip link set vx0 mtu "$((FAMILY == 4 ? 1450 : 1430))"
	routes
	flows "with an MTU of the port's own"
	ctl port remove pod1
	ctl gateway remove a
}

FAMILY=4 suite host
FAMILY=6 suite pod

finish
