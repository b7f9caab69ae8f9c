"""Bad input: a named reason in the access log, an ERROR where the client can read one, and neighbours who do not notice."""
import struct
import time

import pytest
import settings
import wire
from fakes import echo, lookups
from processes import wait_until
from wire import dial

TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(194)
KAFKA_API_VERSIONS = struct.pack(">ihhih", 4 + 2 + 2 + 2 + 4 + 3, 18, 3, 1, 4) + b"test\x00" + b"\x05kcat\x022\x00"

# name, bytes, reasons any of which is right, does the client get a Pulsar ERROR
CASES = [
    ("longer than the limit", struct.pack(">II", 6_000_000, 10), ["frame_too_big"], True),
    ("2 GiB", struct.pack(">II", 2**31 - 1, 10), ["frame_too_big"], True),
    ("4 GiB", struct.pack(">II", 2**32 - 1, 10), ["frame_too_big"], True),
    ("first frame of 80 kB", wire.connect(data=b"x" * 80_000), ["frame_too_big"], True),
    ("zero length", struct.pack(">I", 0), ["frame_zero"], True),
    ("no room for a command", struct.pack(">I", 3) + b"abc", ["frame_zero", "frame_malformed"], True),
    ("empty command", struct.pack(">II", 4, 0), ["frame_zero", "frame_malformed", "frame_unexpected"], True),
    ("command longer than the frame", struct.pack(">II", 10, 200) + b"\x08\x02" + bytes(8), ["frame_malformed"], True),
    ("truncated varint", struct.pack(">II", 7, 3) + b"\x08\x82\x80", ["frame_malformed"], True),
    ("varint of eleven bytes", struct.pack(">II", 16, 12) + b"\x08" + b"\xff" * 11, ["frame_malformed"], True),
    ("wrong wire type", struct.pack(">II", 9, 5) + b"\x0d\x02\x00\x00\x00", ["frame_malformed"], True),
    ("body longer than the command", struct.pack(">II", 9, 5) + b"\x08\x02\x12\x7f\x0a", ["frame_malformed"], True),
    ("field 6 as a number", wire.frame(wire.CONNECT, [(1, "x"), (6, 7)]), ["frame_malformed"], True),
    ("no CONNECT body", struct.pack(">II", 6, 2) + b"\x08\x02", ["frame_malformed"], True),
    ("unknown command", wire.frame(250, [(1, 1)]), ["frame_unexpected"], True),
    ("PING first", wire.frame(wire.PING, []), ["frame_unexpected"], True),
    ("LOOKUP first", wire.lookup("t", 1), ["frame_unexpected"], True),
    ("HTTP GET", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", ["not_pulsar_http"], False),
    ("HTTP POST", b"POST /x HTTP/1.1\r\nHost: x\r\n\r\n", ["not_pulsar_http"], False),
    ("TLS", TLS_HELLO, ["not_pulsar_tls"], False),
    ("Kafka", KAFKA_API_VERSIONS, ["not_pulsar_kafka"], False),
    ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n", ["not_pulsar_ssh"], False),
]


@pytest.fixture(scope="module")
def pair(module_penstock, module_fake):
    class Pair:
        broker = module_fake(echo, seconds=60)
        gate = module_penstock.fixed(broker, timeouts={"hello": "3s", "frame": "1s"})

    return Pair


def connect(pair):
    """A connection that knows how many before it had its port."""
    peer = dial(settings.GATE_ADDRESS, pair.gate.port)
    host, port = peer.sock.getsockname()
    peer.where = f"{host}:{port}"
    peer.earlier = len(pair.gate.access(client=peer.where))
    return peer


def own_row(pair, peer):
    """The access line of this very connection. It is written when both have closed."""
    peer.close()
    return wait_until(f"the access line of {peer.where}", 5, lambda: pair.gate.access(client=peer.where)[peer.earlier:], step=0.03)[0]


@pytest.fixture
def neighbour(pair):
    """A connection that works before and after."""
    peer = dial(settings.GATE_ADDRESS, pair.gate.port)
    peer.send(wire.connect(target=pair.broker.where), b"before")
    peer.expect(wire.CONNECTED)
    assert peer.read_exactly(6) == b"before"
    yield
    peer.send(b"after")
    assert peer.read_exactly(5) == b"after"
    peer.close()


@pytest.mark.parametrize("name,data,reasons,answered", CASES, ids=[c[0] for c in CASES])
def test_first_bytes(pair, neighbour, name, data, reasons, answered):
    peer = connect(pair)
    peer.send(data)
    answer, _ = peer.read_to_end()
    row = own_row(pair, peer)
    assert row["reason"] in reasons, row
    if answered:
        assert answer, "closed without an ERROR"
        error = wire.Frame(answer)
        assert error.kind == wire.ERROR and error[1] == wire.CONNECTION_LEVEL and error.text(3)
    wait_until("it to be counted", 10, lambda: pair.gate.metrics()("penstock_disconnects_total", reason=row["reason"]) >= 1)


def test_the_same_split(pair, neighbour):
    """Bad bytes are as bad one at a time."""
    for name, data, reasons, _ in CASES:
        if len(data) > 100:
            continue
        peer = connect(pair)
        try:
            wire.drip(peer, data, pause=0.001)
        except (wire.Closed, OSError):
            pass  # closed before the last byte: fine
        peer.read_to_end()
        # a frame whose head is cut off may meet the hello time-out instead
        assert own_row(pair, peer)["reason"] in reasons, name


def test_silent_client(pair, neighbour):
    began = time.monotonic()
    peer = connect(pair)
    peer.read_to_end()
    assert 2.8 < time.monotonic() - began < 12
    assert own_row(pair, peer)["reason"] == "hello_timeout"


def test_dribbling_client(pair, neighbour):
    """One byte now and then does not extend timeouts.hello."""
    peer = connect(pair)
    began = time.monotonic()
    try:
        wire.drip(peer, wire.connect(target="x" * 1000), pause=0.05)
    except (wire.Closed, OSError):
        pass
    assert time.monotonic() - began < 20
    assert own_row(pair, peer)["reason"] == "hello_timeout"


def test_gone_before_connect_is_whole(pair, neighbour):
    peer = dial(settings.GATE_ADDRESS, pair.gate.port)
    peer.send(wire.connect(target=pair.broker.where)[:11])
    row = peer.sock.getsockname()
    peer.close()
    assert pair.gate.wait_access(client=f"{row[0]}:{row[1]}")["reason"] == "client_gone"


LATER = [
    ("zero frame from the client", struct.pack(">I", 0), ["frame_zero"]),
    ("huge frame from the client", struct.pack(">II", 2**31, 5), ["frame_too_big"]),
    ("command longer than the frame", struct.pack(">II", 10, 200) + b"\x08\x17" + bytes(8), ["frame_malformed"]),
    ("half a frame, then nothing", wire.lookup("t", 1)[:9], ["frame_timeout"]),
]


@pytest.mark.parametrize("name,data,reasons", LATER, ids=[c[0] for c in LATER])
def test_later_frames_of_a_lookup_connection(pair, neighbour, name, data, reasons):
    peer = connect(pair)
    peer.send(wire.connect())
    peer.expect(wire.CONNECTED)
    peer.send(data)
    peer.read_to_end()
    assert own_row(pair, peer)["reason"] in reasons


def test_half_a_lookup_behind_a_whole_one(penstock, fake):
    """The answer to the one is not the rest of the other."""
    broker = fake(serve=lookups(lambda got: wire.lookup_answer(got[2], broker.url)))
    gate = penstock.fixed(broker, timeouts={"frame": "1s"})
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect())
    peer.expect(wire.CONNECTED)
    began = time.monotonic()
    peer.send(wire.lookup("persistent://public/default/t", 1) + wire.lookup("persistent://public/default/t", 2)[:9])
    assert peer.expect(wire.LOOKUP_RESPONSE)[4] == 1
    peer.read_to_end()
    assert 0.9 < time.monotonic() - began < 4
    peer.close()
    assert gate.wait_access(kind="lookup")["reason"] == "frame_timeout"


def test_a_broker_that_talks_nonsense(penstock, fake):
    broker = fake()
    gate = penstock.fixed(broker)
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect())
    connection, _ = broker.handshake()
    peer.expect(wire.CONNECTED)
    connection.send(struct.pack(">I", 0) + b"garbage")
    peer.read_to_end()
    assert gate.wait_access(kind="lookup")["reason"] == "broker_frame_malformed"
