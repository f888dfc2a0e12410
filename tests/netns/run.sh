#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh - all network scenarios, or those whose names contain one of the arguments
#
#   tests/netns/run.sh            everything
#   JOBS=1 tests/netns/run.sh     one at a time, and what it says at once
#   tests/netns/run.sh ecn table  the scenarios with "ecn" or "table" in their names
#
# BUILD is the folder of podswitchd and podswitchctl, SLOW multiplies every deadline (sanitizers, slow machines). With
# IO=epoll or IO=uring podswitchd reads and writes in that way, else as it chooses.
set -eu
HERE=$(cd "$(dirname "$0")" && pwd)
SCENARIO='network tests'
. "$HERE/../checks.sh"
export TALLY
TALLY=$(mktemp)
OUTPUT=$(mktemp -d)
declare -A RUNNING=() # of each process, the scenario's name
trap 'rm -rf "$TALLY" "$OUTPUT"' EXIT
# A signal reaches the scenarios too; they clean up before we go.
trap 'end_all; exit 130' INT TERM
end_all() {
	[ ${#RUNNING[@]} = 0 ] || { kill "${!RUNNING[@]}" && wait "${!RUNNING[@]}"; } 2>/dev/null || true
}

[ "$(id -u)" = 0 ] || die "network namespaces need root: run this with sudo"
for tool in bridge busybox curl dnsmasq ethtool ip jq nft nstat ping pkill ps /usr/bin/python3 socat ss sysctl tshark; do
	command -v $tool >/dev/null || die "$tool is not installed: run make deps"
done
[ -c /dev/net/tun ] || die "/dev/net/tun is missing: load the tun module (modprobe tun), or give the container the device"
unshare -n true 2>/dev/null || die "network namespaces are forbidden here: run this in a privileged container or on the host"

# Those that show in a minute and a half what a backend of the ring can do wrong: without arguments they are run over
# epoll, too.
BY_EPOLL=(10-matrix 40-hostile 60-toobig)

# Scenarios mostly wait, so two of them share a machine with two processors. Each one's words come when it has ended.
JOBS=${JOBS:-2}

start() { # start FILE NAME
	if [ "$JOBS" = 1 ]; then "$1" & else "$1" >"$OUTPUT/$2" 2>&1 & fi
	RUNNING[$!]=$2
}
end_one() { # waits for whichever ends first
	local pid status=0 name
	wait -n -p pid "${!RUNNING[@]}" || status=$?
	name=${RUNNING[$pid]}
	unset "RUNNING[$pid]"
	cat "$OUTPUT/$name" 2>/dev/null || true
	[ $status = 0 ] || [ "$(tally failed "$name")" -gt 0 ] || echo "failed $name" >>"$TALLY" # killed, say
}
run() { # run NAME...: those whose names contain one of them, or all
	local file name
	for file in "$HERE"/[0-9]*.sh; do
		name=$(basename "$file" .sh)
		selected "$name" "$@" || continue
		[ ${#RUNNING[@]} -lt "$JOBS" ] || end_one
		start "$file" "$name${IO:+ ($IO)}"
	done
}

[ $# != 1 ] || JOBS=1
run "$@"
[ $# -gt 0 ] || [ -n "${IO:-}" ] || IO=epoll run "${BY_EPOLL[@]}"
while [ ${#RUNNING[@]} -gt 0 ]; do end_one; done
echo "$(tally passed) passed, $(tally failed) failed"
[ "$(tally failed)" = 0 ] && [ "$(tally passed)" -gt 0 ]
