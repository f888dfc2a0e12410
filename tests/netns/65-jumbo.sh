#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 65-jumbo.sh - an underlay of 9000 bytes: the TAP gets what is left of them, and frames of that size pass
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

UMTU=9000 PMTU=9000 build gwa pod1
daemon -w 1
FDS=$(descriptors)
random_file 10 >/dev/null

suite() { # suite UNDERLAY OFFLOADS
	local mtu=$((FAMILY == 4 ? 8950 : 8930)) before
	echo "-- IPv$FAMILY underlay, $1, veth offloads $2"
	offloads "$2"
	far gwa
	ip -n "$P-gwa" link set vxlan0 mtu $mtu
	before=$(drops)
	gateway a 1 --underlay "$1"
	port 1 a
	same "the TAP's MTU" $mtu "$(p ip -j link show vx0 | jq '.[0].mtu')"
	same "port list says so" $mtu "$(ports '.[0].mtu')"
	check "a packet of $mtu bytes, IPv4" p ping -c3 -i0.05 -W3 -M 'do' -s $((mtu - 28)) 172.16.0.1
	check "a packet of $mtu bytes, IPv6" p ping -c3 -i0.05 -W3 -M 'do' -s $((mtu - 48)) fd42::1
	check "from the gateway, IPv4" a ping -c3 -i0.05 -W3 -M 'do' -s $((mtu - 28)) 172.16.0.11
	check "from the gateway, IPv6" a ping -c3 -i0.05 -W3 -M 'do' -s $((mtu - 48)) fd42::11
	check "one byte more does not pass" not p ping -c1 -W1 -M 'do' -s $((mtu - 27)) 172.16.0.1
	check "10 MB of TCP to the gateway" transfer pod1 gwa 172.16.0.1 "$(random_file 10)"
	check "10 MB of TCP from the gateway" transfer gwa pod1 172.16.0.11 "$(random_file 10)"
	check "10 MB of TCP to the gateway, IPv6" transfer pod1 gwa fd42::1 "$(random_file 10)"
	check "10 MB of TCP from the gateway, IPv6" transfer gwa pod1 fd42::11 "$(random_file 10)"
	bgpkt gwa "$TMP/echo" echo --port 7
	check "UDP of every size up to the MTU, there and back" pkt pod1 sizes --to 172.16.0.1 --port 7 --max $((mtu - 28))
	quit $!
	check "counters are the TAP's to the byte" poll 3 counters_equal pod1
	same "nothing was dropped" "{}" "$(grown "$before")"
	ctl port remove pod1
	ctl gateway remove a
}

for FAMILY in 4 6; do
	suite host on
	suite pod off
done

finish
