#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh - all network scenarios, or those whose names contain one of the arguments
#
#   tests/netns/run.sh            everything
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
CHILD=
trap 'rm -f "$TALLY"' EXIT
# A signal reaches the scenario too; it cleans up before we go.
trap '[ -z "$CHILD" ] || { kill "$CHILD" && wait "$CHILD"; } 2>/dev/null || true; exit 130' INT TERM

[ "$(id -u)" = 0 ] || die "network namespaces need root: run this with sudo"
for tool in bridge busybox curl dnsmasq ethtool ip jq nft nstat ping pkill ps /usr/bin/python3 socat ss sysctl tshark; do
	command -v $tool >/dev/null || die "$tool is not installed: run make deps"
done
[ -c /dev/net/tun ] || die "/dev/net/tun is missing: load the tun module (modprobe tun), or give the container the device"
unshare -n true 2>/dev/null || die "network namespaces are forbidden here: run this in a privileged container or on the host"

# Those that show in a minute and a half what a backend of the ring can do wrong: without arguments they are run over
# epoll, too.
BY_EPOLL=(10-matrix 40-hostile 60-toobig)

run() { # run NAME...: those whose names contain one of them, or all
	local file name
	for file in "$HERE"/[0-9]*.sh; do
		name=$(basename "$file" .sh)
		selected "$name" "$@" || continue
		"$file" &
		CHILD=$!
		name+=${IO:+ ($IO)}
		wait $CHILD || [ "$(tally failed "$name")" -gt 0 ] || echo "failed $name" >>"$TALLY" # killed, say
		CHILD=
	done
}

run "$@"
[ $# -gt 0 ] || [ -n "${IO:-}" ] || IO=epoll run "${BY_EPOLL[@]}"
echo "$(tally passed) passed, $(tally failed) failed"
[ "$(tally failed)" = 0 ] && [ "$(tally passed)" -gt 0 ]
