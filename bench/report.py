# SPDX-License-Identifier: Apache-2.0
"""report.py - the tables that people read"""

from plan import EPOLL, KNOBS
from result import base_of

HEADINGS = {"kernel": "kernel", "podswitch": "podswitch", "podswitch tap": "podswitch, TAP",
            "podswitch pair": "both ends", "podswitch pair tap": "both ends, TAP", "ovs": "Open vSwitch",
            "kernel bbr": "kernel, BBR", "podswitch bbr": "podswitch, BBR"}
COLUMNS = list(HEADINGS)

# What is to be reached: (text, ours, theirs, floor, aim, better); ours and theirs are (case, contender), or None: the
# figure itself.
TARGETS = [
    ("TCP 1 stream, pod to gateway, sockets", ("tcp-1-up-on", "podswitch"), "kernel", 0.45, 0.7, "higher"),
    ("TCP 1 stream, pod to gateway, underlay TAP", ("tcp-1-up-on", "podswitch tap"), "kernel", 0.9, 1.2, "higher"),
    ("TCP 4 streams, pod to gateway, sockets", ("tcp-4-up-on", "podswitch"), "kernel", 0.4, 0.8, "higher"),
    ("TCP 4 streams, pod to gateway, underlay TAP", ("tcp-4-up-on", "podswitch tap"), "kernel", 0.4, 0.8, "higher"),
    ("TCP 1 stream, gateway to pod", ("tcp-1-down-on", "podswitch"), "kernel", 1.0, 1.3, "higher"),
    ("TCP 4 streams, gateway to pod", ("tcp-4-down-on", "podswitch"), "kernel", 0.6, 1.0, "higher"),
    ("TCP 1 stream, offload off, pod to gateway", ("tcp-1-up-off", "podswitch"), "kernel", 1.5, 3.0, "higher"),
    ("TCP 1 stream, offload off, pod to gateway, underlay TAP", ("tcp-1-up-off", "podswitch tap"), "kernel", 1.5, 3.0,
     "higher"),
    ("TCP 1 stream, offload off, gateway to pod", ("tcp-1-down-off", "podswitch"), "kernel", 1.0, 2.0, "higher"),
    ("podswitch both ends, TCP 1 stream, up", ("tcp-1-up-on", "podswitch pair"), "kernel", 0.8, 1.2, "higher"),
    ("podswitch both ends, TCP 1 stream, down", ("tcp-1-down-on", "podswitch pair"), "kernel", 0.8, 1.2, "higher"),
    ("both ends by underlay TAP, TCP 1 stream, up", ("tcp-1-up-on", "podswitch pair tap"), "kernel", 0.8, 1.2, "higher"),
    ("both ends by underlay TAP, TCP 1 stream, down", ("tcp-1-down-on", "podswitch pair tap"), "kernel", 0.8, 1.2,
     "higher"),
    ("UDP 64 B, flood, pod to gateway", ("flood-64-up", "podswitch"), "kernel", 1.2, 2.0, "higher"),
    ("UDP 64 B, under 1 % loss", ("clean-64-up", "podswitch"), "kernel", 0.9, 1.5, "higher"),
    ("request/response p50, idle, spinning", ("rr-idle-p50", "spin 50"), "kernel", 3.0, 1.5, "lower"),
    ("request/response p50, idle, no spinning", ("rr-idle-p50", "spin 0"), "kernel", 5.0, 3.0, "lower"),
    ("request/response p50, idle, as it is by default", ("rr-idle-p50", "podswitch"), "kernel", 5.0, 3.0, "lower"),
    ("TCP 1 stream up, against Open vSwitch", ("tcp-1-up-on", "podswitch"), "ovs", 5, 20, "higher"),
    ("TCP 1 stream down, against Open vSwitch", ("tcp-1-down-on", "podswitch"), "ovs", 5, 20, "higher"),
    ("UDP 64 B flood, against Open vSwitch", ("flood-64-up", "podswitch"), "ovs", 2, 4, "higher"),
    ("look-up (hit) at 1M MACs against 1k", ("lookup-hit-1000000", "podswitch"), "lookup-hit-1000", 4, 2, "lower"),
    ("look-up (miss) at 1M MACs against 1k", ("lookup-miss-1000000", "podswitch"), "lookup-miss-1000", 4, 2, "lower"),
    ("TCP of the busy port, 1,000 ports against 1", ("crowd-tcp-1000", "podswitch"), "crowd-tcp-1", 0.9, 1.0, "higher"),
    ("flood of the busy port, 1,000 ports against 1", ("crowd-flood-1000", "podswitch"), "crowd-flood-1", 0.9, 1.0,
     "higher"),
    ("memory at 1,000 ports, MiB", ("memory-1000", "podswitch"), None, 64, 24, "lower"),
]


def short(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(rows):
    """Left-aligned first column, the others right-aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def cell(case, name):
    if name in case.failures:
        return "FAILED"
    value = case.median(name)
    if value is None:
        return ""
    ratio = case.ratio(name, base_of(name)) if name != base_of(name) else None
    return short(value) + (f" {short(ratio['median'])}x" if ratio else "")


def is_cpu(case):
    return case.unit == "s/GB"


def figures(results, heading, wanted):
    present = [name for name in COLUMNS if any(name in case.rounds or name in case.failures
                                               for case in results.cases.values())]
    rows = [[heading, "unit", *(HEADINGS[name] for name in present)]]
    for case in filter(wanted, results.cases.values()):
        if any(name in case.rounds or name in case.failures for name in present):
            unit = case.unit if case.better == "higher" else case.unit + " (less is better)"
            rows.append([case.title, unit, *(cell(case, name) for name in present)])
    return table(rows) if len(rows) > 1 else ""


def ablation(results):
    variants = [name for name in ("-" + knob for knob in KNOBS)] + ["spin 0", "spin 50", EPOLL]
    cases = [case for case in results.cases.values() if not is_cpu(case) and any(v in case.rounds for v in variants)]
    present = [name for name in variants if any(name in case.rounds for case in cases)]
    if not present:
        return ""
    rows = [["ratio to podswitch as it is", *present]]
    rows += [[case.title, *(ratio_text(case.ratio(name, "podswitch")) for name in present)] for case in cases]
    return table(rows)


def ratio_text(ratio):
    return f"{short(ratio['median'])}x" if ratio else ""


def reach(results, target):
    """The figure that is compared with floor and aim, or None"""
    _, (key, name), against, *_ = target
    case = results.cases.get(key)
    if not case or not case.median(name):
        return None
    if against is None:
        return {"median": case.median(name), "min": min(case.values(name)), "max": max(case.values(name))}
    if against in results.cases:
        return case.ratio(name, name, results.cases[against])
    return case.ratio(name, against)


def verdict(value, floor, aim, better):
    def passes(bound):
        return value >= bound if better == "higher" else value <= bound

    return "aim" if passes(aim) else "floor" if passes(floor) else "BELOW"


def targets(results):
    rows = [["to reach", "median", "min-max", "floor", "aim", "reached"]]
    for target in TARGETS:
        found = reach(results, target)
        if found:
            text, _, _, floor, aim, better = target
            rows.append([text, short(found["median"]), f"{short(found['min'])}-{short(found['max'])}", str(floor),
                         str(aim), verdict(found["median"], floor, aim, better)])
    return table(rows)


def report(results):
    parts = [figures(results, "median, and ratio to the kernel's", lambda case: not is_cpu(case)),
             figures(results, "CPU time, and ratio to the kernel's", is_cpu), ablation(results), targets(results)]
    return "\n\n".join(part for part in parts if part)
