"""What goes wrong around Kafka, on real sockets: bytes nobody should send, and brokers that are not where they were.

The brokers are a few lines of Python where a real one cannot be made to do it. Whatever it is: the connection ends for a reason that has a
name, the client gets no address of a broker, and none it did not ask for; or it is held back, and nothing is lost.
"""
import contextlib
import itertools
import json
import os
import signal
import socket
import struct
import threading
import time

import pytest
import settings
import wire
from fakes import FakeBroker
from mirror import Mirror
from processes import wait_until

GATE = settings.GATE_ADDRESS
PORTS = itertools.count(9750, 10)
PRODUCE, FETCH, OFFSETS, METADATA, FIND_COORDINATOR, HEARTBEAT, API_VERSIONS, CREATE_TOPICS, DESCRIBE_CLUSTER = 0, 1, 2, 3, 10, 12, 18, 19, 60
SECRETS = (b".internal.test", b".kafka.test", b"127.77.")  # of names and addresses that only brokers know


def start(penstock, bootstrap, nodes=("1-9",), cluster=(), discovery=(), timeouts=(), drain=(), **kafka):
    port = next(PORTS)
    gate = penstock.new(port)
    gate.start({
        "clusters": {"k": {"protocol": "kafka", "discovery": {"bootstrap": bootstrap, **dict(discovery)}, **dict(cluster)}},
        "listeners": [{
            "name": "kafka", "bind": f"{GATE}:{port}", "cluster": "k", "kafka": {"advertise": GATE, "base_port": port, "nodes": list(nodes), **kafka},
        }],
        "timeouts": {"connect": "500ms", **dict(timeouts)},
        "drain": dict(drain),
    })  # fmt: skip
    return gate


# ---- the protocol, as far as it takes


def framed(body):
    return struct.pack(">i", len(body)) + body


def request(key, version, correlation, body=b"", is_flexible=False):
    return framed(struct.pack(">hhih4s", key, version, correlation, 4, b"test") + (b"\0" if is_flexible else b"") + body)


def text(word):
    return struct.pack(">h", len(word)) + word.encode()


def compact(word):
    return bytes([len(word) + 1]) + word.encode()


def metadata(correlation, places):
    """A Metadata response v1: places as {id: (host, port)}."""
    rows = b"".join(struct.pack(">i", n) + text(host) + struct.pack(">ih", port, -1) for n, (host, port) in places.items())
    return framed(struct.pack(">ii", correlation, len(places)) + rows + struct.pack(">ii", 1, 0))


def coordinator(correlation, node, host, port):
    """A FindCoordinator response v0."""
    return framed(struct.pack(">ihi", correlation, 0, node) + text(host) + struct.pack(">i", port))


def ask_metadata(correlation):
    return request(METADATA, 1, correlation, struct.pack(">i", 0))


def read_frame(peer):
    head = peer.read_exactly(4)
    return head + peer.read_exactly(struct.unpack(">i", head)[0])


def number(frame):
    return struct.unpack_from(">i", frame, 4)[0]


def dial(gate, node=0, seconds=5):
    return wire.dial(GATE, gate.port + node, seconds)


# ---- brokers that have moved


class Member(FakeBroker):
    """A broker that says who it is in the error of a Heartbeat, and where everybody is in Metadata."""

    def __init__(self, places):
        self.me, self.places, self.asked = 0, places, 0
        super().__init__(serve=self._talk, port=9092)

    def _talk(self, peer):
        while True:
            frame = read_frame(peer)
            key, correlation = struct.unpack_from(">h", frame, 4)[0], struct.unpack_from(">i", frame, 8)[0]
            if key == METADATA:
                self.asked += 1
                peer.send(metadata(correlation, self.places))
            elif key == FIND_COORDINATOR:
                node = max(self.places)
                peer.send(coordinator(correlation, node, *self.places[node]))
            else:
                peer.send(framed(struct.pack(">ih", correlation, self.me)))

    def restart(self, me):
        """As another one: its connections end."""
        self.me = me
        for peer in self._peers:
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
        self._peers.clear()


@pytest.fixture
def members(lab):
    """Three of them, told apart by the order in which they stand here; `places` is what they all say."""
    places = {}
    three = [Member(places) for _ in range(3)]
    for member in three:
        member.places = places
    settle(three, places, {1: 0, 2: 1, 3: 2})
    yield three, places
    for member in three:
        member.close()
        assert not member.errors, member.errors


def settle(three, places, where):
    """Node -> whose place it is at."""
    places.clear()
    places.update({node: (three[at].address, three[at].port) for node, at in where.items()})
    for node, at in where.items():
        if three[at].me != node:
            three[at].restart(node)


def who(peer):
    """Which broker answers."""
    peer.send(request(HEARTBEAT, 0, 7))
    return struct.unpack_from(">h", read_frame(peer), 8)[0]


def wait_ended(peer):
    """Its next request ends it, once the workers have heard that somebody else is to be there."""

    def is_ended():
        try:
            who(peer)
        except wire.Closed:
            return True
        return False

    wait_until("who was led to the wrong one to be ended", 5, is_ended)
    peer.close()


def who_at(gate, node):
    """The same on a connection of its own; None: refused."""
    peer = dial(gate, node)
    try:
        return who(peer)
    except wire.Closed:
        return None
    finally:
        peer.close()


def learn(gate, question):
    """A client asks by the bootstrap port; whatever comes back, penstock reads along."""
    peer = dial(gate)
    peer.send(question)
    frame = read_frame(peer)
    peer.close()
    return frame


def test_two_brokers_swap_their_addresses(penstock, members):
    """Nobody tells penstock at first. From the answer on that does, each id is where it says, at once; and whoever was led to the wrong one
    before is not left there: its next request ends the connection, unanswered."""
    three, places = members
    gate = start(penstock, [three[2].where], discovery={"refresh": "1h"})
    wait_until("all to be known", 5, lambda: gate.metrics()("penstock_brokers", cluster="k") == 3)
    assert [who_at(gate, n) for n in (1, 2, 3)] == [1, 2, 3]
    for where in ({1: 1, 2: 0, 3: 2}, {1: 0, 2: 1, 3: 2}):
        settle(three, places, where)
        early = dial(gate, 1)  # as a client does that lost its connection, and has not asked anew
        assert who(early) == 2, "which only brokers' words can tell"
        answer = learn(gate, ask_metadata(5))
        assert not any(secret in answer for secret in SECRETS)
        assert [who_at(gate, n) for n in (1, 2, 3)] == [1, 2, 3], "not a moment later"
        wait_ended(early)
        assert gate.wait_access(reason="node_moved")
        assert [who_at(gate, n) for n in (1, 2, 3)] == [1, 2, 3]
        gate.forget_log()


def test_a_broker_takes_the_place_of_another(penstock, members):
    """Node 2 is told of where node 1 was, and nothing is told of node 1: it is asked for, and not found where it was."""
    three, places = members
    gate = start(penstock, [three[2].where], discovery={"refresh": "1h"})
    wait_until("all to be known", 5, lambda: gate.metrics()("penstock_brokers", cluster="k") == 3)
    three[1].close()
    settle(three, places, {2: 0})  # and the broker asked knows no other; Find Coordinator tells of the highest id alone
    learn(gate, request(FIND_COORDINATOR, 0, 6, text("group")))
    wait_until("node 2 to be there", 5, lambda: who_at(gate, 2) == 2)
    wait_until("node 1 to be gone", 5, lambda: who_at(gate, 1) is None)
    gate.wait_access(reason="node_unknown")
    settle(three, places, {2: 0, 1: 2})
    wait_until("node 1 to be served", 5, lambda: who_at(gate, 1) == 1)


def test_a_broker_comes_back_elsewhere(penstock, members):
    """Where it was nobody is: whoever wants it is refused, and that has penstock ask, long before the next round."""
    three, places = members
    gate = start(penstock, [three[2].where], discovery={"refresh": "1h"})
    wait_until("all to be known", 5, lambda: gate.metrics()("penstock_brokers", cluster="k") == 3)
    assert who_at(gate, 2) == 2
    three[1].close()
    again = Member(places)
    try:
        settle([three[0], again, three[2]], places, {1: 0, 2: 1, 3: 2})
        asked = three[2].asked
        assert who_at(gate, 2) is None
        gate.wait_access(reason="connect_refused")
        wait_until("node 2 to be served", 5, lambda: who_at(gate, 2) == 2)
        assert asked < three[2].asked < asked + 5
    finally:
        again.close()


@pytest.fixture(scope="module")
def zookeeper(lab):
    with Mirror() as one:
        yield one


def register(zookeeper, member, node):
    """As brokers up to 3.9 do."""
    said = {"version": 5, "endpoints": [f"PLAINTEXT://{member.where}"], "listener_security_protocol_map": {"PLAINTEXT": "PLAINTEXT"}, "host": None, "port": -1}
    zookeeper.put(f"/brokers/ids/{node}", json.dumps(said))


def test_brokers_in_zookeeper_swap_and_replace(penstock, zookeeper, members):
    """Those that have left are dialled for a while, at their old places: until ZooKeeper has another one there."""
    three, places = members
    for node, member in enumerate(three, 1):
        register(zookeeper, member, node)
    port = next(PORTS)
    gate = penstock.new(port)
    gate.start({
        "clusters": {"k": {"protocol": "kafka", "discovery": {"zookeeper": {"servers": zookeeper.connect_string, "session_timeout": "2s"}, "grace": "60s"}}},
        "listeners": [{
            "name": "kafka", "bind": f"{GATE}:{port}", "cluster": "k", "kafka": {"advertise": GATE, "base_port": port, "nodes": ["1-9"]},
        }],
        "timeouts": {"connect": "500ms"},
    })  # fmt: skip

    def where():
        rows = gate.json("/brokers")["clusters"][0]["brokers"]
        return {int(row["id"]): row["url"].removeprefix("kafka://") for row in rows if not row["leaving"]}

    def wait_where(wanted):
        wait_until(f"{wanted} in /brokers", 10, lambda: where() == {node: three[at].where for node, at in wanted.items()})

    wait_where({1: 0, 2: 1, 3: 2})
    wait_until("all to be served", 5, lambda: [who_at(gate, n) for n in (1, 2, 3)] == [1, 2, 3])
    zookeeper.remove("/brokers/ids/1")
    zookeeper.remove("/brokers/ids/2")
    wait_where({3: 2})
    settle(three, places, {1: 1, 2: 0, 3: 2})
    early = dial(gate, 1)
    assert who(early) == 2, "which ZooKeeper does not know of yet"
    register(zookeeper, three[1], 1)
    register(zookeeper, three[0], 2)
    wait_where({1: 1, 2: 0, 3: 2})
    wait_ended(early)
    assert gate.wait_access(reason="node_moved")
    assert [who_at(gate, n) for n in (1, 2, 3)] == [1, 2, 3]
    # Node 4 comes where node 1 was, which is gone.
    zookeeper.remove("/brokers/ids/1")
    settle(three, places, {4: 1, 2: 0, 3: 2})
    register(zookeeper, three[1], 4)
    wait_where({4: 1, 2: 0, 3: 2})
    wait_until("all in their places", 5, lambda: [who_at(gate, n) for n in (1, 2, 3, 4)] == [None, 2, 3, 4])
    gate.wait_access(reason="node_unknown")


# ---- responses that are none


class Said(FakeBroker):
    """Reads `wanted` requests, says what `answer` makes of their correlation ids, then reads on, or ends (`is_last`: how)."""

    def __init__(self):
        self.answer, self.wanted, self.is_last, self.piece = None, 1, None, 1 << 20
        self.rests = []  # of each connection, what came behind what was wanted
        super().__init__(serve=self._talk, port=9092)

    def _talk(self, peer):
        rest = None
        try:
            rest = self._say(peer)
        finally:
            self.rests.append(rest)

    def wait_over(self):
        """All connections so far have ended."""
        wait_until("the broker to see the end", 5, lambda: len(self.rests) == self.accepted, step=0.002)

    def _say(self, peer):
        said = self.answer([struct.unpack_from(">i", read_frame(peer), 8)[0] for _ in range(self.wanted)])
        for at in range(0, len(said), self.piece):
            peer.send(said[at : at + self.piece])
        if self.is_last == "FIN":
            peer.half_close()
        elif self.is_last == "RST":
            peer.reset()
            return b""
        return peer.read_to_end()[0]


HOST = "b1.internal.test"
PLACES = {1: (HOST, 9092), 2: ("b2.internal.test", 9092)}


def cluster_v0(correlation, host=HOST):
    """DescribeCluster v0: compact, as all of its versions."""
    broker = struct.pack(">i", 1) + compact(host) + struct.pack(">i", 9092) + b"\0\0"
    return framed(struct.pack(">i", correlation) + b"\0" + struct.pack(">ih", 0, 0) + b"\0" + compact("c") + struct.pack(">i", 1) + b"\x02" + broker + bytes(5))


def sized(size, frame):
    return struct.pack(">i", size) + frame[4:]


def produce_v10(correlation, *tags):
    """An error, and tagged fields as (number, bytes) behind it."""
    partition = struct.pack(">ihqqq", 0, 6, -1, -1, -1) + b"\x01\0" + b"\0"
    rows = b"".join(bytes([n, len(data)]) + data for n, data in tags)
    return framed(struct.pack(">i", correlation) + b"\0\x02" + compact("t") + b"\x02" + partition + b"\0" + struct.pack(">i", 0) + bytes([len(tags)]) + rows)


def endpoints(*hosts):
    return bytes([len(hosts) + 1]) + b"".join(struct.pack(">i", n + 1) + compact(h) + struct.pack(">i", 9092) + b"\0\0" for n, h in enumerate(hosts))


ASK = {
    "metadata": ask_metadata,
    "coordinator": lambda c: request(FIND_COORDINATOR, 0, c, text("g")),
    "cluster": lambda c: request(DESCRIBE_CLUSTER, 0, c, b"\0\0", True),
    "produce": lambda c: request(PRODUCE, 10, c, b"\0" + struct.pack(">hi", 1, 1000) + b"\x01\0", True),
}
MALFORMED, ORDER, UNASKED, BIG = "broker_frame_malformed", "response_order", "response_unasked", "response_too_big"
# What is asked, what the broker says to it, and the reason the connection ends for.
NONE = {
    "size 0": ("metadata", lambda c: struct.pack(">i", 0), MALFORMED),
    "size 3": ("metadata", lambda c: sized(3, metadata(c, PLACES)), MALFORMED),
    "size 4": ("metadata", lambda c: sized(4, metadata(c, PLACES)), MALFORMED),
    "a negative size": ("metadata", lambda c: sized(-1, metadata(c, PLACES)), MALFORMED),
    "the most negative size": ("coordinator", lambda c: sized(-(1 << 31), coordinator(c, 1, HOST, 9092)), MALFORMED),
    "2 GiB": ("coordinator", lambda c: sized((1 << 31) - 1, coordinator(c, 1, HOST, 9092)), BIG),
    "2 GiB, compact": ("cluster", lambda c: sized((1 << 31) - 1, cluster_v0(c)), BIG),
    "a byte short": ("coordinator", lambda c: sized(len(coordinator(c, 1, HOST, 9092)) - 5, coordinator(c, 1, HOST, 9092)), MALFORMED),
    "a byte long": ("coordinator", lambda c: framed(coordinator(c, 1, HOST, 9092)[4:] + b"\0"), MALFORMED),
    "another correlation": ("metadata", lambda c: metadata(c + 1, PLACES), ORDER),
    "no brokers, by a count of -2": ("metadata", lambda c: framed(struct.pack(">ii", c, -2) + metadata(c, PLACES)[12:]), MALFORMED),
    "a thousand million brokers": ("metadata", lambda c: framed(struct.pack(">ii", c, 10**9) + metadata(c, PLACES)[12:]), MALFORMED),
    "a broker more than there are": ("metadata", lambda c: framed(struct.pack(">ii", c, 3) + metadata(c, PLACES)[12:-8]), MALFORMED),
    "a host longer than the frame": ("metadata", lambda c: framed(struct.pack(">iiih", c, 1, 1, 30000) + HOST.encode()), MALFORMED),
    "a host of negative length": ("coordinator", lambda c: framed(struct.pack(">ihih", c, 0, 1, -5) + HOST.encode() + bytes(4)), MALFORMED),
    "compact where it is not": ("coordinator", lambda c: framed(struct.pack(">iihi", c, 0, 0, 1) + compact(HOST) + struct.pack(">i", 9092)), MALFORMED),
    "not compact where it is": ("cluster", lambda c: framed(struct.pack(">ihi", c, 0, 1) + text(HOST) + struct.pack(">i", 9092)), MALFORMED),
    "a varint without an end": ("cluster", lambda c: framed(cluster_v0(c)[4:9] + struct.pack(">ih", 0, 0) + b"\xff" * 40), MALFORMED),
    "a TLS alert": ("metadata", lambda c: bytes.fromhex("15030300020246"), "broker_tls"),
    "HTTP": ("metadata", lambda c: b"HTTP/1.1 400 Bad Request\r\n\r\n", ORDER),
    "twice": ("coordinator", lambda c: 2 * coordinator(c, 1, HOST, 9092), UNASKED),
    "endpoints longer than their field": ("produce", lambda c: produce_v10(c, (0, endpoints(HOST, HOST)[:-3])), MALFORMED),
    "endpoints shorter than their field": ("produce", lambda c: produce_v10(c, (0, endpoints(HOST) + b"\0")), MALFORMED),
    "a field longer than the frame": ("produce", lambda c: framed(produce_v10(c, (9, b"\0\0\0"))[4:-2]), MALFORMED),
}  # fmt: skip


@pytest.fixture(scope="module")
def said(module_fake, lab):
    one = Said()
    yield one
    one.close()
    assert not one.errors, one.errors


@pytest.fixture(scope="module")
def gate(module_penstock, said):
    """penstock goes by what clients hear alone, so that nobody else asks the broker."""
    return start(module_penstock, [said.where], discovery={"refresh": "off"})


def tell(said, answer, wanted=1, is_last=None, piece=1 << 20):
    said.wait_over()
    said.answer, said.wanted, said.is_last, said.piece = answer, wanted, is_last, piece


def hear(gate, *questions):
    """All that comes until the connection ends."""
    peer = dial(gate)
    peer.send(*questions)
    data, _ = peer.read_to_end()
    peer.close()
    assert not any(secret in data for secret in SECRETS), data
    return data


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_response(gate, said, name):
    ask, answer, reason = NONE[name]
    gate.forget_log()
    tell(said, lambda ids: answer(ids[0]))
    data = hear(gate, ASK[ask](0x01020304))
    gate.wait_access(reason=reason)
    if reason == UNASKED:  # the first of them is one
        assert data == coordinator(0x01020304, 1, GATE, gate.port + 1)
    else:
        assert data == b""


@pytest.mark.parametrize("ask,answer", [("metadata", metadata(9, PLACES)), ("coordinator", coordinator(9, 1, HOST, 9092)), ("cluster", cluster_v0(9)),
                                        ("produce", produce_v10(9, (0, endpoints(HOST))))], ids=list(ASK))  # fmt: skip
def test_responses_cut_at_every_byte(gate, said, ask, answer):
    """The broker dies in the middle of it: what has come so far is not passed on as it is."""
    for cut in range(len(answer)):
        tell(said, lambda ids, cut=cut: answer[:cut], is_last="RST" if cut % 2 else "FIN")
        peer = dial(gate)
        peer.send(ASK[ask](9))
        data, _ = peer.read_to_end()
        peer.close()
        assert not any(secret in data for secret in SECRETS), (cut, data)
        assert data == b"" or ask == "metadata", (cut, data)
    tell(said, lambda ids: answer)
    peer = dial(gate)
    peer.send(ASK[ask](9))
    assert GATE.encode() in read_frame(peer)
    peer.close()


def test_endpoints_twice_and_out_of_order(gate, said):
    """Unknown fields stay, wherever they stand; endpoints are changed as often as they come."""
    for tags in ([(0, endpoints(HOST))], [(7, b"xyz"), (0, endpoints(HOST))], [(0, endpoints(HOST)), (0, endpoints(HOST, HOST))],
                 [(9, b""), (0, endpoints(HOST)), (7, b"xyz"), (0, endpoints(HOST)), (3, b"q")]):  # fmt: skip
        tell(said, lambda ids, tags=tags: produce_v10(ids[0], *tags))
        peer = dial(gate)
        peer.send(ASK["produce"](5))
        frame = read_frame(peer)
        peer.close()
        assert not any(secret in frame for secret in SECRETS), frame
        assert frame.count(GATE.encode()) == sum(data.count(HOST.encode()) for _, data in tags)
        assert all(data in frame for n, data in tags if n != 0)


def test_out_of_order(gate, said):
    """The second before the first: neither is passed on, since the first says how it is to be read."""
    gate.forget_log()
    tell(said, lambda ids: coordinator(ids[1], 1, HOST, 9092) + metadata(ids[0], PLACES), wanted=2)
    assert hear(gate, ask_metadata(1), ASK["coordinator"](2)) == b""
    gate.wait_access(reason=ORDER)


def test_ids_used_again(gate, said):
    """All requests have the same number: each response is read as that of its own."""
    want = [metadata, coordinator, metadata, coordinator, coordinator] * 40
    tell(said, lambda ids: b"".join(metadata(7, PLACES) if one is metadata else coordinator(7, 1, HOST, 9092) for one in want), wanted=len(want))
    peer = dial(gate)
    peer.send(b"".join(ASK["metadata" if one is metadata else "coordinator"](7) for one in want))
    there = {n: (GATE, gate.port + n) for n in PLACES}
    for one in want:
        assert read_frame(peer) == (metadata(7, there) if one is metadata else coordinator(7, 1, GATE, gate.port + 1))
    peer.close()


def test_one_byte_at_a_time(gate, said):
    """Both ways."""
    there = {n: (GATE, gate.port + n) for n in PLACES}
    tell(said, lambda ids: metadata(ids[0], PLACES) + coordinator(ids[1], 1, HOST, 9092), wanted=2, piece=1)
    peer = dial(gate)
    wire.drip(peer, ask_metadata(3) + ASK["coordinator"](4), 0.0005)
    assert read_frame(peer) == metadata(3, there)
    assert read_frame(peer) == coordinator(4, 1, GATE, gate.port + 1)
    peer.close()


# ---- requests that are none


NO_REQUEST = {
    "size 0": (struct.pack(">i", 0), "frame_zero"),
    "size 7": (sized(7, ask_metadata(2)), "frame_zero"),
    "a negative size": (sized(-1, ask_metadata(2)), "frame_malformed"),
    "the most negative size": (sized(-(1 << 31), ask_metadata(2)), "frame_malformed"),
    "2 GiB": (sized((1 << 31) - 1, ask_metadata(2)), "frame_too_big"),
    "a negative key": (framed(struct.pack(">hhih", -1, 0, 2, -1)), "frame_malformed"),
    "a client id longer than the frame": (framed(struct.pack(">hhih", PRODUCE, 3, 2, 30000)), "frame_malformed"),
    "a compact one where it is not": (framed(struct.pack(">hhihB", PRODUCE, 9, 2, 0, 0x80)), "frame_malformed"),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_REQUEST)
def test_what_is_no_request(gate, said, name):
    """Behind a good one, which is answered still; the broker hears nothing of it."""
    data, reason = NO_REQUEST[name]
    gate.forget_log()
    tell(said, lambda ids: metadata(ids[0], PLACES))
    peer = dial(gate)
    peer.send(ask_metadata(1))
    assert number(read_frame(peer)) == 1
    peer.send(data)
    with pytest.raises(wire.Closed):
        read_frame(peer)
    peer.close()
    gate.wait_access(reason=reason)
    said.wait_over()
    assert said.rests[-1] == b""


# ---- clients that stop, or go, in the middle of much


BATCH = 100_000


def produce(correlation, size=BATCH, acks=0):
    """A Produce request v3 with so many bytes that are no records: who they are for does not look."""
    head = struct.pack(">hhii", -1, acks, 1000, 1) + text("t") + struct.pack(">iii", 1, 0, size)
    return request(PRODUCE, 3, correlation, head + b"r" * size)


@pytest.fixture
def sinks(penstock, fake):
    """A penstock in front of a broker that reads; and what that has read, of each connection, and how each ended."""
    came = []

    def serve(peer):
        mine = [b"", None]
        came.append(mine)
        try:
            while True:
                mine[0] += peer.read(1 << 20)
        except wire.Closed as end:
            mine[1] = end.reset

    broker = fake(serve=serve, port=9092, seconds=30)
    return start(penstock, [broker.where], discovery={"refresh": "off"}), came


def test_a_reset_between_two_requests(sinks):
    """Also where penstock but looks at what is in the socket: to the broker a reset is one."""
    gate, came = sinks
    sent = b"".join(produce(n) for n in range(20))
    peer = dial(gate)
    peer.send(sent)
    wait_until("all of it to arrive", 5, lambda: came and len(came[0][0]) == len(sent))
    assert came[0][0] == sent
    time.sleep(0.2)
    peer.reset()
    wait_until("the broker to be told", 5, lambda: came[0][1] is not None)
    assert came[0][1] is True
    gate.wait_access(reason="client_rst")


def test_an_urgent_byte(sinks):
    """It is not part of the stream, splice(2) stops in front of it, and penstock does not spin for that."""
    gate, came = sinks
    sent = b"".join(produce(n) for n in range(20))
    peer = dial(gate)
    peer.send(sent, sent[: BATCH // 2])
    wait_until("all of it to arrive", 5, lambda: came and len(came[0][0]) == len(sent) + BATCH // 2)
    peer.sock.send(b"!", socket.MSG_OOB)
    peer.send(sent[BATCH // 2 :], sent)
    wait_until("the rest to arrive", 5, lambda: len(came[0][0]) == 3 * len(sent))
    assert came[0][0] == 3 * sent
    before = gate.cpu_seconds()
    peer.sock.send(b"!", socket.MSG_OOB)
    time.sleep(1)
    assert gate.cpu_seconds() - before < 0.3
    peer.close()


def test_a_denied_request_that_stalls(penstock, fake):
    """It holds what few can hold at once, and so has the time of a frame, wherever it stops."""
    broker = fake(port=9092)
    gate = start(penstock, [broker.where], discovery={"refresh": "off"}, timeouts={"frame": "1s"}, read_only=True)
    whole = produce(1, acks=1)
    for part in (60, 1000, BATCH):
        peer = dial(gate)
        began = time.monotonic()
        peer.send(whole[:part])
        peer.read_to_end()
        assert 0.9 < time.monotonic() - began < 4
        peer.close()
        gate.wait_access(reason="frame_timeout")
        gate.forget_log()
    peer = dial(gate)
    for at in range(0, len(whole), BATCH // 5):
        peer.send(whole[at : at + BATCH // 5])
        time.sleep(0.3)
    assert struct.unpack_from(">h", read_frame(peer), 23)[0] == 29  # TOPIC_AUTHORIZATION_FAILED
    peer.close()


def test_half_a_request_behind_a_whole_one(penstock, members):
    """The time it has does not end with the answer to the other."""
    three, _ = members
    gate = start(penstock, [three[0].where], timeouts={"frame": "1s"})
    peer = dial(gate)
    began = time.monotonic()
    peer.send(request(HEARTBEAT, 0, 7) + request(HEARTBEAT, 0, 8)[:5])
    assert number(read_frame(peer)) == 7
    peer.read_to_end()
    assert 0.9 < time.monotonic() - began < 4
    peer.close()
    gate.wait_access(reason="frame_timeout")


@pytest.mark.parametrize("spread", ["0s", "200ms"])
def test_a_request_that_comes_late_to_a_drain(penstock, fake, spread):
    """The first of its connection, behind the question for versions: both are answered, however long that takes, then the connection ends in order."""

    def serve(peer):
        for body in (struct.pack(">hi", 0, 0), struct.pack(">h", 0)):
            frame = read_frame(peer)
            time.sleep(0.4)
            peer.send(framed(struct.pack(">i", struct.unpack_from(">i", frame, 8)[0]) + body))
        peer.read_to_end()

    broker = fake(serve=serve, port=9092, seconds=30)
    gate = start(penstock, [broker.where], discovery={"refresh": "off"}, timeouts={"hello": "30s"}, drain={"lame_duck": "0s", "spread": spread})
    late = [dial(gate, seconds=20) for _ in range(6)]
    wait_until("all to be accepted", 5, lambda: gate.metrics()("penstock_sessions_in_use") == len(late))
    gate.process.send(signal.SIGTERM)
    gate.wait_said("draining")
    time.sleep(0.3)
    for n, peer in enumerate(late):
        peer.send(request(API_VERSIONS, 0, n))
    for n, peer in enumerate(late):
        assert number(read_frame(peer)) == n
    time.sleep(0.4)  # of a client that thinks about it
    for n, peer in enumerate(late):
        peer.send(request(HEARTBEAT, 0, n))
    for n, peer in enumerate(late):
        assert number(read_frame(peer)) == n
        assert peer.read_to_end() == (b"", False)
        peer.close()
    assert gate.process.wait(10) == 0
    assert [row["reason"] for row in gate.access()] == ["drain"] * len(late)


def test_half_an_answer(penstock, fake):
    """It has the same time, whatever its client says meanwhile."""

    def serve(peer):
        peer.send(metadata(struct.unpack_from(">i", read_frame(peer), 8)[0], PLACES)[:20])
        peer.read_to_end()

    broker = fake(serve=serve, port=9092, seconds=30)
    gate = start(penstock, [broker.where], discovery={"refresh": "off"}, timeouts={"frame": "1s"})
    peer = dial(gate)
    began = time.monotonic()
    peer.send(ask_metadata(1))
    with pytest.raises((wire.Closed, OSError)):
        while time.monotonic() - began < 5:
            peer.send(request(HEARTBEAT, 0, 2))
            time.sleep(0.2)
    assert 0.7 < time.monotonic() - began < 4
    peer.close()
    gate.wait_access(reason="frame_timeout")


def test_a_reset_behind_a_request_that_waits(penstock, fake):
    """A denied call waits for the answer before it; sending that is what tells that nobody is there."""
    told = threading.Event()

    def serve(peer):
        correlation = struct.unpack_from(">i", read_frame(peer), 8)[0]
        assert told.wait(10)
        peer.send(framed(struct.pack(">ih", correlation, 0)))
        peer.read_to_end()

    broker = fake(serve=serve, port=9092, seconds=30)
    gate = start(penstock, [broker.where], discovery={"refresh": "off"}, read_only=True)
    peer = dial(gate)
    peer.send(request(HEARTBEAT, 0, 1) + request(CREATE_TOPICS, 0, 2, struct.pack(">ii", 0, 1000)))
    time.sleep(0.3)
    peer.reset()
    told.set()
    assert gate.wait_access()["reason"] == "client_rst"


# ---- clients that wait


def start_small(penstock, broker, **slow):
    """Two listeners, the second with these keys of kafka, and 72 buffers."""
    port = next(PORTS)
    gate = penstock.new(port)
    listeners = [
        {"name": name, "bind": f"{GATE}:{at}", "cluster": "k", "kafka": {"advertise": GATE, "base_port": at, "nodes": ["1-3"], **keys}}
        for name, at, keys in (("quick", port, {}), ("slow", port + 5, slow))
    ]
    gate.start({
        "clusters": {"k": {"protocol": "kafka", "discovery": {"bootstrap": [broker.where], "refresh": "off"}}},
        "listeners": listeners, "limits": {"unrouted": 8}, "process": {"workers": 1},
    })  # fmt: skip
    return gate


def beat(correlation):
    return request(HEARTBEAT, 0, correlation)


def slow_broker(fake, is_over):
    """Heartbeats are answered; a Fetch, and all behind it, by the end of the connection when it is over."""

    def serve(peer):
        while True:
            frame = read_frame(peer)
            if struct.unpack_from(">h", frame, 4)[0] == FETCH:
                is_over.wait(60)
                return
            peer.send(framed(struct.pack(">ih", struct.unpack_from(">i", frame, 8)[0], 0)))

    return fake(serve=serve, port=9092, seconds=60)


def is_answered(gate):
    """And at once."""
    with contextlib.closing(dial(gate, seconds=3)) as peer:
        peer.send(beat(7))
        return number(read_frame(peer)) == 7


def test_many_that_are_too_fast(penstock, fake):
    """Who is held back for its rate holds nothing that others need, and loses nothing."""
    gate = start_small(penstock, slow_broker(fake, threading.Event()), rate={"requests": 1})
    fast = [dial(gate, 5, 10) for _ in range(80)]
    for peer in fast:
        peer.send(b"".join(beat(n) for n in range(60)))
    assert is_answered(gate)
    wait_until("no buffer to be held", 5, lambda: gate.metrics()("penstock_buffers_in_use") == 0)
    for peer in fast:
        assert [number(read_frame(peer)) for _ in range(4)] == [0, 1, 2, 3]
        peer.close()


def test_many_that_wait_for_an_answer(penstock, fake):
    """A denied call waits for the Fetch before it, in a buffer. Half of these may be kept so; one more ends its connection."""
    is_over = threading.Event()
    gate = start_small(penstock, slow_broker(fake, is_over), read_only=True)
    waiting = [dial(gate, 5, 30) for _ in range(80)]
    for peer in waiting:
        peer.send(request(FETCH, 4, 1, bytes(40)) + request(CREATE_TOPICS, 0, 2, struct.pack(">ii", 0, 1000)))
    wait_until("most to be ended", 5, lambda: len(gate.access(reason="enobufs")) == 80 - 36)
    assert gate.metrics()("penstock_buffers_in_use") == 36
    assert is_answered(gate)
    for peer in waiting:
        peer.close()
    is_over.set()  # who waits for an answer is not read


def test_a_reload_without_clusters(penstock, members):
    """It ends who was with a node, and nothing else."""
    three, _ = members
    gate = start(penstock, [three[0].where], discovery={"refresh": "1h"})
    peer = dial(gate, 1)
    assert who(peer) == 1
    gate.write({"listeners": [{"name": "other", "bind": f"{GATE}:{next(PORTS)}", "forward": "127.0.0.1:9"}]})
    gate.reload()
    assert gate.wait_access(reason="listener_gone")
    peer.close()
    assert gate.is_ready()


# ---- much at once, with real brokers


@pytest.fixture(scope="module")
def real(module_penstock, kafka):
    gate = start(module_penstock, kafka.bootstrap("PLAINTEXT"), ["1-3"])
    wait_until("all to be known", 20, lambda: gate.metrics()("penstock_brokers", cluster="k") == 3)
    return gate


def crc32c(data):
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def varint(n):
    """Zigzag, as in records."""
    return wire.varint(n << 1)


def batch(size):
    """One record of so many bytes, in a batch (v2); its first 16 bytes are the broker's to change."""
    value = bytes(range(256)) * (size // 256)
    record = b"\0\0\0\x01" + varint(len(value)) + value + b"\0"
    body = struct.pack(">hiqqqhii", 0, 0, 1, 1, -1, -1, -1, 1) + varint(len(record)) + record
    rest = struct.pack(">ibI", -1, 2, crc32c(body)) + body
    return struct.pack(">qi", 0, len(rest)) + rest


class Topic:
    """One partition, led by `leader`, which alone has it."""

    def __init__(self, gate, name, leader=1):
        self.gate, self.name, self.leader = gate, name, leader
        placed = struct.pack(">iii", 1, 0, 1) + struct.pack(">i", leader)
        config = struct.pack(">i", 1) + text("segment.bytes") + text(str(1 << 28))
        topics = struct.pack(">i", 1) + text(name) + struct.pack(">ih", -1, -1) + placed + config
        controller = self.ask(0, request(CREATE_TOPICS, 4, 1, topics + struct.pack(">i?", 20000, False)))
        assert controller.endswith(struct.pack(">hh", 0, -1)), controller
        wait_until(f"{name} to be led", 20, self.is_led)

    def ask(self, node, question):
        peer = dial(self.gate, node, 30)
        peer.send(question)
        frame = read_frame(peer)
        peer.close()
        return frame

    def is_led(self, node=None):
        """By Metadata v12, of a node other than the leader if asked for; keeps the topic's id."""
        frame = self.ask(node or self.leader, request(METADATA, 12, 2, b"\x02" + bytes(16) + compact(self.name) + b"\0\0\0\0", True))
        at = frame.index(compact(self.name))
        self.id = frame[at + 1 + len(self.name) :][:16]
        # error of the topic; is_internal, one partition, its error, number, leader
        return frame[at - 2 : at] == b"\0\0" and frame[at + 17 + len(self.name) :][:12] == b"\0\x02" + struct.pack(">hii", 0, 0, self.leader)

    def produce(self, correlation, acks, records):
        partition = struct.pack(">iii", 1, 0, len(records)) + records
        return request(PRODUCE, 3, correlation, struct.pack(">hhii", -1, acks, 20000, 1) + text(self.name) + partition)

    def produce_v10(self, correlation, records):
        partition = b"\x02" + struct.pack(">i", 0) + wire.varint(len(records) + 1) + records + b"\0"
        return request(PRODUCE, 10, correlation, b"\0" + struct.pack(">hi", 1, 20000) + b"\x02" + compact(self.name) + partition + b"\0\0", True)

    def fetch_v16(self, correlation, most):
        partition = b"\x02" + struct.pack(">iiqiqi", 0, -1, 0, -1, -1, most) + b"\0"
        body = struct.pack(">iiibii", 500, most // 2, most, 0, 0, -1) + b"\x02" + self.id + partition + b"\0" + b"\x01\x01\0"
        return request(FETCH, 16, correlation, body, True)

    def end(self):
        """The offset of the next record."""
        frame = self.ask(self.leader, request(OFFSETS, 1, 3, struct.pack(">ii", -1, 1) + text(self.name) + struct.pack(">iiq", 1, 0, -1)))
        return struct.unpack(">q", frame[-8:])[0]


def call(gate, node, *questions):
    """A connection that has asked; to be closed."""
    peer = dial(gate, node, 60)
    sender = threading.Thread(target=lambda: peer.send(*questions))
    sender.start()
    return contextlib.closing(peer)


def test_a_fetch_of_100_mb(real, kafka, say):
    """In one response, of a version with addresses behind the records: whole, and not copied."""
    topic, one, count = Topic(real, "fetch-100-mb"), batch((1 << 20) - 1024), 104
    with call(real, 1, *(topic.produce(n, 1, one) for n in range(count))) as peer:
        for n in range(count):
            frame = read_frame(peer)
            assert number(frame) == n and struct.unpack_from(">h", frame, 8 + 4 + 2 + len(topic.name) + 4 + 4) == (0,), frame
    assert topic.end() == count
    before = real.metrics()
    with call(real, 1, topic.fetch_v16(7, 1 << 28)) as peer:
        frame = read_frame(peer)
    assert number(frame) == 7 and len(frame) > 100_000_000
    at = frame.index(one[16:])
    for n in range(count):
        assert frame[at - 16 + n * len(one) :][: len(one)][16:] == one[16:], n
    after = real.metrics()
    spliced = after("penstock_kafka_fetch_bytes_total", path="splice") - before("penstock_kafka_fetch_bytes_total", path="splice")
    assert spliced >= 0.95 * len(frame), f"{spliced} of {len(frame)}"
    say(f"a Fetch of {len(frame)} bytes in one response: {100 * spliced / len(frame):.2f} % spliced")


def test_leaders_that_are_elsewhere(real, kafka):
    """Whom the topic does not belong to says who leads it, and where (KIP-951): at penstock."""
    topic = Topic(real, "led-by-2", 2)
    wait_until("node 1 to have heard of it", 20, lambda: topic.is_led(1))
    for question in (topic.produce_v10(5, batch(256)), topic.fetch_v16(6, 1000)):
        frame = topic.ask(1, question)
        assert not any(secret in frame for secret in SECRETS), frame
        assert struct.pack(">i", 2) + compact(GATE) + struct.pack(">i", real.port + 2) in frame, frame


def test_produce_without_acknowledgement(real, kafka):
    """Thousands in a row have no answer; that to what comes behind them is the next."""
    topic, one, count = Topic(real, "acks-0", 3), batch(256), 5000
    with call(real, 3, b"".join(topic.produce(n, 0, one) for n in range(count)) + ask_metadata(4711)) as peer:
        frame = read_frame(peer)
        assert number(frame) == 4711 and not any(secret in frame for secret in SECRETS)
    assert topic.end() == count


BEAT = framed(struct.pack(">hhih", HEARTBEAT, 0, 0, -1) + text("g") + struct.pack(">i", -1) + text("m"))
ROW = 500  # requests; the last of them asks for what is rewritten


def row(first):
    beats = b"".join(BEAT[:8] + struct.pack(">i", n) + BEAT[12:] for n in range(first, first + ROW - 1))
    return beats + ask_metadata(first + ROW - 1)


def many_in_a_row(gate, count, node=0):
    """Sent as fast as they go; each is answered in its turn. How long it took."""
    begin = time.monotonic()
    with call(gate, node, *(row(first) for first in range(0, count, ROW))) as peer:
        for first in range(0, count, ROW):
            got = peer.read_exactly(10 * (ROW - 1))
            assert [n for size, n, _ in struct.iter_unpack(">iih", got) if size == 6] == list(range(first, first + ROW - 1))
            frame = read_frame(peer)
            assert number(frame) == first + ROW - 1 and GATE.encode() in frame and not any(secret in frame for secret in SECRETS)
    return time.monotonic() - begin


def test_requests_in_a_row(real, kafka, say):
    """Small ones, more of them than there may be without a response: the client waits as long as the broker takes."""
    count = 1_000_000 if os.environ.get("PENSTOCK_E2E_MATRIX") == "1" else 30_000
    took = many_in_a_row(real, count, 1)
    seen = real.metrics()
    assert seen("penstock_kafka_requests_total", api="Heartbeat") == seen("penstock_kafka_response_seconds_count", api="Heartbeat") == count - count // ROW
    assert seen("penstock_kafka_held_total") >= 1 and seen("penstock_kafka_in_flight") == 0
    say(f"{count} requests in a row on one connection, a real broker: {took:.1f} s")


def test_a_million_requests_in_a_row(penstock, fake, say):
    """A real broker takes a minute and a half for them (make kafka-matrix); one that only knows this row, a few seconds."""
    count = 1_000_000

    def answer(peer):
        for first in range(0, count, ROW):
            got = peer.read_exactly(len(BEAT) * (ROW - 1))
            ids = [n for n, in struct.iter_unpack(f">8xi{len(BEAT) - 12}x", got)]
            assert ids == list(range(first, first + ROW - 1))
            assert number(read_frame(peer)[4:]) == first + ROW - 1
            peer.send(b"".join(struct.pack(">iih", 6, n, 25) for n in ids) + metadata(first + ROW - 1, PLACES))
        peer.read_to_end()

    broker = fake(serve=answer, port=9092, seconds=30)
    gate = start(penstock, [broker.where], discovery={"refresh": "off"})
    took = many_in_a_row(gate, count)
    assert gate.metrics()("penstock_kafka_requests_total", api="Heartbeat") == count - count // ROW
    say(f"{count} requests in a row on one connection: {took:.1f} s")
