#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 20-gateways.sh - two gateways with one VNI and one address; moving a pod while it is up; isolation
#
#   pod1 --.              .-- gwa: VNI 42, 172.16.0.1
#           >-- podswitchd
#   pod2 --'              '-- gwb: VNI 42, 172.16.0.1
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build
far gwa
far gwb
daemon -w 2
FDS=$(descriptors)
gateway a 1 --underlay host
gateway b 2 --underlay host
port 1 a
port 2 b
for gw in gwa gwb; do
	bg $gw socat -U TCP-LISTEN:80,fork,reuseaddr,backlog=64 "SYSTEM:echo $gw"
	poll 5 listening $gw t 80 || die "no server in $gw"
done

who() { # who POD [TIMES]: which gateway it reaches at 172.16.0.1
	local times=${2:-1}
	while [ $((times--)) -gt 0 ]; do
		ns "$1" timeout $((5 * SLOW)) socat -u TCP:172.16.0.1:80,connect-timeout=3 - || echo nobody
	done
}

echo "-- equal VNI, equal address"
who pod1 20 >"$TMP/one" &
ONE=$!
who pod2 20 >"$TMP/two" &
TWO=$!
wait $ONE $TWO
same "pod1 reaches gateway A, 20 times" "20 gwa" "$(sort "$TMP/one" | uniq -c | xargs)"
same "pod2 reaches gateway B at the same time" "20 gwb" "$(sort "$TMP/two" | uniq -c | xargs)"
check "and they are different devices" [ "$(mac gwa vxlan0)" != "$(mac gwb vxlan0)" ]
same "each gateway's MAC is learnt behind its own remote, and only there" \
	"$(printf '%s\n' "a $(mac gwa vxlan0) 10.0.1.2" "b $(mac gwb vxlan0) 10.0.2.2")" \
	"$(fdb '.[] | select(.kind == "learned") | "\(.gateway) \(.mac) \(.remote | sub(":4789"; ""))"' | sort)"
same "nothing was dropped" "{}" "$(drops)"

echo "-- pod1 moves while it is up"
seen_by() { ip -n "$P-$1" -s -j link show vxlan0 | jq '.[0].stats64.rx.packets'; }
p ping -q -i0.02 -c150 -W1 172.16.0.1 >"$TMP/ping" &
PING=$!
poll 5 [ "$(seen_by gwa)" -gt 0 ] || true
check "gateway A is known as a neighbour" poll 5 says "$(mac gwa vxlan0)" p ip neigh show 172.16.0.1 dev vx0
check "port set --gateway" ctl port set pod1 --gateway b
before=$(seen_by gwa)
same "the very next connection reaches gateway B" gwb "$(who pod1)"
same "the other gateway hears nothing of it" "$before" "$(seen_by gwa)"
check "gateway A is no neighbour any more" not says "$(mac gwa vxlan0)" p ip neigh show dev vx0
same "port list says so" b "$(ports '.[] | select(.name == "pod1").gateway')"
wait $PING || true
lost=$(awk '/transmitted/ { print $1 - $4 }' "$TMP/ping")
check "a ping every 20 ms lost ${lost:-all} of 150, two at the most on a machine of its own" [ "${lost:-150}" -le $((2 * SLOW)) ]
same "pod2 was left alone" gwb "$(who pod2)"
ctl port set pod1 --gateway a
same "and back again" gwa "$(who pod1)"
for _ in 1 2 3 4 5 6 7 8 9 10; do
	ctl port set pod1 --gateway b
	who pod1
	ctl port set pod1 --gateway a
	who pod1
done >"$TMP/one"
same "ten times there and back, each time at once" "10 gwa 10 gwb" "$(sort "$TMP/one" | uniq -c | xargs)"

echo "-- pods of one gateway are isolated"
ctl port set pod2 --gateway a
same "pod2 reaches gateway A now" gwa "$(who pod2)"
p ip neigh replace 172.16.0.12 lladdr "$(mac pod2 vx0)" dev vx0
q ip neigh replace 172.16.0.11 lladdr "$(mac pod1 vx0)" dev vx0
before=$(drops)
check "pod1 cannot ping pod2" not p ping -c2 -i0.1 -W1 172.16.0.12
same "each of its frames is counted" '{"isolated":2}' "$(grown "$before")"
bgpkt gwa "$TMP/at-gwa" sniff vxlan0
bgpkt pod2 "$TMP/at-pod2" sniff vx0
pkt pod1 frames vx0 good:broadcast
check "a broadcast reaches the gateway" poll 5 grep -q good:broadcast "$TMP/at-gwa"
pkt gwa inject --to 10.0.1.1 good:end
check "the gateway's reaches pod2" poll 5 grep -q good:end "$TMP/at-pod2"
same "pod1's has not" 0 "$(grep -c good:broadcast "$TMP/at-pod2" || true)"

echo "-- unless isolation is off"
check "gateway set --isolate off" ctl gateway set a --isolate off
check "pod1 pings pod2" p ping -c2 -i0.1 -W2 172.16.0.12
pkt pod1 frames vx0 good:shared
check "a broadcast reaches pod2" poll 5 grep -q good:shared "$TMP/at-pod2"
check "and the gateway" poll 5 grep -q good:shared "$TMP/at-gwa"
same "once each" "1 1" "$(grep -c good:shared "$TMP/at-pod2") $(grep -c good:shared "$TMP/at-gwa")"
same "TCP between the pods" yes "$(transfer pod1 pod2 172.16.0.12 "$(random_file 10)" >&2 && echo yes)"
check "gateway set --isolate on" ctl gateway set a --isolate on
check "and they are apart again" not p ping -c1 -W1 172.16.0.12
check "counters of pod1 are the TAP's" poll 3 counters_equal pod1
check "counters of pod2 are the TAP's" poll 3 counters_equal pod2

finish
