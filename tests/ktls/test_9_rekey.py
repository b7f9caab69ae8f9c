"""Key changes (KeyUpdate) where the kernel takes another key of a connection, Linux 6.14 and later: nothing is closed, nothing is lost, and the
stream stays the kernel's. test_8_no_rekey.py is about the kernels before.

The kernel opens a KeyUpdate as soon as it comes upon one, be it behind data that somebody reads; from then on it opens nothing more and tells
nobody that there is something to read, until it has the next key. So most cases have data and a KeyUpdate in one piece.
"""
import contextlib
import pathlib
import socket
import subprocess

import kernel
import pytest
import wire
from conftest import at_rest
from openssl import TlsError
from rig import CIPHERS, NO_TICKETS, ROOT, assert_calm, bulk, chunks, frame_at, lookup_connection, sealer, sides, some_bytes, sum_of

WAYS = ["tls-plain", "plain-tls"]
PER_SECOND = 100  # as many penstock takes from a peer


@pytest.fixture(scope="module")
def module_rig(rigs):
    kernel.load(*kernel.TLS, *kernel.AES_GCM, *kernel.CHACHA20)
    return rigs(["", "-keep"], edges=["auto", "off"], timeouts={"hello": "60s", "handshake": "60s"})


@pytest.fixture
def rig(module_rig):
    yield module_rig
    at_rest(module_rig)


@pytest.fixture
def rekeys(rig):
    """rekeys(taken, most): so many keys of peers were changed since, and as many of penstock's as asked for, at the most: one answer is for all
    requests that came while it waited for room. All of them by the kernel. rekeys(taken, own, own): exactly so many."""
    names = ("TlsRxRekeyOk", "TlsTxRekeyOk", "TlsRxRekeyError", "TlsTxRekeyError")
    before, count = kernel.statistics(), rig.count()

    def changes():
        now = kernel.statistics()
        return [now[name] - before[name] for name in names]

    def check(taken, most, least=1):
        rig.world.run(lambda: changes()[0] >= taken, "the last key change")
        seen = count()  # penstock has come to rest: it has answered, too
        now = changes()
        own = now[1]
        assert now == [taken, own, 0, 0] and least <= own <= most, now
        assert seen["rekeys"] == taken + own and seen["no_secret"] == 0, seen

    return check


def piece(inside, *parts):
    """All in one piece: bytes, False for a KeyUpdate, True for one that asks for another."""
    for part in parts:
        if isinstance(part, bool):
            inside.engine.update_key(part)
        else:
            inside.engine.write(part)
    inside.send_wire(b"")


def updating(end, size, every):
    """A source of bytes, with a KeyUpdate at every so many pieces; every other one asks for another."""
    for number, data in enumerate(chunks(size)):
        if number % every == every - 1:
            end.engine.update_key(number // every % 2)
        yield data


@pytest.mark.parametrize("requested", [False, True])
@pytest.mark.parametrize("way", [*WAYS, "tls-plain-keep", "plain-tls-keep"])
@pytest.mark.parametrize("cipher", CIPHERS)
def test_keys_change(rig, rekeys, cipher, way, requested):
    """With either setting of ktls_rekey the kernel has the keys, and has them after each change: what follows is spliced."""
    count = rig.count()
    inside, outside, _, _ = sides(rig, way, "1.3", cipher)
    count.ktls(send=1, recv=1)
    for _ in range(4):
        bulk(rig, (inside, outside, 200001), (outside, inside, 200001))
        inside.engine.update_key(requested)
        bulk(rig, (inside, outside, 100001))
        bulk(rig, (outside, inside, 100001))
    rekeys(4, *[4 if requested else 0] * 2)
    before = count()
    bulk(rig, (inside, outside, 1500001))
    bulk(rig, (outside, inside, 1500001))
    after = count()
    assert all(after[name] - before[name] > 750000 for name in ("up_spliced", "down_spliced")), (before, after)
    inside.finish()
    rig.world.run(lambda: outside.end, "the end")
    outside.finish()
    rig.world.run(lambda: inside.end, "the other end")
    assert (inside.end, outside.end) == ("close_notify", "fin")


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("way", [*WAYS, "tls-tls"])
def test_streams_go_on(rig, rekeys, cipher, way):
    """Both directions full, and every end inside TLS changes its key 30 times on the way, every other time asking for penstock's."""
    near, far = rig.connect(way, "1.3", cipher)
    count, size = rig.count(), 90 * 60000
    inside = [end for end in (near, far) if end.engine]
    moves = [(near, far, size), (far, near, size)]
    bulk(rig, *((*move, updating(move[0], size, 3)) if move[0].engine else move for move in moves))
    seen = count()
    rekeys(30 * len(inside), 15 * len(inside))
    assert seen["up_spliced"] > size / 2 and seen["down_spliced"] > size / 2, seen
    bulk(rig, (near, far, 100001), (far, near, 100001))


@pytest.mark.parametrize("requested", [False, True])
@pytest.mark.parametrize("size", [0, 6, 200001])
@pytest.mark.parametrize("way", WAYS)
def test_behind_data(rig, rekeys, way, size, requested):
    """In one piece with what comes before and what comes after it, be the stream copied or spliced; and with nothing after it."""
    inside, outside, _, _ = sides(rig, way, "1.3")
    data = some_bytes(size)
    for _ in range(5):
        piece(inside, data, requested, b"between", requested, data, requested)
        rig.world.run(lambda: outside.got >= 2 * size + 7 or outside.end, "what is around the key changes")
        assert outside.taken() == data + b"between" + data
        outside.send(b"and back")
        rig.world.run(lambda: inside.got >= 8 or inside.end, "the answer")
        assert inside.taken() == b"and back"
    rekeys(15, *[15 if requested else 0] * 2)


@pytest.mark.parametrize("parts", [[False], [b"before", True, b"behind"], [True, b"behind", True]])
def test_in_one_flight_with_finished(rig, rekeys, parts):
    """The first records behind the handshake, there already when the kernel gets the keys."""
    near = rig.held("tls-plain")
    piece(near, *parts, b"the rest")
    near.is_held = False
    far, data = rig.world.accepted(rig.target), b"".join(part for part in parts if isinstance(part, bytes)) + b"the rest"
    rig.world.run(lambda: far.got >= len(data) or far.end, "the first flight")
    assert far.taken() == data
    bulk(rig, (near, far, 300001), (far, near, 300001))
    rekeys(parts.count(False) + parts.count(True), *[parts.count(True)] * 2)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_but_key_changes(rig, rekeys, way):
    """Of an end that says nothing else, in a row and one by one: more than penstock takes off a socket in one turn."""
    inside, outside, _, _ = sides(rig, way, "1.3")
    piece(inside, *[False] * 20)
    for _ in range(5):
        rig.world.idle(0.02)
        piece(inside, True)
    bulk(rig, (inside, outside, 100001))
    bulk(rig, (outside, inside, 100001))
    rekeys(25, 5, 5)


@pytest.mark.parametrize("way", WAYS)
def test_before_the_end(rig, rekeys, way):
    """A KeyUpdate, close_notify and FIN in one piece; then one while only the other side speaks."""
    inside, outside, _, near = sides(rig, way, "1.3")
    bulk(rig, (inside, outside, 200001))
    piece(inside, b"the last words", False)
    inside.finish()
    rig.world.run(lambda: outside.end, "the end")
    assert (outside.end, outside.got) == ("fin", 200001 + 14)
    bulk(rig, (outside, inside, 200001))
    outside.finish()
    rig.world.run(lambda: inside.end, "the other end")
    assert inside.end == "close_notify"
    rekeys(1, 0, 0)
    assert rig.ended(near)["reason"] in ("client_fin", "broker_fin")


@pytest.mark.parametrize("way", WAYS)
def test_behind_the_end_of_the_other(rig, rekeys, way):
    """The other side has closed, penstock has said close_notify: it owes no answer any more."""
    inside, outside, _, _ = sides(rig, way, "1.3")
    bulk(rig, (outside, inside, 200001))
    outside.finish()
    rig.world.run(lambda: inside.end, "the end")
    piece(inside, b"first", True, b"second", True)
    rig.world.run(lambda: outside.got >= 11, "what is still said")
    inside.finish()
    rig.world.run(lambda: outside.end, "the other end")
    assert (inside.end, outside.end, outside.taken()) == ("close_notify", "fin", b"firstsecond")
    rekeys(2, 0, 0)


@pytest.mark.parametrize("way", WAYS)
def test_the_answer_waits_for_room(rig, rekeys, way):
    """An end that does not read asks for new keys, twice. It is answered when there is room, before what comes under the new key; once, if
    the first answer was still waiting."""
    inside, outside, _, _ = sides(rig, way, "1.3")
    size = 20000001
    inside.is_paused = True
    inside.hash()
    outside.source = chunks(size)
    rig.world.idle(0.5)
    assert outside.source or outside.pending
    piece(inside, b"are you", True)
    piece(inside, b" there", True)
    rig.world.run(lambda: outside.got == 13, "the questions")
    inside.is_paused = False
    rig.world.run(lambda: inside.got >= size or inside.end, "all of it", 30)
    assert (inside.got, inside.digest.digest()) == (size, sum_of(size))
    outside.taken()
    bulk(rig, (outside, inside, 100001), (inside, outside, 100001))
    rekeys(2, 2)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cut", [1, 5, 8000])
def test_half_a_record_behind_it_keeps_nobody_busy(rig, rekeys, way, cut):
    inside, outside, _, _ = sides(rig, way, "1.3")
    bulk(rig, (inside, outside, 200001))
    outside.hash()
    inside.engine.write(b"before")
    inside.engine.update_key(False)
    before = inside.engine.take()
    inside.engine.write(some_bytes(16000))
    wire_bytes = inside.engine.take()
    inside.send_wire(before + wire_bytes[:cut])
    rig.world.run(lambda: outside.got == 6, "what is before it")
    assert_calm(rig)
    assert outside.got == 6
    inside.send_wire(wire_bytes[cut:])
    rig.world.run(lambda: outside.got == 16006, "the record")
    rekeys(1, 0, 0)


@pytest.mark.parametrize("way", WAYS)
def test_cut_anywhere(rig, rekeys, way):
    """Data, a KeyUpdate and data, sent byte by byte."""
    inside, outside, _, _ = sides(rig, way, "1.3")
    inside.engine.write(b"before")
    inside.engine.update_key(True)
    inside.engine.write(b"behind")
    for byte in inside.engine.take():
        inside.send_wire(bytes([byte]))
        rig.world.run(lambda: not inside.pending, "a byte's departure")
    rig.world.run(lambda: outside.got == 12, "all of it")
    assert outside.taken() == b"beforebehind"
    bulk(rig, (outside, inside, 1001))
    rekeys(1, 1)


@pytest.mark.parametrize("way", WAYS)
def test_bit_flip_under_the_new_key(rig, way):
    inside, outside, who, near = sides(rig, way, "1.3")
    piece(inside, b"before", False, b"behind")
    rig.world.run(lambda: outside.got == 12, "all of it")
    inside.engine.write(b"some more")
    record = bytearray(inside.engine.take())
    record[-3] ^= 1
    inside.send_wire(bytes(record))
    rig.world.run(lambda: inside.end and outside.end, "the end")
    assert (inside.end, outside.end) == (("alert", 20), "rst")
    assert rig.ended(near)["reason"] == f"{who}_tls_bad_record"


@pytest.mark.parametrize("way", WAYS)
def test_a_record_under_the_old_key(rig, way):
    """Which a peer that changed its key cannot send."""
    inside, outside, who, near = sides(rig, way, "1.3", server=NO_TICKETS)
    old = sealer(inside)
    inside.send_wire(old(22, b"\x18\x00\x00\x01\x00") + old(23, b"the old key"))
    rig.world.run(lambda: inside.end and outside.end, "the end")
    assert (outside.end, outside.got) == ("rst", 0)
    assert rig.ended(near)["reason"] == f"{who}_tls_bad_record"


@pytest.mark.parametrize("way", WAYS)
def test_too_many(rig, way):
    inside, outside, who, near = sides(rig, way, "1.3")
    with contextlib.suppress(TlsError):
        piece(inside, b"before", *[False] * (2 * PER_SECOND + 1))
    rig.world.run(lambda: inside.end and outside.end, "the end")
    assert (inside.end, outside.end, outside.got) == (("alert", 10), "rst", 6)
    assert rig.ended(near)["reason"] == f"{who}_tls_flood"


@pytest.mark.parametrize("who", ["client", "broker"])
def test_among_frames(rig, rekeys, who):
    """Connections whose frames penstock reads: keys change between them, and in the middle of one."""
    near, far = lookup_connection(rig, "tls-tls")
    inside = near if who == "client" else far
    for number in range(1, 21):
        question = wire.lookup("persistent://public/default/t", number)
        answer = wire.lookup_answer(number, f"pulsar://127.0.0.1:{rig.tls_target.port}")
        near_parts = [question[:number], bool(number % 2), question[number:]]
        far_parts = [answer[:number], bool(number % 2), answer[number:], False]
        piece(near, *(near_parts if inside is near else [question]))
        assert frame_at(rig, far)[2] == number
        piece(far, *(far_parts if inside is far else [answer]))
        assert frame_at(rig, near)[4] == number
    rekeys(20 if inside is near else 40, 10, 10)


@pytest.mark.parametrize("splice", ["auto", "off"])
@pytest.mark.parametrize("mode", ["terminate", "reencrypt"])
def test_routes(rig, rekeys, mode, splice):
    near, far = rig.connect_route(mode, splice, "1.3", "AES-256-GCM")
    for one, other in ((near, far), (far, near)):
        if one.engine:
            piece(one, b"before", True, b"behind")
            rig.world.run(lambda other=other: other.got == 12, "what is around the key change")
            assert other.taken() == b"beforebehind"
    size = 30 * 60000
    moves = [(near, far, size), (far, near, size)]
    bulk(rig, *((*move, updating(move[0], size, 3)) if move[0].engine else move for move in moves))
    rekeys(*((11, 6) if mode == "terminate" else (22, 12)))


def test_java(rig):
    """JSSE changes its key after 2 MiB, and asks for another of penstock's, then and when it has received as much. Its full records are spliced,
    too, which are shorter than those of others."""
    limit, size = 21, 12000001
    properties = pathlib.Path(ROOT) / "limits"
    properties.write_text(f"jdk.tls.keyLimits=AES/GCM/NoPadding KeyUpdate 2^{limit}\n")
    command = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx160m", f"-Djava.security.properties={properties}", "-cp", ROOT, "KeyLimits"]
    count, before = rig.count(), kernel.statistics()
    with subprocess.Popen(
        [*command, str(rig.ports["tls-plain", "1.3"]), str(rig.authority.file), str(size)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as java:
        far = rig.world.accepted(rig.target, 30)

        def echo():
            far.send(far.taken())
            return far.end

        rig.world.run(echo, "what Java says", 60)
        far.finish()
        rig.world.run(lambda: java.poll() is not None, "Java's end", 60)
        said = java.stdout.read().decode()
    assert java.returncode == 0 and said.startswith("TLSv1.3 TLS_AES_"), said
    now, seen = kernel.statistics(), count()
    assert min(seen["up_spliced"], seen["down_spliced"]) > size / 2, (seen["up_spliced"], seen["down_spliced"])
    changes = {name: now[name] - before[name] for name in ("TlsRxRekeyOk", "TlsTxRekeyOk")}
    # Five of its limits are reached each way; what its reader asks for and what its writer does may come to one change.
    assert min(changes.values()) >= (size >> limit) - 2, changes
    assert all(now[name] == before[name] for name in ("TlsRxRekeyError", "TlsTxRekeyError"))
    count.ktls(send=1, recv=1)


# ---- when something is short


@pytest.fixture(scope="module")
def scarce_rig(rigs):
    """Half of the buffers are soon held by those that do not read: what others send is looked at before it is taken."""
    rig = rigs(limits={"unrouted": 8, "pipes": 0})
    rig.target.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20000)
    yield rig
    at_rest(rig)


def test_looked_at_first(scarce_rig):
    rig = scarce_rig
    before = rig.gate.metrics()("penstock_path_fallback_total", reason="buffer_low")
    pairs = [rig.connect("tls-plain", "1.3", "AES-128-GCM") for _ in range(48)]
    for _, far in pairs:
        far.is_paused = True

    def wake():
        if rig.gate.metrics()("penstock_path_fallback_total", reason="buffer_low") == before:
            rig.world.later(0.2, wake)
            return
        for _, far in pairs:
            far.is_paused = False

    rig.world.later(0.5, wake)
    bulk(rig, *((near, far, size, updating(near, size, 2)) for size, (near, far) in enumerate(pairs, 700001)))


@pytest.mark.parametrize("refused", ["next-rx", "next-tx"])
@pytest.mark.parametrize("way", WAYS)
def test_the_kernel_has_no_memory(rigs, way, refused):
    """As where a kernel cannot at all: what came before is delivered, then the connection is closed. An alert needs a key, though."""
    rig = rigs(env={"LD_PRELOAD": f"{ROOT}/refuse.so", "REFUSE": refused})
    inside, outside, who, near = sides(rig, way, "1.3")
    bulk(rig, (inside, outside, 200001), (outside, inside, 200001))
    piece(inside, b"before", True, b"behind")
    rig.world.run(lambda: inside.end and outside.end, "the end")
    assert (outside.end, outside.got) == ("rst", 200007)
    assert inside.end == ("alert", 80) if refused == "next-rx" else inside.end in ("rst", "cut")
    assert rig.ended(near)["reason"] == f"{who}_tls_rekey"


@pytest.mark.parametrize("refused", ["rx", "tx"])
@pytest.mark.parametrize("way", WAYS)
def test_one_direction_is_the_kernels(rigs, way, refused):
    rig = rigs(["-auto"], env={"LD_PRELOAD": f"{ROOT}/refuse.so", "REFUSE": refused})
    count, before = rig.count(), kernel.statistics()
    inside, outside, _, _ = sides(rig, way + "-auto", "1.3")
    for _ in range(5):
        piece(inside, b"before", True, b"behind")
        rig.world.run(lambda: outside.got >= 12 or outside.end, "what is around the key change")
        assert outside.taken() == b"beforebehind"
        bulk(rig, (inside, outside, 200001), (outside, inside, 200001))
        outside.keep()
    count.ktls(**{"send" if refused == "rx" else "recv": 1, "error": 1})
    now = kernel.statistics()
    assert now["TlsTxRekeyOk"] - before["TlsTxRekeyOk"] == (5 if refused == "rx" else 0)
    assert now["TlsRxRekeyOk"] - before["TlsRxRekeyOk"] == (5 if refused == "tx" else 0)
    assert count()["rekeys"] == 10
