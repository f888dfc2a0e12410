#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""selftest.py - whether the harness judges figures as it says: by made-up ones, so that it measures nothing

Run by make lint.
"""

import os
import tempfile

import floors
import limit
import machines
from result import Results

MACHINE = {"cpu": "AMD EPYC 7B13 64-Core Processor", "machine": "x86_64", "cores": 2, "kernel": "6.18.44-x",
           "hypervisor": True, "getppid_ns": 123.024, "memcpy_gb_s": 10.0, "commit": "abc", "date": "2026-01-01"}


def made_up():
    results = Results()
    results.environment = MACHINE
    for key, better, kernel, ours in (("tcp-1-up-on", "higher", (10, 20), (5, 20)),
                                      ("machine-1-up-on", "lower", (1.0, 0.5), (2.0, 1.0)),
                                      ("rr-idle-p50", "lower", (10, 10), (11, 13))):
        case = results.case(key, key, "", better)
        for number in (0, 1):
            results.record(case, "kernel", number, kernel[number])
            results.record(case, "podswitch", number, ours[number])
    case = results.case("tcp-1-up-on", "", "", "")
    results.record(case, "kernel bbr", 0, 5)
    results.record(case, "podswitch bbr", 0, 4)
    results.record(results.case("detach", "detach", "1/s", "higher"), "podswitch", 0, 199)
    return results


def verdicts(results):
    return {target.case: verdict for target, _, verdict in floors.judged(results)}


def check_ratios(results):
    case = results.cases["tcp-1-up-on"]
    assert case.ratio("podswitch", "kernel") == {"median": 0.75, "min": 0.5, "max": 1.0}
    assert case.json(False)["ratios"]["podswitch bbr"]["median"] == 0.8, "BBR is compared with BBR"


def check_limit(results):
    """2 copies at 10 GB/s and 2 calls of 123 ns for 61,512 bytes are 0.204 s a GB; the kernel takes 1.0 and 0.5 s"""
    assert abs(limit.extra(MACHINE) - 0.204) < 1e-6
    assert abs(limit.gbit_s(MACHINE, 1, 1, 1.0) - 8 * 2 / 1.204) < 1e-6
    many = MACHINE | {"cores": 64}
    assert abs(limit.gbit_s(many, 1, 1, 1.0) - 8 * 3 / 1.204) < 1e-6, "a stream and a switch are three threads"
    assert abs(limit.gbit_s(many, 32, 1, 1.0) - 8 / 0.204) < 1e-6, "a switch is one thread"
    found = limit.limit(results, "tcp-1-up-on", "podswitch")
    assert abs(found["max"] - 16 / 1.204 / 10) < 1e-3 and abs(found["min"] - 16 / 0.704 / 20) < 1e-3
    assert limit.limit(results, "rr-idle-p50", "podswitch") is None
    assert limit.limit(results, "tcp-1-up-on", "kernel bbr") is None


def check_floors(results):
    assert verdicts(results) == {"tcp-1-up-on": "BELOW", "rr-idle-p50": "floor", "detach": "BELOW"}
    said = floors.below(results)
    assert said.count("BELOW") == 2 and "0.75, not 0.85" in said and "1 of 3" in said
    results.cases["rr-idle-p50"].rounds["podswitch"][1] = 15.0
    results.cases["tcp-1-up-on"].rounds["podswitch"][0] = 15.0
    assert verdicts(results) == {"tcp-1-up-on": "aim", "rr-idle-p50": "BELOW", "detach": "BELOW"}


def check_kept(results):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, machines.slug(MACHINE) + ".json")
        results.write(path, details=False)
        again = Results.read(path)
    assert os.path.basename(path) == "amd-epyc-7b13-2c-6.18.json"
    assert all(again.cases[key].rounds == case.rounds for key, case in results.cases.items())
    table = machines.floors({"here": results, "there": again, "nothing": Results()}).splitlines()
    assert len(table) == 5 and all(line.count("|") == 7 for line in table)
    assert machines.everything({"here": results}).count("| podswitch | ") == 4
    assert "**0.75** (0.50-1.00) of 1.23 below | **0.75**" in table[2], table[2]


def main():
    for check in (check_ratios, check_limit, check_floors, check_kept):
        check(made_up())
    print("the harness judges as it says")


if __name__ == "__main__":
    main()
