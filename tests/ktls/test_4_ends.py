"""How connections end whose records the kernel seals and opens: what was sent arrives, and an end is what it was."""
import kernel
import pytest
from conftest import at_rest
from openssl import VERSIONS
from rig import WAYS, bulk, some_bytes


@pytest.fixture(scope="module")
def module_rig(rigs):
    kernel.load(*kernel.TLS, *kernel.AES_GCM, *kernel.CHACHA20)
    return rigs()


@pytest.fixture
def rig(module_rig):
    yield module_rig
    at_rest(module_rig)


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


def orderly(end):
    return "close_notify" if end.engine else "fin"


@pytest.mark.parametrize("who", ["client", "target"])
def test_half_close(rig, way, version, who):
    """One side ends and still receives; then the other ends."""
    near, far = rig.connect(way, version, "AES-128-GCM")
    one, other = (near, far) if who == "client" else (far, near)
    bulk(rig, (one, other, 300001))
    one.finish()
    rig.world.run(lambda: other.end, "the first end")
    assert other.end == orderly(other)
    bulk(rig, (other, one, 500001))
    other.finish()
    rig.world.run(lambda: one.end, "the second end")
    assert one.end == orderly(one)
    assert rig.ended(near)["reason"] == ("client_fin" if who == "client" else "broker_fin")


@pytest.mark.parametrize("who", ["client", "target"])
def test_end_behind_a_full_socket(rig, way, version, who):
    """The end comes when the reader is behind: nothing of what is still on its way, in the kernel's TLS too, is cut off."""
    near, far = rig.connect(way, version, "AES-128-GCM", receive=20000)
    one, other = (near, far) if who == "client" else (far, near)
    other.hash()
    other.is_paused = True
    one.send(some_bytes(900001))
    one.finish()
    rig.world.idle(0.2)
    other.is_paused = False
    rig.world.run(lambda: other.end, "the end", 20)
    assert (other.got, other.end) == (900001, orderly(other)), other
    other.finish()
    rig.world.run(lambda: one.end, "the other end")
    assert one.end == orderly(one)


@pytest.mark.parametrize("size", [0, 5, 400001])
def test_a_cut_of_the_client_is_no_end(rig, version, size):
    """A FIN without close_notify: what came is delivered, then the target is told by a reset that it may be cut short."""
    near, far = rig.connect("tls-plain", version, "AES-128-GCM")
    if size:
        bulk(rig, (near, far, size))
    near.cut()
    rig.world.run(lambda: far.end, "the reset")
    assert far.end == "rst" and far.got == size
    assert rig.ended(near)["reason"] == "client_tls_truncated"


@pytest.mark.parametrize("size", [5, 400001])
def test_a_cut_of_the_target_is_no_end(rig, version, size):
    near, far = rig.connect("plain-tls", version, "AES-128-GCM")
    bulk(rig, (far, near, size))
    far.cut()
    rig.world.run(lambda: near.end, "the reset")
    assert near.end == "rst" and near.got == size
    assert rig.ended(near)["reason"] == "broker_tls_truncated"


def test_a_cut_inside_a_record(rig, version):
    near, far = rig.connect("tls-plain", version, "AES-128-GCM")
    bulk(rig, (near, far, 100000))
    near.engine.write(some_bytes(16000))
    near.pending += near.engine.take()[:9000]
    near.cut()
    rig.world.run(lambda: far.end, "the reset")
    assert far.end == "rst" and far.got == 100000
    assert rig.ended(near)["reason"] == "client_tls_truncated"


@pytest.mark.parametrize("who", ["client", "target"])
def test_a_reset_is_a_reset(rig, way, version, who):
    near, far = rig.connect(way, version, "AES-128-GCM")
    bulk(rig, (near, far, 200001), (far, near, 200001))
    one, other = (near, far) if who == "client" else (far, near)
    one.reset()
    rig.world.run(lambda: other.end, "the reset")
    assert other.end == "rst"
    assert rig.ended(near)["reason"] == ("client_rst" if who == "client" else "broker_rst")


def test_many_short_connections(rig, version):
    """None of the kernel's TLS sockets is left."""
    before = kernel.statistics()
    for number in range(30):
        near, far = rig.connect("tls-tls", version, "AES-128-GCM")
        bulk(rig, (near, far, 100 + number), (far, near, 20000 + number))
        near.finish()
        rig.world.run(lambda: far.end, "the end")
        far.finish()
        rig.world.run(lambda: near.end, "the end")
        near.close()
        far.close()
        rig.world.ends.clear()
    at_rest(rig)
    # The kernel lets go of a socket when a worker's ring has.
    rig.world.run(lambda: not any(kernel.statistics()[name] for name in ("TlsCurrTxSw", "TlsCurrRxSw")), "the kernel to let go")
    after = kernel.statistics()
    assert after["TlsTxSw"] - before["TlsTxSw"] == after["TlsRxSw"] - before["TlsRxSw"] == 60
