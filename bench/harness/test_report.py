# SPDX-License-Identifier: GPL-3.0-or-later
"""bench/report on a small results directory whose right answers are known beforehand.

    python3 -m unittest bench/harness/test_report.py
"""

import html.parser
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from . import TOP, report_data, report_html, report_page, report_plots, report_style, report_svg
from .report_markdown import Markdown

ROUNDS = 8
COSTS = {"penstock": 1.0, "haproxy-splice": 1.25, "bare-splice-epoll": 0.8, "ats": 3.0}
METRICS = [{"key": "cost", "label": "CPU", "unit": "µs/round trip"},
           {"key": "p50_us", "label": "p50", "unit": "µs"}]
GOALS = [{"metric": "cost", "against": "peer", "limit": 0.95},
         {"metric": "cost", "against": "bare", "limit": 1.0},
         {"metric": "p50_us", "against": "absolute", "limit": 50},
         {"metric": "p50_us", "against": "peer", "limit": float("inf")}]


def a_cell(name, group, title):
    return {"name": name, "group": group, "title": title, "unit": "us/rt", "metrics": METRICS,
            "goals": GOALS, "peers": ["haproxy-splice", "ats"]}


def a_run(cell, contender, number, **more):
    cost = COSTS[contender] * (1 + 0.01 * number)
    load = {"mode": "pingpong", "connection_count": 16, "message_bytes": 128, "errors": {},
            "work": {"bytes": 256000, "round_trips": 1000, "connections": 16},
            "per_second": {"bytes": 2560000, "round_trips": 10000 / cost, "connections": 160},
            "proxy_user_ms": 30, "proxy_system_ms": 70,
            "proxy_switches": {"voluntary": 500, "involuntary": 2},
            "beside": {"tls": "TLSv1.3 SUITE " + ("x25519" if number > 1 else "P-256")},
            "latency_us": {"count": 1000, "p50": 40 * cost, "p90": 60 * cost, "p99": 90 * cost,
                           "p999": 200 * cost, "max": 1000 + number}}
    return {"cell": cell, "contender": contender, "round": number, "phase": "pairs", "at": "",
            "discarded": None, "failed": None, "load": load, "rss_kib": 3000,
            "metrics": {"cost": cost, "p50_us": 40 * cost, "rate": 10000 / cost},
            "spliced_share": None, "foreign_share": 0.01, **more}


def a_histogram(scale):
    lines = ["       Value     Percentile TotalCount 1/(1-Percentile)", ""]
    lines += [f"{scale * (1 + step):12.3f} {1 - 2.0 ** -step:.12f} {1000:10d} {2.0 ** step:14.2f}"
              for step in range(10)]
    lines += [f"{scale * 11:12.3f} 1.000000000000 {1024:10d}",
              "#[Mean    =       10.000, StdDeviation   =        1.000]"]
    return "\n".join(lines) + "\n"


def write_results(folder, finished="2026-08-01T11:00:00Z"):
    """Two cells, the second without runs; every contender's cost is known from COSTS."""
    meta = {
        "name": folder.name, "started": "2026-08-01T10:00:00Z", "finished": finished,
        "partial": finished is None, "commit": "0123456789ab",
        "machine": {"kernel": "6.1", "cpu": "a CPU", "cpus": 2, "memory_kib": 4 << 20,
                    "proxy_cpu": 1, "load_cpu": 0, "fd_limit": 1024, "sysctl": {}},
        "contenders": {name: {"version": f"{name} 1.0", "config": "listen 127.0.0.1:1\n",
                              "command": [f"{TOP}/build/release/{name}", "-f",
                                          f"{tempfile.gettempdir()}/penstock-bench-1/x.cfg"]}
                       for name in COSTS},
        "skipped": {"envoy": "no <wheel> | for `this` machine"},
        "cells": [a_cell("pingpong-128-x16", "pingpong", "128 B, 16 connections"),
                  a_cell("mice", "mice", "mice")],
    }
    cell = meta["cells"][0]["name"]
    runs = [a_run(cell, name, number) for number in range(1, ROUNDS + 1)
            for name in COSTS if name != "ats"]
    runs.append(a_run(cell, "ats", 1, failed="reset 12", metrics={}))
    runs.append(a_run(cell, "penstock", 99, discarded="stolen CPU",
                      metrics={"cost": 777.0, "p50_us": 777.0}))
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    (folder / "runs.jsonl").write_text("".join(json.dumps(run) + "\n" for run in runs),
                                       encoding="utf-8")
    at = folder / "hgrm" / cell
    at.mkdir(parents=True)
    for name, scale in COSTS.items():
        (at / f"{name}-1.hgrm").write_text(a_histogram(scale), encoding="utf-8")


class Balance(html.parser.HTMLParser):
    """Every element that is opened is closed, in the right order."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.attributes = set()

    def handle_starttag(self, tag, attrs):
        self.attributes.update(name for name, _ in attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes.update(name for name, _ in attrs)

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            raise AssertionError(f"</{tag}> at {self.getpos()}")


class Page(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name) / "small"
        self.folder.mkdir()
        write_results(self.folder)

    def render(self):
        results = report_data.Results(self.folder)
        page = report_page.build(results)
        return (Markdown(TOP, TOP / "docs").page(page),
                report_html.page(page, report_style.sheet(results.meta["contenders"])))

    def test_figures(self):
        markdown, _ = self.render()
        lost = next(line for line in markdown.splitlines() if "**lost**" in line)
        self.assertIn("| **1.25** | 1.25–1.25 | ≤ 1 |", lost)
        self.assertIn("bare-splice-epoll", lost)
        met = markdown.index("| **0.80** | 0.80–0.80 | ≤ 0.95 | met |")
        self.assertLess(markdown.index(lost), met)
        self.assertIn("| **41.8 µs** | 40.4–43.2 | ≤ 50 | met | limit | 8 |", markdown)
        self.assertIn("| **0.80**<br>0.80–0.80 of haproxy-splice |", markdown)  # has no limit
        self.assertIn("| 1.04<br>1.01–1.08 |", markdown)        # the discarded 777 is not in it
        self.assertNotIn("777", markdown)
        self.assertIn("| 9.57 k/s |", markdown)
        self.assertIn("| 30 / 70 % | 0.500 + 0.0020 |", markdown)
        self.assertIn("| 1.01 ms |", markdown)                  # the worst maximum
        self.assertIn("failed rounds: reset 12 (1)", markdown)
        self.assertIn("| TLSv1.3 SUITE P-256, TLSv1.3 SUITE x25519 |", markdown)

    def test_what_is_missing_is_said_first(self):
        self.assertIn("1 of 2 cells have no figures; 3 of 6 goals could not be judged",
                      self.render()[0].split("## ")[0].replace("\n> ", " "))
        runs = self.folder / "runs.jsonl"
        runs.write_text(runs.read_text(encoding="utf-8")[:-20], encoding="utf-8")
        for page in self.render():
            self.assertLess(page.index("its last line was cut off"), page.index("Verdicts"))

    def test_a_busy_machine_is_said_first(self):
        self.assertNotIn("smoke test", self.render()[0])
        runs = self.folder / "runs.jsonl"
        runs.write_text(runs.read_text(encoding="utf-8").replace(
            '"foreign_share": 0.01', '"foreign_share": 0.4'), encoding="utf-8")
        self.assertIn("no measurement:** other programs used 40 % of the two cores.",
                      self.render()[0].split("## ")[0])

    def test_a_broken_line_in_the_middle_is_refused(self):
        runs = self.folder / "runs.jsonl"
        runs.write_text("{\n" + runs.read_text(encoding="utf-8"), encoding="utf-8")
        with self.assertRaisesRegex(report_data.BenchError, "runs.jsonl:1: "):
            self.render()

    def test_same_results_same_bytes(self):
        self.assertEqual(self.render(), self.render())

    def test_nothing_of_this_machine(self):
        for page in self.render():
            self.assertNotIn(str(TOP), page)
            self.assertNotIn(tempfile.gettempdir(), page)
            self.assertIn("build/release/penstock -f x.cfg", page)

    def test_markdown(self):
        markdown, _ = self.render()
        self.assertIn("[bench/README.md](../bench/README.md)", markdown)
        self.assertIn("no \\<wheel\\> \\| for \\`this\\` machine", markdown)
        rows = [line for line in markdown.splitlines() if line.startswith("|")]
        tables = [row.count(" | ") for row in rows if row.startswith("| Cell")]
        self.assertTrue(tables and all(tables))

    def test_html_stands_alone(self):
        _, page = self.render()
        balance = Balance()
        balance.feed(page)
        self.assertEqual(balance.open, [])
        self.assertFalse({"src", "xlink:href"} & balance.attributes)
        self.assertNotIn("http", page)
        self.assertNotIn("url(", page)
        self.assertEqual(page.count("<svg"), 2)         # the ratios, one latency cell

    def test_command_line(self):
        command = [sys.executable, TOP / "bench" / "report"]
        done = subprocess.run([*command, self.folder], capture_output=True, text=True, check=True)
        self.assertEqual([pathlib.Path(line).name for line in done.stdout.splitlines()],
                         ["report.md", "report.html"])
        done = subprocess.run([*command, self.folder / "none"], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^bench/report: .* holds no results .*\n$")


class Drawing(unittest.TestCase):
    def test_labels_keep_their_distance(self):
        placed = report_svg.apart([50, 52, 51, 200], 0, 210, 14)
        self.assertEqual(sorted(placed), [37, 51, 65, 200])
        self.assertLess(placed[0], placed[2])
        self.assertLess(placed[2], placed[1])

    def test_labels_stay_inside(self):
        placed = report_svg.apart([0, 1, 2, 3], 0, 30, 14)
        self.assertEqual((min(placed), max(placed)), (0, 30))

    def test_ticks_are_round_and_few(self):
        self.assertEqual(report_svg.Log(0.9, 2.1).ticks(), [1, 1.5, 2])
        self.assertEqual(report_svg.Log(1, 1e5).ticks(), [1, 10, 100, 1e3, 1e4, 1e5])

    def test_what_has_no_logarithm_is_drawn_at_the_edge(self):
        dot = report_svg.Dot("a group", "a cell", "0.50", 0.5, 0.0, 2.0, None, 0.05, True)
        self.assertIn(">0.5</text>", report_svg.DotChart("ratios", [dot]).svg())

    def test_rounds_become_one_curve(self):
        rounds = [[(1, 10.0), (2, 20.0), (100, 30.0)], [(1, 10.0), (2, 40.0), (10, 50.0)],
                  [(1, 10.0), (2, 60.0), (50, 70.0)]]
        curve = report_plots.median_curve(rounds)
        self.assertEqual(curve[0], (report_plots.COMMONEST, 40.0))
        self.assertEqual(curve[-1][1], 50.0)
        self.assertLess(curve[-1][0], 10)


if __name__ == "__main__":
    unittest.main()
