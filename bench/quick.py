#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""penstock beside bare loops and HAProxy, in at most four minutes: the guard against regressions.

Every figure is CPU time of the whole proxy process per unit of work, so a busy machine widens the
spread but does not shift the result. Two rounds of every cell measure everybody; then the subject,
its two best bare loops and its best HAProxy go on, so that the time left buys pairs, and once every
cell has a few of them only the cells that are still in doubt go on.

Passes: no cell above 1.25x of the better bare loop (median of the paired ratios), and an idle
proxied connection costs at most 1 KiB of user memory, with no pipe and no buffer held.
Exit status: 0 passed, 1 failed, 2 could not run, 130 interrupted (what there is, is shown).
"""

import argparse
import dataclasses
import signal
import sys

from harness import BenchError, say, stats, verdict
from harness.catalog import CELLS, REGISTRY
from harness.cell_kinds import Goal
from harness.cells import BARE
from harness.contenders import OtherPenstock
from harness.machine import Machine
from harness.report_words import three
from harness.results import Results
from harness.schedule import Clock, Over, Schedule

NAMES = [f"stream-up-{size}-x{count}" for size in ("64K", "1M") for count in (1, 8, 64)] \
    + [f"pingpong-128-x{count}" for count in (1, 16, 256)] + ["connect-plain"]
HAPROXY = ("haproxy-copy", "haproxy-splice")
OTHER = "penstock-other"
LIMIT_RATIO = 1.25
NO_LIMIT = float("inf")
LIMIT_IDLE_KIB = 1.0
SURVEY_ROUNDS = 2
COMMON_PAIRS = 5            # then only the cells that may yet go either way
RUN_SECONDS = 0.35


class Quick(Schedule):
    """Passes by the median alone, so a cell is in doubt while its interval contains the limit."""

    def is_in_doubt(self, cell):
        return any(v.low <= v.limit < v.high for v in self.verdicts(cell))


def quick_cells(subject):
    by_name = {cell.name: cell for cell in CELLS}
    return [dataclasses.replace(by_name[name], subject=subject, contenders=BARE + HAPROXY,
                                pairs=COMMON_PAIRS,
                                goals=(Goal("cost", "bare", LIMIT_RATIO),
                                       Goal("cost", "peer", NO_LIMIT))) for name in NAMES]


def idle_cell(subject):
    idle = next(cell for cell in CELLS if cell.name == "idle-8k")
    return dataclasses.replace(idle, subject=subject,
                               contenders=("direct", "bare-copy-epoll", "haproxy-copy"))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", action="append", metavar="CELL", default=[],
                        help="a cell, or the start of its name; 'idle' is the memory cell")
    parser.add_argument("--rounds", type=int, help="with the finalists (default: what fits)")
    parser.add_argument("--budget", type=float, default=215, metavar="SECONDS",
                        help="total time (default %(default)s)")
    parser.add_argument("--subject", default="penstock", choices=list(REGISTRY),
                        help="who is judged (default %(default)s)")
    parser.add_argument("--other", metavar="PROGRAM",
                        help="another build of penstock, measured beside it and compared")
    parser.add_argument("--proxy-cpu", type=int, help="default: the last one allowed")
    parser.add_argument("--load-cpu", type=int, help="default: the first one allowed")
    return parser.parse_args()


def choose_contenders(subject):
    names = []
    for name in REGISTRY:
        if name not in ("direct", subject, OTHER, *BARE, *HAPROXY):
            continue
        missing = REGISTRY[name].why_missing(name)
        if missing is None:
            names.append(name)
        elif name in (subject, OTHER, BARE[0]) and missing:
            raise BenchError(missing)
        elif missing:
            say(f"SKIPPED {name}: {missing}")
    return names


def choose_cells(arguments):
    cells, idle = quick_cells(arguments.subject), [idle_cell(arguments.subject)]
    if not arguments.only:
        return cells, idle
    exact = {cell.name for cell in cells}
    chosen = [cell for cell in cells if cell.name in arguments.only
              or any(cell.name.startswith(word) for word in arguments.only if word not in exact)]
    idle = idle if "idle" in arguments.only else []
    if not chosen and not idle:
        raise BenchError("no such cell; there are: idle, " + ", ".join(NAMES))
    return chosen, idle


def compare_words(v):
    """Two short lines for one comparison, and whether it is within the limit."""
    if v is None:
        return "-", "", False
    good = v.ratio <= v.limit
    word = "" if v.limit == NO_LIMIT else " PASS" if good else " FAIL"
    doubt = "?" if v.low <= v.limit < v.high and v.limit != NO_LIMIT else ""
    return (f"{v.ratio:.2f}{word}{doubt}", f"{v.low:.2f}-{v.high:.2f} {v.best.split('-', 1)[1]}",
            good)


def print_cells(cells, names, results):
    subject = cells[0].subject
    head = [subject] + [name for name in names if name not in (subject, "direct")]
    print(f"\nCPU of the proxy per unit of work: median, below it min-max; ratios {subject} / "
          "the other within one round: median, below it the 95 % interval")
    widths = [max(12, len(name.split("-", 1)[-1]) + 2) for name in head]

    def line(first, unit, middles, right, far):
        print(f"{first:<20}{unit:<9}" + "".join(f"{m:<{w}}" for m, w in zip(middles, widths))
              + f"{right:<23}{far}".rstrip())

    line("cell", "unit", [name.split("-", 1)[0] for name in head], "/ best bare",
         "/ best haproxy")
    line("", "", [name.partition("-")[2] for name in head], f"(limit {LIMIT_RATIO})", "")
    passed = True
    for cell in cells:
        runs = results.of(cell)
        costs = [verdict.values_of(runs, name, "cost").values() for name in head]
        found = {v.against: v for v in verdict.judge(cell.describe(), runs)}
        bare, peer = compare_words(found.get("bare")), compare_words(found.get("peer"))
        failed = last_failures(runs)
        passed = passed and bare[2] and subject not in failed
        line(cell.name, cell.unit,
             ["failed" if name in failed else three(stats.median(values)) if values else "-"
              for name, values in zip(head, costs)], bare[0], peer[0])
        line("", "", [f"{three(min(values))}-{three(max(values))}" if values else ""
                      for values in costs], bare[1], peer[1])
    return passed


def last_failures(runs):
    """{contender: why} of a cell."""
    return {run["contender"]: run["failed"] for run in runs
            if run["failed"] and not run["discarded"]}


def print_other(cells, results):
    """Before and after: the subject beside another build of penstock."""
    print(f"\n{cells[0].subject} / {OTHER}, paired: median, 95 % interval, pairs")
    for cell in cells:
        found = verdict.compare(results.of(cell), cell.subject, [OTHER], "cost")
        if found:
            print(f"  {cell.name:<20}{found.ratio:.3f}  {found.low:.3f}-{found.high:.3f}  "
                  f"{found.pairs}")


def print_rates(cells, names, results):
    """How fast each went: a proxy can be cheap and slow at once, so both are shown."""
    print("\nachieved rate (median): GB/s, thousand round trips or connections per second; "
          "p50 latency in us")
    for cell in cells:
        words = []
        for name in names:
            rate = verdict.median_of(results.of(cell), name, "rate")
            if rate is None:
                continue
            text = f"{name} {three(rate / (1e9 if cell.work == 'bytes' else 1e3))}"
            p50 = verdict.median_of(results.of(cell), name, "p50_us")
            words.append(text + (f" ({three(p50)})" if p50 else ""))
        print(f"  {cell.name:<20}" + ", ".join(words))


def print_idle(cell, results):
    low, high = cell.counts
    print(f"\nuser memory per idle proxied connection ({low} to {high} connections)")
    passed = False
    for run in results.of(cell):
        name, metrics = run["contender"], run["metrics"]
        if name == "direct":
            continue
        if run["failed"]:
            print(f"  {name:<16} failed: {run['failed']}")
            continue
        held = {key: metrics[key] for key in ("pipes", "buffers") if key in metrics}
        text = f"  {name:<16} {metrics['user_kib']:.2f} KiB each; RSS {run['rss_kib']} KiB " \
               f"at {high}" + "".join(f"; {key} held {value:g}" for key, value in held.items())
        if name == cell.subject:
            passed = metrics["user_kib"] <= LIMIT_IDLE_KIB and not any(held.values())
            text += "  PASS" if passed else f"  FAIL (limit {LIMIT_IDLE_KIB:g} KiB, nothing held)"
        print(text)
    return passed


def print_trouble(cells, results, why):
    alike = {}
    runs = [run for cell in cells for run in results.of(cell)]
    for cell in cells:
        for name, reason in last_failures(results.of(cell)).items():
            alike.setdefault((name, reason), []).append(cell.name)
    for (name, reason), where in alike.items():
        print(f"  failed: {name}: {reason}; in {', '.join(where[:3])}"
              + (f" and {len(where) - 3} more" if len(where) > 3 else ""))
    discarded = len({(run["cell"], run["round"]) for run in runs if run["discarded"]})
    if discarded:
        print(f"  {discarded} rounds thrown away, mostly for stolen CPU")
    foreign = stats.median([run["foreign_share"] for run in runs]) if runs else 0
    if foreign > 0.03:
        print(f"  other programs used {foreign:.0%} of the two cores: a smoke test, no measurement")
    if why:
        print(f"  ended early: {why}: partial results")


def measure(cells, idle, names, results, machine, arguments):
    """Returns why it ended early, or None."""
    clock = Clock(arguments.budget)
    if idle:
        Schedule(idle, names, results, machine, clock, RUN_SECONDS, survey_rounds=1,
                 pairs=0).run()
    if not cells:
        return
    schedule = Quick(cells, names, results, machine, clock, RUN_SECONDS, SURVEY_ROUNDS,
                     arguments.rounds, keep={"bare": 2})
    try:
        schedule.run()
    except Over as end:
        if not schedule.is_surveyed() or clock.left() > 0:
            raise end


def main():
    arguments = parse_arguments()
    OtherPenstock.binary = arguments.other
    names = choose_contenders(arguments.subject)
    cells, idle = choose_cells(arguments)
    machine = Machine(arguments.proxy_cpu, arguments.load_cpu)
    results = Results("quick", machine, cells + idle, anew=True)
    status, why = 0, None
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        measure(cells, idle, names, results, machine, arguments)
    except KeyboardInterrupt:
        status, why = 130, "interrupted"
        say("")
    except (Over, BenchError) as end:
        status, why = 2, str(end)
    results.finish(why)
    passed = True
    if cells:
        passed = print_cells(cells, names, results)
        if OTHER in names:
            print_other(cells, results)
        print_rates(cells, names, results)
    if idle:
        passed = print_idle(idle[0], results) and passed
    print_trouble(cells + idle, results, why)
    if why:
        print("bench-quick: not finished")
        return status
    print(f"bench-quick: {'PASS' if passed else 'FAIL'}")
    return 0 if passed else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as problem:
        print(f"quick.py: {problem}", file=sys.stderr)
        sys.exit(2)
