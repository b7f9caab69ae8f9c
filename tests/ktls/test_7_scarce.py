"""Few buffers, slow readers, and the end of the program."""
import socket

import kernel
import pytest
from conftest import at_rest
from rig import bulk


@pytest.fixture(scope="module")
def module_rig(rigs):
    kernel.load(*kernel.TLS, *kernel.AES_GCM, *kernel.CHACHA20)
    rig = rigs(["", "-off"], limits={"unrouted": 8, "pipes": 0})
    for listener in (rig.target, rig.tls_target):
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20000)
    return rig


@pytest.fixture
def rig(module_rig):
    yield module_rig
    at_rest(module_rig)


@pytest.mark.parametrize("wish", ["", "-off"])
@pytest.mark.parametrize("way", ["tls-plain", "tls-tls"])
def test_slow_readers(rig, way, wish):
    """When half of the buffers (8 and 64) are held for those that do not read, records are looked at before they are taken; none is lost or comes twice."""
    before = rig.gate.metrics()("penstock_path_fallback_total", reason="buffer_low")
    pairs = [rig.connect(way + wish, "1.3", "AES-128-GCM") for _ in range(48)]
    for _, far in pairs:
        far.is_paused = True
    waiting = [(near, far, 700001 + number) for number, (near, far) in enumerate(pairs)]

    def wake():
        if rig.gate.metrics()("penstock_path_fallback_total", reason="buffer_low") == before:
            rig.world.later(0.2, wake)  # not yet, on a machine that is busy
            return
        for _, far in pairs:
            far.is_paused = False

    rig.world.later(0.8, wake)
    bulk(rig, *waiting)


@pytest.mark.parametrize("way", ["tls-plain", "tls-tls"])
def test_stop(rigs, way):
    """SIGTERM: what is open may go on until timeouts.drain, and what does not end by itself is told so by a reset, not by an end."""
    rig = rigs(drain={"lame_duck": "0s", "spread": "0s"}, timeouts={"drain": "5s"})
    near, far = rig.connect(way, "1.3", "AES-128-GCM")
    bulk(rig, (near, far, 300001), (far, near, 300001))
    rig.gate.process.send(15)
    rig.world.idle(0.1)
    bulk(rig, (near, far, 300001), (far, near, 300001))
    rig.world.run(lambda: near.end and far.end, "the end", 20)
    assert (near.end, far.end) == ("rst", "rst"), (near, far)
    assert rig.gate.process.wait(5) == 0
