#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 25-local.sh - a gateway whose hub is of the same podswitchd is served without the network
#
#   pod1 vx0 ~~ gateway "a" (remote 10.0.1.2) ~~ podswitchd ~~ gateway "own" (no remote) ~~ vx0 in gwa
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa pod1
daemon -w 1
FDS=$(descriptors)

datagrams() { grep -c header= "$TMP/wire" || true; }

serve() { # serve MODE REMOTE: the gateway's hub, reached as REMOTE
	echo "-- the hub's underlay is $1"
	ctl gateway add own --vni 42 --underlay "$1"
	ctl port add gw --gateway own --netns "$P-gwa" --address 172.16.0.1/24 --address fd42::1/64
	ctl gateway add a --vni 42 --remote "$2"
	port 1 a
	bgpkt node "$TMP/wire" watch gwa --both
	watcher=$!
	check "ping, IPv4" p ping -c3 -i0.05 -W3 172.16.0.1
	check "ping, IPv6" a ping -c3 -i0.05 -W3 fd42::11
	check "TCP to the gateway, 10 MB" transfer pod1 gwa 172.16.0.1 "$(random_file 10)"
	check "TCP from the gateway, 10 MB" transfer gwa pod1 172.16.0.11 "$(random_file 10)"
	same "the remote is local" local "$(gateways '.[] | select(.name == "a").remotes[0].state')"
	pkt gwa inject --to 10.0.1.1 --source 10.0.1.2 --vni 99 good:seen
	check "the wire was listened to" poll 5 grep -q label=good:seen "$TMP/wire"
	same "no datagram but that one was on it" 1 "$(datagrams)"
	quit $watcher
	check "counters of the pod are its TAP's" poll 3 counters_equal pod1
	ctl port remove pod1
	ctl port remove gw
	ctl gateway remove a
	ctl gateway remove own
}

serve pod 10.0.1.2
serve host 10.0.1.1

finish
