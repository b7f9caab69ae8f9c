"""A client may name only brokers. Everything else gets a Pulsar ERROR on that connection, a reason, and no packet leaves for the target."""
import pathlib
import socket

import netns
import pytest
import settings
import wire
from fakes import echo
from wire import dial

EVIL = "outside.test"

# Each is refused by a penstock that knows one broker and allows nothing else. {b} is that broker's address.
TARGETS = [
    "127.0.0.1:6650", "localhost:6650", "127.77.0.2:2181", "0.0.0.0:6650", "255.255.255.255:6650", "224.0.0.1:6650",
    "[::1]:6650", "::1:6650", "[::]:6650", "[::ffff:127.0.0.1]:6650", "[::ffff:7f00:1]:6650", "[fe80::1]:6650",
    "[fe80::1%lo]:6650", "[fd00:ec2::254]:80", "169.254.169.254:80", "169.254.169.254:6650", "169.254.1.1:6650", "10.77.0.99:6650",
    "{b}:0", "{b}:65536", "{b}:-1", "{b}:", "{b}", ":6650", "{b}:6651", "{b}:22", "{b}:6650x", "{b}:0x19fa", "{b}: 6650", "{b}:+6650",
    "2130706433:6650", "0177.0.0.1:6650", "0x7f.0.0.1:6650", "0x7f000001:6650", "127.1:6650", "127.077.001.001:6650",
    "user@{b}:6650", "{b}:6650@127.0.0.1:6650", "{b}:6650,127.0.0.1:6650", "127.0.0.1:6650,{b}:6650", "{b}:6650;127.0.0.1:6650",
    "{b}:6650/x", "{b}:6650#x", "{b}:6650?x", "pulsar://127.0.0.1:6650", "http://{b}:6650", " {b}:6650", "{b} :6650", "{b}:6650 ",
    "{b}:6650\n", "{b}:6650\x00", "{b}\x00.outside.test:6650", "\x00", "x" * 5000 + ":6650", "x" * 256 + ".test:6650", "..:6650", ".:6650",
    f"{EVIL}:6650", f"{EVIL}.:6650", "{b}.outside.test:6650", "metadata.google.internal:80", "*:6650", "%31%32%37.0.0.1:6650",
]  # fmt: skip


def active_opens():
    """How many connections the broker side has begun so far, by the kernel's own count."""
    with netns.broker_side():
        rows = [line.split() for line in pathlib.Path("/proc/thread-self/net/snmp").read_text().splitlines() if line.startswith("Tcp:")]
    return int(dict(zip(rows[0], rows[1]))["ActiveOpens"])


def refusal(gate, target):
    peer = dial(settings.GATE_ADDRESS, gate.port)
    host, port = peer.sock.getsockname()
    peer.send(wire.connect(target=target))
    answer, _ = peer.read_to_end()
    assert answer, f"{target!r:.80}: closed without an ERROR"
    error = wire.Frame(answer)
    assert error.kind == wire.ERROR, f"{target!r:.80}: {error}"
    peer.close()
    return f"{host}:{port}", error


@pytest.fixture(scope="module")
def strict(module_penstock, module_fake, lab):
    lab.names.table[EVIL] = settings.NOBODY_ADDRESS

    class Strict:
        broker = module_fake(echo, seconds=60)
        gate = module_penstock.fixed(broker)

    return Strict


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: ascii(t)[1:-1][:40])
def test_denied(strict, lab, target):
    target = target.replace("{b}", strict.broker.address)
    asked = len(lab.names.asked)
    before, opens = strict.gate.metrics()("penstock_target_denied_total"), active_opens()
    client, error = refusal(strict.gate, target)
    assert active_opens() == opens, "a connection was begun"
    assert error[1] == wire.CONNECTION_LEVEL and error[2] == wire.NOT_ALLOWED, error
    row = strict.gate.wait_access(client=client)
    assert row["reason"].startswith("target_") and row["reason"].endswith("_denied"), row
    assert strict.gate.metrics()("penstock_target_denied_total") == before + 1
    assert lab.names.asked[asked:] == [], "the name was looked up before it was allowed"


def test_own_listener(strict):
    """No loop through penstock itself."""
    client, _ = refusal(strict.gate, f"{settings.GATE_ADDRESS}:{strict.gate.port}")
    assert strict.gate.wait_access(client=client)["reason"].startswith("target_")


def test_the_broker_itself_is_welcome(strict):
    peer = dial(settings.GATE_ADDRESS, strict.gate.port)
    peer.send(wire.connect(target=strict.broker.where), b"hi")
    peer.expect(wire.CONNECTED)
    assert peer.read_exactly(2) == b"hi"
    peer.close()


@pytest.fixture(scope="module")
def allowing(module_penstock, module_fake, lab):
    """Allows *.brokers.test in 10.77.0.0/24, port 6650."""

    class Allowing:
        broker = module_fake(echo, address=settings.OPEN_ADDRESS)
        configured = module_fake(echo)
        gate = module_penstock.fixed(configured, egress={"allow": {"hosts": ["*.brokers.test"], "networks": ["10.77.0.0/24"], "ports": [6650]}})

    return Allowing


def test_an_allowed_name(allowing, lab):
    lab.names.table["b7.brokers.test"] = allowing.broker.address
    peer = dial(settings.GATE_ADDRESS, allowing.gate.port)
    peer.send(wire.connect(target="b7.brokers.test:6650"), b"hi")
    peer.expect(wire.CONNECTED)
    assert peer.read_exactly(2) == b"hi"
    peer.close()


BY_NAME = [
    ("into the machine itself", "127.0.0.1", 6650, ["target_special_denied", "target_network_denied"]),
    ("link-local", "169.254.169.254", 6650, ["target_special_denied", "target_network_denied"]),
    ("another network", "10.78.0.1", 6650, ["target_network_denied"]),
    ("zero", "0.0.0.0", 6650, ["target_special_denied", "target_network_denied"]),
    ("another port", "10.77.0.99", 6651, ["target_port_denied"]),
    ("ourselves", settings.GATE_ADDRESS, None, ["target_special_denied", "target_port_denied"]),
]


@pytest.mark.parametrize("name,address,port,reasons", BY_NAME, ids=[c[0] for c in BY_NAME])
def test_an_allowed_name_that_leads_elsewhere(allowing, lab, name, address, port, reasons):
    """The name passes, the address it resolves to does not."""
    host = f"{name.replace(' ', '-')}.brokers.test"
    lab.names.table[host] = address
    opens = active_opens()
    client, error = refusal(allowing.gate, f"{host}:{port or allowing.gate.port}")
    assert active_opens() == opens
    assert error[2] == wire.NOT_ALLOWED
    assert allowing.gate.wait_access(client=client)["reason"] in reasons


def test_one_label_only(allowing, lab):
    """*.brokers.test is exactly one label."""
    for host in ("a.b.brokers.test", "brokers.test", "xbrokers.test", "a.brokers.test.evil"):
        lab.names.table[host] = allowing.broker.address
        client, _ = refusal(allowing.gate, f"{host}:6650")
        assert allowing.gate.wait_access(client=client)["reason"] == "target_host_denied", host


def test_a_name_that_does_not_exist(allowing):
    client, error = refusal(allowing.gate, "nobody.brokers.test:6650")
    assert error[2] == wire.SERVICE_NOT_READY
    assert allowing.gate.wait_access(client=client)["reason"] == "dns_failed"


def test_nobody_listens_on_the_special_addresses():
    """The proof above counts opened connections; this is the proof that counting works."""
    before = active_opens()
    with netns.broker_side(), socket.socket() as sock:
        sock.settimeout(1)
        sock.connect_ex(("127.0.0.1", 9))
    assert active_opens() == before + 1
