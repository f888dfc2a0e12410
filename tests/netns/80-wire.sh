#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 80-wire.sh - what our datagrams look like to others, and what podswitchd costs when nothing happens
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa pod1
daemon -w 1
FDS=$(descriptors)

ticks() { awk '{ print $14 + $15 }' "/proc/$DAEMON/stat"; }
words() { grep -oE "$1=[^ ]*" "$TMP/wire" | sort -u | xargs; }

for FAMILY in 4 6; do
	echo "-- IPv$FAMILY underlay"
	offloads off
	far gwa
	gateway a 1 --underlay host
	port 1 a
	p ping -q -c1 -W3 172.16.0.1 >/dev/null || die "no way to the gateway"
	bgpkt gwa "$TMP/wire" watch eth0
	watcher=$!
	pkt pod1 flows --to 172.16.0.1 --count 200
	enough() { [ "$(grep -c 'flow=20[01]' "$TMP/wire")" -ge 800 ]; }
	check "800 datagrams of 200 flows left" poll 5 enough
	same "DF is set on all" "df=1" "$(words df)"
	same "the header has the I flag, the VNI and nothing else" "header=0800000000002a00" "$(words header)"
	same "each flow has one source port" 200 \
		"$(grep -oE 'sport=[0-9]+.*flow=20[0-9]+' "$TMP/wire" | sed -E 's/ .*flow/ flow/' | sort -u | wc -l)"
	count=$(words sport | wc -w)
	check "all flows together have several ($count)" [ "$count" -ge 4 ]
	same "all are in 49152-65535" "" "$(words sport | tr ' ' '\n' | sed 's/sport=//' | awk '$1 < 49152')"
	quit $watcher

	bgpkt gwa "$TMP/capturing" capture eth0 "$TMP/wire.pcap"
	watcher=$!
	p ping -q -c3 -i0.05 -W3 172.16.0.1 >/dev/null
	p ping -q -c3 -i0.05 -W3 -s 1300 fd42::1 >/dev/null
	transfer pod1 gwa 172.16.0.1 "$(random_file 1)" || miss "TCP, IPv4"
	transfer pod1 gwa fd42::1 "$(random_file 1)" || miss "TCP, IPv6"
	pkt pod1 flows --to 172.16.0.1 --count 20
	quit $watcher
	COMPLAINTS='_ws.malformed || ip.checksum.status == 0 || udp.checksum.status == 0 || tcp.checksum.status == 0 ||
		icmp.checksum.status == 0 || icmpv6.checksum.status == 0 || udp.length.bad || ip.bogus_ip_length'
	dissect "$TMP/wire.pcap" 'vxlan.vni == 42 && (tcp || udp)'
	check "tshark finds VXLAN" [ "$(dissected)" -ge 500 ]
	dissect "$TMP/wire.pcap" 'udp.dstport == 4789 && !vxlan'
	same "and in every datagram to 4789" 0 "$(dissected)"
	dissect "$TMP/wire.pcap" "$COMPLAINTS"
	same "it has no complaint" "" "$(head -5 "$TMP/dissected")"
	"$PYTHON" - "$TMP/wire.pcap" "$TMP/broken.pcap" <<-'BREAK'
		import sys
		data = bytearray(open(sys.argv[1], "rb").read())
		data[24 + 16 + 120] ^= 0xff
		open(sys.argv[2], "wb").write(data)
	BREAK
	dissect "$TMP/broken.pcap" "$COMPLAINTS"
	check "it would have: one byte changed is found" [ "$(dissected)" -ge 1 ]
	offloads on

	before=$(ticks)
	sleep 3 # the measure itself: nothing happens, for three seconds
	spent=$(($(ticks) - before))
	check "idle for three seconds costs $spent ticks of 10 ms, two at the most" [ $spent -le 2 ]
	ctl port remove pod1
	ctl gateway remove a
done

finish
