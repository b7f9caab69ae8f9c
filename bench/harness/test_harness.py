# SPDX-License-Identifier: GPL-3.0-or-later
"""The statistics, the verdicts, the schedule and the results directory, without any process.

    cd bench && python3 -m unittest harness.test_harness
"""

import contextlib
import dataclasses
import itertools
import json
import pathlib
import tempfile
import types
import unittest
from unittest import mock

from . import BenchError, catalog, cell_kinds, results, schedule, stages, stats, verdict
from .cell_kinds import Goal, Metric

COSTS = {"penstock": 1.0, "haproxy-copy": 1.25, "haproxy-splice": 2.0, "bare-copy-epoll": 0.8}
NAMES = list(COSTS)


def a_line(contender, number, cost, **more):
    return {"cell": "cell", "contender": contender, "round": number, "phase": "pairs",
            "discarded": None, "failed": None, "metrics": {"cost": cost}, **more}


def described(*goals, peers=("haproxy-copy", "haproxy-splice")):
    return {"goals": [vars(goal) for goal in goals], "peers": list(peers)}


class Stats(unittest.TestCase):
    def test_sign_interval(self):
        self.assertEqual(stats.sign_interval([3, 1, 2])[:2], (1, 3))    # too few: all of them
        low, high, coverage = stats.sign_interval(range(1, 21))
        self.assertEqual((low, high), (6, 15))                          # as in every table
        self.assertGreaterEqual(coverage, 0.95)

    def test_ratios_are_of_rounds_that_both_have(self):
        self.assertEqual(stats.paired_ratios({1: 4.0, 2: 6.0, 3: 1.0}, {1: 2.0, 3: 0.0}), [2.0])


class Verdicts(unittest.TestCase):
    def runs(self, rounds=20):
        return [a_line(name, number, cost * (1 + number % 3 / 100))
                for number in range(rounds) for name, cost in COSTS.items()]

    def test_against_the_cheapest_of_each_class(self):
        peer, bare = verdict.judge(described(Goal("cost", "peer", 0.95),
                                             Goal("cost", "bare", 1.05)), self.runs())
        self.assertEqual((peer.best, peer.pairs, peer.met), ("haproxy-copy", 20, True))
        self.assertAlmostEqual(peer.ratio, 0.8)
        self.assertEqual((bare.best, bare.met, bare.in_doubt), ("bare-copy-epoll", False, False))

    def test_the_slack_is_for_the_upper_end(self):
        runs = [a_line("penstock", number, 1.04 if number else 0.9) for number in range(20)]
        runs += [a_line("direct", number, 1.0) for number in range(20)]
        for limit, met in ((1.0, True), (0.98, False)):
            found, = verdict.judge(described(Goal("cost", "direct", limit)), runs)
            self.assertIs(found.met, met)

    def test_discarded_and_failed_runs_do_not_count(self):
        runs = self.runs(6)
        runs += [a_line("penstock", 6, 9.0, discarded="stolen CPU"),
                 a_line("penstock", 7, 9.0, failed="reset 1"),
                 a_line("haproxy-copy", 6, 0.1), a_line("haproxy-copy", 7, 0.1)]
        found, = verdict.judge(described(Goal("cost", "peer", 1.0)), runs)
        self.assertEqual(found.pairs, 6)

    def test_who_has_few_pairs_is_not_the_best(self):
        runs = self.runs(20) + [a_line("haproxy-splice", 0, 0.1)]
        runs = [run for run in runs if run["contender"] != "haproxy-splice" or run["round"] < 3]
        found, = verdict.judge(described(Goal("cost", "peer", 1.0)), runs)
        self.assertEqual(found.best, "haproxy-copy")

    def test_absolute_and_nothing_measured(self):
        goals = described(Goal("cost", verdict.ABSOLUTE, 1.1), Goal("cost", "ats", 1.0))
        found, = verdict.judge(goals, self.runs())
        self.assertEqual((found.against, found.met), (verdict.ABSOLUTE, True))

    def test_another_subject(self):
        cell = {**described(Goal("cost", "penstock", 1.0)), "subject": "haproxy-copy"}
        found, = verdict.judge(cell, self.runs())
        self.assertAlmostEqual(found.ratio, 1.25)


class FakeMachine:
    def ticks(self):
        return 0, 0

    def describe(self):
        return {"cpu": "fake", "kernel": "0", "proxy_cpu": 1, "load_cpu": 0}


class FakeFleet:
    """Its contenders have a name and nothing else."""

    def __init__(self, names):
        self.names = names
        self.gone = {}
        self.behind = mock.Mock()
        self.processes = mock.Mock(own_seconds=lambda: 0.0)

    @contextlib.contextmanager
    def turn(self, name):
        if name not in self.names:
            raise KeyError(name)
        yield types.SimpleNamespace(name=name)


class FakeStage(stages.Stage):
    def __init__(self):
        super().__init__("fake")
        self.opened = []

    @contextlib.contextmanager
    def open(self, machine, names, _results):
        self.opened.append(names)
        self.fleet = FakeFleet(names)
        yield self.fleet


@dataclasses.dataclass(frozen=True)
class FakeCell(cell_kinds.Cell):
    log: list = dataclasses.field(default_factory=list)
    answer: object = None

    def measure(self, contender, turn):
        self.log.append(contender.name)
        return (self.answer or cost_of)(contender.name)


def cost_of(name):
    return {"metrics": {"cost": COSTS[name]}, "load": {}, "rss_kib": 1, "spliced_share": None}


class Schedules(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        for patch in (mock.patch.object(results, "RESULTS", pathlib.Path(self.folder.name)),
                      mock.patch.object(results, "commit", lambda: "c0ffee"),
                      mock.patch.object(schedule, "say", lambda *_, **__: None)):
            patch.start()
            self.addCleanup(patch.stop)

    def cell(self, name="cell", **more):
        return FakeCell(**{"name": name, "group": "g", "title": "t", "stage": FakeStage(),
                           "contenders": tuple(NAMES[1:]), "pairs": 4,
                           "metrics": (Metric("cost", "CPU", "us"),),
                           "goals": (Goal("cost", "peer", 1.0), Goal("cost", "bare", 1.0)),
                           **more})

    def results(self, cells, **more):
        return results.Results("test", FakeMachine(), cells, **more)

    def run_all(self, cells, kept, pairs=None, seconds=100.0):
        schedule.Schedule(cells, NAMES, kept, FakeMachine(), schedule.Clock(seconds), 0.0,
                          survey_rounds=3, pairs=pairs).run()

    def test_survey_then_the_best_by_turns(self):
        cell = self.cell()
        kept = self.results([cell])
        self.run_all([cell], kept)
        rounds = [cell.log[at:at + 4] for at in range(0, 12, 4)]
        for order in rounds:
            self.assertEqual(sorted(order), sorted(NAMES))
        pairs = [cell.log[at:at + 3] for at in range(12, len(cell.log), 3)]
        self.assertEqual(len(pairs), 4)
        for order in pairs:
            self.assertEqual(sorted(order), ["bare-copy-epoll", "haproxy-copy", "penstock"])
        self.assertEqual(pairs[0], pairs[1][::-1])      # rounds 4 and 5: A B, B A

    def test_doubt_buys_more_pairs_but_not_for_ever(self):
        mine = itertools.cycle([0.7, 1.5])
        noisy = self.cell(goals=(Goal("cost", "peer", 1.1),), answer=lambda name: {
            **cost_of(name), "metrics": {"cost": next(mine) if name == "penstock" else 1.0}})
        kept = self.results([noisy])
        self.run_all([noisy], kept)
        self.assertGreaterEqual(kept.rounds(noisy, "pairs"), schedule.PAIRS_MAX)
        self.assertLess(kept.rounds(noisy, "pairs"), schedule.PAIRS_MAX + schedule.MORE_PAIRS)

    def test_a_budget_that_is_used_up_keeps_what_was_finished(self):
        cell = self.cell()
        kept = self.results([cell])
        with self.assertRaisesRegex(schedule.Over, "budget"):
            self.run_all([cell], kept, seconds=0.0)
        self.assertEqual(kept.of(cell), [])

    def test_interrupted_and_resumed(self):
        calls = []

        def stop(name):
            calls.append(name)
            if len(calls) == 7:
                raise KeyboardInterrupt
            return cost_of(name)

        cell = self.cell(answer=stop)
        kept = self.results([cell])
        with self.assertRaises(KeyboardInterrupt):
            self.run_all([cell], kept)
        self.assertEqual(len(kept.of(cell)), 4)         # the whole rounds
        with open(kept.folder / "runs.jsonl", "a", encoding="utf-8") as file:
            file.write('{"cell": "cell", "contender"')  # and a line that a kill cut off
        with self.assertRaisesRegex(BenchError, "--resume"):
            self.results([cell])
        with mock.patch.object(results, "say", lambda *_: None):
            kept = self.results([cell], resume=True)
        self.run_all([cell], kept, pairs=0)
        self.assertEqual([kept.rounds(cell, phase) for phase in ("survey", "pairs")], [3, 0])
        lines = (kept.folder / "runs.jsonl").read_text(encoding="utf-8").splitlines()
        self.assertEqual([json.loads(line)["round"] for line in lines],
                         [1] * 4 + [2] * 4 + [3] * 4)

    def test_who_fails_twice_in_a_row_is_left_out_of_the_survey(self):
        def failing(name):
            found = cost_of(name)
            return {**found, "failed": "eof 1"} if name == "haproxy-splice" else found

        cell = self.cell(answer=failing)
        self.run_all([cell], self.results([cell]), pairs=0)
        self.assertEqual(cell.log.count("haproxy-splice"), 2)

    def test_a_discarded_round_is_made_again(self):
        calls = []

        def late(name):
            calls.append(name)
            found = cost_of(name)
            return {**found, "discarded": "late"} if calls.count("penstock") == 1 \
                and name == "penstock" else found

        cell = self.cell(answer=late)
        kept = self.results([cell])
        self.run_all([cell], kept, pairs=0)
        self.assertEqual(cell.log.count("penstock"), 4)
        self.assertEqual(kept.rounds(cell, "survey"), 3)

    def test_the_death_of_the_subject_ends_it(self):
        cell = self.cell()

        def die(name):
            if name == "penstock":
                cell.stage.fleet.gone[name] = "the process has died (SIGSEGV)"
            return cost_of(name)

        cell = dataclasses.replace(cell, answer=die)
        kept = self.results([cell])
        with self.assertRaisesRegex(schedule.Over, "SIGSEGV"):
            self.run_all([cell], kept)
        self.assertEqual([run["failed"] for run in kept.of(cell)
                          if run["contender"] == "penstock"], ["the process has died (SIGSEGV)"])

    def test_a_cell_without_its_subject_is_surveyed_only(self):
        cell = self.cell(stage=FakeStage())
        cell.stage.role = "tls"
        with mock.patch.object(catalog.REGISTRY["penstock"], "roles", frozenset({"relay"})):
            kept = self.results([cell])
            self.run_all([cell], kept)
        self.assertNotIn("penstock", cell.log)
        self.assertEqual(kept.rounds(cell, "pairs"), 0)


class FakeIdle:
    """A generator that opens so many connections as it is asked for, but for those that fail."""
    fails = 0

    def __init__(self, _mode, _to, counts, options):
        self.counts = iter(counts)
        self.options = options

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def step(self):
        count = next(self.counts) - self.fails
        return {"open": count, "touched": count}

    def finish(self):
        return {"work": {}}


class IdleCells(unittest.TestCase):
    def setUp(self):
        self.contender = mock.Mock(at={"echo": "127.0.0.1:1"})
        self.contender.rss_kib.side_effect = [2000, 6000]
        self.contender.held.return_value = None
        for patch in (mock.patch.object(cell_kinds.generator, "Idle", FakeIdle),
                      mock.patch.object(cell_kinds, "kernel_kib", iter([100, 300]).__next__),
                      mock.patch.object(cell_kinds, "SETTLE_SECONDS", 0)):
            patch.start()
            self.addCleanup(patch.stop)

    def measure(self, *contenders):
        cell = cell_kinds.IdleCell(name="idle", group="g", title="t", stage=FakeStage(),
                                   contenders=contenders, metrics=(), goals=(), counts=(10, 110))
        return cell.measure(self.contender, None)

    def test_memory_is_a_slope(self):
        self.assertEqual(self.measure("direct", "ats"),
                         {"load": {"work": {}}, "rss_kib": 6000, "spliced_share": None,
                          "metrics": {"user_kib": 40.0, "kernel_kib": 2.0}, "failed": None})

    def test_without_the_direct_way_no_kernel_memory(self):
        self.assertEqual(self.measure("ats")["metrics"], {"user_kib": 40.0})

    def test_connections_that_did_not_open_are_seen(self):
        with mock.patch.object(FakeIdle, "fails", 3):
            self.assertEqual(self.measure("ats")["failed"], "7 of 10 connections answered")


class TlsCells(unittest.TestCase):
    """What makes the figures comparable: the same work asked of the same contenders."""

    def test_all_ask_for_the_same(self):
        cells = [cell for cell in catalog.CELLS if cell.stage.role == "tls"]
        self.assertEqual({cell.group for cell in cells}, {"tls", "tls-stream", "tls-idle"})
        for cell in cells:
            at = cell.options.index("--cipher")
            self.assertEqual(cell.options[at + 1], "TLS_AES_128_GCM_SHA256", cell.name)
            for name in ("penstock", *cell.contenders):
                self.assertIsNone(catalog.REGISTRY[name].why_not_role("tls"), name)


if __name__ == "__main__":
    unittest.main()
