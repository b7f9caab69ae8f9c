# SPDX-License-Identifier: GPL-3.0-or-later
"""The report, from its first sentence to its last, as blocks that both renderers read."""

import collections

from . import report_goals, report_machine, report_plots, report_tables
from . import report_words as words
from .report_blocks import (LOST, MET, OPEN, Code, Fold, Heading, Link, Notice, Strong,
                            paragraph)
from .verdict import SLACK

GROUPS = {
    "stream-up": "One-way stream, client to server",
    "stream-down": "One-way stream, server to client",
    "pingpong": "Ping-pong",
    "open-loop": "Open loop",
    "busy-poll": "Busy polling",
    "connect": "Connections",
    "idle": "Idle connections",
    "mice": "Mice beside an elephant",
    "pulsar": "Pulsar",
    "kafka": "Kafka",
    "tls": "TLS: handshakes and ping-pong",
    "tls-stream": "TLS: one-way streams",
    "tls-idle": "TLS: idle connections",
    "fairness": "Fairness between workers",
}
FOREIGN_MAX = 0.03      # of the two cores, by others; then the figures are of no use


def title_of(group):
    return GROUPS.get(group, group)


def build(results):
    goals = report_goals.of_all(results)
    return (Heading(1, "Benchmarks"), *warnings(results, goals), method(results),
            *verdicts(goals), *groups(results, goals), *report_machine.sections(results))


def warnings(results, goals):
    """What is missing, before anything else is said."""
    why = []
    if results.meta.get("partial") or not results.meta.get("finished"):
        why.append(results.meta.get("why_partial") or "the run was not finished")
    if results.torn:
        why.append("its last line was cut off")
    empty = [cell["name"] for cell in results.cells
             if not any(row.counting for row in results.rows(cell))]
    if empty:
        why.append(f"{len(empty)} of {len(results.cells)} cells have no figures")
    limited = [goal for goal in goals if goal.limit is not None]
    unjudged = sum(goal.word == OPEN for goal in limited)
    if unjudged:
        why.append(f"{unjudged} of {len(limited)} goals could not be judged")
    if results.strangers:
        why.append(words.plural(results.strangers, "run belongs", "runs belong")
                   + " to no cell of the list and " + ("is" if results.strangers == 1 else "are")
                   + " not shown")
    if why:
        yield Notice((Strong("Partial results:"), " " + "; ".join(why) + "."))
    foreign = results.foreign_share()
    if foreign and foreign > FOREIGN_MAX:
        yield Notice((Strong("A smoke test, no measurement:"), " other programs used "
                      f"{words.percent(foreign)} of the two cores."))


def method(results):
    machine = results.meta["machine"]
    return paragraph(
        "penstock, its peers, and ", Code("bare"), " (minimal loops that show what this machine "
        "allows) relay the same load over loopback: the proxy alone on core "
        f"{machine.get('proxy_cpu', '?')}, generator and sink on core "
        f"{machine.get('load_cpu', '?')}. ", Strong("CPU"), " is the CPU time of the whole proxy "
        "process per unit of work, read from its CPU clock at the first and the last unit, so that "
        "starting and connecting are outside. Contenders take turns; a ratio is penstock divided "
        "by the other within one round, given as the median over the rounds with the sign test's "
        "95 % interval; below 1, penstock is the better. \"Best\" has the lowest median. A goal is "
        f"met when the upper end of the interval is at most {SLACK:g} above it. Rounds with stolen "
        "CPU are thrown away. More: ", Link("bench/README.md", "bench/README.md"), ".")


def verdicts(comparisons):
    goals = [goal for goal in comparisons if goal.limit is not None]
    of_cells = collections.Counter(report_goals.words_of_cells(goals).values())
    counts = [f"{of_cells[word]} {word}" for word in (MET, LOST, OPEN) if of_cells[word]]
    ordered = sorted(goals, key=report_goals.Goal.urgency)
    missed = [goal for goal in ordered if goal.word != MET]
    kept = [goal for goal in goals if goal.word == MET]
    yield Heading(2, "Verdicts")
    yield paragraph("Cells: ", Strong(", ".join(counts) or "none"), ". A cell is met when all of "
                    f"its goals are; of {len(goals)} goals {len(kept)} are met. With fewer than "
                    "six pairs the interval is the whole range.")
    if missed:
        yield report_tables.goals_table(missed)
    if kept:
        yield Fold(f"The {words.plural(len(kept), 'goal', 'goals')} met",
                   (report_tables.goals_table(kept),))
    overview = report_plots.ratios(comparisons, title_of)
    if overview:
        yield overview


def groups(results, goals):
    by_group = collections.defaultdict(list)
    for cell in results.cells:
        by_group[cell["group"]].append(cell)
    order = [name for name in GROUPS if name in by_group]
    order += [name for name in by_group if name not in GROUPS]
    for name in order:
        cells = by_group[name]
        yield Heading(2, title_of(name))
        yield from one_group(results, name, cells,
                             [goal for goal in goals if goal.cell["group"] == name])


def one_group(results, name, cells, goals):
    if not any(results.of_cell(cell) for cell in cells):
        yield paragraph("Not measured.")
        return
    yield paragraph("Median, below it least–most; for a ratio the interval, against whom, and the "
                    "goal.")
    yield report_tables.costs_table(results, cells, goals)
    yield Fold("Rates, latencies, CPU split, switches, memory and errors",
               tuple(details(results, cells)))
    figures = report_plots.of_group(results, name, cells)
    if figures:
        yield figures


def details(results, cells):
    yield paragraph("Medians of the rounds; the maximum is the worst of all rounds. The CPU is "
                    "split by clock ticks, which is coarse where runs are few. Context switches "
                    "are voluntary + involuntary. Errors are the sum over all rounds.")
    for cell in cells:
        yield Heading(3, f"{cell['name']}: {cell['title']}")
        if results.of_cell(cell):
            yield report_tables.details_table(results, cell)
        else:
            yield paragraph("Not measured.")
