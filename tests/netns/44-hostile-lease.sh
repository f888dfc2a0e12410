#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 44-hostile-lease.sh - a gateway gives addresses that take what is not its own: at first, when it renews, and by hand
#
#   pod1, exclusive --- podswitchd --- gateway "a": gwa, a kernel vxlan device and a DHCP server that says what it is told
#
#    kept network    10.96.0.0/16     the cluster's Services
#    node            10.100.0.6       kept, as the agent keeps all nodes
#    remote          10.0.1.2         where the tunnel goes
#    pod             10.1.1.2/24      its first interface
#    expected        172.16.0.0/24    podswitch.io/network
#
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa pod1
far gwa
daemon -w 1
FDS=$(descriptors)
gateway a 1 --underlay pod
KEEP_OPTIONS=(--exclusive on --keep 10.96.0.0/16 --keep 10.100.0.6/32)
offer() { # offer ADDRESS/LENGTH [ROUTER]
	echo "$*" >"$TMP/offer.new" && mv "$TMP/offer.new" "$TMP/offer"
}
offer ''
bg gwa "$PYTHON" "$HERE/dhcpd.py" vxlan0 172.16.0.1 "$TMP/offer" >"$TMP/dhcpd" 2>&1
poll 10 grep -q ready "$TMP/dhcpd" || die "the DHCP server does not start: $(cat "$TMP/dhcpd")"
trouble() { ctl -j port show pod1 | jq -r '.client.trouble // ""'; }
has() { p ip -j -4 addr show vx0 | jq -r '[.[0].addr_info[]?.local] | join(" ")'; }
by_eth0() { p ip route get "$1" | grep -q 'dev eth0'; }
said() { says "$1" trouble; }
# KIND ADDRESS/LENGTH ROUTER PATTERN WHAT-STAYS
HOSTILE=(
	"a kept network|10.96.0.9/24|10.96.0.1|overlaps 10.96.0.0/16, which stays|10.96.0.10"
	"one around a kept network|10.64.0.9/10|10.64.0.1|overlaps 10.96.0.0/16, which stays|10.96.0.10"
	"a node's address|10.100.0.6/30|10.100.0.5|overlaps 10.100.0.6/32, which stays|10.100.0.6"
	"the remote's network|10.0.1.77/24|10.0.1.1|overlaps 10.0.1.2, a remote of gateway a|10.0.1.2"
	"the pod's first interface|10.1.1.77/24|10.1.1.1|overlaps 10.1.1.2/24, which the pod has on eth0|10.1.1.1"
	"the pod's own address|10.1.1.2/30|10.1.1.1|overlaps 10.1.1.2/24, which the pod has on eth0|10.1.1.1"
	"what is not expected|192.168.9.9/24|192.168.9.1|is not in 172.16.0.0/24, the network that is expected|10.96.0.10"
)
each() { # each COMMAND...: of every kind
	local line kind given router pattern stays
	for line in "${HOSTILE[@]}"; do
		IFS='|' read -r kind given router pattern stays <<<"$line"
		"$@" "$kind" "$given" "$router" "$pattern" "$stays"
	done
}
remains() { # remains KIND ADDRESS
	same "$1: the pod has no address" "" "$(has)"
	check "$1: $2 is reached by eth0" by_eth0 "$2"
}

echo "-- at first"
at_first() {
	offer "$2" "$3"
	ctl port add pod1 --gateway a --netns "$P-pod1" --dhcp --network 172.16.0.0/24 "${KEEP_OPTIONS[@]}"
	[ "$1" = "what is not expected" ] || ctl port set pod1 --network none
	check "$1: it is said" poll 10 said "$4"
	remains "$1" "$5"
	check "$1: the lease goes back" poll 10 grep -q "DECLINE ${2%/*}" "$TMP/dhcpd"
	ctl port remove pod1
}
each at_first

echo "-- when it is renewed: the same address, in another network"
renewed() { # of an address that is good as long as its network is small
	offer "$2" "$3"
	: >"$TMP/dhcpd"
	ctl port add pod1 --gateway a --netns "$P-pod1" --dhcp "${KEEP_OPTIONS[@]}"
	same "$1: a good lease" "${2%/*}" "$(poll 10 says . has >/dev/null && has)"
	offer "${2%/*}/$4" "$3"
	check "$1: its renewal is refused" poll 20 said "$5"
	remains "$1" "$6"
	check "$1: the lease goes back" poll 10 grep -q "DECLINE ${2%/*}" "$TMP/dhcpd"
	offer "$2" "$3"
	check "$1: a good one comes back" poll 40 says "${2%/*}" has
	check "$1: and nothing is said" poll 10 not said .
	ctl port remove pod1
}
renewed "a kept network" 10.97.0.9/24 10.97.0.1 8 "overlaps 10.96.0.0/16, which stays" 10.96.0.10
renewed "the remote's network" 10.0.9.9/24 10.0.9.1 16 "overlaps 10.0.1.2, a remote of gateway a" 10.0.1.2
renewed "the pod's first interface" 10.1.9.9/24 10.1.9.1 16 "overlaps 10.1.1.2/24, which the pod has on eth0" 10.1.1.1

echo "-- by hand"
by_hand() {
	[ "$1" = "what is not expected" ] || refused "$1: port add" "address.*$4" ctl port add pod1 --gateway a \
		--netns "$P-pod1" --address "$2" "${KEEP_OPTIONS[@]}"
}
each by_hand
ctl port add pod1 --gateway a --netns "$P-pod1" --address 172.16.0.11/24 --default-via 172.16.0.1 "${KEEP_OPTIONS[@]}"
changed() {
	[ "$1" != "what is not expected" ] || return 0
	refused "$1: port set" "address.*$4" ctl port set pod1 --address "$2" --default-via "$3"
	same "$1: the pod keeps what it had" 172.16.0.11 "$(has)"
}
each changed
check "and its gateway" p ping -c1 -W3 172.16.0.1
finish
