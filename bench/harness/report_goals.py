# SPDX-License-Identifier: GPL-3.0-or-later
"""The goals of all cells with their verdicts, as the report counts and sorts them."""

import math
from dataclasses import dataclass

from . import verdict
from .report_blocks import LOST, MET, OPEN


@dataclass(frozen=True)
class Goal:
    cell: dict
    metric: dict
    against: str
    limit: float            # None: a comparison that is shown, no goal
    verdict: object         # of verdict.judge; None: not enough was measured

    @property
    def word(self):
        if self.verdict is None:
            return OPEN
        return MET if self.verdict.met else LOST

    def urgency(self):
        """Sorts lost goals first, the farthest off at the top, and met ones last."""
        v = self.verdict
        return ((LOST, OPEN, MET).index(self.word), -(v.high - v.limit) if v else 0)


def of_cell(results, cell):
    verdicts = {(v.metric, v.against): v for v in verdict.judge(cell, results.of_cell(cell))}
    metrics = {metric["key"]: metric for metric in cell["metrics"]}
    return [Goal(cell, metrics[goal["metric"]], goal["against"],
                 goal["limit"] if math.isfinite(goal["limit"]) else None,
                 verdicts.get((goal["metric"], goal["against"])))
            for goal in cell["goals"]]


def of_all(results):
    return [goal for cell in results.cells for goal in of_cell(results, cell)]


def words_of_cells(goals):
    """{cell name: LOST, OPEN or MET}: a cell is as good as its worst goal."""
    found = {}
    for goal in sorted(goals, key=Goal.urgency):
        found.setdefault(goal.cell["name"], goal.word)
    return found
