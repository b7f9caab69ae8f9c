"""Records that are no data, or are not what they seem, where the kernel opens them: none may be lost, and none may be taken for data."""
import contextlib
import struct

import kernel
import pytest
import wire
from conftest import at_rest
from openssl import VERSIONS, Engine, TlsError
from rig import NAME, NO_TICKETS, assert_calm, bulk, frame_at, lookup_connection, sealer, sides, some_bytes

ALERT, HANDSHAKE, DATA = 21, 22, 23
CLOSE_NOTIFY, USER_CANCELED = b"\x01\x00", b"\x01\x5a"
WAYS = ["tls-plain", "plain-tls"]


@pytest.fixture(scope="module")
def module_rig(rigs):
    kernel.load(*kernel.TLS, *kernel.AES_GCM, *kernel.CHACHA20)
    return rigs(["", "-auto", "-keep", "-off"])


@pytest.fixture
def rig(module_rig):
    yield module_rig
    at_rest(module_rig)


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


# ---- which records are the kernel's


@pytest.mark.parametrize("way", ["tls-plain-keep", "plain-tls-keep"])
def test_keep_is_of_tls13_only(rig, way):
    count = rig.count()
    sides(rig, way, "1.2")
    count.ktls(send=1, recv=1)


@pytest.mark.parametrize("way", ["tls-plain-off", "plain-tls-off"])
def test_off(rig, way, version):
    count = rig.count()
    inside, outside, _, _ = sides(rig, way, version)
    bulk(rig, (inside, outside, 1234567), (outside, inside, 765432))
    count.ktls(off=2)
    seen = count()
    assert seen["up_spliced"] == seen["down_spliced"] == 0, seen


# ---- at the switch from the library to the kernel


@pytest.mark.parametrize("size", [1, 5000, 60000])
def test_data_in_one_flight_with_finished(rig, size):
    """The client's first records stand in the socket, behind its Finished, when the library is done: they are the kernel's."""
    data = some_bytes(size)
    near, far = rig.connect("tls-plain", "1.3", "AES-128-GCM", first=data)
    rig.world.run(lambda: far.got >= size, "the first flight")
    assert far.taken() == data
    bulk(rig, (near, far, 300001), (far, near, 300001))


@pytest.mark.parametrize("size", [1, 60000])
def test_data_in_one_flight_with_finished_resumed(rig, version, size):
    """With a session a client ends the handshake of TLS 1.2 as well."""
    near, far = rig.connect("tls-plain", version, "AES-128-GCM")
    bulk(rig, (far, near, 1000))
    session = near.engine.session()
    data = some_bytes(size)
    near, far = rig.connect("tls-plain", version, "AES-128-GCM", session=session, first=data)
    assert near.engine.is_resumed()
    rig.world.run(lambda: far.got >= size, "the first flight")
    assert far.taken() == data
    bulk(rig, (near, far, 300001), (far, near, 300001))


def all_at_once(rig, way, data):
    """A client whose last message of the handshake, data, close_notify and FIN are there together when penstock looks."""
    near = rig.held(way)
    near.send(data)
    near.finish()
    rig.gate.process.freeze()
    near.is_held = False
    rig.world.run(near.has_arrived, "its arrival")
    rig.gate.process.thaw()
    return near


@pytest.mark.parametrize("size", [1, 60000])
def test_fin_in_one_flight_with_finished(rig, size):
    """Too late for the kernel, which takes no connection whose peer has ended: penstock opens and seals by itself."""
    data, count = some_bytes(size), rig.count()
    near = all_at_once(rig, "tls-plain-auto", data)
    far = rig.world.accepted(rig.target)
    rig.world.run(lambda: far.end, "the end")
    assert (far.taken(), far.end) == (data, "fin")
    bulk(rig, (far, near, 300001))
    far.finish()
    rig.world.run(lambda: near.end, "the other end")
    assert near.end == "close_notify"
    count.ktls(finished=2)


def test_fin_in_one_flight_with_finished_where_the_kernel_must(rig):
    near = all_at_once(rig, "tls-plain", b"data")
    rig.world.run(lambda: near.end, "the refusal")
    assert near.end == ("alert", 80)
    assert rig.ended(near)["reason"] == "client_tls_ktls"


@pytest.mark.parametrize("tickets", [0, 2, 5])
def test_data_in_one_flight_with_tickets(rig, version, tickets):
    """A broker's tickets, and data behind them, in one piece: the tickets are understood, the data is delivered."""
    data = some_bytes(50001)
    more = {"server": {"tickets": tickets}, "far_first": data}
    for number in range(2):
        near, far = rig.connect("plain-tls", version, "AES-128-GCM", **more)  # which looks at it
        bulk(rig, (near, far, 300001), (far, near, 300001))
        if number == 1:
            assert far.engine.is_resumed() == (version == "1.2" or tickets > 0)


def test_client_resumes(rig, version):
    """penstock's own tickets are sent before the kernel has the key, and count in its numbers."""
    near, far = rig.connect("tls-plain", version, "AES-128-GCM")
    for resumed in (False, True, True):
        assert near.engine.is_resumed() == resumed
        bulk(rig, (far, near, 100001), (near, far, 100001))
        session = near.engine.session()
        near.finish()
        rig.world.run(lambda: far.end, "the end")
        near, far = rig.connect("tls-plain", version, "AES-128-GCM", session=session)


def trickle(rig, end, data, each=1):
    for at in range(0, len(data), each):
        end.send_wire(data[at : at + each])
        rig.world.run(lambda: not end.pending, "a byte's departure")


def test_shaken_in_single_bytes(rig, version):
    """A handshake, and the first record behind it, that come byte by byte; but the hello, which is longer, by eights: where the CPU is busy a kernel
    does not join what it receives, some 150 single bytes fill a socket, and then the hello is refused, for the rest has no room (client_tls_no_room)."""
    near = rig.world.dial(rig.ports["tls-plain", version])
    engine = Engine(rig.context("client", version, "AES-128-GCM"), NAME)
    each = 8
    while not engine.shake():
        trickle(rig, near, engine.take(), each)
        each = 1
        rig.world.run(lambda: near.got, "an answer")
        engine.put(near.taken())
    engine.write(b"byte by byte")
    trickle(rig, near, engine.take())
    far = rig.world.accepted(rig.target)
    rig.world.run(lambda: far.got == 12, "the first record")
    assert far.taken() == b"byte by byte"


# ---- records of all kinds


@pytest.mark.parametrize("way", WAYS)
def test_sizes(rig, way, version):
    """Records of every awkward size, each written by itself."""
    inside, outside, _, _ = sides(rig, way, version)
    sizes = [*[1] * 300, 2, 255, 256, 4095, 8192, 16383, 16384, 16385, 40000, *[100] * 50, 1]
    data = b""
    for number, size in enumerate(sizes):
        data += some_bytes(size, number)
        inside.send(some_bytes(size, number))
    rig.world.run(lambda: outside.got >= len(data) or outside.end, "all of it")
    assert outside.taken() == data
    for number, size in enumerate(sizes):
        outside.send(some_bytes(size, number))
    rig.world.run(lambda: inside.got >= len(data) or inside.end, "all of it")
    assert inside.taken() == data


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cut", [1, 5, 8000])
def test_half_a_record_keeps_nobody_busy(rig, way, version, cut):
    inside, outside, _, _ = sides(rig, way, version)
    bulk(rig, (inside, outside, 200001))
    outside.hash()
    inside.engine.write(some_bytes(16000))
    wire = inside.engine.take()
    inside.send_wire(wire[:cut])
    assert_calm(rig)
    assert outside.got == 0
    inside.send_wire(wire[cut:])
    rig.world.run(lambda: outside.got == 16000, "the record")


@pytest.mark.parametrize("way", WAYS)
def test_empty_and_padded_records(rig, way):
    """Legal in TLS 1.3, and no end of anything."""
    inside, outside, _, _ = sides(rig, way, "1.3", server=NO_TICKETS)
    seal, data = sealer(inside), b""
    for number in range(40):
        part = some_bytes(1000 * number, number)[:16384]
        inside.send_wire(seal(DATA, b"") + seal(DATA, part, padding=min(200, 16384 - len(part))) + seal(DATA, b"", padding=100))
        data += part
        if number % 10 == 9:
            rig.world.run(lambda: outside.got >= len(data) or outside.end, "all of it")
    rig.world.idle(0.05)
    assert outside.end is None and outside.taken() == data
    inside.send_wire(seal(DATA, b"") + seal(ALERT, CLOSE_NOTIFY))
    rig.world.run(lambda: outside.end, "the end")
    assert outside.end == "fin"


@pytest.mark.parametrize("way", WAYS)
def test_warnings_are_let_pass(rig, way):
    """An alert in the middle of a spliced stream."""
    inside, outside, _, _ = sides(rig, way, "1.3", server=NO_TICKETS)
    seal, data = sealer(inside), b""
    for number in range(60):
        inside.send_wire(seal(DATA, some_bytes(16384, number)))
        data += some_bytes(16384, number)
        if number % 20 == 19:
            inside.send_wire(seal(ALERT, USER_CANCELED))
    rig.world.run(lambda: outside.got >= len(data) or outside.end, "all of it")
    assert outside.taken() == data
    inside.send_wire(seal(ALERT, USER_CANCELED) + seal(ALERT, CLOSE_NOTIFY))
    rig.world.run(lambda: outside.end, "the end")
    assert outside.end == "fin"


BAD = {
    "alert": (ALERT, b"\x02\x28", "peer_alert", None),
    "alert of three bytes": (ALERT, b"\x02\x28\x00", "decode", 50),
    "empty alert": (ALERT, b"", "unexpected", 10),
    "handshake": (HANDSHAKE, b"\x0b\x00\x00\x01\x00", "unexpected", 10),
    "half a message": (HANDSHAKE, b"\x18\x00\x00", "decode", 50),
    "key update 2": (HANDSHAKE, b"\x18\x00\x00\x01\x02", "illegal", 47),
    "change cipher spec": (20, b"\x01", "unexpected", 10),
    "type 99": (99, b"x", "unexpected", 10),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", BAD)
def test_what_may_not_come(rig, way, what):
    kind, content, reason, alert = BAD[what]
    inside, outside, who, near = sides(rig, way, "1.3", server=NO_TICKETS)
    seal = sealer(inside)
    inside.send_wire(seal(DATA, b"before") + seal(kind, content))
    rig.world.run(lambda: inside.end and outside.end, "the end")
    assert outside.end == "rst" and outside.taken() == b"before"
    assert inside.end == ("alert", alert) if alert else inside.end in ("rst", "cut", "close_notify")
    assert rig.ended(near)["reason"] == f"{who}_tls_{reason}"


def flipped(wire, at):
    wire = bytearray(wire)
    wire[at] ^= 1
    return bytes(wire)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [10, 500001])
def test_bit_flip(rig, way, version, size):
    """bad_record_mac, and the other connections go on. Flipped in the last record, when the stream has long been spliced."""
    other, other_outside, _, _ = sides(rig, way, version)
    inside, outside, who, near = sides(rig, way, version)
    errors = kernel.statistics()["TlsDecryptError"]
    bulk(rig, (inside, outside, size))
    inside.engine.write(b"some more")
    inside.send_wire(flipped(inside.engine.take(), -3))
    rig.world.run(lambda: inside.end and outside.end, "the end")
    assert (inside.end, outside.end, outside.got) == (("alert", 20), "rst", size)
    assert rig.ended(near)["reason"] == f"{who}_tls_bad_record"
    assert kernel.statistics()["TlsDecryptError"] == errors + 1
    bulk(rig, (other, other_outside, 300001), (other_outside, other, 300001))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("header", ["type", "version", "length", "plain"])
def test_broken_header(rig, way, version, header):
    inside, outside, who, near = sides(rig, way, version)
    bulk(rig, (inside, outside, 100001))
    broken = {
        "type": struct.pack(">BHH", 99, 0x0303, 100) + bytes(100),
        "version": struct.pack(">BHH", 23, 0x0505, 100) + bytes(100),
        "length": struct.pack(">BHH", 23, 0x0303, 20000) + bytes(20000),
        "plain": b"GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n",
    }
    inside.send_wire(broken[header])
    rig.world.run(lambda: inside.end and outside.end, "the end")
    assert outside.end == "rst" and outside.got == 100001
    assert inside.end != "close_notify" and rig.ended(near)["reason"].startswith(f"{who}_tls_")


def test_refusal_of_a_library_is_passed_on(rig, version):
    """OpenSSL's own alert for a record it does not like."""
    inside, outside, who, near = sides(rig, "tls-plain", version)
    bulk(rig, (outside, inside, 100001))
    with contextlib.suppress(TlsError):
        inside.engine.put(struct.pack(">BHH", 23, 0x0303, 40) + bytes(40))
        inside.engine.read()
    inside.send_wire(b"")
    rig.world.run(lambda: outside.end, "the end")
    assert outside.end == "rst"
    assert rig.ended(near)["reason"] == "client_tls_peer_alert"


# ---- frames that penstock reads


@pytest.mark.parametrize("way", ["tls-tls", "plain-tls"])
def test_lookups(rig, way):
    near, far = lookup_connection(rig, way)
    for number in range(1, 30):
        near.send(wire.lookup("persistent://public/default/t", number))
        asked = frame_at(rig, far)
        assert (asked.kind, asked[2]) == (wire.LOOKUP, number)
        far.send(wire.lookup_answer(number, f"pulsar://127.0.0.1:{rig.tls_target.port}"))
        answer = frame_at(rig, near)
        assert (answer.kind, answer[4], answer[8]) == (wire.LOOKUP_RESPONSE, number, 1), answer


@pytest.mark.parametrize("way", ["tls-tls", "plain-tls"])
def test_redirects(rig, way):
    """A connection of penstock's own to the broker a lookup leads to: what the kernel opens there is waited for as well."""
    near, far = lookup_connection(rig, way)
    second = rig.world.listen(lambda: Engine(rig.server))
    where = [(2, f"pulsar+ssl://127.0.0.1:{second.port}")]
    near.send(wire.lookup("persistent://public/default/t", 7))
    asked = frame_at(rig, far)
    far.send(wire.lookup_answer(asked[2], f"pulsar://127.0.0.1:{second.port}", kind=wire.REDIRECT, more=where))
    side = rig.world.accepted(second)
    assert frame_at(rig, side).kind == wire.CONNECT
    rig.world.idle(0.2)
    side.send(wire.connected())
    asked = frame_at(rig, side)
    assert asked.kind == wire.LOOKUP
    rig.world.idle(0.2)
    side.send(wire.lookup_answer(asked[2], f"pulsar://127.0.0.1:{second.port}", more=where))
    answer = frame_at(rig, near)
    assert (answer.kind, answer[3], answer[4]) == (wire.LOOKUP_RESPONSE, wire.CONNECT_TO, 7), answer


@pytest.mark.parametrize("who", ["client", "broker"])
def test_half_a_record_of_a_frame_keeps_nobody_busy(rig, who):
    near, far = lookup_connection(rig, "tls-tls")
    one, other = (near, far) if who == "client" else (far, near)
    ping = wire.frame(wire.PING, [])
    one.engine.write(ping)
    wire_bytes = one.engine.take()
    one.send_wire(wire_bytes[:10])
    assert_calm(rig)
    assert other.got == 0
    one.send_wire(wire_bytes[10:])
    rig.world.run(lambda: other.got == len(ping), "the frame")


def test_refusal_arrives(rig, version):
    """An ERROR inside TLS, though the client has sent more than penstock will ever read; then close_notify."""
    near = rig.world.dial(rig.ports["tls-tls", version], Engine(rig.context("client", version, "AES-128-GCM"), NAME))
    rig.world.run(near.is_ready, "the handshake")
    near.send(wire.connect(target="10.99.99.99:6650"))
    near.send(some_bytes(100000))
    rig.world.run(lambda: near.end, "the refusal")
    assert near.end == "close_notify" and wire.Frame(near.taken())[2] == wire.NOT_ALLOWED


def test_half_a_record_of_a_refused_client_keeps_nobody_busy(rig):
    """What it sends is read until it closes, or a second has passed, so that no reset overtakes the refusal."""
    near = rig.world.dial(rig.ports["tls-tls", "1.3"], Engine(rig.context("client", "1.3", "AES-128-GCM"), NAME))
    rig.world.run(near.is_ready, "the handshake")
    near.send(wire.connect(target="10.99.99.99:6650"))
    near.engine.write(some_bytes(1000))
    near.send_wire(near.engine.take()[:500])
    rig.world.run(lambda: near.end, "the refusal")
    assert_calm(rig)
    assert near.end == "close_notify"
