"""What an idle connection takes of penstock once the kernel has its keys: 4 KiB at the most, with TLS on one side or on both."""
import pathlib
import re

import kernel
import pytest
from conftest import at_rest, notes
from rig import bulk

FEW, MANY = 50, 350
MOST = 4096


@pytest.fixture
def rig(rigs):
    """Its own for each case: memory that was used before is no longer counted."""
    kernel.load(*kernel.TLS, *kernel.AES_GCM, *kernel.CHACHA20)
    rig = rigs()
    yield rig
    at_rest(rig)


def memory(rig):
    """What is penstock's alone, in bytes."""
    status = pathlib.Path(f"/proc/{rig.gate.process.pid}/status").read_text()
    return int(re.search(r"^RssAnon:\s+(\d+) kB$", status, re.M)[1]) * 1024


def connections(rig, way, number):
    """Each has moved data both ways, some of them enough to be spliced."""
    for i in range(number):
        near, far = rig.connect(way, "1.3", "AES-128-GCM")
        size = 50001 if i % 10 == 0 else 101
        bulk(rig, (near, far, size), (far, near, size))


@pytest.mark.parametrize("way", ["tls-plain", "tls-tls"])
def test_idle(rig, way):
    """The first ones take what is there for all: a slope, then."""
    count = rig.count()
    connections(rig, way, FEW)
    few = memory(rig)
    connections(rig, way, MANY - FEW)
    each = (memory(rig) - few) / (MANY - FEW)
    directions = MANY * (2 if way == "tls-tls" else 1)
    count.ktls(send=directions, recv=directions)
    notes.append(f"{each / 1024:.1f} KiB for an idle {way} connection")
    assert 500 < each <= MOST, f"{each:.0f} bytes for each connection"
