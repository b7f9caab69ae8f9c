# SPDX-License-Identifier: GPL-3.0-or-later
"""A report page as one HTML file that needs nothing else: no script, no font, no picture."""

from html import escape

from . import report_blocks as blocks


def page(all_blocks, style):
    title = next(block.text for block in all_blocks if isinstance(block, blocks.Heading))
    sections = [block.text for block in all_blocks
                if isinstance(block, blocks.Heading) and block.level == 2]
    links = "\n".join(f'<a href="#{anchor(text)}">{escape(text)}</a>' for text in sections)
    body = "\n".join(block_html(block) for block in all_blocks)
    # The contents stand behind the first heading and whatever comes before the second.
    before, mark, after = body.partition("<h2")
    return (f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>penstock: {escape(title)}</title>\n<style>{style}</style>\n"
            f'<body>\n{before}<nav aria-label="Contents">\n{links}\n</nav>\n{mark}{after}\n'
            "</body>\n</html>\n")


def anchor(text):
    return "".join(letter if letter.isalnum() else "-" for letter in text.lower())


def block_html(block):
    match block:
        case blocks.Heading(level, text):
            mark = f' id="{anchor(text)}"' if level == 2 else ""
            return f"<h{level}{mark}>{escape(text)}</h{level}>"
        case blocks.Paragraph(spans):
            return f"<p>{inline(spans)}</p>"
        case blocks.Notice(spans):
            return f'<p class="notice">{inline(spans)}</p>'
        case blocks.Bullets(items):
            return "<ul>" + "".join(f"<li>{inline(item)}</li>" for item in items) + "</ul>"
        case blocks.Table():
            return table(block)
        case blocks.Listing(text):
            return f'<pre tabindex="0">{escape(text)}</pre>'
        case blocks.Fold(title, inner):
            return (f"<details><summary>{escape(title)}</summary>\n"
                    + "\n".join(block_html(each) for each in inner) + "\n</details>")
        case blocks.Figures(figures):
            return ('<div class="figures">' + "\n".join(map(figure, figures)) + "</div>")
    raise TypeError(f"no such block: {block!r}")


def figure(drawing):
    wide = ' class="wide"' if drawing.wide else ""
    small = f"<small>{escape(drawing.caption)}</small>" if drawing.caption else ""
    return (f'<figure{wide} tabindex="0"><figcaption>{escape(drawing.title)}{small}</figcaption>\n'
            f"{drawing.svg}</figure>")


def table(block):
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in block.head)
    rows = []
    for first, *rest in block.rows:
        rows.append(f'<tr><th scope="row">{field(first)}</th>'
                    + "".join(f"<td>{field(each)}</td>" for each in rest) + "</tr>")
    return (f'<div class="scroll" tabindex="0"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n'
            + "\n".join(rows) + "\n</tbody></table></div>")


def field(entry):
    small = f"<small>{escape(entry.small)}</small>" if entry.small else ""
    return inline(entry.spans) + small


def inline(spans):
    return "".join(span_html(span) for span in spans)


def span_html(span):
    match span:
        case str():
            return escape(span)
        case blocks.Code(text) | blocks.Link(text, _):     # a page that travels has no links out
            return f"<code>{escape(text)}</code>"
        case blocks.Strong(text):
            return f"<strong>{escape(text)}</strong>"
        case blocks.Verdict(word):
            return f'<span class="{word.replace(" ", "-")}">{word}</span>'
    raise TypeError(f"no such span: {span!r}")
