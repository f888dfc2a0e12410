# SPDX-License-Identifier: Apache-2.0
"""report.py - the tables that people read"""

from floors import below, targets
from limit import limit
from plan import EPOLL, KNOBS
from result import base_of
from text import short, table

HEADINGS = {"kernel": "kernel", "podswitch": "podswitch", "podswitch tap": "podswitch, TAP",
            "podswitch sockets": "podswitch, sockets", "podswitch pair": "both ends",
            "podswitch pair tap": "both ends, TAP", "ovs": "Open vSwitch",
            "kernel bbr": "kernel, BBR", "podswitch bbr": "podswitch, BBR"}
COLUMNS = list(HEADINGS)


def cell(results, case, name):
    if name in case.failures:
        return "FAILED"
    value = case.median(name)
    if value is None:
        return ""
    ratio = case.ratio(name, base_of(name)) if name != base_of(name) else None
    most = limit(results, case.key, name)
    return (short(value) + (f" {short(ratio['median'])}x" if ratio else "")
            + (f" of {short(most['median'])}x" if most else ""))


def is_cpu(case):
    return case.unit == "s/GB"


def figures(results, heading, wanted):
    present = [name for name in COLUMNS if any(name in case.rounds or name in case.failures
                                               for case in results.cases.values())]
    rows = [[heading, "unit", *(HEADINGS[name] for name in present)]]
    for case in filter(wanted, results.cases.values()):
        if any(name in case.rounds or name in case.failures for name in present):
            unit = case.unit if case.better == "higher" else case.unit + " (less is better)"
            rows.append([case.title, unit, *(cell(results, case, name) for name in present)])
    return table(rows)


def ablation(results):
    variants = [name for name in ("-" + knob for knob in KNOBS)] + ["spin 0", "spin 50", EPOLL]
    cases = [case for case in results.cases.values() if not is_cpu(case) and any(v in case.rounds for v in variants)]
    present = [name for name in variants if any(name in case.rounds for case in cases)]
    rows = [["ratio to podswitch as it is", *present]]
    rows += [[case.title, *(ratio_text(case.ratio(name, "podswitch")) for name in present)] for case in cases]
    return table(rows)


def ratio_text(ratio):
    return f"{short(ratio['median'])}x" if ratio else ""


def report(results):
    parts = [figures(results, "median, ratio to the kernel's, of what copies allow (limit.py)",
                     lambda case: not is_cpu(case)),
             figures(results, "CPU time, and ratio to the kernel's", is_cpu), ablation(results), targets(results),
             below(results)]
    return "\n\n".join(part for part in parts if part)
