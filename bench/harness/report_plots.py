# SPDX-License-Identifier: GPL-3.0-or-later
"""Which figures a report has, and what is in them."""

import collections
import statistics

from . import report_tables, stats
from . import report_words as words
from .report_blocks import Figure, Figures
from .report_svg import Axis, Dot, DotChart, Line, LineChart, Log, log_around
from .verdict import ABSOLUTE, SLACK

POINTS_PER_DECADE = 12
COMMONEST = 10 / 9          # curves begin at the 10th percentile
PERCENTILE_TICKS = ((2, "50 %"), (10, "90 %"), (100, "99 %"), (1e3, "99.9 %"), (1e4, "99.99 %"),
                    (1e5, "99.999 %"))


def ratios(goals, titles):
    """The overview: one dot for each goal that has figures, in the order of the page."""
    dots = []
    for goal in goals:
        v = goal.verdict
        if v is None or goal.against == ABSOLUTE:
            continue
        dots.append(Dot(titles(goal.cell["group"]), f"{goal.cell['name']} {goal.metric['label']}",
                        f"{words.ratio(v.ratio)} of {v.best}" + ("" if v.met else ", lost"),
                        v.ratio, v.low, v.high, goal.limit, SLACK, v.met))
    if not dots:
        return None
    title = "penstock against the best of its peers and of the bare loops"
    caption = ("The dot is the median ratio, the line its 95 % interval; the bar begins at the "
               "goal and is as wide as what is allowed above it. Circles are met, diamonds lost; "
               "without a bar there is no goal.")
    return Figures((Figure(title, DotChart(title, dots).svg(), caption, wide=True),))


def of_group(results, group, cells):
    """The figures that belong behind the tables of one group, or None."""
    found = []
    if group in ("stream-up", "stream-down"):
        found += by_chunk(results, cells)
    if group in ("idle", "tls-idle"):
        found += by_connections(results, cells)
    found += [chart for chart in (percentile_curves(results, cell) for cell in cells) if chart]
    return Figures(tuple(Figure(chart.title, chart.svg()) for chart in found)) if found else None


def by_chunk(results, cells):
    """CPU per GB against the size of a write: a chart for each number of connections."""
    charts = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in rows(results, cells):
        cost = row.metric("cost")
        size = row.median("load", "message_bytes")
        count = row.median("load", "connection_count")
        if cost and cost[0] > 0 and size and count:
            charts[count][row.contender].append((size, cost[0]))
    label = report_tables.label_of(cells[0]["metrics"][0])
    return [chart_of("CPU against size of a write, "
                     + words.plural(int(count), "connection", "connections"),
                     "size of a write", words.size, label, words.brief, lines)
            for count, lines in sorted(charts.items())]


def by_connections(results, cells):
    """Memory of the whole process against the number of connections that it holds."""
    lines = collections.defaultdict(list)
    for row in rows(results, cells):
        rss = row.median("rss_kib")
        count = row.median("load", "connection_count")
        if rss and count:
            lines[row.contender].append((count, rss / 1024))
    if not lines:
        return []
    return [chart_of("Resident memory against idle connections", "idle connections",
                     lambda x: words.count(x, words.brief), "RSS, MiB", words.brief, lines)]


def rows(results, cells):
    """All rows of some cells, penstock's last: what is drawn last lies on top."""
    for cell in cells:
        yield from reversed(results.rows(cell))


def chart_of(title, x_title, x_words, y_title, y_words, lines):
    """A chart whose ticks on the x axis are the values that were measured."""
    points = [point for line in lines.values() for point in line]
    sizes = sorted({x for x, _ in points})
    scale = log_around([y for _, y in points])
    chart = LineChart(title, Axis(x_title, Log(sizes[0] / 1.2, sizes[-1] * 1.2),
                                  [(x, x_words(x)) for x in sizes]),
                      Axis(y_title, scale, [(y, y_words(y)) for y in scale.ticks()]), dots=True)
    for name, line in lines.items():
        chart.add(Line(name, sorted(line)))
    return chart


def percentile_curves(results, cell):
    """Latency against percentile: the farther right, the rarer. Of the rounds the median."""
    lines = {}
    for row in rows(results, [cell]):
        curve = median_curve([points for points in results.percentiles(row) if points])
        if curve:
            lines[row.contender] = curve
    if not lines:
        return None
    # Fast contenders have rarer events to tell of; the axis ends where half of all still go on.
    rarest = statistics.median_low(line[-1][0] for line in lines.values())
    lines = {name: [(x, y) for x, y in line if x <= rarest] for name, line in lines.items()}
    scale = log_around([y for line in lines.values() for _, y in line])
    ticks = [(x, word) for x, word in PERCENTILE_TICKS if x <= rarest]
    latencies = [(y, words.micros(y, words.brief)) for y in scale.ticks()]
    chart = LineChart(f"{cell['title']}: latency by percentile",
                      Axis("percentile", Log(COMMONEST, rarest), ticks),
                      Axis("latency", scale, latencies), dots=False)
    for name, line in lines.items():
        chart.add(Line(name, line))
    return chart


def median_curve(rounds):
    """Several percentile curves as one, at abscissas that all of them have."""
    if not rounds:
        return []
    rarest = min(points[-1][0] for points in rounds)
    curve = []
    step = 0
    while (x := COMMONEST * 10 ** (step / POINTS_PER_DECADE)) <= rarest:
        values = [value_at(points, x) for points in rounds]
        if min(values) > 0:
            curve.append((x, stats.median(values)))
        step += 1
    return curve


def value_at(points, x):
    return next(value for at, value in points if at >= x)
