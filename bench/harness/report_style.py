# SPDX-License-Identifier: GPL-3.0-or-later
"""The style sheet of the HTML page: light and dark, wide and narrow, and the contenders' colours.

A contender is told from the others by its name at the end of its line; colour and dashes only
help. The families share a colour; on both backgrounds each has a contrast of at least 4.5.
"""

# family: (on light, on dark); a contender is of the longest family that its name begins with
COLOURS = {
    "penstock": ("#0b57d0", "#8ab4f8"),
    "direct": ("#1f1f1f", "#f1f1f1"),
    "bare": ("#5f6368", "#a8adb4"),
    "haproxy": ("#b3400a", "#ff9e64"),
    "nginx": ("#146c2e", "#7fd494"),
    "ats": ("#7627bb", "#cf9bff"),
    "envoy": ("#b8126b", "#ff8bcb"),
    "hitch": ("#00687a", "#6fd6e8"),
    "socat": ("#7a5900", "#e3c15c"),
    "sozu": ("#4f6a00", "#bcd668"),
    "pulsar": ("#b3261e", "#ff8a80"),
    "kroxylicious": ("#006b5e", "#5fd9c6"),
    "grepplabs": ("#8a3a8f", "#e7a3ec"),
}

# The second and further of a family are dashed.
DASHES = {
    "haproxy-auto": "7 3", "haproxy-splice": "2 3", "haproxy-busy": "9 3 2 3", "nginx-64k": "7 3",
    "bare-copy-epoll": "2 3", "bare-copy-uring": "7 3", "bare-splice-epoll": "9 3 2 3",
    "kroxylicious-uring": "7 3", "penstock-busy": "7 3", "penstock-other": "2 3", "penstock-opaque": "2 3",
}

PAGE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1f1f1f; --soft: #5a5d62;
  --line: #d8dade; --shade: #f3f4f6; --good: #146c2e; --bad: #b3261e; --notice: #fff3d6; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 16px; background: var(--ground);
  color: var(--text); font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
h1, h2 { line-height: 1.2; }
h2 { margin: 2.2em 0 .6em; padding-top: .5em; border-top: 1px solid var(--line); }
h3 { margin: 1.6em 0 .4em; font-size: 1em; }
p, li { max-width: 46em; }
a { color: var(--c-penstock); }
nav a { display: inline-block; margin-right: 1em; padding: 3px 0; }
code, pre { font: .9em/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { overflow-x: auto; padding: 10px; background: var(--shade); border-radius: 6px; }
.notice { padding: 10px 14px; background: var(--notice); border-left: 4px solid var(--bad);
  border-radius: 4px; }
summary { cursor: pointer; padding: 6px 0; color: var(--c-penstock); }
.scroll { overflow-x: auto; margin: 1em 0; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; line-height: 1.35;
  font-variant-numeric: tabular-nums; }
th, td { padding: 6px 10px; text-align: right; vertical-align: top; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
tr:last-child > * { border-bottom: 0; }
thead th { background: var(--shade); vertical-align: bottom; }
th:first-child { position: sticky; left: 0; text-align: left; background: var(--shade);
  white-space: normal; min-width: 9em; font-weight: 600; }
@media (min-width: 720px) { th:first-child { min-width: 15em; } }
small { display: block; color: var(--soft); font-size: 12px; font-weight: 400; }
.met { color: var(--good); }
.lost { color: var(--bad); font-weight: 700; }
.not-judged { color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr));
  gap: 20px; margin: 1.2em 0; }
figure { margin: 0; min-width: 0; overflow-x: auto; }
figcaption { font-weight: 600; }
svg { display: block; width: 100%; max-width: 560px; min-width: 340px; height: auto; }
figure.wide { grid-column: 1 / -1; }
figure.wide svg { max-width: 940px; min-width: 640px; }
svg text { fill: var(--text); font-size: 12px; }
svg .axis, svg .tick { fill: var(--soft); }
svg .head { font-weight: 700; }
.grid { stroke: var(--line); }
.one { stroke: var(--soft); }
.series polyline { fill: none; stroke: var(--c); stroke-width: 1.8; }
.series circle { fill: var(--c); }
.series.c-penstock polyline { stroke-width: 3.4; }
.leader { stroke: var(--c); stroke-width: .8; opacity: .6; }
svg .label text { fill: var(--c); }
svg .label.c-penstock text { font-weight: 700; }
.limit { stroke: var(--text); stroke-width: 1.5; }
.slack { fill: var(--soft); opacity: .3; }
.interval { stroke-width: 2; }
.good { fill: var(--good); stroke: var(--good); }
.bad { fill: var(--bad); stroke: var(--bad); }
svg .good text { fill: var(--good); stroke: none; }
svg .bad text { fill: var(--bad); stroke: none; font-weight: 700; }
"""

DARK = """  --ground: #16181c; --text: #e8eaed; --soft: #a8adb4; --line: #3a3f47; --shade: #21252b;
  --good: #7fd494; --bad: #ff8a80; --notice: #3a2f12;"""


def family_of(name):
    return max((family for family in COLOURS if name.startswith(family)), key=len, default="bare")


def sheet(contenders):
    lines = [PAGE]
    lines += [f":root {{ --c-{family}: {light}; }}" for family, (light, _) in COLOURS.items()]
    dark = " ".join(f"--c-{family}: {shade};" for family, (_, shade) in COLOURS.items())
    lines.append(f"@media (prefers-color-scheme: dark) {{ :root {{\n{DARK}\n  {dark} }} }}")
    for name in contenders:
        lines.append(f".c-{name} {{ --c: var(--c-{family_of(name)}); }}")
        if name in DASHES:
            lines.append(f".c-{name} polyline {{ stroke-dasharray: {DASHES[name]}; }}")
    return "\n".join(lines) + "\n"
