"""Fixtures of the kTLS suite, which runs inside user-mode Linux (run.sh). Files run in their order: the kernel learns more from one to the next.

    world    ends of connections, moved by hand (ends.py); one for each case
    rig      penstock with TLS on either side (rig.py)
"""
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("lab", "e2e"):
    sys.path.insert(0, str(HERE.parent / folder))

import kernel  # noqa: E402
import pki  # noqa: E402
import pytest  # noqa: E402
from ends import World  # noqa: E402
from rig import ROOT, Rig  # noqa: E402

assert kernel.CAN_REKEY or os.environ["KTLS_KERNEL"] != "newer", f"Linux {kernel.RELEASE} is none that can change keys"
collect_ignore = ["test_8_no_rekey.py" if kernel.CAN_REKEY else "test_9_rekey.py"]
notes = []  # for the suite's line
_outcomes = {"passed": 0, "failed": 0}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    rig = getattr(item, "funcargs", {}).get("rig")
    if report.failed and rig:
        report.sections.append(("the end of penstock's log", "\n".join(line for line in rig.gate.log().splitlines()[-3:] if " control " not in line)))
    if report.when == "call" or report.failed:
        _outcomes["passed" if report.passed else "failed"] += 1
        name = f"{item.path.stem}::{item.name}".removeprefix("test_")
        os.write(1, f"{'ok    ' if report.passed else 'FAILED'} {name} ({call.duration:.1f} s)\n".encode())


def pytest_unconfigure(config):
    line = ", ".join([f"kernel {kernel.RELEASE}", *notes, f"{time.monotonic():.0f} s"])
    os.write(1, f"ktls: {_outcomes['passed']} passed, {_outcomes['failed']} failed ({line})\n".encode())


def pytest_report_teststatus(report, config):
    return report.outcome if report.failed or report.when == "call" else "", "", ""  # the lines are ours


@pytest.fixture(scope="session")
def authority():
    folder = pathlib.Path(ROOT) / "ca"
    folder.mkdir()
    return pki.Authority(folder)


@pytest.fixture(scope="module")
def rigs(authority):
    """rigs(...) makes a Rig for the cases of a file."""
    made = []

    def make(*words, **keys):
        made.append(Rig(authority, World(), *words, **keys))
        return made[-1]

    yield make
    for rig in made:
        rig.gate.kill()
        rig.world.close()


def at_rest(rig):
    """After a case: all its connections closed, penstock holds nothing more."""
    for end in rig.world.ends:
        end.close()
    rig.world.ends.clear()
    time.sleep(0.02)  # at first sight, then
    rig.gate.assert_rest()
    rig.gate.forget_log()
    rig.world.idle(0.001)  # what nobody waited for
    for listener in rig.world.listeners:
        listener.ends.clear()
