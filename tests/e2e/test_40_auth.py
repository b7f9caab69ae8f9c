"""Tokens pass through: the brokers authenticate the client itself, renew what expires, and refuse in their own words."""
import time

import netns
import pulsar
import pytest
import settings
import tokens
import wire
from clients import client, fresh, produce, receive, roundtrip, subscribe
from wire import dial


def test_a_good_token(cluster, gate):
    topic = fresh("auth")
    with client(gate.url, authentication=pulsar.AuthenticationToken(tokens.token("client"))) as c:
        consumer = subscribe(c, f"persistent://{topic}")
        produce(c, f"persistent://{topic}", range(100))
        assert receive(consumer, 100) == list(range(100))


def refused_bytes(address, port, token, target=None, side=netns.client_side):
    """What a raw client gets for a token: all bytes until the end."""
    with side():
        peer = dial(address, port)
    peer.send(wire.connect(target=target, method="token", data=token.encode()))
    return peer.read_to_end()[0]


BAD = {
    "nonsense": lambda: "nonsense",
    "another key": lambda: tokens.token("client", key=b"k" * 32),
    "expired": lambda: tokens.token("client", -60),
    "empty": lambda: "",
}


@pytest.mark.parametrize("kind", BAD)
def test_a_wrong_token(cluster, gate, kind):
    """The ERROR a client sees is byte for byte what the broker says to a direct client, on lookup and on data connections."""
    token = BAD[kind]()
    direct = refused_bytes(settings.BROKER_ADDRESSES[1], settings.BROKER_PORT, token, side=netns.broker_side)
    error = wire.Frame(direct)
    assert error.kind == wire.ERROR and error[2] == wire.AUTHENTICATION_ERROR
    assert refused_bytes(settings.GATE_ADDRESS, gate.port, token) == direct
    target = cluster.broker_url(1).removeprefix("pulsar://")
    assert refused_bytes(settings.GATE_ADDRESS, gate.port, token, target) == direct


def test_a_wrong_token_in_the_client(gate, java):
    """The Java client names it; the Python client retries until its time-out, with a broker as with penstock."""
    answer = java.ask("roundtrip", url=gate.url, topic=f"persistent://{fresh()}", token="nonsense")
    assert not answer["ok"] and answer["error"] == "AuthenticationException", answer
    with pytest.raises((pulsar.AuthenticationError, pulsar.Timeout)):
        with client(gate.url, authentication=pulsar.AuthenticationToken("nonsense"), operation_timeout_seconds=2) as c:
            c.create_producer(f"persistent://{fresh()}")


def test_no_permission(cluster, gate):
    """A good token of a role that may do nothing: AuthorizationError, as itself."""
    with client(gate.url, authentication=pulsar.AuthenticationToken(tokens.token("stranger"))) as c:
        with pytest.raises(pulsar.AuthorizationError):
            c.create_producer(f"persistent://{fresh()}")


def test_permission_of_a_role(cluster, gate):
    """A role that may produce but not consume."""
    cluster.admin("PUT", "/admin/v2/namespaces/public/rights", {"replication_clusters": ["c1"]}, ok=(204, 409))
    cluster.admin("POST", "/admin/v2/namespaces/public/rights/permissions/writer", ["produce"])
    topic = f"persistent://{fresh('rights', 'public/rights')}"
    with client(gate.url, authentication=pulsar.AuthenticationToken(tokens.token("writer"))) as c:
        produce(c, topic, range(10))
        with pytest.raises(pulsar.AuthorizationError):
            c.subscribe(topic, "s")
    with client(gate.url) as c:
        assert receive(subscribe(c, topic), 10) == list(range(10))


def test_expiry_and_refresh(cluster, gate):
    """Tokens of a few seconds: the broker's AUTH_CHALLENGE and the client's answer flow, the connections live on, no message is lost."""
    life = 3
    asked = []

    def renew():
        asked.append(time.monotonic())
        return tokens.token("client", life)

    topic = f"persistent://{fresh('refresh')}"
    with client(gate.url, authentication=pulsar.AuthenticationToken(renew)) as c:
        consumer = subscribe(c, topic)
        producer = c.create_producer(topic)
        # By number: the log may still be about to tell of connections of an earlier test.
        mine = {str(row["id"]) for row in gate.json("/connections")["connections"]}
        until, number = time.monotonic() + 3 * life, 0
        while time.monotonic() < until:
            producer.send(b"%d" % number)
            one = consumer.receive(45_000)
            assert one.data() == b"%d" % number
            consumer.acknowledge(one)
            number += 1
            time.sleep(0.02)
        ended = [row for row in gate.access() if row["id"] in mine]
        roundtrip(c, f"persistent://{fresh('refresh')}", 20)  # the lookup connection is in good standing too
    assert mine and not ended, f"connections ended meanwhile: {ended}"
    assert len(asked) >= 3


def test_expiry_without_refresh(cluster, gate):
    """A client that cannot renew is cut off by the broker, through penstock as directly."""
    with client(gate.url, authentication=pulsar.AuthenticationToken(tokens.token("client", 10))) as c:
        producer = c.create_producer(f"persistent://{fresh()}")
        producer.send(b"while it is good")
        deadline = time.monotonic() + 60
        while not gate.access(kind="data", reason="broker_fin") and not gate.access(kind="data", reason="broker_rst"):
            assert time.monotonic() < deadline, "nobody cut it off"
            time.sleep(0.1)


def test_refresh_with_java(gate, java):
    life = 3
    answer = java.run(
        "refresh", url=gate.url, topic=f"persistent://{fresh('refresh')}", life=life, length=8,
        tokens=[tokens.token("client", life * (n + 1) + 1) for n in range(6)],
    )  # fmt: skip
    assert answer["asked"] >= 3
