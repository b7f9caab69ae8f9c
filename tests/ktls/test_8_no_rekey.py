"""Key changes where the kernel is before 6.14 and takes a connection's first key only. test_9_rekey.py is about the others."""
import kernel
import pytest
from conftest import at_rest
from rig import bulk, sides

WAYS = ["tls-plain", "plain-tls"]


@pytest.fixture(scope="module")
def module_rig(rigs):
    kernel.load(*kernel.TLS, *kernel.AES_GCM, *kernel.CHACHA20)
    return rigs(["", "-keep"])


@pytest.fixture
def rig(module_rig):
    yield module_rig
    at_rest(module_rig)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("requested", [False, True])
def test_rekey_where_the_kernel_cannot(rig, way, requested):
    """ktls_rekey: close: what came before is delivered, then the connection is closed, and says why."""
    inside, outside, who, near = sides(rig, way, "1.3")
    bulk(rig, (inside, outside, 200001), (outside, inside, 200001))
    inside.engine.update_key(requested)
    inside.send(b"under the new key")
    rig.world.run(lambda: inside.end and outside.end, "the end")
    assert inside.end == ("alert", 80)
    assert outside.end == "rst" and outside.got == 200001
    assert rig.ended(near)["reason"] == f"{who}_tls_rekey"


@pytest.mark.parametrize("way", ["tls-plain-keep", "plain-tls-keep"])
@pytest.mark.parametrize("requested", [False, True])
def test_rekey_kept_in_user_space(rig, way, requested):
    """ktls_rekey: keep: such a kernel is not given TLS 1.3, and keys change as often as anybody likes."""
    count = rig.count()
    inside, outside, _, _ = sides(rig, way, "1.3")
    count.ktls(no_rekey=2)
    for _ in range(5):
        bulk(rig, (inside, outside, 200001), (outside, inside, 200001))
        inside.engine.update_key(requested)
        bulk(rig, (inside, outside, 100001))
        bulk(rig, (outside, inside, 100001))
    seen = count()
    assert seen["rekeys"] == (10 if requested else 5) and seen["no_secret"] == 0, seen
