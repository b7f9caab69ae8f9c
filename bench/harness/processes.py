# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting processes, pinned and watched, and stopping every one of them; ports and HTTP.

Every process is the leader of a group of its own and dies with this one, so that a contender's
children go with it and ^C reaches only the harness, which then stops the rest.
"""

import contextlib
import ctypes
import http.client
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import BenchError
from .machine import TICK, value_of

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Processes:
    """A context that stops what was started in it; its folder is for their files."""

    def __init__(self):
        self.running = []       # (process, its output)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-bench-"))
        self.folder.chmod(0o755)    # some contenders give up root and must still read their files

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process, _ in self.running:
            kill_group(process)
        for process, output in self.running:
            process.wait()
            output.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, command, cpus, **more):
        """Starts a command on the given set of CPUs; its output goes to NAME.log."""
        def prepare():
            os.sched_setaffinity(0, cpus)
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        output = open(self.folder / f"{name}.log", "w+", encoding="utf-8")
        try:
            process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, preexec_fn=prepare, start_new_session=True, **more)
        except (OSError, subprocess.SubprocessError) as error:
            output.close()
            raise BenchError(f"{command[0]} cannot be started on CPU "
                             f"{','.join(map(str, sorted(cpus)))}: {error}") from error
        self.running.append((process, output))
        return process

    def stop(self, process):
        kill_group(process)
        process.wait()
        for entry in [entry for entry in self.running if entry[0] is process]:
            entry[1].close()
            self.running.remove(entry)

    def log_of(self, process):
        for running, output in self.running:
            if running is process:
                output.flush()
                return pathlib.Path(output.name).read_text(encoding="utf-8", errors="replace")
        return ""

    def last_words(self, process):
        """How a process that has died did so."""
        status = process.wait()
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        log = self.log_of(process).strip().split("\n")
        return f"the process has died ({how}) {' | '.join(log[-3:])}".rstrip()

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def own_seconds(self):
        """CPU time of this process, of all it has waited for, and of all that it runs now."""
        mine = resource.getrusage(resource.RUSAGE_SELF)
        theirs = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime
                + sum(family_seconds(p.pid) for p, _ in self.running if p.poll() is None))


def kill_group(process):
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


# ---- what /proc says of a process ----------------------------------------------------------------

def children_of(pid):
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as children:
                found += map(int, children.read().split())
    return found


def family_of(pid):
    """A process and all its descendants."""
    family = [pid]
    for member in family:
        family += children_of(member)
    return family


def family_seconds(pid):
    """CPU time of a process and its descendants to the nanosecond where the kernel says so (schedstat), else in clock ticks, which is
    how it counts those they have waited for. 64 processes with less than a tick each are not nothing."""
    seconds = 0.0
    for member in family_of(pid):
        with contextlib.suppress(OSError):
            with open(f"/proc/{member}/stat", encoding="utf-8", errors="replace") as stat:
                ticks = list(map(int, stat.read().rpartition(")")[2].split()[11:15]))
            seconds += sum(ticks[2:]) * TICK
            try:
                seconds += sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{member}/task").iterdir()) / 1e9
            except OSError:
                seconds += sum(ticks[:2]) * TICK
    return seconds


def rss_kib(pid):
    """Resident memory of a process and its descendants, exactly, as it is now."""
    return sum_kib(pid, "smaps_rollup", "Rss")


def peak_rss_kib(pid):
    """The most resident memory since reset_peak_rss()."""
    return sum_kib(pid, "status", "VmHWM")


def reset_peak_rss(pid):
    for member in family_of(pid):
        with contextlib.suppress(OSError):
            with open(f"/proc/{member}/clear_refs", "w", encoding="ascii") as refs:
                refs.write("5")


def sum_kib(pid, file, key):
    total = 0
    for member in family_of(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += int((value_of(f"/proc/{member}/{file}", key) or "0").split()[0])
    return total


def pin(pid, cpus):
    """Pins every thread of a process and of its descendants; some undo what they inherited."""
    for member in family_of(pid):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            for task in os.listdir(f"/proc/{member}/task"):
                os.sched_setaffinity(int(task), cpus)


# ---- ports ---------------------------------------------------------------------------------------

_ports_given = set()


def free_port(host="127.0.0.1"):
    """A port below the range that the kernel gives to outgoing connections, so none takes it."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as limits:
        low = int(limits.read().split()[0])
    for _ in range(1000):
        port = random.randrange(max(1024, low - 16000), low)
        if port in _ports_given:
            continue
        with socket.socket() as probe:
            with contextlib.suppress(OSError):
                probe.bind((host, port))
                _ports_given.add(port)
                return port
    raise BenchError("no free port found below the ephemeral range")


def split(address):
    host, _, port = address.rpartition(":")
    return host, int(port)


def wait_for_port(process, address, processes, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise BenchError(f"{process.args[0]} ended at once: {processes.last_words(process)}")
        with contextlib.suppress(OSError):
            socket.create_connection(split(address), 1).close()
            return
        time.sleep(0.02)
    raise BenchError(f"{process.args[0]} does not listen on {address}: "
                     + processes.log_of(process)[-300:].strip())


# ---- HTTP ----------------------------------------------------------------------------------------

def http_get(host, port, path):
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def wait_ready(process, admin_port, processes, seconds=10):
    """Waits for a penstock's /readyz."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            if http_get("127.0.0.1", admin_port, "/readyz")[0] == 200:
                return
        time.sleep(0.02)
    how = processes.last_words(process) if process.poll() is not None \
        else processes.log_of(process)[-300:].strip()
    raise BenchError(f"penstock does not become ready: {how}")


def metric_sum(text, name, **labels):
    """The sum of a metric's samples that have these labels; None when there is no such sample."""
    total = None
    for line in text.splitlines():
        if not line.startswith(name) or line[len(name):len(name) + 1] not in ("{", " "):
            continue
        if all(f'{key}="{value}"' in line for key, value in labels.items()):
            total = (total or 0.0) + float(line.rsplit(" ", 1)[1])
    return total


def first_line(command, containing=""):
    """The first line with a word of what a program says, of its version mostly."""
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                              timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = (done.stdout or done.stderr).strip().split("\n")
    return next((line for line in lines if containing in line), lines[0])
