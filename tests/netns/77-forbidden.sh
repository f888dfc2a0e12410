#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 77-forbidden.sh - where io_uring is forbidden: one line says what forbids it and what to set, and podswitchd ends
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

IO_URING_SETUP=425 EPERM=1 ENOSYS=38

build pod1
forbidden() { # forbidden ERRNO: podswitchd where io_uring_setup answers so
	n "$PYTHON" "$HERE/forbid.py" $IO_URING_SETUP "$1" "$BUILD/podswitchd" -s "$TMP/forbidden.sock" --state-dir "$TMP/forbidden"
}
refused "EPERM, as containerd and Docker have it" "seccomp.*io_uring_setup" forbidden $EPERM
refused "ENOSYS, as podman has it" "io_uring.*seccomp" forbidden $ENOSYS
check "no control socket is left" [ ! -e "$TMP/forbidden.sock" ]
daemon -w 1
FDS=$(descriptors)
finish
