#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""forbid.py - runs a command under a seccomp filter that answers one system call with an errno

    forbid.py SYSCALL_NUMBER[:ARGUMENT=VALUE] ERRNO COMMAND...

With an ARGUMENT (0 is the first), only calls in which that has this VALUE. As container runtimes do: containerd and Docker answer io_uring_setup with EPERM, podman with ENOSYS.
"""
import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, LOAD_SYSCALL, JUMP_IF_EQUAL, RETURN = 0x20, (0x20, 0, 0, 0), 0x15, 0x06
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x00050000, 0x7FFF0000


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def forbid(number, errno, argument=None, value=0):
    rules = [(RETURN, 0, 0, SECCOMP_RET_ERRNO | errno), (RETURN, 0, 0, SECCOMP_RET_ALLOW)]
    if argument is not None:  # the lower half of args[argument] in struct seccomp_data
        rules = [(LOAD, 0, 0, 16 + 8 * argument), (JUMP_IF_EQUAL, 0, 1, value)] + rules
    rules = [LOAD_SYSCALL, (JUMP_IF_EQUAL, 0, len(rules) - 1, number)] + rules
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
    libc = ctypes.CDLL(None, use_errno=True)
    program = Program(len(rules), ctypes.addressof(code))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
            libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)):
        sys.exit(f"forbid: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    call, _, condition = sys.argv[1].partition(":")
    forbid(int(call), int(sys.argv[2]), *map(int, condition.split("=") if condition else ()))
    os.execv(sys.argv[3], sys.argv[3:])
