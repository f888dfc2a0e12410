#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 45-monitor.sh - podswitchctl monitor: a line an event, in the order in which they happened
#
#   pod1 --- podswitchd --- gateway "m" with two remotes: gwa (10.0.1.2) and gwb (10.0.2.2)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa gwb pod1
daemon -w 1
FDS=$(descriptors)
X=02:00:00:00:00:99

listen() { # listen OUTPUT [OPTIONS...]: podswitchctl monitor in the background, once it is heard
	bg node "$BUILD/podswitchctl" monitor "${@:2}" >"$1"
	poll 5 heard "$1" || die "podswitchctl monitor says nothing"
}
heard() { # by events of a gateway of no other use
	ctl gateway add probe --vni 1 --underlay pod && ctl gateway remove probe && grep -q gateway.added "$1"
}
events() { grep -v probe "$TMP/events" | cut -d' ' -f2- | paste -sd, || true; }
EXPECTED=
then_comes() { # then_comes EVENT: after all that came before, and nothing else
	EXPECTED+=${EXPECTED:+,}$1
	soon "$1" "$EXPECTED" events
}

listen "$TMP/events"
TEXT=$!
listen "$TMP/json" -j
JSON=$!

echo "-- every kind of event"
ctl gateway add m --vni 42 --remote 10.0.1.2 --remote 10.0.2.2 --underlay host
then_comes "gateway.added m"
port 1 m
then_comes "port.added pod1,port.leased pod1" # once its address was found free
ctl gateway add m --vni 42 --remote 10.0.1.2 --remote 10.0.2.2 --underlay host
port 1 m
pkt gwa inject --to 10.0.1.1 --src $X good:first good:again
then_comes "fdb.learned m $X"
pkt gwb inject --to 10.0.2.1 --src $X good:elsewhere good:again
then_comes "fdb.moved m $X"
ctl gateway set m --isolate off
then_comes "gateway.changed m"
ctl gateway set m --isolate off
ctl port set pod1 --mtu 1400
then_comes "port.changed pod1"
refused "what is refused" "mtu" ctl port set pod1 --mtu 1
ip netns del "$P-pod1"
then_comes "port.gone pod1"
ctl port remove pod1
then_comes "port.removed pod1"
ctl gateway remove m
then_comes "gateway.removed m"
same "every line begins with the time" "" \
	"$(grep -vE '^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{3}[+-][0-9]{4} [a-z.]+ ' "$TMP/events" || true)"
same "with -j it is the same, a JSON text a line" "$EXPECTED" \
	"$(jq -r 'select(.name != "probe") | "\(.event) \(.name)\(if .mac then " " + .mac else "" end)"' "$TMP/json" | paste -sd,)"
same "each has the time" true "$(jq -s --argjson now "$EPOCHSECONDS" \
	'all(.time > $now - 300 and .time < $now + 5)' "$TMP/json")"

echo "-- a monitor that does not read"
bg node "$BUILD/podswitchctl" monitor >"$TMP/slow"
SLOW_ONE=$!
poll 5 heard "$TMP/slow" || die "podswitchctl monitor says nothing"
kill -STOP $SLOW_ONE
ctl gateway add m --vni 42 --remote 10.0.1.2
for setting in {1..250}{false,true}; do
	echo '{"jsonrpc":"2.0","id":1,"method":"gateway.set","params":{"name":"m","isolate":'"${setting#[0-9]*[0-9]}"'}}'
done | sed -E 's/:[0-9]+(true|false)/:\1/' >"$TMP/requests"
n socat -t5 - "UNIX:$PODSWITCH_SOCKET" <"$TMP/requests" >"$TMP/answers"
same "hinders nobody else: all requests are answered" 500 "$(grep -c '"result"' "$TMP/answers")"
heard_last() { ctl gateway add last --vni 2 && ctl gateway remove last && says 'gateway.removed last' cat "$TMP/slow"; }
changed() { grep -c 'gateway.changed m' "$1"; }
soon "and another monitor has every event" 501 changed "$TMP/events"
kill -CONT $SLOW_ONE
soon "it gets them once it reads" 500 changed "$TMP/slow"
check "and what comes after" poll 5 heard_last
ctl gateway remove m

for pid in $TEXT $JSON $SLOW_ONE; do
	status=0
	kill "$pid"
	wait "$pid" || status=$?
	same "a monitor that is stopped ends with status 0" 0 $status
done

finish
