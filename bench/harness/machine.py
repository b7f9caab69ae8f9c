# SPDX-License-Identifier: GPL-3.0-or-later
"""Which core does what, what else happens on them, and what kind of machine this is."""

import os
import resource
import time

from . import BenchError

# What of the kernel's settings moves the figures.
SYSCTLS = (
    "fs/pipe-max-size",
    "fs/pipe-user-pages-soft",
    "kernel/io_uring_disabled",
    "net/core/busy_poll",
    "net/core/somaxconn",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/tcp_congestion_control",
    "net/ipv4/tcp_rmem",
    "net/ipv4/tcp_tw_reuse",
    "net/ipv4/tcp_wmem",
)
TICK = 1 / os.sysconf("SC_CLK_TCK")


class Machine:
    """The proxy has one core, generator and sinks the other; without two nothing is measured."""

    def __init__(self, proxy_cpu=None, load_cpu=None):
        cpus = sorted(os.sched_getaffinity(0))
        self.proxy_cpu = cpus[-1] if proxy_cpu is None else proxy_cpu
        self.load_cpu = cpus[0] if load_cpu is None else load_cpu
        if self.proxy_cpu == self.load_cpu:
            raise BenchError("two CPUs are needed: one for the proxy, one for generator and sink")
        for cpu in (self.proxy_cpu, self.load_cpu):
            if cpu not in cpus:
                raise BenchError(f"no permission to use CPU {cpu}: this process may use {cpus}")
        try:
            os.sched_setaffinity(0, {self.load_cpu})
        except OSError as error:
            raise BenchError(f"no permission to pin processes to CPUs: {error}") from error
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
        return {
            "kernel": os.uname().release,
            "cpu": value_of("/proc/cpuinfo", "model name") or "unknown",
            "cpus": os.cpu_count(),
            "memory_kib": kib_of("/proc/meminfo", "MemTotal"),
            "proxy_cpu": self.proxy_cpu,
            "load_cpu": self.load_cpu,
            "fd_limit": self.fd_limit,
            "sysctl": {name.replace("/", "."): read_sysctl(name) for name in SYSCTLS},
        }


class Interference:
    """What others did to the two cores since it was made."""

    def __init__(self, machine, own_seconds):
        """`own_seconds` tells the CPU time of everything that belongs to the measurement."""
        self.machine = machine
        self.own_seconds = own_seconds
        self.began = time.monotonic()
        self.busy, self.stolen = machine.ticks()
        self.own = own_seconds()

    def capacity(self):
        return 2 * (time.monotonic() - self.began)

    def too_much_stolen(self):
        """Whether the hypervisor took more than 1 % of the two cores."""
        stolen = self.machine.ticks()[1] - self.stolen
        return stolen > max(1.0, 0.01 * self.capacity() / TICK)

    def foreign_share(self):
        """The share of the two cores that went to programs that do not belong here."""
        busy = (self.machine.ticks()[0] - self.busy) * TICK
        return max(0.0, busy - (self.own_seconds() - self.own)) / self.capacity()


def value_of(path, key):
    """The rest of the line "key: rest", or None."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            name, _, rest = line.partition(":")
            if name.strip() == key:
                return rest.strip()
    return None


def kib_of(path, key):
    """A line "key: N kB" of /proc."""
    value = value_of(path, key)
    if value is None:
        raise BenchError(f"{path} has no line {key}")
    return int(value.split()[0])


def read_sysctl(name):
    try:
        with open(f"/proc/sys/{name}", encoding="ascii") as setting:
            return " ".join(setting.read().split())
    except OSError:
        return None


def kernel_kib():
    """Kernel memory that connections take: slabs, and the pages of socket buffers."""
    with open("/proc/net/sockstat", encoding="ascii") as sockstat:
        words = next(line for line in sockstat if line.startswith("TCP:")).split()
    pages = int(words[words.index("mem") + 1])
    return kib_of("/proc/meminfo", "Slab") + pages * os.sysconf("SC_PAGE_SIZE") // 1024
