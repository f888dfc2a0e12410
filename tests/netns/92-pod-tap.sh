#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 92-pod-tap.sh - a busy pod with the pod underlay gets an underlay TAP in its own namespace, and loses nothing by it
#
#   pod1 vx0 ~~~ podswitchd ~~~ podswitch0 (in pod1) ---> eth0 ---- node ---- gwa eth0, vxlan0
#                    '~~~ UDP 4789 (in pod1) <----------- eth0 ---- node ----'
#
# The pod is one of the agent's: exclusive, with its own addresses only, so its rules and its packet filter are in force.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

device() { p ip -o link show podswitch0; }
egress() { ports '.[] | select(.name == "pod1").egress'; }
mark() { MARKED=$(wc -l <"$LOG"); }
logged() { tail -n +$((MARKED + 1)) "$LOG" | grep -cE -- "$1" || true; } # how many lines since `mark`
by() { eventually "${2:-5}" "pod1 goes by $1" "$1" egress; }             # by WAY [SECONDS]

attach() {
	far gwa
	gateway a 1 --underlay pod
	ctl port add pod1 --gateway a --netns "$P-pod1" --address 172.16.0.11/24 --address fd42::11/64 \
		--default-via 172.16.0.1 --exclusive on --own-addresses on
}
detach() {
	ctl port remove pod1
	ctl gateway remove a
}

# A stream for as long as it is wanted.
busy() {
	bg gwa socat -u TCP-LISTEN:5003,reuseaddr OPEN:/dev/null
	SINK=$!
	poll 5 listening gwa t 5003 || die "no receiver"
	bg pod1 socat -u OPEN:/dev/zero TCP:172.16.0.1:5003
	STREAM=$!
}
leisure() {
	quit $STREAM
	quit $SINK
}

goes_on() {
	check "ping" p ping -q -c2 -i0.1 -W3 172.16.0.1
	check "TCP to the gateway" transfer pod1 gwa 172.16.0.1 "$(random_file 3)"
	check "TCP from it" transfer gwa pod1 172.16.0.11 "$(random_file 3)"
}

# What the gateway's kernel gets while the stream runs: how long, and from where.
whole() {
	local watcher
	bgpkt gwa "$TMP/wire" watch eth0
	watcher=$!
	sleep 1
	quit $watcher
	grep -oE " length=[0-9]+" "$TMP/wire" | sed 's/.*=//' | sort -n | tail -n1
}
words() { grep -oE "$1=[^ ]*" "$TMP/wire" | sort -u | xargs; } # words KEY: the values that `whole` saw

way() {
	local was source length
	echo "-- IPv$FAMILY underlay"
	source=$([ $FAMILY = 4 ] && echo 10.1.1.2 || echo fd01:1::2)
	attach
	p ping -q -c1 -W3 172.16.0.1 >/dev/null || miss "no way to the gateway"
	same "idle, it has no such device" sockets "$(egress)"
	check "nor does the pod" not device
	was=$(drops)
	mark
	busy
	by underlay_tap 10
	check "the device is in the pod" device
	same "its address is none that a program takes for the pod's" 127.189.42.1/32 \
		"$(p ip -j addr show podswitch0 | jq -r '.[0].addr_info[] | select(.family == "inet") | "\(.local)/\(.prefixlen)"')"
	length=$(whole)
	check "super-frames arrive whole (the longest has $length bytes)" [ "$length" -gt 20000 ]
	same "every datagram is the pod's, with DF, and a hop less than the node's" "source=$source df=1 ttl=63" \
		"$(words source) $(words df) $(words ttl)"
	same "one line says so" 1 "$(logged "port pod1: remote .* is reached by underlay_tap podswitch0")"
	goes_on
	leisure
	same "nothing was dropped" "{}" "$(grown "$was" | jq -c 'del(.probe)')"
	check "counters are the TAP's to the byte" poll 3 counters_equal pod1
	same "nobody has repaired anything" 0 "$(ports '.[0].way_out.repairs')"
	same "the pod can reach nothing else" unreachable "$(nowhere)"
	detach
	check "the device is gone with its port" poll 3 not device
}
# The node has it, and would answer.
nowhere() { if p ping -q -c1 -W1 10.0.2.1 >/dev/null 2>&1; then echo reachable; else echo unreachable; fi; }

in_the_way() {
	echo "-- a FORWARD policy in the pod"
	FAMILY=4
	attach
	busy
	by underlay_tap 10
	mark
	p nft -f - <<-'END'
		table ip filter {
			chain forward { type filter hook forward priority 0; policy drop; }
		}
	END
	by sockets 2
	eventually 2 "one line tells where to look" 1 logged 'port pod1: remote .*do not leave the pod unchanged; look for a FORWARD'
	goes_on
	p nft delete table ip filter
	by underlay_tap 4
	goes_on
	echo "-- the device is deleted"
	mark
	ip -n "$P-pod1" link del podswitch0
	by sockets 2
	eventually 2 "one line says so" 1 logged 'port pod1 has no underlay_tap.*its device was removed'
	goes_on
	leisure
	detach
}

moves() {
	echo "-- to another gateway and back, while it is busy"
	attach
	FAMILY=4 far gwb
	FAMILY=4 gateway b 2 --underlay pod
	busy
	by underlay_tap 10
	leisure
	ctl port set pod1 --gateway b
	check "ping" p ping -q -c3 -i0.2 -W3 172.16.0.1
	check "TCP to the other one" transfer pod1 gwb 172.16.0.1 "$(random_file 3)"
	ctl port set pod1 --gateway a
	check "TCP to the first one" poll 5 transfer pod1 gwa 172.16.0.1 "$(random_file 3)"
	ctl port remove pod1
	ctl gateway remove b
	ctl gateway remove a
}

auto() {
	echo "-- auto, and a device on the way that takes no super-frames in tunnels: the pod's, then the node's"
	FAMILY=4
	attach
	p ethtool -K eth0 tx-udp_tnl-csum-segmentation off >/dev/null
	busy
	sleep 3
	same "by the sockets" sockets "$(egress)"
	p ethtool -K eth0 tx-udp_tnl-csum-segmentation on >/dev/null
	by underlay_tap 10
	leisure
	detach
	n ethtool -K gwa tx-udp_tnl-csum-segmentation off >/dev/null
	attach
	busy
	sleep 3
	same "by the sockets" sockets "$(egress)"
	check "without a device" not device
	leisure
	detach
	n ethtool -K gwa tx-udp_tnl-csum-segmentation on >/dev/null
}

older_kernel() {
	echo "-- Linux before 6.17: the sockets serve"
	daemon -w 1 --underlay-tap auto
	FDS=$(descriptors)
	attach
	busy
	eventually 5 "the log says so, once" 1 logged 'underlay_tap is off, everything takes the sockets: .*Linux 6.17'
	same "by the sockets" sockets "$(egress)"
	check "no device is left" not device
	goes_on
	leisure
	detach
	finish
	exit
}

build gwa gwb pod1
# The strictest pod.
p sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.ip_forward=0
MARKED=0
linux 6.17 || older_kernel
daemon -w 1 --underlay-tap on
FDS=$(descriptors)
for FAMILY in 4 6; do way; done
in_the_way
moves
check "podswitchd ends" stop
daemon -w 1 --underlay-tap auto
FDS=$(descriptors)
auto

finish
