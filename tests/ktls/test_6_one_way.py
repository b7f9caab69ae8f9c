"""One direction is the kernel's, the other stays with penstock: each is judged by itself, spliced or copied."""

import kernel
import pytest
from conftest import at_rest
from openssl import VERSIONS
from rig import CIPHERS, ROOT, bulk

WAYS = ["tls-plain", "plain-tls", "tls-tls"]


@pytest.fixture(scope="module", params=["tx", "rx"])
def refused(request):
    return request.param


@pytest.fixture(scope="module")
def module_rig(rigs, refused):
    """A kernel that runs out of memory for the keys of one direction (refuse.c)."""
    kernel.load(*kernel.TLS, *kernel.AES_GCM, *kernel.CHACHA20)
    return rigs(["", "-auto"], env={"LD_PRELOAD": f"{ROOT}/refuse.so", "REFUSE": refused})


@pytest.fixture
def rig(module_rig):
    yield module_rig
    at_rest(module_rig)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("version", VERSIONS)
def test_one_direction(rig, refused, version, cipher, way):
    count = rig.count()
    near, far = rig.connect(way + "-auto", version, cipher)
    size = 1234567
    bulk(rig, (near, far, size))
    bulk(rig, (far, near, size))
    bulk(rig, (near, far, size), (far, near, size))
    ends = 2 if way == "tls-tls" else 1
    count.ktls(**{"recv" if refused == "tx" else "send": ends, "error": ends})
    # A direction can be spliced if the kernel opens what comes in and seals what goes out.
    can = {
        "up": not (way.startswith("tls") and refused == "rx") and not (way.endswith("-tls") and refused == "tx"),
        "down": not (way.endswith("-tls") and refused == "rx") and not (way.startswith("tls") and refused == "tx"),
    }
    seen = count()
    for direction, splices in can.items():
        spliced = seen[f"{direction}_spliced"]
        assert spliced > size if splices else spliced == 0, (direction, seen)
    near.finish()
    rig.world.run(lambda: far.end, "the end")
    far.finish()
    rig.world.run(lambda: near.end, "the end")
    assert (near.end, far.end) == tuple("close_notify" if end.engine else "fin" for end in (near, far))


@pytest.mark.parametrize("version", VERSIONS)
def test_require_means_both(rig, version):
    near = rig.refused("tls-plain", version, "AES-128-GCM")
    assert near.end == ("alert", 80)
    assert rig.ended(near)["reason"] == "client_tls_ktls"


@pytest.mark.parametrize("version", VERSIONS)
def test_bit_flip(rig, version):
    near, far = rig.connect("tls-plain-auto", version, "AES-128-GCM")
    bulk(rig, (near, far, 300001))
    near.engine.write(b"some more")
    wire = bytearray(near.engine.take())
    wire[-3] ^= 1
    near.send_wire(bytes(wire))
    rig.world.run(lambda: near.end and far.end, "the end")
    assert (near.end, far.end, far.got) == (("alert", 20), "rst", 300001)
    assert rig.ended(near)["reason"] == "client_tls_bad_record"


@pytest.mark.parametrize("fragment", [1, 4])
@pytest.mark.parametrize("version", VERSIONS)
def test_short_fragments(rig, refused, version, fragment):
    """A client that wants short records (RFC 6066) gets them from penstock, since kernels before 7 make them of 16 KiB; what it sends the
    kernel opens."""
    count = rig.count()
    near, far = rig.connect("tls-plain-auto", version, "AES-128-GCM", client={"fragment": fragment})
    bulk(rig, (near, far, 765432))
    bulk(rig, (far, near, 1234567))
    count.ktls(**({"fragment": 1, "recv": 1} if refused == "tx" else {"fragment": 1, "error": 1}))
