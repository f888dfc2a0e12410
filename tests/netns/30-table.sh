#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 30-table.sh - learning, ageing, moves, static entries, bounds
#
#   pod1 --- podswitchd --- gateway "m" with two remotes: gwa (10.0.1.2) and gwb (10.0.2.2)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa gwb pod1
far gwa
far gwb
b ip addr del 172.16.0.1/24 dev vxlan0
b ip addr del fd42::1/64 dev vxlan0
daemon --ageing 2 --fdb-gateway-limit 100 --fdb-remote-limit 50
FDS=$(descriptors)
ctl gateway add m --vni 42 --remote 10.0.1.2 --remote 10.0.2.2 --underlay host
port 1 m
MAC1=$(mac pod1 vx0)
X=02:00:00:00:00:99 S=02:00:00:00:00:55

# shellcheck disable=SC2016 # the dollars are jq's
entry() { fdb --arg mac "$1" '.[] | select(.mac == $mac) | "\(.kind) \(.port // .remote | sub(":4789"; ""))"'; }
heard() { # heard LABEL: by how many of gwa and gwb
	echo "$(grep -c "label=$1$" "$TMP/wire-a" || true) $(grep -c "label=$1$" "$TMP/wire-b" || true)"
}

echo "-- learning and ageing"
same "the pod's own address is local" "local pod1" "$(entry "$MAC1")"
check "ping" p ping -c1 -W3 172.16.0.1
same "the gateway's is learnt" "learned 10.0.1.2" "$(entry "$(mac gwa vxlan0)")"
check "a ping every half second for twice the time" p ping -q -c9 -i0.5 -W3 172.16.0.1
same "keeps it" "learned 10.0.1.2" "$(entry "$(mac gwa vxlan0)")"
check "without traffic it is forgotten" poll 8 prints "" entry "$(mac gwa vxlan0)"
same "local entries stay" "local pod1" "$(entry "$MAC1")"

echo "-- unknown, learnt, moved"
bgpkt gwa "$TMP/wire-a" watch eth0
bgpkt gwb "$TMP/wire-b" watch eth0
pkt pod1 frames vx0 --dst $X good:unknown
soon "an unknown address goes to both remotes" "1 1" heard good:unknown
pkt gwa inject --to 10.0.1.1 --src $X good:hello
soon "it is learnt behind gwa" "learned 10.0.1.2" entry $X
pkt pod1 frames vx0 --dst $X good:first
soon "and goes there alone" "1 0" heard good:first
pkt gwb inject --to 10.0.2.1 --src $X good:hello
soon "it moves to gwb" "learned 10.0.2.2" entry $X
pkt pod1 frames vx0 --dst $X good:second
soon "and goes there alone" "0 1" heard good:second
pkt pod1 frames vx0 good:broadcast
soon "a broadcast goes to both" "1 1" heard good:broadcast
check "in time it is forgotten" poll 8 prints "" entry $X
pkt pod1 frames vx0 --dst $X good:third
soon "and goes to both, as an unknown one does" "1 1" heard good:third

echo "-- static entries"
check "fdb add" ctl fdb add --gateway m --mac $S --remote 10.0.1.2
same "fdb list has it" "static 10.0.1.2" "$(entry $S)"
pkt pod1 frames vx0 --dst $S good:static
soon "it is obeyed" "1 0" heard good:static
before=$(drops)
pkt gwb inject --to 10.0.2.1 --src $S good:thief
soon "it does not move: dropped" '{"static_moved":1}' grown "$before"
same "and is as it was" "static 10.0.1.2" "$(entry $S)"
refused "fdb add of a remote that the gateway has not" "remote" ctl fdb add --gateway m --mac $X --remote bogus
refused "fdb add to an unknown gateway" "gateway" ctl fdb add --gateway nobody --mac $X --remote 10.0.1.2
pkt gwa inject --to 10.0.1.1 --src $X good:again
soon "something is learnt beside it" "learned 10.0.1.2" entry $X
check "fdb flush" ctl fdb flush
same "forgets what was learnt" "" "$(entry $X)"
same "but not static ones" "static 10.0.1.2" "$(entry $S)"
same "nor local ones" "local pod1" "$(entry "$MAC1")"

echo "-- bounds"
before=$(ctl -j stats | jq .fdb_refused)
pkt gwa inject --to 10.0.1.1 macs:1000 good:done
soon "a flood from one remote fills its share, not more" 50 fdb 'map(select(.kind == "learned")) | length'
check "what is refused is counted" [ $(($(ctl -j stats | jq .fdb_refused) - before)) -ge 900 ]
pkt gwb inject --to 10.0.2.1 macs:1000 good:done
check "the other remote still learns" poll 5 prints true \
	fdb 'map(select(.kind == "learned" and (.remote // "" | startswith("10.0.2.2")))) | length > 0'
check "and the gateway's bound holds" [ "$(fdb 'map(select(.kind == "learned")) | length')" -le 100 ]
same "static entries are not pushed out" "static 10.0.1.2" "$(entry $S)"
check "fdb remove" ctl fdb remove --gateway m --mac $S
same "removes" "" "$(entry $S)"
check "gateway set --learning off" ctl gateway set m --learning off
ctl fdb flush >/dev/null
pkt gwa inject --to 10.0.1.1 --src $X good:off
check "ping goes on without learning" p ping -c2 -i0.1 -W3 172.16.0.1
same "and nothing was learnt" 0 "$(fdb 'map(select(.kind == "learned")) | length')"
check "fdb add" ctl fdb add --gateway m --mac $S --remote 10.0.1.2
before=$(drops)
pkt gwb inject --to 10.0.2.1 --src $S good:thief
soon "a static entry holds, too: dropped" '{"static_moved":1}' grown "$before"
before=$(drops)
bgpkt pod1 "$TMP/arrived" sniff vx0
pkt gwa inject --to 10.0.1.1 --src $S good:owner
check "what comes from where it says arrives" poll 5 grep -q good:owner "$TMP/arrived"
pkt gwa inject --to 10.0.1.1 --src "$MAC1" good:mirror
soon "and the pod's own address is refused" '{"own_source":1}' grown "$before"
quit $!

finish
