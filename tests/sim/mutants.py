#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the named bugs of mutants.txt one by one and runs the simulator until it has caught each.

Each is an exact text replacement in one source file, made in a copy of the tree under
build/sim-mutants/NAME; that file is compiled again, everything else is linked from
build/sim-mutants/base. A bug that no seed of 1-200 catches fails the run, and so does one whose
text is not found exactly once: then the product has moved on and the list must follow."""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIST = ROOT / "tests/sim/mutants.txt"
BUILD = ROOT / "build/sim-mutants"
SEEDS = "1..200"
FLAGS = ["-std=gnu11", "-O1", "-g", "-w", "-pthread", "-fno-strict-aliasing"]
LIBS = ["-pthread", "-lz", "-ljansson", "-lyaml", "-lcrypto"]


def read_list():
    """Entries of mutants.txt: "== name | file", the old text, "--", the new text."""
    entries = []
    for part in re.split(r"^== ", LIST.read_text(), flags=re.M)[1:]:
        head, body = part.split("\n", 1)
        name, path = (word.strip() for word in head.split("|"))
        old, new = re.split(r"^--\n", body, flags=re.M)
        entries.append((name, path, old.rstrip("\n"), new.rstrip("\n")))
    return entries


def compile_one(cc, tree, source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([cc, *FLAGS, "-I", tree / "include", "-c", tree / source, "-o", target],
                   check=True, cwd=tree)


def build_base(cc, sources):
    """Objects of the unchanged product and the simulator; make tells which are out of date."""
    base = BUILD / "base"
    subprocess.run(["make", "--no-print-directory", "-j", str(os.cpu_count()), f"CC={cc}",
                    "sim-mutants-base"], check=True, cwd=ROOT)
    return {source: base / pathlib.Path(source).with_suffix(".o") for source in sources}


def run_one(cc, objects, entry):
    """Returns (name, what happened, is it well)."""
    name, path, old, new = entry
    tree = BUILD / name
    if (ROOT / path).read_text().count(old) != 1:
        return name, f"its text is not found once in {path}", False
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(ROOT / "src", tree / "src")
    shutil.copytree(ROOT / "include", tree / "include")
    (tree / path).write_text((ROOT / path).read_text().replace(old, new))
    changed = dict(objects)
    users = [path] if path.endswith(".c") else [s for s in objects if s.startswith("src/")]
    for source in users:
        changed[source] = tree / pathlib.Path(source).with_suffix(".o")
        compile_one(cc, tree, source, changed[source])
    binary = tree / "penstock-sim"
    subprocess.run([cc, "-o", binary, *changed.values(), *LIBS], check=True)
    run = subprocess.run([binary, "-f", "-j", "1", SEEDS], capture_output=True, text=True)
    found = re.search(r"^seed ([\d.]+) failed", run.stdout, flags=re.M)
    shutil.rmtree(tree / "include")
    if not found:
        return name, f"SURVIVED seeds {SEEDS}", False
    why = re.search(r"(FAILED: .*|.*CHECK\(.*|ended by signal.*)", run.stdout)
    return name, f"seed {found[1]:>5}  {why[1] if why else '?'}", True


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--cc", default="cc")
    args.add_argument("--sources", required=True)
    args.add_argument("names", nargs="*")
    args = args.parse_args()
    cc = args.cc
    objects = build_base(cc, args.sources.split())
    entries = [e for e in read_list() if not args.names or e[0] in args.names]
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, what, is_well in pool.map(lambda e: run_one(cc, objects, e), entries):
            print(f"{'caught' if is_well else 'FAILED'}  {name:<34} {what}", flush=True)
            bad += not is_well
    print(f"sim-mutants: {len(entries) - bad} caught, {bad} not")
    return 1 if bad or not entries else 0


if __name__ == "__main__":
    sys.exit(main())
