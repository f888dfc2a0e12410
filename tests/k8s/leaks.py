#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""leaks.py - judges what the nodes have captured on their primary way

  leaks.py --free FILE --asked FILE --assigned FILE --gateways FILE PCAP...

free: addresses of the pods that have no gateway, one a line: only they may be seen talking to what is not the cluster.
asked: lines "CLIENT ADDRESS PORT [answers]": that TCP port is asked by the client outside, and its answers may be seen
when the line says so. The first packet of a connection (SYN alone) is no answer.
assigned: lines "MAC GATEWAY POD": frames of that MAC may only be seen in VXLAN datagrams to an address that is the
gateway's. gateways: lines "GATEWAY ADDRESS", all addresses that it ever had.

Prints a line for each trouble, then "saw PACKETS: CONTROL of pods without a gateway, ANSWERS to clients outside, VXLAN
datagrams, JUDGED of them of a pod with a known gateway, ARP requests for foreign addresses". Ends with 1 when there was trouble.
"""
import argparse
import collections
import ipaddress
import struct
import sys

VXLAN_PORTS = (4789, 8472, 8473)
QUESTION = b"\0PSW"  # podswitchd asks a silent gateway: a VXLAN header without the I flag, and nothing of the pod's
SLL2, PCAP_MAGIC = 276, 0xA1B2C3D4
SYN, ACK = 2, 16


def records(path):
    """Each captured packet as (ethertype, bytes from the network header on)"""
    with open(path, "rb") as file:
        header = file.read(24)
        magic, link = struct.unpack("<I16xI", header) if len(header) == 24 else (0, 0)
        if magic != PCAP_MAGIC or link & 0xFFFF != SLL2:
            sys.exit(f"{path}: not a little-endian pcap of the device any")
        while head := file.read(16):
            if len(head) < 16:
                return
            length = struct.unpack("<8xII", head)[0]
            packet = file.read(length)
            if len(packet) < length:
                return  # the last one: its tcpdump was killed, as by a boot
            yield struct.unpack(">H", packet[:2])[0], packet[20:]


def lines(path):
    try:
        with open(path, encoding="ascii") as file:
            return [line.split() for line in file if line.strip()]
    except FileNotFoundError:
        return []


class Judge:
    def __init__(self, free, asked, assigned, gateways):
        self.free = {line[0] for line in free}
        self.asked = {tuple(line[:3]): line[3:] == ["answers"] for line in asked}
        addresses = collections.defaultdict(set)
        for name, address in gateways:
            addresses[name].add(address)
        self.gateways = set().union(*addresses.values())
        self.allowed, self.pods = collections.defaultdict(set), {}
        for mac, gateway, pod in (line for line in assigned if len(line) == 3):
            self.allowed[mac] |= addresses[gateway]
            self.pods[mac] = pod
        self.count = collections.Counter()
        self.trouble = collections.Counter()

    def packet(self, ethertype, packet):
        self.count["packets"] += 1
        if ethertype == 0x0806 and len(packet) >= 28:
            sender = str(ipaddress.IPv4Address(packet[14:18]))
            self.count["arp"] += sender not in self.free
        elif ethertype == 0x0800 and len(packet) >= 20:
            self.ipv4(packet)
        elif ethertype == 0x86DD and len(packet) >= 40:
            self.plain(ipaddress.IPv6Address(packet[8:24]), ipaddress.IPv6Address(packet[24:40]))

    def ipv4(self, packet):
        source, destination = ipaddress.IPv4Address(packet[12:16]), ipaddress.IPv4Address(packet[16:20])
        payload = packet[(packet[0] & 15) * 4:]
        if packet[9] == 17 and payload[8:12] == QUESTION and len(payload) < 30:
            self.count["vxlan"] += 1
        elif packet[9] == 17 and len(payload) >= 30 and struct.unpack(">H", payload[2:4])[0] in VXLAN_PORTS:
            self.vxlan(source, destination, payload[16:])
        elif packet[9] != 6 or len(payload) < 14 or not self.inbound(str(source), str(destination), payload):
            self.plain(source, destination)

    def inbound(self, source, destination, segment):
        """Whether it belongs to what a client outside has begun, and may be seen"""
        ports, flags = struct.unpack(">HH", segment[:4]), segment[13] & (SYN | ACK)
        if (source, destination, str(ports[1])) in self.asked:
            return True
        answer = self.asked.get((destination, source, str(ports[0]))) and flags != SYN
        self.count["answers"] += bool(answer)
        return answer

    def plain(self, source, destination):
        if str(source) in self.free or str(destination) in self.free:
            self.count["control"] += 1
        else:
            self.trouble[f"leak: {source} to {destination}"] += 1

    def vxlan(self, source, destination, frame):
        self.count["vxlan"] += 1
        mac = frame[6:12].hex(":")
        if mac in self.allowed:
            self.count["judged"] += 1
            if str(destination) not in self.allowed[mac]:
                self.trouble[f"astray: a frame of {self.pods[mac]} ({mac}) from {source} to {destination}"] += 1


def main():
    parser = argparse.ArgumentParser()
    for name in ("free", "asked", "assigned", "gateways"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("pcap", nargs="+")
    options = parser.parse_args()
    judge = Judge(lines(options.free), lines(options.asked), lines(options.assigned), lines(options.gateways))
    for path in options.pcap:
        for ethertype, packet in records(path):
            judge.packet(ethertype, packet)
    for text, number in judge.trouble.most_common(30):
        print(f"{text}, {number} times")
    count = judge.count
    print(f"saw {count['packets']}: {count['control']} of pods without a gateway, {count['answers']} answers to clients "
          f"outside, {count['vxlan']} VXLAN datagrams, {count['judged']} of them of a pod with a known gateway, {count['arp']} ARP packets about foreign addresses")
    sys.exit(bool(judge.trouble))


if __name__ == "__main__":
    main()
