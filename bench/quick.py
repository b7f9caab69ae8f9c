#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""penstock beside bare loops and HAProxy, in at most four minutes: the guard against regressions.

Every figure is CPU time of the whole proxy process per unit of work, so a busy machine widens the
spread but does not shift the result. Each pass visits every cell once and, in it, the contenders
in a shuffled order; a round is one such visit, and ratios are taken within a round. The first
passes measure everybody; after them only the subject, its two best bare loops and its best HAProxy
go on, so that the time left buys pairs, and once every cell has a few of them only the cells that
are still in doubt go on. Rounds with stolen CPU are thrown away.

Passes: no cell above 1.25x of the better bare loop (median of the paired ratios), and an idle
proxied connection costs at most 1 KiB of user memory, with no pipe and no buffer held.
Exit status: 0 passed, 1 failed, 2 could not run, 130 interrupted (what there is, is shown).
"""

import argparse
import json
import os
import random
import resource
import signal
import sys
import time

import harness
import stats

OTHER = "penstock-other"
LIMIT_RATIO = 1.25
LIMIT_IDLE_KIB = 1.0
SURVEY_PASSES = 2
COMMON_PASSES = 7           # then only the cells that may yet go either way
RUN_SECONDS = 0.35
IDLE_COUNTS = (1000, 8000)
IDLE_SETTLE_SECONDS = 0.7
STREAM_CONNECTIONS = 600    # more than any cell needs; HAProxy's descriptors grow with it
KIB, MIB = 1024, 1024 * 1024


class Cell:
    def __init__(self, name, mode, connections, size, work, unit, per_unit):
        self.name = name
        self.mode = mode
        self.connections = connections
        self.size = size
        self.work = work            # which count of the generator is the work
        self.unit = unit
        self.per_unit = per_unit    # nanoseconds per work -> unit
        self.sink = "discard" if mode == "stream" else "echo"

    def cost(self, result):
        return result["proxy_cpu_ns"] / result["work"][self.work] * self.per_unit

    def rate(self, result):
        return result["per_second"][self.work]


def all_cells():
    cells = []
    for size, label in ((64 * KIB, "64K"), (MIB, "1M")):
        for connections in (1, 8, 64):
            cells.append(Cell(f"stream-{label}-x{connections}", "stream", connections, size,
                              "bytes", "s/GB", 1.0))
    for connections in (1, 16, 256):
        cells.append(Cell(f"pingpong-128-x{connections}", "pingpong", connections, 128,
                          "round_trips", "us/rt", 1e-3))
    cells.append(Cell("connect-echo-close", "crr", 8, 128, "connections", "us/conn", 1e-3))
    return cells


class Results:
    """Every run, by cell and contender; a round counts only for those it went well for."""

    def __init__(self, subject):
        self.subject = subject
        self.runs = []
        self.costs = {}         # (cell, contender) -> {round: cost}
        self.failures = {}      # (cell, contender) -> (round, reason)
        self.trouble = None     # what ended the run early
        self.discarded = 0

    def add(self, cell, name, number, result):
        self.runs.append({"cell": cell.name, "contender": name, "round": number, **result})
        if "failed" in result:
            self.fail(cell, name, number, result["failed"])
        elif result["work"][cell.work] == 0:
            self.fail(cell, name, number, "no work was done")
        else:
            self.costs.setdefault((cell.name, name), {})[number] = cell.cost(result)

    def fail(self, cell, name, number, reason):
        self.failures[cell.name, name] = (number, reason)

    def discard(self, cell, number, why):
        self.discarded += 1
        self.failures = {key: failure for key, failure in self.failures.items()
                         if key[0] != cell.name or failure[0] != number}
        for run in self.runs:
            if run["cell"] == cell.name and run["round"] == number:
                run["discarded"] = why
        for (cell_name, _), costs in self.costs.items():
            if cell_name == cell.name:
                costs.pop(number, None)

    def median(self, cell, name):
        costs = self.costs.get((cell.name, name))
        return stats.median(costs.values()) if costs else None

    def ranked(self, cell, names):
        """The contenders among `names` that have figures, cheapest first."""
        found = [(self.median(cell, name), name) for name in names]
        return [name for cost, name in sorted((c, n) for c, n in found if c is not None)]

    def compare(self, cell, names):
        """(best name, median ratio, low, high, pairs) of subject / best of names, or None."""
        mine = self.costs.get((cell.name, self.subject), {})
        healthy = [name for name in names if (cell.name, name) not in self.failures]
        for name in self.ranked(cell, healthy or names):
            ratios = stats.paired_ratios(mine, self.costs[cell.name, name])
            if ratios:
                low, high, _ = stats.sign_interval(ratios)
                return name, stats.median(ratios), low, high, len(ratios)
        return None


def bare_names(names, subject):
    return [name for name in names if name.startswith("bare-") and name != subject]


def haproxy_names(names, subject):
    return [name for name in names if name.startswith("haproxy-") and name != subject]


def in_doubt(results, cells, names):
    """The cells whose verdict more pairs may change."""
    found = {cell: results.compare(cell, bare_names(names, results.subject)) for cell in cells}
    return [cell for cell, row in found.items() if row and row[2] <= LIMIT_RATIO < row[3]]


def finalists(results, cell, names):
    subject = results.subject
    chosen = {subject, OTHER}
    chosen.update(results.ranked(cell, bare_names(names, subject))[:2])
    chosen.update(results.ranked(cell, haproxy_names(names, subject))[:1])
    return [name for name in names if name in chosen]


class Clock:
    """The time that is left, as text."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def left(self):
        return self.end - time.monotonic()

    def text(self):
        left = max(0, round(self.left()))
        return f"{left // 60}:{left % 60:02d} left"


def say(text, passing=False):
    """Progress, on standard error: standard output is the report. A passing line is replaced."""
    if sys.stderr.isatty():
        text = "\r\x1b[K" + text
    end = "" if passing and sys.stderr.isatty() else "\n"
    print(text, end=end, file=sys.stderr, flush=True)


def measure_round(cell, number, running, names, results, machine):
    stolen = harness.StolenTime(machine)
    order = list(names)
    random.shuffle(order)
    for name in order:
        contender = running[name]
        if contender.process.poll() is not None:
            results.fail(cell, name, number, contender.last_words())
            continue
        results.add(cell, name, number, harness.run_load(
            cell.mode, contender.at[cell.sink], contender.pid, cell.connections, cell.size,
            RUN_SECONDS))
    if stolen.too_much():
        results.discard(cell, number, "stolen CPU")


def measure_cells(cells, names, results, machine, clock, rounds):
    with harness.Processes() as processes:
        sinks = harness.Sinks(processes, machine, names)
        running = {name: harness.CONTENDERS[name](name, processes, machine, sinks,
                                                  STREAM_CONNECTIONS) for name in names}
        results.configs = {name: c.config() for name, c in running.items() if c.config()}
        results.versions = {name: c.version() for name, c in running.items()}
        survey = min(SURVEY_PASSES, rounds) if rounds else SURVEY_PASSES
        foreign = []
        number = 0
        visited = cells
        while True:
            number += 1
            began, busy = time.monotonic(), machine.ticks()[0]
            own = processes.cpu_seconds() + own_seconds()
            for index, cell in enumerate(visited, 1):
                who = names if number <= survey else finalists(results, cell, names)
                say(f"pass {number}, {cell.name} ({index}/{len(visited)}), "
                    f"{len(who)} contenders, {clock.text()}", passing=True)
                measure_round(cell, number, running, who, results, machine)
                if any(process.poll() is not None for process in sinks.running):
                    results.discard(cell, number, "the sink had died")
                    sinks.check()
                if running[results.subject].process.poll() is not None:
                    results.fail(cell, results.subject, number,
                                 running[results.subject].last_words())
                    say("\nthe subject has died: the rest is not measured")
                    return
            took = time.monotonic() - began
            own = processes.cpu_seconds() + own_seconds() - own
            foreign.append(max(0.0, (machine.ticks()[0] - busy) / os.sysconf("SC_CLK_TCK") - own)
                           / (2 * took))
            results.foreign_share = stats.median(foreign)
            each = took / len(visited)
            if number >= COMMON_PASSES:
                visited = in_doubt(results, cells, names) or cells
            if rounds and number >= rounds:
                break
            # A survey pass is longer than those that follow: an estimate on the safe side.
            if not rounds and number >= survey and clock.left() < each * len(visited):
                break
        say("")


def own_seconds():
    """CPU time of this process and of the generators it has waited for."""
    mine = resource.getrusage(resource.RUSAGE_SELF)
    theirs = resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime


def idle_one(name, machine):
    """RSS of a fresh process with no, 1,000 and 8,000 idle proxied connections."""
    with harness.Processes() as processes:
        sinks = harness.Sinks(processes, machine, [name])
        contender = harness.CONTENDERS[name](name, processes, machine, sinks,
                                             IDLE_COUNTS[-1] + 200)
        row = {"rss_kib": {0: harness.rss_kib(contender.pid)}}
        load = harness.IdleLoad(contender.at["echo"], IDLE_COUNTS)
        try:
            for count in IDLE_COUNTS:
                state = load.step()
                if state["touched"] != count:
                    row["failed"] = f"{state['touched']} of {count} connections answered"
                time.sleep(IDLE_SETTLE_SECONDS)
                row["rss_kib"][count] = harness.rss_kib(contender.pid)
            if name == "penstock":
                metrics = contender.metrics()
                for what in ("pipes", "buffers", "sessions"):
                    row[what] = harness.metric_sum(metrics, f"penstock_{what}_in_use")
        finally:
            load.close()
        low, high = IDLE_COUNTS
        row["kib_per_connection"] = (row["rss_kib"][high] - row["rss_kib"][low]) / (high - low)
        return row


def measure_idle(names, machine, subject):
    rows = {}
    for name in (subject, "bare-copy-epoll", "haproxy-copy"):
        if name not in names or name in rows:
            continue
        say(f"idle memory: {name}, {IDLE_COUNTS[-1]} connections")
        try:
            rows[name] = idle_one(name, machine)
        except harness.BenchError as error:
            rows[name] = {"failed": str(error)}
    return rows


def three(value):
    """Three significant digits without an exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def compare_words(found, limit=None):
    """Two short lines for one comparison, and whether it is within the limit."""
    if found is None:
        return "-", "", limit is None
    name, ratio, low, high, _ = found
    good = limit is None or ratio <= limit
    verdict = "" if limit is None else " PASS" if good else " FAIL"
    doubt = limit is not None and low <= limit < high
    return (f"{ratio:.2f}{verdict}{'?' if doubt else ''}",
            f"{low:.2f}-{high:.2f} {name.split('-', 1)[1]}", good)


def print_cells(cells, names, results):
    subject = results.subject
    columns = [name for name in names if name != subject]
    head = [subject] + columns
    print(f"\nCPU of the proxy per unit of work: median, below it min-max; ratios {subject} / "
          "the other within one round: median, below it the 95 % interval")
    widths = [max(12, len(name.split('-', 1)[-1]) + 2) for name in head]
    groups = [name.split("-", 1)[0] for name in head]
    variants = [name.split("-", 1)[1] if "-" in name else "" for name in head]

    def line(first, unit, middles, right, far):
        print(f"{first:<20}{unit:<9}" + "".join(f"{m:<{w}}" for m, w in zip(middles, widths))
              + f"{right:<23}{far}".rstrip())

    line("cell", "unit", groups, "/ best bare", "/ best haproxy")
    line("", "", variants, f"(limit {LIMIT_RATIO})", "")
    passed = True
    for cell in cells:
        medians, ranges = [], []
        for name in head:
            costs = results.costs.get((cell.name, name))
            failure = results.failures.get((cell.name, name))
            medians.append("failed" if failure else three(stats.median(costs.values()))
                           if costs else "-")
            ranges.append(f"{three(min(costs.values()))}-{three(max(costs.values()))}"
                          if costs else "")
        bare = compare_words(results.compare(cell, bare_names(names, subject)), LIMIT_RATIO)
        peer = compare_words(results.compare(cell, haproxy_names(names, subject)))
        good = bare[2] and (cell.name, subject) not in results.failures
        passed = passed and good
        line(cell.name, cell.unit, medians, bare[0], peer[0])
        line("", "", ranges, bare[1], peer[1])
    return passed


def print_other(cells, results):
    """Before and after: the subject beside another build of penstock."""
    print(f"\n{results.subject} / {OTHER}, paired: median, 95 % interval, pairs")
    for cell in cells:
        found = results.compare(cell, [OTHER])
        if found:
            _, ratio, low, high, pairs = found
            print(f"  {cell.name:<20}{ratio:.3f}  {low:.3f}-{high:.3f}  {pairs}")


def print_rates(cells, names, results):
    """How fast each went: a proxy can be cheap and slow at once, so both are shown."""
    print("\nachieved rate (median): GB/s, thousand round trips or connections per second; "
          "p50 latency in us")
    for cell in cells:
        words = []
        for name in names:
            runs = [run for run in results.runs if run["cell"] == cell.name
                    and run["contender"] == name
                    and "failed" not in run and "discarded" not in run]
            if not runs:
                continue
            rate = stats.median([cell.rate(run) for run in runs])
            text = f"{name} {three(rate / (1e9 if cell.work == 'bytes' else 1e3))}"
            if cell.mode != "stream":
                text += f" ({three(stats.median([r['latency_us']['p50'] for r in runs]))})"
            words.append(text)
        print(f"  {cell.name:<20}" + ", ".join(words))


def print_idle(rows, subject):
    low, high = IDLE_COUNTS
    print(f"\nuser memory per idle proxied connection (RSS, {low} to {high} connections)")
    passed = True
    for name, row in rows.items():
        if "kib_per_connection" not in row:
            print(f"  {name:<16} failed: {row['failed']}")
            passed = passed and name != subject
            continue
        per = row["kib_per_connection"]
        text = (f"  {name:<16} {per:.2f} KiB each; RSS "
                + " / ".join(f"{row['rss_kib'][n]} KiB at {n}" for n in (0, *IDLE_COUNTS)))
        good = per <= LIMIT_IDLE_KIB and "failed" not in row
        if name == "penstock":
            held = [row.get("pipes"), row.get("buffers")]
            text += f"; pipes held {held[0]:g}, buffers held {held[1]:g}" \
                if None not in held else "; pipes or buffers in use: no such metric"
            good = good and held == [0, 0]
        if name == subject:
            text += "  PASS" if good else f"  FAIL (limit {LIMIT_IDLE_KIB:g} KiB, nothing held)"
            passed = passed and good
        if "failed" in row:
            text += f"  ({row['failed']})"
        print(text)
    return passed


def print_trouble(results, partial):
    alike = {}
    for (cell, name), (number, reason) in results.failures.items():
        alike.setdefault((name, reason), []).append(f"{cell} (round {number})")
    for (name, reason), where in alike.items():
        print(f"  failed: {name}: {reason}; in {', '.join(where[:3])}"
              + (f" and {len(where) - 3} more" if len(where) > 3 else ""))
    if results.discarded:
        print(f"  {results.discarded} rounds thrown away, mostly for stolen CPU")
    foreign = getattr(results, "foreign_share", 0.0)
    if foreign > 0.03:
        print(f"  other programs used {foreign:.0%} of the two cores: a smoke test, no measurement")
    if results.trouble:
        print(f"  ended early: {results.trouble}: partial results")
    if partial:
        print("  interrupted: partial results")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", action="append", metavar="CELL",
                        help="a cell, or the start of its name; 'idle' is the memory cell")
    parser.add_argument("--rounds", type=int, help="passes over the cells (default: what fits)")
    parser.add_argument("--budget", type=float, default=215, metavar="SECONDS",
                        help="total time (default %(default)s)")
    parser.add_argument("--subject", default="penstock", choices=list(harness.CONTENDERS),
                        help="who is judged (default %(default)s)")
    parser.add_argument("--other", metavar="PROGRAM",
                        help="another build of penstock, measured beside it and compared")
    parser.add_argument("--json", metavar="FILE", help="write every run there")
    parser.add_argument("--proxy-cpu", type=int, help="default: the last one allowed")
    parser.add_argument("--load-cpu", type=int, help="default: the first one allowed")
    return parser.parse_args()


def choose_contenders(subject):
    names = []
    for name in harness.CONTENDERS:
        missing = why_missing_or_unwanted(name, subject)
        if missing is None:
            names.append(name)
        elif name in (subject, OTHER, "bare-copy-epoll") and missing:
            raise harness.BenchError(missing)
        elif missing:
            say(f"SKIPPED {name}: {missing}")
    return names


def why_missing_or_unwanted(name, subject):
    """As harness.why_missing, and "" for penstock when something else is judged without it."""
    missing = harness.why_missing(name)
    return "" if missing and name == "penstock" and subject != name else missing


def choose_cells(only):
    cells = all_cells()
    if not only:
        return cells, True
    exact = {cell.name for cell in cells}
    chosen = [cell for cell in cells if cell.name in only
              or any(cell.name.startswith(word) for word in only if word not in exact)]
    idle = "idle" in only
    if not chosen and not idle:
        raise harness.BenchError("no such cell; there are: idle, "
                                 + ", ".join(cell.name for cell in cells))
    return chosen, idle


def write_json(path, machine, names, results, idle, partial):
    report = {"machine": machine.describe(), "contenders": names, "subject": results.subject,
              "versions": getattr(results, "versions", {}),
              "configs": getattr(results, "configs", {}), "run_seconds": RUN_SECONDS,
              "partial": partial or results.trouble is not None,
              "discarded_rounds": results.discarded,
              "foreign_cpu_share": getattr(results, "foreign_share", None),
              "idle": idle, "runs": results.runs}
    with open(path, "w", encoding="utf-8") as out:
        json.dump(report, out, indent=1)


def main():
    arguments = parse_arguments()
    clock = Clock(arguments.budget)
    harness.OtherPenstock.binary = arguments.other
    names = choose_contenders(arguments.subject)
    cells, with_idle = choose_cells(arguments.only)
    machine = harness.Machine(arguments.proxy_cpu, arguments.load_cpu)
    results = Results(arguments.subject)
    idle, partial = {}, False
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if with_idle:
            idle = measure_idle(names, machine, arguments.subject)
        if cells:
            measure_cells(cells, names, results, machine, clock, arguments.rounds)
    except KeyboardInterrupt:
        partial = True
        say("")
    except harness.BenchError as problem:
        if not results.runs:
            raise
        results.trouble = str(problem)
    passed = True
    if results.runs:
        passed = print_cells(cells, names, results)
        if OTHER in names:
            print_other(cells, results)
        print_rates(cells, names, results)
    if idle:
        passed = print_idle(idle, arguments.subject) and passed
    print_trouble(results, partial)
    if arguments.json:
        write_json(arguments.json, machine, names, results, idle, partial)
    if partial:
        return 130
    if results.trouble:
        print("bench-quick: not finished")
        return 2
    print(f"bench-quick: {'PASS' if passed else 'FAIL'}")
    return 0 if passed else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except harness.BenchError as problem:
        print(f"quick.py: {problem}", file=sys.stderr)
        sys.exit(2)
