#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 71-detach.sh - many ports that go at once: the kernel takes 20 ms and more for each TAP, and nobody waits for that
#
#   s0: vx0 vx8 ... --.
#   s1: vx1 vx9 ... ---+-- podswitchd
#   ...              --'
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

SPACES=8 PORTS=160 ONE_BY_ONE=20

build gwa
for ((i = 0; i < SPACES; i++)); do space "s$i"; done
daemon -w 1
gateway a 1 --underlay host

churn() { timeout $((60 * SLOW)) "$PYTHON" "$HERE/churn.py" "$PODSWITCH_SOCKET" a "$P-s" $SPACES $PORTS "$1"; }
taps() { # all that there are, one a line
	local i
	for ((i = 0; i < SPACES; i++)); do ip -n "$P-s$i" -o link show type tun; done |
		sed -n 's/^[0-9]*: \(vx[0-9]*\):.*/\1/p' | sort
}
kept() { find "$TMP/state/ports" -name '*.json' -printf '%f\n' | sed 's/^p\(.*\)\.json$/vx\1/' | sort; }

one_by_one() { # what the kernel takes for a TAP when it deletes one after the other, us
	local i began
	for ((i = 0; i < ONE_BY_ONE; i++)); do echo "tuntap add alone$i mode tap"; done | ip -n "$P-s0" -batch -
	began=${EPOCHREALTIME/./}
	for ((i = 0; i < ONE_BY_ONE; i++)); do echo "link del alone$i"; done | ip -n "$P-s0" -batch -
	echo $(((${EPOCHREALTIME/./} - began) / ONE_BY_ONE))
}
quick() { [ $((each * 3)) -lt $((alone * 2 * SLOW)) ]; }
# Who asks something waits for one removal of each of 16 clients, and those for the lock of rtnetlink.
prompt() { [ "$status" -lt $((alone * 12 * SLOW)) ]; }

# The kernel's waits take no processor, and podswitchd has to get one: on a busy machine, the best of three rounds.
echo "-- as fast as the kernel lets them"
for round in 1 2 3; do
	alone=$(one_by_one)
	check "round $round: $PORTS ports are added" churn add
	same "each with its TAP" $PORTS "$(taps | wc -l)"
	read -r each status <<<"$(churn remove)"
	same "when they have been removed, there is none" "" "$(taps)"
	if quick && prompt; then break; fi
done
check "one took $each us, less than two thirds of what the kernel takes for one TAP after the other ($alone us)" quick
check "meanwhile, the status took $status us, as long as 12 TAPs at most" prompt
before=$(descriptors)

echo "-- a port that comes back while it goes"
check "is added when the old TAP is gone, and never refused" churn again
same "once" vx0 "$(taps)"
ctl port remove p0
soon "descriptors are back to what they were" "$before" descriptors

echo "-- an end while they go"
check "$PORTS ports" churn add
check "are about to be removed" churn leave
check "SIGTERM ends podswitchd with status 0" stop
same "what it has not removed is all that it has left" "$(kept)" "$(taps)"
daemon -w 1
check "the next one takes that up" churn add
same "and makes the rest" $PORTS "$(taps | wc -l)"

echo "-- a takeover while they go"
old=$DAEMON
churn leave
daemon -w 1 --takeover
poll 10 serves "$DAEMON" || die "the new one does not answer: $(tail -n 5 "$LOG")"
check "the new one can add them at once" churn add
same "each with its TAP" $PORTS "$(taps | wc -l)"
churn remove >/dev/null
REMOVED=yes
check "the old one has ended with status 0" wait "$old"
same "and removes them" "" "$(taps)"

finish
