#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 37-vtep.sh - --vtep: from which of the node's addresses the host underlay speaks, and at which it listens
#
#   pod1 --- podswitchd --vtep 10.9.9.9 --vtep fd09::9 --- the node's veth, 10.0.1.1 and fd00:1::1 --- gwa
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa pod1
ip -n "$P-node" addr add 10.9.9.9/32 dev lo
ip -n "$P-node" addr add fd09::9/128 dev lo nodad
listens() { n ss -Hlun "sport = :4789" | awk '{ print $4 }' | sort | xargs; }

daemon -w 2 --vtep fd09::9 --vtep 10.9.9.9
FDS=$(descriptors)
same "status tells them" "10.9.9.9 fd09::9" "$(ctl -j status | jq -r '.vtep | sort | join(" ")')"
for FAMILY in 4 6; do
	if [ $FAMILY = 4 ]; then vtep=10.9.9.9 other=10.0.1.1; else vtep=fd09::9 other=fd00:1::1; fi
	echo "-- IPv$FAMILY underlay: $vtep"
	far gwa
	gateway a 1 --underlay host
	port 1 a
	same "the sockets are at those addresses, one a worker" \
		"10.9.9.9:4789 10.9.9.9:4789 [fd09::9]:4789 [fd09::9]:4789" "$(listens)"
	bgpkt gwa "$TMP/wire" watch eth0
	watcher=$!
	check "ping" p ping -c3 -i0.05 -W3 172.16.0.1
	same "every datagram comes from there" "source=$vtep" "$(grep -oE 'source=[^ ]*' "$TMP/wire" | sort -u | xargs)"
	quit $watcher
	check "the gateway has learnt it" says "dst $vtep " a bridge fdb show dev vxlan0
	check "10 MB of TCP" transfer pod1 gwa 172.16.0.1 "$(random_file 10)"
	bgpkt pod1 "$TMP/arrived" sniff vx0
	sniffer=$!
	pkt gwa inject --to $other good:elsewhere
	pkt gwa inject --to $vtep good:here
	check "what comes to it arrives" poll 5 grep -q good:here "$TMP/arrived"
	same "what comes to the node's other address does not" 0 "$(grep -c good:elsewhere "$TMP/arrived" || true)"
	quit $sniffer
	same "nothing was dropped" "{}" "$(drops)"
	# Of a gateway that sends nothing back, the network is asked what became of the datagrams.
	ip -n "$P-gwa" link del vxlan0
	bgpkt gwa "$TMP/wire" watch eth0
	watcher=$!
	p ping -q -i0.2 -W1 -c$((20 * SLOW)) 172.16.0.1 >/dev/null 2>&1 || true
	soon "it is found out that a gateway is silent" '"icmp"' eval 'ctl -j gateway show a | jq .silence.reason'
	same "it is asked from there, too" "source=$vtep" "$(grep -oE 'source=[^ ]*' "$TMP/wire" | sort -u | xargs)"
	quit $watcher
	ctl port remove pod1
	ctl gateway remove a
done

echo "-- the other family is served at any address"
check "podswitchd ends" stop
daemon -w 1 --vtep 10.9.9.9
FAMILY=6
far gwa
gateway a 1 --underlay host
port 1 a
same "IPv4 there, IPv6 anywhere" "10.9.9.9:4789 [::]:4789" "$(listens | sed 's/ \*:/ [::]:/')"
check "ping" p ping -c1 -W3 172.16.0.1
ctl port remove pod1
ctl gateway remove a
check "podswitchd ends" stop

echo "-- wrong input"
usage() { # usage TEXT PATTERN OPTIONS...: exit status 2, and one line that matches
	local status=0 output
	output=$(n timeout 5 "$BUILD/podswitchd" -s "$TMP/x.sock" --state-dir "$TMP/x" "${@:3}" 2>&1) || status=$?
	same "$1: wrong usage" "2 1" "$status $(grep -c . <<<"$output")"
	check "$1: it is named" says "$2" echo "$output"
}
usage "no address" "vtep.*node.example" --vtep node.example
usage "two of one family" "vtep.*IPv4" --vtep 10.9.9.9 --vtep 10.0.1.1
usage "three" "vtep" --vtep 10.9.9.9 --vtep fd09::9 --vtep fd00:1::1
usage "a group's" "vtep.*224.0.0.1" --vtep 224.0.0.1
FAMILY=4
daemon -w 1 --vtep 10.9.9.8
FDS=$(descriptors)
refused "an address that the node has not: host" "vtep" gateway a 1 --underlay host
same "and nothing is half made" "[] $FDS" "$(gateways -c .) $(descriptors)"

finish
