# SPDX-License-Identifier: GPL-3.0-or-later
"""penstock-bench as the harness uses it: one measured run, idle connections, and the sinks."""

import functools
import json
import os
import re
import select
import subprocess
import time

from . import LOAD, BenchError
from .processes import free_port, wait_for_port

GRACE_SECONDS = 30
IDLE_HOLD_SECONDS = 120
STEP_SECONDS = 30


@functools.cache
def options_of(what, name):
    """The options that `penstock-bench WHAT NAME` takes; None when it has no such mode or sink."""
    if not os.access(LOAD, os.X_OK):
        raise BenchError("penstock-bench is not built: run `make bench-tools`")
    shown = subprocess.run([LOAD, what, name, "--help"], capture_output=True, text=True,
                           check=False)
    return frozenset(re.findall(r"--[a-z-]+", shown.stdout)) if shown.returncode == 0 else None


def lacks(what, name, options=()):
    """What this binary is too old for, as text; None when it has the mode and its options."""
    has = options_of(what, name)
    if has is None:
        missing = f"`{what} {name}`"
    elif not has.issuperset(options):
        missing = f"{', '.join(sorted(set(options) - has))} in `{what} {name}`"
    else:
        return None
    return f"penstock-bench has no {missing}: run `make bench-tools`"


def run(arguments, seconds, pid=None, hgrm=None, near_end=None):
    """One measured run: the generator's JSON line, or {"failed": why}. `near_end` is called while
    it still runs."""
    command = [LOAD, "load", *arguments, "-t", f"{seconds:.3f}"]
    if pid is not None:
        command += ["--cpu-of", pid]
    if hgrm is not None:
        command += ["--hgrm", hgrm]
    with subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            if near_end:
                time.sleep(0.8 * seconds)
                near_end()
            output, complaint = process.communicate(timeout=seconds + GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            return {"failed": "the generator did not end"}
        finally:
            process.kill()
    return parse(output, complaint)


def parse(output, complaint=""):
    try:
        result = json.loads(output)
    except ValueError:
        return {"failed": (complaint or "the generator said nothing").strip()}
    if result["errors"]:
        result["failed"] = ", ".join(f"{why} {count}" for why, count in result["errors"].items())
    return result


class Idle:
    """Holds idle connections; step() opens up to the next count and says how it went."""

    def __init__(self, mode, to, counts, options=()):
        command = [LOAD, "load", mode, "--to", to, "-c", ",".join(map(str, counts)),
                   "-t", IDLE_HOLD_SECONDS, *options]
        self.process = subprocess.Popen([str(word) for word in command], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.first = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def step(self):
        if not self.first:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        self.first = False
        ready, _, _ = select.select([self.process.stdout], [], [], STEP_SECONDS)
        if not ready:
            raise BenchError(f"the connections are not all open after {STEP_SECONDS} s")
        line = self.process.stdout.readline()
        if not line:
            raise BenchError("the idle generator ended early")
        return json.loads(line)

    def finish(self):
        """Closes the connections; the generator's last line."""
        return parse(self.process.communicate()[0])


class Sinks:
    """One server of each mode, listening for every contender on an address of its own, so that the
    closed connections of one do not fill the port table of another."""

    def __init__(self, processes, machine, modes, names):
        self.to = {}            # (contender, mode) -> address
        self.processes = processes
        self.running = []
        for mode in modes:
            for number, name in enumerate(names, 1):
                host = f"127.0.1.{number}"
                self.to[name, mode] = f"{host}:{free_port(host)}"
            command = [LOAD, "sink", mode]
            for name in names:
                command += ["--listen", self.to[name, mode]]
            process = processes.start(f"sink-{mode}", command, {machine.load_cpu})
            self.running.append(process)
            wait_for_port(process, self.to[names[-1], mode], processes)

    def check(self):
        """A dead sink would look like a fault of every contender."""
        for process in self.running:
            if process.poll() is not None:
                raise BenchError("a sink: " + self.processes.last_words(process))
