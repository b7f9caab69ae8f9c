# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a results directory of bench/run: meta.json, runs.jsonl, hgrm/. Nothing is judged here."""

import collections
import json
import pathlib
import re
import tempfile

from . import TOP, BenchError, stats

PERCENTILES = ("p50", "p90", "p99", "p999", "max")


class Results:
    """One directory. `runs` holds every run of the listed cells, in the order they were made."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.meta = read_meta(self.folder)
        self.cells = self.meta["cells"]
        lines, self.torn = read_runs(self.folder / "runs.jsonl")
        known = {cell["name"] for cell in self.cells}
        self.runs = [run for run in lines if run["cell"] in known]
        self.strangers = len(lines) - len(self.runs)
        self.by_row = collections.defaultdict(list)
        for run in self.runs:
            self.by_row[run["cell"], run["contender"]].append(run)

    def of_cell(self, cell):
        return [run for run in self.runs if run["cell"] == cell["name"]]

    def contenders(self, cells):
        """Who was tried in some cells: penstock, the limits of the machine, then the peers."""
        names = {cell["name"] for cell in cells}
        there = {run["contender"] for run in self.runs if run["cell"] in names}
        return sorted(there, key=lambda name: (rank(name), name))

    def rows(self, cell):
        return [self.row(cell, contender) for contender in self.contenders([cell])]

    def row(self, cell, contender):
        return Row(cell, contender, self.by_row.get((cell["name"], contender), []))

    def count_of(self, why):
        """How often each reason of this kind ("discarded" or "failed") was given, whatever the
        figures in it were."""
        return collections.Counter(re.sub(r"(?<![\w.])\d[\d.]*", "N", run[why])
                                   for run in self.runs if run.get(why))

    def foreign_share(self):
        """How much of the two cores others used, in the median round that was kept."""
        shares = {(run["cell"], run["round"]): run["foreign_share"] for run in self.runs
                  if run.get("foreign_share") is not None and not run.get("discarded")}
        return stats.median(shares.values()) if shares else None

    def percentiles(self, row):
        """The percentile curves of a row's counting rounds that left a histogram."""
        at = self.folder / "hgrm" / row.cell["name"]
        paths = [at / f"{row.contender}-{run['round']}.hgrm" for run in row.counting]
        return [read_hgrm(path) for path in paths if path.exists()]


class Row:
    """Everything measured of one contender in one cell."""

    def __init__(self, cell, contender, runs):
        self.cell = cell
        self.contender = contender
        self.runs = [run for run in runs if not run.get("discarded")]
        self.counting = [run for run in self.runs if not run.get("failed")]
        self.failures = collections.Counter(run["failed"] for run in self.runs
                                            if run.get("failed"))

    def metric(self, key):
        """(median, least, most) of a metric, or None."""
        values = [run["metrics"][key] for run in self.counting
                  if run["metrics"].get(key) is not None]
        return (stats.median(values), min(values), max(values)) if values else None

    def median(self, *path):
        """The median of a number somewhere in the runs, or None where no run has it."""
        values = [value for value in (look_up(run, path) for run in self.counting)
                  if value is not None]
        return stats.median(values) if values else None

    def total(self, *path):
        return sum(look_up(run, path) or 0 for run in self.counting)

    def texts(self, *path):
        """The different texts that stand somewhere in the runs."""
        return {text for text in (look_up(run, path) for run in self.counting) if text}

    def work(self):
        """Which of the generator's counts is the work here: the one whose rate the cell took."""
        for run in self.counting:
            rate = run["metrics"].get("rate")
            for name, per_second in (look_up(run, ("load", "per_second")) or {}).items():
                if rate and per_second == rate:
                    return name
        return None

    def latency(self):
        """The median over the rounds of each percentile in microseconds; the worst maximum."""
        if not self.total("load", "latency_us", "count"):
            return {}
        found = {name: self.median("load", "latency_us", name) for name in PERCENTILES}
        found["max"] = max(look_up(run, ("load", "latency_us", "max")) or 0
                           for run in self.counting)
        return found

    def errors(self):
        """The generator's errors by reason, those of failed rounds too."""
        errors = collections.Counter()
        for run in self.runs:
            errors.update((run.get("load") or {}).get("errors") or {})
        return errors


def rank(contender):
    first = ("penstock", "direct", "bare")
    family = contender.partition("-")[0]
    return first.index(family) if family in first else len(first)


def look_up(value, path):
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def scrubbed(text):
    """Without the places of this machine: commands and configurations are full of them."""
    text = text.replace(f"{TOP}/", "")
    text = re.sub(re.escape(tempfile.gettempdir()) + r"/[^/\s\"\\]+/", "", text)
    return text.replace(f"{pathlib.Path.home()}/", "~/")


def read_meta(folder):
    path = folder / "meta.json"
    try:
        meta = json.loads(scrubbed(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise BenchError(f"{folder} holds no results of bench/run: no meta.json") from None
    except (OSError, ValueError) as error:
        raise BenchError(f"{path} cannot be read: {error}") from None
    missing = [key for key in ("name", "machine", "contenders", "cells") if key not in meta]
    if missing:
        raise BenchError(f"{path} lacks {', '.join(missing)}")
    return meta


def read_runs(path):
    """The runs, and whether the last line was cut off: a run of the harness that was killed."""
    try:
        lines = scrubbed(path.read_text(encoding="utf-8")).splitlines()
    except FileNotFoundError:
        raise BenchError(f"{path} does not exist: nothing was measured") from None
    runs = []
    for number, line in enumerate(lines, 1):
        try:
            runs.append(json.loads(line))
        except ValueError as error:
            if number == len(lines):
                return runs, True
            raise BenchError(f"{path}:{number}: {error}") from None
    return runs, False


def read_hgrm(path):
    """[(1/(1-percentile), microseconds)] of an HdrHistogram percentile file, without its last
    line, which has no such abscissa."""
    points = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.split()
        if not words or words[0] == "Value" or line.startswith("#"):
            continue
        try:
            value, percentile = float(words[0]), float(words[1])
        except (IndexError, ValueError):
            raise BenchError(f"{path}:{number}: no line of a percentile file: {line}") from None
        if percentile < 1:
            points.append((1 / (1 - percentile), value))
    return points
