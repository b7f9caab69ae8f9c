"""Routes, and listeners that do not splice: the kernel's TLS is the same there. One port has routes that end TLS, that begin another behind it,
and that pass it through untouched."""
import socket

import kernel
import pytest
from conftest import at_rest
from openssl import VERSIONS
from rig import CIPHERS, WAYS, bulk, some_bytes

ENDS = {"pass": 0, "terminate": 1, "reencrypt": 2}  # of TLS that are penstock's
SPLICES = ["auto", "off"]


@pytest.fixture(scope="module")
def module_rig(rigs):
    kernel.load(*kernel.TLS, *kernel.AES_GCM, *kernel.CHACHA20)
    return rigs(["-copied"], edges=SPLICES)


@pytest.fixture
def rig(module_rig):
    yield module_rig
    at_rest(module_rig)


def orderly(end):
    return "close_notify" if end.engine else "fin"


def ends(rig, near, far):
    near.finish()
    rig.world.run(lambda: far.end, "the end at the target")
    bulk(rig, (far, near, 100001))
    far.finish()
    rig.world.run(lambda: near.end, "the end at the client")
    assert (near.end, far.end) == (orderly(near), orderly(far))


@pytest.mark.parametrize("splice", SPLICES)
@pytest.mark.parametrize("mode", ENDS)
@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("version", VERSIONS)
def test_bytes_arrive(rig, version, cipher, mode, splice):
    count = rig.count()
    near, far = rig.connect_route(mode, splice, version, cipher)
    up, down = 654321, 765432
    bulk(rig, (near, far, up))
    bulk(rig, (far, near, down))
    seen = count()
    assert seen["up_spliced"] > up / 2 and seen["down_spliced"] > down / 2 if splice == "auto" else seen["up_spliced"] == seen["down_spliced"] == 0, seen
    bulk(rig, (near, far, down), (far, near, up))
    count.ktls(**{way: ENDS[mode] for way in ("send", "recv") if ENDS[mode]})
    ends(rig, near, far)
    assert rig.ended(near)["route"].startswith(mode)


@pytest.mark.parametrize("splice", SPLICES)
@pytest.mark.parametrize("version", VERSIONS)
def test_beside_each_other(rig, version, splice):
    """One of each mode on one port, all at once; then one after the other is cut, and the rest go on."""
    pairs = [rig.connect_route(mode, splice, version, "AES-128-GCM") for mode in ENDS]
    while pairs:
        bulk(rig, *((near, far, 700001) for near, far in pairs), *((far, near, 500001) for near, far in pairs))
        near, far = pairs.pop()
        near.cut()
        rig.world.run(lambda far=far: far.end, "the end at the target")
        # Only whoever ends TLS can tell a cut from an end, and says so; else the target sees for itself.
        assert far.end == ("rst" if len(pairs) > 0 else "cut"), far


@pytest.mark.parametrize("size", [1, 60000])
@pytest.mark.parametrize("mode", ENDS)
@pytest.mark.parametrize("splice", SPLICES)
def test_data_in_one_flight_with_finished(rig, mode, splice, size):
    data = some_bytes(size)
    near, far = rig.connect_route(mode, splice, "1.3", "AES-128-GCM", first=data)
    rig.world.run(lambda: far.got >= size or far.end, "the first flight")
    assert far.taken() == data
    bulk(rig, (near, far, 300001), (far, near, 300001))


@pytest.mark.parametrize("splice", SPLICES)
@pytest.mark.parametrize("mode", ["terminate", "reencrypt"])
@pytest.mark.parametrize("version", VERSIONS)
def test_bit_flip(rig, version, mode, splice):
    near, far = rig.connect_route(mode, splice, version, "AES-128-GCM")
    bulk(rig, (near, far, 300001))
    near.engine.write(b"some more")
    record = bytearray(near.engine.take())
    record[-3] ^= 1
    near.send_wire(bytes(record))
    rig.world.run(lambda: near.end and far.end, "the end")
    assert (near.end, far.end, far.got) == (("alert", 20), "rst", 300001)
    assert rig.ended(near)["reason"] == "client_tls_bad_record"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("version", VERSIONS)
def test_copied(rig, version, cipher, way):
    """splice: off on listeners without routes: every byte by way of penstock, sealed and opened by the kernel all the same."""
    count = rig.count()
    near, far = rig.connect(way + "-copied", version, cipher)
    bulk(rig, (near, far, 654321))
    bulk(rig, (far, near, 765432))
    bulk(rig, (near, far, 123456), (far, near, 123456))
    directions = 2 if way == "tls-tls" else 1
    count.ktls(send=directions, recv=directions)
    ends(rig, near, far)
    seen = count()
    assert seen["up_spliced"] == seen["down_spliced"] == 0 and seen["up_copied"] >= 777777 and seen["down_copied"] >= 888888, seen


@pytest.mark.parametrize("mode", ["terminate", "reencrypt"])
def test_end_behind_a_full_socket(rig, mode):
    """A target that does not read for a while: its end comes behind all of it, also where bytes wait in penstock's buffers."""
    near, far = rig.connect_route(mode, "off", "1.3", "AES-128-GCM")
    size = 12000001
    far.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20000)
    far.hash()
    far.is_paused = True
    near.send(some_bytes(size))
    near.finish()
    rig.world.idle(0.3)
    assert near.pending
    far.is_paused = False
    rig.world.run(lambda: far.end, "the end", 60)
    assert (far.got, far.end) == (size, orderly(far)), far
