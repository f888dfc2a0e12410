#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 95-fairness.sh - a pod that floods does not starve another of the same worker
#
# pod1 sends all it can meanwhile: small datagrams, then super-frames. pod2, on the same worker and the same
# gateway, is answered all the while. The bounds are wide, as the ends share this machine's processors with the flood;
# a worker that read one TAP until it is empty would answer nobody before the flood ends.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

FLOOD=$((10 * SLOW)) # seconds, or until the other has its answers
LONGEST=500          # milliseconds that an answer may take

build gwa pod1 pod2
daemon -w 1
FDS=$(descriptors)
far gwa

flood() { # flood BYTES SEGMENT: pod1, to a port of the gateway that nobody listens on; SEGMENT cuts, 0: it does not
	bg pod1 "$PYTHON" -c '
import socket, struct, sys, time
size, segment, seconds = map(int, sys.argv[1:])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if segment:
    sock.setsockopt(17, 103, segment)  # UDP_SEGMENT
end = time.monotonic() + seconds
while time.monotonic() < end:
    for _ in range(64):
        try:
            sock.sendto(bytes(size), ("172.16.0.1", 9))
        except OSError:
            pass  # refused, as nobody listens
' "$1" "$2" "$FLOOD"
	FLOODER=$!
}
frames_of() { counters pod1 | cut -d' ' -f1; }
flows() { [ "$(frames_of)" -gt $((BEFORE + 1000)) ]; }

in_time() { awk -F/ -v most=$((LONGEST * SLOW)) '{ print } /^rtt/ { well = $6 <= most } END { exit !well }' "$TMP/ping"; }

answered() { # answered WHAT BYTES SEGMENT
	BEFORE=$(frames_of)
	flood "$2" "$3"
	check "$1: the flood has begun" poll 5 flows
	q ping -c40 -i0.05 -W$((2 * SLOW)) 172.16.0.1 >"$TMP/ping" 2>&1 || true
	check "$1: it was not over before" kill -0 "$FLOODER"
	check "$1: the other pod lost nothing" says "40 received, 0% packet loss" cat "$TMP/ping"
	check "$1: no answer took over $LONGEST ms" in_time
	quit "$FLOODER"
}

# pod1's TAP is full, and what does not fit is its own kernel's to drop.
for tap in off on; do
	[ $tap = off ] || { check "podswitchd ends" stop && daemon -w 1 --underlay-tap on && FDS=$(descriptors); }
	gateway a 1 --underlay host
	port 1 a
	port 2 a
	p ping -q -c1 -W3 172.16.0.1 >/dev/null || miss "no way to the gateway"
	answered "underlay-tap $tap, small datagrams" 18 0
	answered "underlay-tap $tap, super-frames" 55000 1100
	ctl port remove pod1
	ctl port remove pod2
	ctl gateway remove a
done

finish
