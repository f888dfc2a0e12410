#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh - all network scenarios, or those whose names contain one of the arguments
#
#   tests/netns/run.sh            everything
#   tests/netns/run.sh ecn table  the scenarios with "ecn" or "table" in their names
#
# BUILD is the folder of podswitchd and podswitchctl, SLOW multiplies every deadline (sanitizers, slow machines).
set -eu
HERE=$(cd "$(dirname "$0")" && pwd)
export TALLY
TALLY=$(mktemp)
CHILD=
trap 'rm -f "$TALLY"' EXIT
# A signal reaches the scenario too; it cleans up before we go.
trap '[ -z "$CHILD" ] || { kill "$CHILD" && wait "$CHILD"; } 2>/dev/null || true; exit 130' INT TERM

missing() {
	echo "network tests: $1" >&2
	exit 1
}
[ "$(id -u)" = 0 ] || missing "network namespaces need root: run this with sudo"
for tool in ip ping ethtool socat jq curl tshark nft ps ss sysctl /usr/bin/python3; do
	command -v $tool >/dev/null || missing "$tool is not installed: run make deps"
done
[ -c /dev/net/tun ] || missing "/dev/net/tun is missing: load the tun module (modprobe tun), or give the container the device"
unshare -n true 2>/dev/null || missing "network namespaces are forbidden here: run this in a privileged container or on the host"

wanted() { # wanted NAME FILTERS...
	local name=$1 filter
	shift
	[ $# -gt 0 ] || return 0
	for filter; do case $name in *"$filter"*) return 0 ;; esac done
	return 1
}

aborted=0
for scenario in "$HERE"/[0-9]*.sh; do
	wanted "$(basename "$scenario")" "$@" || continue
	before=$(wc -l <"$TALLY")
	"$scenario" &
	CHILD=$!
	wait $CHILD || true
	CHILD=
	[ "$(wc -l <"$TALLY")" -gt "$before" ] || aborted=$((aborted + 1))
done
awk -v aborted=$aborted '{ p += $1; f += $2 } END { f += aborted; printf "%d passed, %d failed\n", p, f; exit f > 0 || p == 0 }' "$TALLY"
