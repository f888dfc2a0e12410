# SPDX-License-Identifier: Apache-2.0
"""limit.py - how fast copies and system calls let a switch in user space be at most

Such a switch copies what the kernel's vxlan hands on by reference: each byte twice a switch (off one device, onto the
next), and each super-frame costs it a system call for either. All else may at best cost what it costs the kernel. So
a GB takes the machine

    K + switches * E seconds,   E = 2 / memcpy + 2 * getppid / FRAME

where K is what the kernel's vxlan took in the same round, and memcpy (GB a second) and getppid (ns; ns a byte are
seconds a GB) are the best that bench/machine measured before and between the rounds. That much work is done by as
many processors as there are threads at work, one at either end of a stream and one in each switch; and no switch,
being one thread, can be faster than 1 / E.

It holds for streams of super-frames. Where the kernel has to cut them into packets (no tunnel offload, a real wire), a
switch may do better than the kernel, and copies are not what bounds it.
"""

import re

from result import summary

SWITCHES = {"podswitch": 1, "podswitch tap": 1, "podswitch sockets": 1, "podswitch pair": 2, "podswitch pair tap": 2}
FRAME = 44 * 1398  # bytes of TCP in the longest train
CASE = re.compile(r"tcp-(\d+)-(up|down)-on$")


def extra(machine):
    """E: seconds of one switch for a GB"""
    return 2 / machine["memcpy_gb_s"] + 2 * machine["getppid_ns"] / FRAME


def gbit_s(machine, streams, switches, kernel_per_gb):
    """`kernel_per_gb`: K, seconds"""
    threads = min(machine["cores"], 2 * streams + switches)
    return 8 * min(threads / (kernel_per_gb + switches * extra(machine)), 1 / extra(machine))


def limit(results, key, name):
    """The limit as ratio to the kernel's throughput, or None where copies are not what bounds it"""
    found = CASE.match(key)
    work = results.cases.get(key.replace("tcp-", "machine-", 1))
    if not found or name not in SWITCHES or not work:
        return None
    rates = results.cases[key].rounds.get("kernel", {})
    ratios = [gbit_s(results.environment, int(found[1]), SWITCHES[name], spent) / rates[number]
              for number, spent in work.rounds.get("kernel", {}).items() if spent and rates.get(number)]
    return summary(ratios) if ratios else None
