"""The first frame: CONNECT is passed on less its field 6, whatever its shape, and what follows it arrives in order."""
import random
import threading

import pytest
import settings
import wire
from fakes import echo
from wire import dial


@pytest.fixture(scope="module")
def pair(module_penstock, module_fake):
    """A broker that waits for instructions, and a penstock in front of it."""

    class Pair:
        broker = module_fake()
        gate = module_penstock.fixed(broker, log={"access": "all"})

    return Pair


def client(pair):
    return dial(settings.GATE_ADDRESS, pair.gate.port)


def test_data_connect_loses_field_6_only(pair):
    whole = wire.connect_fields(target=pair.broker.where, method="token", data=b"\x00secret\xff", more=[(99, "from the future")])
    for order in (whole, sorted(whole, key=lambda f: f[0] != 6), sorted(whole, key=lambda f: f[0] == 6)):
        peer = client(pair)
        peer.send(wire.frame(wire.CONNECT, order))
        broker, got = pair.broker.handshake()
        assert got.raw == wire.frame(wire.CONNECT, [f for f in order if f[0] != wire.TARGET])
        peer.expect(wire.CONNECTED)
        peer.close()
        broker.close()


def test_lookup_connect_is_untouched(pair):
    peer = client(pair)
    peer.send(wire.connect())
    broker, got = pair.broker.handshake()
    assert got.raw == wire.connect()
    assert peer.expect(wire.CONNECTED).raw == wire.connected()
    peer.close()
    assert broker.read_to_end() == (b"", False)  # only then: who finished first is what the reason says
    broker.close()
    assert pair.gate.wait_access(kind="lookup")["reason"] == "client_fin"


def test_empty_field_6_means_any_broker(pair):
    peer = client(pair)
    peer.send(wire.connect(target=""), b"opaque")
    broker, got = pair.broker.handshake()
    assert got[wire.TARGET] is None
    assert broker.read_exactly(6) == b"opaque"
    peer.close()
    broker.close()


def test_split_at_every_byte(pair):
    """CONNECT in two packets, cut at each place, with bytes that follow it in the second."""
    connect = wire.connect(target=pair.broker.where, method="token", data=b"x" * 20)
    plain = wire.frame(wire.CONNECT, [f for f in wire.connect_fields(method="token", data=b"x" * 20)])
    for cut in range(1, len(connect)):
        peer = client(pair)
        peer.send(connect[:cut])
        threading.Event().wait(0.004)
        peer.send(connect[cut:] + b"after")
        broker, got = pair.broker.handshake()
        assert got.raw == plain, f"cut at {cut}"
        assert broker.read_exactly(5) == b"after", f"cut at {cut}"
        peer.expect(wire.CONNECTED)
        peer.close()
        broker.close()


def test_byte_by_byte(pair):
    peer = client(pair)
    wire.drip(peer, wire.connect(target=pair.broker.where) + b"end", pause=0.002)
    broker, _ = pair.broker.handshake()
    assert broker.read_exactly(3) == b"end"
    peer.close()
    broker.close()


@pytest.mark.parametrize("size", [1, 3000, 60_000, 65_536, 200_000, 1_000_000])
def test_glued_bytes_arrive_in_order(pair, size):
    """Bytes in the same packets as CONNECT, and bytes sent before CONNECTED came."""
    data = random.Random(size).randbytes(size)
    peer = client(pair)
    sender = threading.Thread(target=peer.send, args=(wire.connect(target=pair.broker.where) + data,))
    sender.start()
    broker = pair.broker.next()
    broker.expect(wire.CONNECT)
    assert broker.read_exactly(size) == data
    broker.send(wire.connected() + data)  # and the same the other way round
    peer.expect(wire.CONNECTED)
    assert peer.read_exactly(size) == data
    sender.join()
    peer.close()
    broker.close()


def test_many_rounds_of_authentication(pair):
    """AUTH_CHALLENGE and AUTH_RESPONSE flow before CONNECTED, on data and lookup connections."""
    for target in (None, pair.broker.where):
        peer = client(pair)
        peer.send(wire.connect(target=target, method="sasl", data=b"round 0"))
        broker = pair.broker.next()
        broker.expect(wire.CONNECT)
        for number in (1, 2, 3):
            challenge = wire.frame(wire.AUTH_CHALLENGE, [(1, "b"), (2, wire.encode([(1, "sasl"), (2, b"challenge %d" % number)]))])
            response = wire.frame(wire.AUTH_RESPONSE, [(1, "c"), (2, wire.encode([(1, "sasl"), (2, b"response %d" % number)]))])
            broker.send(challenge)
            assert peer.read_frame().raw == challenge
            peer.send(response)
            assert broker.read_frame().raw == response
        broker.send(wire.connected())
        peer.expect(wire.CONNECTED)
        peer.close()
        broker.close()


def test_the_brokers_refusal_is_the_brokers_own(pair):
    refusal = wire.frame(wire.ERROR, [(1, wire.CONNECTION_LEVEL), (2, wire.AUTHENTICATION_ERROR), (3, "I do not know you"), (77, "new")])
    for target in (None, pair.broker.where):
        peer = client(pair)
        peer.send(wire.connect(target=target, method="token", data=b"bad"))
        broker = pair.broker.next()
        broker.expect(wire.CONNECT)
        broker.send(refusal)
        broker.close()
        data, was_reset = peer.read_to_end()
        assert data == refusal and not was_reset


def test_borrowed_identity_is_refused(pair):
    """original_principal, original_auth_data, proxy_version from outside: only proxies may say these."""
    for field in ((7, "admin"), (8, "token"), (9, "token"), (11, "4.0.8")):
        peer = client(pair)
        peer.send(wire.connect(target=pair.broker.where, more=[field]))
        error = peer.expect(wire.ERROR)
        assert error[1] == wire.CONNECTION_LEVEL and error[2] == wire.NOT_ALLOWED
        assert peer.read_to_end()[0] == b""
    assert pair.gate.wait_access(reason="spoofed_original")
    assert pair.broker.none_waiting()


def test_a_stream_is_spliced_and_counted(penstock, fake):
    """8 MiB there and back: every byte in place, every byte counted, most of them spliced."""
    broker = fake(echo)
    gate = penstock.fixed(broker)
    data = random.Random(8).randbytes(8 << 20)
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect(target=broker.where))
    peer.expect(wire.CONNECTED)
    sender = threading.Thread(target=peer.send, args=(data,))
    sender.start()
    assert peer.read_exactly(len(data)) == data
    sender.join()
    peer.close()
    row = gate.wait_access(reason="client_fin")
    after = gate.metrics()
    connect_bytes = len(wire.connect())
    for way, extra in (("to_broker", connect_bytes), ("to_client", len(wire.connected()))):
        moved = after("penstock_bytes_total", dir=way)
        assert moved == len(data) + extra, f"{way}: counted {moved}"
        assert int(row[f"bytes_{way}"]) == len(data) + extra, row
        spliced = after("penstock_bytes_total", dir=way, path="splice")
        assert spliced >= 0.9 * len(data), f"{way}: only {spliced} of {len(data)} bytes were spliced"


def test_neighbours_do_not_notice(penstock, fake):
    """100 connections at once, each with its own bytes."""
    broker = fake(echo)
    gate = penstock.fixed(broker)
    peers = [dial(settings.GATE_ADDRESS, gate.port) for _ in range(100)]
    for number, peer in enumerate(peers):
        peer.send(wire.connect(target=broker.where), f"hello {number:03}".encode())
    for number, peer in enumerate(peers):
        peer.expect(wire.CONNECTED)
        assert peer.read_exactly(9) == f"hello {number:03}".encode()
    assert gate.metrics()("penstock_connections_active") == 100
    for peer in peers:
        peer.close()
