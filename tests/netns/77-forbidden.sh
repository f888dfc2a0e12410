#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 77-forbidden.sh - where io_uring is forbidden, epoll carries the traffic, and one line says what forbids it; --io uring fails
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

IO_URING_SETUP=425 IO_URING_ENTER=426 IO_URING_REGISTER=427 EPERM=1 ENOSYS=38
IO='' # each podswitchd here is told which

build gwa pod1
far gwa

forbid() { # forbid CALL ERRNO: of those podswitchd that daemon starts from now on
	UNDER=("$PYTHON" "$HERE/forbid.py" "$1" "$2")
}
asked_for() { # podswitchd --io uring, under what is forbidden
	n "${UNDER[@]}" "$BUILD/podswitchd" --io uring -s "$TMP/forbidden.sock" --state-dir "$TMP/forbidden"
}
backend() { ctl -j status | jq -r .io.backend; }
why() { ctl -j status | jq -r .io.why; }

attach() {
	gateway a 1 --underlay pod
	port 1 a
}
traffic() {
	local file
	file=$(random_file 4)
	check "ping" p ping -c3 -i0.05 -W3 172.16.0.1
	check "TCP to the gateway" transfer pod1 gwa 172.16.0.1 "$file"
	check "TCP from the gateway" transfer gwa pod1 172.16.0.11 "$file"
	check "UDP trains cut by the pod's kernel" trains pod1 gwa 172.16.0.1
	check "UDP trains cut by the gateway's kernel" trains gwa pod1 172.16.0.11
}
trains() { # trains FROM TO ADDRESS
	local status=0
	bgpkt "$2" "$TMP/echo" echo --port 7
	local echo=$!
	pkt "$1" segments --to "$3" --port 7 || status=$?
	quit $echo
	return $status
}

ticks() { awk '{ print $14 + $15 }' "/proc/$DAEMON/stat"; }
idle_for_a_second() { # uses less than a tenth of it
	local before
	before=$(ticks)
	sleep 1
	[ $(($(ticks) - before)) -lt $(($(getconf CLK_TCK) / 10)) ]
}
idles() { poll 10 idle_for_a_second; }

try() { # try TEXT CALL ERRNO PATTERN
	note "$1"
	forbid "$2" "$3"
	refused "--io uring fails" "$4" asked_for
	check "and leaves no control socket" [ ! -e "$TMP/forbidden.sock" ]
	: >"$LOG"
	daemon -w 2
	same "auto takes epoll" epoll "$(backend)"
	like "status says why" "$4" "$(why)"
	same "and so does the log, once" 1 "$(grep -Ec "epoll is used.*$4" "$LOG")"
	same "no feature is io_uring's" "[false,false,false]" \
		"$(ctl -j status | jq -c '.features | [.io_uring, .read_multishot, .defer_taskrun]')"
}

daemon -w 1
ALLOWED=$(backend) # "uring", but for old kernels and where it is forbidden anyway
like "status names the backend and says why" "^(uring: io_uring works here|epoll: .*io_uring.*)$" "$ALLOWED: $(why)"
check "SIGTERM ends podswitchd" stop
try "EPERM, as containerd and Docker have it" $IO_URING_SETUP $EPERM "seccomp.*io_uring_setup"
attach
traffic
check "SIGTERM ends podswitchd" stop
try "ENOSYS, as podman has it" $IO_URING_SETUP $ENOSYS "io_uring.*seccomp"
check "the pod is served as before" poll 5 p ping -c1 -W1 172.16.0.1
check "SIGTERM ends podswitchd" stop
if [ "$ALLOWED" = uring ]; then
	try "rings may be set up, but not entered" $IO_URING_ENTER $EPERM "seccomp.*io_uring_enter"
	check "SIGTERM ends podswitchd" stop
	try "nor be given buffers" $IO_URING_REGISTER $EPERM "seccomp.*io_uring_register"
	check "SIGTERM ends podswitchd" stop
fi

note "asked for"
UNDER=()
: >"$LOG"
daemon -w 1 --io epoll
ctl port remove pod1
ctl gateway remove a
FDS=$(descriptors)
same "--io epoll is taken where io_uring may be had" "epoll: as --io says" "$(backend): $(why)"
same "nothing is logged about it" 0 "$(grep -c 'epoll is used' "$LOG")"
attach
traffic
check "counters are the TAP's to the byte" poll 3 counters_equal pod1
check "an idle podswitchd sleeps" idles
finish
