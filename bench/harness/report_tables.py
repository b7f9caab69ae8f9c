# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the report: the goals, and two for every group of cells."""

from . import report_words as words
from .report_blocks import Code, Strong, Table, Verdict, entry
from .verdict import ABSOLUTE

# In this order, then whatever else the goals of a group name.
AGAINST = {"peer": "best peer", "bare": "best bare loop", "direct": "direct",
           ABSOLUTE: "limit"}
UNIT_OF_WORK = {
    "bytes": ("GB", 1e9),
    "round_trips": ("round trip", 1),
    "messages": ("message", 1),
    "connections": ("connection", 1),
    "lookups": ("lookup", 1),
    "requests": ("request", 1),
}


def against_words(against):
    return AGAINST.get(against, against)


def goals_table(goals):
    """One row for each goal: what the verdict was made of."""
    rows = []
    for goal in goals:
        v = goal.verdict
        figures = [entry(words.NONE)] * 2
        if v:
            figures = [entry(middle_of(goal)), entry(interval_of(v))]
        rows.append((entry(Code(goal.cell["name"]), small=label_of(goal.metric)), *figures,
                     entry(f"≤ {goal.limit:g}"), entry(Verdict(goal.word)),
                     entry(against_words(goal.against),
                           small=best_of(goal)),
                     entry(str(v.pairs) if v else words.NONE)))
    return Table(("Cell", "Ratio", "95 % interval", "Goal", "Verdict", "Against", "Pairs"),
                 tuple(rows))


def middle_of(goal):
    """The ratio, or the value with its unit where that is what has a limit."""
    unit = words.unit(goal.metric["unit"]) if goal.against == ABSOLUTE else ""
    return Strong(f"{words.ratio(goal.verdict.ratio)} {unit}".rstrip())


def interval_of(v):
    return words.interval(v.low, v.high) if v.pairs > 1 else "one pair"


def best_of(goal):
    """Who was the best, where the goal does not say so already."""
    return goal.verdict.best if goal.verdict and goal.verdict.best != goal.against else ""


def label_of(metric):
    unit = words.unit(metric["unit"])
    return f"{metric['label']}, {unit}" if unit else metric["label"]


def costs_table(results, cells, goals):
    """A row for each metric of each cell: penstock, its ratios, then everybody else."""
    names = results.contenders(cells)
    kinds = kinds_of(goals)
    ours = [name for name in names if name.startswith("penstock")]
    others = [name for name in names[len(ours):] if has_figures(results, cells, name)]
    head = ["Cell", *ours, *(f"vs {against_words(kind)}" for kind in kinds), *others]
    rows = []
    for cell in cells:
        for metric in cell["metrics"]:
            found = {goal.against: goal for goal in goals
                     if goal.cell is cell and goal.metric is metric}
            rows.append((entry(Code(cell["name"]), small=label_of(metric)),
                         *(cost_entry(results.row(cell, name), metric) for name in ours),
                         *(ratio_entry(found.get(kind)) for kind in kinds),
                         *(cost_entry(results.row(cell, name), metric) for name in others)))
    return Table(tuple(head), tuple(rows))


def has_figures(results, cells, contender):
    """Or has failed to get some; the direct way has no CPU time to show, for one."""
    rows = [results.row(cell, contender) for cell in cells]
    return any(row.failures or row.metric(metric["key"])
               for row in rows for metric in row.cell["metrics"])


def kinds_of(goals):
    there = {goal.against: None for goal in goals}
    return [kind for kind in AGAINST if kind in there] + \
        [kind for kind in there if kind not in AGAINST]


def cost_entry(row, metric):
    found = row.metric(metric["key"])
    if found:
        middle, least, most = found
        return entry(words.three(middle), small=words.spread(least, most))
    return entry("failed" if row.failures else words.NONE)


def ratio_entry(goal):
    if goal is None:
        return entry(words.NONE)
    v = goal.verdict
    if v is None:
        return entry(words.NONE if goal.limit is None else Verdict(goal.word))
    of_best = f" of {best_of(goal)}" if best_of(goal) else ""
    measured = interval_of(v) + of_best
    if goal.limit is None:
        return entry(middle_of(goal), small=measured)
    return entry(middle_of(goal), " ", Verdict(goal.word),
                 small=f"{measured}, goal ≤ {goal.limit:g}")


def latency_column(name):
    return lambda row: words.micros(row.latency().get(name))


def offered(row):
    return words.rate(row.median("load", "offered_per_second"), row.work())


def achieved(row):
    work = row.work()
    return words.rate(row.median("load", "per_second", work), work) if work else words.NONE


def split(row):
    user = row.total("load", "proxy_user_ms")
    system = row.total("load", "proxy_system_ms")
    if user + system == 0:
        return words.NONE
    share = user / (user + system)
    return f"{100 * share:.0f} / {100 * (1 - share):.0f} %"


def switches(row):
    work = row.work()
    done = row.total("load", "work", work) if work else 0
    if not done or row.median("load", "proxy_switches", "voluntary") is None:
        return words.NONE
    _, per_unit = UNIT_OF_WORK.get(work, (work, 1))
    kinds = [row.total("load", "proxy_switches", kind) for kind in ("voluntary", "involuntary")]
    return " + ".join(words.three(kind / done * per_unit) for kind in kinds)


def negotiated(row):
    """What a TLS session was made of; several where the runs differ."""
    return ", ".join(sorted(row.texts("load", "beside", "tls"))) or words.NONE


def late(row):
    return words.micros(row.median("load", "late_us", "p99"))


def trouble(row):
    texts = [words.reasons(row.errors())]
    if row.failures:
        texts.append(f"failed rounds: {words.reasons(row.failures)}")
    return "; ".join(text for text in texts if text) or words.NONE


DETAILS = (
    ("Offered", offered),
    ("Achieved", achieved),
    ("p50", latency_column("p50")),
    ("p90", latency_column("p90")),
    ("p99", latency_column("p99")),
    ("p99.9", latency_column("p999")),
    ("Max", latency_column("max")),
    ("Generator late, p99", late),
    ("CPU user / system", split),
    ("Switches per {unit}", switches),
    ("RSS", lambda row: words.memory(row.median("rss_kib"))),
    ("Spliced", lambda row: words.percent(row.median("spliced_share"))),
    ("TLS", negotiated),
    ("Errors", trouble),
)


def details_table(results, cell):
    """A row for each contender of a cell; columns that would be empty are left out."""
    rows = results.rows(cell)
    columns = [(title, [column(row) for row in rows]) for title, column in DETAILS]
    columns = [(title.format(unit=unit_of(rows)), texts) for title, texts in columns
               if any(text != words.NONE for text in texts)]
    lines = [(entry(row.contender), entry(str(len(row.counting))),
              *(entry(texts[number]) for _, texts in columns))
             for number, row in enumerate(rows)]
    return Table(("Contender", "Runs", *(title for title, _ in columns)), tuple(lines))


def unit_of(rows):
    work = next((row.work() for row in rows if row.work()), None)
    return UNIT_OF_WORK.get(work, (work, 1))[0]
