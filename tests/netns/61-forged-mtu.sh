#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 61-forged-mtu.sh - a neighbour reports a tiny path MTU for every source port; and the MTU comes back when it is forgotten
#
#   pod1, pod2 --- podswitchd --- node --- gwa          gwb: the neighbour, with its own address
#
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build
daemon -w 1
FDS=$(descriptors)

victim() { # victim MODE: the address from which its datagrams leave
	case $FAMILY$1 in
	4host) echo 10.0.1.1 ;;
	6host) echo fd00:1::1 ;;
	4pod) echo 10.1.1.2 ;;
	6pod) echo fd01:1::2 ;;
	esac
}
forge() { # forge MODE MTU
	ns gwb "$PYTHON" "$HERE/pkt.py" forge-mtu --to "$(victim "$1")" --remote "$(underlay 1)" --mtu "$2"
}
forget() { # what was reported: the node's kernel, or the pod's, and the pod's what we have told it
	local name
	for name in "$1" pod1; do ns "$name" ip route flush cache && ns "$name" ip -6 route flush cache; done
}
mtu() { ns "$1" cat /sys/class/net/vx0/mtu; }
ping_of() { p ping -c1 -W2 -M 'do' -s $(($1 - 28)) 172.16.0.1; }

for FAMILY in 4 6; do
	HEADERS=$((FAMILY == 4 ? 50 : 70))
	FULL=$((1500 - HEADERS)) LEAST=$((1280 - HEADERS)) # the pods speak IPv6, which needs 1280
	for mode in host pod; do
		echo "-- IPv$FAMILY underlay, $mode"
		far gwa
		gateway a 1 --underlay $mode
		port 1 a
		same "the interface's MTU" $FULL "$(mtu pod1)"
		check "a full packet passes" poll 5 ping_of $FULL
		[ $mode = host ] && at=node || at=pod1
		tiny=$([ "$FAMILY" = 4 ] && echo 552 || echo 1280) # the least that Linux believes
		forge $mode "$tiny"
		check "the kernel believes it" poll 5 says "mtu $tiny" ns "$at" ip route get "$(underlay 1)"
		check "what the floor leaves passes at once" ping_of $LEAST
		soon "the interface's MTU follows, down to the floor" 1280 mtu pod1
		check "and the pod is told what passes" says "mtu ?= ?$LEAST" ping_of 1280
		check "TCP passes" transfer pod1 gwa 172.16.0.1 "$(random_file 1)"
		port 2 a
		[ $mode = pod ] || same "a port made meanwhile has it, too" 1280 "$(mtu pod2)"
		forget "$at"
		soon "what is forgotten is forgotten: the MTU comes back" $FULL mtu pod1
		soon "also that of the other port" $FULL mtu pod2
		check "a full packet passes again" poll 5 ping_of $FULL
		forge $mode 1320
		soon "a path of 1320 is believed" 1280 mtu pod1
		check "to the byte" says "mtu ?= ?$((1320 - HEADERS))" ping_of 1280
		check "TCP passes there, too" transfer pod1 gwa 172.16.0.1 "$(random_file 1)"
		check "counters are the TAP's" poll 3 counters_equal pod1
		ctl port remove pod1
		ctl port remove pod2
		ctl gateway remove a
		forget "$at"
	done
done

finish
