#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kernels.sh - the tests that depend on the kernel, under other kernels of Debian's
#
#   tests/kernels.sh RELEASE...     bookworm (6.1), trixie (6.12), sid (the newest)
#
# With MAY_LACK=yes a kernel that does not start is no failure. ONLY names other scenarios than those below. BUILD is the
# folder with the programs and the unit tests; SLOW is 4 unless it is set.
#
# Debian's user-mode-linux is a kernel that runs as an ordinary process: it needs no virtualization. It has one processor,
# so nothing is learned about workers that run at the same time.
#
#   /, read-only ------------------ hostfs --.
#   memory ------------------------ tmpfs ----> overlay: the root of the tests; what they write is gone at the end
#   build/kernels/RELEASE: the kernel, the C library that it was built with, its modules ---> /lib/modules
#
# The kernel has mounts and process ids of its own, which end with the first process in them: nothing of it is left.
set -eu -o pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
SOURCE=$(dirname "$HERE")
SCENARIO=kernels
SLOW=${SLOW:-4}
. "$HERE/checks.sh"
LIMIT=${LIMIT:-7200} # seconds after which a kernel is taken to hang

# What a kernel decides: what its TAPs, sockets and rings take, and what podswitchd does without it. Not what needs a
# second processor to be in time (76-takeover, 95-fairness).
UNITS=(ring tap underlay underlay_tap uring late_close pod_survey)
SCENARIOS=(
	10-matrix    # each underlay, with offloads of the devices and without
	20-gateways  # two workers, moves between namespaces
	60-toobig    # what a path that takes less says to a socket
	77-forbidden # io_uring and epoll
	90-offloads  # each offload of ours off alone, and all; wires that cut
	91-refused   # trains that are refused, also from the first datagram on
)
# Those that need a packet filter, as the unit test "primary" does.
FILTERED=(27-silence 66-mss 67-overruns 92-underlay-tap 93-probe 96-exclusive 96-inbound 96-names 96-way-out 98-gateway)

# ---- outside --------------------------------------------------------------------------------------------------------

get() { # get FOLDER RELEASE: its kernel, in a tree that it can be started in
	[ ! -e "$1/modules" ] || return 0
	rm -rf "$1"
	"$HERE/unpacked.sh" "$1" "$2" user-mode-linux
	mkdir -p "$1"/{dev,host,proc,tmp,modules.new/lib}
	mv "$1/usr/lib/uml/modules" "$1/modules.new/lib/"
	depmod -b "$1/modules.new" "$(ls "$1/modules.new/lib/modules")"
	mv "$1/modules.new" "$1/modules"
}

boot() { # boot FOLDER: the tests' words go to descriptor 3, the kernel's own to a file
	# shellcheck disable=SC2016 # for the inner shell
	exec unshare --mount --propagation private --pid --fork --kill-child timeout -k 9 "$LIMIT" bash -euc '
		cd "$1"
		mount --rbind / host
		mount --rbind /proc proc
		mount --rbind /dev dev
		mount -t tmpfs -o mode=1777 tmpfs tmp
		exec env -i TMPDIR=/tmp PATH="$PATH" chroot . ./usr/bin/linux.uml uml_dir=/tmp mem=2G root=none rootfstype=hostfs rootflags=/host ro \
			con=null con0=null,fd:1 con1=null,fd:3 quiet "init=$2/kernels.sh" -- --inside "$1" "$3"
	' boot "$1" "$HERE" "$TMP" 3>&1 </dev/null >"$TMP/log" 2>&1
}

try() { # try RELEASE: what is selected, under its kernel; a line about it for the end
	local folder=$SOURCE/build/kernels/$1 status='FAILED: the kernel did not reach the end'
	get "$folder" "$1"
	rm -f "$TMP/begun" "$TMP/status"
	boot "$folder" &
	RUNNING=$!
	wait $RUNNING || true
	RUNNING=
	if [ -e "$TMP/status" ]; then status=$(cat "$TMP/status"); else sed '/^CPU: /,$d' "$TMP/log" | tail -n 20; fi
	RESULTS+=("Linux $(ls "$folder/modules/lib/modules") ($1): $status")
	if [ -n "${MAY_LACK:-}" ] && [ ! -e "$TMP/begun" ]; then
		RESULTS[-1]="Linux ($1): left out, as it does not start on this machine"
	elif [ "$status" != passed ]; then
		FAILED=yes
	fi
}

cleanup() {
	trap '' INT TERM HUP PIPE
	[ -z "$RUNNING" ] || { kill -KILL "$RUNNING" && wait "$RUNNING"; } 2>/dev/null || true
	rm -rf "$TMP"
}

programs() { # the unit tests
	local name
	for name in $UNIT; do echo "$BUILD/tests/unit/test_$name"; done
}

settings() { # for the tests, which get no environment from us but a file
	export DEPS=skip BUILD SLOW ONLY UNIT
	declare -px BUILD DEPS IO JOBS ONLY SLOW UNIT 2>/dev/null || true
}

outside() {
	cd "$SOURCE"
	TMP=$(mktemp -d /tmp/podswitch-kernels.XXXXXX)
	RUNNING='' FAILED='' RESULTS=()
	BUILD=${BUILD:-build} ONLY=${ONLY-${SCENARIOS[*]}} UNIT=${UNIT-${UNITS[*]}}
	on_exit cleanup
	# shellcheck disable=SC2046 # several words
	make --no-print-directory -j"$(nproc)" "BUILD=$BUILD" all $(programs)
	settings >"$TMP/settings"
	for release; do try "$release"; done
	printf '%s\n' "${RESULTS[@]}"
	[ -z "$FAILED" ]
}

# ---- inside ---------------------------------------------------------------------------------------------------------

root() { # root FOLDER: makes the root of the tests, and makes it the root
	mount -t proc proc /proc
	modprobe -d "$1/modules" overlay
	mount -t tmpfs tmpfs /mnt
	mkdir /mnt/upper /mnt/work /mnt/root
	mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
	cd /mnt/root
	mkdir -p lib/modules
	mount --bind "$1/modules/lib/modules" lib/modules
	mount -t proc proc proc
	mount -t sysfs sysfs sys
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	mount -t devtmpfs devtmpfs dev
	mount -t tmpfs tmpfs run
	mkdir -p dev/pts dev/shm run/old
	mount -t devpts devpts dev/pts
	mount -t tmpfs tmpfs dev/shm
	ln -sfn /proc/self/fd dev/fd
	pivot_root . run/old
}

left_out() { # left_out REASON SCENARIO...
	note "left out, as $1: ${*:2}"
	ONLY+=" $(printf -- '-%s ' "${@:2}")"
}

tests() { # those that were selected; the last line says how they went
	local failed=''
	cd "$SOURCE"
	unshare --net nft add table inet t 2>/dev/null ||
		left_out "Debian builds this kernel's nf_tables without NF_TABLES_INET" "${FILTERED[@]}" primary
	# shellcheck disable=SC2046,SC2086 # several words
	{
		[ -z "$UNIT" ] || tests/unit.sh $(programs) || failed+=' unit'
		tests/netns/run.sh $ONLY || failed+=' network'
	}
	failed=${failed:+FAILED:$failed tests}
	echo "${failed:-passed}" >/run/outside/status
}

inside() { # inside FOLDER TMP: as process 1, which must not end before the kernel does
	export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	root "$1"
	mkdir run/outside
	mount -t hostfs -o "/host$2" hostfs /run/outside
	: >/run/outside/begun
	modprobe tun
	[ -e /proc/sys/net/ipv6 ] || modprobe ipv6 # it is a part of Linux 7
	ip link set lo up
	# shellcheck source=/dev/null
	. /run/outside/settings
	stty -F /dev/tty1 -opost
	setsid "$HERE/kernels.sh" --tests </dev/null 2>&1 | cat >/dev/tty1 || true
	echo o >/proc/sysrq-trigger
	sleep 60
}

case ${1:-} in
--inside) inside "$2" "$3" ;;
--tests) tests ;;
*) outside "$@" ;;
esac
