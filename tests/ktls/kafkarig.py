"""Kafka's frames, written by hand, and a penstock between a client and a broker that know no more than these.

    rig = KafkaRig(authority, World())
    near, far = rig.connect("tls-tls", "1.3", "AES-128-GCM")
    converse(rig, near, far, [metadata(0), fetch([some_bytes(1 << 20)], NODES), ...])
"""
import itertools
import struct
import typing

import kafkawire
from openssl import SUITES, VERSIONS, Engine
from penstock import Penstock
from rig import NAME, ROOT, Rig, some_bytes

PRODUCE, FETCH, METADATA, API_VERSIONS = 0, 1, 3, 18
NEWEST_FETCH = 18  # that penstock knows
LONG = 65536  # a frame that does not fit into its buffer
SECRET = b".inside.kafka.test"  # what only brokers know
NODES = {number: (b"broker-%d" % number + SECRET, 19092) for number in (1, 2, 3)}
SHORT = {number: (b"b%d" % number, 19092) for number in NODES}  # shorter names than penstock has
_ports, _numbers, _correlations = itertools.count(8001, 10), itertools.count(1), itertools.count(1)


class Exchange(typing.NamedTuple):
    """A request, its response, and what the client is to have of it. `port`, in `told`: of the listener, base of the brokers' ports."""

    request: bytes
    response: bytes
    told: typing.Callable  # port -> bytes


# ---- fields


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def string(text):
    return struct.pack(">h", len(text)) + text


def compact(text):
    return varint(len(text) + 1) + text


def advertised(port):
    return {number: (NAME.encode(), port + number) for number in NODES}


def _ask(key, version, body, is_flexible):
    """(correlation, request)"""
    correlation = next(_correlations)
    return correlation, kafkawire.request(key, version, correlation, (b"\0" if is_flexible else b"") + body)


def _answer(correlation, body):
    return struct.pack(">Ii", 4 + len(body), correlation) + body


def _same(correlation, body):
    """A response that is not changed."""
    return lambda port: _answer(correlation, body)


# ---- calls


def versions():
    """ApiVersions v0, with versions of Fetch that nobody has heard of: they are not offered."""
    correlation, request = _ask(API_VERSIONS, 0, b"", False)

    def offers(fetch):
        rows = [struct.pack(">hhh", key, 0, newest) for key, newest in ((PRODUCE, 10), (FETCH, fetch), (METADATA, 12), (API_VERSIONS, 3))]
        return _answer(correlation, struct.pack(">hi", 0, len(rows)) + b"".join(rows))

    return Exchange(request, offers(99), lambda port: offers(NEWEST_FETCH))


def metadata(version, topics=3):
    """v0 or v12. Of v12 the addresses are in front, and topics, as many as one likes, behind them."""
    names = [b"topic-%d-" % number + b"x" * 100 for number in range(topics)]
    if version == 0:
        correlation, request = _ask(METADATA, 0, struct.pack(">i", 0), False)
        rest = struct.pack(">i", topics) + b"".join(struct.pack(">h", 0) + string(name) + struct.pack(">i", 0) for name in names)

        def body(nodes):
            brokers = b"".join(struct.pack(">i", n) + string(host) + struct.pack(">i", port) for n, (host, port) in nodes.items())
            return struct.pack(">i", len(nodes)) + brokers + rest
    else:
        correlation, request = _ask(METADATA, 12, b"\0\0\0\0", True)
        rest = varint(topics + 1) + b"".join(b"\0\0" + compact(name) + bytes(16) + b"\0\1" + bytes(4) + b"\0" for name in names) + b"\0"

        def body(nodes):
            return b"\0" + bytes(4) + endpoints(nodes) + compact(b"a cluster") + struct.pack(">i", 1) + rest

    return Exchange(request, _answer(correlation, body(NODES)), lambda port: _answer(correlation, body(advertised(port))))


def produce(size, version=9):
    """With one batch of so many bytes, which is none."""
    records = some_bytes(size, 7)
    topics = varint(2) + compact(b"topic") + varint(2) + struct.pack(">i", 0) + compact(records) + b"\0\0\0"
    correlation, request = _ask(PRODUCE, version, b"\0" + struct.pack(">hi", 1, 30000) + topics, True)
    answer = b"\0" + varint(2) + compact(b"topic") + varint(2) + struct.pack(">ihqqq", 0, 0, 5, -1, 0) + b"\1\0\0\0" + bytes(4) + b"\0"
    return Exchange(request, _answer(correlation, answer), _same(correlation, answer))


def endpoints(nodes):
    """As brokers are written in Fetch, Produce and Metadata: id, host, port, no rack."""
    return varint(len(nodes) + 1) + b"".join(struct.pack(">i", n) + compact(host) + struct.pack(">i", port) + b"\0\0" for n, (host, port) in nodes.items())


def tail(nodes, size=0):
    """The tagged fields a Fetch ends with. `size`: made as long as that, as penstock does, by a field that nobody knows."""
    said = endpoints(nodes)
    fields = [b"\0" + varint(len(said)) + said] if nodes else []
    used = 1 + sum(map(len, fields))
    if size > used:
        fields.append(b"\x7d" + varint(size - used - 2) + bytes(size - used - 2))
    return varint(len(fields)) + b"".join(fields)


def fetch(sizes, nodes=None, told=None):
    """v16: partitions with so many bytes of records each, and the addresses of `nodes` behind them. `told`: what becomes of those; they are
    replaced unless said otherwise. What is longer than a buffer keeps its length."""
    correlation, request = _ask(FETCH, 16, bytes(4) + some_bytes(60), True)
    head = b"\0" + struct.pack(">ihi", 0, 0, 0) + varint(2) + bytes(range(16)) + varint(len(sizes) + 1)
    partitions = [
        struct.pack(">ihqqq", number, 0, 9, 9, 0) + b"\0" + struct.pack(">i", -1) + compact(some_bytes(size, number)) + b"\0"
        for number, size in enumerate(sizes)
    ]
    front, end = head + b"".join(partitions) + b"\0", tail(nodes or {})

    is_long = 8 + len(front + end) > LONG

    def becomes(port):
        return _answer(correlation, front + tail(advertised(port) if told is None and nodes else told or {}, len(end) if is_long else 0))

    return Exchange(request, _answer(correlation, front + end), becomes)


# ---- penstock, and ways through it


class KafkaRig(Rig):
    """Ways as in Rig: "tls-plain", "plain-tls", "tls-tls"; the kernel has to take the keys of each end."""

    def __init__(self, authority, world):
        self.authority, self.world = authority, world
        self.broker_certificate = authority.issue("127.0.0.1", prefix="kafka-broker-")
        certificate, key = authority.issue(NAME, prefix="kafka-")
        self.ports, self.contexts, self.server = {}, {}, None
        self.target = world.listen()
        self.tls_target = world.listen(lambda: Engine(self.server))
        keys = self.SETTINGS[""]
        tls = {"cert_file": str(certificate), "key_file": str(key), **keys}
        clusters, listeners = {"plain": self._cluster(self.target)}, []
        for version in VERSIONS:  # sessions with brokers stay apart
            clusters[f"secure-{version}"] = self._cluster(self.tls_target, broker_tls={"ca_file": str(authority.file), **keys})
            ways = {
                "tls-plain": {"cluster": "plain", "tls": tls},
                "plain-tls": {"cluster": f"secure-{version}"},
                "tls-tls": {"cluster": f"secure-{version}", "tls": tls},
            }
            for way, more in ways.items():
                port = self.ports[way, version] = next(_ports)
                listeners.append({
                    "name": f"{way}-{version}", "bind": f"127.0.0.1:{port}", "kafka": {"advertise": NAME, "base_port": port, "nodes": ["1-3"]}, **more,
                })  # fmt: skip
        self.gate = Penstock(f"kafka-gate-{next(_numbers)}")
        self.gate.start({"clusters": clusters, "listeners": listeners, "process": {"workers": 1}, "state_dir": ROOT})

    @staticmethod
    def _cluster(target, **keys):
        """Nobody but clients asks the broker for anything."""
        return {"protocol": "kafka", "discovery": {"bootstrap": [f"127.0.0.1:{target.port}"], "refresh": "off"}, **keys}

    def connect(self, way, version, cipher, receive=None):
        """(client's end, broker's end), after ApiVersions: a broker is dialled for a request."""
        is_tls, is_target_tls = (word == "tls" for word in way.split("-"))
        engine = Engine(self.context("client", version, cipher), NAME) if is_tls else None
        if is_target_tls:
            self.server = self.context("server", version, cipher)
        near = self.world.dial(self.ports[way, version], engine, receive)
        self.world.run(lambda: near.is_ready() or near.end, "the client's handshake")
        first = versions()
        near.send(first.request)
        far = self.world.accepted(self.tls_target if is_target_tls else self.target)
        assert frame(self, far) == first.request
        far.send(first.response)
        told(self, near, [first])
        for end in (near, far):
            assert not end.engine or end.engine.what() == (version, SUITES[version, cipher].decode())
        return near, far


def frame(rig, end):
    """The next one that comes to this end."""

    def size():
        return 4 + int.from_bytes(end.data[:4], "big")

    rig.world.run(lambda: (end.got >= 4 and end.got >= size()) or end.end, "a frame", 60)
    assert end.got >= 4 and end.got >= size(), end
    one, end.data = end.data[: size()], end.data[size() :]
    end.got -= len(one)
    return one


def asked(rig, far, exchanges):
    """The requests have come to the broker as they were sent."""
    for number, exchange in enumerate(exchanges):
        assert frame(rig, far) == exchange.request, f"request {number}"


def told(rig, near, exchanges):
    """The client has what it is to have, and no address of a broker."""
    port = next(port for port in rig.ports.values() if port == near.sock.getpeername()[1])
    for number, exchange in enumerate(exchanges):
        answer = frame(rig, near)
        assert SECRET not in answer, f"response {number}: {answer[answer.index(SECRET) - 40:][:100]}"
        want = exchange.told(port)
        assert answer == want, f"response {number}: {_difference(answer, want)}"


def _difference(got, want):
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    return f"{len(got)} bytes, not {len(want)}; at {at} {got[at : at + 40]}, not {want[at : at + 40]}"


def send(end, data):
    end.send(data)


def converse(rig, near, far, exchanges, send_up=send, send_down=send):
    """All requests at once, then all responses: send_up(near, bytes), send_down(far, bytes)."""
    send_up(near, b"".join(exchange.request for exchange in exchanges))
    asked(rig, far, exchanges)
    send_down(far, b"".join(exchange.response for exchange in exchanges))
    told(rig, near, exchanges)


def records(*sizes):
    """For converse: sends in records of these sizes, the last of them as often as need be; an end without TLS sends as it does."""

    def cut(end, data):
        at, each = 0, itertools.chain(sizes, itertools.repeat(sizes[-1]))
        while at < len(data):
            size = next(each)
            end.send(data[at : at + size])
            at += size

    return cut
