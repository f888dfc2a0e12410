# SPDX-License-Identifier: Apache-2.0
"""plot.py - pictures of the figures, by gnuplot, each as SVG and as PNG: medians, with lines from least to most"""

import os
import shutil
import subprocess

from plan import EPOLL
from report import COLUMNS, HEADINGS, KNOBS, is_cpu
from result import base_of

COLOURS = ("#555555", "#0072b2", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#e69f00", "#f0e442", "#999999")
TERMINALS = {"svg": "svg size 1100,{height} dynamic font 'sans,13' background '#ffffff'",
             "png": "pngcairo size 1100,{height} font 'sans,11'"}
HEIGHT = 480
FRACTIONS = ", ".join(f"'{f'1/{1 / at:.0f}' if at < 1 else at}' {at}" for at in (1/256, 1/64, 1/16, 1/4, 1/2, 1, 2, 4, 8))
STYLE = """
set style data histograms
set style histogram errorbars gap 1.5 lw 1
set style fill solid 0.9 noborder
set grid ytics lt 1 lc rgb '#dddddd'
set errorbars 1 front lw 1 lc rgb '#222222'
set border 3
set xtics nomirror scale 0
set ytics nomirror
set key outside top center horizontal
set bmargin 4
"""


def gnuplot(folder, name, script, height=HEIGHT, suffixes=tuple(TERMINALS)):
    for suffix in suffixes:
        path = os.path.join(folder, f"{name}.{suffix}")
        whole = f"set terminal {TERMINALS[suffix].format(height=height)}\nset output '{path}'\n{script}\n"
        subprocess.run(["gnuplot"], input=whole, text=True, check=True, capture_output=True)


def block(rows):
    return "$data << EOD\n" + "\n".join(" ".join(map(str, row)) for row in rows) + "\nEOD\n"


def bars(folder, name, title, unit, groups, columns, extra="", suffixes=tuple(TERMINALS)):
    """`groups`: (label, {column: (median, min, max)}); `columns`: (name, heading)"""
    columns = [(key, heading, colour) for (key, heading), colour in zip(columns, COLOURS)
               if any(key in found for _, found in groups)]
    if not groups or not columns:
        return
    rows = [['"' + label.replace(", ", "\\n") + '"', *(n for key, *_ in columns for n in found.get(key, ("NaN",) * 3))]
            for label, found in groups]
    plots = ", ".join(f"$data using {2 + 3 * i}:{3 + 3 * i}:{4 + 3 * i}{'' if i else ':xtic(1)'} title '{heading}' "
                      f"lc rgb '{colour}'" for i, (_, heading, colour) in enumerate(columns))
    gnuplot(folder, name, f"{STYLE}set title '{title}'\nset ylabel '{unit}'\nset yrange [0:*]\n"
                          f"set xrange [-0.6:{len(groups) - 0.4}]\n{extra}\n"
                          f"{block(rows)}plot {plots}", suffixes=suffixes)


def values(case, names):
    found = {}
    for name in names:
        rounds = case.values(name)
        if rounds:
            found[name] = (case.median(name), min(rounds), max(rounds))
    return found


def of_cases(results, keys):
    """`keys`: (label, key of the case)"""
    return [(label, values(results.cases[key], COLUMNS)) for label, key in keys if key in results.cases]


HEADED = [(name, HEADINGS[name]) for name in COLUMNS]


def streams(folder, results, offload, title):
    keys = [(f"{n} {'up' if way == 'up' else 'down'}", f"tcp-{n}-{way}-{offload}")
            for way in ("up", "down") for n in (1, 4, 32)]
    bars(folder, f"tcp-{offload}", title, "Gbit/s", of_cases(results, keys), HEADED)


def packets(folder, results):
    keys = [(f"{size} B, {text}", f"{kind}-{size}-up") for size in (64, 256, 1400)
            for kind, text in (("flood", "flood"), ("clean", "< 1 % loss"))]
    bars(folder, "udp", "UDP, pod to gateway, one flow: delivered packets", "thousand a second",
         of_cases(results, keys), HEADED)


def latency(folder, results):
    keys = [(f"{place}, {share}", f"rr-{place}-{share.replace('.', '')}") for place in ("idle", "beside")
            for share in ("p50", "p99", "p99.9")]
    bars(folder, "latency", "UDP request and response, idle and beside a TCP stream", "us (less is better)",
         of_cases(results, keys), HEADED, "set yrange [1:*]\nset logscale y")


def knobs(folder, results, name="knobs", suffixes=tuple(TERMINALS)):
    variants = [("-" + knob, "without " + knob) for knob in KNOBS]
    variants += [("spin 0", "spin 0"), ("spin 50", "spin 50 us"), (EPOLL, "epoll")]
    keys = [("TCP 1 up", "tcp-1-up-on"), ("TCP 4 up", "tcp-4-up-on"), ("TCP 1 down", "tcp-1-down-on"),
            ("TCP 4 down", "tcp-4-down-on"), ("TCP 1 up, offload off", "tcp-1-up-off"),
            ("TCP 1 down, offload off", "tcp-1-down-off"), ("UDP 64 B, flood", "flood-64-up")]
    groups = []
    for label, key in keys:
        case = results.cases.get(key)
        ratios = {who: case.ratio(who, "podswitch") for who, _ in variants if case and case.ratio(who, "podswitch")}
        if ratios:
            groups.append((label, {who: (r["median"], r["min"], r["max"]) for who, r in ratios.items()}))
    bars(folder, name, "What each technique is worth: figures without it, podswitch as it is being 1", "ratio",
         groups, variants, "set arrow from graph 0, first 1 to graph 1, first 1 nohead dt 2 front", suffixes)


def lookups(folder, results):
    rows = []
    for size in (10, 1000, 100000, 1000000):
        cases = [results.cases.get(f"lookup-{kind}-{size}") for kind in ("hit", "miss")]
        if all(cases):
            rows.append([size, *(n for case in cases for n in values(case, ("podswitch",))["podswitch"])])
    if rows:
        gnuplot(folder, "lookup", "set title 'One look-up in the table'\nset logscale x\n"
                "set xlabel 'MACs in the table'\nset rmargin 5\nset ylabel 'ns'\nset yrange [0:*]\n"
                "set key left top\nset grid\nset format x '%.0s%c'\n"
                f"{block(rows)}plot $data using 1:2:3:4 with yerrorlines title 'there' lc rgb '{COLOURS[1]}' pt 7, "
                f"$data using 1:5:6:7 with yerrorlines title 'not there' lc rgb '{COLOURS[4]}' pt 7")


def better_ratio(case, name):
    """The ratio to the kernel's, turned so that more is better"""
    ratio = case.ratio(name, base_of(name))
    if not ratio or not ratio["min"]:
        return None
    turned = tuple(ratio[key] for key in ("median", "min", "max"))
    return turned if case.better == "higher" else (1 / turned[0], 1 / turned[2], 1 / turned[1])


def ratios(folder, rows, series, suffixes=tuple(TERMINALS)):
    """`rows`: (title, {name: its better_ratio()}); `series`: (name, heading, colour)"""
    if not rows:
        return
    lines = [[f'"{title}"', len(rows) - i, *(n for name, *_ in series for n in found.get(name, ("NaN",) * 3))]
             for i, (title, found) in enumerate(rows)]
    plots = ", ".join(f"$data using {3 + 3 * i}:2:{4 + 3 * i}:{5 + 3 * i}:ytic(1) with xerrorbars pt 7 ps 1.1 "
                      f"lc rgb '{colour}' title '{heading}'" for i, (_, heading, colour) in enumerate(series))
    height = 140 + 24 * len(rows)  # the title and the key are centred on the page: beside the labels they have no room
    gnuplot(folder, "ratios",
            "set label \"Ratio to the kernel's vxlan (of times its reciprocal): right of 1 is better\" "
            f"at screen 0.5, screen {1 - 14 / height} center\nset tmargin 5\n"
            f"set key at screen 0.5, screen {1 - 28 / height} center top horizontal maxcols 3\n"
            "set logscale x 2\nset grid\n"
            f"set xtics ({FRACTIONS})\n"
            f"set yrange [0.3:{len(rows) + 0.7}]\nset arrow from 1, graph 0 to 1, graph 1 nohead lw 2\n"
            f"{block(lines)}plot {plots}", height, suffixes)


def contenders(folder, results):
    ours = [name for name in COLUMNS if name != base_of(name)]
    rows = [(case.title, {name: ratio for name in ours if (ratio := better_ratio(case, name))})
            for case in results.cases.values() if not is_cpu(case)]
    series = [(name, HEADINGS[name], colour) for name, colour in zip(COLUMNS, COLOURS)
              if any(name in found for _, found in rows)]
    ratios(folder, [row for row in rows if row[1]], series)


def machines(folder, every, suffixes):
    """`every`: name -> results; podswitch as it is by default"""
    cases = {key: case for results in every.values() for key, case in results.cases.items()}
    rows = [(case.title, {name: ratio for name, results in every.items()
                          if key in results.cases and (ratio := better_ratio(results.cases[key], "podswitch"))})
            for key, case in cases.items() if not is_cpu(case)]
    ratios(folder, [row for row in rows if row[1]], [(name, name, colour) for name, colour in zip(every, COLOURS[1:])],
           suffixes)


def draw(folder, results):
    streams(folder, results, "on", "TCP, veths as the kernel makes them (up: pod to gateway)")
    streams(folder, results, "off", "TCP, underlay without tunnel offload (up: pod to gateway)")
    streams(folder, results, "wire", "TCP, real packets on the wire (up: pod to gateway)")
    packets(folder, results)
    latency(folder, results)
    knobs(folder, results)
    lookups(folder, results)
    contenders(folder, results)


def attempt(drawing, *what):
    """None, or what kept it from being done"""
    if not shutil.which("gnuplot"):
        return "gnuplot is not installed"
    try:
        drawing(*what)
    except subprocess.CalledProcessError as failure:
        return f"gnuplot: {failure.stderr.strip()}"
    return None
