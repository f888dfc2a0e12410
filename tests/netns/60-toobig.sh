#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 60-toobig.sh - an underlay that takes less than the TAP: the pod is told, and TCP adapts
#
#   pod1 vx0 (1450) --- podswitchd --- eth0 (1500) --- node --- 1400 --- gwa
#
# host: the narrow veth is the first hop, so that sending fails. pod: it is the second, so that an ICMP message comes
# back to the socket in the pod's namespace.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

UMTU=1400 build gwa pod1
offloads off
daemon -w 1
FDS=$(descriptors)

for FAMILY in 4 6; do
	HEADERS=$((FAMILY == 4 ? 50 : 70))
	WIDE=$((1500 - HEADERS)) NARROW=$((1400 - HEADERS))
	for mode in host pod; do
		echo "-- IPv$FAMILY underlay, $mode: the TAP's MTU is $WIDE, the path takes $NARROW"
		far gwa
		gateway a 1 --underlay $mode
		port 1 a --mtu $WIDE
		before=$(drops)
		check "what fits passes, IPv4" p ping -c1 -W3 -M 'do' -s $((NARROW - 28)) 172.16.0.1
		check "what fits passes, IPv6" p ping -c1 -W3 -M 'do' -s $((NARROW - 48)) fd42::1
		check "fragmentation needed, IPv4" poll 5 says "(Frag needed|message too long).* *mtu ?= ?$NARROW" \
			p ping -c1 -W1 -M 'do' -s $((WIDE - 28)) 172.16.0.1
		check "packet too big, IPv6" poll 5 says "(Packet too big|message too long).* *mtu ?[=:] ?$NARROW" \
			p ping -c1 -W1 -M 'do' -s $((WIDE - 48)) fd42::1
		check "the pod's kernel has understood, IPv4" poll 3 says "mtu $NARROW" p ip route get 172.16.0.1
		check "the pod's kernel has understood, IPv6" poll 3 says "mtu $NARROW" p ip route get fd42::1
		check "it is counted" says '"too_big":' grown "$before"
		p ip route flush cache
		p ip -6 route flush cache
		check "TCP adapts, IPv4" transfer pod1 gwa 172.16.0.1 "$(random_file 10)"
		check "TCP adapts, IPv6" transfer pod1 gwa fd42::1 "$(random_file 10)"
		check "counters are the TAP's" poll 3 counters_equal pod1
		ctl port remove pod1
		ctl gateway remove a
		for name in node pod1; do
			ns $name ip route flush cache
			ns $name ip -6 route flush cache
		done
	done
done

finish
