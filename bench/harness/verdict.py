# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of a cell: the subject against the best of a class, by ratios within one round.

It works on plain data, the cells of meta.json and the lines of runs.jsonl, so that bench/run,
bench/report and bench/quick.py say the same.
"""

import collections
from dataclasses import dataclass

from . import stats

SLACK = 0.05            # a goal is met when the interval's upper end is at most limit + SLACK
ABSOLUTE = "absolute"   # a goal for the value itself


@dataclass(frozen=True)
class Comparison:
    best: str
    ratio: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Verdict(Comparison):
    metric: str
    against: str
    limit: float
    met: bool

    @property
    def in_doubt(self):
        """More pairs may turn a verdict whose median is good enough."""
        return not self.met and self.ratio <= self.limit + SLACK


def values_of(runs, name, metric):
    """{round: value} of the runs that count."""
    return {run["round"]: run["metrics"][metric] for run in runs
            if run["contender"] == name and not run.get("discarded") and not run.get("failed")
            and run["metrics"].get(metric) is not None}


def median_of(runs, name, metric):
    values = values_of(runs, name, metric).values()
    return stats.median(values) if values else None


def ranked(runs, names, metric):
    """Those of `names` that have figures, cheapest median first."""
    found = {name: values_of(runs, name, metric) for name in names}
    return sorted((name for name in found if found[name]),
                  key=lambda name: stats.median(found[name].values()))


def compare(runs, subject, names, metric):
    """The subject against the cheapest of `names`, or None. Who was left out of the later rounds
    was not the best in the first ones, so only those with many pairs come into question."""
    mine = values_of(runs, subject, metric)
    ratios = {name: stats.paired_ratios(mine, values_of(runs, name, metric)) for name in names}
    most = max(map(len, ratios.values()), default=0)
    for name in ranked(runs, [name for name in names if 2 * len(ratios[name]) > most], metric):
        low, high, _ = stats.sign_interval(ratios[name])
        return Comparison(name, stats.median(ratios[name]), low, high, len(ratios[name]))
    return None


def absolute(runs, subject, metric):
    values = values_of(runs, subject, metric).values()
    if not values:
        return None
    low, high, _ = stats.sign_interval(values)
    return Comparison(ABSOLUTE, stats.median(values), low, high, len(values))


def rivals(cell, runs, goal, subject):
    """The names of the class that a goal is against, among those that were measured."""
    there = collections.Counter(run["contender"] for run in runs)
    against = goal["against"]
    if against == "peer":
        names = cell["peers"]
    elif against == "bare":
        names = [name for name in there if name.startswith("bare-")]
    else:
        names = [against]
    return [name for name in names if name in there and name != subject]


def judge(cell, runs):
    """A verdict for every goal of a cell for which something was measured."""
    verdicts = []
    subject = cell.get("subject", "penstock")
    for goal in cell["goals"]:
        metric, limit = goal["metric"], goal["limit"]
        found = absolute(runs, subject, metric) if goal["against"] == ABSOLUTE else \
            compare(runs, subject, rivals(cell, runs, goal, subject), metric)
        if found:
            verdicts.append(Verdict(**vars(found), metric=metric, against=goal["against"],
                                    limit=limit, met=found.high <= limit + SLACK))
    return verdicts
