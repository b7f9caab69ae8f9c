"""tls.ko is loaded, ChaCha20-Poly1305 is not, and cannot be."""
import kernel
import pytest
from conftest import at_rest
from openssl import VERSIONS
from rig import bulk, features


@pytest.fixture(scope="module")
def module_rig(rigs):
    kernel.load(*kernel.TLS, *kernel.AES_GCM)
    return rigs(["", "-auto"])


@pytest.fixture
def rig(module_rig):
    yield module_rig
    at_rest(module_rig)


@pytest.mark.usefixtures("rig")
def test_version_says_so():
    assert features() == {v: "AES-128-GCM both ways, AES-256-GCM both ways, ChaCha20-Poly1305 no" for v in VERSIONS}


@pytest.mark.parametrize("version", VERSIONS)
def test_each_cipher_for_itself(rig, version):
    count = rig.count()
    near, far = rig.connect("tls-tls-auto", version, "ChaCha20-Poly1305")
    bulk(rig, (near, far, 1234567), (far, near, 765432))
    count.ktls(no_cipher=4)
    count = rig.count()
    near, far = rig.connect("tls-tls-auto", version, "AES-256-GCM")
    bulk(rig, (near, far, 1234567), (far, near, 765432))
    count.ktls(send=2, recv=2)


def test_require_refuses(rig):
    near = rig.refused("tls-plain", "1.3", "ChaCha20-Poly1305")
    assert near.end == ("alert", 80)
    assert rig.ended(near)["reason"] == "client_tls_ktls"
