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

	echo "-- $1 underlay: strangers with 20000 MACs, then a client that nobody has heard"
	local mac begun i
	ip -n "$P-gwa" link del vxlan0
	for i in 1 2 3 4 5; do pkt gwb inject --to "$VTEP" --source 10.9.2.$i --src 06:00:00:00:00:00 "macs:4000/$i"; done
	check "the table was full, and some were forgotten" poll 5 above evicted_macs 0
	client gwa
	check "the client's first ping is answered" a ping -c1 -W3 172.16.0.1
	mac=$(mac gwa vxlan0)
	soon "and its MAC is learnt" "$CLIENT" whereabouts "$mac"
	check "the log says so, too" poll 5 grep -q 'gateway own has too many MACs: .* --allow' "$LOG"

	echo "-- $1 underlay: a stranger with the client's MAC"
	same "the client is where it is" "$CLIENT" "$(whereabouts "$mac")"
	thief "$mac"
	check "a datagram with its MAC is counted" poll 5 above held_moves 0
	same "and moves nothing" "$CLIENT" "$(whereabouts "$mac")"
	check "what is sent to the client arrives" p ping -c3 -i0.1 -W3 172.16.0.21
	check "it can be idle for longer than a claim is looked at, while the stranger goes on: it is asked, and stays" stays "$mac"
	check "what is sent to it still arrives" p ping -c3 -i0.1 -W3 172.16.0.21
	check "10 MB of TCP to it, while the stranger goes on" robbed "$mac"
	check "the log says whose MAC is claimed by whom" poll 5 grep -q "$mac, at $CLIENT, by 10.9.1.1: it moves" "$LOG"

	echo "-- $1 underlay: the client moves"
	ip -n "$P-gwa" link del vxlan0
	client gwb "$mac"
	begun=${EPOCHREALTIME/./}
	check "it is served again soon" poll 10 b ping -c1 -W1 172.16.0.1
	note "after $(((${EPOCHREALTIME/./} - begun) / 1000)) ms"
	same "its entry is where it is" 10.0.2.2 "$(whereabouts "$mac")"
	check "and what is sent to it arrives" p ping -c3 -i0.1 -W3 172.16.0.21
	ip -n "$P-gwb" link del vxlan0
	ctl port remove pod1
	ctl gateway remove own
	: >"$LOG"
}

CLIENT=10.0.1.2
# shellcheck disable=SC2016 # the dollar is jq's
whereabouts() { fdb --arg m "$1" '.[] | select(.mac == $m).remote | split(":")[0]'; }
thief() { pkt gwb inject --to "$VTEP" --source 10.9.1.1 --src "$1" good:claim; }

# Every claim of the stranger's finds an owner that has not spoken for a while, and is asked. That it stays is seen over
# twice the time after which one that is silent loses its address.
stays() {
	local until=$((SECONDS + 8))
	while [ $SECONDS -lt $until ]; do
		thief "$1"
		[ "$(whereabouts "$1")" = "$CLIENT" ] || { echo "it is at $(whereabouts "$1")" && return 1; }
	done
}

robbed() {
	local status=0 robber
	while thief "$1"; do continue; done &
	robber=$!
	PIDS+=("$robber")
	transfer pod1 gwa 172.16.0.21 "$(random_file 10)" || status=$?
	kill $robber
	wait $robber 2>/dev/null || true
	return $status
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
