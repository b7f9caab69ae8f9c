"""tls.ko is not loaded: the kernel knows nothing of TLS."""
import pytest
from conftest import at_rest
from openssl import VERSIONS
from rig import bulk, features


@pytest.fixture(scope="module")
def module_rig(rigs):
    return rigs(["", "-auto"])


@pytest.fixture
def rig(module_rig):
    yield module_rig
    at_rest(module_rig)


def test_version_says_so():
    assert features()[""].startswith("no: ")


@pytest.mark.parametrize("version", VERSIONS)
def test_auto_falls_back(rig, version):
    count = rig.count()
    near, far = rig.connect("tls-tls-auto", version, "AES-128-GCM")
    bulk(rig, (near, far, 1234567))
    bulk(rig, (far, near, 765432))
    bulk(rig, (near, far, 8000001), (far, near, 8000001))
    seen = count()
    assert seen["no_kernel"] == 4 and seen["up_spliced"] == seen["down_spliced"] == 0, seen
    count.ktls(no_kernel=4)


@pytest.mark.parametrize("version", VERSIONS)
def test_require_refuses(rig, version):
    """The client is told by an alert, internal_error; no target is dialled."""
    near = rig.refused("tls-plain", version, "AES-128-GCM")
    assert near.end == ("alert", 80)
    assert rig.ended(near)["reason"] == "client_tls_ktls"
    assert not rig.target.ends


def test_require_refuses_the_broker(rig):
    near, far = rig.refused_by_target("plain-tls", "1.2", "AES-128-GCM")
    assert far.end == ("alert", 80)
    assert rig.ended(near)["reason"] == "broker_tls_ktls"
