# SPDX-License-Identifier: Apache-2.0
"""crowd.py - one podswitchd with up to 1,000 ports: what the idle ones cost, and how fast they come and go

A podswitchd of its own, started anew each round, so that no memory is left from before. The ports are spread over 100
namespaces, as each attachment enters one. Memory is read after the busy port has been at work.
"""

import measure
from lane import Contender, Lane

PLACES = 100
WHO = "podswitch"


def make_places(house):
    return [house.place(f"crowd{number}") for number in range(PLACES)]


def figure(results, number, key, title, unit, better, found, which):
    results.record(results.case(key, title, unit, better), WHO, number, found[which], found)


def changes(results, number, key, title, found):
    figure(results, number, key, title, "1/s", "higher", found, "per_second")
    for which in ("p50", "p99"):
        figure(results, number, f"{key}-{which}", f"{title}: until answered, {which}", "ms", "lower", found, which)


def at_size(lane, results, times, number, ports):
    def note(key, title, unit, better, found, which):
        name = f"{ports:,} port" + ("s" if ports > 1 else "")
        figure(results, number, f"{key}-{ports}", f"{title}, {name}", unit, better, found, which)

    stream = measure.stream(lane, 1, "up", times.warm, times.seconds)
    flood = measure.flood(lane, 64, 0, "up", times.warm, times.seconds)
    flood["kpps"] = flood["pps"] / 1000
    note("crowd-tcp", "TCP 1 stream, pod to gateway", "Gbit/s", "higher", stream, "gbit_s")
    note("crowd-flood", "UDP 64 B, pod to gateway, flood", "kpps", "higher", flood, "kpps")
    idle = measure.idle(lane, times.idle)
    note("idle", "CPU of podswitchd, idle", "%", "lower", idle, "percent")
    note("memory", "memory of podswitchd", "MiB", "lower", idle, "mib")


def crowd(house, build, results, times, number, places):
    lane = Lane(house, build, Contender(WHO, "podswitch", "kernel"), f"c{number}")
    try:
        there = 1
        for size in times.sizes:
            if size > there:
                changes(results, number, f"attach-{size}", f"ports attached, until there are {size:,}",
                        measure.attach(lane, places, there, size))
                there = size
            at_size(lane, results, times, number, size)
        changes(results, number, "detach", f"ports detached, from {there:,} down",
                measure.detach(lane, places, max(1, there - times.detached), there))
    finally:
        lane.close()
