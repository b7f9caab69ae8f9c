# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order everything is measured.

Survey: three rounds of every cell with everybody. Pairs: then at least twenty rounds of every cell
with the subject and, of each class that a goal is against, the best; what is left of the budget
goes to the cells whose verdict more pairs may turn. In a round all take part once; the order is
shuffled, and reversed in the round that follows (A B B A).
"""

import random
import time

from . import BenchError, say
from .cell_kinds import Turn
from .contenders import REGISTRY
from .machine import Interference
from .results import now
from .verdict import judge, ranked, rivals

SURVEY, PAIRS = "survey", "pairs"
OTHER = "penstock-other"   # measured wherever the subject is, when it is there
START_SECONDS = 0.3         # what a run takes besides its measured time, until it is known
MORE_PAIRS = 10             # at once, for a cell in doubt
PAIRS_MAX = 60
FINALISTS = 4               # as long as the survey has not told
FAILURES_MAX = 2            # in a row, then a contender is left out of a cell's survey


class Over(Exception):
    """The schedule ends early; its text says why."""


class Clock:
    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def left(self):
        return self.end - time.monotonic()

    def check(self):
        if self.left() <= 0:
            raise Over("the budget of time is used up")


class Pace:
    """How long a run of each cell takes, learned while they are made."""

    def __init__(self, seconds):
        self.default = seconds + START_SECONDS
        self.learned = {}

    def of(self, cell):
        return self.learned.get(cell.name, self.default)

    def learn(self, cell, seconds):
        self.learned[cell.name] = 0.7 * self.of(cell) + 0.3 * seconds


class Schedule:
    def __init__(self, cells, names, results, machine, clock, seconds, survey_rounds=3,
                 pairs=None, keep=None):
        self.cells = cells
        self.names = names          # contenders that are here, in the order of tables
        self.results = results
        self.machine = machine
        self.clock = clock
        self.seconds = seconds
        self.survey_rounds = survey_rounds
        self.pairs = pairs          # rounds after the survey; None: what each cell asks for
        self.keep = keep or {}      # class -> how many of its best go on to the pairs; else one
        self.pace = Pace(seconds)
        self.wanted = {}            # (cell name, phase) -> rounds

    def run(self):
        """Everything; Over or KeyboardInterrupt ends it early, with all finished rounds kept."""
        for cell in self.cells:
            self.wanted[cell.name, SURVEY] = self.survey_rounds
            pairs = cell.pairs if self.pairs is None else self.pairs
            self.wanted[cell.name, PAIRS] = pairs if cell.subject in self.everybody(cell) else 0
        self.phase(SURVEY, self.cells)
        self.fit_pairs()
        self.phase(PAIRS, self.cells)
        while self.pairs is None:
            doubtful = [cell for cell in self.cells if self.is_in_doubt(cell)]
            more = min(MORE_PAIRS, int(self.clock.left() / (self.cost(PAIRS, doubtful, 1) or 1)))
            if not doubtful or more < 1:
                break
            for cell in doubtful:
                self.wanted[cell.name, PAIRS] = self.results.rounds(cell, PAIRS) + more
            self.phase(PAIRS, doubtful)

    def fit_pairs(self):
        """Fewer pairs for everybody rather than none for the last ones."""
        cost = self.cost(PAIRS, self.cells)
        share = self.clock.left() / cost if cost else 1
        if share >= 1:
            return
        say(f"the budget is short: about {max(0, share):.0%} of the pairs that are wanted")
        for cell in self.cells:
            key = cell.name, PAIRS
            self.wanted[key] = max(self.results.rounds(cell, PAIRS),
                                   round(self.wanted[key] * max(0, share)))

    def is_surveyed(self):
        return not any(self.missing(cell, SURVEY) for cell in self.cells)

    def is_in_doubt(self, cell):
        return self.results.rounds(cell, PAIRS) < PAIRS_MAX \
            and any(verdict.in_doubt for verdict in self.verdicts(cell))

    def verdicts(self, cell):
        return judge(cell.describe(), self.results.of(cell))

    def missing(self, cell, phase):
        return max(0, self.wanted[cell.name, phase] - self.results.rounds(cell, phase))

    def cost(self, phase, cells, rounds=None):
        """Seconds that the rounds still to be made will take."""
        return sum((self.missing(cell, phase) if rounds is None else rounds)
                   * self.how_many(cell, phase) * self.pace.of(cell) for cell in cells)

    def how_many(self, cell, phase):
        if phase == PAIRS and not self.results.of(cell):
            return FINALISTS
        return len(self.who(cell, phase))

    # ---- who takes part ----

    def everybody(self, cell):
        return [name for name in self.names
                if name in (cell.subject, OTHER, *cell.contenders)
                and REGISTRY[name].why_not_role(cell.stage.role) is None]

    def who(self, cell, phase):
        everybody = self.everybody(cell)
        if phase == SURVEY:
            return everybody
        chosen = {cell.subject, OTHER, *cell.needs()}
        runs = [run for run in self.results.of(cell) if run["phase"] == SURVEY]
        described = cell.describe()
        for goal in described["goals"]:
            best = ranked(runs, rivals(described, runs, goal, cell.subject), goal["metric"])
            chosen.update(best[:self.keep.get(goal["against"], 1)])
        return [name for name in everybody if name in chosen]

    def order(self, cell, number, who):
        shuffled = sorted(who)
        random.Random(f"{cell.name} {number // 2}").shuffle(shuffled)
        return shuffled[::-1] if number % 2 else shuffled

    def has_failed(self, cell, name):
        last = [run["failed"] for run in self.results.of(cell)
                if run["contender"] == name and not run["discarded"]][-FAILURES_MAX:]
        return len(last) == FAILURES_MAX and all(last)

    # ---- measuring ----

    def phase(self, phase, cells):
        stages = dict.fromkeys(cell.stage for cell in cells)
        for stage in stages:
            mine = [cell for cell in cells if cell.stage is stage and self.missing(cell, phase)]
            if not mine:
                continue
            there = {name for cell in mine for name in self.who(cell, phase)}
            names = [name for name in self.names if name in there]
            with stage.open(self.machine, names, self.results) as fleet:
                self.rounds(fleet, phase, mine)

    def rounds(self, fleet, phase, cells):
        """Passes over the cells; a round that was discarded is made again in the next pass, but
        not for ever."""
        passes = 2 * max(self.missing(cell, phase) for cell in cells)
        for _ in range(passes):
            visited = [cell for cell in cells if self.missing(cell, phase)]
            if not visited:
                return
            for cell in visited:
                self.clock.check()
                self.round(fleet, phase, cell)

    def round(self, fleet, phase, cell):
        number = self.results.next_round(cell)
        noise = Interference(self.machine, fleet.processes.own_seconds)
        who = [name for name in self.who(cell, phase) if name not in fleet.gone
               and not (phase == SURVEY and self.has_failed(cell, name))]
        lines = []
        for name in self.order(cell, number, who):
            self.progress(phase, cell, name)
            began = time.monotonic()
            with fleet.turn(name) as contender:
                if contender is None:
                    continue
                found = self.measure(cell, contender, number)
            self.pace.learn(cell, time.monotonic() - began)
            if name in fleet.gone:
                found["failed"] = fleet.gone[name]
            lines.append({"cell": cell.name, "contender": name, "round": number, "phase": phase,
                          "at": now(), "discarded": None, "failed": None, **found})
        self.close_round(fleet, cell, lines, noise)

    def measure(self, cell, contender, number):
        turn = Turn(self.seconds, self.results.hgrm(cell, contender.name, number))
        try:
            return cell.measure(contender, turn)
        except BenchError as error:
            return {"failed": str(error), "metrics": {}}
        except OSError as error:        # the generator was being linked, say: no fault of theirs
            return {"discarded": str(error), "metrics": {}}

    def close_round(self, fleet, cell, lines, noise):
        """The round is over: what only now is known about all of it, then it is kept."""
        why = "stolen CPU" if noise.too_much_stolen() else None
        try:
            fleet.behind.check()
        except BenchError as error:
            why = str(error)
            raise
        finally:
            cell.derive([line for line in lines if not line["failed"]])
            share = round(noise.foreign_share(), 4)
            for line in lines:
                line["discarded"] = line["discarded"] or why
                line["foreign_share"] = share
            self.results.append(lines)
        for line in lines:
            if line["failed"]:
                say(f"{cell.name}: {line['contender']} failed: {line['failed'][:300]}")
        if cell.subject in fleet.gone:
            raise Over(f"{cell.subject}: {fleet.gone[cell.subject]}")

    def progress(self, phase, cell, name):
        done = self.results.rounds(cell, phase)
        wanted = self.wanted[cell.name, phase]
        rest = min(self.clock.left(),
                   self.cost(SURVEY, self.cells) + self.cost(PAIRS, self.cells))
        say(f"{phase} {done + 1}/{wanted}  {cell.name} "
            f"({1 + self.cells.index(cell)}/{len(self.cells)})  {name}  "
            f"about {hours(rest)} left", passing=True)


def hours(seconds):
    minutes = max(0, round(seconds / 60))
    return f"{minutes // 60}:{minutes % 60:02d} h"
