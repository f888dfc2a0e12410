# SPDX-License-Identifier: Apache-2.0
"""floors.py - what has to be reached, and what is

A floor is what a release must not be below on any machine, in one run, with podswitch as it is by default; an aim is
what we work for. Both are ratios to the kernel's figure, or to `against`, another case of podswitch's own; ALONE is
the figure itself.
"""

from dataclasses import dataclass

from limit import limit
from result import Case, base_of, summary
from text import short, table

ALONE = ""


@dataclass(frozen=True)
class Target:
    text: str
    case: str
    floor: float
    aim: float = None
    name: str = "podswitch"
    against: str = None

    def found(self, results):
        """The figure that is compared with floor and aim, or None"""
        case = results.cases.get(self.case)
        if not case or not case.median(self.name):
            return None
        if self.against is None:
            return case.ratio(self.name, base_of(self.name))
        if self.against == ALONE:
            return summary(case.values(self.name))
        return case.ratio(self.name, self.name, results.cases.get(self.against) or Case("", "", "", ""))

    def verdict(self, value, better):
        def passes(bound):
            return bound is not None and (value >= bound if better == "higher" else value <= bound)

        return "aim" if passes(self.aim) else "floor" if passes(self.floor) else "BELOW"


PAIR = "podswitch pair"
TARGETS = [
    Target("TCP 1 stream, pod to gateway", "tcp-1-up-on", 0.85, 1.2),
    Target("TCP 1 stream, gateway to pod", "tcp-1-down-on", 0.85, 1.2),
    Target("TCP 4 streams, pod to gateway", "tcp-4-up-on", 0.55, 0.8),
    Target("TCP 4 streams, gateway to pod", "tcp-4-down-on", 0.6, 1.0),
    Target("TCP 1 stream, no tunnel offload, pod to gateway", "tcp-1-up-off", 1.4, 2),
    Target("TCP 1 stream, no tunnel offload, gateway to pod", "tcp-1-down-off", 1.1, 1.5),
    Target("podswitch at both ends, TCP 1 stream, up", "tcp-1-up-on", 0.65, 1.0, PAIR),
    Target("podswitch at both ends, TCP 1 stream, down", "tcp-1-down-on", 0.65, 1.0, PAIR),
    Target("UDP 64 B, flood, pod to gateway", "flood-64-up", 1.5, 2),
    Target("UDP 64 B, under 1 % loss", "clean-64-up", 1.2, 1.5),
    Target("request/response, p50, times", "rr-idle-p50", 1.2),
    Target("request/response, p99, times", "rr-idle-p99", 1.5),
    Target("request/response beside a stream, p50, times", "rr-beside-p50", 5),
    Target("ports attached a second, until there are 1,000", "attach-1000", 500, against=ALONE),
    Target("ports detached a second, from 1,000 down", "detach", 200, against=ALONE),
    Target("memory at 1,000 ports, MiB", "memory-1000", 16, against=ALONE),
    Target("TCP of the busy port, 1,000 ports against 1", "crowd-tcp-1000", 0.9, 1.0, against="crowd-tcp-1"),
    Target("flood of the busy port, 1,000 ports against 1", "crowd-flood-1000", 0.9, 1.0, against="crowd-flood-1"),
    Target("look-up (hit) at 1M MACs against 1k, times", "lookup-hit-1000000", 4, 2, against="lookup-hit-1000"),
    Target("look-up (miss) at 1M MACs against 1k, times", "lookup-miss-1000000", 4, 2, against="lookup-miss-1000"),
]


def judged(results):
    """(target, what was found, verdict) of each that was measured"""
    every = [(target, target.found(results)) for target in TARGETS]
    return [(target, found, target.verdict(found["median"], results.cases[target.case].better))
            for target, found in every if found]


def targets(results):
    rows = [["to reach, podswitch as it is by default", "median", "min-max", "floor", "aim", "reached", "limit",
             "of it"]]
    for target, found, verdict in judged(results):
        most = target.against is None and limit(results, target.case, target.name)
        rows.append([target.text, short(found["median"]), f"{short(found['min'])}-{short(found['max'])}",
                     str(target.floor), str(target.aim or "-"), verdict, short(most["median"]) if most else "",
                     f"{100 * found['median'] / most['median']:.0f} %" if most else ""])
    return table(rows)


def below(results):
    """A line for those that are below their floor, and how many are not"""
    every = judged(results)
    lines = [f"BELOW its floor: {target.text}: {short(found['median'])}, not {target.floor}"
             for target, found, verdict in every if verdict == "BELOW"]
    return "\n".join([*lines, f"{len(every) - len(lines)} of {len(every)} are at or above their floor"])
