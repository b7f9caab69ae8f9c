"""A gateway's configuration here, and what goes through it: an echo behind it, clients that keep coming, and one that stays."""
import contextlib
import ctypes
import os
import re

import suite  # noqa: F401
import web
import wire
from callers import Callers, roundtrip
from fakes import FakeBroker, plain_echo
from penstock import Metrics
from roots import Failed, run

LOCAL = "127.0.0.1"
PORT, SECOND, EDGE, ADMIN = 6650, 6651, 6660, 9180
CONF, EDGE_CONF = "/etc/penstock/penstock.yaml", "/etc/penstock/edge.yaml"


def make_echo():
    return FakeBroker(serve=plain_echo, address=LOCAL, port=7000, seconds=60)


def config(echo, ports=(PORT,), admin=ADMIN, key="busy_poll"):
    listeners = "\n".join(f'  - {{ name: port-{port}, bind: "{LOCAL}:{port}", forward: "{echo.where}" }}' for port in ports)
    return (
        f"# the administrator's own\nlisteners:\n{listeners}\n"
        f'admin: {{ listen: "{LOCAL}:{admin}" }}\n'
        f"egress: {{ allow: {{ networks: [127.0.0.0/8], ports: [{echo.port}] }} }}\n"
        "drain: { lame_duck: 200ms, spread: 200ms }\ntimeouts: { drain: 20s }\n"
        f"process: {{ {key}: off }}\n"
    )


@contextlib.contextmanager
def alone():
    """A network of our own: ports that nobody else has, and nothing to be downloaded."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/self/ns/net", os.O_RDONLY)
    if libc.unshare(0x40000000) != 0:
        raise Failed(f"unshare: {os.strerror(ctypes.get_errno())}; it wants root")
    try:
        run(["ip", "link", "set", "lo", "up"])
        yield
    finally:
        libc.setns(before, 0x40000000)
        os.close(before)


def proxied(port):
    one = wire.dial(LOCAL, port)
    try:
        roundtrip(one, b"a real byte")
    finally:
        one.close()
    return True


def is_open(port):
    try:
        return proxied(port)
    except (OSError, wire.Closed):
        return False


def ask(path, port=ADMIN):
    """What the admin port says; nothing, if nobody is there."""
    try:
        return web.request("GET", f"http://{LOCAL}:{port}{path}", seconds=5)[1]
    except OSError:
        return ""


def metrics(port=ADMIN):
    return Metrics(ask("/metrics", port))


def serving_version(port=ADMIN):
    return next(iter(re.findall(r'penstock_build_info\{version="([^"]+)"', ask("/metrics", port))), None)


class Traffic(Callers):
    """`with Traffic(port) as traffic:` and one that stays all the while."""

    def __init__(self, port, count=4):
        super().__init__(LOCAL, port, count)

    def __enter__(self):
        self.lasting = wire.dial(LOCAL, self.port)
        roundtrip(self.lasting)
        return super().__enter__()

    def __exit__(self, *_):
        super().__exit__()
        self.lasting.close()

    def check(self):
        """Nobody was refused so far, and the one that stays is still served."""
        roundtrip(self.lasting)
        if self.failures:
            raise AssertionError(f"{len(self.failures)} of {self.done + len(self.failures)} connections failed: {self.failures[:3]}")
        return self.done
