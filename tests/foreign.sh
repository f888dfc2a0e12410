#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# foreign.sh - the unit tests on a processor of another kind, and the demo under its kernels
#
#   tests/foreign.sh arm64|s390x [STEP...]     user, or the name of a kernel below; all of them unless one is named
#
# All of it is emulated, so SLOW is 20 unless it is set. s390x has the other byte order; arm64 has kernels with larger
# pages, and a char without a sign. UNIT='ring tap' names other unit tests than all.
#
#   build/foreign/ARCH/root      Debian 12's libraries and tools of that architecture: what is linked against
#                      build     our programs and tests, by a cross compiler
#                      prefix    where qemu-user finds the libraries; all else is this machine's: its kernel, its tools
#                      4k ...    a kernel of Debian's, for QEMU's machine. Its root is in memory: nothing is mounted here.
set -eu -o pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
SOURCE=$(dirname "$HERE")
SCENARIO=foreign
export SLOW=${SLOW:-20}
. "$HERE/checks.sh"
LIMIT=${LIMIT:-3000} # seconds after which a machine is taken to hang

# What qemu-user cannot do, so what is left out there: a unit test, or one case of it. All of these run under the kernels.
LEFT_OUT=(
	'tap: no ioctl NS_GET_NSTYPE, which tells network namespaces from others'
	'gateway_client: no ioctl NS_GET_NSTYPE'
	'primary: no rules over netlink (RTM_GETRULE)'
	'uring: no io_uring'
	'call_filter/test_plain: no seccomp'
	'call_filter/test_code: no seccomp'
	'call_filter/test_podswitchd: no seccomp'
	'ring/without_io_uring_the_choice_is_epoll: no seccomp, which the test forbids calls with'
	'underlay/test_sockets: no setsockopt IPV6_DONTFRAG'
	'underlay/test_too_big: no getsockopt IP_MTU'
	'underlay/test_path_mtu: no getsockopt IP_MTU'
	'underlay/test_path_floor: no getsockopt IP_MTU'
	'underlay/test_path_source: no getsockopt IP_MTU'
)

DEVELOPMENT=libc6-dev,liburing-dev,libnl-3-dev,libnl-route-3-dev,libjansson-dev,libxxhash-dev,libnftables-dev,libseccomp-dev
DEVELOPMENT+=,libcurl4-openssl-dev,libmicrohttpd-dev,libgnutls28-dev,libcmocka-dev
TOOLS=bash,dash,coreutils,diffutils,util-linux,mount,grep,sed,mawk,findutils,hostname,procps,kmod,libc-bin,netbase
TOOLS+=,iproute2,iputils-ping,ethtool,socat,jq,curl,python3,nftables,dnsmasq-base,openssl

describe() { # describe ARCH: sets what depends on it; a kernel is NAME RELEASE PACKAGE PAGE-SIZE
	case $1 in
	arm64)
		TRIPLE=aarch64-linux-gnu USER_MODE=qemu-aarch64-static
		KERNELS=('4k bookworm linux-image-cloud-arm64 4096' '16k bookworm-backports linux-image-arm64-16k 16384')
		MACHINE=(qemu-system-aarch64 -machine virt -cpu 'max,pauth-impdef=on') CONSOLE=ttyAMA0
		;;
	s390x)
		TRIPLE=s390x-linux-gnu USER_MODE=qemu-s390x-static
		KERNELS=('big-endian bookworm linux-image-s390x 4096')
		MACHINE=(qemu-system-s390x -machine s390-ccw-virtio -cpu max) CONSOLE=ttysclp0
		LEFT_OUT+=('ring/a_train_arrives_with_its_size_tos_and_source: UDP_SEGMENT in the byte order of this machine')
		;;
	*) die "no such architecture: $1" ;;
	esac
	ARCH=$1 FOLDER=$SOURCE/build/foreign/$1
}

left_out() { # left_out TEST: whether it is; a case is TEST/CASE
	printf '%s\n' "${LEFT_OUT[@]}" | grep -q "^$1:"
}

# ---- building -------------------------------------------------------------------------------------------------------

build() {
	local root=$FOLDER/root name programs=()
	"$HERE/unpacked.sh" "$root" bookworm "$DEVELOPMENT,$TOOLS" "--architectures=$ARCH"
	mkdir -p "$FOLDER/prefix"
	ln -sfn "$root/usr/lib" "$FOLDER/prefix/lib"
	for name in $UNIT; do programs+=("$FOLDER/build/tests/unit/test_$name"); done
	PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$root/usr/lib/$TRIPLE/pkgconfig \
		make -s --no-print-directory -j"$(nproc)" "CC=$TRIPLE-gcc --sysroot=$root" "AR=$TRIPLE-ar" \
		"BUILD=$FOLDER/build" all "${programs[@]}"
}

# ---- under qemu-user ------------------------------------------------------------------------------------------------

user() { # user TEST: its exit status is 0 when no case has failed but those that are left out
	local output=$TMP/$1.output failed status=0
	# A filter of system calls is what qemu-user cannot set up; test_call_filter is about it.
	PODSWITCH_SECCOMP=off timeout -k 9 "$LIMIT" "$USER_MODE" -L "$FOLDER/prefix" "$FOLDER/build/tests/unit/test_$1" \
		>"$output" 2>&1 || status=$?
	cat "$output"
	[ $status != 0 ] || return 0
	# Each group has come to its end.
	[ "$(grep -c ' Running [0-9]* test' "$output")" = "$(grep -c 'test(s) run\.' "$output")" ] || return $status
	failed=$(sed -n 's/^\[  \(FAILED\|ERROR \)  \] \([a-z0-9_]*\)$/\2/p' "$output" | sort -u)
	[ -n "$failed" ] || return $status
	for name in $failed; do left_out "$1/$name" || return $status; done
}

under_user() {
	local name programs=()
	mkdir "$TMP/run"
	printf 'left out under qemu-user: %s\n' "${LEFT_OUT[@]}"
	for name in $UNIT; do
		! left_out "$name" || continue
		printf '#!/bin/bash\nexec "%s/foreign.sh" --user %s "%s" %s\n' "$HERE" "$ARCH" "$TMP" "$name" >"$TMP/run/test_$name"
		chmod +x "$TMP/run/test_$name"
		programs+=("$TMP/run/test_$name")
	done
	[ ${#programs[@]} = 0 ] || "$HERE/unit.sh" "${programs[@]}"
}

# ---- under a kernel, outside ----------------------------------------------------------------------------------------

archive() { # archive FOLDER FIND-ARGUMENT...: what is found there, as a kernel unpacks it
	(cd "$1" && find . "${@:2}" -print0 | cpio --quiet -0 -o -H newc -R 0:0)
}

get() { # get FOLDER RELEASE PACKAGE: `linux`, and `modules`, an archive
	local tree=$1.tree new=$1.new modules version name
	[ ! -e "$1" ] || return 0
	rm -rf "$new" "$tree"
	"$HERE/unpacked.sh" "$tree" "$2" "$3" "--architectures=$ARCH"
	version=$(ls "$tree/usr/lib/modules")
	modules=usr/lib/modules/$version
	mkdir -p "$new/$modules/kernel"
	mv "$tree/boot/vmlinuz-$version" "$new/linux"
	for name in modules.order modules.builtin modules.builtin.modinfo kernel/{arch,crypto,lib,net,drivers/net}; do
		mkdir -p "$(dirname "$new/$modules/$name")"
		[ ! -e "$tree/$modules/$name" ] || mv "$tree/$modules/$name" "$new/$modules/$name"
	done
	ln -s usr/lib "$new/lib"
	depmod -b "$new" "$version"
	archive "$new/" -path './usr*' >"$new/modules"
	rm -rf "${new:?}"/{usr,lib} "$tree"
	mv "$new" "$1"
}

pack() { # pack FOLDER: the root of the tests, one archive after the other
	local top=$TMP/top name
	rm -rf "$top"
	mkdir -p "$top/podswitch/build/tests/unit" "$top/etc" "$top/usr/bin" "$top/mnt"
	cp -r "$HERE" "$SOURCE/deploy" "$top/podswitch/"
	cp "$TMP/settings" "$FOLDER/build"/podswitch{d,ctl} "$top/podswitch/build/"
	for name in $UNIT; do
		! left_out "$name\(/.*\)\?" || cp "$FOLDER/build/tests/unit/test_$name" "$top/podswitch/build/tests/unit/"
	done
	ln -s mawk "$top/usr/bin/awk"
	printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n' >"$top/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$top/etc/group"
	archive "$FOLDER/root" \( -path ./usr/include -o -path ./usr/share -o -name '*.a' \) -prune -o
	cat "$1/modules"
	archive "$top"
}

under() { # under NAME RELEASE PACKAGE PAGE-SIZE: a line about it for the end
	local status
	get "$FOLDER/$1" "$2" "$3"
	pack "$FOLDER/$1" >"$TMP/initrd"
	: >"$TMP/console"
	timeout -k 9 "$LIMIT" "${MACHINE[@]}" -accel tcg,thread=multi -smp 2 -m 2G -nodefaults -display none -no-reboot \
		-serial stdio -kernel "$FOLDER/$1/linux" -initrd "$TMP/initrd" \
		-append "console=$CONSOLE quiet loglevel=1 panic=-1 rdinit=/podswitch/tests/foreign.sh -- --inside $4" \
		</dev/null >"$TMP/console" 2>&1 &
	RUNNING=$!
	tail -n +1 -f --pid=$RUNNING "$TMP/console" | sed -u -n 's|\r$||; /^foreign: pages of /,$p' &
	wait $RUNNING || true
	RUNNING=
	wait # for what shows its words
	status=$(tr -d '\r' <"$TMP/console" | sed -n 's/^foreign: this kernel: //p' | tail -n 1)
	grep -q '^foreign: pages of ' "$TMP/console" || tail -n 20 "$TMP/console"
	report "$ARCH, Debian's $3" "${status:-FAILED: the machine did not reach the end}"
}

report() { # report WHAT passed|WHY-NOT
	RESULTS+=("$1: $2")
	[ "$2" = passed ] || FAILED=yes
}

cleanup() {
	trap '' INT TERM HUP PIPE
	[ -z "$RUNNING" ] || { kill "$RUNNING" && wait "$RUNNING"; } 2>/dev/null || true
	rm -rf "$TMP"
}

outside() { # outside ARCH [STEP...]
	local kernel status
	describe "$1"
	shift
	cd "$SOURCE"
	TMP=$(mktemp -d /tmp/podswitch-foreign.XXXXXX)
	RUNNING='' FAILED='' RESULTS=()
	on_exit cleanup
	UNIT=${UNIT-$(basename -s .c -a tests/unit/test_*.c | sed 's/^test_//' | tr '\n' ' ')}
	export DEPS=skip BUILD=/podswitch/build UNIT
	declare -px DEPS BUILD SLOW >"$TMP/settings"
	build
	if selected user "$@"; then
		status=passed
		under_user || status='FAILED: unit tests'
		report "$ARCH, qemu-user" "$status"
	fi
	for kernel in "${KERNELS[@]}"; do
		# shellcheck disable=SC2086 # four words
		! selected "${kernel%% *}" "$@" || under $kernel
	done
	printf '%s\n' "${RESULTS[@]}"
	[ -z "$FAILED" ]
}

# ---- under a kernel, inside -----------------------------------------------------------------------------------------

tests() { # tests PAGE-SIZE: the demo, and the unit tests that are here
	local failed=''
	cd "$SOURCE"
	echo "foreign: pages of $(getconf PAGESIZE) bytes, Linux $(uname -r), $(uname -m)"
	[ "$(getconf PAGESIZE)" = "$1" ] || failed+=" size-of-pages"
	tests/demo.sh || failed+=' demo'
	tests/unit.sh build/tests/unit/test_* || failed+=' unit'
	echo "foreign: this kernel: ${failed:+FAILED:}${failed:-passed}"
}

inside() { # inside PAGE-SIZE: as process 1
	export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	mount -t devtmpfs devtmpfs /dev
	mount -t tmpfs tmpfs /run
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mkdir -p /dev/pts /dev/shm
	mount -t devpts devpts /dev/pts
	mount -t tmpfs tmpfs /dev/shm
	ln -sfn /proc/self/fd /dev/fd
	modprobe -a tun
	ip link set lo up
	# shellcheck source=/dev/null
	. "$SOURCE/build/settings"
	setsid "$HERE/foreign.sh" --tests "$1" </dev/null 2>&1 | cat || true
	echo o >/proc/sysrq-trigger
	sleep 10
	echo b >/proc/sysrq-trigger # a machine that cannot be switched off ends when it starts anew
	sleep 60
}

case ${1:-} in
--user)
	describe "$2"
	TMP=$3
	user "$4"
	;;
--inside) inside "$2" ;;
--tests) tests "$2" ;;
*) outside "$@" ;;
esac
