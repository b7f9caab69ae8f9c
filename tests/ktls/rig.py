"""One penstock with TLS on either side, what it did by its own count, and connections through it."""
import hashlib
import itertools
import os
import random
import re
import subprocess

import settings
import wire
from openssl import SUITES, VERSIONS, Context, Engine, Sealer
from penstock import Penstock

ROOT = os.environ["TMPDIR"]
CIPHERS = ["AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"]
WAYS = ["tls-plain", "plain-tls", "tls-tls"]
NAME = "gw.test"
NO_TICKETS = {"tickets": 0}
_numbers, _ports = itertools.count(1), itertools.count(7001)
_bytes = random.Random(5).randbytes(1 << 20)


def some_bytes(size, start=0):
    """Bytes that differ from place to place, so that none can be lost, doubled or swapped unseen."""
    start %= 4099
    return (_bytes[start:] + _bytes * (size >> 20) + _bytes)[:size] if size > len(_bytes) - start else _bytes[start : start + size]


def chunks(size, each=60000):
    """A source of so many bytes."""
    for at in range(0, size, each):
        yield some_bytes(min(each, size - at), at)


def sum_of(size):
    want = hashlib.sha256()
    for data in chunks(size):
        want.update(data)
    return want.digest()


def bulk(rig, *moves):
    """Moves (from, to, bytes), all at once, and compares the sums. (from, to, bytes, source): the same bytes, and what the source does besides."""
    for source, sink, size, *how in moves:
        sink.hash()
        source.source = how[0] if how else chunks(size)
    rig.world.run(lambda: all(sink.got >= size or sink.end for _, sink, size, *_ in moves), f"{[move[2] for move in moves]} bytes", 60)
    for _, sink, size, *_ in moves:
        assert sink.got == size and sink.digest.digest() == sum_of(size), sink


def assert_calm(rig, seconds=0.3, most=40):
    """Workers sleep while nothing comes. The last of what was sent before may still be on its way: who is busy for good is so each time."""
    seen = []
    for _ in range(10):
        count = rig.count()
        rig.world.idle(seconds)
        seen.append(count()["turns"])
        if seen[-1] < most:
            return
    raise AssertionError(f"turns within {seconds} s each: {seen}")


class Count:
    """What penstock counted since the beginning of the case."""

    _WHY_NOT = ("off", "no_kernel", "no_cipher", "no_rekey", "fragment", "finished", "error")
    _LABELS = {
        "send": ("penstock_ktls_total", {"dir": "send"}),
        "recv": ("penstock_ktls_total", {"dir": "recv"}),
        "up_spliced": ("penstock_bytes_total", {"dir": "to_broker", "path": "splice"}),
        "up_copied": ("penstock_bytes_total", {"dir": "to_broker", "path": "copy"}),
        "down_spliced": ("penstock_bytes_total", {"dir": "to_client", "path": "splice"}),
        "down_copied": ("penstock_bytes_total", {"dir": "to_client", "path": "copy"}),
        "rekeys": ("penstock_tls_rekeys_total", {}),
        "no_secret": ("penstock_tls_no_secret_total", {}),
        "turns": ("penstock_loop_turns_total", {}),
        "splice_einval": ("penstock_path_fallback_total", {"reason": "splice_einval"}),
    }
    _LABELS.update(zip(_WHY_NOT, (("penstock_ktls_fallback_total", {"reason": why}) for why in _WHY_NOT)))

    def __init__(self, gate):
        self.gate = gate
        self._before = self._now()

    def _now(self):
        metrics = self.gate.metrics()
        return {name: int(metrics(metric, **labels)) for name, (metric, labels) in self._LABELS.items()}

    def __call__(self):
        now = self._now()
        return {name: now[name] - self._before[name] for name in now}

    def ktls(self, **want):
        """Exactly so many directions went to the kernel, or stayed with penstock for these reasons."""
        got = {name: count for name, count in self().items() if count and (name in ("send", "recv") or name in self._WHY_NOT)}
        assert got == want, f"directions: {got}, not {want}"


def features():
    """What `penstock version` says of the kernel's TLS: {"1.2": "AES-128-GCM both ways, ..."}, or {"": why there is none}."""
    said = subprocess.run([settings.PENSTOCK, "version"], capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"^ +kernel TLS ?([\d.]*) {2,}(.*)$", said, re.M))


def route_name(mode, version):
    return f"{mode}-{version.replace('.', '-')}.test"


class Rig:
    """ports: by way, which is "tls-plain" (TLS from clients, plain to the target), "plain-tls" or "tls-tls", with "-auto", "-keep" or "-off"
    behind it for other settings than `ktls: require, ktls_rekey: close`, or "-copied" for `splice: off`; and by version, so that sessions with
    targets stay apart. edges: by `splice`, a port each with routes of every mode."""

    SETTINGS = {
        "": {"ktls": "require", "ktls_rekey": "close"},
        "-auto": {"ktls": "auto", "ktls_rekey": "close"},
        "-keep": {"ktls": "auto", "ktls_rekey": "keep"},
        "-off": {"ktls": "off"},
        "-copied": {"ktls": "require", "ktls_rekey": "close"},
    }

    def __init__(self, authority, world, wishes=("",), env=None, edges=(), **sections):
        self.authority, self.world = authority, world
        self.certificate = authority.issue(NAME, "*.test")
        self.broker_certificate = authority.issue("127.0.0.1", prefix="broker-")
        self.ports, self.edges, self.contexts, self.server = {}, {}, {}, None
        self.target = world.listen()
        self.tls_target = world.listen(lambda: Engine(self.server))
        clusters, listeners = {}, []
        for wish, version in itertools.product(wishes, VERSIONS):
            keys, name = self.SETTINGS[wish], f"secure{wish}-{version}"
            clusters[name] = {
                "protocol": "pulsar",
                "discovery": {"urls": [f"pulsar+ssl://127.0.0.1:{self.tls_target.port}"]},
                "broker_tls": {"ca_file": str(authority.file), **keys},
            }
            tls = {"cert_file": str(self.certificate[0]), "key_file": str(self.certificate[1]), **keys}
            ways = {
                "tls-plain": {"forward": f"127.0.0.1:{self.target.port}", "tls": tls},
                "plain-tls": {"cluster": name},
                "tls-tls": {"cluster": name, "tls": tls},
            }
            for way, more in ways.items():
                port = self.ports[way + wish, version] = next(_ports)
                listeners.append({"name": f"{way}{wish}-{version}", "bind": f"127.0.0.1:{port}", "splice": "off" if wish == "-copied" else "auto", **more})
        for splice in edges:
            self.edges[splice] = next(_ports)
            listeners.append(self._edge(splice))
        self.gate = Penstock(f"gate-{next(_numbers)}")
        self.gate.start({
            "clusters": clusters,
            "listeners": listeners,
            "process": {"workers": 1},
            "state_dir": ROOT,
            **sections,
        }, env=env)  # fmt: skip

    def _edge(self, splice):
        """A listener with routes, each version's with names of its own: pass-1-2.test."""
        keys, routes = self.SETTINGS[""], []
        tls = {"cert_file": str(self.certificate[0]), "key_file": str(self.certificate[1]), **keys}
        secret, plain = (f"127.0.0.1:{target.port}" for target in (self.tls_target, self.target))
        for version in VERSIONS:
            routes += [
                {"host": route_name("pass", version), "forward": secret},
                {"host": route_name("terminate", version), "mode": "terminate", "forward": plain},
                {"host": route_name("reencrypt", version), "mode": "reencrypt", "forward": secret, "broker_tls": {"ca_file": str(self.authority.file), **keys}},
            ]
        return {"name": f"edge-{splice}", "bind": f"127.0.0.1:{self.edges[splice]}", "splice": splice, "tls": tls, "routes": routes}

    def context(self, role, version, cipher, **more):
        """Kept, as a program would: tickets of one are for the next connection."""
        key = (role, version, cipher, *sorted(more.items()))
        if key not in self.contexts:
            if role == "server":
                more["certificate"] = self.broker_certificate
            self.contexts[key] = Context(role, version, cipher, trust=self.authority.file if role == "client" else None, **more)
        return self.contexts[key]

    def count(self):
        return Count(self.gate)

    def connect(self, way, version, cipher, client=None, server=None, session=None, receive=None, group=None, first=b"", far_first=b""):
        """(client's end, target's end), all handshakes done. `client`, `server`: more for their TLS contexts. `group`: sessions of another
        version's are offered. `first`, `far_first`: data in one flight with the last message of the client's, the target's handshake."""
        is_tls, is_target_tls = (word == "tls" for word in way.split("-")[:2])
        engine = None
        if is_tls:
            engine = Engine(self.context("client", version, cipher, **(client or {})), NAME, session)
        if is_target_tls:
            self.server = self.context("server", version, cipher, **(server or {}))
        near = self.world.dial(self.ports[way, group or version], engine, receive)
        near.first, self.tls_target.first = first, far_first
        self.world.run(lambda: near.is_ready() or near.end, "the client's handshake")
        assert not near.end, near
        far = self._greet(near) if is_target_tls else self.world.accepted(self.target)
        for end in (near, far):
            if end.engine:
                assert end.engine.what() == (version, SUITES[version, cipher].decode())
        return near, far

    def connect_route(self, mode, splice, version, cipher, first=b""):
        """The same through a port with routes, by the route of this mode."""
        target = self.target if mode == "terminate" else self.tls_target
        self.server = self.context("server", version, cipher)
        near = self.world.dial(self.edges[splice], Engine(self.context("client", version, cipher), route_name(mode, version)))
        near.first, target.first = first, b""
        self.world.run(lambda: near.is_ready() or near.end, "the client's handshake")
        assert not near.end, near
        far = self.world.accepted(target)
        self.world.run(lambda: far.is_ready() or far.end, "the target's handshake")
        assert not far.end, far
        return near, far

    def held(self, way):
        """A client's end of TLS 1.3 that has the server's part of the handshake, and holds back its own last message and what is sent after it."""
        near = self.world.dial(self.ports[way, "1.3"], Engine(self.context("client", "1.3", "AES-128-GCM"), NAME))
        self.world.run(lambda: not near.pending, "the hello")
        near.is_held = True
        self.world.run(near.is_ready, "the server's part of the handshake")
        return near

    def _greet(self, near):
        """A data connection of Pulsar's, which is opaque from here on."""
        near.send(wire.connect(target=f"127.0.0.1:{self.tls_target.port}"))
        far = self.world.accepted(self.tls_target)
        self.world.run(lambda: far.got >= len(wire.connect()) or far.end, "CONNECT")
        assert far.taken() == wire.connect()
        far.send(wire.connected())
        expected = self.tls_target.first + wire.connected()
        self.world.run(lambda: near.got >= len(expected), "CONNECTED")
        assert near.taken() == expected
        return far

    def refused(self, way, version, cipher):
        """The client's end of a connection that penstock refuses."""
        near = self.world.dial(self.ports[way, version], Engine(self.context("client", version, cipher), NAME))
        self.world.run(lambda: near.end, "the refusal")
        return near

    def refused_by_target(self, way, version, cipher):
        """(client's end, target's end) where penstock does not like the target."""
        self.server = self.context("server", version, cipher)
        near = self.world.dial(self.ports[way, version])
        near.send(wire.connect(target=f"127.0.0.1:{self.tls_target.port}"))
        far = self.world.accepted(self.tls_target)
        self.world.run(lambda: far.end and near.end, "the refusal")
        return near, far

    def ended(self, near):
        """penstock's line about a connection."""
        return self.gate.wait_access(client=near.address)


def sides(rig, way, version, cipher="AES-128-GCM", **how):
    """(the end inside TLS, the end outside, who the one inside is in penstock's words, the client's end)."""
    near, far = rig.connect(way, version, cipher, **how)
    return (near, far, "client", near) if way.startswith("tls") else (far, near, "broker", near)


def sealer(inside):
    """For what OpenSSL would not say: behind CONNECTED, which is all that a target has said yet."""
    seal = Sealer(inside.engine.context)
    seal.seq = 1 if inside.engine.context.role == "server" else 0
    return seal


def lookup_connection(rig, way):
    """Pulsar's lookups: penstock reads every frame, and changes the answers."""
    is_tls = way.startswith("tls")
    engine = Engine(rig.context("client", "1.3", "AES-128-GCM"), NAME) if is_tls else None
    rig.server = rig.context("server", "1.3", "AES-128-GCM")
    near = rig.world.dial(rig.ports[way, "1.3"], engine)
    rig.world.run(near.is_ready, "the handshake")
    near.send(wire.connect())
    far = rig.world.accepted(rig.tls_target)
    rig.world.run(lambda: far.got >= len(wire.connect()), "CONNECT")
    far.taken()
    far.send(wire.connected())
    rig.world.run(lambda: near.got >= len(wire.connected()), "CONNECTED")
    near.taken()
    return near, far


def frame_at(rig, end):
    rig.world.run(lambda: end.got >= 4 and end.got >= 4 + int.from_bytes(end.data[:4], "big"), "a frame")
    return wire.Frame(end.taken())
