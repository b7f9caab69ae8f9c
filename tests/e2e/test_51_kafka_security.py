"""TLS and authentication in front of Kafka: ended here, begun again towards brokers, server names, certificates, SASL passed on, who may do what."""
import contextlib
import itertools
import json
import socket
import ssl
import struct
import time
import uuid

import netns
import pytest
import settings
import wire
from coprocess import begun
from kafkaclients import check, check_load
from kafkamodes import SESSION, by_port, clusters, ended_by_brokers, wait_old
from kafkawire import SASL_AUTHENTICATE, SASL_HANDSHAKE, ask_hosts, ask_topics, read_response
from kafkawire import request as ask
from processes import wait_until

GATE = settings.GATE_ADDRESS
NODES = sorted(settings.KAFKA_NAMES)
PORTS = itertools.count(9200, 10)  # a port is free again some time after its owner was killed
SNI_NAMES = {"kafka.gw.test": GATE, **{f"b{n:02}.gw.test": GATE for n in range(10)}, **{f"k-{n:04}.gw.test": GATE for n in NODES}}


@pytest.fixture(scope="module", autouse=True)
def names(kafka):
    netns.client_names({**SNI_NAMES, "gw.test": GATE, "elsewhere.gw.test": GATE})
    yield
    netns.client_names()


@pytest.fixture(scope="module")
def ours(kafka):
    """penstock's certificate, and one for clients, in the files clients want."""
    certificate, key = kafka.authority.issue("gw.test", "*.gw.test", GATE, prefix="gate-")
    alice, alice_key = kafka.authority.issue("alice", client=True, prefix="client-")
    store = alice.with_name("alice-both.pem")
    store.write_text(alice_key.read_text() + alice.read_text())

    class Ours:
        tls = {"cert_file": str(certificate), "key_file": str(key)}
        client = str(alice), str(alice_key), str(store)
        ca = str(kafka.authority.file)

    return Ours


def python_tls(ours, mutual=False):
    keys = {"security.protocol": "SSL", "ssl.ca.location": ours.ca}
    return {**keys, "ssl.certificate.location": ours.client[0], "ssl.key.location": ours.client[1]} if mutual else keys


def pure_tls(ours, mutual=False):
    keys = {"security_protocol": "SSL", "ssl_cafile": ours.ca}
    return {**keys, "ssl_certfile": ours.client[0], "ssl_keyfile": ours.client[1]} if mutual else keys


def java_tls(ours, mutual=False):
    keys = {"security.protocol": "SSL", "ssl.truststore.type": "PEM", "ssl.truststore.location": ours.ca}
    return {**keys, "ssl.keystore.type": "PEM", "ssl.keystore.location": ours.client[2]} if mutual else keys


def sasl(mechanism, user="alice", secret="alice-secret", tls=None):
    """The keys of librdkafka and of Java."""
    protocol = "SASL_SSL" if tls else "SASL_PLAINTEXT"
    jaas = {"PLAIN": "plain.PlainLoginModule", "SCRAM-SHA-256": "scram.ScramLoginModule"}[mechanism]
    python = {**(tls[0] if tls else {}), "security.protocol": protocol, "sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": secret}
    java = {
        **(tls[1] if tls else {}), "security.protocol": protocol, "sasl.mechanism": mechanism,
        "sasl.jaas.config": f'org.apache.kafka.common.security.{jaas} required username="{user}" password="{secret}";',
    }  # fmt: skip
    return python, java


def start(penstock, kafka, upstream="PLAINTEXT", cluster=(), kafka_keys=(), **listener):
    """One listener in port mode unless told otherwise: its brokers at port + 1, + 2, + 3."""
    port = next(PORTS)
    one = penstock.new(port)
    one.start({"clusters": clusters(kafka, upstream, **dict(cluster)), "listeners": [by_port(port, kafka=kafka_keys, **listener)]})
    one.servers, one.port = f"{GATE}:{port}", port
    one.names = {f"{n} {GATE}:{port + n}" for n in NODES}
    return one


def secure(ours, port, name=None, certificate=None):
    """A socket inside TLS; without a name none is said, and none is checked."""
    context = ssl.create_default_context(cafile=ours.ca)
    context.check_hostname = name is not None
    if certificate:
        context.load_cert_chain(*certificate)
    return context.wrap_socket(socket.create_connection((GATE, port), 10), server_hostname=name)


# ---- TLS


def test_tls_ends_here(penstock, kafka, ours):
    gate = start(penstock, kafka, tls=ours.tls)
    check(kafka.python.run("roundtrip", servers=gate.servers, config=python_tls(ours)), gate.names)
    check(kafka.python.run("roundtrip", library="pure", servers=gate.servers, config=pure_tls(ours)), gate.names)
    check(kafka.java.run("roundtrip", servers=gate.servers, config=java_tls(ours)), gate.names)


def test_tls_begins_again(penstock, kafka, ours):
    """Brokers' certificates are for the names they advertise, and are checked for those."""
    gate = start(penstock, kafka, "SSL", tls=ours.tls, cluster={"broker_tls": {"ca_file": ours.ca}})
    check(kafka.python.run("roundtrip", servers=gate.servers, config=python_tls(ours), count=3000, size=2000), gate.names)
    check(kafka.java.run("roundtrip", servers=gate.servers, config=java_tls(ours), count=3000, size=2000), gate.names)
    assert kafka.java.run("transactions", servers=gate.servers, config=java_tls(ours))["got"] == list(range(200))


def test_tls_to_brokers_only(penstock, kafka, ours):
    gate = start(penstock, kafka, "SSL", cluster={"broker_tls": {"ca_file": ours.ca}})
    check(kafka.python.run("roundtrip", servers=gate.servers), gate.names)


def test_certificates_both_ways(penstock, kafka, ours):
    """A client shows one to penstock, penstock one to brokers that let nobody in without."""
    mutual = {"client_auth": "require", "client_ca_file": ours.ca, "allow_clients": ["cn:alice"]}
    broker_tls = {"ca_file": ours.ca, "cert_file": ours.client[0], "key_file": ours.client[1]}
    gate = start(penstock, kafka, "MTLS", tls={**ours.tls, **mutual}, cluster={"broker_tls": broker_tls})
    check(kafka.python.run("roundtrip", servers=gate.servers, config=python_tls(ours, True)), gate.names)
    check(kafka.java.run("roundtrip", servers=gate.servers, config=java_tls(ours, True)), gate.names)
    nobody = kafka.python.ask("brokers", time=6, servers=gate.servers, config={**python_tls(ours), "socket.timeout.ms": 3000})
    assert not nobody["ok"]
    gate.wait_access(reason="client_tls_cert_missing")


def test_whose_certificates(penstock, kafka, ours):
    """All are signed by the right authority; those are let in that a rule is for."""
    rules = {"client_auth": "require", "client_ca_file": ours.ca, "allow_clients": ["cn:alice", "dns:*.team.test"]}
    gate = start(penstock, kafka, tls={**ours.tls, **rules})
    mine = {name: kafka.authority.issue(name, client=True, prefix="rule-") for name in ("alice", "carol.team.test", "bob", "carol.other.test")}
    for name in ("alice", "carol.team.test"):
        with secure(ours, gate.port, GATE, mine[name]) as sock:
            sock.sendall(ask(18))
            assert read_response(sock)[:6] == b"\0\0\0\1\0\0"
    for name in ("bob", "carol.other.test"):
        gate.forget_log()
        with pytest.raises((ssl.SSLError, ConnectionResetError)), secure(ours, gate.port, GATE, mine[name]) as sock:
            sock.recv(1)  # TLS 1.3: the client believes itself done before it has been judged
        gate.wait_access(reason="client_tls_cert_denied")


def test_server_names(penstock, kafka, ours):
    keys = {"mode": "sni", "advertise": "b##.gw.test", "bootstrap": "kafka.gw.test"}
    gate = start(penstock, kafka, tls=ours.tls, kafka_keys=keys)
    names = {f"{n} b{n:02}.gw.test:{gate.port}" for n in NODES}
    check(kafka.python.run("roundtrip", servers=f"kafka.gw.test:{gate.port}", config=python_tls(ours)), names)
    check(kafka.python.run("roundtrip", library="pure", servers=f"kafka.gw.test:{gate.port}", config=pure_tls(ours)), names)
    check(kafka.java.run("roundtrip", servers=f"b02.gw.test:{gate.port}", config=java_tls(ours)), names)
    refused = kafka.python.ask("brokers", time=6, servers=f"elsewhere.gw.test:{gate.port}", config={**python_tls(ours), "socket.timeout.ms": 3000})
    assert not refused["ok"]
    gate.wait_access(reason="no_route")


def side_by_side(penstock, kafka, ours, *listeners):
    """A listener each for these keys of kafka, all for one cluster, at port, port + 1, ..."""
    port = next(PORTS)
    gate = penstock.new(port)
    gate.start({
        "clusters": {"k": {"protocol": "kafka", "discovery": {"bootstrap": kafka.bootstrap("PLAINTEXT")}}},
        "listeners": [
            {"name": f"kafka-{i}", "bind": f"{GATE}:{port + i}", "cluster": "k", "tls": ours.tls, "kafka": {"mode": "sni", **keys}}
            for i, keys in enumerate(listeners)
        ],
    })  # fmt: skip
    gate.port = port
    return gate


def test_names_of_several_kinds(penstock, kafka, ours):
    """Clients of one cluster hear the names of the listener they came to; a name that is nobody's, or none at all, is refused, or any broker's with `unknown: bootstrap`."""
    kinds = {"advertise": "{cluster}-####.gw.test", "unknown": "bootstrap"}, {"advertise": "b##.gw.test", "bootstrap": "kafka.gw.test"}, {"advertise": "B{id}.gw.test:443"}
    gate = side_by_side(penstock, kafka, ours, *kinds)
    port, tls = gate.port, python_tls(ours)
    one = {f"{n} k-{n:04}.gw.test:{port}" for n in NODES}
    other = {f"{n} b{n:02}.gw.test:{port + 1}" for n in NODES}
    check(kafka.python.run("roundtrip", servers=f"elsewhere.gw.test:{port}", config=tls), one)
    check(kafka.python.run("roundtrip", servers=f"kafka.gw.test:{port + 1}", config=tls), other)
    check(kafka.python.run("roundtrip", servers=f"{GATE}:{port}", config=tls), one)  # an address is no server name
    with secure(ours, port + 2, "b2.gw.test") as sock:
        assert ask_hosts(sock)[0] == {n: (f"b{n}.gw.test", 443) for n in NODES}
    for name, reason in (("elsewhere.gw.test", "no_route"), (None, "sni_missing")):
        with contextlib.suppress(ConnectionResetError), secure(ours, port + 1, name) as sock:
            sock.sendall(ask(18))
            assert sock.recv(1) == b""
        gate.wait_access(reason=reason)


def test_brokers_check_whom_clients_want(penstock, kafka, ours):
    """ApiVersions v5 says which node of which cluster a client believes to be at (KIP-1242): brokers refuse what is not for them, and through penstock all of it is."""

    def wants(node, cluster):
        text = lambda s: bytes([len(s) + 1]) + s.encode()  # noqa: E731
        return ask(18, 5, body=b"\0" + text("test") + text("1") + text(cluster) + struct.pack(">ib", node, 0))

    def error(sock, said):
        sock.sendall(said)
        return struct.unpack_from(">ih", read_response(sock))[1]

    by_port = start(penstock, kafka)
    by_name = start(penstock, kafka, tls=ours.tls, kafka_keys={"mode": "sni", "advertise": "b##.gw.test", "bootstrap": "kafka.gw.test"})
    with socket.create_connection((GATE, by_port.port), 10) as sock:
        _, cluster = ask_hosts(sock)
    for node in NODES:
        others = [(n, cluster) for n in NODES if n != node]
        for dial in (lambda n: socket.create_connection((GATE, by_port.port + n), 10), lambda n: secure(ours, by_name.port, f"b{n:02}.gw.test")):
            with dial(node) as sock:
                assert error(sock, wants(node, cluster)) == 0
            for wrong in (*others, (node, "another-cluster")):  # they would be refused: this proves something
                with dial(node) as sock:
                    assert error(sock, wants(*wrong)) == 129, wrong


def test_names_by_a_rule(penstock, kafka, ours):
    """Where brokers are follows from their ids: nothing is asked, and a node's name works before any answer has told of it."""
    keys = {"mode": "sni", "advertise": "b##.gw.test"}
    rule = {"discovery": {"bootstrap": kafka.bootstrap("SSL"), "nodes": "broker-{id}.kafka.test:9094"}, "broker_tls": {"ca_file": ours.ca}}
    gate = start(penstock, kafka, "SSL", tls=ours.tls, kafka_keys=keys, cluster=rule)
    with secure(ours, gate.port, "b03.gw.test") as sock:
        sock.sendall(ask(18))
        assert read_response(sock)
    assert gate.wait_access()["broker"] == f"{settings.KAFKA_ADDRESSES[3]}:9094"
    answer = kafka.python.run("roundtrip", servers=f"b03.gw.test:{gate.port}", config=python_tls(ours))
    check(answer, {f"{n} b{n:02}.gw.test:{gate.port}" for n in NODES})


# ---- SASL


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_sasl_goes_through(penstock, kafka, ours, mechanism):
    gate = start(penstock, kafka, "SASL_SSL", tls=ours.tls, cluster={"broker_tls": {"ca_file": ours.ca}})
    python, java = sasl(mechanism, tls=(python_tls(ours), java_tls(ours)))
    check(kafka.python.run("roundtrip", servers=gate.servers, config=python), gate.names)
    check(kafka.java.run("roundtrip", servers=gate.servers, config=java), gate.names)
    wrong, _ = sasl(mechanism, secret="wrong", tls=(python_tls(ours), java_tls(ours)))
    assert not kafka.python.ask("brokers", time=6, servers=gate.servers, config={**wrong, "socket.timeout.ms": 3000})["ok"]


def authenticated(port):
    """A socket that has shown PLAIN's token once."""
    text = lambda s: struct.pack(">h", len(s)) + s  # noqa: E731
    sock, token = socket.create_connection((GATE, port), 60), b"\0alice\0alice-secret"
    sock.sendall(ask(SASL_HANDSHAKE, 1, body=text(b"PLAIN")))
    assert read_response(sock)[4:6] == b"\0\0"
    sock.sendall(ask(SASL_AUTHENTICATE, 1, body=struct.pack(">i", len(token)) + token))
    answer = read_response(sock)
    assert answer[4:6] == b"\0\0" and struct.unpack(">q", answer[-8:])[0] == 1000 * SESSION, answer
    return sock


def test_authenticated_again(penstock, kafka):
    """A session is 5 s: Java's connections outlive it twice, in the middle of their requests, and brokers end none. They do end the one that says nothing."""
    gate = start(penstock, kafka, "SASL_PLAINTEXT")
    _, java = sasl("PLAIN")
    topic = kafka.python.run("create", servers=gate.servers, config=sasl("PLAIN")[0])["topic"]
    with authenticated(gate.port) as sock:
        kafka.java.begin("load", servers=gate.servers, config=java, topic=topic, time=18)
        with begun(kafka.java):
            wait_old(gate, "kafka")
            answer = kafka.java.answer("load", 200)
        lazy = "{}:{}".format(*sock.getsockname())
        with contextlib.suppress(ConnectionResetError):
            sock.sendall(ask(18))
            assert sock.recv(100) == b""
    gate.wait_access(seconds=60, client=lazy)
    check_load(answer)
    late = [row["client"] for row in ended_by_brokers(gate)]
    assert late.count(lazy) == 1, late

    def old():
        return [row for row in gate.access() if float(row["total_ms"]) > 2000 * SESSION and row["client"] != lazy]

    wait_until("old ones to end", 5, lambda: len(old()) > 2 * (len(late) - 1))  # of a busy host's a few may be read too late


# ---- who may do what


# Short requests and such as are longer than any buffer; what they are told is what applications hear.
DENIED_PRODUCERS = [
    ("python", {"count": 1, "config": {"enable.idempotence": False}}, "TOPIC_AUTHORIZATION_FAILED"),
    ("python", {"count": 200, "size": 20000, "config": {"enable.idempotence": False, "linger.ms": 200}}, "TOPIC_AUTHORIZATION_FAILED"),
    ("python", {"count": 1, "library": "pure", "config": {"enable_idempotence": False}}, "TopicAuthorizationFailed"),
    ("java", {"count": 1, "config": {"enable.idempotence": False}}, "TopicAuthorizationException"),
    ("java", {"count": 200, "size": 20000, "config": {"enable.idempotence": False, "linger.ms": 200, "batch.size": 900000}}, "TopicAuthorizationException"),
]  # fmt: skip


def test_read_only(penstock, kafka):
    free = start(penstock, kafka)
    topic = kafka.python.run("roundtrip", servers=free.servers)["topic"]
    gate = start(penstock, kafka, kafka_keys={"read_only": True})
    for client, words in ((kafka.python, {}), (kafka.python, {"library": "pure"})):
        got = client.run("consume", servers=gate.servers, topic=topic, count=1000, **words)["got"]
        assert got == list(range(1000))
    assert not kafka.python.ask("create", servers=gate.servers)["ok"]
    assert not kafka.java.ask("delete", servers=gate.servers, topic=topic)["ok"]
    # A producer that is idempotent asks for an id first, which is not offered; others are told for each partition.
    assert not kafka.python.ask("produce", servers=gate.servers, topic=topic, first=0, count=1, config={"message.timeout.ms": 3000})["ok"]
    for client, words, error in DENIED_PRODUCERS:
        begun = time.monotonic()
        refused = getattr(kafka, client).ask("produce", servers=gate.servers, topic=topic, first=0, **words)
        assert not refused["ok"] and error in json.dumps(refused), refused
        assert time.monotonic() - begun < 30, "it was told, and should not have tried again"
    seen = gate.metrics()
    assert seen("penstock_kafka_denied_total", api="Produce") == seen("penstock_kafka_answered_total") >= len(DENIED_PRODUCERS)
    assert seen("penstock_kafka_requests_total", api="Produce") == 0
    assert "api_denied" not in [line.get("reason") for line in gate.access()], "nobody's connection was ended"
    gate.wait_access(reason="api_unknown", client=ends(gate, ask(10000)))  # of a vendor's call nobody knows whether it writes
    assert kafka.python.run("consume", servers=free.servers, topic=topic, count=1000)["got"] == list(range(1000))
    assert kafka.java.run("contents", servers=free.servers, topic=topic, count=1000)["stored"] == 1000
    kafka.python.close()  # a producer that has failed keeps its connections until Python takes it away


def test_read_only_makes_no_topics(penstock, kafka):
    """Metadata makes a topic that is asked for where brokers allow it, unless it says not to: here it always does."""
    gate = start(penstock, kafka, kafka_keys={"read_only": True})
    free = start(penstock, kafka)
    names = [f"{name}-{uuid.uuid4().hex[:8]}" for name in ("java", "confluent", "pure")]
    kafka.java.run("metadata", servers=gate.servers, topic=names[0])
    kafka.python.ask("consume", servers=gate.servers, topic=names[1], count=1, time=3, config={"allow.auto.create.topics": True})
    kafka.python.ask("consume", library="pure", servers=gate.servers, topic=names[2], count=1, time=3)
    for name in names:
        assert not kafka.java.run("metadata", servers=gate.servers, topic=name)["exists"]
    wait_until("brokers here to make topics, or this proves nothing", 30, lambda: kafka.java.run("metadata", servers=free.servers, topic=names[0])["exists"])


def test_read_only_and_many_topics(penstock, kafka):
    """More of them than fit into a buffer, asked for as consumers do: all are answered, and none is made."""
    unknown, prefix = 3, f"none-{uuid.uuid4().hex[:8]}"
    names = [f"{prefix}-{i}" for i in range(5000)]
    gate, free = start(penstock, kafka, kafka_keys={"read_only": True}), start(penstock, kafka)
    with socket.create_connection((GATE, gate.port), 30) as sock:
        for creates in (True, False):
            assert ask_topics(sock, names, creates) == dict.fromkeys(names, unknown)
        assert not [name for name in ask_topics(sock) if name.startswith(prefix)]
    assert gate.metrics()("penstock_kafka_requests_total", api="Metadata") == 3
    with socket.create_connection((GATE, free.port), 30) as sock:
        ask_topics(sock, names[:1], True)
        deadline = time.monotonic() + 10
        while names[0] not in ask_topics(sock):
            assert time.monotonic() < deadline, "brokers here make no topics: this proves nothing"
            time.sleep(0.1)


def test_denied_calls(penstock, kafka):
    gate = start(penstock, kafka, kafka_keys={"deny_apis": ["DeleteTopics"]})
    answer = kafka.java.run("roundtrip", servers=gate.servers)
    check(answer, gate.names)
    refused = kafka.java.ask("delete", servers=gate.servers, topic=answer["topic"])
    assert not refused["ok"] and refused["error"] == "UnsupportedVersionException", refused


def test_client_ids_and_networks(penstock, kafka):
    gate = start(penstock, kafka, kafka_keys={"client_id_prefix": "team-a-"})
    check(kafka.python.run("roundtrip", servers=gate.servers, config={"client.id": "team-a-1"}), gate.names)
    assert not kafka.python.ask("brokers", time=6, servers=gate.servers, config={"client.id": "team-b-1", "socket.timeout.ms": 2000})["ok"]
    gate.wait_access(reason="client_id_denied")
    shut = start(penstock, kafka, allow=["10.99.0.0/16"])
    assert not kafka.python.ask("brokers", time=6, servers=shut.servers, config={"socket.timeout.ms": 2000})["ok"]
    shut.wait_access(reason="acl_cidr")


# ---- the wrong protocol, and what the log says of it


def ends(gate, said, hears=b""):
    """Says it; hears that, and the end. Its own address, as the log has it."""
    with socket.create_connection((GATE, gate.port), 5) as sock:
        sock.settimeout(10)
        ours = "{}:{}".format(*sock.getsockname())
        sock.sendall(said)
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := sock.recv(1000):
                got += piece
        assert got == hears
        return ours


def hinted(gate, client, *words, reason=None):
    """A line that says who it was and what helps, at most one of each worker; and the access line."""
    if reason:
        gate.wait_access(reason=reason, **({"client": client} if client else {}))
    words = (client or f"client {settings.CLIENT_ADDRESS}:", *words)
    wait_until(f"a hint with {words}", 5, lambda: any(all(word in line for word in words) for line in hints(gate)))
    workers = [line.split()[3] for line in hints(gate)]
    assert len(workers) == len(set(workers)), hints(gate)


def hints(gate):
    return [line for line in gate.log().splitlines() if " kafka_hint " in line]


MISTAKES = [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "not_kafka_http", "/readyz"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "not_kafka_tls", "tls.cert_file"),
    (wire.connect(), "not_kafka_pulsar", "protocol kafka"),
    (ask(0, 9, size=200 << 20), "frame_too_big", "a request of 209715200 bytes", "kafka.max_request"),
    (ask(300), "api_unknown", "a call (key 300) version 0", "kafka.unknown_apis"),
    (ask(3, 99), "api_version", "Metadata (key 3) version 99", "ApiVersions"),
    (ask(34), "api_denied", "AlterReplicaLogDirs (key 34) version 0", "kafka.deny_apis"),
    (ask(18, client=b"x"), "client_id_denied", "kafka.client_id_prefix"),
]  # fmt: skip


@pytest.mark.parametrize("said, reason, words", [(said, reason, words) for said, reason, *words in MISTAKES], ids=[row[1] for row in MISTAKES])
def test_one_line_with_the_remedy(penstock, kafka, said, reason, words):
    """One a minute of each kind, whoever else comes; the access log has everybody."""
    gate = start(penstock, kafka, kafka_keys={"deny_apis": ["AlterReplicaLogDirs"], "client_id_prefix": "te"})
    first = ends(gate, said)
    second = ends(gate, said)
    hinted(gate, first, *words, reason=reason)
    gate.wait_access(reason=reason, client=second)


def test_a_denied_call_that_is_answered(penstock, kafka):
    gate = start(penstock, kafka, kafka_keys={"deny_apis": ["Heartbeat"]})
    with socket.create_connection((GATE, gate.port), 5) as sock:
        for number in (1, 2):
            sock.sendall(ask(12, correlation=number))
            assert sock.recv(100) == struct.pack(">iih", 6, number, 30)  # GROUP_AUTHORIZATION_FAILED
        hinted(gate, "{}:{}".format(*sock.getsockname()), "Heartbeat (key 12) version 0")
    assert gate.metrics()("penstock_kafka_denied_total", api="Heartbeat") == 2


def test_tls_client_of_a_plain_port(penstock, kafka, ours):
    gate = start(penstock, kafka)
    assert not kafka.python.ask("brokers", time=6, servers=gate.servers, config={**python_tls(ours), "socket.timeout.ms": 2000})["ok"]
    hinted(gate, None, "PLAINTEXT", reason="not_kafka_tls")


def test_plain_client_of_a_tls_port(penstock, kafka, ours):
    gate = start(penstock, kafka, tls=ours.tls)
    assert not kafka.python.ask("brokers", time=6, servers=gate.servers, config={"socket.timeout.ms": 2000})["ok"]
    hinted(gate, None, "SASL_SSL", reason="client_tls_hello")


def test_brokers_that_speak_tls(penstock, kafka):
    """Their alert would be a frame of 352 MB to a client."""
    gate = start(penstock, kafka, "SSL")
    hinted(gate, ends(gate, ask(18)), "broker_tls.ca_file", reason="broker_tls")


def test_brokers_that_speak_no_tls(penstock, kafka, ours):
    gate = start(penstock, kafka, "PLAINTEXT", cluster={"broker_tls": {"ca_file": ours.ca}})
    client = ends(gate, ask(18))
    reason = gate.wait_access(client=client)["reason"]
    assert reason in ("broker_tls_gone", "broker_tls_reset")
    hinted(gate, client, "remove broker_tls", reason=reason)


def test_the_end_after_sasl(penstock, kafka):
    """A broker that is told a wrong password says so, and closes."""
    gate = start(penstock, kafka, "SASL_PLAINTEXT")
    good, _ = sasl("PLAIN")
    assert kafka.python.run("brokers", servers=gate.servers, config=good)["brokers"]
    assert " kafka_hint " not in gate.log()
    wrong, _ = sasl("PLAIN", secret="wrong")
    assert not kafka.python.ask("brokers", time=6, servers=gate.servers, config={**wrong, "socket.timeout.ms": 3000})["ok"]
    hinted(gate, None, "right after SASL")
