#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""dhcpd.py - a DHCP server that gives what a file says, to everyone: dhcpd.py INTERFACE SERVER FILE

FILE has one line, ADDRESS/LENGTH [ROUTER], and is read anew for every answer. Leases last an hour and are to be renewed
after 2 s. A request for another address than the line's is answered with the line's all the same. Each message is told
on stdout: its type, and the address that it is about.
"""
import ipaddress
import socket
import struct
import sys

NAMES = {1: "DISCOVER", 3: "REQUEST", 4: "DECLINE", 7: "RELEASE"}


def options_of(message):
    found, at = {}, 240
    while at + 1 < len(message) and message[at] != 255:
        if message[at] == 0:
            at += 1
            continue
        found[message[at]] = message[at + 2:at + 2 + message[at + 1]]
        at += 2 + message[at + 1]
    return found


def answer(message, kind, server, offer):
    given = ipaddress.ip_interface(offer[0])
    options = struct.pack("!BBB", 53, 1, kind) + b"\x36\4" + server + b"\x01\4" + given.netmask.packed
    for option, seconds in ((51, 3600), (58, 2), (59, 3000)):
        options += struct.pack("!BBI", option, 4, seconds)
    if len(offer) > 1:
        options += b"\x03\4" + socket.inet_aton(offer[1])
    head = b"\2" + message[1:12] + bytes(4) + given.ip.packed + server + bytes(4) + message[28:44] + bytes(192)
    return (head + b"\x63\x82\x53\x63" + options + b"\xff").ljust(300, b"\0")


def frame_of(reply, mac, server, to):
    """A kernel vxlan device without a remote loses broadcasts, and its kernel has no neighbour yet: so all is written."""
    udp = struct.pack("!HHHH", 67, 68, 8 + len(reply), 0) + reply
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + server + to
    total = sum(struct.unpack("!10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return reply[28:34] + mac + b"\x08\0" + ip[:10] + struct.pack("!H", 0xFFFF ^ total) + ip[12:] + udp


def main():
    interface, server, file = sys.argv[1:]
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((interface, 0))
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    sock.bind(("", 67))
    print("ready", flush=True)
    while True:
        message = sock.recv(2000)
        options = options_of(message)
        kind = options.get(53, b"\0")[0]
        about = options.get(50, message[12:16])
        print(NAMES.get(kind, kind), socket.inet_ntoa(about), flush=True)
        with open(file, encoding="ascii") as lines:
            offer = lines.read().split()
        if kind in (1, 3) and offer:
            reply = answer(message, 2 if kind == 1 else 5, socket.inet_aton(server), offer)
            wire.send(frame_of(reply, wire.getsockname()[4], socket.inet_aton(server), reply[16:20]))


main()
