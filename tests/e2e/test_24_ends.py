"""How connections end, and how they slow down: FIN is FIN, RST is RST, a full sink stops its source. On bare TCP and on Pulsar data."""
import fcntl
import hashlib
import random
import socket
import termios
import threading
import time

import pytest
import settings
import wire
from processes import wait_until
from wire import dial


@pytest.fixture(params=["forward", "pulsar"])
def link(request, penstock, fake):
    """A maker of (client, broker) pairs joined by penstock."""
    broker = fake(seconds=20)
    if request.param == "forward":
        gate = penstock.forward(broker, timeouts={"half_close": "4s"})
    else:
        gate = penstock.fixed(broker, timeouts={"half_close": "4s"})

    def make(seconds=20):
        peer = dial(settings.GATE_ADDRESS, gate.port, seconds)
        if request.param == "forward":
            return peer, broker.next()
        peer.send(wire.connect(target=broker.where))
        connection, _ = broker.handshake()
        peer.expect(wire.CONNECTED)
        return peer, connection

    make.gate = gate
    return make


def swap(ends, to_broker):
    return ends if to_broker else ends[::-1]


BOTH_WAYS = pytest.mark.parametrize("to_broker", [True, False], ids=["client-first", "broker-first"])


@BOTH_WAYS
@pytest.mark.parametrize("size", [1, 200_000, 4 << 20])
def test_half_close_keeps_the_other_lane(link, to_broker, size):
    """One side finishes; all its bytes and then the FIN arrive; the other side goes on for as long as it likes to."""
    source, sink = swap(link(), to_broker)
    data = random.Random(size).randbytes(size)

    def speak():
        source.send(data)
        source.half_close()

    threading.Thread(target=speak).start()
    assert sink.read_to_end() == (data, False)
    sink.send(data[::-1])
    assert source.read_exactly(size) == data[::-1]
    sink.close()
    assert source.read_to_end() == (b"", False)
    reason = link.gate.wait_access()["reason"]
    assert reason == ("client_fin" if to_broker else "broker_fin")


def test_half_close_of_an_idle_connection(link):
    """Nobody has said a word for longer than a connection may stay half closed: that time begins with the FIN."""
    pairs = [swap(link(), to_broker) for to_broker in (True, False)]
    time.sleep(4.2)
    for source, _ in pairs:
        source.half_close()
    time.sleep(0.2)
    for source, sink in pairs:
        assert sink.read_to_end() == (b"", False)
        sink.send(b"late")
        sink.close()
        assert source.read_to_end() == (b"late", False)
    link.gate.wait_access(reason="client_fin")
    link.gate.wait_access(reason="broker_fin")


@BOTH_WAYS
def test_half_close_does_not_last_for_ever(link, to_broker):
    source, sink = swap(link(), to_broker)
    source.half_close()
    assert sink.read_to_end() == (b"", False)
    began = time.monotonic()
    source.read_to_end()
    assert 1 < time.monotonic() - began < 15
    assert link.gate.wait_access()["reason"] == "half_close_timeout"


@BOTH_WAYS
def test_reset_is_passed_on(link, to_broker):
    source, sink = swap(link(), to_broker)
    source.send(b"last words")
    assert sink.read_exactly(10) == b"last words"
    source.reset()
    assert sink.read_to_end() == (b"", True), "a reset must not look like a clean end"
    assert link.gate.wait_access()["reason"] == ("client_rst" if to_broker else "broker_rst")


@BOTH_WAYS
def test_reset_does_not_overtake_what_was_sent(link, to_broker):
    """Bytes already on their way when the RST comes still arrive, as far as they had reached penstock."""
    source, sink = swap(link(), to_broker)
    source.send(b"x" * 100_000)
    wait_until("all of it to be at penstock", 10, lambda: fcntl.ioctl(source.sock, termios.TIOCOUTQ, bytes(4)) == bytes(4))
    time.sleep(0.3)
    source.reset()
    got, was_reset = b"", False
    try:
        while True:
            got += sink.read()
    except wire.Closed as end:
        was_reset = end.reset
    assert was_reset and got == b"x" * 100_000


@BOTH_WAYS
def test_reset_in_the_middle_of_a_stream(link, to_broker):
    """No spin, no leak, no clean end; what arrives is a prefix of what was sent."""
    source, sink = swap(link(), to_broker)
    data = random.Random(1).randbytes(1 << 20)
    stop = threading.Event()

    def speak():
        try:
            while not stop.is_set():
                source.send(data)
        except (wire.Closed, OSError):
            pass

    speaker = threading.Thread(target=speak)
    speaker.start()
    got = sink.read_exactly(3 << 20)
    assert got == data * 3
    stop.set()
    sink.reset()  # the reader goes away
    speaker.join()
    with pytest.raises((wire.Closed, OSError)):
        while True:
            source.send(b"more")
            time.sleep(0.01)
    assert link.gate.wait_access()["reason"] in ("client_rst", "broker_rst")


@BOTH_WAYS
def test_slow_reader(link, to_broker):
    """A reader that stops holds the sender back; memory stays; others keep their pace; then every byte arrives."""
    source, sink = swap(link(), to_broker)
    other, other_end = link()
    rss = link.gate.metrics()("process_resident_memory_bytes")
    total, block = 96 << 20, random.Random(2).randbytes(1 << 20)
    sent = 0
    done = threading.Event()

    def speak():
        nonlocal sent
        source.sock.settimeout(30)
        for _ in range(total // len(block)):
            source.sock.sendall(block)
            sent += len(block)
        source.half_close()
        done.set()

    threading.Thread(target=speak).start()
    last, deadline = -1, time.monotonic() + 10
    while last != sent or sent == 0:  # until the sender stands still
        last = sent
        assert time.monotonic() < deadline
        time.sleep(0.4)
    assert not done.is_set(), "96 MiB went somewhere although nobody reads"
    metrics = link.gate.metrics()
    assert metrics("process_resident_memory_bytes") - rss < 4 << 20
    assert metrics("penstock_buffers_in_use") <= 8 and metrics("penstock_pipes_in_use") <= 4
    times = []
    for _ in range(50):  # an other connection is not held up
        began = time.monotonic()
        other.send(b"ping")
        other_end.read_exactly(4)
        other_end.send(b"pong")
        other.read_exactly(4)
        times.append(time.monotonic() - began)
    assert sorted(times)[25] < 0.5, times
    want, got = hashlib.sha256(), hashlib.sha256()
    for _ in range(total // len(block)):
        want.update(block)
    count = 0
    while True:
        try:
            chunk = sink.read(1 << 20)
        except wire.Closed as end:
            assert not end.reset
            break
        count += len(chunk)
        got.update(chunk)
    assert count == total and got.digest() == want.digest()


def test_both_directions_at_once(link):
    """16 connections, each 4 MiB both ways at the same time, sizes mixed."""
    failures = []

    def one(seed):
        rng = random.Random(seed)
        client, broker = ends[seed]
        data = {client: rng.randbytes(4 << 20), broker: rng.randbytes(4 << 20)}

        def speak(peer):
            rest = memoryview(data[peer])
            while rest:
                n = rng.choice([1, 100, 1000, 20_000, 300_000])
                peer.sock.sendall(rest[:n])
                rest = rest[n:]
            peer.half_close()

        def listen(peer, want):
            got = hashlib.sha256()
            count = 0
            try:
                while True:
                    chunk = peer.read(1 << 18)
                    count += len(chunk)
                    got.update(chunk)
            except wire.Closed as end:
                if end.reset or count != len(want) or got.digest() != hashlib.sha256(want).digest():
                    failures.append((seed, count, end.reset))
            except OSError as error:
                failures.append((seed, count, error))

        threads = [threading.Thread(target=speak, args=(p,)) for p in (client, broker)]
        threads += [threading.Thread(target=listen, args=(client, data[broker])), threading.Thread(target=listen, args=(broker, data[client]))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    ends = [link() for _ in range(16)]
    runners = [threading.Thread(target=one, args=(seed,)) for seed in range(16)]
    for t in runners:
        t.start()
    for t in runners:
        t.join()
    assert not failures


def test_idle_timeout(penstock, fake):
    broker = fake()
    gate = penstock.forward(broker, timeouts={"idle": "3s"})
    peer = dial(settings.GATE_ADDRESS, gate.port)
    connection = broker.next()
    for _ in range(4):  # traffic keeps it
        time.sleep(1)
        peer.send(b"x")
        connection.read_exactly(1)
    began = time.monotonic()
    peer.read_to_end()
    assert 2 < time.monotonic() - began < 15
    assert gate.wait_access()["reason"] == "idle"


def test_splice_off_is_copied(penstock, fake):
    broker = fake(serve=lambda peer: [peer.send(peer.read()) for _ in range(10**9)])
    gate = penstock.forward(broker, listener={"splice": "off"})
    data = random.Random(3).randbytes(4 << 20)
    peer = dial(settings.GATE_ADDRESS, gate.port)
    threading.Thread(target=peer.send, args=(data,)).start()
    assert peer.read_exactly(len(data)) == data
    peer.close()
    gate.wait_access()
    metrics = gate.metrics()
    assert metrics("penstock_bytes_total", path="splice") == 0
    assert metrics("penstock_bytes_total", path="copy") == 2 * len(data)


def test_forward_to_a_dead_address(penstock, fake):
    broker = fake()
    broker.close()
    gate = penstock.forward(broker)
    try:
        peer = dial(settings.GATE_ADDRESS, gate.port)
        peer.read_to_end()
    except (ConnectionResetError, socket.timeout):
        pass
    assert gate.wait_access()["reason"] == "connect_refused"
