#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 40-hostile.sh - what must be dropped is dropped, under its name, once; and noise harms nothing
#
#   pod1 --- podswitchd --- gateway "a": gwa (10.0.1.2).   gwb (10.0.2.2) is no one's remote
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa gwb pod1
far gwa
daemon -w 1
FDS=$(descriptors)
gateway a 1 --underlay host
port 1 a
MAC1=$(mac pod1 vx0)
p ping -q -c1 -W3 172.16.0.1 >/dev/null || die "no way to the gateway"

arrived() { grep -c "$1" "$TMP/arrived" || true; }

listen() { # what reaches pod1
	[ -z "${LISTENER:-}" ] || quit "$LISTENER"
	bgpkt pod1 "$TMP/arrived" sniff vx0
	LISTENER=$!
}

hostile() { # hostile TEXT DROPS NAMESPACE ARGUMENTS...: none of it arrives; a good datagram of the gateway's after it does
	local before text=$1 wanted=$2
	MARK=$((${MARK:-0} + 1))
	before=$(drops)
	pkt "$3" inject --to "$([ "$3" = gwa ] && echo 10.0.1.1 || echo 10.0.2.1)" "${@:4}"
	pkt gwa inject --to 10.0.1.1 --dst "$MAC1" "good:end-$MARK"
	poll 5 grep -q "good:end-$MARK$" "$TMP/arrived" || miss "$text: the gateway is heard afterwards"
	soon "$text: dropped as $wanted" "$wanted" grown "$before"
	same "$text: nothing of it reached the pod" "" "$(grep -v -e ^ready -e good:end- "$TMP/arrived" || true)"
}

mute() { # mute TEXT DROPS ARGUMENTS...: pod1 sends it, and nothing of it leaves; a good frame after it does
	local before text=$1
	MARK=$((${MARK:-0} + 1))
	before=$(drops)
	pkt pod1 frames vx0 "${@:3}"
	pkt pod1 frames vx0 "good:end-$MARK"
	poll 5 grep -q "good:end-$MARK$" "$TMP/left" || miss "$text: the pod is heard afterwards"
	soon "$text: dropped as $2" "$2" grown "$before"
	same "$text: nothing of it left" "" "$(grep -v -e ^ready -e good:end- -e label=-$ "$TMP/left" || true)"
}

echo "-- datagrams"
listen
hostile "I flag not set" '{"bad_flags":1}' gwa noflag
hostile "each of the 39 reserved bits" '{"reserved_bits":39}' gwa reserved
hostile "unknown VNI" '{"unknown_vni":3}' gwa vni:43 vni:0 vni:16777215
hostile "unknown remote" '{"unknown_remote":1}' gwb good:stranger
hostile "shorter than the header" '{"short_header":8}' gwa short:0 short:1 short:2 short:3 short:4 short:5 short:6 short:7
hostile "runt inner frames" '{"runt":14}' gwa runt:0 runt:1 runt:2 runt:3 runt:4 runt:5 runt:6 runt:7 runt:8 runt:9 \
	runt:10 runt:11 runt:12 runt:13
hostile "inner VLAN tag" '{"vlan":1}' gwa --dst "$MAC1" vlan
hostile "inner service VLAN tag" '{"vlan":1}' gwa --dst "$MAC1" qinq
hostile "source is a group" '{"bad_source":1}' gwa --dst "$MAC1" --src 03:00:00:00:00:01 good:group
hostile "source is the broadcast" '{"bad_source":1}' gwa --src ff:ff:ff:ff:ff:ff good:group
hostile "source is zero" '{"bad_source":1}' gwa --src 00:00:00:00:00:00 good:zero
hostile "source is the pod itself" '{"own_source":1}' gwa --src "$MAC1" good:mirror
hostile "no port has the destination" '{"unknown_destination":1}' gwa --dst 02:00:00:00:00:77 good:astray
pkt gwa inject --to 10.0.1.1 --no-checksum good:no-checksum
check "an outer checksum of zero is accepted" poll 5 grep -q good:no-checksum "$TMP/arrived"

echo "-- frames of a pod"
bgpkt gwa "$TMP/left" watch eth0
mute "VLAN tag" '{"vlan":1}' vlan
mute "source is a group" '{"bad_source":1}' --src 03:00:00:00:00:01 good:group
mute "source is zero" '{"bad_source":1}' --src 00:00:00:00:00:00 good:zero
mute "source is not the port's MAC" '{"foreign_source":1}' --src 02:00:00:00:00:fd good:foreign
mute "destination is the bridge's own" '{"reserved_mac":1}' --dst 01:80:c2:00:00:00 good:stp
mute "destination is for LLDP" '{"reserved_mac":1}' --dst 01:80:c2:00:00:0e good:lldp
quit $!

echo "-- 100,000 random datagrams from the gateway's address"
quit "$LISTENER"
LISTENER=
# shellcheck disable=SC2016 # the dollar is awk's
udp() { n awk -v field="$1" '/^Udp:/ && n++ { print $field }' /proc/net/snmp; }
taken() { udp 2; } # datagrams that sockets of the node took, as the kernel counts
missed() { udp 4; }
outcome() { # what became of datagrams: dropped or handed to the pod
	echo $(($(drops | jq '[.[]] | add // 0') + $(ports '.[0].counters.tx_frames')))
}
p sysctl -qw net.ipv4.icmp_echo_ignore_all=1 # answers would count as frames of the pod
before=$(outcome) were=$(taken) lost=$(missed)
pkt gwa noise --to 10.0.1.1 --dst "$MAC1" --count 100000 --seed 7
arrived_all() { [ $(($(taken) - were + $(missed) - lost)) -ge 100000 ]; }
check "all have arrived" poll 5 arrived_all
balance() { echo $(($(taken) - were - $(outcome) + before)); }
soon "each that was taken was dropped or delivered, and counted once" 0 balance
check "at least 90,000 were not lost before" [ $(($(missed) - lost)) -lt 10000 ]
check "podswitchd lives" alive
p sysctl -qw net.ipv4.icmp_echo_ignore_all=0
check "and traffic goes on" p ping -c2 -i0.1 -W3 172.16.0.1

echo "-- 100,000 random frames from the pod"
fate() { # frames of the pod that were sent on or dropped
	echo $(($(stats .gateways.a.encap_frames) + $(drops | jq '[.[]] | add // 0')))
}
taken_frames() { counters pod1 | cut -d' ' -f1; }
before=$(fate) were=$(taken_frames)
pkt pod1 noise-frames vx0 --count 100000 --seed 8
check "counters are the TAP's" poll 5 counters_equal pod1
check "at least 50,000 were taken" [ $(($(taken_frames) - were)) -ge 50000 ]
pod_balance() { echo $(($(taken_frames) - were - $(fate) + before)); }
soon "each was sent on or dropped, and counted once" 0 pod_balance
check "podswitchd lives" alive
check "and traffic goes on" p ping -c2 -i0.1 -W3 172.16.0.1

echo "-- a pod whose route to the gateway leads into its own TAP"
attach() { # attach UNDERLAY: pod1 anew, and the far end, too, as it may know where pod1 was
	ctl port remove pod1
	ctl gateway remove a
	far gwa
	gateway a 1 --underlay "$1"
	port 1 a
}
attach pod
check "ping" p ping -c1 -W3 172.16.0.1
p ip neigh add 10.0.1.2 lladdr 02:00:00:00:00:66 dev vx0
p ip route add 10.0.1.2 dev vx0
before=$(drops) were=$(taken_frames)
check "nothing passes" not p ping -c3 -i0.1 -W1 172.16.0.1
check "each datagram that came back is dropped as loop" says '^{"loop":[1-9][0-9]?}$' grown "$before"
check "and is not encapsulated again and again" [ $(($(taken_frames) - were)) -le 60 ]
p ip route del 10.0.1.2 dev vx0
check "with the route gone, it works" poll 5 p ping -c1 -W1 172.16.0.1
attach host

echo "-- reserved bits can be ignored"
check "podswitchd ends" stop
daemon --reserved ignore
listen
pkt gwa inject --to 10.0.1.1 reserved good:end
check "a good one arrives" poll 5 grep -q good:end "$TMP/arrived"
same "and so did all 39" 39 "$(grep -o 'reserved:[0-9]*' "$TMP/arrived" | sort -u | wc -l)"
listen
hostile "I flag not set, even so" '{"bad_flags":1}' gwa noflag

finish
