# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report page is made of, before it is Markdown or HTML.

Text is a tuple of spans: plain strings and the four kinds below. Who writes a page never escapes
anything; the two renderers (report_markdown, report_html) do, each in its own way.
"""

from dataclasses import dataclass


LOST, OPEN, MET = "lost", "not judged", "met"


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Strong:
    text: str


@dataclass(frozen=True)
class Link:
    text: str
    path: str           # a file of the tree, from its top


@dataclass(frozen=True)
class Verdict:
    """LOST, OPEN or MET, which HTML also colours; the word is always there."""
    word: str


@dataclass(frozen=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    spans: tuple


@dataclass(frozen=True)
class Notice:
    """A paragraph that must not be overlooked."""
    spans: tuple


@dataclass(frozen=True)
class Bullets:
    items: tuple        # of spans


@dataclass(frozen=True)
class Entry:
    """One field of a table: spans, and a second line in smaller letters."""
    spans: tuple = ()
    small: str = ""


@dataclass(frozen=True)
class Table:
    head: tuple         # of strings; the first column names the row
    rows: tuple         # of tuples of Entry


@dataclass(frozen=True)
class Listing:
    text: str


@dataclass(frozen=True)
class Fold:
    title: str
    blocks: tuple


@dataclass(frozen=True)
class Figure:
    title: str
    svg: str
    caption: str = ""
    wide: bool = False      # takes the whole width


@dataclass(frozen=True)
class Figures:
    """Drawings beside each other; Markdown leaves them out."""
    all: tuple


def entry(*spans, small=""):
    return Entry(tuple(spans), small)


def paragraph(*spans):
    return Paragraph(tuple(spans))
