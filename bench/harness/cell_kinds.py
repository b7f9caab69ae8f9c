# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of cells: a cell measures one contender at a time, in its measure(), which returns the
parts of one line of runs.jsonl."""

import time
from dataclasses import dataclass

from . import generator
from .contenders import kind_of
from .machine import kernel_kib
from .stages import Stage

SETTLE_SECONDS = 0.7        # an idle proxy gives back its buffers, the kernel its slabs


@dataclass(frozen=True)
class Metric:
    key: str
    label: str
    unit: str


@dataclass(frozen=True)
class Goal:
    metric: str
    against: str        # peer, bare, direct, absolute, or a contender
    limit: float


@dataclass(frozen=True)
class Turn:
    """What a cell is given for one run besides the contender."""
    seconds: float
    hgrm: object        # the file for the latency histogram


@dataclass(frozen=True)
class Cell:
    name: str
    group: str
    title: str
    stage: Stage
    contenders: tuple       # besides the subject
    metrics: tuple
    goals: tuple
    subject: str = "penstock"
    pairs: int = 20         # rounds after the survey

    @property
    def unit(self):
        return self.metrics[0].unit

    def lacks(self):
        """Why it cannot be measured here, or None."""
        return self.stage.lacks()

    def measure(self, contender, turn):
        """One run: {"metrics", "load", "rss_kib", "spliced_share"} and, where it went wrong,
        "failed" (the contender's fault) or "discarded" (ours)."""
        raise NotImplementedError

    def derive(self, lines):
        """Adds what only the lines of a whole round can tell."""

    def needs(self):
        """Contenders of every round besides those that the goals ask for."""
        return ()

    def describe(self):
        return {
            "name": self.name, "group": self.group, "title": self.title, "unit": self.unit,
            "subject": self.subject,
            "metrics": [vars(metric) for metric in self.metrics],
            "goals": [vars(goal) for goal in self.goals],
            "peers": [name for name in self.contenders if kind_of(name) == "peer"],
        }


def flags_of(options):
    return [word for word in options if str(word).startswith("--")]


@dataclass(frozen=True)
class LoadCell(Cell):
    """One run of penstock-bench load."""
    mode: str = ""
    sink: str = "echo"
    options: tuple = ()
    work: str = ""          # which count of the generator is the work
    scale: float = 1e-3     # nanoseconds of CPU for each -> unit

    def lacks(self):
        return super().lacks() or generator.lacks("load", self.mode, flags_of(self.options))

    def measure(self, contender, turn):
        counters, forked = contender.counters(), contender.forked_seconds()
        contender.reset_peak_rss()
        load = generator.run([self.mode, "--to", contender.at[self.sink], *self.options],
                             turn.seconds, contender.pid_of(self.sink), self.histogram(turn))
        failed = load.pop("failed", None)
        if not contender.is_alive():
            return {"failed": contender.last_words(), "load": load, "metrics": {}}
        if forked is not None and not failed:
            load["proxy_cpu_ns"] = round((contender.forked_seconds() - forked) * 1e9)
        did = counted(counters, contender.counters())
        result = {"load": load, "rss_kib": contender.peak_rss_kib() or None,
                  "spliced_share": spliced_share(did), "metrics": {}}
        if failed or not load["work"].get(self.work):
            return {**result, "failed": failed or "no work was done"}
        if load.get("valid") is False:
            result["discarded"] = "not valid: " + load.get("invalid_why", "the generator was late")
        result["metrics"] = self.metrics_of(load, did)
        return result

    def histogram(self, turn):
        return turn.hgrm if "--hgrm" in generator.options_of("load", self.mode) else None

    def metrics_of(self, load, did):
        work = load["work"][self.work]
        metrics = {"rate": load["per_second"][self.work]}
        if "proxy_cpu_ns" in load:
            metrics["cost"] = load["proxy_cpu_ns"] / work * self.scale
        if load["latency_us"]["count"]:
            metrics.update({f"{point}_us": value for point, value in load["latency_us"].items()
                            if point != "count"})
        for key in ("turns", "moves"):
            if did:
                metrics[f"{key}_per_work"] = did[key] / work
        return metrics


def counted(before, after):
    """What a contender's own counters rose by, or None."""
    return {key: after[key] - before[key] for key in after} if after and before else None


def spliced_share(did):
    moved = did["splice"] + did["copy"] if did else 0
    return did["splice"] / moved if moved else None


@dataclass(frozen=True)
class AddedLatencyCell(LoadCell):
    """Judged by the latency that a contender adds to the direct way in the same round."""

    def needs(self):
        return ("direct",)

    def derive(self, lines):
        direct = next((line["metrics"].get("p50_us") for line in lines
                       if line["contender"] == "direct"), None)
        for line in lines:
            mine = line["metrics"].get("p50_us")
            if mine is not None and direct is not None and line["contender"] != "direct":
                line["metrics"]["added_us"] = mine - direct


@dataclass(frozen=True)
class MiceCell(LoadCell):
    """How fast the elephant went stands beside the mice: who slows it down helps them."""

    def metrics_of(self, load, did):
        elephant = load["beside"]["elephant_bytes"] / load["seconds"] / 1e9
        return {**super().metrics_of(load, did), "elephant": elephant}


@dataclass(frozen=True)
class IdleCell(Cell):
    """Memory for each connection more, once a first few have warmed the process up. The kernel's
    is of the whole way, less that of the direct way in the same round, where that takes part."""
    mode: str = "idle"
    sink: str = "echo"
    counts: tuple = ()
    options: tuple = ()

    def lacks(self):
        return super().lacks() or generator.lacks("load", self.mode, flags_of(self.options))

    def needs(self):
        return ("direct",) if "direct" in self.contenders else ()

    def measure(self, contender, turn):
        low, high = self.counts
        with generator.Idle(self.mode, contender.at[self.sink], self.counts, self.options) as load:
            at_low = self.hold(load, contender, low)
            at_high = self.hold(load, contender, high)
            report = load.finish()
        failed = next((state["failed"] for state in (at_low, at_high) if state["failed"]), None)
        metrics = {}
        if self.needs():
            metrics["kernel_kib"] = (at_high["kernel"] - at_low["kernel"]) / (high - low)
        if at_high["rss"]:
            metrics["user_kib"] = (at_high["rss"] - at_low["rss"]) / (high - low)
        if at_high["held"]:
            metrics.update(at_high["held"])
        return {"load": report, "rss_kib": at_high["rss"] or None, "spliced_share": None,
                "metrics": metrics, "failed": failed}

    def hold(self, load, contender, count):
        state = load.step()
        time.sleep(SETTLE_SECONDS)
        failed = None if state["touched"] == count else \
            f"{state['touched']} of {count} connections answered"
        return {"failed": failed, "rss": contender.rss_kib(), "kernel": kernel_kib(),
                "held": contender.held()}

    def derive(self, lines):
        direct = next((line["metrics"].get("kernel_kib") for line in lines
                       if line["contender"] == "direct"), None)
        for line in lines:
            mine = line["metrics"].get("kernel_kib")
            if mine is not None and direct is not None and line["contender"] != "direct":
                line["metrics"]["kernel_kib"] = mine - direct


@dataclass(frozen=True)
class FairnessCell(Cell):
    """Equal connections over several workers: the busiest worker's share against the mean."""
    options: tuple = ()

    def lacks(self):
        return super().lacks() or generator.lacks("load", "open", ("--rate",))

    def measure(self, contender, turn):
        shares = {}
        load = generator.run(["open", "--to", contender.at["echo"], *self.options], turn.seconds,
                             contender.pid_of("echo"),
                             near_end=lambda: shares.update(contender.shares()))
        failed = load.pop("failed", None)
        if not shares:
            return {"failed": failed or "its workers were not read in time", "load": load,
                    "metrics": {}}
        metrics = {key: max(values) / (sum(values) / len(values))
                   for key, values in shares.items()}
        return {"load": load, "rss_kib": contender.peak_rss_kib(), "spliced_share": None,
                "metrics": metrics, "failed": failed}
