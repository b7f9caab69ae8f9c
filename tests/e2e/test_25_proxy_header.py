"""The PROXY protocol: taken from a trusted load balancer in front, given to the broker behind. Byte for byte, against a fake broker."""
import socket
import struct

import pytest
import settings
import wire
from wire import dial

V2 = b"\r\n\r\n\x00\r\nQUIT\n"
SOURCE, WHERE = "192.0.2.7", "198.51.100.1"


def v1(source=SOURCE, port=4321):
    return f"PROXY TCP4 {source} {WHERE} {port} 6650\r\n".encode()


def v2(source=SOURCE, port=4321, command=1, tlv=b""):
    body = socket.inet_aton(source) + socket.inet_aton(WHERE) + struct.pack(">HH", port, 6650) + tlv
    return V2 + bytes([0x20 | command, 0x11]) + struct.pack(">H", len(body)) + body


def v2_six(source="2001:db8::7", port=4321):
    body = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + struct.pack(">HH", port, 6650)
    return V2 + b"\x21\x21" + struct.pack(">H", len(body)) + body


def trusting(mode, networks=("10.77.0.0/24",)):
    return {"proxy_protocol": {"mode": mode, "trusted": list(networks)}}


TAKEN = [
    ("v1", v1(), f"{SOURCE}:4321"),
    ("v1 UNKNOWN", b"PROXY UNKNOWN\r\n", None),
    ("v1 TCP6", b"PROXY TCP6 2001:db8::7 2001:db8::1 4321 6650\r\n", "[2001:db8::7]:4321"),
    ("v2", v2(), f"{SOURCE}:4321"),
    ("v2 with extras", v2(tlv=b"\x04" + struct.pack(">H", 300) + b"n" * 300), f"{SOURCE}:4321"),
    ("v2 LOCAL", v2(command=0), None),
    ("v2 IPv6", v2_six(), "[2001:db8::7]:4321"),
]
CANNOT = [
    ("v1 without end", b"PROXY TCP4 " + b"1" * 200),
    ("v1 with a bad address", b"PROXY TCP4 300.1.1.1 10.0.0.1 1 2\r\n"),
    ("v1 with a bad port", b"PROXY TCP4 192.0.2.7 10.0.0.1 70000 2\r\n"),
    ("v2 of version 3", V2 + b"\x31\x11\x00\x0c" + bytes(12)),
    ("v2 too short for its family", V2 + b"\x21\x11\x00\x04" + bytes(4)),
    ("v2 with an unknown command", V2 + b"\x2f\x11\x00\x0c" + bytes(12)),
]


@pytest.fixture(scope="module")
def optional(module_penstock, module_fake):
    class Pair:
        broker = module_fake()
        gate = module_penstock.fixed(broker, listener=trusting("optional"), timeouts={"hello": "30s"})

    return Pair


def passes(pair, data, pieces=1):
    """The header and CONNECT get through; gives the access line."""
    peer = dial(settings.GATE_ADDRESS, pair.gate.port)
    host, port = peer.sock.getsockname()
    data += wire.connect(target=pair.broker.where) + b"end"
    if pieces == 1:
        peer.send(data)
    else:
        wire.drip(peer, data, 0.001)
    broker, _ = pair.broker.handshake()
    assert broker.read_exactly(3) == b"end"
    peer.expect(wire.CONNECTED)
    peer.close()
    broker.close()
    return f"{host}:{port}"


@pytest.mark.parametrize("name,header,client", TAKEN, ids=[c[0] for c in TAKEN])
def test_taken(optional, name, header, client):
    for pieces in (1, 0):
        own = passes(optional, header, pieces)
        assert optional.gate.wait_access(client=client or own)


def test_optional_means_optional(optional):
    own = passes(optional, b"")
    assert optional.gate.wait_access(client=own)


@pytest.mark.parametrize("name,header", CANNOT, ids=[c[0] for c in CANNOT])
def test_malformed(optional, name, header):
    peer = dial(settings.GATE_ADDRESS, optional.gate.port)
    host, port = peer.sock.getsockname()
    peer.send(header)
    peer.read_to_end()
    assert optional.gate.wait_access(client=f"{host}:{port}")["reason"] == "proxy_malformed"
    assert optional.broker.none_waiting()


def test_required(penstock, fake):
    class Pair:
        broker = fake()
        gate = penstock.fixed(broker, listener=trusting("required"))

    passes(Pair, v2())
    peer = dial(settings.GATE_ADDRESS, Pair.gate.port)
    peer.send(wire.connect(target=Pair.broker.where))
    peer.read_to_end()
    assert Pair.gate.wait_access(reason="proxy_missing")
    assert Pair.broker.none_waiting()


def test_not_trusted(penstock, fake):
    broker = fake()
    for mode in ("optional", "required"):
        gate = penstock.fixed(broker, listener=trusting(mode, ["192.0.2.0/24"]))
        peer = dial(settings.GATE_ADDRESS, gate.port)
        peer.send(v2() + wire.connect(target=broker.where))
        peer.read_to_end()
        assert gate.wait_access(reason="proxy_untrusted")
        assert broker.none_waiting()


def test_off_takes_it_for_nonsense(penstock, fake):
    broker = fake()
    gate = penstock.fixed(broker)
    for header in (v1(), v2()):
        peer = dial(settings.GATE_ADDRESS, gate.port)
        peer.send(header + wire.connect(target=broker.where))
        peer.read_to_end()
    assert broker.none_waiting()


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("kind", ["data", "lookup", "hop", "forward"])
def test_given_to_the_broker(penstock, fake, version, kind):
    """As the first bytes of every connection to a broker: the client's address and port."""
    broker, second = fake(), fake()
    if kind == "forward":
        gate = penstock.forward(broker, listener={"send_proxy_protocol": version})
    else:
        gate = penstock.fixed(broker, cluster={"send_proxy_protocol": version})
    peer = dial(settings.GATE_ADDRESS, gate.port)
    address, port = peer.sock.getsockname()
    if version == "v1":
        want = f"PROXY TCP4 {address} {settings.GATE_ADDRESS} {port} {gate.port}\r\n".encode()
    else:
        body = socket.inet_aton(address) + socket.inet_aton(settings.GATE_ADDRESS) + struct.pack(">HH", port, gate.port)
        want = V2 + b"\x21\x11\x00\x0c" + body
    if kind == "forward":
        peer.send(b"hi")
        assert broker.next().read_exactly(len(want) + 2) == want + b"hi"
        return
    peer.send(wire.connect(target=broker.where if kind == "data" else None))
    connection = broker.next()
    assert connection.read_exactly(len(want)) == want
    connection.expect(wire.CONNECT)
    connection.send(wire.connected())
    peer.expect(wire.CONNECTED)
    if kind == "hop":
        peer.send(wire.lookup("t", 1))
        connection.expect(wire.LOOKUP)
        connection.send(wire.lookup_answer(1, second.url, kind=wire.REDIRECT))
        hop = second.next()
        assert hop.read_exactly(len(want)) == want
        hop.expect(wire.CONNECT)
        hop.send(wire.connected())
        hop.expect(wire.LOOKUP)
        hop.send(wire.lookup_answer(1, second.url))
        peer.expect(wire.LOOKUP_RESPONSE)


def test_from_front_to_back(penstock, fake):
    """What the load balancer said about the client is what the broker hears, also when the family differs."""
    broker = fake()
    gate = penstock.fixed(broker, cluster={"send_proxy_protocol": "v2"}, listener=trusting("required"))
    for header, family, length in ((v2(), 0x11, 12), (v2_six(), 0x21, 36), (v1(), 0x11, 12)):
        peer = dial(settings.GATE_ADDRESS, gate.port)
        peer.send(header + wire.connect(target=broker.where))
        connection = broker.next()
        assert connection.read_exactly(16) == V2 + bytes([0x21, family]) + struct.pack(">H", length)
        address = connection.read_exactly(length)
        if family == 0x11:
            assert address[:4] == socket.inet_aton(SOURCE) and address[8:10] == struct.pack(">H", 4321)
        else:
            assert address[:16] == socket.inet_pton(socket.AF_INET6, "2001:db8::7")
        connection.expect(wire.CONNECT)
        peer.close()
        connection.close()


def test_limits_count_the_announced_address(penstock, fake):
    broker = fake(lambda peer: (peer.expect(wire.CONNECT), peer.send(wire.connected()), peer.read()))
    gate = penstock.fixed(broker, listener=trusting("required"), limits={"per_ip": 2})

    def one(source):
        peer = dial(settings.GATE_ADDRESS, gate.port)
        peer.send(v2(source) + wire.connect(target=broker.where))
        return peer, peer.read_frame()

    held = [one("192.0.2.1"), one("192.0.2.1"), one("192.0.2.2"), one("192.0.2.2")]
    assert all(got.kind == wire.CONNECTED for _, got in held)
    refused, got = one("192.0.2.1")
    assert got.kind == wire.ERROR and got[2] == wire.NOT_ALLOWED
    assert gate.wait_access(reason="conn_limit_ip")
    for peer, _ in [*held, (refused, None)]:
        peer.close()
