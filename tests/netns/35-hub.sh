#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 35-hub.sh - a hub with two clients: whom it learns from, and a copy of a broadcast for each
#
#   gwa 172.16.0.21 --.
#                      >-- podswitchd, gateway "own", which has no remote --- pod1 172.16.0.11
#   gwb 172.16.0.22 --'
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa gwb pod1
daemon -w 1
FDS=$(descriptors)

client() { # client NAME LAST VTEP: a kernel vxlan device that has the hub as its remote
	far "$1" remote "$3"
	ip -n "$P-$1" addr flush dev vxlan0
	ip -n "$P-$1" addr add "172.16.0.$2/24" brd + dev vxlan0
}
remotes() { gateways '.[0].remotes | map("\(.address) \(.state)") | sort | join(", ")'; }
heard() { echo "$(grep -c "label=$1$" "$TMP/wire-a" || true) $(grep -c "label=$1$" "$TMP/wire-b" || true)"; }
work() { stats '.gateways.own | "\(.encap_frames) \(.tx_datagrams)"'; }

# A frame of pod1's to DST: how many frames and datagrams that was. The pod's kernel may send one of its own meanwhile,
# as a neighbour's probe: therefore this is polled.
costs() { # costs "FRAMES DATAGRAMS" DST
	local frames datagrams now
	read -r frames datagrams <<<"$(work)"
	pkt pod1 frames vx0 --dst "$2" good:cost
	poll 2 moved "$frames $datagrams" || true
	now=$(work)
	[ "$((${now% *} - frames)) $((${now#* } - datagrams))" = "$1" ] || { echo "was $frames $datagrams, is $now" && return 1; }
}
moved() { [ "$(work)" != "$1" ]; }

suite() { # suite UNDERLAY
	local vtep_a vtep_b net_a net_b far_a far_b before
	case $FAMILY$1 in
	4host) vtep_a=10.0.1.1 vtep_b=10.0.2.1 ;;
	6host) vtep_a=fd00:1::1 vtep_b=fd00:2::1 ;;
	4pod) vtep_a=10.1.1.2 vtep_b=10.1.1.2 ;;
	6pod) vtep_a=fd01:1::2 vtep_b=fd01:1::2 ;;
	esac
	far_a=$(underlay 1) far_b=$(underlay 2)
	if [ "$FAMILY" = 4 ]; then net_a=10.0.1.0/24 net_b=10.0.2.2; else net_a=fd00:1::/64 net_b=fd00:2::2; fi
	echo "-- IPv$FAMILY underlay, $1: only $net_a is allowed"
	ip -n "$P-gwb" link del vxlan0 2>/dev/null || true
	ctl gateway add own --vni 42 --underlay "$1" --allow $net_a
	port 1 own
	before=$(drops)
	pkt pod1 frames vx0 good:early
	check "before it has learnt anyone, what the pod floods is dropped as no_remote" \
		poll 3 says '"no_remote":[1-9]' grown "$before"
	client gwa 21 $vtep_a
	check "gwa, which is allowed, pings" a ping -c2 -i0.1 -W3 172.16.0.11
	same "it is a remote now" "$far_a learned" "$(remotes)"
	before=$(drops)
	pkt gwb inject --to $vtep_b --src 02:00:00:00:00:b1 good:one good:two good:three
	soon "each datagram of gwb, which is not, is dropped as unknown_remote" '{"unknown_remote":3}' grown "$before"
	same "and it is no remote" "$far_a learned" "$(remotes)"
	check "the log says who, and what to do" poll 5 grep -q "gateway own: .* --allow .* the last $far_b; " "$LOG"
	: >"$LOG"
	same "nor is its MAC learnt" "" "$(fdb '.[] | select(.mac == "02:00:00:00:00:b1").mac')"
	client gwb 22 $vtep_b
	check "gwb cannot ping" not b ping -c1 -W1 172.16.0.11

	echo "-- IPv$FAMILY underlay, $1: $net_b, too"
	check "gateway set --allow --allow" ctl gateway set own --allow $net_a --allow $net_b
	check "gwb pings" b ping -c2 -i0.1 -W3 172.16.0.11
	same "both are remotes" "$far_a learned, $far_b learned" "$(remotes)"
	bgpkt gwa "$TMP/wire-a" watch eth0
	watch_a=$!
	bgpkt gwb "$TMP/wire-b" watch eth0
	watch_b=$!
	pkt pod1 frames vx0 good:all
	soon "a broadcast of the pod reaches each once" "1 1" heard good:all
	pkt pod1 frames vx0 --dst 02:00:00:00:00:77 good:unknown
	soon "and so does what is for an unknown address" "1 1" heard good:unknown
	pkt pod1 frames vx0 --dst "$(mac gwb vxlan0)" good:one
	soon "what is for a known one goes there alone" "0 1" heard good:one
	check "a broadcast counts as one frame and two datagrams" poll 5 costs "1 2" ff:ff:ff:ff:ff:ff
	check "a known destination as one and one" poll 5 costs "1 1" "$(mac gwb vxlan0)"
	check "10 MB of TCP from gwa" transfer gwa pod1 172.16.0.11 "$(random_file 10)"
	check "10 MB of TCP to gwb" transfer pod1 gwb 172.16.0.22 "$(random_file 10)"

	echo "-- IPv$FAMILY underlay, $1: $net_a no longer"
	check "gateway set --allow" ctl gateway set own --allow $net_b
	same "gwa is no remote any more" "$far_b learned" "$(remotes)"
	# shellcheck disable=SC2016 # the dollar is jq's
	same "nothing of it is in the table" "" "$(fdb --arg m "$(mac gwa vxlan0)" '.[] | select(.mac == $m).mac')"
	check "it cannot ping" not a ping -c1 -W1 172.16.0.11
	pkt pod1 frames vx0 good:rest
	soon "and hears no broadcast" "0 1" heard good:rest
	check "gwb still pings" b ping -c1 -W3 172.16.0.11
	check "gateway set --allow '': anyone" ctl gateway set own --allow ''
	check "gwa pings again" poll 5 a ping -c1 -W1 172.16.0.11
	quit "$watch_a"
	quit "$watch_b"
	check "counters are the TAP's" poll 3 counters_equal pod1
	ctl port remove pod1
	ctl gateway remove own
}

for FAMILY in 4 6; do
	suite host
	suite pod
done

echo "-- wrong input"
refused "--allow beside --remote" "allow" ctl gateway add x --vni 42 --remote 10.0.1.2 --allow 10.0.0.0/8
refused "--allow that is no prefix" "allow.*10.0.0.0/33" ctl gateway add x --vni 42 --allow 10.0.0.0/33
same "no gateway of that name" "[]" "$(gateways -c .)"

finish
