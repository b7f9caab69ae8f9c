"""Kafka on the kernel's TLS: penstock reads the heads of frames off records and leaves their bodies to the kernel, record boundaries wherever
the peer has put them. What comes out is compared byte for byte, and no real address is in it.
"""
import itertools
import struct

import kafkarig
import kernel
import pytest
from conftest import at_rest
from ends import World
from kafkarig import NODES, SHORT, KafkaRig, asked, converse, fetch, metadata, produce, records, told
from openssl import VERSIONS
from rig import CIPHERS, WAYS, assert_calm

MEGABYTE = 1 << 20
INSIDE = {"tls-plain": ["client"], "plain-tls": ["broker"], "tls-tls": ["client", "broker"]}
SIDES = [("1.2", "tls-tls"), *(("1.3", way) for way in WAYS)]


@pytest.fixture(scope="module")
def module_rig(authority):
    kernel.load(*kernel.TLS, *kernel.AES_GCM, *kernel.CHACHA20)
    one = KafkaRig(authority, World())
    yield one
    one.gate.kill()
    one.world.close()


@pytest.fixture
def rig(module_rig):
    yield module_rig
    at_rest(module_rig)


def orderly(end):
    return "close_notify" if end.engine else "fin"


def a_bit_of_all():
    """Small ones and long ones, with addresses in all places, and without."""
    return [
        metadata(0), metadata(12), fetch([10]), fetch([10, 0, 3], NODES), produce(200001), fetch([150001, 5, 150001], NODES), metadata(0),
        fetch([200001]), fetch([100001], SHORT, told={}), metadata(12, topics=1000), produce(10), fetch([3], NODES),
    ]  # fmt: skip


@pytest.mark.parametrize("way,cipher", zip(WAYS, CIPHERS))
@pytest.mark.parametrize("version", VERSIONS)
def test_bodies_are_spliced(rig, version, way, cipher):
    """One request at a time; a close_notify stands behind the last response, and behind the last request."""
    count = rig.count()
    near, far = rig.connect(way, version, cipher)
    for one in (metadata(0), metadata(12), produce(MEGABYTE), fetch([MEGABYTE]), fetch([MEGABYTE // 2 + 1, MEGABYTE], NODES), produce(MEGABYTE)):
        converse(rig, near, far, [one])
    seen = count()
    assert seen["up_spliced"] > MEGABYTE and seen["down_spliced"] > MEGABYTE, seen
    last = fetch([MEGABYTE // 4], NODES)
    near.send(last.request)
    near.finish()
    asked(rig, far, [last])
    rig.world.run(lambda: far.end, "the end at the broker")
    far.send(last.response)
    far.finish()
    told(rig, near, [last])
    rig.world.run(lambda: near.end, "the end at the client")
    assert (near.end, far.end, near.got, far.got) == (orderly(near), orderly(far), 0, 0)
    both = len(INSIDE[way])
    count.ktls(send=both, recv=both)


LAYOUTS = {
    "16384": [16384],
    "head byte by byte": [*[1] * 120, 16384],
    "head and records": [30, 200, 16384],
    "small": [200],
    "odd": [*range(1, 400, 7), 5001],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("version,way", SIDES)
def test_records_of_any_size(rig, version, way, layout):
    """Pipelined: one record has the end of one response, another one whole, and the beginning of a third."""
    near, far = rig.connect(way, version, "AES-128-GCM")
    converse(rig, near, far, a_bit_of_all(), records(*LAYOUTS[layout]), records(*LAYOUTS[layout]))


@pytest.mark.parametrize("way", ["tls-plain", "plain-tls"])
def test_full_records_of_java(rig, way):
    """Java's records of TLS 1.3 hold 16,367 bytes at most, and a broker seals 32 KiB of a segment at a time: 16,367, 16,367 and 34."""
    near, far = rig.connect(way, "1.3", "AES-128-GCM")
    sizes, count = records(*[16367, 16367, 34] * 200, 16367), rig.count()
    converse(rig, near, far, [produce(2 * MEGABYTE), fetch([2 * MEGABYTE], NODES)], sizes, sizes)
    seen = count()
    assert seen["up_spliced"] > MEGABYTE and seen["down_spliced"] > MEGABYTE, seen


def wire_records(end, data):
    """Each record of what the end would send."""
    wire = b""
    for at in range(0, len(data), 16384):
        end.engine.write(data[at : at + 16384])
        wire += end.engine.take()
    cut = []
    while wire:
        size = 5 + struct.unpack(">H", wire[3:5])[0]
        cut.append(wire[:size])
        wire = wire[size:]
    return cut


@pytest.mark.parametrize("which", [0, 1, -1], ids=["head", "records", "tail"])
@pytest.mark.parametrize("version,way", [one for one in SIDES if one != ("1.3", "tls-tls")])
def test_half_a_record_keeps_nobody_busy(rig, version, way, which):
    """The record with the head, one of those behind it, which are spliced, and the last one, with the addresses and another frame's beginning."""
    near, far = rig.connect(way, version, "AES-128-GCM")
    exchanges = [fetch([300001], NODES), metadata(0)] if INSIDE[way][-1] == "broker" else [produce(300001), metadata(0)]
    for cut in (1, 6, -1):
        inside = near if way == "tls-plain" else far
        data = b"".join(one.request if inside is near else one.response for one in exchanges)
        if inside is far:
            near.send(b"".join(one.request for one in exchanges))
            asked(rig, far, exchanges)
        pieces = wire_records(inside, data)
        number = which % len(pieces)
        inside.send_wire(b"".join(pieces[:number]) + pieces[number][:cut])
        assert_calm(rig, 0.1, 20)
        inside.send_wire(pieces[number][cut:] + b"".join(pieces[number + 1 :]))
        if inside is near:
            asked(rig, far, exchanges)
            far.send(b"".join(one.response for one in exchanges))
        told(rig, near, exchanges)


def test_a_reader_that_is_slow(rig):
    """Tails that are rewritten wait for room, in front of what is spliced."""
    near, far = rig.connect("tls-tls", "1.3", "AES-128-GCM", receive=60000)
    exchanges = [fetch([size], NODES) for size in (300001, 3, 70001, 1000001)] + a_bit_of_all()
    near.send(b"".join(one.request for one in exchanges))
    asked(rig, far, exchanges)
    near.is_paused, count = True, rig.count()
    far.send(b"".join(one.response for one in exchanges))
    rig.world.run(lambda: count()["down_copied"] > 0, "some of it to be on its way")
    rig.world.idle(0.3)
    seen = count()
    assert seen["down_spliced"] + seen["down_copied"] < sum(len(one.response) for one in exchanges) / 2, seen
    near.is_paused = False
    told(rig, near, exchanges)


def cut_at(inside, data, places, requested):
    """Sends with a KeyUpdate at each of these places, all in one piece."""
    for begin, end in itertools.pairwise([0, *places, len(data)]):
        inside.engine.write(data[begin:end])
        if end < len(data):
            inside.engine.update_key(requested)
    inside.send_wire(b"")


@pytest.mark.parametrize("requested", [False, True])
@pytest.mark.parametrize("who", ["client", "broker"])
def test_keys_change_in_the_middle(rig, who, requested):
    """Of a head, of the records, of the addresses behind them. A kernel that cannot change keys ends the connection, as `ktls_rekey: close`
    has it."""
    near, far = rig.connect("tls-tls", "1.3", "AES-128-GCM")
    changes = kernel.statistics().get("TlsRxRekeyOk", 0)
    for _ in range(2):
        exchanges = [fetch([MEGABYTE], NODES), metadata(12)] if who == "broker" else [produce(MEGABYTE), metadata(0)]
        requests, responses = (b"".join(part) for part in list(zip(*exchanges))[:2])
        sent = requests if who == "client" else responses
        places = [1, 4, 20, 500001, MEGABYTE + 20, len(sent) - 2]
        if who == "broker":
            near.send(requests)
            asked(rig, far, exchanges)
            cut_at(far, responses, places, requested)
        else:
            cut_at(near, requests, places, requested)
        if not kernel.CAN_REKEY:
            rig.world.run(lambda: near.end and far.end, "the end")
            one, other = (near, far) if who == "client" else (far, near)
            assert (one.end, other.end, other.data) == (("alert", 80), "rst", sent[: len(other.data)]), (one, other)
            assert len(other.data) <= 1 and rig.ended(near)["reason"] == f"{who}_tls_rekey"
            return
        if who == "client":
            asked(rig, far, exchanges)
            far.send(responses)
        told(rig, near, exchanges)
    count = rig.count()
    converse(rig, near, far, [produce(MEGABYTE), fetch([MEGABYTE], NODES)])
    seen = count()
    assert seen["up_spliced"] > MEGABYTE / 2 and seen["down_spliced"] > MEGABYTE / 2, seen
    assert kernel.statistics()["TlsRxRekeyOk"] - changes == 12


@pytest.mark.parametrize("way", ["plain-tls", "tls-tls"])
def test_cut_in_the_middle_of_a_tail(rig, way):
    """A broker that goes away without close_notify, and one that does it by the book: no half of an address goes to the client."""
    for is_orderly in (False, True):
        near, far = rig.connect(way, "1.3", "AES-128-GCM")
        exchange = fetch([100001], NODES)
        near.send(exchange.request)
        asked(rig, far, [exchange])
        far.send(exchange.response[:-10])
        far.finish() if is_orderly else far.cut()
        rig.world.run(lambda: near.end, "the end")  # noqa: B023 - is over before the next one
        front = exchange.response[: len(exchange.response) - len(kafkarig.tail(NODES))]
        assert near.data == front, len(near.data)
        assert near.end == (orderly(near) if is_orderly else "rst")
