#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""steal.py - sets an option on the UDP sockets of another process, to make the kernel refuse what they send

    steal.py PID nocheck on|off    UDP checksums off: Linux then refuses trains (UDP_SEGMENT) with EINVAL, as it does
                                   with EIO where a device lacks checksum offload; single datagrams pass

Only sockets that belong to the network namespace that this is called in; prints how many.
"""
import ctypes
import os
import socket
import sys

SYS_PIDFD_GETFD, SO_NO_CHECK, SO_NETNS_COOKIE, SOL_UDP, UDP_NO_CHECK6_TX = 438, 11, 71, 17, 101


def sockets(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    for name in os.listdir(f"/proc/{pid}/fd"):
        fd = libc.syscall(SYS_PIDFD_GETFD, process, int(name), 0)
        if fd < 0:
            continue
        try:
            sock = socket.socket(fileno=fd)
        except OSError:
            os.close(fd)
            continue
        if sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_DGRAM:
            yield sock


def cookie(sock):
    return sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)


if __name__ == "__main__":
    own = cookie(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    count = 0
    for stolen in sockets(int(sys.argv[1])):
        if cookie(stolen) == own:
            if stolen.family == socket.AF_INET:
                stolen.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, sys.argv[3] == "on")
            else:
                stolen.setsockopt(SOL_UDP, UDP_NO_CHECK6_TX, sys.argv[3] == "on")
            count += 1
    print(count)
