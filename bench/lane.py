# SPDX-License-Identifier: Apache-2.0
"""lane.py - one contender in its place: a pod, a node and a gateway of its own

            pod                          node                              gw
     .------------------.     .-------------------------.      .------------------------.
     | vx0              |     |                         |      |           172.16.0.1/24|
     | 172.16.0.11/24 =========== near end --- eth0 ------veth------ eth0 --- far end   |
     |                  |     |             10.0.0.1/24 |      | 10.0.0.2/24            |
     '------------------'     '-------------------------'      '------------------------'

Every contender has this same topology, MTU 1450 above and 1500 below (each less by what an underlay of the node's own
takes), and nothing else in it. The ends:

  kernel     A vxlan device. At the near end it is made in the node, where its UDP socket stays, and then moved into the
             pod: there is no bridge and no second veth between, which is the fastest that the kernel can do. It is the
             counterpart of podswitch's host underlay, a TAP in the pod and the socket in the node.
  podswitch  podswitchd and a TAP.
  ovs        Open vSwitch's userspace datapath (datapath_type=netdev): br-int with a vxlan port and an internal port (a
             TAP of ovs-vswitchd's) that is moved into the pod; br-phy with the node's eth0. It can neither use nor make
             good the checksums and super-frames that a veth leaves to the hardware, so its gateway's eth0 has
             `ethtool -K tx off`; without that no TCP passes.

What lies between them, the ground. Offloads of the veth, both its ends (not for ovs, see above):

  on    as the kernel makes veths: datagrams that hold a super-frame pass whole
  off   no tunnel offload, as most network cards: the kernel cuts what its vxlan device sends before the veth
  wire  packets of 1500 bytes and nothing longer, and GRO where they arrive, as between two machines with plain network
        cards: neither super-frames nor UDP_SEGMENT's trains pass

and underlays, which are lanes of their own with 10.0.0.1 and .2 on another device over eth0:

  vxlan      the node's own vxlan device, as flannel makes it
  wireguard  WireGuard
  pod        the pod's own network, as by default in a cluster: a veth to the node, which routes. The kernel's vxlan
             device is all in the pod, as pod-gateway makes it

TCP's congestion control is set on each socket, never on the machine (a namespace may not set what the machine does not
allow everybody): Cubic, Linux's default, whatever the machine's own default may be; contenders of their own have BBR,
whose rate follows the round-trip time as much as the work that a byte costs.
"""

import json
import os
import shutil
import socket
import time
from dataclasses import dataclass

from place import Failed, run, wait_for

POD, GATEWAY = "172.16.0.11", "172.16.0.1"
NODE_UNDER, GATEWAY_UNDER = "10.0.0.1", "10.0.0.2"
NODE_OUTER, GATEWAY_OUTER = "192.168.0.1", "192.168.0.2"  # below another underlay
POD_UNDER, POD_ROUTER, POD_NETWORK = "10.1.0.2", "10.1.0.1", "10.1.0.0/24"  # the pod's own network
VNI, OVERHEAD = "42", 50
WIREGUARD = "51820"  # its port
IN_POD = "pod"
UNDERLAYS = {"vxlan": ("flannel.1", 1450), "wireguard": ("wg0", 1420), IN_POD: ("eth0", 1500)}  # device, MTU
TUNNEL = ("tx-udp_tnl-segmentation", "tx-udp_tnl-csum-segmentation")
REST = ("tx-udp-segmentation", "tso", "gso")
OFFLOAD = {"on": ("on", "on", "off"), "off": ("off", "on", "off"), "wire": ("off", "off", "on")}
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


@dataclass(frozen=True)
class Contender:
    name: str
    near: str
    far: str
    arguments: tuple = ()  # of podswitchd
    congestion: str = "cubic"

    def __str__(self):
        return self.name


def has_congestion(name):
    """A socket is asked, which loads the module, too."""
    with socket.socket() as asked:
        try:
            asked.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
        except OSError:
            return False
    return True


def has_wireguard():
    try:
        run("unshare", "--net", "ip", "link", "add", "wg0", "type", "wireguard")
    except Failed:
        return False
    return shutil.which("wg") is not None


def has_ovs():
    programs = ("ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl")
    return all(map(shutil.which, programs)) and os.path.exists(SCHEMA)


class Switch:
    """A podswitchd in a namespace, and its control socket."""

    def __init__(self, place, build, arguments):
        self.path = os.path.join(place.house.folder, place.name)
        self.log = place.house.log(place.name)
        self.program = place.start(f"{build}/podswitchd", "-s", self.path + ".sock",
                                   "--state-dir", self.path + ".state", *arguments, log=self.log)
        self.socket = None
        wait_for(f"podswitchd {' '.join(arguments)}", self.connect)

    def connect(self):
        self.check()
        candidate = socket.socket(socket.AF_UNIX)
        try:
            candidate.connect(self.path + ".sock")
        except OSError:
            candidate.close()
            return False
        candidate.settimeout(30)
        self.socket = candidate.makefile("rw")
        candidate.close()  # the file keeps it open
        return True

    def call(self, method, **parameters):
        self.socket.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}) + "\n")
        self.socket.flush()
        answer = json.loads(self.socket.readline())
        if "error" in answer:
            raise Failed(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def by_tap(self):
        remotes = [remote for gateway in self.call("gateway.list") for remote in gateway["remotes"]]
        return bool(remotes) and all(remote["egress"] == "underlay_tap" for remote in remotes)

    def cpu(self):
        """utime + stime of all its threads, seconds"""
        # clock_getcpuclockid(3) of another process, which Python lacks; to the nanosecond, unlike /proc/PID/stat.
        self.check()
        return time.clock_gettime((~self.program.pid << 3) | 2)

    def check(self):
        status = self.program.process.poll()
        if status is not None:
            with open(self.log.name) as log:
                last = (log.read().strip().splitlines() or ["nothing"])[-1]
            raise Failed(f"podswitchd has ended (status {status}); the last it said: {last}")

    def memory(self):
        """resident, MiB"""
        with open(f"/proc/{self.program.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024


class Lane:
    def __init__(self, house, build, contender, number, under=None):
        self.house, self.build, self.contender, self.under = house, build, contender, under
        self.device, self.mtu = UNDERLAYS.get(under, ("eth0", 1500))
        self.pod, self.node, self.gateway = (house.place(f"{number}{role}") for role in ("pod", "node", "gw"))
        self.switch = None  # at the near end
        self.switches = []  # at both
        self.extra = []
        self.mode = "on"
        self.lay()
        getattr(self, "far_" + contender.far)()
        getattr(self, "near_" + contender.near)()
        wait_for(f"ping through {contender}", self.pings)
        self.settle()

    def lay(self):
        run("ip", "link", "add", "name", "eth0", "netns", self.node.name, "type", "veth",
            "peer", "name", "eth0", "netns", self.gateway.name)
        ends = ((self.node, NODE_OUTER, NODE_UNDER), (self.gateway, GATEWAY_OUTER, GATEWAY_UNDER))
        nested = self.device != "eth0"
        for place, outer, inner in ends:
            place.ip("addr", "add", (outer if nested else inner) + "/24", "dev", "eth0")
            place.ip("link", "set", "eth0", "up")
        if self.under == IN_POD:
            self.lay_in_pod()
        if nested:
            getattr(self, "under_" + self.under)(ends)
            for place, _, inner in ends:
                place.ip("addr", "add", inner + "/24", "dev", self.device)
                place.ip("link", "set", self.device, "mtu", str(self.mtu), "up")
        self.node.run("sysctl", "-q", "net.ipv4.ip_forward=1")
        for place in (self.pod, self.gateway):
            place.run("sysctl", "-q", "net.ipv4.ip_local_port_range=1024 65535")

    def lay_in_pod(self):
        run("ip", "link", "add", "name", "eth0", "netns", self.pod.name, "type", "veth",
            "peer", "name", "pod0", "netns", self.node.name)
        for place, device, address in ((self.pod, "eth0", POD_UNDER), (self.node, "pod0", POD_ROUTER)):
            place.ip("addr", "add", address + "/24", "dev", device)
            place.ip("link", "set", device, "up")
        self.pod.ip("route", "add", "default", "via", POD_ROUTER)
        self.gateway.ip("route", "add", POD_NETWORK, "via", NODE_UNDER)

    def dress(self, place, device, address):
        place.ip("addr", "add", address + "/24", "dev", device)
        place.ip("link", "set", device, "mtu", str(self.mtu - OVERHEAD), "up")

    # ---- underlays other than eth0 itself ----

    def under_vxlan(self, ends):
        for (place, *_), (_, peer, _) in zip(ends, reversed(ends)):
            place.ip("link", "add", self.device, "type", "vxlan", "id", "1", "remote", peer, "dev", "eth0",
                     "dstport", "8472")

    def under_wireguard(self, ends):
        for place, *_ in ends:
            place.ip("link", "add", self.device, "type", "wireguard")
            key = os.path.join(self.house.folder, place.name + ".key")
            with open(key, "w") as file:
                file.write(place.run("wg", "genkey"))
            place.run("wg", "set", self.device, "private-key", key, "listen-port", WIREGUARD)
        for (place, *_), (peer, outer, _) in zip(ends, reversed(ends)):
            public = peer.run("wg", "show", self.device, "public-key").strip()
            place.run("wg", "set", self.device, "peer", public, "allowed-ips", "0.0.0.0/0", "endpoint",
                      f"{outer}:{WIREGUARD}")
    # ---- the far end ----

    def far_kernel(self):
        self.gateway.ip("link", "add", "vxlan0", "type", "vxlan", "id", VNI, "dev", self.device, "dstport", "4789")
        self.dress(self.gateway, "vxlan0", GATEWAY)

    def far_podswitch(self):
        far = Switch(self.gateway, self.build, self.contender.arguments)
        self.switches.append(far)
        far.call("gateway.add", name="own", vni=int(VNI))
        far.call("port.add", name="own", gateway="own", netns=self.gateway.name, address=[GATEWAY + "/24"])
        self.extra.append(far.program)

    # ---- the near end ----

    def near_kernel(self):
        place = self.pod if self.under == IN_POD else self.node
        place.ip("link", "add", "vx0", "type", "vxlan", "id", VNI, "remote", GATEWAY_UNDER, "dev", self.device,
                 "dstport", "4789")
        if place is self.node:
            place.ip("link", "set", "vx0", "netns", self.pod.name)
        self.dress(self.pod, "vx0", POD)

    def near_podswitch(self):
        self.switch = Switch(self.node, self.build, self.contender.arguments)
        self.switches.append(self.switch)
        own = {"underlay": "pod"} if self.under == IN_POD else {}
        self.switch.call("gateway.add", name="gw", vni=int(VNI), remote=[GATEWAY_UNDER], **own)
        self.switch.call("port.add", name="pod", gateway="gw", netns=self.pod.name, address=[POD + "/24"])

    def near_ovs(self):
        folder = os.path.join(self.house.folder, "ovs")
        os.mkdir(folder)
        environment = dict(os.environ, OVS_RUNDIR=folder, OVS_LOGDIR=folder, OVS_DBDIR=folder)
        database = f"unix:{folder}/db.sock"
        log = self.house.log("ovs")
        run("ovsdb-tool", "create", folder + "/conf.db", SCHEMA)
        self.extra.append(self.node.start("ovsdb-server", folder + "/conf.db", "--remote=p" + database, log=log,
                                          environment=environment))
        wait_for("ovsdb-server", lambda: os.path.exists(folder + "/db.sock"))

        def vsctl(*words):
            run("ovs-vsctl", "--timeout=20", "--db=" + database, *words, environment=environment)

        vsctl("--no-wait", "init")
        self.extra.append(self.node.start("ovs-vswitchd", database, log=log, environment=environment))
        for bridge in ("br-phy", "br-int"):
            vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev")
        vsctl("add-port", "br-phy", "eth0")
        vsctl("add-port", "br-int", "tunnel", "--", "set", "interface", "tunnel", "type=vxlan",
              f"options:remote_ip={GATEWAY_UNDER}", f"options:key={VNI}")
        vsctl("add-port", "br-int", "vx0", "--", "set", "interface", "vx0", "type=internal")
        self.node.ip("addr", "flush", "dev", "eth0")
        self.node.ip("addr", "add", NODE_UNDER + "/24", "dev", "br-phy")
        self.node.ip("link", "set", "br-phy", "up")
        self.node.ip("link", "set", "vx0", "netns", self.pod.name)
        self.dress(self.pod, "vx0", POD)
        self.gateway.run("ethtool", "-K", "eth0", "tx", "off")

    # ---- what measurements use ----

    def pings(self):
        try:
            self.pod.run("ping", "-q", "-c1", "-W1", GATEWAY)
        except Failed:
            return False
        return True

    def offload(self, mode):
        if mode == self.mode or self.contender.near == "ovs":
            return
        tunnel, rest, gro = OFFLOAD[mode]
        pairs = ((REST, rest), (TUNNEL, tunnel), (("gro",), gro))
        words = [word for names, value in pairs for name in names for word in (name, value)]
        for place in (self.node, self.gateway):
            place.run("ethtool", "-K", "eth0", *words)
        self.mode = mode
        self.settle()

    def settle(self):
        """The way that podswitchd chooses follows the devices within seconds: not amid a figure."""
        words = self.contender.arguments
        choice = words[words.index("--underlay-tap") + 1] if "--underlay-tap" in words else "auto"
        by_tap = choice == "on" or choice == "auto" and self.mode == "on" and not self.under
        for switch in self.switches:
            if switch.call("status.get")["features"]["underlay_tap"]:
                wait_for("the underlay TAP in use" if by_tap else "the sockets in use",
                         lambda switch=switch: switch.by_tap() == by_tap)

    def way(self, direction):
        """Who sends, who receives, and the receiver's address."""
        up = (self.pod, self.gateway, GATEWAY)
        return up if direction == "up" else (self.gateway, self.pod, POD)

    def close(self):
        for program in self.extra + ([self.switch.program] if self.switch else []):
            self.house.end(program)
        for place in (self.pod, self.node, self.gateway):
            self.house.remove(place)
