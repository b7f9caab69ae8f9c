"""The wire that reads along (tap.py) sees an address of a broker when one goes by, in plain bytes and inside TLS; nothing is missed between two
reads. What is forwarded without being looked at has such addresses.
"""
import contextlib
import socket
import ssl

import netns
import pytest
import settings
import tap
from kafkawire import ask_hosts

PORTS = {"plain": 9470, "tls": 9471}
NAME = "gw.test"


@pytest.fixture(scope="module")
def gate(module_penstock, kafka):
    """Passes on what the broker says, with TLS and without."""
    certificate, key = kafka.authority.issue(NAME, prefix="forward-")
    tls = {"tls": {"cert_file": str(certificate), "key_file": str(key)}}
    return module_penstock.new().start({
        "listeners": [
            {"name": way, "bind": f"{settings.GATE_ADDRESS}:{port}", "forward": kafka.bootstrap("PLAINTEXT")[0], **(tls if way == "tls" else {})}
            for way, port in PORTS.items()
        ],
    })  # fmt: skip


def made(way, kafka, **how):
    return tap.Tap([PORTS[way]], **how) if way == "plain" else tap.TlsTap([PORTS[way]], kafka.authority, NAME, **how)


@contextlib.contextmanager
def client(way, kafka):
    with netns.client_side():
        sock = socket.create_connection((tap.HOST, PORTS[way]), 5)
    if way == "tls":
        sock = ssl.create_default_context(cafile=kafka.authority.file).wrap_socket(sock, server_hostname=NAME)
    with sock:
        sock.settimeout(10)
        yield sock


@pytest.mark.parametrize("way", PORTS)
def test_it_sees_addresses(gate, kafka, way):
    with made(way, kafka) as wire, client(way, kafka) as sock:
        hosts, _ = ask_hosts(sock)
        assert sorted(host for host, _ in hosts.values()) == sorted(settings.KAFKA_NAMES.values())
    assert (wire.connections, {port for port, _ in wire.leaks}) == (1, {PORTS[way]}) and wire.bytes_to_clients > 100
    assert any(b".kafka.test" in around for _, around in wire.leaks), wire.leaks
    with pytest.raises(AssertionError, match="addresses of brokers went to clients"):
        for _ in tap.watched(made(way, kafka)):
            with client(way, kafka) as sock:
                ask_hosts(sock)


@pytest.mark.parametrize("way", PORTS)
def test_it_sees_nothing_else(gate, kafka, way):
    for _ in tap.watched(made(way, kafka, secrets=[b"what no broker says"])):
        with client(way, kafka) as sock:
            ask_hosts(sock)


@pytest.mark.parametrize("way", PORTS)
def test_nobody_came(gate, kafka, way):
    with pytest.raises(AssertionError, match="nobody came by the wire"):
        for _ in tap.watched(made(way, kafka)):
            pass
