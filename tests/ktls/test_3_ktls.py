"""The kernel has TLS and all ciphers."""
import kernel
import pytest
from conftest import at_rest
from openssl import VERSIONS
from rig import CIPHERS, WAYS, bulk, features



@pytest.fixture(scope="module")
def module_rig(rigs):
    kernel.load(*kernel.TLS, *kernel.AES_GCM, *kernel.CHACHA20)
    return rigs(["", "-keep", "-off"])


@pytest.fixture
def rig(module_rig):
    yield module_rig
    at_rest(module_rig)


@pytest.mark.usefixtures("rig")
def test_version_says_so():
    assert features() == {v: ", ".join(f"{cipher} both ways" for cipher in CIPHERS) for v in VERSIONS}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("version", VERSIONS)
def test_bytes_arrive(rig, version, cipher, way):
    """Both directions, one after the other and at once: by splice, since the kernel has the keys."""
    count = rig.count()
    near, far = rig.connect(way, version, cipher)
    up, down = 3 * (1 << 20) + 12345, 2 * (1 << 20) + 77
    bulk(rig, (near, far, up))
    bulk(rig, (far, near, down))
    seen = count()
    assert seen["up_spliced"] > up / 2 and seen["down_spliced"] > down / 2, seen
    bulk(rig, (near, far, down), (far, near, up))
    both = 2 if way == "tls-tls" else 1
    count.ktls(send=both, recv=both)
    near.finish()
    rig.world.run(lambda: far.end, "the end at the target")
    far.finish()
    rig.world.run(lambda: near.end, "the end at the client")
    assert (near.end, far.end) == tuple("close_notify" if end.engine else "fin" for end in (near, far))


@pytest.mark.parametrize("version", VERSIONS)
def test_session_resumed_and_declined(rig, version):
    """The session with a broker is resumed; one that the broker knows nothing of, as after its restart, is no obstacle."""
    results = []
    for generation in range(2):
        for _ in range(2):
            near, far = rig.connect("plain-tls", version, "AES-128-GCM", server={"tickets": 2, "generation": generation})
            bulk(rig, (near, far, 1000), (far, near, 1000))
            results.append(far.engine.is_resumed())
            near.close()
    assert results == [False, True, False, True]


@pytest.mark.parametrize("version", VERSIONS)
def test_broker_changes_version(rig, version):
    """wolfSSL offers no other version than that of the session: one connection fails, and the session is forgotten."""
    other = next(v for v in VERSIONS if v != version)
    for wanted in (version, other, version):
        failures = 0
        while True:
            try:
                near, _ = rig.connect("plain-tls", wanted, "AES-128-GCM", group=version)
                break
            except AssertionError:
                failures += 1
                rig.world.idle(0.2)
                assert failures < 2, rig.world.ends
        near.close()
