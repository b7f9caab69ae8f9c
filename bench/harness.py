# SPDX-License-Identifier: GPL-3.0-or-later
"""What every benchmark here needs: the contenders, the sinks, one measured run, and the machine.

All contenders run at once, pinned to one core and idle until it is their turn; the generator and
the sinks share the other core. Each contender talks to sink addresses of its own (127.0.1.N), so
that the closed connections of one do not fill the port table of another. Every process started
here dies with this one, and is stopped by its pid.
"""

import contextlib
import ctypes
import http.client
import json
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

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = TOP / "build" / "release"
BARE = BUILD / "bare"
LOAD = BUILD / "penstock-bench"
PENSTOCK = BUILD / "penstock"

PR_SET_PDEATHSIG = 1
PIPES_MAX = 1200    # HAProxy counts them into its descriptors and refuses to start above the limit
LIBC = ctypes.CDLL(None)


class BenchError(Exception):
    """Something the reader can act on; its text is all that is shown."""


class Machine:
    """Which core does what, and what else happens on them."""

    def __init__(self, proxy_cpu=None, load_cpu=None):
        cpus = sorted(os.sched_getaffinity(0))
        self.proxy_cpu = cpus[-1] if proxy_cpu is None else proxy_cpu
        self.load_cpu = cpus[0] if load_cpu is None else load_cpu
        if self.proxy_cpu == self.load_cpu:
            raise BenchError("two CPUs are needed: one for the proxy, one for generator and sink")
        for cpu in (self.proxy_cpu, self.load_cpu):
            if cpu not in cpus:
                raise BenchError(f"no permission to use CPU {cpu}: this process may use {cpus}")
        os.sched_setaffinity(0, {self.load_cpu})
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.fd_limit = hard

    def ticks(self):
        """(busy, stolen) clock ticks of the two cores since boot."""
        busy = stolen = 0
        with open("/proc/stat", encoding="ascii") as stat:
            for line in stat:
                name, *rest = line.split()
                if name in (f"cpu{self.proxy_cpu}", f"cpu{self.load_cpu}"):
                    user, nice, system, _, _, irq, softirq, steal = map(int, rest[:8])
                    busy += user + nice + system + irq + softirq
                    stolen += steal
        return busy, stolen

    def describe(self):
        model = "unknown"
        with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
            for line in cpuinfo:
                if line.startswith("model name"):
                    model = line.split(":", 1)[1].strip()
                    break
        return {
            "kernel": os.uname().release,
            "cpu": model,
            "cpus": os.cpu_count(),
            "proxy_cpu": self.proxy_cpu,
            "load_cpu": self.load_cpu,
            "fd_limit": self.fd_limit,
        }


class StolenTime:
    """Tells whether the hypervisor took more than 1 % of the two cores since it was made."""

    def __init__(self, machine):
        self.machine = machine
        self.began = time.monotonic()
        self.stolen = machine.ticks()[1]

    def too_much(self):
        ticks = (time.monotonic() - self.began) * os.sysconf("SC_CLK_TCK") * 2
        return self.machine.ticks()[1] - self.stolen > max(1.0, 0.01 * ticks)


class Processes:
    """A context that stops what was started in it."""

    def __init__(self):
        self.running = []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-bench-"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process, _ in self.running:
            if process.poll() is None:
                process.kill()
        for process, output in self.running:
            process.wait()
            output.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, command, cpu, **more):
        def pin():
            os.sched_setaffinity(0, {cpu})
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        output = open(self.folder / f"{name}.log", "w+", encoding="utf-8")
        process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL,
            stdout=output, stderr=output, preexec_fn=pin, **more)
        self.running.append((process, output))
        return process

    def stop(self, process):
        if process.poll() is None:
            process.kill()
        process.wait()

    def log_of(self, process):
        for running, output in self.running:
            if running is process:
                output.flush()
                return pathlib.Path(output.name).read_text(encoding="utf-8", errors="replace")
        return ""

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def cpu_seconds(self):
        return sum(cpu_seconds(p.pid) for p, _ in self.running if p.poll() is None)


def cpu_seconds(pid):
    """CPU time of a whole process, all threads, exact: the clock id is clock_getcpuclockid's."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def rss_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        for line in rollup:
            if line.startswith("Rss:"):
                return int(line.split()[1])
    raise BenchError(f"process {pid} has no Rss line")


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


def wait_for_port(process, host, port, processes, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise BenchError(f"{process.args[0]} ended at once:\n{processes.log_of(process)}")
        with contextlib.suppress(OSError):
            socket.create_connection((host, port), 1).close()
            return
        time.sleep(0.02)
    raise BenchError(f"{process.args[0]} does not listen on {host}:{port}")


def wait_ready(process, admin_port, processes, seconds=10):
    """Waits for a penstock's /readyz."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            if http_get("127.0.0.1", admin_port, "/readyz")[0] == 200:
                return
        time.sleep(0.02)
    raise BenchError("penstock does not become ready:\n" + processes.log_of(process))


def http_get(host, port, path):
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def metric_sum(text, name, **labels):
    """The sum of a metric's samples that have these labels; None when there is no such sample."""
    total = None
    for line in text.splitlines():
        if not line.startswith(name) or line[len(name):len(name) + 1] not in ("{", " "):
            continue
        if all(f'{key}="{value}"' in line for key, value in labels.items()):
            total = (total or 0.0) + float(line.rsplit(" ", 1)[1])
    return total


class Sinks:
    """One echo and one discard server, each listening for every contender on its own address."""

    def __init__(self, processes, machine, names):
        self.to = {}
        self.running = []
        self.processes = processes
        for mode in ("echo", "discard"):
            command = [LOAD, "sink", mode]
            for number, name in enumerate(names, 1):
                host = f"127.0.1.{number}"
                port = free_port(host)
                self.to[name, mode] = f"{host}:{port}"
                command += ["--listen", f"{host}:{port}"]
            process = processes.start(f"sink-{mode}", command, machine.load_cpu)
            self.running.append(process)
            host, port = self.to[names[-1], mode].split(":")
            wait_for_port(process, host, int(port), processes)


    def check(self):
        """A dead sink would look like a fault of every contender."""
        for process in self.running:
            if process.poll() is not None:
                raise BenchError("a sink: " + last_words(process, self.processes))


def last_words(process, processes):
    """How a process that has died did so."""
    status = process.wait()
    how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    log = processes.log_of(process).strip().split("\n")
    return f"the process has died ({how}) {' | '.join(log[-3:])}".rstrip()


class Contender:
    """A running proxy with two listeners, one towards each sink."""

    def __init__(self, name, processes, machine, sinks, connections):
        self.name = name
        self.processes = processes
        self.at = {mode: f"127.0.0.1:{free_port()}" for mode in ("echo", "discard")}
        self.to = {mode: sinks.to[name, mode] for mode in ("echo", "discard")}
        self.connections = connections
        self.process = processes.start(f"{name}-{connections}", self.command(), machine.proxy_cpu)
        self.pid = self.process.pid
        for address in self.at.values():
            wait_for_port(self.process, "127.0.0.1", int(address.split(":")[1]), processes)
        self.wait_ready()

    def command(self):
        raise NotImplementedError

    def wait_ready(self):
        pass

    def last_words(self):
        return last_words(self.process, self.processes)

    def version(self):
        return self.name

    def config(self):
        return None


class Bare(Contender):
    def command(self):
        _, way, engine = self.name.split("-")
        pairs = [f"{self.at[mode]}={self.to[mode]}" for mode in self.at]
        return [BARE, "-m", way, "-e", engine, *pairs]


class Haproxy(Contender):
    """One process, one thread, no logs. Forced splice needs two pipes for each connection."""

    def config(self):
        splice = self.name.endswith("-splice")
        lines = ["global", "    nbthread 1", f"    maxconn {self.connections}"]
        if splice:
            lines += [f"    maxpipes {min(2 * self.connections, PIPES_MAX)}",
                      "    tune.pipesize 262144"]
        lines += ["defaults", "    mode tcp", "    option dontlognull",
                  "    timeout connect 5s", "    timeout client 10m", "    timeout server 10m"]
        if splice:
            lines += ["    option splice-request", "    option splice-response"]
        for mode, address in self.at.items():
            lines += [f"listen {mode}", f"    bind {address}", f"    server sink {self.to[mode]}"]
        return "\n".join(lines) + "\n"

    def command(self):
        path = self.processes.write(f"{self.name}-{self.connections}.cfg", self.config())
        return ["haproxy", "-f", path, "-db"]

    def version(self):
        return first_line(["haproxy", "-v"])


class Penstock(Contender):
    binary = PENSTOCK

    def config(self):
        self.admin_port = getattr(self, "admin_port", None) or free_port()
        lines = ["listeners:"]
        for mode, address in self.at.items():
            lines.append(f'  - {{ name: {mode}, bind: "{address}", forward: "{self.to[mode]}" }}')
        lines += [f"limits: {{ connections: {self.connections} }}",
                  "process: { workers: 1 }",
                  f'admin: {{ listen: "127.0.0.1:{self.admin_port}" }}',
                  "log: { level: warn, format: text, access: off }"]
        return "\n".join(lines) + "\n"

    def command(self):
        path = self.processes.write(f"{self.name}-{self.connections}.yaml", self.config())
        return [self.binary, "run", "-c", path]

    def wait_ready(self):
        wait_ready(self.process, self.admin_port, self.processes)

    def metrics(self):
        return http_get("127.0.0.1", self.admin_port, "/metrics")[1]

    def version(self):
        return first_line([self.binary, "version"])


class OtherPenstock(Penstock):
    """A second build, for before-and-after figures; quick.py --other says where it is."""
    binary = None


CONTENDERS = {
    "penstock": Penstock,
    "penstock-other": OtherPenstock,
    "bare-copy-epoll": Bare,
    "bare-copy-uring": Bare,
    "bare-splice-epoll": Bare,
    "bare-splice-uring": Bare,
    "haproxy-copy": Haproxy,
    "haproxy-splice": Haproxy,
}


def first_line(command):
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                              timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stdout or done.stderr).strip().split("\n")[0]


def why_missing(name):
    """None; or why it cannot run here and what to do about it; or "" where nobody asked for it."""
    if name == "penstock" and not os.access(PENSTOCK, os.X_OK):
        return "penstock is not built: run `make`"
    if name == "penstock-other":
        if OtherPenstock.binary is None:
            return ""
        if not os.access(OtherPenstock.binary, os.X_OK):
            return f"{OtherPenstock.binary} is not a program"
    if name.startswith("bare-") and not os.access(BARE, os.X_OK):
        return "bare is not built: run `make bench-tools`"
    if name.startswith("haproxy") and shutil.which("haproxy") is None:
        return "haproxy is not installed: `apt-get install haproxy`"
    return None


def run_load(mode, to, pid, connections, size, seconds):
    """One measured run; the generator's JSON line, with `failed` set when it is of no use."""
    command = [LOAD, "load", mode, "--to", to, "-c", connections, "-b", size,
               "-t", f"{seconds:.3f}", "--cpu-of", pid]
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                              timeout=seconds + 30, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return {"failed": "the generator did not end"}
    try:
        result = json.loads(done.stdout)
    except ValueError:
        return {"failed": (done.stderr or "no output").strip()}
    if result["errors"]:
        result["failed"] = ", ".join(f"{why} {count}" for why, count in result["errors"].items())
    return result


class IdleLoad:
    """The generator holding idle connections; step() opens up to the next count and returns it."""

    def __init__(self, to, counts):
        command = [LOAD, "load", "idle", "--to", to, "-c", ",".join(map(str, counts)), "-t", "60"]
        self.process = subprocess.Popen([str(word) for word in command], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.first = True

    def step(self):
        if not self.first:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        self.first = False
        line = self.process.stdout.readline()
        if not line:
            raise BenchError("the idle generator ended early")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        last = self.process.stdout.read()
        self.process.stdout.close()
        self.process.wait()
        return last
