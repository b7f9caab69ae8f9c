"""One penstock on the broker side: starts it, reads its admin port and its log, and checks that it comes back to rest.

    gate = Penstock("gate").start_proxy(["--zookeeper-servers", ...])      or      .start(config)
    gate.metrics()("penstock_sessions_in_use")    gate.access(kind="data")    gate.reload()    gate.stop()
"""
import contextlib
import itertools
import json
import os
import pathlib
import re
import resource
import signal
import time

import settings
import web
from processes import LabError, PortTaken, Process, wait_until

_ports = itertools.count(9180)
PIPES_KEPT = 64  # empty pipes a worker may keep for the next stream (limits.pipes)
_AT_REST = ("penstock_sessions_in_use", "penstock_buffers_in_use", "penstock_pipes_in_use", "penstock_hops_in_use")
_TROUBLE = re.compile(r"AddressSanitizer|UndefinedBehavior|runtime error:|ThreadSanitizer|reason=bug\b|assertion|panic", re.I)


def _letter(task):
    """What ps(1) shows of a thread: "S" for one that sleeps, "X" for none."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


class Metrics:
    """A scrape. metrics("name", label="x") is the sum of all samples with these labels; 0 if there is none."""

    _LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)", re.M)
    _LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

    def __init__(self, text):
        self._samples = {}  # of thousands few are asked for: their labels are taken apart then
        for name, labels, value in self._LINE.findall(text):
            self._samples.setdefault(name, []).append((labels, float(value)))

    def __call__(self, name, **labels):
        return sum(v for have, v in self._samples.get(name, []) if not labels or labels.items() <= dict(self._LABEL.findall(have)).items())

    def has(self, name):
        return name in self._samples

    @property
    def samples(self):
        """All of them: (name, labels, value)."""
        return [(name, dict(self._LABEL.findall(have)), v) for name, found in self._samples.items() for have, v in found]


class Penstock:
    def __init__(self, name, side=settings.BROKER_SIDE):
        self.process = Process(name)
        self.name, self.side, self.program = name, side, settings.PENSTOCK
        self.admin = f"127.0.0.1:{next(_ports)}"
        self.config_file = settings.RUN / "conf" / f"{name}.yaml"
        self._log_start = 0
        self._rest_sockets = None

    # ---- start and stop

    def start(self, config, ready=True, **how):
        """`penstock run` with a config given as a dict (JSON is YAML), or as text with an admin address of its own."""
        self.write(config)
        return self._launch(["run", "-c", self.config_file], ready, **how)

    def write(self, config):
        self.config_file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(config, str):
            self.config_file.write_text(config)
            return
        config = dict(config)
        config.setdefault("admin", {"listen": self.admin})
        self.config_file.write_text(json.dumps(config, indent=1) + "\n")

    def start_proxy(self, arguments, ready=True, **how):
        """`penstock proxy`, the drop-in for `pulsar proxy`."""
        return self._launch(["proxy", "--admin", self.admin, *arguments], ready, **how)

    def _launch(self, arguments, ready, **how):
        """Rings are taken apart behind the end of a process, and with them what they listen on: that of the one before this, too."""
        deadline = time.monotonic() + 15
        while True:
            try:
                return self._launch_once(arguments, ready, **how)
            except PortTaken:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def _launch_once(self, arguments, ready, descriptors=None, user=None, env=None):
        if not self.program.exists():
            raise LabError(f"no {self.program}; first: make")

        def limits():
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self._log_start = self.process.log.stat().st_size if self.process.log.exists() else 0
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        self.process.start([*as_user, self.program, *arguments], self.side, preexec=limits, env=env and {**os.environ, **env})
        if ready:
            self.process.wait_ready(20, self.is_ready)
            self.mark_rest()
        return self

    def stop(self, number=signal.SIGTERM, seconds=20):
        """Asks it to end; the exit status. What it had open is closed by the drain."""
        if self.process.alive():
            self.process.send(number)
        return self.process.wait(seconds)

    def kill(self):
        self.process.stop(signal.SIGKILL)

    def reload(self):
        self.process.send(signal.SIGHUP)

    # ---- questions

    def get(self, path):
        return web.request("GET", f"http://{self.admin}{path}", side=self.side)

    def json(self, path):
        status, text = self.get(path)
        if status != 200:
            raise LabError(f"GET {path}: {status} {text[:200]}")
        return json.loads(text)

    def metrics(self):
        self._let_workers_rest()
        status, text = self.get("/metrics")
        if status != 200:
            raise LabError(f"GET /metrics: {status}")
        return Metrics(text)

    def is_ready(self):
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def _threads(self, prefix):
        """Those with such names: their folders in /proc."""
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):  # it has ended
                if (task / "comm").read_text().startswith(prefix):
                    yield task

    def _let_workers_rest(self):
        """A worker hands bytes over or closes a socket, then counts and logs that, then sleeps; whoever was at the other end may be here before. So each
        is seen asleep once, or stopped by a signal. One that never sleeps (busy_poll) is waited for in vain."""
        deadline = time.monotonic() + 10
        with contextlib.suppress(OSError):
            awake = list(self._threads("penstock-w"))
            while (awake := [task for task in awake if _letter(task) not in "STZX"]) and time.monotonic() < deadline:
                time.sleep(0.001)

    def _is_log_written(self):
        """Its thread sleeps until it is woken: nothing was left to write. Where a kernel does not tell, nobody can say more."""
        with contextlib.suppress(OSError):
            for task in self._threads("penstock-log"):
                return _letter(task) == "T" or "nanosleep" not in (task / "wchan").read_text() and _letter(task) == "S"
        return True

    def log(self):
        """What this run has logged, up to now: lines are on their way for a moment, longer where CPUs are busy."""
        self._let_workers_rest()
        with contextlib.suppress(LabError):  # it never rests
            wait_until("the log to be written", 1, self._is_log_written, step=0.002)
        with open(self.process.log, errors="replace") as file:
            file.seek(self._log_start)
            return file.read()

    def said(self, *words):
        """Whether a line of log() has all of them."""
        return any(all(word in line for word in words) for line in self.log().splitlines())

    def wait_said(self, *words, seconds=20):
        wait_until(f"{words} in the log", seconds, lambda: self.said(*words))

    def forget_log(self):
        """log() begins here: clients' ports come again."""
        self._log_start = self.process.log.stat().st_size

    def access(self, **want):
        """The access-log lines of this run as dicts, those that match."""
        rows = []
        for line in self.log().splitlines():
            if " access " in line:
                row = dict(re.findall(r"(\w+)=(\S+)", line))
                if all(row.get(key) == str(value) for key, value in want.items()):
                    rows.append(row)
        return rows

    def wait_access(self, seconds=10, **want):
        """The first matching access line, waiting for it."""
        try:
            return wait_until(f"an access line with {want}", seconds, lambda: self.access(**want), step=0.03)[0]
        except LabError as error:
            last = [line for line in self.log().splitlines() if " access " in line][-5:]
            raise AssertionError("\n".join([str(error), "the last ones:", *last])) from None

    # ---- rest

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self, kind):
        """How many of its descriptors are of a kind, as /proc names it."""
        count = 0
        for link in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                count += os.readlink(link).startswith(kind)
        return count

    def mark_rest(self):
        """From now on, this is how many sockets it may have when nothing is going on."""
        time.sleep(0.05)  # the admin connection that just told it is ready ends
        self._rest_sockets = self.descriptors("socket:")

    def assert_rest(self, seconds=30):
        """Everything leased is given back, descriptors are as after the start, and the log holds no trouble."""
        deadline = time.monotonic() + seconds
        while True:
            metrics = self.metrics()
            left = {name: metrics(name) for name in _AT_REST if metrics(name)}
            sockets = self.descriptors("socket:") - self._rest_sockets
            if sockets > 0:
                left["sockets more than at rest"] = sockets
            if self.descriptors("pipe:") > 2 * PIPES_KEPT * os.cpu_count():
                left["pipes kept"] = self.descriptors("pipe:") / 2
            if not left:
                break
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} holds on to {left}; connections: {self._connections()}")
            time.sleep(0.01)  # most often it is the connection by which it was just asked
        self.assert_quiet_log()

    def _connections(self):
        try:
            return self.get("/connections")[1][:2000]
        except OSError as error:
            return f"GET /connections: {error}"

    def assert_quiet_log(self):
        trouble = _TROUBLE.search(self.log())
        if trouble:
            raise AssertionError(f"{self.name} logged trouble: {self.log()[max(0, trouble.start() - 300):trouble.end() + 700]}")
