# SPDX-License-Identifier: Apache-2.0
"""result.py - figures: each with its rounds, their median and extremes, and their ratio to the kernel's

A ratio is the median of the ratios of each round, as the two figures of one round were measured within seconds of each
other. Nothing is left out: a round that failed is kept with its reason, and the harness then ends with status 1.
"""

import json
import statistics


def base_of(contender):
    """Whose figures a contender's are compared with: the kernel's with the same congestion control"""
    return "kernel bbr" if contender.endswith(" bbr") else "kernel"


def digits(value):
    """As many as a measurement can have"""
    return float(f"{value:.5g}")


def summary(values):
    return {"median": digits(statistics.median(values)), "min": min(values), "max": max(values)}


class Case:
    def __init__(self, key, title, unit, better):
        self.key, self.title, self.unit, self.better = key, title, unit, better
        self.rounds = {}  # contender -> {round: value}
        self.details = {}
        self.failures = {}

    def values(self, contender):
        return list(self.rounds.get(contender, {}).values())

    def median(self, contender):
        values = self.values(contender)
        return statistics.median(values) if values else None

    def ratio(self, contender, base, base_case=None):
        """None when there is nothing to compare"""
        ours, theirs = self.rounds.get(contender, {}), (base_case or self).rounds.get(base, {})
        pairs = [digits(ours[n] / theirs[n]) for n in ours if theirs.get(n)]
        return summary(pairs) if pairs else None

    def json(self, details):
        return {
            "title": self.title, "unit": self.unit, "better": self.better,
            "figures": {
                name: summary(list(rounds.values())) | {"rounds": rounds} for name, rounds in self.rounds.items()},
            "ratios": {name: ratio for name in self.rounds if (ratio := self.ratio(name, base_of(name)))},
            "failures": self.failures,
        } | ({"details": self.details} if details else {})


class Results:
    """`environment`: of the machine, and how it was measured"""

    def __init__(self):
        self.environment = {}
        self.cases = {}

    @classmethod
    def read(cls, path):
        """What write() wrote, but for the details"""
        with open(path) as file:
            document = json.load(file)
        results = cls()
        results.environment = document["environment"]
        for key, found in document["cases"].items():
            case = results.case(key, found["title"], found["unit"], found["better"])
            case.failures = found["failures"]
            case.rounds = {name: {int(number): value for number, value in figure["rounds"].items()}
                           for name, figure in found["figures"].items()}
        return results

    def case(self, key, title, unit, better):
        return self.cases.setdefault(key, Case(key, title, unit, better))

    def record(self, case, contender, number, value, detail=None):
        case.rounds.setdefault(contender, {})[number] = digits(value)
        case.details.setdefault(contender, []).append(detail)

    def fail(self, case, contender, why):
        case.failures.setdefault(contender, []).append(str(why))

    def failures(self):
        return [(case, name, why) for case in self.cases.values()
                for name, whys in case.failures.items() for why in whys]

    def write(self, path, details):
        """A line for each case. `details`: also what the generators said in each round"""
        cases = ",\n".join(f"{json.dumps(key)}: {json.dumps(case.json(details))}" for key, case in self.cases.items())
        with open(path, "w") as file:
            file.write(f'{{"environment": {json.dumps(self.environment)},\n"cases": {{\n{cases}\n}}}}\n')
