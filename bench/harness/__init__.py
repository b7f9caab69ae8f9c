# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark harness: bench/run, bench/report, bench/quick.py and bench/spliced.py stand on it.

catalog.py is the way in: cells.py and the *_cells.py say what is measured and which goals hold,
contenders.py and peers_*.py who is measured, stages.py what stands around them, schedule.py in which
order it goes, verdict.py what came of it, results.py where it is kept.
"""

import os
import pathlib
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / "build" / "release"
BARE = BUILD / "bare"
LOAD = BUILD / "penstock-bench"
PENSTOCK = BUILD / "penstock"
# Where tests/lab/deps.sh keeps what it downloads; tests/lab/paths.sh says the same for the shell.
CACHE = pathlib.Path(os.environ.get("PENSTOCK_CACHE")
                     or pathlib.Path(os.environ.get("XDG_CACHE_HOME")
                                     or pathlib.Path.home() / ".cache") / "penstock")
PASSING_SECONDS = 20


class BenchError(Exception):
    """Something the reader can act on; its text is all that is shown."""


_said_at = 0.0


def say(text, passing=False):
    """Progress, on standard error: standard output is the report. A passing line is replaced by
    the next one; where that is not possible only one now and then is shown."""
    global _said_at
    if sys.stderr.isatty():
        print("\r\x1b[K" + text, end="" if passing else "\n", file=sys.stderr, flush=True)
        return
    if passing and time.monotonic() - _said_at < PASSING_SECONDS:
        return
    _said_at = time.monotonic() if passing else _said_at
    print(text, file=sys.stderr, flush=True)
