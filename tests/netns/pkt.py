#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""pkt.py - makes, sends, receives and shows the packets of the network tests

Crafted frames carry MARK and a label, so that whoever listens knows them from everything else. Tools that listen print
"ready" once they do, then one line for each packet, until they are killed.
"""
import argparse
import hashlib
import os
import random
import select
import signal
import socket
import struct
import sys
import time

MARK = b"podswitch-test "
LOCAL_EXPERIMENT = 0x88B5  # IEEE 802, for tests
FLAG_I = 0x08
UDP_NO_CHECK6_TX = 101
SO_NO_CHECK = 11
UDP_SEGMENT = 103
SO_RCVBUFFORCE = 33  # a window of large datagrams is more than net.core.rmem_max lets in
SOL_PACKET, PACKET_VNET_HDR = 263, 15
NEEDS_CSUM = 1  # virtio_net_hdr
GSO_TCPV4, GSO_UDP, GSO_TCPV6, GSO_UDP_L4 = 1, 3, 4, 5


def say(*words):
    print(*words, flush=True)


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def ones_sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def ethernet(args, label, kind=LOCAL_EXPERIMENT, payload=None, tag=None):
    tags = b"" if tag is None else struct.pack("!HH", tag, 7)
    body = MARK + label.encode() + b"\n" if payload is None else payload
    return (mac(args.dst) + mac(args.src) + tags + struct.pack("!H", kind) + body).ljust(60, b"\0")


def ipv4(label, tos, proto=253):
    body = MARK + label.encode() + b"\n"
    head = struct.pack("!BBHHHBBH4s4s", 0x45, tos, 20 + len(body), 1, 0x4000, 64, proto, 0,
                       socket.inet_aton("172.16.0.1"), socket.inet_aton("172.16.0.11"))
    return head[:10] + struct.pack("!H", 0xFFFF ^ ones_sum(head)) + head[12:] + body


def ipv6(label, tos):
    body = MARK + label.encode() + b"\n"
    return struct.pack("!IHBB", 6 << 28 | tos << 20, len(body), 253, 64) + \
        socket.inet_pton(socket.AF_INET6, "fd42::1") + socket.inet_pton(socket.AF_INET6, "fd42::11") + body


def vxlan(vni, flags=FLAG_I):
    return struct.pack("!BBBBI", flags, 0, 0, 0, vni << 8)


def reserved_bits():
    """The 39 bits of the header that are neither the I flag nor the VNI, counted from the first on the wire."""
    return [bit for bit in range(64) if bit != 4 and not 32 <= bit < 56]


def flip(header, bit):
    return (int.from_bytes(header, "big") ^ 1 << (63 - bit)).to_bytes(8, "big")


def datagrams(args):
    """The datagrams that the words on the command line ask for."""
    good = vxlan(args.vni)
    for word in args.cases:
        name, _, value = word.partition(":")
        if name == "good":
            yield good + ethernet(args, word)
        elif name == "noflag":
            yield vxlan(args.vni, 0) + ethernet(args, word)
        elif name == "reserved":
            for bit in reserved_bits():
                yield flip(good, bit) + ethernet(args, "reserved:%d" % bit)
        elif name == "short":
            yield (good + ethernet(args, word))[:int(value)]
        elif name == "runt":
            yield good + (mac(args.dst) + mac(args.src) + MARK)[:int(value)]
        elif name == "vlan":
            yield good + ethernet(args, word, tag=0x8100)
        elif name == "qinq":
            yield good + ethernet(args, word, tag=0x88A8)
        elif name == "vni":
            yield vxlan(int(value)) + ethernet(args, word)
        elif name == "macs":
            number, _, group = value.partition("/")
            for i in range(int(number)):
                args.src = "06%02x%08x" % (int(group or 0), i)
                yield good + ethernet(args, word)
        elif name == "ecn":
            for inner in range(4):
                for outer in range(4):
                    yield outer, good + ethernet(args, "", 0x0800, ipv4("v4 %d/%d" % (inner, outer), inner))
                    yield outer, good + ethernet(args, "", 0x86DD, ipv6("v6 %d/%d" % (inner, outer), inner))
        else:
            sys.exit("pkt.py: no case " + word)


def underlay_socket(args):
    family = socket.AF_INET6 if ":" in args.to else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if args.source:
        sock.bind((args.source, 0))
    if args.no_checksum:
        sock.setsockopt(*((socket.IPPROTO_UDP, UDP_NO_CHECK6_TX) if family == socket.AF_INET6
                          else (socket.SOL_SOCKET, SO_NO_CHECK)), 1)
    return sock


def set_tos(sock, tos):
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, tos)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)


def strangers(args):
    """Sends one VXLAN datagram each from many addresses, the first of which is given, each with a MAC of its own."""
    first = struct.unpack("!I", socket.inet_aton(args.source))[0]
    for i in range(args.count):
        args.source, args.src = socket.inet_ntoa(struct.pack("!I", first + i)), "0602%08x" % (first + i)
        with underlay_socket(args) as sock:
            sock.sendto(vxlan(args.vni) + ethernet(args, "stranger"), (args.to, args.port))


def inject(args):
    """Sends VXLAN datagrams from the namespace's own address."""
    sock = underlay_socket(args)
    for item in datagrams(args):
        tos, data = item if isinstance(item, tuple) else (0, item)
        set_tos(sock, tos)
        sock.sendto(data, (args.to, args.port))


def noise_datagram(args, rng):
    """Random bytes, but half of them behind a header that is right, so that they reach the inner checks."""
    body = rng.randbytes(rng.randrange(0, 200))
    style = rng.randrange(4)
    if style == 0:
        return body
    if style == 1:
        return struct.pack("!BBBB", rng.choice((0, FLAG_I, rng.randrange(256))), 0, 0, 0) + body
    if style == 2:
        return vxlan(args.vni) + body
    kind = rng.choice((0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8, rng.randrange(65536)))
    return vxlan(args.vni) + mac(args.dst) + mac(args.src) + struct.pack("!H", kind) + \
        rng.choice((b"\x45", b"\x46", b"\x60", b"\x4f", b"")) + body


def noise(args):
    """Sends random datagrams, slowly enough that a receive buffer of ordinary size holds them."""
    rng = random.Random(args.seed)
    sock = underlay_socket(args)
    for i in range(args.count):
        sock.sendto(noise_datagram(args, rng), (args.to, args.port))
        if i % 100 == 99:
            time.sleep(0.002)


def noise_frame(source, rng):
    body = rng.randbytes(rng.randrange(0, 300))
    style = rng.randrange(4)
    if style == 0:
        return rng.randbytes(14) + body
    if style == 1:
        return rng.randbytes(6) + source + rng.randbytes(2) + body
    kind = rng.choice((0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8, 0))
    start = rng.choice((b"\x45\x00", b"\x46\x03", b"\x60\x00", b"\x4f", b""))
    group = rng.choice((b"\xff" * 6, b"\x33\x33\0\0\0\1", b"\1\x80\xc2\0\0\3", b"\2\0\0\0\0\1"))
    return group + source + struct.pack("!H", kind) + start + body


def noise_frames(args):
    """Sends random frames through an interface."""
    rng = random.Random(args.seed)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((args.interface, 0))
    source = sock.getsockname()[4]
    for i in range(args.count):
        try:
            sock.send(noise_frame(source, rng))
        except OSError:  # the queue is full
            time.sleep(0.001)
        if i % 50 == 49:
            time.sleep(0.001)


def frames(args):
    """Sends crafted frames through an interface, as a pod with raw sockets would."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((args.interface, 0))
    args.src = args.src or sock.getsockname()[4].hex()
    for word in args.cases:
        name, _, value = word.partition(":")
        if name == "good":
            sock.send(ethernet(args, word))
        elif name == "vlan":
            sock.send(ethernet(args, word, tag=0x8100))
        elif name == "tos":
            sock.send(ethernet(args, "", 0x0800, ipv4(word, int(value))))
        elif name == "tclass":
            sock.send(ethernet(args, "", 0x86DD, ipv6(word, int(value))))
        else:
            sys.exit("pkt.py: no case " + word)


def label_of(frame):
    at = frame.find(MARK)
    if at < 0:
        return None
    return frame[at + len(MARK):].split(b"\n")[0].decode("ascii", "replace")


def raw_socket(interface):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sock.bind((interface, 0))
    return sock


def sniff(args):
    """Prints each crafted frame that arrives on an interface: label, ECN bits, whether the IPv4 header sum is right."""
    sock = raw_socket(args.interface)
    say("ready")
    while True:
        frame, sender = sock.recvfrom(65536)
        label = label_of(frame)
        if sender[2] == socket.PACKET_OUTGOING or label is None:
            continue
        kind = frame[12:14]
        if kind == b"\x08\x00":
            say(label, "ecn", frame[15] & 3, "sum", "good" if ones_sum(frame[14:34]) == 0xFFFF else "bad")
        elif kind == b"\x86\xdd":
            say(label, "ecn", frame[15] >> 4 & 3, "sum good")
        else:
            say(label)


def outer(frame, port):
    """What an underlay datagram to the port says of itself, or None."""
    if frame[12:14] == b"\x08\x00" and frame[23] == 17:
        at, tos, dont_fragment, ttl = 14 + (frame[14] & 15) * 4, frame[15], frame[20] >> 6 & 1, frame[22]
        source = socket.inet_ntop(socket.AF_INET, frame[26:30])
    elif frame[12:14] == b"\x86\xdd" and frame[20] == 17:
        at, tos, dont_fragment, ttl = 54, (frame[14] << 4 | frame[15] >> 4) & 255, 1, frame[21]
        source = socket.inet_ntop(socket.AF_INET6, frame[22:38])
    else:
        return None
    sport, dport = struct.unpack("!HH", frame[at:at + 4])
    if dport != port:
        return None
    return {"source": source, "sport": sport, "df": dont_fragment, "ecn": tos & 3, "tos": tos, "ttl": ttl,
            "header": frame[at + 8:at + 16].hex(), "inner": frame[at + 16:]}


def destination(frame):
    """Whom a frame is for: the destination of its packet, or whom its ARP request or neighbour solicitation asks for."""
    if frame[12:14] == b"\x08\x00":
        return socket.inet_ntop(socket.AF_INET, frame[30:34])
    if frame[12:14] == b"\x08\x06":
        return socket.inet_ntop(socket.AF_INET, frame[38:42])
    if frame[12:14] == b"\x86\xdd":
        solicitation = frame[20] == socket.IPPROTO_ICMPV6 and frame[54] == 135
        return socket.inet_ntop(socket.AF_INET6, frame[62:78] if solicitation else frame[38:54])
    return None


def toward(args):
    """Prints each packet for one of the addresses that arrives on an interface, and the label of each crafted frame."""
    sock = raw_socket(args.interface)
    say("ready")
    while True:
        frame, sender = sock.recvfrom(65536)
        if sender[2] == socket.PACKET_OUTGOING:
            continue
        if destination(frame) in args.addresses:
            say("to", destination(frame))
        elif label := label_of(frame):
            say(label)


def advertise(args):
    """A router's advertisement to all nodes: a default route, a prefix that is on link, a route (RFC 4861, RFC 4191)."""
    network = socket.inet_pton(socket.AF_INET6, "2001:db8:51::")
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + \
        struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 1800, 1800, 0, network) + \
        struct.pack("!BBBBI16s", 24, 3, 48, 0, 1800, network)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, args.interface.encode())
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sock.sendto(body, ("ff02::1", 0))


def ip_length(frame):
    """What the IP header in a frame says of the packet's length, which for a super-frame is that of all segments."""
    if frame[12:14] == b"\x08\x00":
        return int.from_bytes(frame[16:18], "big")
    if frame[12:14] == b"\x86\xdd":
        return 40 + int.from_bytes(frame[18:20], "big")
    return 0


def watch(args):
    """Prints each VXLAN datagram that arrives on an interface."""
    sock = raw_socket(args.interface)
    say("ready")
    while True:
        frame, sender = sock.recvfrom(65536)
        seen = None if sender[2] == socket.PACKET_OUTGOING and not args.both else outer(frame, args.port)
        if seen is None:
            continue
        inner = seen.pop("inner")
        flow = "-"
        if inner[12:14] == b"\x08\x00" and inner[23] == 17:
            flow = "%d" % struct.unpack("!H", inner[34:36])
        say(*("%s=%s" % item for item in seen.items()), "flow=" + flow, "kind=" + inner[12:14].hex(), "length=%d" % ip_length(inner),
            "label=" + (label_of(inner) or "-"))


def capture(args):
    """Writes what arrives on an interface to a pcap file."""
    sock = raw_socket(args.interface)
    with open(args.file, "wb", buffering=0) as out:
        out.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65536, 1))
        say("ready")
        while True:
            frame, sender = sock.recvfrom(65536)
            if sender[2] != socket.PACKET_OUTGOING:
                now = time.time()
                out.write(struct.pack("=IIII", int(now), int(now % 1 * 1e6), len(frame), len(frame)) + frame)


def flows(args):
    """Sends a few UDP datagrams on each of many flows."""
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(args.count)]
    for i, sock in enumerate(socks):
        sock.bind(("", 20000 + i))
    for _ in range(4):
        for sock in socks:
            sock.sendto(b"flow", (args.to, 9))


def echo(args):
    """Returns every UDP datagram to its sender, IPv4 and IPv6."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    sock.bind(("::", args.port))
    say("ready")
    while True:
        data, sender = sock.recvfrom(65536)
        sock.sendto(data, sender)


def sizes(args):
    """Sends a UDP datagram of every size to an echo, a window of them at a time, and compares what comes back."""
    family = socket.AF_INET6 if ":" in args.to else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    sock.connect((args.to, args.port))
    random.seed(args.seed)
    pool = random.randbytes(args.max + 1)
    outstanding, following, wrong = {}, 0, []
    while following <= args.max or outstanding:
        while following <= args.max and len(outstanding) < 16:
            outstanding[following] = pool[:following]
            sock.send(outstanding[following])
            following += 1
        if not select.select([sock], [], [], 2)[0]:
            sys.exit("lost: sizes %s; wrong: %s" % (sorted(outstanding), wrong))
        data = sock.recv(65536)
        if outstanding.pop(len(data), None) != data:
            wrong.append(len(data))
    if wrong:
        sys.exit("came back different or twice: sizes %s" % wrong)
    say("%d sizes" % (args.max + 1))


def segments(args):
    """Sends a train that the kernel is to cut (UDP_SEGMENT) to an echo, and expects the pieces back, each as it was."""
    family = socket.AF_INET6 if ":" in args.to else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.connect((args.to, args.port))
    sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1200)
    sock.settimeout(3)
    for pieces in (2, 10, 40):
        data = random.randbytes(1200 * pieces + 345)
        wanted = [data[at:at + 1200] for at in range(0, len(data), 1200)]
        sock.send(data)
        got = []
        while len(got) < len(wanted):
            try:
                got.append(sock.recv(65536))
            except socket.timeout:
                break
        if sorted(got) != sorted(wanted):
            sys.exit("sent %s, got %s" % ([len(x) for x in wanted], [len(x) for x in got]))


def exactly(sock, size):
    data = b""
    while len(data) < size:
        chunk = sock.recv(min(size - len(data), 1 << 20))
        if not chunk:
            break
        data += chunk
    return data


def dual_socket(kind, port):
    sock = socket.socket(socket.AF_INET6, kind)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("::", port))
    return sock


def swap(args):
    """Takes streams of TCP, eight bytes of their length first, and returns them as they came."""
    listener = dual_socket(socket.SOCK_STREAM, args.port)
    listener.listen(8)
    say("ready")
    while True:
        sock, _ = listener.accept()
        with sock:
            size, = struct.unpack("!Q", exactly(sock, 8))
            sock.sendall(exactly(sock, size))


def streams(args):
    """Sends a stream to a swap with each MSS, and expects it back."""
    family = socket.AF_INET6 if ":" in args.to else socket.AF_INET
    data = random.Random(args.seed).randbytes(args.bytes)
    for mss in args.mss:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(args.timeout)
            if mss:  # also what the other side is told, and so the size of what comes back
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
            sock.connect((args.to, args.port))
            sock.sendall(struct.pack("!Q", len(data)) + data)
            back = exactly(sock, len(data))
            if hashlib.sha256(back).digest() != hashlib.sha256(data).digest():
                sys.exit("MSS %s: sent %d bytes, got %d others" % (mss, len(data), len(back)))


def pace(args):
    """Sends numbered datagrams of 64 bytes at a steady rate; one that was held up does not make up for it in one burst."""
    with socket.socket(socket.AF_INET6 if ":" in args.to else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect((args.to, args.port))
        sent, began, most = 0, time.monotonic(), args.rate // 500
        while sent < args.count:
            due = int((time.monotonic() - began) * args.rate)
            for _ in range(min(args.count - sent, due - sent, most)):
                sock.send(struct.pack("!Q", sent).ljust(36, b"."))  # 64 bytes with the headers of UDP and IPv4
                sent += 1
            time.sleep(0.001)
    say("sent %d in %.1f s" % (sent, time.monotonic() - began))


def tally(args):
    """Counts what pace sends; once nothing comes for two seconds: how many, and how many came after a later one."""
    with dual_socket(socket.SOCK_DGRAM, args.port) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        say("ready")
        while True:
            sock.settimeout(None)
            seen, late, latest = set(), 0, -1
            try:
                while True:
                    number = struct.unpack_from("!Q", sock.recv(2048))[0]
                    sock.settimeout(2)
                    seen.add(number)
                    late += number < latest
                    latest = max(latest, number)
            except socket.timeout:
                say("got %d, %d late" % (len(seen), late))


def digest_of(datagrams):
    """Of contents, boundaries and order."""
    whole = hashlib.sha256()
    for data in datagrams:
        whole.update(struct.pack("!I", len(data)) + data)
    return "%d %s" % (len(datagrams), whole.hexdigest()[:16])


def collect(args):
    """Takes UDP datagrams until one that says "end", prints a digest of them all, and begins again."""
    sock = dual_socket(socket.SOCK_DGRAM, args.port)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    say("ready")
    while True:
        got = []
        while (data := sock.recv(65536)) != b"end":
            got.append(data)
        say("got", digest_of(got))


def trains(args):
    """Sends trains of odd sizes that the kernel is to cut (UDP_SEGMENT) to a collect, and prints the digest it should."""
    family = socket.AF_INET6 if ":" in args.to else socket.AF_INET
    rng = random.Random(args.seed)
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.connect((args.to, args.port))
    sent = []
    for size in args.sizes:
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
        for pieces in (2, 17, 63):
            data = rng.randbytes(min(size * pieces + rng.randrange(1, size + 1), 65000 // size * size, 64 * size))
            sock.send(data)
            sent += [data[at:at + size] for at in range(0, len(data), size)]
            time.sleep(0.002)
    sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
    sock.send(b"end")
    say("got", digest_of(sent))


def inner(args, version, proto, number, body, checksum=True):
    """The frame of a segment, the number-th of its flow, from the gateway to pod 1."""
    if proto == 17:
        l4 = struct.pack("!HHHH", 7000, args.listener, 8 + len(body), 0) + body
    else:
        l4 = struct.pack("!HHIIBBHHH", 7000, args.listener, 1000 + number * len(body), 1, 0x50, 0x10, 500, 0, 0) + body
    if version == 4:
        addresses = socket.inet_aton("172.16.0.1") + socket.inet_aton("172.16.0.11")
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(l4), 100 + number, 0, 64, proto, 0) + addresses
        head = head[:10] + struct.pack("!H", 0xFFFF ^ ones_sum(head)) + head[12:]
    else:
        addresses = socket.inet_pton(socket.AF_INET6, "fd42::1") + socket.inet_pton(socket.AF_INET6, "fd42::11")
        head = struct.pack("!IHBB", 6 << 28, len(l4), proto, 64) + addresses
    if checksum:
        at = 6 if proto == 17 else 16
        total = 0xFFFF ^ ones_sum(addresses + struct.pack("!HH", proto, len(l4)) + l4)
        l4 = l4[:at] + struct.pack("!H", total or 0xFFFF) + l4[at + 2:]
    return mac(args.dst) + mac(args.src) + struct.pack("!H", 0x0800 if version == 4 else 0x86DD) + head + l4


def flip_bit(frame, at):
    return frame[:at] + bytes([frame[at] ^ 0x10]) + frame[at + 1:]


def damaged(args):
    """Sends one train of 24 segments of a flow: what the cases name is damaged in every fourth. Prints the good ones."""
    sock = underlay_socket(args)
    for case in args.cases:
        version, proto = int(case[1]), 17 if case[2:5] == "udp" else 6
        wrong = case[6:]
        train, good = [], []
        for i in range(24):
            body = b"%-7s %02d " % (case[:7].encode(), i) + bytes(300)
            frame = inner(args, version, proto, i, body, wrong != "none")
            if i % 4 == 2 and wrong in ("payload", "sum", "header"):
                l4 = 34 if version == 4 else 54
                frame = flip_bit(frame, {"payload": len(frame) - 9, "sum": l4 + (6 if proto == 17 else 16),
                                         "header": 24}[wrong])
            else:
                good.append(body)
            train.append(vxlan(args.vni) + frame)
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, len(train[0]))
        sock.sendto(b"".join(train), (args.to, args.port))
        if proto == 17:
            say("got", digest_of(good))
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
        end = inner(args, version, 17, 99, b"end")
        sock.sendto(vxlan(args.vni) + end, (args.to, args.port))


def lies(args):
    """Sends frames behind virtio headers that lie, and says which of them this side's kernel refuses already."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    sock.bind((args.interface, 0))
    args.src, args.listener = sock.getsockname()[4].hex(), 9
    body = bytes(4000)
    for version, tcp, right in (4, 34, GSO_TCPV4), (6, 54, GSO_TCPV6):
        frame, short = inner(args, version, 6, 0, body), inner(args, version, 6, 0, bytes(100))
        udp = inner(args, version, 17, 0, body)
        for name, data, flags, kind, length, size, start, offset in (
                ("start in the Ethernet header", short, NEEDS_CSUM, 0, 0, 0, 0, 12),
                ("start past the end", short, NEEDS_CSUM, 0, 0, 0, 60000, 16),
                ("offset past the end", short, NEEDS_CSUM, 0, 0, 0, tcp, 60000),
                ("offset at the end", short, NEEDS_CSUM, 0, 0, 0, tcp, len(short) - tcp - 1),
                ("start and offset overflow", short, NEEDS_CSUM, 0, 0, 0, 65535, 65535),
                ("size 0", frame, NEEDS_CSUM, right, tcp + 20, 0, tcp, 16),
                ("size 1", frame, NEEDS_CSUM, right, tcp + 20, 1, tcp, 16),
                ("size 8, UDP", udp, NEEDS_CSUM, GSO_UDP_L4, tcp + 8, 8, tcp, 6),
                ("wrong family", frame, NEEDS_CSUM, right ^ 5, tcp + 20, 1000, tcp, 16),
                ("TCP's type on UDP", udp, NEEDS_CSUM, right, tcp + 8, 1000, tcp, 16),
                ("UDP's type on TCP", frame, NEEDS_CSUM, GSO_UDP_L4, tcp + 20, 1000, tcp, 6),
                ("fragmentation of UDP", udp, NEEDS_CSUM, GSO_UDP, tcp + 8, 1000, tcp, 6),
                ("unknown type", frame, NEEDS_CSUM, 0x7F, tcp + 20, 1000, tcp, 16),
                ("headers longer than the frame", frame, NEEDS_CSUM, right, 65535, 1000, tcp, 16),
                ("no checksum to fill in", frame, 0, right, tcp + 20, 1000, 0, 0),
                ("start in the IP header", frame, NEEDS_CSUM, right, tcp + 20, 1000, 20, 16)):
            header = struct.pack("=BBHHHH", flags, kind, length, size, start, offset)
            try:
                sock.send(header + data)
                say("sent:", "IPv%d," % version, name)
            except OSError as error:
                say("refused:", "IPv%d," % version, name + ":", error.strerror)


def slow_send(args):
    """Sends a file over TCP at a steady pace, so that there is time to break something meanwhile; SIGUSR1 ends that time.

    The last piece is held back until then, or for two minutes.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    told = False
    with socket.create_connection((args.to, args.port)) as sock, open(args.file, "rb") as source:
        last = os.fstat(source.fileno()).st_size - 65536
        while chunk := source.read(65536):
            pause = 120 if source.tell() > last else 65536 / args.rate
            told = told or signal.sigtimedwait({signal.SIGUSR1}, pause) is not None
            sock.sendall(chunk)
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(30)
        sock.recv(1)


def in_the_name_of(case, own, mac_of_own, other):
    """One frame of the pod with address `own`. It speaks in the name of `other`, unless `case` begins with "own-"."""
    whose = own if case.startswith("own-") else other
    theirs = mac_of_own if case.startswith("own-") else b"\x02\0\0\0\0\x99"
    v4 = socket.inet_aton("172.16.0." + str(whose))
    v6 = socket.inet_pton(socket.AF_INET6, "fd42::" + str(whose))
    mine4 = socket.inet_aton("172.16.0." + str(own))
    mine6 = socket.inet_pton(socket.AF_INET6, "fd42::" + str(own))
    router4, router6 = socket.inet_aton("172.16.0.1"), socket.inet_pton(socket.AF_INET6, "fd42::1")
    nodes, none6 = socket.inet_pton(socket.AF_INET6, "ff02::1"), bytes(16)
    kind = case.removeprefix("own-")

    def arp(sender, link, operation=2):
        return 0x0806, struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + link + sender + bytes(6) + router4

    def ip4(source, to, protocol, body, fragment=0):
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, fragment, 64, protocol, 0) + source + to
        return 0x0800, head[:10] + struct.pack("!H", 0xFFFF ^ ones_sum(head)) + head[12:] + body

    def ip6(source, to, protocol, body, hops=255):
        return 0x86DD, struct.pack("!IHBB", 6 << 28, len(body), protocol, hops) + source + to + body

    def icmp6(source, to, body, before=b"", first=58):
        pseudo = source + to + struct.pack("!II", len(body), 58)
        body = body[:2] + struct.pack("!H", 0xFFFF ^ ones_sum(pseudo + body)) + body[4:]
        return ip6(source, to, first, before + body)

    def udp(source, to, body):
        return struct.pack("!HHHH", source, to, 8 + len(body), 0) + body

    def bootp(link, options, op=1, relay=bytes(4), client=bytes(4)):
        return struct.pack("!BBBBIHH", op, 1, 6, 0, 7, 0, 0) + client + bytes(8) + relay + link + bytes(10 + 192) + \
            b"\x63\x82\x53\x63" + b"\x35\x01" + options + b"\xff"

    def discover(link=mac_of_own, more=b"", relay=bytes(4), fragment=0):
        return ip4(bytes(4), b"\xff" * 4, 17, udp(68, 67, bootp(link, b"\x01" + more, relay=relay)), fragment)

    def neighbour(source, kind_of, target, link, option=2, before=b"", first=58):
        return icmp6(source, nodes, struct.pack("!BBHI", kind_of, 0, 0, 0x20000000) + target +
                     struct.pack("!BB", option, 1) + link, before, first)

    def too_big4():
        quote = ip4(router4, v4, 1, bytes(8))[1]  # the gateway's own answer to a ping
        body = struct.pack("!BBHHH", 3, 4, 0, 0, 600) + quote
        return ip4(mine4, router4, 1, body[:2] + struct.pack("!H", 0xFFFF ^ ones_sum(body)) + body[4:])

    def tunnel(to):
        stolen = b"\xff" * 6 + theirs + struct.pack("!H", 0x0806) + arp(v4, theirs)[1]
        return ip4(mine4, to, 17, udp(50000, 4789, struct.pack("!II", 8 << 24, 42 << 8) + stolen))

    fragment_header = struct.pack("!BBHI", 58, 0, 1, 7)  # the first of several
    return {
        "arp": lambda: arp(v4, mac_of_own),
        "arp-mac": lambda: arp(mine4, theirs),
        "arp-request": lambda: arp(v4, mac_of_own, 1),
        "arp-probe": lambda: arp(bytes(4), mac_of_own, 1),
        "ip4": lambda: ip4(v4, router4, 253, MARK),
        "ip6": lambda: ip6(v6, router6, 253, MARK),
        "broken4": lambda: (0x0800, b"\x4f" + bytes(40)),
        "redirect4": lambda: ip4(mine4, router4, 1, b"\x05\x01" + bytes(6) + bytes(28)),
        "router4": lambda: ip4(mine4, router4, 1, struct.pack("!BBHBBHII", 9, 0, 0, 1, 2, 1800, 0, 0)),
        "query4": lambda: ip4(bytes(4), router4, 2, b"\x11\x64" + bytes(6)),
        "vrrp": lambda: ip4(mine4, socket.inet_aton("224.0.0.18"), 112, bytes(20)),
        "too-big4": too_big4,
        "too-big6": lambda: icmp6(mine6, router6, struct.pack("!BBHI", 2, 0, 0, 1280) + ip6(router6, v6, 58, bytes(8))[1]),
        "tunnel": lambda: tunnel(router4),
        "tunnel-underlay": lambda: tunnel(socket.inet_aton("10.0.1.2")),
        "advertisement": lambda: neighbour(mine6, 136, v6, mac_of_own),
        "advertisement-mac": lambda: neighbour(mine6, 136, mine6, theirs),
        "advertisement-fragment": lambda: neighbour(mine6, 136, v6, mac_of_own, before=fragment_header, first=44),
        "advertisement-behind": lambda: neighbour(mine6, 136, v6, mac_of_own, before=b"\x3a\0\1\4" + bytes(4), first=60),
        "solicitation": lambda: neighbour(mine6, 135, router6, theirs, 1),
        "dad": lambda: icmp6(none6, nodes, struct.pack("!BBHI", 135, 0, 0, 0) + v6),
        "router": lambda: icmp6(mine6, nodes, struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)),
        "redirect6": lambda: icmp6(mine6, nodes, struct.pack("!BBHI", 137, 0, 0, 0) + router6 + router6),
        "query": lambda: icmp6(mine6, nodes, struct.pack("!BBHHH", 130, 0, 0, 100, 0) + bytes(16)),
        "discover": lambda: discover(theirs),
        "identifier": lambda: discover(more=b"\x3d\x07\x01" + theirs),
        "two-identifiers": lambda: discover(more=2 * (b"\x3d\x07\x01" + mac_of_own)),
        "overload": lambda: discover(more=b"\x34\x01\x01"),
        "relay": lambda: discover(relay=mine4),
        "relay-option": lambda: discover(more=b"\x52\x03\x01\x01x"),
        "dhcp-fragment": lambda: discover(fragment=0x2000),
        "release": lambda: ip4(mine4, router4, 17, udp(68, 67, bootp(theirs, b"\x07", client=v4))),
        "offer": lambda: ip4(mine4, b"\xff" * 4, 17, udp(67, 68, bootp(theirs, b"\x02", 2))),
        "offer-port": lambda: ip4(mine4, b"\xff" * 4, 17, udp(9, 68, bootp(theirs, b"\x02", 2))),
        "dhcp6": lambda: ip6(mine6, nodes, 17, udp(546, 547, b"\x01\0\0\1")),
        "dhcp6-server": lambda: ip6(mine6, nodes, 17, udp(547, 546, b"\x07\0\0\1")),
        "rarp": lambda: (0x8035, bytes(28)),
        "llc": lambda: (38, b"\x42\x42\x03" + bytes(35)),
    }[kind]()


def impersonate(args):
    """Writes frames of a pod in the names of others, a case each, or in its own: "own-CASE"."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((args.interface, 0))
    mine = sock.getsockname()[4]
    for case in args.cases:
        kind, body = in_the_name_of(case, args.own, mine, args.other)
        sock.send((b"\xff" * 6 + mine + struct.pack("!H", kind) + body).ljust(60, b"\0"))


def starve(args):
    """Asks for a lease with `count` hardware addresses."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((args.interface, 0))
    mine = sock.getsockname()[4]
    for i in range(args.count):
        head = b"\xff" * 6 + mine + struct.pack("!H", 0x0800)
        link = b"\x06\0" + struct.pack("!I", i)
        body = in_the_name_of("discover", 0, mine, 0)[1]
        sock.send(head + body.replace(b"\x02\0\0\0\0\x99", link))
        time.sleep(0.002)


def forge_mtu(args):
    """Tells `to` that its datagrams to `remote` need fragmentation, for each source port that a VTEP may have."""
    six = ":" in args.to
    family = socket.AF_INET6 if six else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
    ends = socket.inet_pton(family, args.to) + socket.inet_pton(family, args.remote)
    for source in range(49152, 65536):
        udp = struct.pack("!HHHH", source, args.port, 1400, 0)
        if six:
            quote = struct.pack("!IHBB", 6 << 28, 1400, 17, 64) + ends + udp + bytes(8)
            message = struct.pack("!BBHI", 2, 0, 0, args.mtu) + quote  # the kernel adds the checksum
        else:
            quote = struct.pack("!BBHHHBBH", 0x45, 0, 1420, 1, 0x4000, 64, 17, 0) + ends + udp
            message = struct.pack("!BBHHH", 3, 4, 0, 0, args.mtu) + quote
            message = message[:2] + struct.pack("!H", 0xFFFF ^ ones_sum(message)) + message[4:]
        sock.sendto(message, (args.to, 0))


def main():
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(function, *arguments):
        sub = verbs.add_parser(function.__name__.replace("_", "-"))
        sub.set_defaults(function=function)
        for names, options in arguments:
            sub.add_argument(*names.split(), **options)

    to, port = ("--to", {"required": True}), ("--port", {"type": int, "default": 4789})
    interface = ("interface", {})
    vni, dst, src = ("--vni", {"type": int, "default": 42}), ("--dst", {"default": "ff:ff:ff:ff:ff:ff"}), \
        ("--src", {"default": "02:00:00:00:00:fe"})
    bind = ("--source", {"default": ""})
    count, seed = ("--count", {"type": int, "default": 1}), ("--seed", {"type": int, "default": 1})
    cases = ("cases", {"nargs": "+"})
    plain = ("--no-checksum", {"action": "store_true"})
    verb(inject, to, port, vni, dst, src, bind, plain, cases)
    verb(strangers, to, port, vni, dst, bind, plain, count)
    verb(noise, to, port, vni, dst, src, bind, plain, count, seed)
    verb(noise_frames, interface, count, seed)
    verb(frames, interface, dst, ("--src", {"default": ""}), cases)
    verb(sniff, interface)
    verb(watch, interface, port, ("--both", {"action": "store_true"}))
    verb(toward, interface, ("addresses", {"nargs": "+"}))
    verb(advertise, interface)
    verb(capture, interface, ("file", {}))
    verb(flows, to, count)
    verb(echo, port)
    verb(sizes, to, port, ("--max", {"type": int, "required": True}), seed)
    verb(segments, to, port)
    verb(swap, port)
    verb(streams, to, port, ("--bytes", {"type": int, "default": 3 << 20}), ("--mss", {"type": int, "nargs": "+"}), seed,
         ("--timeout", {"type": int, "default": 20}))
    verb(pace, to, port, count, ("--rate", {"type": int, "default": 10000}))
    verb(tally, port)
    verb(collect, port)
    verb(trains, to, port, seed, ("--sizes", {"type": int, "nargs": "+"}))
    listener = ("--listener", {"type": int, "default": 8})
    verb(damaged, to, port, vni, dst, src, bind, plain, listener, cases)
    verb(lies, interface, dst)
    verb(slow_send, to, port, ("--rate", {"type": int, "default": 4 << 20}), ("file", {}))
    verb(impersonate, interface, ("--own", {"type": int, "required": True}), ("--other", {"type": int, "required": True}),
         cases)
    verb(starve, interface, count)
    verb(forge_mtu, to, ("--remote", {"required": True}), port, ("--mtu", {"type": int, "required": True}))
    args = parser.parse_args()
    try:
        args.function(args)
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(1)


main()
