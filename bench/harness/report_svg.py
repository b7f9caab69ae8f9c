# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the two kinds of figure of the report as inline SVG: lines with their names beside them,
and dots with intervals.

Of our own, so that a report needs no package, is the same byte for byte from the same results,
and follows the page's light or dark colours, which report_style.py has. Nothing here knows what
is drawn.
"""

import math
from dataclasses import dataclass
from html import escape

CHARACTER = 6.6         # width of a character of the 12 px labels, about
LABEL_GAP = 14          # between the baselines of two labels
TICKS_MAX = 7


class Log:
    """A logarithmic scale from 0 to 1."""

    STEPS = ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))

    def __init__(self, low, high):
        self.low = low
        self.high = high if high > low else 2 * low

    def at(self, value):
        return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)

    def ticks(self):
        """Round numbers, as many as there is room for."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for steps in self.STEPS:
            found = [step * 10.0 ** decade for decade in decades for step in steps]
            found = [value for value in found if self.low <= value <= self.high]
            if len(found) <= TICKS_MAX:
                break
        return found


def log_around(values):
    """A scale with some air around the values; those that have no logarithm are left out."""
    values = [value for value in values if value > 0]
    return Log(min(values) / 1.15, max(values) * 1.15)


@dataclass
class Axis:
    title: str
    scale: Log
    ticks: list         # of (value, text)


@dataclass
class Line:
    name: str           # the label, and the class that has the colour
    points: list        # of (x, y)


@dataclass
class Dot:
    group: str
    label: str
    note: str
    middle: float
    low: float
    high: float
    limit: float        # None: no limit
    slack: float
    good: bool


def n(value):
    return f"{value:.1f}".removesuffix(".0")


def text(x, y, words, kind="", anchor="start"):
    return (f'<text x="{n(x)}" y="{n(y)}" class="{kind}" text-anchor="{anchor}">'
            f"{escape(words)}</text>")


def rule(x1, y1, x2, y2, kind):
    return f'<line x1="{n(x1)}" y1="{n(y1)}" x2="{n(x2)}" y2="{n(y2)}" class="{kind}"/>'


def drawing(width, height, title, parts):
    return (f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
            + "".join(parts) + "</svg>")


def apart(wanted, low, high, gap=LABEL_GAP):
    """Positions that keep their distance and stay within low..high, in all as near to the wanted
    ones as that allows: labels that would overlap form a block around their mean."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    blocks = []         # [sum, count] of where the first label would have to be
    for rank, i in enumerate(order):
        blocks.append([wanted[i] - rank * gap, 1])
        while len(blocks) > 1 and mean(blocks[-2]) > mean(blocks[-1]):
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    firsts = [mean(block) for block in blocks for _ in range(block[1])]
    last = high - (len(wanted) - 1) * gap
    placed = [0.0] * len(wanted)
    for rank, i in enumerate(order):
        placed[i] = min(max(firsts[rank], low), last) + rank * gap
    return placed


def mean(block):
    return block[0] / block[1]


class LineChart:
    """Lines over two logarithmic axes, each with its name at its end; later ones lie on top."""

    WIDTH, HEIGHT = 480, 330
    LEFT, TOP, BOTTOM = 52, 26, 44

    def __init__(self, title, x_axis, y_axis, dots):
        self.title = title
        self.x_axis = x_axis
        self.y_axis = y_axis
        self.dots = dots            # whether to mark every point
        self.lines = []

    def add(self, line):
        self.lines.append(line)

    def svg(self):
        longest = max(len(line.name) for line in self.lines)
        self.right = self.WIDTH - longest * CHARACTER - 36
        self.floor = self.HEIGHT - self.BOTTOM
        parts = self.frame()
        parts += [self.curve(line) for line in self.lines]
        parts += self.labels()
        return drawing(self.WIDTH, self.HEIGHT, self.title, parts)

    def x(self, value):
        return self.LEFT + self.x_axis.scale.at(value) * (self.right - self.LEFT)

    def y(self, value):
        return self.floor - self.y_axis.scale.at(value) * (self.floor - self.TOP)

    def frame(self):
        parts = [text(4, 13, self.y_axis.title, "axis"),
                 text((self.LEFT + self.right) / 2, self.HEIGHT - 8, self.x_axis.title, "axis",
                      "middle")]
        for value, words in self.x_axis.ticks:
            parts += [rule(self.x(value), self.TOP, self.x(value), self.floor, "grid"),
                      text(self.x(value), self.floor + 17, words, "tick", "middle")]
        for value, words in self.y_axis.ticks:
            parts += [rule(self.LEFT, self.y(value), self.right, self.y(value), "grid"),
                      text(self.LEFT - 6, self.y(value) + 4, words, "tick", "end")]
        return parts

    def curve(self, line):
        at = [(n(self.x(x)), n(self.y(y))) for x, y in line.points]
        path = " ".join(f"{x},{y}" for x, y in at)
        marks = "".join(f'<circle cx="{x}" cy="{y}" r="3"/>' for x, y in at) if self.dots else ""
        return (f'<g class="series c-{escape(line.name)}"><title>{escape(line.name)}</title>'
                f'<polyline points="{path}"/>{marks}</g>')

    def labels(self):
        ends = [(self.x(line.points[-1][0]), self.y(line.points[-1][1])) for line in self.lines]
        heights = apart([y for _, y in ends], self.TOP, self.floor)
        parts = []
        for line, (x, y), height in zip(self.lines, ends, heights):
            parts.append(f'<g class="label c-{escape(line.name)}">'
                         + rule(x + 4, y, self.right + 26, height, "leader")
                         + text(self.right + 30, height + 4, line.name) + "</g>")
        return parts


class DotChart:
    """A row for each ratio: its interval, its limit with the slack, and the figure as a word."""

    WIDTH, ROW, TOP, BOTTOM = 760, 21, 24, 20
    HEAD = 24               # of a group

    def __init__(self, title, dots):
        self.title = title
        self.dots = dots
        values = [value for dot in dots for value in (dot.low, dot.middle, dot.high, 1.0)]
        values += [dot.limit + dot.slack for dot in dots if dot.limit is not None]
        self.scale = log_around(values)
        self.left = 16 + CHARACTER * max(len(dot.label) for dot in dots)
        self.right = self.WIDTH - 10 - CHARACTER * max(len(dot.note) for dot in dots)

    def svg(self):
        parts = []
        y = self.TOP
        group = None
        for dot in self.dots:
            if dot.group != group:
                group = dot.group
                y += self.HEAD
                parts.append(text(4, y - 6, group, "head"))
            parts.append(self.row(dot, y + self.ROW / 2))
            y += self.ROW
        return drawing(self.WIDTH, n(y + self.BOTTOM), self.title,
                       self.frame(y) + parts)

    def x(self, value):
        return self.left + self.scale.at(value) * (self.right - self.left)

    def frame(self, floor):
        parts = []
        for value in self.scale.ticks():
            kind = "one" if value == 1 else "grid"
            parts.append(rule(self.x(value), self.TOP, self.x(value), floor, kind))
            for y in (self.TOP - 8, floor + 15):
                parts.append(text(self.x(value), y, f"{value:g}", "tick", "middle"))
        return parts

    def row(self, dot, y):
        parts = [text(4, y + 4, dot.label)]
        if dot.limit is not None:
            at, end = self.x(dot.limit), self.x(dot.limit + dot.slack)
            parts += [f'<rect x="{n(at)}" y="{n(y - 8)}" width="{n(end - at)}" height="16" '
                      'class="slack"/>', rule(at, y - 8, at, y + 8, "limit")]
        middle = self.x(dot.middle)
        shape = (f'<circle cx="{n(middle)}" cy="{n(y)}" r="4"/>' if dot.good else
                 f'<path d="M{n(middle)} {n(y - 6)}l6 6l-6 6l-6 -6z"/>')
        parts += [f'<g class="{"good" if dot.good else "bad"}">',
                  rule(self.x(dot.low), y, self.x(dot.high), y, "interval"), shape,
                  text(self.right + 8, y + 4, dot.note), "</g>"]
        return "".join(parts)
