# SPDX-License-Identifier: Apache-2.0
"""plan.py - who is measured, in which cases, and for how long

A step is one run of the generators and the cases whose figures it gives. Each round goes through all steps, and each
step through all its contenders, one right after the other; every second round in the reverse order.

`podswitchd --help` says which knobs there are. The underlay TAP is a contender of its own, and so are the sockets where
the TAP is the default; each other knob is turned off for one contender that takes part in the core steps alone: what it
is worth. With BBR there are the kernel and podswitch once more, for TCP alone, and compared with each other.

Keys of cases are for good, as figures of different days and machines are put side by side by them (machines.py).
"""

from dataclasses import dataclass
from typing import Callable

import measure
from lane import IN_POD, UNDERLAYS, Contender, has_congestion, has_ovs, has_wireguard

NEEDED = {"kernel", "podswitch"}  # without these there is nothing to compare
KNOBS = ("tap-gso", "udp-gso", "udp-gro", "trains", "tap-gro")
SPIN_OFF, SPIN_ON = "0", "50"  # us
TAP = "underlay-tap"
EPOLL = "epoll"  # instead of io_uring
BBR = "bbr"
BUSY = 3  # seconds, after which a pod that is busy has an underlay TAP of its own


@dataclass(frozen=True)
class Times:
    rounds: int
    seconds: float  # of a window
    warm: float
    search: float  # seconds of a point of a search
    steps: int  # of a search
    idle: float
    crowds: int  # rounds of crowd.py
    sizes: tuple  # of its crowds, ports
    detached: int  # of the last one, at most


FULL = Times(rounds=3, seconds=1.5, warm=0.3, search=0.45, steps=6, idle=3, crowds=3, sizes=(1, 100, 1000),
             detached=1000)
QUICK = Times(rounds=3, seconds=0.5, warm=0.2, search=0.3, steps=5, idle=1, crowds=1, sizes=(1000,),
              detached=250)


@dataclass
class Step:
    figures: list  # (key, title, unit, better, which of the results)
    take: Callable  # (lane, times) -> dict
    contenders: set
    ground: str = "on"  # what lies between the two ends: GROUNDS

    @property
    def under(self):
        return self.ground if self.ground in UNDERLAYS else None


def contenders(knobs, ovs, bbr, ablation):
    """`knobs`: those that podswitchd has, and how they are by default"""
    found = [Contender("kernel", "kernel", "kernel"), Contender("podswitch", "podswitch", "kernel")]
    if TAP in knobs:
        found.append(Contender("podswitch tap", "podswitch", "kernel", (f"--{TAP}", "on")))
    if knobs.get(TAP, "off") != "off":
        found.append(Contender("podswitch sockets", "podswitch", "kernel", (f"--{TAP}", "off")))
    found.append(Contender("podswitch pair", "podswitch", "podswitch"))
    if TAP in knobs:
        found.append(Contender("podswitch pair tap", "podswitch", "podswitch", (f"--{TAP}", "on")))
    if ovs:
        found.append(Contender("ovs", "ovs", "kernel"))
    if not ablation:
        return found
    if bbr:
        found += [Contender(f"{near} {BBR}", near, "kernel", congestion=BBR) for near in ("kernel", "podswitch")]
    found += [Contender("-" + knob, "podswitch", "kernel", (f"--{knob}", "off")) for knob in KNOBS if knob in knobs]
    if "spin" in knobs:
        found += [Contender(f"spin {us}", "podswitch", "kernel", ("--spin", us)) for us in (SPIN_OFF, SPIN_ON)]
    if "io" in knobs:
        found.append(Contender(EPOLL, "podswitch", "kernel", ("--io", EPOLL)))
    return found


MAIN = {"kernel", "podswitch", "podswitch tap", "podswitch sockets", "podswitch pair", "podswitch pair tap", "ovs"}
NO_OVS = MAIN - {"ovs"}
ENDS = {"kernel", "podswitch", "podswitch pair"}
WITH_BBR = {f"kernel {BBR}", f"podswitch {BBR}"}


def arrow(direction):
    return "pod to gateway" if direction == "up" else "gateway to pod"


GROUNDS = {"on": "", "off": ", no tunnel offload", "wire": ", real packets on the wire",
           "vxlan": ", inside the node's vxlan", "wireguard": ", over WireGuard",
           IN_POD: ", by the pod's own network"}  # those of lane.py


def on(ground):
    """The end of a key, which the usual ground does not have"""
    return "" if ground == "on" else "-" + ground


def plural(count):
    return f"{count} stream" + ("s" if count > 1 else "")


def stream(count, direction, ground, who):
    key = f"{count}-{direction}-{ground}"
    title = f"TCP {plural(count)}, {arrow(direction)}{GROUNDS[ground]}"

    def take(lane, times):
        warm = times.warm + (BUSY if ground == IN_POD else 0)
        found = measure.stream(lane, count, direction, warm, times.seconds)
        gigabytes = found["bytes"] / 1e9
        if "cpu_podswitchd" in found and gigabytes:
            found["cpu_per_gb"] = found["cpu_podswitchd"] / gigabytes
        found["machine_per_gb"] = found["cpu_machine"] / gigabytes if gigabytes else None
        return found

    return Step([("tcp-" + key, title, "Gbit/s", "higher", "gbit_s"),
                 ("cpu-" + key, f"CPU of podswitchd: {title}", "s/GB", "lower", "cpu_per_gb"),
                 ("machine-" + key, f"CPU of the machine: {title}", "s/GB", "lower", "machine_per_gb")],
                take, who, ground)


def flood(size, direction, who, ground="on"):
    return Step([(f"flood-{size}-{direction}{on(ground)}",
                  f"UDP {size} B, {arrow(direction)}, flood, delivered{GROUNDS[ground]}", "kpps", "higher", "kpps")],
                lambda lane, times: kilo(measure.flood(lane, size, 0, direction, times.warm, times.seconds)),
                who, ground)


def search(size, direction, who):
    return Step([(f"clean-{size}-{direction}", f"UDP {size} B, {arrow(direction)}, under 1 % loss", "kpps", "higher",
                  "kpps")],
                lambda lane, times: kilo(measure.search(lane, size, direction, times.warm / 2, times.search,
                                                        times.steps)), who)


def kilo(found):
    return found | {"kpps": found["pps"] / 1000}


def ask(beside, who, ground="on"):
    where = "beside a TCP stream" if beside else "idle"
    name = "beside" if beside else "idle"
    return Step([(f"rr-{name}-{key}{on(ground)}", f"UDP request/response {where}, {label}{GROUNDS[ground]}", "us",
                  "lower", key) for key, label in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"))],
                lambda lane, times: measure.ask(lane, times.warm, times.seconds, beside), who, ground)


def ping(who):
    return Step([("ping-flood", "ping -f, average", "us", "lower", "average")],
                lambda lane, times: measure.ping(lane, times.seconds), who)


def dial(who):
    return Step([("dial", "TCP connections, one after the other", "1/s", "higher", "per_second")],
                lambda lane, times: measure.dial(lane, times.warm, times.seconds), who)


def quick_steps():
    """Those that have a floor"""
    pair = NEEDED | {"podswitch pair"}
    return [*(stream(1, way, "on", pair) for way in ("up", "down")),
            *(stream(4, way, "on", NEEDED) for way in ("up", "down")),
            *(stream(1, way, "off", NEEDED) for way in ("up", "down")),
            flood(64, "up", NEEDED), search(64, "up", NEEDED), ask(False, NEEDED), ask(True, NEEDED)]


def full_steps(variants, spins):
    """`variants`: contenders that have one knob turned; `spins`: those of them whose knob is spin"""
    core = MAIN | variants
    return [*(stream(n, way, "on", core | WITH_BBR if n < 32 else NO_OVS) for n in (1, 4, 32)
              for way in ("up", "down")),
            *(stream(n, way, "off", NO_OVS | variants | WITH_BBR if n == 1 else NO_OVS) for n in (1, 4)
              for way in ("up", "down")),
            flood(64, "up", core), flood(64, "down", MAIN), flood(256, "up", MAIN), flood(1400, "up", MAIN),
            search(64, "up", MAIN), search(256, "up", NO_OVS), search(1400, "up", NO_OVS),
            ask(False, core), ask(True, MAIN), ping(MAIN | spins), dial(MAIN),
            *other_ground("wire", (1, 4)), *other_ground("vxlan", (1,)), *other_ground(IN_POD, (1, 4), NEEDED),
            *(other_ground("wireguard", (1,)) if has_wireguard() else ())]


def other_ground(ground, counts, who=frozenset(ENDS)):
    return [*(stream(n, way, ground, who) for n in counts for way in ("up", "down")),
            flood(64, "up", who, ground), ask(False, who, ground)]


def plan(quick, knobs):
    everyone = contenders(knobs, has_ovs(), has_congestion(BBR), ablation=not quick)
    variants = {contender.name for contender in everyone} - MAIN - WITH_BBR
    spins = {name for name in variants if name.startswith("spin")}
    return everyone, quick_steps() if quick else full_steps(variants, spins)
