"""Processes the lab started: known by a pid file that also holds the start time, so that never a stranger is killed."""
import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import time

import netns
import settings

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_PATIENCE = 4


class LabError(Exception):
    pass


class PortTaken(LabError):
    """Of a program that ended at its start: another one listens where it wants to."""


def start_time(pid):
    """The kernel's start time of a process, or None if it is gone or only a zombie."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def thread_states(pid):
    """The letters of ps(1) for the threads of a process: {"S", "R"}."""
    states = set()
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # this one has ended
            states.add((task / "stat").read_text().rpartition(")")[2].split()[0])
    return states


def wait_until(what, seconds, condition, step=0.1):
    """Polls; the condition's true answer is returned. On time-out an error that says what was waited for.

    `seconds` are enough where nothing else runs. A wait is no measurement, and who passes does not wait: a busy machine gets more.
    """
    seconds *= _PATIENCE
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {seconds} s")
        time.sleep(step)


class Process:
    """One program on the broker side (or on a named side), found again by a later command through its pid file."""

    dies_with_us = False  # otherwise what was started outlives the command that did so

    def __init__(self, name):
        self.name = name
        self.pid_file = settings.RUN / "pid" / name
        self.log = settings.RUN / "log" / name
        self.child = None

    @property
    def pid(self):
        with contextlib.suppress(FileNotFoundError, ValueError):
            pid, started = self.pid_file.read_text().split()
            if start_time(pid) == started:
                return int(pid)
        return None

    def alive(self):
        if self.child:
            self.child.poll()  # reaps
        return self.pid is not None

    def start(self, argv, side=settings.BROKER_SIDE, env=None, preexec=None, stdin=subprocess.DEVNULL):
        if self.alive():
            raise LabError(f"{self.name} is running already")
        for file in (self.pid_file, self.log):
            file.parent.mkdir(parents=True, exist_ok=True)

        def prepare():
            if self.dies_with_us:
                _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if preexec:
                preexec()

        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        # A group of its own, so that Ctrl-C is not for it, but no session of its own: Linux shares CPUs out among sessions first (autogroup), and
        # 6.18 has been seen to give all servers' sessions nothing for a minute, while clients in that of the tests kept both cores busy.
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                netns.exec_in(side, argv), stdin=stdin, stdout=log, stderr=log, env=env, process_group=0, preexec_fn=prepare
            )
        self.pid_file.write_text(f"{self.child.pid} {start_time(self.child.pid)}\n")

    def send(self, number):
        pid = self.pid
        if pid:
            os.kill(pid, number)

    def freeze(self):
        """SIGSTOP, and waits until each thread has stopped: until then some may go on. `thaw` lets them."""
        self.send(signal.SIGSTOP)
        wait_until(f"{self.name} to stand still", 5, lambda: thread_states(self.pid) == {"T"}, step=0.002)

    def thaw(self):
        self.send(signal.SIGCONT)

    def wait(self, seconds):
        """Waits for the end; the exit status where it is our child, else 0."""
        wait_until(f"{self.name} (pid {self.pid}) to end", seconds, lambda: not self.alive(), step=0.02)
        self.pid_file.unlink(missing_ok=True)
        return self.child.wait() if self.child else 0

    def stop(self, number=signal.SIGTERM, seconds=15):
        if not self.alive():
            self.pid_file.unlink(missing_ok=True)
            return
        self.send(number)
        try:
            self.wait(seconds / _PATIENCE)  # no more than that: who does not stop is killed
        except LabError:
            self.send(signal.SIGKILL)
            self.wait(10)

    def tail(self, lines=15):
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _is_port_taken(self):
        """A server that cannot listen says so long before the end of its log."""
        return self.child and b"Address already in use" in self.log.read_bytes()[self._log_start :]

    def wait_ready(self, seconds, condition):
        """Waits until the program is ready, and says what it printed if it dies or takes too long."""

        def ready_or_dead():
            if not self.alive():
                if self._is_port_taken():
                    raise PortTaken(f"{self.name} died at start: a port that it needs is taken")
                raise LabError(f"{self.name} died at start")
            return condition()

        try:
            wait_until(f"{self.name} to be ready", seconds, ready_or_dead)
        except LabError as error:
            raise type(error)(f"{error}; the end of {self.log}:\n{self.tail()}") from None
