#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 36-strangers.sh - a hub that anybody can send to: its clients are served, whoever else speaks VXLAN to it
#
#   gwa 172.16.0.21, the client --.
#                                  >-- podswitchd, gateway "own", which has no remote --- pod1 172.16.0.1
#   gwb: 10.9.0.0/16, strangers --'
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa gwb pod1
# Strangers have addresses, and the node a way back to them; nothing answers there.
ip -n "$P-gwb" route add local 10.9.0.0/16 dev lo
ip -n "$P-node" route add 10.9.0.0/16 via 10.0.2.2
ip -n "$P-pod1" route add 10.9.0.0/16 via 10.1.1.1
daemon -w 1
FDS=$(descriptors)

client() { # client NAME [MAC]: the client, there; its kernel vxlan device has the hub as its remote
	ip -n "$P-$1" link del vxlan0 2>/dev/null || true
	ip -n "$P-$1" link add vxlan0 ${2:+address "$2"} mtu 1450 type vxlan id 42 dstport 4789 remote "$VTEP"
	ip -n "$P-$1" addr add 172.16.0.21/24 dev vxlan0
	ip -n "$P-$1" link set vxlan0 up
}
counted() { stats ".gateways.own.$1"; }
above() { [ "$(counted "$1")" -gt "$2" ]; }
remote_count() { gateways '.[0].remotes | length'; }
strangers() { pkt gwb strangers --to "$VTEP" --source "$1" --count "$2" "${@:3}"; }

suite() { # suite UNDERLAY
	case $1 in
	host) VTEP=10.0.2.1 ;;
	pod) VTEP=10.1.1.2 ;;
	esac
	ctl gateway add own --vni 42 --underlay "$1"
	ctl port add pod1 --gateway own --netns "$P-pod1" --address 172.16.0.1/24

	echo "-- $1 underlay: 2000 strangers, then a client"
	strangers 10.9.0.1 2000
	check "some of them were forgotten, and that is counted" poll 5 above evicted_remotes 0
	client gwa
	check "the client's first ping is answered" a ping -c1 -W3 172.16.0.1
	check "and the next ones, while strangers go on" meanwhile
	check "the hub has no more remotes than it keeps" test "$(remote_count)" -le 256
	check "the log says so, and what to do" poll 5 grep -q 'gateway own has too many remotes: .* --allow' "$LOG"
	same "in one line" 1 "$(grep -c 'own has too many remotes' "$LOG")"
	ctl port remove pod1
	ctl gateway remove own
	: >"$LOG"
}

meanwhile() {
	local status=0
	strangers 10.9.8.1 4000 &
	a ping -c10 -i0.2 -W3 172.16.0.1 || status=$?
	wait $! || return 1
	return $status
}

suite host
suite pod
finish
