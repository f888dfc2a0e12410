#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 50-ecn.sh - congestion marks through the tunnel, as RFC 6040 and the kernel's vxlan have it: all 16 cases
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# inner/outer on arrival -> inner in the pod; 00 Not-ECT, 01 ECT(1), 10 ECT(0), 11 CE. Missing: 00/11 is dropped.
TABLE="0/0:0 0/1:0 0/2:0  1/0:1 1/1:1 1/2:1 1/3:3  2/0:2 2/1:1 2/2:2 2/3:3  3/0:3 3/1:3 3/2:3 3/3:3"

wanted() {
	local case family
	for family in v4 v6; do
		for case in $TABLE; do echo "$family ${case%:*} ecn ${case#*:} sum good"; done
	done | sort
}
got() { grep -E '^v[46] ' "$TMP/arrived" | sort; }
marks() { grep -oE "ecn=[0-3].*label=$1:[0-3]" "$TMP/left" | sed -E 's/ecn=(.).*:(.)/\2>\1/' | sort | xargs; }

build gwa pod1
daemon -w 1 --trains off # each datagram is to be seen on its own
FDS=$(descriptors)
for FAMILY in 4 6; do
	for mode in host pod; do
		echo "-- IPv$FAMILY underlay, $mode"
		far gwa
		gateway a 1 --underlay $mode
		port 1 a
		case $FAMILY$mode in
		4host) TO=10.0.1.1 ;;
		6host) TO=fd00:1::1 ;;
		4pod) TO=10.1.1.2 ;;
		6pod) TO=fd01:1::2 ;;
		esac
		bgpkt pod1 "$TMP/arrived" sniff vx0
		SNIFFER=$!
		before=$(drops)
		pkt gwa inject --to "$TO" --dst "$(mac pod1 vx0)" ecn good:end
		check "they arrive" poll 5 grep -q good:end "$TMP/arrived"
		same "inner marks after decapsulation, IPv4 and IPv6 inside, header sums right" "$(wanted)" "$(got)"
		soon "congestion on what cannot carry it is dropped" '{"ecn":2}' grown "$before"
		quit $SNIFFER
		bgpkt gwa "$TMP/left" watch eth0
		pkt pod1 frames vx0 tos:0 tos:1 tos:2 tos:3 tclass:0 tclass:1 tclass:2 tclass:3 good:end
		check "they leave" poll 5 grep -q label=good:end "$TMP/left"
		same "outer marks after encapsulation, IPv4 inside" "0>0 1>1 2>2 3>2" "$(marks tos)"
		same "outer marks after encapsulation, IPv6 inside" "0>0 1>1 2>2 3>2" "$(marks tclass)"
		check "a frame that is not IP leaves unmarked" grep -q "ecn=0 .*label=good:end" "$TMP/left"
		quit $!
		ctl port remove pod1
		ctl gateway remove a
	done
done

finish
