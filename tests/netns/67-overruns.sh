#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 67-overruns.sh - what the kernel drops before we read it is counted, too: what was sent has arrived or has a reason
#
# From the pod: podswitchd and the sender share one processor, and the pod's kernel cuts super-frames of 64 datagrams
# into frames at once, so the TAP's queue of 500 frames overflows. To the pod: podswitchd is stopped for a moment.
# Both ends count with nftables, before any socket of theirs.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa pod1

for name in gwa pod1; do
	ns $name nft 'table inet count { chain in { type filter hook prerouting priority -300;
		udp dport 9 counter; }; }'
done
heard() { ns "$1" nft -j list table inet count | jq '[.. | .counter? // empty | .packets] | add'; }
device_drops() { # what the far end's own queues lost, which is not ours to count
	ip -n "$P-gwa" -s -j link show | jq '[.[] | select(.ifname == "eth0" or .ifname == "vxlan0").stats64.rx.dropped] | add'
}
reasons() { grown "$1" every_drop | jq 'add // 0'; }

send() { # send NAMESPACE ADDRESS BYTES SEGMENT SECONDS|xCALLS: how many datagrams were sent
	ns "$1" taskset -c 0 "$PYTHON" -c '
import socket, sys, time
address, size, segment, limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
if segment:
    sock.setsockopt(17, 103, segment)  # UDP_SEGMENT
calls, end = 0, time.monotonic() + (1000 if limit[0] == "x" else float(limit))
while time.monotonic() < end and (limit[0] != "x" or calls < int(limit[1:])):
    try:
        sock.sendto(bytes(size), (address, 9))
        calls += 1
    except ConnectionRefusedError:
        pass  # nobody listens
print(calls * (size // segment if segment else 1))
' "$2" "$3" "$4" "$5"
}

adds_up() { # adds_up SENT HEARD-BEFORE NAMESPACE DROPS-BEFORE DEVICE-BEFORE
	local got=$(($(heard "$3") - $2)) ours device=$(($(device_drops) - $5))
	ours=$(reasons "$4")
	[ "$1" = $((got + ours + device)) ] || { echo "sent $1, arrived $got, ours $ours, the far end's $device" && return 1; }
}

prepare() { # prepare UNDERLAY
	far gwa
	# No chatter of IPv6: what else is sent may be dropped as well, and would be counted.
	a sysctl -qw net.ipv6.conf.vxlan0.disable_ipv6=1
	p sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	gateway a 1 --underlay "$1"
	ctl port add pod1 --gateway a --netns "$P-pod1" --address 172.16.0.11/24
	for end in gwa pod1; do ns $end sysctl -qw net.ipv4.icmp_ratelimit=1000; done
	p nft add chain inet count out '{ type filter hook output priority 0; icmp type destination-unreachable drop; }'
	a nft add chain inet count out '{ type filter hook output priority 0; icmp type destination-unreachable drop; }'
	p ping -q -c1 -W3 172.16.0.1 >/dev/null || miss "no way to the gateway"
	p ip neigh replace 172.16.0.1 lladdr "$(mac gwa vxlan0)" dev vx0
	a ip neigh replace 172.16.0.11 lladdr "$(mac pod1 vx0)" dev vxlan0
}

outwards() {
	local was before device sent
	was=$(every_drop) before=$(heard gwa) device=$(device_drops)
	sent=$(send pod1 172.16.0.1 1408 22 2)
	soon "a flood of $sent datagrams from the pod overruns its TAP" yes overrun tap_overrun "$was"
	check "and sent = arrived + counted" poll 5 adds_up "$sent" "$before" gwa "$was" "$device"
	same "the port has them" "$(every_drop | jq .tap_overrun)" "$(ports '.[0].counters.drops.tap_overrun')"
}

inwards() { # inwards CALLS: with podswitchd stopped meanwhile
	local was before device sent
	was=$(every_drop) before=$(heard pod1) device=$(device_drops)
	kill -STOP "$DAEMON"
	sent=$(send gwa 172.16.0.11 22 0 "x$1")
	kill -CONT "$DAEMON"
	[ "$2" = fits ] || soon "a burst of $sent datagrams to the pod overruns the socket" yes overrun socket_overrun "$was"
	check "of $sent datagrams to the pod, sent = arrived + counted" poll 5 adds_up "$sent" "$before" pod1 "$was" "$device"
}
overrun() { [ "$(grown "$2" every_drop | jq ".$1 // 0")" -gt 0 ] && echo yes; }

suite() { # suite UNDERLAY
	echo "-- IPv$FAMILY underlay, $1"
	prepare "$1"
	outwards
	inwards 1000 fits
	inwards 60000 overruns
	check "what is counted twice is not counted again" poll 3 steady
	check "drops of ports and gateways are all in stats.get's" drops_add_up
	ctl port remove pod1
	check "and the switch keeps them when the port goes" overrun tap_overrun '{}'
	ctl gateway remove a
	check "podswitchd ends" stop
}
steady() { [ "$(every_drop)" = "$(every_drop)" ]; }

for FAMILY in 4 6; do
	for mode in host pod; do
		daemon -w 1 --tap-gso off --udp-gro off --tap-gro off # one packet is one datagram
		taskset -acp 0 "$DAEMON" >/dev/null
		suite $mode
	done
done
daemon -w 1
FDS=$(descriptors)
finish
