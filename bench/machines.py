#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""machines.py - the runs that were kept, side by side: nothing is claimed of one machine alone

    sudo make bench BENCH_ARGS=--keep    measures, and writes bench/results/MACHINE.json
    bench/machines.py                    of all that are there: the tables in RESULTS.md and results/TABLE.md, the plots

MACHINE is the processor, how many, and the kernel; a new run on the same machine replaces the last one. A cell of the
tables is the ratio to the kernel's figure (or the figure itself, where the kernel has none), in brackets the least
and the most of the rounds; "of" is followed by what copies alone allow (limit.py).
"""

import glob
import os
import re
import sys

import plot
from floors import TARGETS
from limit import limit
from report import COLUMNS, HEADINGS
from result import Results, base_of, summary
from text import short

HERE = os.path.dirname(os.path.realpath(__file__))
RESULTS = os.path.join(HERE, "results")
PAGE = os.path.join(HERE, "RESULTS.md")
BEGIN, END = "<!-- bench/machines.py writes from here -->\n", "<!-- to here -->\n"


def slug(environment):
    """As amd-epyc-2c-6.18: what a file of results is called"""
    cpu = environment["cpu"] or environment["machine"]
    cpu = re.sub(r"\((r|tm)\)|\bcpu\b|@.*|\b(\d+-core )?processor\b", " ", cpu.lower())
    kernel = ".".join(environment["kernel"].split(".")[:2])
    return f"{'-'.join(re.findall('[a-z0-9]+', cpu))}-{environment['cores']}c-{kernel}"


def keep(results):
    """Writes the file of this machine; its path"""
    path = os.path.join(RESULTS, slug(results.environment) + ".json")
    results.write(path, details=False)
    return path


def span(found):
    return f"{short(found['median'])} ({short(found['min'])}-{short(found['max'])})"


def cell(results, key, name):
    case = results.cases.get(key)
    if not case or not case.median(name):
        return ""
    most = limit(results, key, name)
    ratio = case.ratio(name, base_of(name))
    return (span(ratio) if ratio else f"{span(summary(case.values(name)))} {case.unit}") + (
        f" of {short(most['median'])}" if most else "")


def reached(results, target):
    found = target.found(results)
    if not found:
        return ""
    verdict = target.verdict(found["median"], results.cases[target.case].better)
    most = target.against is None and limit(results, target.case, target.name)
    mark = "**" if verdict == "BELOW" else ""
    return (f"{mark}{short(found['median'])}{mark} ({short(found['min'])}-{short(found['max'])})"
            + (f" of {short(most['median'])}" if most else "") + (" below" if mark else ""))


def markdown(heading, rows):
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def floors(machines):
    cells = {target: [reached(results, target) for results in machines.values()] for target in TARGETS}
    rows = [[target.text, str(target.floor), str(target.aim or "-"), *found]
            for target, found in cells.items() if any(found)]
    return markdown(["podswitch as it is by default", "floor", "aim", *machines], rows)


def everything(machines):
    cases = {key: case for results in machines.values() for key, case in results.cases.items()}
    rows = []
    for key, case in cases.items():
        for name in COLUMNS:
            cells = [cell(results, key, name) for results in machines.values()]
            if name != base_of(name) and any(cells):
                less = "" if case.better == "higher" else " (less is better)"
                rows.append([f"`{key}`", case.title + less, HEADINGS[name], *cells])
    return markdown(["key", "case", "who", *machines], rows)


def describe(name, environment):
    return (f"- `{name}`: {environment['cpu']}, {environment['cores']} cores"
            f"{' (virtual)' if environment['hypervisor'] else ''}, Linux {environment['kernel']}, getppid "
            f"{environment['getppid_ns']:.0f} ns, memcpy {environment['memcpy_gb_s']:.0f} GB/s; commit "
            f"{environment['commit']}, {environment['date'][:10]}\n")


def has_knobs(results):
    """A run of the main contenders alone has not turned any"""
    return any(case.median("spin 0") for case in results.cases.values())


def section(machines):
    pictures = ["![Ratios to the kernel's vxlan](results/ratios.svg)\n"]
    pictures += [f"![What a knob is worth, {name}](results/knobs-{name}.svg)\n"
                 for name, results in machines.items() if has_knobs(results)]
    return "\n".join(["".join(describe(name, results.environment) for name, results in machines.items()),
                      floors(machines), *pictures])


def draw(machines):
    for name, results in machines.items():
        if has_knobs(results):
            plot.knobs(RESULTS, results, f"knobs-{name}", ("svg",))
    plot.machines(RESULTS, machines, ("svg",))


def main():
    paths = sorted(glob.glob(os.path.join(RESULTS, "*.json")))
    if not paths:
        sys.exit(f"machines: no run was kept in {RESULTS}: sudo make bench BENCH_ARGS=--keep")
    machines = {os.path.basename(path).removesuffix(".json"): Results.read(path) for path in paths}
    with open(PAGE) as file:
        before, rest = file.read().split(BEGIN)
    with open(PAGE, "w") as file:
        file.write(before + BEGIN + "\n" + section(machines) + "\n" + END + rest.split(END)[1])
    with open(os.path.join(RESULTS, "TABLE.md"), "w") as file:
        file.write("# Every figure, as ratio to the kernel's\n\nbench/machines.py writes this page and says what is in "
                   f"a cell.\n\n{everything(machines)}")
    lacking = plot.attempt(draw, machines)
    print(f"{PAGE}, TABLE.md" + (f"; no plots: {lacking}" if lacking else ", and plots"))


if __name__ == "__main__":
    main()
