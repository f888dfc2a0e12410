#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 42-own-addresses.sh - a pod speaks in others' names: to the gateway, to its DHCP server, to its neighbours
#
#   pod1 (the liar), pod2 --- podswitchd --- gateway "a": gwa, a kernel vxlan device and dnsmasq
#
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa pod1 pod2
far gwa
daemon -w 1
FDS=$(descriptors)
gateway a 1

lies() { # lies REASON CASE...: each is dropped for that reason, and for no other
	local before case
	for case in "${@:2}"; do
		before=$(drops)
		pkt pod1 impersonate vx0 --own 11 --other 12 "$case"
		soon "$case" "{\"$1\":1}" grown "$before"
	done
}
truths() { # truths CASE...: none is dropped
	local before
	before=$(drops)
	pkt pod1 impersonate vx0 --own 11 --other 12 "$@"
	check "the gateway is still there" p ping -c1 -W3 172.16.0.1
	same "$*: passed" "{}" "$(grown "$before")"
}
neighbour() { ns gwa ip -j neigh show "$1" dev vxlan0 | jq -r '.[0].lladdr'; } # as the gateway knows it
stray_frames() { drops | jq 'with_entries(select(.key | startswith("foreign")))'; }

echo "-- as by hand, without own_addresses"
port 1 a
port 2 a
ns pod2 ping -q -c1 -W3 172.16.0.1 >/dev/null || die "no way to the gateway"
MAC2=$(mac pod2 vx0)
same "the gateway knows pod2" "$MAC2" "$(neighbour 172.16.0.12)"
stolen() { # Linux keeps what it has heard for a second
	pkt pod1 impersonate vx0 --own 11 --other 12 arp
	[ "$(neighbour 172.16.0.12)" = "$(mac pod1 vx0)" ]
}
check "and takes another's word for it" poll 5 stolen
given_back() {
	pkt pod2 impersonate vx0 --own 12 --other 11 own-arp
	[ "$(neighbour 172.16.0.12)" = "$MAC2" ]
}
check "until pod2 says its own" poll 5 given_back

echo "-- with own_addresses"
ctl port set pod1 --own-addresses on
same "port list says so" true "$(ports '.[] | select(.name == "pod1").config.own_addresses')"
p ping -q -c1 -W3 fd42::1 >/dev/null || die "no way to the gateway: $(drops)"
ns pod2 ping -q -c1 -W3 172.16.0.1 >/dev/null || die "no way to the gateway"
lies foreign_arp arp arp-request arp-mac
lies foreign_address ip4 ip6
lies foreign_neighbour advertisement advertisement-mac advertisement-fragment advertisement-behind solicitation dad \
	router redirect6 redirect4 query router4 query4 vrrp too-big4 too-big6
lies foreign_tunnel tunnel tunnel-underlay own-tunnel
lies foreign_dhcp discover identifier two-identifiers own-two-identifiers overload relay relay-option dhcp-fragment \
	own-dhcp-fragment release offer own-offer offer-port dhcp6 dhcp6-server
lies foreign_type rarp llc broken4
same "the gateway still knows pod2" "$MAC2" "$(neighbour 172.16.0.12)"
ways() { a ip route get 172.16.0.12 && a ip -6 route get fd42::12; }
same "and has believed nothing about the way to it" "" "$(ways | grep mtu)"
truths own-arp own-arp-mac own-arp-request own-arp-probe own-ip4 own-ip6 own-advertisement own-advertisement-mac \
	own-solicitation own-dad own-discover own-identifier own-too-big4 own-too-big6
before=$(stray_frames)
check "TCP, IPv4" transfer pod1 gwa 172.16.0.1 "$(random_file 3)"
check "TCP, IPv6" transfer pod1 gwa fd42::1 "$(random_file 3)"
p ip addr add 172.16.0.77/32 dev vx0
check "an address that the pod gives itself is not its own" not p ping -c1 -W1 -I 172.16.0.77 172.16.0.1
same "and no frame of its own was taken for another's" "$(jq -cS '.foreign_address += 1' <<<"$before")" \
	"$(stray_frames | jq -cS '.foreign_address += 0')"
p ip addr del 172.16.0.77/32 dev vx0

echo "-- VXLAN from a socket of the pod's own, by its first interface"
ctl gateway add b --vni 42 --remote 10.0.1.2 --underlay pod
forge() { pkt pod1 inject --to 10.0.1.2 --src "$1" good:forged; } # a frame in the name of a MAC
heard() { a bridge fdb show dev vxlan0 | grep -c "^$1 " || true; }
past() { # past GATEWAY NUMBER
	ctl port remove pod1
	far gwa # the old one sends to where it heard pod1 before, by the way that it had there
	ctl port add pod1 --gateway "$1" --netns "$P-pod1" --address 172.16.0.11/24 --default-via 172.16.0.1 --exclusive on
	forge "02:00:00:00:01:0$2"
	soon "$1: without own_addresses the gateway believes it" 1 heard "02:00:00:00:01:0$2"
	ctl port set pod1 --own-addresses on
	check "$1: with it, the kernel refuses to send it" not forge "02:00:00:00:02:0$2"
	check "$1: podswitchd's own passes" p ping -c1 -W3 172.16.0.1
	same "$1: the gateway has heard nothing" 0 "$(heard "02:00:00:00:02:0$2")"
	check "$1: TCP" transfer pod1 gwa 172.16.0.1 "$(random_file 1)"
}
if filtering; then past b 1 && past a 2; else note "left out: $UNFILTERED"; fi

echo "-- leases"
ctl port remove pod1
ctl port remove pod2
bg gwa dnsmasq --keep-in-foreground --conf-file=/dev/null --no-hosts --no-resolv --port=0 --user=root --no-ping \
	--interface=vxlan0 --bind-interfaces --dhcp-authoritative --dhcp-range=172.16.0.20,172.16.0.30,12h \
	--dhcp-leasefile="$TMP/leases" --pid-file= --log-facility="$TMP/dnsmasq"
poll 5 grep -q started "$TMP/dnsmasq" || die "dnsmasq does not start"
has_lease() { [ "$(ctl -j port show "$1" | jq '.addresses | length')" = 1 ]; }
before=$(stray_frames)
ctl port add pod1 --gateway a --netns "$P-pod1" --dhcp --exclusive on --own-addresses on
check "a port gets its lease" poll 10 has_lease pod1
check "and uses it" p ping -c1 -W3 172.16.0.1
soon "podswitchd itself speaks in the port's name" "$before" stray_frames
pkt pod1 starve vx0 --count 60
ctl port add pod2 --gateway a --netns "$P-pod2" --dhcp --exclusive on --own-addresses on
check "after 60 questions in others' names there is a lease for another" poll 10 has_lease pod2
same "two leases were given" 2 "$(wc -l <"$TMP/leases")"
crash
daemon -w 1
check "a lease is the port's own also after a crash" poll 10 p ping -c1 -W3 172.16.0.1
lies foreign_address ip4

echo "-- a pod that puts another interface in the TAP's place, and gives itself a lease there"
own=$(mac pod1 vx0)
p ip link set vx0 down
p ip link set vx0 name old0
p ip addr flush dev old0
p ip link add vx0 address "$own" type veth peer name e0
for device in old0 vx0 e0; do p ip link set $device up; done
echo "172.16.0.77/24 172.16.0.1" >"$TMP/offer"
bg pod1 "$PYTHON" "$HERE/dhcpd.py" e0 172.16.0.1 "$TMP/offer" >"$TMP/dhcpd" 2>&1
poll 10 grep -q ready "$TMP/dhcpd" || die "the DHCP server does not start: $(cat "$TMP/dhcpd")"
shown() { ctl -j port show pod1 | jq -r "$1"; }
ctl port set pod1 --hostname other
check "it is said that the lease is not the gateway's" poll 10 says 'did not come by the TAP' shown .client.trouble
check "and it is no address of the port's" not says 172.16.0.77 shown '.addresses[]'
finish
