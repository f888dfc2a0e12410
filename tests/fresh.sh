#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fresh.sh - what README.md tells a newcomer to type, on an empty Debian 12
#
#   tests/fresh.sh                the commands under "Try it", without their sudo
#   tests/fresh.sh COMMAND...     these instead, each one argument
#
# Makes the smallest Debian 12 in a temporary folder and runs the commands there, in a copy of what is committed. It is a
# plain chroot with a /dev, /proc, /sys and /run of its own. Mounts, network namespaces and processes all belong to
# namespaces that end with the first process in them: whatever happens, only the folder is left to remove.
set -eu -o pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
SOURCE=$(dirname "$HERE")
SCENARIO=fresh
. "$HERE/checks.sh"

# ---- outside --------------------------------------------------------------------------------------------------------

readme() { # the commands under "Try it"
	awk '/^## / { here = /^## Try it$/ } here && sub(/^sudo /, "") { sub(/ *#.*/, ""); print }' "$SOURCE/README.md"
}

debian() { # with this machine's mirrors and its ways to them; and with apt's lists, as on a machine that was just installed
	local mirrors options=()
	mirrors=$("$SOURCE/deploy/mirrors.sh")
	[ -z "$mirrors" ] || options=(-)
	apt-config dump --no-empty --format '%F "%v";%n' Acquire >"$TMP/acquire"
	mmdebstrap --quiet --variant=minbase --skip=cleanup/apt/lists --aptopt="$TMP/acquire" bookworm "$ROOT" "${options[@]}" \
		<<<"$mirrors" >"$TMP/log" 2>&1 || die "mmdebstrap failed: $(tail -n 5 "$TMP/log")"
}

cleanup() {
	trap '' INT TERM HUP PIPE
	[ -z "$INSIDE" ] || { kill -KILL "$INSIDE" && wait "$INSIDE"; } 2>/dev/null || true
	poll 20 rm -rf --one-file-system "$ROOT" || true # the last processes may still be on their way out
	rm -rf "$TMP"
}

outside() {
	TMP=$(mktemp -d "${TMPDIR:-/var/tmp}/podswitch-fresh.XXXXXX")
	ROOT=$TMP/root INSIDE=
	on_exit cleanup
	echo "fresh: making an empty Debian 12"
	debian
	mkdir "$ROOT/podswitch"
	git -c safe.directory='*' -C "$SOURCE" archive HEAD | tar -x -C "$ROOT/podswitch"
	unshare --mount --propagation private --pid --fork --kill-child "$0" --inside "$ROOT" "$@" &
	INSIDE=$!
	wait "$INSIDE"
	INSIDE=
	echo "fresh: all done in $SECONDS s"
}

# ---- inside its namespaces ------------------------------------------------------------------------------------------

mounts() {
	local node
	mount -t proc proc "$ROOT/proc"
	mount -t sysfs sysfs "$ROOT/sys"
	mount -t tmpfs -o mode=755 tmpfs "$ROOT/run"
	mount -t tmpfs -o mode=755 tmpfs "$ROOT/dev"
	mkdir "$ROOT"/dev/{pts,shm,net}
	mount -t devpts -o newinstance,ptmxmode=666 devpts "$ROOT/dev/pts"
	mount -t tmpfs -o mode=1777 tmpfs "$ROOT/dev/shm"
	ln -s pts/ptmx "$ROOT/dev/ptmx"
	ln -s /proc/self/fd "$ROOT/dev/fd"
	for node in null zero full random urandom tty net/tun; do
		[ -c /dev/$node ] || continue
		: >"$ROOT/dev/$node"
		mount --bind /dev/$node "$ROOT/dev/$node"
	done
}

inside() { # inside COMMAND...: nothing of the environment comes along, but the way to the network,
	# the deadlines, and how many jobs make may have at once
	local command name environment=(HOME=/root TERM="${TERM:-dumb}" DEBIAN_FRONTEND=noninteractive
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
	for name in http_proxy https_proxy no_proxy SLOW MAKEFLAGS; do
		[ -z "${!name:-}" ] || environment+=("$name=${!name}")
	done
	mounts
	for command; do
		echo "fresh: \$ $command"
		env -i "${environment[@]}" chroot "$ROOT" env -C /podswitch bash -euc "$command" || die "$command: status $?"
	done
}

[ "$(id -u)" = 0 ] || die "a Debian in a folder needs root: run this with sudo"
if [ "${1:-}" = --inside ]; then
	ROOT=$2
	inside "${@:3}"
	exit
fi
"$HERE/deps.sh" fresh
COMMANDS=("$@")
[ $# -gt 0 ] || mapfile -t COMMANDS < <(readme)
[ ${#COMMANDS[@]} -gt 0 ] || die "README.md has no commands under 'Try it'"
outside "${COMMANDS[@]}"
