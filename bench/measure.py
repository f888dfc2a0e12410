# SPDX-License-Identifier: Apache-2.0
"""measure.py - one measurement of one contender

Each function starts the generators (load.c) in the lane's namespaces, lets the receiver decide when the warm-up is
over, and returns what was received, never what was sent. CPU time is that of the near end's podswitchd alone (utime +
stime); the kernel charges to it what runs in its system calls: over a veth that is the far end's receiving, too.
"""

import contextlib
import math
import os
import re
import statistics
import time

from lane import GATEWAY
from place import Failed, run, wait_for

PORT = "5201"
SLACK = 10  # seconds that a measurement may take beyond its own time
LOSS = 0.01
ASKERS = 5
LAST = 8  # devices whose end is waited for
BELOW, ABOVE = 8, 2  # the search begins between the flood's delivery / BELOW and * ABOVE


class Generators:
    """Starts load generators of a lane, and ends them with the measurement."""

    def __init__(self, lane):
        self.lane = lane
        self.running = []

    def start(self, place, *words):
        program = place.start(f"{self.lane.build}/bench/load", self.lane.contender.congestion, *words)
        self.running.append(program)
        return program

    def listen(self, place, *words):
        program = self.start(place, *words)
        program.expect("ready", SLACK)
        return program

    def close(self):
        for program in reversed(self.running):
            self.lane.house.end(program)


def machine_busy():
    """CPU seconds that all processors have worked since the start"""
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _wait, irq, softirq = map(int, stat.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


class Meter:
    """CPU time between its making and read()"""

    def __init__(self, lane):
        self.lane = lane
        self.begin = self.now()

    def now(self):
        return (self.lane.switch.cpu() if self.lane.switch else 0, machine_busy())

    def read(self):
        ours, all_of_it = (now - then for now, then in zip(self.now(), self.begin))
        return ({"cpu_podswitchd": round(ours, 2)} if self.lane.switch else {}) | {"cpu_machine": round(all_of_it, 2)}


def window(program, lane, seconds):
    """The result of a program that says "start" and, after its window, what it measured; with the CPU time of that."""
    program.expect("start", SLACK)
    meter = Meter(lane)
    return program.result(seconds + SLACK) | meter.read()


def stream(lane, streams, direction, warm, seconds):
    sender, receiver, address = lane.way(direction)
    with contextlib.closing(Generators(lane)) as load:
        sink = load.listen(receiver, "stream-receive", PORT, str(streams), str(warm), str(seconds))
        source = load.start(sender, "stream-send", address, PORT, str(streams))
        found = window(sink, lane, seconds)
        source.process.terminate()
        found |= source.result(SLACK)
    if found["corrupt"]:
        raise Failed(f"{found['corrupt']} of {streams} streams had bytes that were not sent")
    return found | {"gbit_s": found["bytes"] * 8 / found["seconds"] / 1e9}


def flood(lane, size, rate, direction, warm, seconds):
    """`rate` packets a second are offered; 0: as many as the sender can"""
    sender, receiver, address = lane.way(direction)
    with contextlib.closing(Generators(lane)) as load:
        sink = load.listen(receiver, "flood-receive", PORT, str(warm), str(seconds))
        source = load.start(sender, "flood-send", address, PORT, str(size), str(rate))
        found = window(sink, lane, seconds)
        source.process.terminate()
        offered = source.result(SLACK)
    if found["malformed"]:
        raise Failed(f"{found['malformed']} packets were not as they were sent")
    total = found["packets"] + found["lost"]
    return found | {"pps": found["packets"] / found["seconds"], "loss": found["lost"] / total if total else 1,
                    "offered_pps": offered["offered"] / offered["seconds"]}


def search(lane, size, direction, warm, seconds, steps):
    """The most packets a second that were delivered at an offered rate of which less than LOSS was lost.

    Bisection of the offered rate, in ratios; every point tried is kept.
    """
    peak = flood(lane, size, 0, direction, warm, seconds)["pps"]
    low, high, best, tried = peak / BELOW, peak * ABOVE, 0, []
    for _ in range(steps):
        rate = max(1, int((low * high) ** 0.5))
        point = flood(lane, size, rate, direction, warm, seconds)
        tried.append({"rate": rate, "pps": round(point["pps"]), "loss": round(point["loss"], 5)})
        if point["loss"] < LOSS:
            low, best = rate, max(best, point["pps"])
        else:
            high = rate
    return {"pps": best, "flood_pps": round(peak), "tried": tried}


def ask_once(lane, warm, seconds, beside):
    with contextlib.closing(Generators(lane)) as load:
        load.listen(lane.gateway, "echo", "5202")
        if beside:
            sink = load.listen(lane.gateway, "stream-receive", PORT, "1", "0", str(warm + seconds + SLACK))
            load.start(lane.pod, "stream-send", lane.way("up")[2], PORT, "1")
            sink.expect("start", SLACK)
        client = load.start(lane.pod, "ask", lane.way("up")[2], "5202", "64", str(warm), str(seconds))
        return window(client, lane, seconds)


def ask(lane, warm, seconds, beside=False):
    """Percentiles, each the median of ASKERS runs.

    Where the scheduler puts the two ends and the switch decides whether a wake-up crosses processors, and in a virtual
    machine that is a matter of 5 or 50 us; it is decided anew for each run.
    """
    runs = [ask_once(lane, warm / ASKERS, seconds / ASKERS, beside) for _ in range(ASKERS)]
    middle = {key: statistics.median(run[key] for run in runs) for key in ("p50", "p90", "p99", "p999")}
    return middle | {"lost": sum(run["lost"] for run in runs), "runs": runs}


def ping(lane, seconds):
    """ping -f: the next one as soon as the last one is answered; the average time in us, as that is what ping tells"""
    said = lane.pod.run("ping", "-q", "-f", "-w", str(math.ceil(seconds)), GATEWAY)
    sent, came = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", said).groups())
    least, average, most = map(float, re.search(r"= ([\d.]+)/([\d.]+)/([\d.]+)/", said).groups())  # ms
    return {"sent": sent, "lost": sent - came, "min": 1000 * least, "average": 1000 * average, "max": 1000 * most}


def dial(lane, warm, seconds):
    with contextlib.closing(Generators(lane)) as load:
        load.listen(lane.gateway, "accept", PORT)
        client = load.start(lane.pod, "dial", lane.way("up")[2], PORT, str(warm), str(seconds))
        found = window(client, lane, seconds)
    return found | {"per_second": found["connections"] / found["seconds"]}


def idle(lane, seconds):
    """Percent of one processor that podswitchd uses with nothing to do, and what memory it holds."""
    begin, cpu = time.monotonic(), lane.switch.cpu()
    time.sleep(seconds)
    used = lane.switch.cpu() - cpu
    return {"percent": 100 * used / (time.monotonic() - begin), "mib": lane.switch.memory()}


def one_by_one(numbers, change, settled=lambda: None):
    """How many changes a second; and how long one takes until it is answered, ms"""
    begin, taken = time.monotonic(), []
    for number in numbers:
        at = time.monotonic()
        change(number)
        taken.append(1000 * (time.monotonic() - at))
    settled()
    percentiles = statistics.quantiles(taken, n=100)
    return {"per_second": len(taken) / (time.monotonic() - begin), "p50": percentiles[49], "p99": percentiles[98]}


def attach(lane, places, first, last):
    """Adds the ports `first` to `last` - 1 by one client of the control socket."""
    return one_by_one(range(first, last), lambda number: lane.switch.call(
        "port.add", name=f"crowd{number}", gateway="gw", netns=places[number % len(places)].name, ifname=f"vx{number}"))


def detach(lane, places, first, last):
    """Removes them; done is what is gone, not what has been answered: the last ones are looked for."""
    def settled():
        for number in range(max(first, last - LAST), last):
            place = places[number % len(places)]
            wait_for(f"the end of vx{number}", lambda: f"vx{number}" not in run("ip", "-n", place.name, "-br", "link"))

    return one_by_one(range(first, last),
                      lambda number: lane.switch.call("port.remove", name=f"crowd{number}"), settled)
