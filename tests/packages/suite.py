"""Import this first: the helpers of the suite (tests/lab, tests/e2e) without its two sides, everything on one loopback; and what was seen."""
import os
import pathlib
import sys

os.environ["PENSTOCK_LAB_NETNS"] = "off"
for folder in ("lab", "e2e"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / folder))

from processes import LabError as Failed  # noqa: E402

totals = {"passed": 0, "failed": 0}


def good(text):
    totals["passed"] += 1
    print(f"  ok  {text}", flush=True)


def same(text, seen, wanted):
    if seen != wanted:
        raise Failed(f"{text}: {seen!r} instead of {wanted!r}")
