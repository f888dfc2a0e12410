#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ways.py - tries to send past the TAP, in every way that an unprivileged program or one with raw sockets has

    ways.py DEVICE IPV4-SOURCE IPV6-SOURCE ADDRESS...
    ways.py hold IPV4-SOURCE IPV6-SOURCE ADDRESS...
    ways.py segment IPV4-SOURCE PORT ADDRESS PORT syn|ack

The second form connects by UDP and TCP (port 7000), prints "ready", and sends on these connections once a line comes in.
Each way is tried for each address that fits it; what the kernel refuses is passed over. What leaves is for a capture
to say.
"""
import socket
import struct
import sys

IP_PKTINFO, IPV6_PKTINFO, IP_UNICAST_IF, IPV6_UNICAST_IF = 8, 50, 50, 76
ECHO = b"\x08\x00\xf7\xff\x00\x00\x00\x00"  # an ICMP echo request with its checksum


def plain(sock, where, to):
    sock.sendto(b"x", to)


def bound(sock, where, to):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, where["device"].encode())
    sock.sendto(b"x", to)


def by_source(sock, where, to):
    sock.bind((where[sock.family], 0))
    sock.sendto(b"x", to)


def bound_by_source(sock, where, to):
    sock.bind((where[sock.family], 0))
    bound(sock, where, to)


def by_packet_info(sock, where, to):
    if sock.family == socket.AF_INET:
        info = (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=I4s4s", where["index"], bytes(4), bytes(4)))
    else:
        info = (socket.IPPROTO_IPV6, IPV6_PKTINFO, struct.pack("=16sI", bytes(16), where["index"]))
    sock.sendmsg([b"x"], [info], 0, to)


def by_unicast_if(sock, where, to):
    level, option = (socket.IPPROTO_IP, IP_UNICAST_IF) if sock.family == socket.AF_INET else \
        (socket.IPPROTO_IPV6, IPV6_UNICAST_IF)
    sock.setsockopt(level, option, struct.pack("!I", where["index"]))
    sock.sendto(b"x", to)


def by_multicast_if(sock, where, to):
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4sI", bytes(4), bytes(4), where["index"]))
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, where["index"])
    sock.sendto(b"x", to)


def not_routed(sock, where, to):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
    sock.sendto(b"x", to)


def bound_not_routed(sock, where, to):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
    bound(sock, where, to)


def with_scope(sock, where, to):
    if sock.family == socket.AF_INET6:
        sock.sendto(b"x", (to[0], to[1], 0, where["index"]))


def marked(sock, where, to):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 0x70730000)
    sock.sendto(b"x", to)


def connecting(family, where, to):
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, where["device"].encode())
        sock.connect_ex(to)


def raw(family, where, to):
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else 253
    with socket.socket(family, socket.SOCK_RAW, protocol) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, where["device"].encode())
        sock.sendto(ECHO, (to[0], 0))


def made_by_hand(family, where, to):
    if family != socket.AF_INET:
        return
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(ECHO), 1, 0, 64, 1, 0, socket.inet_aton(where[family]),
                       socket.inet_aton(to[0]))
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, where["device"].encode())
        sock.sendto(head + ECHO, (to[0], 0))


def hold(source4, source6, *addresses):
    """Sockets that were connected, and have found their route, before somebody closes it."""
    socks = []
    for address in addresses:
        family, source = (socket.AF_INET6, source6) if ":" in address else (socket.AF_INET, source4)
        for kind, bind in ((socket.SOCK_STREAM, 0), (socket.SOCK_DGRAM, 0), (socket.SOCK_DGRAM, 1)):
            socks.append(socket.socket(family, kind))
            if bind:
                socks[-1].bind((source, 0))
            socks[-1].connect((address, 7000))
            socks[-1].send(b"x")
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(3):
        for sock in socks:
            try:
                sock.send(b"y")
            except OSError:
                pass


def segment(source, source_port, to, port, flag):
    """One TCP segment without data, made by hand."""
    tcp = struct.pack("!HHIIBBHHH", int(source_port), int(port), 1, 1, 0x50, 2 if flag == "syn" else 0x10, 1000, 0, 0)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, socket.inet_aton(source),
                       socket.inet_aton(to))
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        sock.sendto(head + tcp, (to, 0))


def main():
    if sys.argv[1] == "hold":
        return hold(*sys.argv[2:])
    if sys.argv[1] == "segment":
        return segment(*sys.argv[2:])
    device, source4, source6, *addresses = sys.argv[1:]
    where = {"device": device, "index": socket.if_nametoindex(device), socket.AF_INET: source4,
             socket.AF_INET6: source6}
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for way in (plain, bound, by_source, bound_by_source, by_packet_info, by_unicast_if, by_multicast_if, not_routed,
                    bound_not_routed, with_scope, marked):
            try:
                with socket.socket(family, socket.SOCK_DGRAM) as sock:
                    sock.setblocking(False)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                    way(sock, where, (address, 5353))
            except OSError:
                pass
        for way in (connecting, raw, made_by_hand):
            try:
                way(family, where, (address, 5353))
            except OSError:
                pass


main()
