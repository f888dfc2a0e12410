#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench.py - podswitch beside the kernel's vxlan and Open vSwitch, in one run on one machine

    sudo make bench           everything, about half an hour
    sudo make bench-quick     what has a floor, under 2 minutes
    bench/bench.py --help     choose contenders, cases, rounds; keep the figures for machines.py

Prints a line for each step, then the tables and what is below its floor (floors.py); writes build/bench/results.json
(every figure with its rounds and what the generators said, and the machine it was measured on) and the plots beside it
(SVG and PNG).

Who meets whom, and why that is fair: lane.py. How a figure is taken: measure.py and load.c. Which cases: plan.py and
crowd.py. How rounds become a ratio: result.py. What copies alone allow: limit.py.

What to know before believing a figure:

  - All ends run on this one machine: the figures are of a pod, a switch, and a gateway that share its processors, and
    the ratios to the kernel's vxlan beside it are what they are for. Nothing is pinned.
  - The machine should have nothing else to do. What it was doing before the start is written down, and warned of.
  - Contenders alternate within a round, so that a slow minute hits all of them.
  - TCP's congestion control is Cubic, and BBR where a heading says so; what the machine's default is does not matter.
  - The receiver counts what it copied out; streams are compared with what was sent at the ends of each piece.
  - UDP's receivers have 8 MiB of buffer, and say (overflow) when even that lost packets, which counts as loss.
  - Request and response take turns, 64 bytes; one that is lost counts as 100 ms.

All traffic is in namespaces named benchPID-...; they, and what runs in them, are gone when this ends, by Ctrl-C too.
"""

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import crowd
import machines
import measure
import plot
from lane import UNDERLAYS, Lane, has_congestion, has_ovs, has_wireguard
from place import SIGNALS, Failed, House, run
from plan import BBR, FULL, KNOBS, NEEDED, QUICK, TAP, plan
from report import report
from result import Results
from text import short

HERE = os.path.dirname(os.path.realpath(__file__))
BUSY = 0.05  # share of the processors' time beyond which a machine is not idle


def arguments():
    parser = argparse.ArgumentParser(description="podswitch beside the kernel's vxlan and Open vSwitch")
    parser.add_argument("--quick", action="store_true", help="the core cases, under 2 minutes")
    parser.add_argument("--build", default=os.path.join(HERE, "../build"), help="where the programs are (build)")
    parser.add_argument("--rounds", type=int, help="how often each figure is taken (3)")
    parser.add_argument("--seconds", type=float, help="window of a figure (1.5; quick: 0.5)")
    parser.add_argument("--cases", type=re.compile, help="only cases whose key matches this regular expression")
    parser.add_argument("--contenders", help="only these, by name, with commas between")
    parser.add_argument("--keep", action="store_true", help="also write bench/results/MACHINE.json, for machines.py")
    parser.add_argument("--no-crowd", action="store_true", help="leave out the cases with 1,000 ports")
    return parser.parse_args()


# ---- the machine ----


def first_match(path, pattern):
    try:
        with open(path) as file:
            found = re.search(pattern, file.read(), re.MULTILINE)
            return found.group(1).strip() if found else None
    except OSError:
        return None


def mitigations():
    folder = "/sys/devices/system/cpu/vulnerabilities"
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    states = {name: first_match(os.path.join(folder, name), r"(.*)") for name in names}
    return {name: state for name, state in states.items() if state != "Not affected"}


def commit():
    try:
        git = ["git", "-c", "safe.directory=*", "-C", HERE]
        dirty = subprocess.run([*git, "diff", "--quiet", "HEAD"], stderr=subprocess.DEVNULL).returncode
        return run(*git, "rev-parse", "--short=12", "HEAD").strip() + ("-dirty" if dirty else "")
    except (Failed, OSError):
        return None


def busy_before():
    begin, work = time.monotonic(), measure.machine_busy()
    time.sleep(1)
    return (measure.machine_busy() - work) / (time.monotonic() - begin) / os.cpu_count()


def ask_machine(build, env):
    """The best of each that it has shown in this run: what copies allow is not to be less for a neighbour's sake."""
    for key, value in json.loads(run(f"{build}/bench/machine")).items():
        best = max if key == "memcpy_gb_s" else min
        env[key] = best(value, env.get(key, value))


def environment(build, times, everyone, knobs):
    busy = busy_before()
    if busy > BUSY:
        print(f"bench: the machine is {100 * busy:.0f} % busy with other things: the figures will be noisy", flush=True)
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "kernel": platform.release(),
        "machine": platform.machine(), "cpu": first_match("/proc/cpuinfo", r"^model name\s*:(.*)"),
        "cores": os.cpu_count(), "hypervisor": first_match("/proc/cpuinfo", r"\b(hypervisor)\b") is not None,
        "memory_mib": int(first_match("/proc/meminfo", r"MemTotal:\s+(\d+)") or 0) // 1024,
        "mitigations": mitigations(), "busy_before": round(busy, 3), "load_before": os.getloadavg()[0],
        "commit": commit(),
        "podswitchd": run(f"{build}/podswitchd", "--version").strip(),
        "ovs": run("ovs-vswitchd", "--version").splitlines()[0] if has_ovs() else None,
        "knobs": knobs, "times": vars(times),
        "contenders": {contender.name: asdict(contender) for contender in everyone},
    }


def describe(env):
    return (f"{env['cpu']}, {env['cores']} cores, Linux {env['kernel']}, getppid {env['getppid_ns']} ns, memcpy "
            f"{env['memcpy_gb_s']} GB/s, eventfd {env['eventfd_round_trip_us']} us, commit {env['commit']}")


def preflight(build):
    if os.geteuid():
        raise Failed("network namespaces need root: run sudo make bench")
    for program in ("podswitchd", "bench/load", "bench/lookup", "bench/machine"):
        if not os.access(f"{build}/{program}", os.X_OK):
            raise Failed(f"{build}/{program} is not there: run sudo make bench, which builds it")
    run("unshare", "--net", "ip", "link", "add", "vxlan0", "type", "vxlan", "id", "1", "dstport", "4789")


# ---- the rounds ----


def take(results, step, lane, times, number):
    """One figure or several of one contender; says what the first one was."""
    cases = [results.case(*figure[:4]) for figure in step.figures]
    name = lane.contender.name
    try:
        if lane.switch:
            lane.switch.check()
        if not lane.under:
            lane.offload(step.ground)
        found = step.take(lane, times)
    except Failed as why:
        results.fail(cases[0], name, why)
        return "FAILED"
    detail = found
    for case, figure in zip(cases, step.figures):
        if found.get(figure[4]) is not None:
            results.record(case, name, number, found[figure[4]], detail)
            detail = None  # once is enough
    return short(found[step.figures[0][4]])


def play_round(results, steps, lanes, times, number):
    for step in steps:
        order = [lane for lane in lanes if lane.contender.name in step.contenders and lane.under == step.under]
        said = {}
        for lane in order if number % 2 else reversed(order):
            said[lane.contender.name] = take(results, step, lane, times, number)
        words = ", ".join(f"{lane.contender} {said[lane.contender.name]}" for lane in order)
        print(f"round {number}: {step.figures[0][1]} ({step.figures[0][2]}): {words}", flush=True)


def make_lanes(house, build, everyone, steps, results):
    """A contender that does not come up is skipped with a line, and the harness then ends with status 1."""
    wanted = [(contender, under) for under in (None, *UNDERLAYS) for contender in everyone
              if any(contender.name in step.contenders and under == step.under for step in steps)]
    lanes = []
    for number, (contender, under) in enumerate(wanted):
        try:
            lanes.append(Lane(house, build, contender, number, under))
        except Failed as why:
            if contender.name in NEEDED and not under:
                raise
            print(f"bench: {contender}{f' over {under}' if under else ''} did not come up: skipped", flush=True)
            results.fail(results.case("setup", "coming up", "", "higher"), contender.name, why)
    return lanes


def check_knobs(lanes, env):
    """What was in force at the end: podswitchd turns off by itself what does not work, and a fallback is no result."""
    for lane in lanes:
        if not lane.switch or lane.switch.program.process.poll() is not None:
            continue
        features = lane.switch.call("status.get").get("features", {})
        env["contenders"][lane.contender.name]["features"] = features
        given = dict(zip(lane.contender.arguments[::2], lane.contender.arguments[1::2]))
        for option, value in given.items():
            actual = features.get(option[2:].replace("-", "_"))
            if isinstance(actual, bool) and actual != (value == "on") and value in ("on", "off"):
                print(f"bench: {lane.contender}: asked for {option} {value}, but at the end it was otherwise")


def look_ups(build, results):
    for size, kinds in json.loads(run(f"{build}/bench/lookup")).items():
        for kind, rounds in kinds.items():
            text = "that is there" if kind == "hit" else "that is not there"
            case = results.case(f"lookup-{kind}-{size}", f"look-up of a MAC {text}, among {int(size):,}", "ns", "lower")
            for number, value in enumerate(rounds):
                results.record(case, "podswitch", number, value)


def crowds(house, build, results, times):
    places = crowd.make_places(house)
    for number in range(1, times.crowds + 1):
        print(f"round {number}: up to 1,000 ports", flush=True)
        try:
            crowd.crowd(house, build, results, times, number, places)
        except Failed as why:
            results.fail(results.case("crowd", "1,000 ports", "", "higher"), crowd.WHO, why)


def choose(options, knobs):
    times = QUICK if options.quick else FULL
    changes = {key: value for key, value in (("rounds", options.rounds), ("seconds", options.seconds)) if value}
    times = type(times)(**(vars(times) | changes))
    everyone, steps = plan(options.quick, knobs)
    if options.contenders:
        wanted = options.contenders.split(",")
        everyone = [contender for contender in everyone if contender.name in wanted]
    if options.cases:
        steps = [step for step in steps if any(options.cases.search(figure[0]) for figure in step.figures)]
    taking_part = set().union(*(step.contenders for step in steps))
    return times, [contender for contender in everyone if contender.name in taking_part], steps


def bench(options, build):
    results = Results()
    defaults = re.findall(r"--([a-z-]+) .*\((\w+)\)$", run(f"{build}/podswitchd", "--help"), re.MULTILINE)
    knobs = {name: value for name, value in defaults if name in (*KNOBS, TAP, "spin", "io")}
    times, everyone, steps = choose(options, knobs)
    if not has_ovs():
        print("bench: Open vSwitch is not installed: skipped (Debian: apt-get install openvswitch-switch)")
    if not has_wireguard():
        print("bench: no WireGuard underlay: this kernel has no such device, or wg is not installed (wireguard-tools)")
    if not has_congestion(BBR):
        print("bench: this kernel has no BBR: its columns are left out (CONFIG_TCP_CONG_BBR, or modprobe tcp_bbr)")
    env = results.environment = environment(build, times, everyone, knobs)
    ask_machine(build, env)
    print(describe(env), flush=True)
    with House() as house:
        lanes = make_lanes(house, build, everyone, steps, results)
        for number in range(1, times.rounds + 1):
            play_round(results, steps, lanes, times, number)
            ask_machine(build, env)
        check_knobs(lanes, env)
        for lane in lanes:
            lane.close()
        if not options.no_crowd:
            crowds(house, build, results, times)
    if not options.quick:
        look_ups(build, results)
    return results


def kept(results):
    busy = results.environment["busy_before"]
    if busy > BUSY or results.failures():
        print(f"bench: not kept: {'a figure is missing' if results.failures() else 'the machine was busy'}")
    else:
        print(f"{machines.keep(results)}; bench/machines.py puts it beside the others")


def finish(results, folder, keep):
    results.write(f"{folder}/results.json", details=True)
    print("\n" + report(results) + "\n")
    for case, name, why in results.failures():
        print(f"bench: {case.title or case.key}, {name}: FAILED: {why}")
    lacking = plot.attempt(plot.draw, folder, results)
    print(f"{folder}/results.json" + (f"; not all plots: {lacking}" if lacking else ", and plots beside it"))
    if keep:
        kept(results)
    return 1 if results.failures() else 0


def leave(number, _frame):
    sys.exit(128 + number)


def main():
    options = arguments()
    build = os.path.realpath(options.build)
    for number in SIGNALS:
        signal.signal(number, leave)
    try:
        preflight(build)
        results = bench(options, build)
    except Failed as why:
        print(f"bench: {why}", file=sys.stderr)
        return 1
    return finish(results, f"{build}/bench", options.keep)


if __name__ == "__main__":
    sys.exit(main())
