#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# soak.sh - for MINUTES (10): ports that come and go, one that moves, takeovers, kills and traffic; and at the end every
# frame is accounted for, and nothing is left that was not there before
#
#   pod1, steady traffic --.                 .-- gwa
#   pod2, moves            +-- podswitchd ---+
#   c1 ... c8, come and go -'                '-- gwb
#
# A round lasts half a minute and has one kill, at its end, as that is where counters begin anew.
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2119 # daemon takes options, or none
. "$(dirname "$0")/lib.sh"

MINUTES=${MINUTES:-10} RATE=$((2000 / SLOW)) ROUND=30
CHURN=(c1 c2 c3 c4 c5 c6 c7 c8)
export P PODSWITCH_SOCKET BUILD

come_and_go() { # come_and_go NAME FILE: until the file is gone; how often, in the file NAME.count
	local n=0 gateway=a
	while [ -e "$2" ]; do
		gateway=$([ "$gateway" = a ] && echo b || echo a)
		# A request may meet a podswitchd that hands over or was killed. It is the next round's then.
		ctl port add "$1" --gateway "$gateway" --netns "$P-$1" --address "172.16.0.1${1#c}0/24" >/dev/null 2>&1 || true
		ctl port remove "$1" >/dev/null 2>&1 && n=$((n + 1))
		echo $n >"$TMP/$1.count"
	done
	poll 10 gone_or_removed "$1" >/dev/null || true
}
gone_or_removed() { ctl port remove "$1" >/dev/null 2>&1 || ! ctl port show "$1" >/dev/null 2>&1; }
move() { # move FILE: pod2 goes from one gateway to the other, until the file is gone
	local gateway=a
	while [ -e "$1" ]; do
		gateway=$([ "$gateway" = a ] && echo b || echo a)
		ctl port set pod2 --gateway "$gateway" >/dev/null 2>&1 || true
		sleep 0.5
	done
}
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$DAEMON/status"; } # kB
steady() { # what pod1 sends, and what of it arrives; then what became of the rest
	bgpkt gwa "$TMP/tally-pod1" tally --port 9000
	LISTENER=$!
	ns pod1 "$PYTHON" "$HERE/pkt.py" pace --to 172.16.0.1 --port 9000 --rate $RATE --count $((RATE * (ROUND - 10))) >"$TMP/pace-pod1" 2>&1 &
	SENDER=$!
	PIDS+=("$SENDER")
}
of_pod1() { ports '.[] | select(.name == "pod1").counters.drops | [to_entries[] | select(.key != "tap_overrun").value] | add'; }
got() { sed -n 's/^got \([0-9]*\),.*/\1/p' "$TMP/tally-pod1" | awk '{ n += $1 } END { print n + 0 }'; }

one_round() {
	local full drops sent lost left
	full=$(queue_full) drops=$(of_pod1)
	touch "$TMP/churn"
	for name in "${CHURN[@]}"; do
		come_and_go "$name" "$TMP/churn" &
		WORKERS+=($!)
	done
	move "$TMP/churn" &
	WORKERS+=($!)
	steady
	for _ in 1 2 3; do
		sleep 5 # between two takeovers
		successor -w 2
		poll 20 serves "$DAEMON" || die "nobody takes over: $(tail -n 3 "$LOG")"
		wait "$old" || miss "the old one ends with status 0"
	done
	wait "$SENDER" || miss "the sender ends" "$(cat "$TMP/pace-pod1")"
	poll 10 all_arrived pod1 || true
	quit "$LISTENER"
	rm "$TMP/churn"
	wait "${WORKERS[@]}" || true
	WORKERS=()
	sent=$(sed -n 's/^sent \([0-9]*\) .*/\1/p' "$TMP/pace-pod1")
	lost=$((sent - $(got)))
	left=$((lost - ($(queue_full) - full) - ($(of_pod1) - drops)))
	same "round $1: of $sent frames each that did not arrive ($lost) is counted" 0 "$left"
	check "and counters are the TAP's to the byte" poll 5 counters_equal pod1 # from the start of this podswitchd on
}

build gwa gwb pod1 pod2
for name in "${CHURN[@]}"; do space "$name"; done
far gwa
far gwb
WORKERS=() end=$((SECONDS + MINUTES * 60)) round=0 first='' last='' came=0
daemon -w 2
FDS=$(descriptors)
while [ "$SECONDS" -lt "$end" ]; do
	round=$((round + 1))
	gateway a 1
	gateway b 2
	port 2 b
	port 1 a # its interface is made anew, so that the kernel's counters begin with ours
	check "round $round: traffic runs" p ping -c1 -W3 172.16.0.1
	one_round "$round"
	ctl port remove pod1
	check "after a kill" crash
	daemon -w 2
	same "the others are taken up" "pod2 up" "$(ports '.[] | "\(.name) \(.state)"')"
	ctl port remove pod2
	ctl gateway remove a
	ctl gateway remove b
	soon "and go; descriptors are what they were" "$FDS" descriptors
	last=$(resident)
	[ "$round" -ne 2 ] || first=$last
	came=$((came + $(cat "$TMP"/c*.count | awk '{ n += $1 } END { print n }')))
done
echo "  --   $round rounds, $came ports came and went, memory $first kB and $last kB"
[ "$round" -lt 3 ] || check "memory is within 1 % of the second round's, or 256 kB" \
	test $((last - first)) -le $((first / 100 > 256 ? first / 100 : 256))
finish
