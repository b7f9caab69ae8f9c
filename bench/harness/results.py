# SPDX-License-Identifier: GPL-3.0-or-later
"""A results directory: meta.json, runs.jsonl (append-only) and hgrm/. README.md has the format."""

import collections
import datetime
import json
import os
import shutil
import subprocess

from . import TOP, BenchError, say
from .contenders import REGISTRY

RESULTS = TOP / "build" / "bench"


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def commit():
    """The commit that is measured, with "-dirty" where the tree differs from it."""
    done = subprocess.run(["git", "-C", TOP, "describe", "--always", "--dirty", "--abbrev=12",
                           "--exclude=*"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


class Results:
    def __init__(self, name, machine, cells, resume=False, anew=False):
        self.folder = RESULTS / name
        if anew:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.by_cell = collections.defaultdict(list)
        self.meta = {"name": name, "started": now(), "finished": None, "partial": True,
                     "why_partial": "not finished", "commit": commit(),
                     "machine": machine.describe(), "contenders": {},
                     "skipped": {}, "cells": []}
        if (self.folder / "meta.json").exists():
            if not resume:
                raise BenchError(f"{self.folder} has results already: "
                                 "--resume goes on with them, another --name begins anew")
            self.take_up()
        listed = {cell["name"]: cell for cell in self.meta["cells"]}
        listed.update((cell.name, cell.describe()) for cell in cells)
        self.meta["cells"] = list(listed.values())
        self.folder.mkdir(parents=True, exist_ok=True)
        self.save()

    def take_up(self):
        with open(self.folder / "meta.json", encoding="utf-8") as file:
            old = json.load(file)
        for key in ("cpu", "kernel", "proxy_cpu", "load_cpu"):
            if old["machine"][key] != self.meta["machine"][key]:
                raise BenchError(f"these results are of another machine ({key} was "
                                 f"{old['machine'][key]}): give another --name")
        for name, known in old["contenders"].items():
            cls = REGISTRY.get(name)
            if cls and cls.why_missing(name) is None and cls.version() != known["version"]:
                raise BenchError(f"these results are of another {name} ({known['version']}): "
                                 "give another --name")
        self.meta = {**old, "finished": None, "partial": True, "why_partial": "not finished",
                     "skipped": {}}
        self.read_runs()

    def read_runs(self):
        """A line that was cut off, by a kill or a full disk, is removed."""
        path = self.folder / "runs.jsonl"
        if not path.exists():
            return
        text = path.read_text(encoding="utf-8")
        whole = text[:text.rfind("\n") + 1]
        if whole != text:
            say("the last line of runs.jsonl was cut off: removed")
            os.truncate(path, len(whole.encode()))
        for line in whole.splitlines():
            run = json.loads(line)
            self.by_cell[run["cell"]].append(run)

    def save(self):
        path = self.folder / "meta.json"
        part = path.with_suffix(".part")
        part.write_text(json.dumps(self.meta, indent=1) + "\n", encoding="utf-8")
        part.replace(path)

    def append(self, lines):
        """The lines of one round."""
        with open(self.folder / "runs.jsonl", "a", encoding="utf-8") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))
        for line in lines:
            self.by_cell[line["cell"]].append(line)

    def of(self, cell):
        return self.by_cell[cell.name]

    def rounds(self, cell, phase):
        """How many rounds of a phase count; one whose subject was discarded does not."""
        counting = collections.defaultdict(list)
        for run in self.of(cell):
            if run["phase"] == phase:
                counting[run["round"]].append(run)
        return sum(any(not run["discarded"] for run in
                       [run for run in runs if run["contender"] == cell.subject] or runs)
                   for runs in counting.values())

    def next_round(self, cell):
        return 1 + max((run["round"] for run in self.of(cell)), default=0)

    def hgrm(self, cell, name, number):
        path = self.folder / "hgrm" / cell.name / f"{name}-{number}.hgrm"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def note(self, contender):
        """Version, configuration and command of a contender, once for each role it has played."""
        role = contender.setting.role
        known = self.meta["contenders"].setdefault(
            contender.name, {"version": type(contender).version(), "config": None,
                             "command": contender.command_text, "roles": []})
        if role in known["roles"]:
            return
        known["roles"].append(role)
        if contender.config_text:
            parts = [known["config"]] if known["config"] else []
            known["config"] = "\n".join([*parts, f"# as {role}", contender.config_text])
        self.save()

    def skip(self, what, where, why):
        """Something that cannot be measured here: said once, and kept."""
        key = f"{what} ({where})" if where else what
        if self.meta["skipped"].get(key) != why:
            self.meta["skipped"][key] = why
            say(f"SKIPPED {key}: {why}")
            self.save()

    def finish(self, why_partial=None):
        self.meta.update(partial=why_partial is not None, why_partial=why_partial,
                         finished=None if why_partial else now())
        self.save()
