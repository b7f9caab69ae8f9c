# SPDX-License-Identifier: GPL-3.0-or-later
"""The contenders: what each has to tell the harness, the list of them, and those of our own.

A contender stands between the generator and the sinks of one stage. It is asked for a role: relay
(whatever comes goes to the sink), sni (the name in the ClientHello picks the sink), tls (it
terminates TLS), pulsar or kafka (it changes the brokers' addresses, or is only a relay).
"""

import functools
import json
import os
from dataclasses import dataclass

from . import BARE, PENSTOCK, BenchError
from .machine import Machine
from .processes import (Processes, first_line, free_port, http_get, metric_sum, peak_rss_kib, pin,
                        reset_peak_rss, rss_kib, wait_for_port, wait_ready)
from .tls import SNI, Keys

PROTOCOLS = ("pulsar", "kafka")     # roles that a relay can play too: to it they are bytes
BUSY_POLL = "10ms"              # as long as it may: spinning the whole time while there is load


@dataclass
class Setting:
    """What a contender is put into."""
    processes: Processes
    machine: Machine
    to: dict                    # sink -> its address
    role: str = "relay"
    connections: int = 600      # more than any cell of the stage needs
    workers: int = 1

    @property
    def cpus(self):
        both = {self.machine.proxy_cpu, self.machine.load_cpu}
        return {self.machine.proxy_cpu} if self.workers == 1 else both

    @functools.cached_property
    def keys(self):
        return Keys(self.processes.folder)


class Contender:
    """One running proxy with a listener for every sink. Subclasses are peers unless they say."""
    kind = "peer"
    roles = frozenset({"relay"})
    lacks = {}                  # role -> why it cannot, where a reader would expect it to
    program = None              # looked for on the PATH
    package = None              # the Debian package that has it
    start_seconds = 10

    def __init__(self, name, setting):
        self.name = name
        self.variant = name.partition("-")[2]
        self.setting = setting
        self.processes = setting.processes
        self.to = setting.to
        self.at = {sink: f"127.0.0.1:{free_port()}" for sink in setting.to}
        self.process = None

    @classmethod
    def why_missing(cls, name):
        """None; or why it cannot run here and what to do; or "" where nobody asked for it."""
        if cls.program is None or which(cls.program):
            return None
        return f"{cls.program} is not installed: run `tests/lab/deps.sh peers`" \
               f" (Debian package {cls.package})"

    @classmethod
    def why_not_role(cls, role):
        carried = role in PROTOCOLS and "relay" in cls.roles and role not in cls.lacks
        if carried or role in cls.roles:
            return None
        return cls.lacks.get(role, f"it has no part in cells of role {role}")

    @classmethod
    def version(cls):
        return first_line([cls.program, "-v"])

    def config(self):
        """The configuration as text, or None; asked for once, before the start."""
        return None

    def command(self):
        raise NotImplementedError

    def start(self):
        text = self.config()
        self.config_text = text
        self.process = self.launch(self.command())
        for address in self.at.values():
            wait_for_port(self.process, address, self.processes, self.start_seconds)
        self.wait_ready()
        pin(self.process.pid, self.setting.cpus)

    def launch(self, command, name=None, **more):
        self.command_text = " ".join(map(str, command))
        return self.processes.start(name or self.name, command, self.setting.cpus, **more)

    def wait_ready(self):
        """For what an open port does not tell."""

    def write_config(self, suffix="conf"):
        return self.processes.write(f"{self.name}.{suffix}", self.config_text)

    def all_processes(self):
        return [self.process] if self.process else []

    def is_alive(self):
        return all(process.poll() is None for process in self.all_processes())

    def last_words(self):
        return next((self.processes.last_words(process) for process in self.all_processes()
                     if process.poll() is not None), "it still runs")

    def stop(self):
        for process in self.all_processes():
            self.processes.stop(process)

    def pid_of(self, _sink):
        """The process that serves this sink's listener: its CPU time is the contender's."""
        return self.process.pid

    def forked_seconds(self):
        """CPU time where each connection is a process of its own; None for all the others."""
        return None

    def rss_kib(self):
        return sum(rss_kib(process.pid) for process in self.all_processes())

    def peak_rss_kib(self):
        return sum(peak_rss_kib(process.pid) for process in self.all_processes())

    def reset_peak_rss(self):
        for process in self.all_processes():
            reset_peak_rss(process.pid)

    def counters(self):
        """Its own counters, {name: value}, for what it did in a run; None when it has none."""
        return None

    def held(self):
        """What it says that it holds just now, {name: value}, or None."""
        return None

    def shares(self):
        """{"connections": [one for each worker], "bytes": [...]}: only who is asked knows how."""
        raise NotImplementedError


REGISTRY = {}   # name -> class, in the order of tables


def register(*names):
    def add(cls):
        REGISTRY.update(dict.fromkeys(names, cls))
        return cls
    return add


def kind_of(name):
    return REGISTRY[name].kind


def which(program):
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) + ["/usr/sbin", "/sbin"]:
        path = os.path.join(folder, program)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None


# ---- our own -------------------------------------------------------------------------------------

@register("penstock", "penstock-busy")
class Penstock(Contender):
    kind = "subject"
    roles = frozenset({"relay", "sni", "tls", "pulsar", "kafka"})
    binary = PENSTOCK

    @classmethod
    def why_missing(cls, name):
        return None if os.access(cls.binary, os.X_OK) else "penstock is not built: run `make`"

    @classmethod
    def version(cls):
        return first_line([cls.binary, "version"])

    def config(self):
        self.admin_port = free_port()
        busy = f", busy_poll: {BUSY_POLL}" if self.variant == "busy" else ""
        return "\n".join([*self.listeners(),
                          f"limits: {{ connections: {self.setting.connections} }}",
                          f"process: {{ workers: {self.setting.workers}{busy} }}",
                          f'admin: {{ listen: "127.0.0.1:{self.admin_port}" }}',
                          "log: { level: warn, format: text, access: off }", ""])

    def listeners(self):
        role = "relay" if self.variant == "opaque" else self.setting.role
        clusters = []
        target = {sink: f'forward: "{to}"' for sink, to in self.to.items()}
        if role in PROTOCOLS:
            found = {"pulsar": 'urls: ["pulsar://%s"]', "kafka": 'bootstrap: ["%s"]'}[role]
            clusters = ["clusters:"] + [
                f'  {sink}: {{ protocol: {role}, discovery: {{ {found % to} }} }}'
                for sink, to in self.to.items()]
            # The one broker of Kafka has node id 1.
            names = {sink: f', kafka: {{ advertise: "127.0.0.1", base_port: {free_port() - 1},'
                           ' nodes: 1 }' if role == "kafka" else "" for sink in self.to}
            target = {sink: f"cluster: {sink}{names[sink]}" for sink in self.to}
        if role == "sni":
            target = {sink: f'routes: [{{ host: {SNI}, forward: "{to}" }}]'
                      for sink, to in self.to.items()}
        if role == "tls":       # as its peers do it here: none of them leaves records to the kernel
            keys = self.setting.keys
            target = {sink: f'tls: {{ cert_file: "{keys.cert}", key_file: "{keys.key}", ktls: off }},'
                            f' {forward}' for sink, forward in target.items()}
        return [*clusters, "listeners:"] + [
            f'  - {{ name: {sink}, bind: "{address}", {target[sink]} }}'
            for sink, address in self.at.items()]

    def command(self):
        return [self.binary, "run", "-c", self.write_config("yaml")]

    def wait_ready(self):
        wait_ready(self.process, self.admin_port, self.processes)

    def admin(self, path):
        status, text = http_get("127.0.0.1", self.admin_port, path)
        if status != 200:
            raise BenchError(f"penstock answers {status} to {path}")
        return text

    def counters(self):
        metrics = self.admin("/metrics")
        return {
            "splice": metric_sum(metrics, "penstock_bytes_total", path="splice") or 0,
            "copy": metric_sum(metrics, "penstock_bytes_total", path="copy") or 0,
            "turns": metric_sum(metrics, "penstock_loop_turns_total") or 0,
            "moves": metric_sum(metrics, "penstock_moves_total") or 0,
        }

    def held(self):
        metrics = self.admin("/metrics")
        return {what: metric_sum(metrics, f"penstock_{what}_in_use")
                for what in ("sessions", "buffers", "pipes")}

    def shares(self):
        connections, moved = ([0] * self.setting.workers for _ in range(2))
        for row in json.loads(self.admin("/connections"))["connections"]:
            connections[row["worker"]] += 1
            moved[row["worker"]] += row["bytes_to_broker"] + row["bytes_to_client"]
        return {"connections": connections, "bytes": moved}


@register("penstock-other")
class OtherPenstock(Penstock):
    """A second build, for before-and-after figures; --other says where it is."""
    binary = None

    @classmethod
    def why_missing(cls, name):
        if cls.binary is None:
            return ""
        return None if os.access(cls.binary, os.X_OK) else f"{cls.binary} is not a program"


@register("penstock-opaque")
class OpaquePenstock(Penstock):
    """penstock as a relay of bytes, in cells of a protocol: what reading the protocol costs."""
    kind = "bare"
    roles = frozenset(PROTOCOLS)


@register("direct")
class Direct(Contender):
    """No proxy at all: what the generator and the sink make of the machine by themselves."""
    kind = "direct"
    roles = frozenset({"relay", "sni"})

    def __init__(self, name, setting):
        super().__init__(name, setting)
        self.at = self.to

    @classmethod
    def version(cls):
        return "the generator talks to the sink"

    def start(self):
        self.config_text, self.command_text = None, None

    def all_processes(self):
        return []

    def pid_of(self, _sink):
        return None


@register("bare-copy-epoll", "bare-copy-uring", "bare-splice-epoll", "bare-splice-uring")
class Bare(Contender):
    """bench/bare.c: it forwards a ClientHello without a look at it, which is the limit there."""
    kind = "bare"
    roles = frozenset({"relay", "sni"})

    @classmethod
    def why_missing(cls, name):
        return None if os.access(BARE, os.X_OK) else "bare is not built: run `make bench-tools`"

    @classmethod
    def version(cls):
        return "of the same commit"

    def command(self):
        way, engine = self.variant.split("-")
        return [BARE, "-m", way, "-e", engine,
                *(f"{self.at[sink]}={self.to[sink]}" for sink in self.at)]
