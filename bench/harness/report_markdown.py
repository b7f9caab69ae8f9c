# SPDX-License-Identifier: GPL-3.0-or-later
"""A report page as Markdown. Figures are left out: they belong to the HTML page."""

import os
import re

from . import report_blocks as blocks

WIDTH = 120


class Markdown:
    """Writes for one file, since the links of a page depend on where it lies."""

    def __init__(self, top, folder):
        self.top = top
        self.folder = folder        # None: a file outside of the tree, which gets no links

    def page(self, all_blocks):
        texts = [self.block(block) for block in all_blocks]
        return "\n\n".join(text for text in texts if text) + "\n"

    def block(self, block):
        match block:
            case blocks.Heading(level, text):
                return "#" * level + " " + escape(text)
            case blocks.Paragraph(spans):
                return fill(self.inline(spans))
            case blocks.Notice(spans):
                return "> " + fill(self.inline(spans)).replace("\n", "\n> ")
            case blocks.Bullets(items):
                return "\n".join(fill("- " + self.inline(item), "  ") for item in items)
            case blocks.Table():
                return self.table(block)
            case blocks.Listing(text):
                return "```\n" + text.rstrip("\n").replace("```", "'''") + "\n```"
            case blocks.Fold(title, inner):
                return (f"<details><summary>{escape(title)}</summary>\n\n"
                        + self.page(inner) + "\n</details>")
            case blocks.Figures():
                return ""
        raise TypeError(f"no such block: {block!r}")

    def table(self, table):
        lines = ["| " + " | ".join(escape(name) for name in table.head) + " |",
                 "|---" + "|---:" * (len(table.head) - 1) + "|"]
        for row in table.rows:
            lines.append("| " + " | ".join(self.field(field) for field in row) + " |")
        return "\n".join(lines)

    def field(self, field):
        text = self.inline(field.spans)
        return f"{text}<br>{escape(field.small)}" if field.small else text

    def inline(self, spans):
        return "".join(self.span(span) for span in spans)

    def span(self, span):
        match span:
            case str():
                return escape(span)
            case blocks.Code(text):
                return "`" + text.replace("`", "'").replace("|", "\\|") + "`"
            case blocks.Strong(text):
                return f"**{escape(text)}**"
            case blocks.Link(text, path):
                if self.folder is None:
                    return escape(text)
                return f"[{escape(text)}]({os.path.relpath(self.top / path, self.folder)})"
            case blocks.Verdict(word):
                return f"**{word}**" if word == blocks.LOST else word
        raise TypeError(f"no such span: {span!r}")


def escape(text):
    return re.sub(r"([\\`*\[\]<>|]|(?<!\w)_|_(?!\w))", r"\\\1", text.replace("\n", " "))


def fill(text, indent=""):
    """Lines of at most WIDTH characters; words stay whole, and so does what stands in `code`."""
    lines = [""]
    for word in re.findall(r"(?:`[^`]*`|\S)+", text):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > WIDTH:
            lines.append(indent + word)
        else:
            lines[-1] += (" " if lines[-1] else "") + word
    return "\n".join(lines)
