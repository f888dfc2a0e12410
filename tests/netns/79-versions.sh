#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 79-versions.sh - this podswitchd beside an older one, in the folder PREVIOUS (tests/versions.sh): each reads what the
# other has kept, and the older one is replaced
#
#   pod1 --.              .-- gwa
#           >-- podswitchd
#   pod2 --'              '-- gwb
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2119 # daemon takes options, or none
. "$(dirname "$0")/lib.sh"

if [ -z "${PREVIOUS:-}" ]; then
	echo "  --   left out: it needs an older podswitchd (make check-versions)"
	finish
	exit
fi
NEW=$BUILD
build
far gwa
far gwb
was() { ports -c 'map({name, gateway, netns, ifname, mac, mtu, addresses, underlay, state})'; }
both() { p ping -c1 -W3 172.16.0.1 && q ping -c1 -W3 172.16.0.1; }
table() { fdb -c '[.[] | select(.kind == "static") | del(.age)]'; }

BUILD=$PREVIOUS
daemon
gateway a 1 --underlay host --isolate off --mtu 1400
gateway b 2 --underlay pod
port 1 a --route 10.9.0.0/16,172.16.0.1
port 2 b --mtu 1300
ctl fdb add --gateway a --mac 02:00:00:00:00:77 --remote 10.0.1.2
check "the older one: traffic runs" both
kept=$(was) static=$(table)
check "it is stopped" stop

BUILD=$NEW
daemon
same "this one takes up what it has kept" "$kept" "$(was)"
same "and the table" "$static" "$(table)"
check "traffic runs" both
ctl gateway set b --mtu 1390
ctl port set pod1 --route 10.8.0.0/16,172.16.0.1
kept=$(was)
check "it is killed" crash

BUILD=$PREVIOUS
daemon
same "the older one takes up what this one has kept" "$kept" "$(was)"
same "and the table" "$static" "$(table)"
check "traffic runs" both

echo "-- taken over"
old=$DAEMON BUILD=$NEW
p ping -q -i0.01 -W1 -c300 172.16.0.1 >"$TMP/ping" &
pinging=$!
poll 5 says . cat /proc/$pinging/stat >/dev/null || true
daemon --takeover
status=0
wait "$old" || status=$?
same "the older one is stopped, with status 0" 0 "$status"
check "as it cannot hand over" grep -q 'of a version that cannot hand over: it is stopped' "$LOG"
poll 10 answers || die "this one does not answer" # until now it may have been the older one
same "this one has all" "$kept" "$(was)"
wait $pinging || true
lost=$(awk '/transmitted/ { print $1 - $4 }' "$TMP/ping")
check "for less than 2 s nothing passes ($((lost * 10)) ms)" test "$lost" -lt $((200 * SLOW))

echo "-- what an older one does not know"
ctl port set pod1 --own-addresses on
check "this one is killed" crash
BUILD=$PREVIOUS
daemon
check "the older one sets the port aside" test -e "$TMP/state/ports/pod1.json.bad"
check "as the agent would, it is added again" port 1 a
check "and has its TAP, and works" p ping -c1 -W3 172.16.0.1

echo "-- an interface that this one has made for one queue, as the older one makes all"
check "the older one is killed" crash
BUILD=$NEW
daemon --tap-queues 1
ctl port remove pod2
port 2 b --mtu 1300
check "it works" q ping -c1 -W3 172.16.0.1
check "this one is killed" crash
BUILD=$PREVIOUS
daemon
check "the older one takes it up" q ping -c1 -W3 172.16.0.1
finish
