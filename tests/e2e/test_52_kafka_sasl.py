"""penstock authenticates to Kafka's brokers in the place of clients, who are known by their certificates: as which user, again and again, and not at all."""
import contextlib
import itertools
import json
import re
import socket
import ssl
import struct
import time

import netns
import pytest
import settings
from fakes import FakeBroker
from kafkaclients import check, check_load
from kafkamodes import SESSION, by_port, clusters
from kafkawire import read_response
from processes import wait_until
from test_51_kafka_security import ask, java_tls, python_tls, sasl, secure
from test_51_kafka_security import start as start_passing

GATE = settings.GATE_ADDRESS
NODES = sorted(settings.KAFKA_NAMES)
PORTS = itertools.count(9400, 10)
NAMES = {"kafka.sasl.test": GATE, **{f"{rack}-{n:02}.sasl.test": GATE for rack in ("rack-1", "rack-2", "rack-3", "unknown") for n in range(4)}}


@pytest.fixture(scope="module", autouse=True)
def names(kafka):
    netns.client_names(NAMES)
    yield
    netns.client_names()


class Identity:
    """What test_51's clients want to know of a certificate."""

    def __init__(self, kafka, name):
        certificate, key = kafka.authority.issue(name, client=True, prefix="sasl-")
        store = certificate.with_name(f"{name}-sasl-both.pem")
        store.write_text(key.read_text() + certificate.read_text())
        self.client = str(certificate), str(key), str(store)
        self.ca = str(kafka.authority.file)
        self.python, self.java = python_tls(self, True), java_tls(self, True)


@pytest.fixture(scope="module")
def people(kafka):
    class People:
        alice, bob, mallory = (Identity(kafka, name) for name in ("alice", "bob", "mallory"))
        certificate, key = kafka.authority.issue("gw.test", "*.sasl.test", GATE, prefix="sasl-")
        tls = {"cert_file": str(certificate), "key_file": str(key), "client_auth": "require", "client_ca_file": str(kafka.authority.file)}
        ca = str(kafka.authority.file)

    return People


def write_users(path, text):
    """Another file in its place, as editors and Kubernetes do it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.chmod(0o600)
    fresh.rename(path)


@pytest.fixture
def users(tmp_path):
    path = tmp_path / "users"
    write_users(path, "# who user password\ncn:alice alice alice-secret\n\"cn:bob\"\tadmin \"admin-secret\"\n")
    return path


def ask_versions(ca, certificate, key, port):
    """A client's first question; what has come when the connection ended, or first."""
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(certificate, key)
    with socket.create_connection((GATE, port), 5) as plain, context.wrap_socket(plain, server_hostname=GATE) as secure:
        secure.sendall(struct.pack(">ihhih", 16, 18, 0, 7, 6) + b"client")
        try:
            return secure.recv(100)
        except (ConnectionResetError, ssl.SSLEOFError):
            return b""


def start(penstock, kafka, people, users, mechanism="PLAIN", upstream="SASL_SSL", cluster=(), kafka_keys=(), **keys):
    """A listener for clients with certificates; its brokers, which want users and passwords, at port + 1, + 2, + 3."""
    port, broker_sasl = next(PORTS), {"mechanism": mechanism, "users_file": str(users)}
    one = penstock.new(port)
    one.start({
        "clusters": clusters(kafka, upstream, **{"broker_tls": {"ca_file": people.ca}, "broker_sasl": broker_sasl, **dict(cluster)}),
        "listeners": [by_port(port, kafka=kafka_keys, tls=people.tls)],
        **keys,
    })  # fmt: skip
    one.servers, one.port = f"{GATE}:{port}", port
    one.names = {f"{n} {GATE}:{port + n}" for n in NODES}
    return one


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_clients_without_sasl(penstock, kafka, people, users, mechanism):
    """Their certificates are enough: brokers let in nobody without a user and a password."""
    gate = start(penstock, kafka, people, users, mechanism)
    check(kafka.python.run("roundtrip", servers=gate.servers, config=people.alice.python), gate.names)
    check(kafka.java.run("roundtrip", servers=gate.servers, config=people.bob.java, count=3000, size=2000), gate.names)
    lines = [line for line in gate.access() if "user" in line]
    assert {(line["principal"], line["user"]) for line in lines} == {("alice", "alice"), ("bob", "admin")}
    assert gate.metrics()("penstock_kafka_logins_total", when="first") >= len(lines) > 0
    assert "secret" not in gate.log()


def test_authenticated_again(penstock, kafka, people, users):
    """connections.max.reauth.ms is 5 s: in 12 s every connection in use has been authenticated again twice, in the middle of its requests, and no client knows."""
    gate = start(penstock, kafka, people, users, "SCRAM-SHA-256")
    topic = kafka.python.run("create", servers=gate.servers, config=people.alice.python, partitions=6)["topic"]
    answer = kafka.java.run("load", servers=gate.servers, config=people.alice.java, topic=topic, time=12)
    check_load(answer)
    metrics = gate.metrics()
    assert metrics("penstock_kafka_logins_total", when="again") >= 6
    assert metrics("penstock_kafka_logins_failed_total") == 0
    reasons = [line["reason"] for line in gate.access()]
    assert set(reasons) <= {"client_fin", "client_rst", "broker_fin", "broker_rst"}
    # Without a login in time each connection ends so, by a reset where a request stands unread behind another. Of a busy host's a few may: what had
    # been sent before it was due is read behind the lifetime.
    ended = sum(reason.startswith("broker_") for reason in reasons)
    wait_until("old ones to end", 5, lambda: sum(float(line["total_ms"]) > 2000 * SESSION for line in gate.access()) > 2 * ended)


def test_wrong_password(penstock, kafka, people, users):
    """The client's connection ends, the log says why, once it has been put right clients are let in."""
    write_users(users, "cn:alice alice wrong-secret\n")
    gate = start(penstock, kafka, people, users, "SCRAM-SHA-256", certificates={"refresh": "1s"})
    config = {**people.alice.python, "socket.timeout.ms": 3000}
    assert not kafka.python.ask("brokers", time=6, servers=gate.servers, config=config)["ok"]
    assert gate.wait_access(reason="broker_auth_failed")["term"].startswith("S")
    assert "broker_auth_failed" in gate.log() and "does not take this user and password" in gate.log()
    assert gate.metrics()("penstock_kafka_logins_failed_total") > 0
    write_users(users, "cn:alice alice alice-secret\n")
    wait_until("the file to be read", 10, lambda: "tls_refreshed" in gate.log())
    check(kafka.python.run("roundtrip", servers=gate.servers, config=people.alice.python), gate.names)
    assert "secret" not in gate.log()


def test_mechanism_not_on_offer(penstock, kafka, people, users):
    gate = start(penstock, kafka, people, users, "SCRAM-SHA-512")
    assert not kafka.python.ask("brokers", time=6, servers=gate.servers, config={**people.alice.python, "socket.timeout.ms": 3000})["ok"]
    gate.wait_access(reason="broker_auth_failed")
    assert re.search(r"does not offer this mechanism.*PLAIN", gate.log())


def test_nobody_in_particular(penstock, kafka, people, users):
    """A client no line is for is refused; with a line for everybody it is let in."""
    gate = start(penstock, kafka, people, users)
    assert not kafka.python.ask("brokers", time=6, servers=gate.servers, config={**people.mallory.python, "socket.timeout.ms": 3000})["ok"]
    gate.wait_access(reason="no_broker_user")
    assert gate.metrics()("penstock_kafka_logins_total", when="first") == 0
    write_users(users, "cn:alice alice alice-secret\n* admin admin-secret\n")
    gate.reload()
    assert kafka.python.run("brokers", servers=gate.servers, config=people.mallory.python)["brokers"]
    assert gate.wait_access(user="admin", principal="mallory")


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_brokers_are_asked(penstock, kafka, people, users, mechanism):
    """By whom the file names for everybody: all nodes are known before any client has come. Nobody is, with a wrong password."""
    write_users(users, "cn:alice alice alice-secret\n* admin wrong-secret\n")
    gate = start(penstock, kafka, people, users, mechanism)
    wait_until("a refusal", 20, lambda: "bootstrap_silent" in gate.log())
    assert "broker_sasl: " in gate.log() and gate.metrics()("penstock_bootstrap_rounds_total", cluster="k", result="good") == 0
    write_users(users, "cn:alice alice alice-secret\n* admin admin-secret\n")
    gate.reload()
    wait_until("an answer", 20, lambda: gate.metrics()("penstock_bootstrap_rounds_total", cluster="k", result="good") > 0)
    rows = lambda: gate.json("/brokers")["clusters"][0]["brokers"]
    wait_until("three nodes", 5, lambda: {row["id"]: row["source"] for row in rows()}.items() >= {str(n): "bootstrap" for n in NODES}.items())
    assert "secret" not in gate.log()


def test_clients_that_authenticate_all_the_same(penstock, kafka, people, users):
    """They are told that no mechanism is on offer, which none of them tries again."""
    gate = start(penstock, kafka, people, users)
    python, java = sasl("PLAIN", tls=(people.alice.python, people.alice.java))
    refused = kafka.java.ask("roundtrip", servers=gate.servers, config=java)
    assert not refused["ok"] and "UnsupportedSaslMechanism" in json.dumps(refused), refused
    assert not kafka.python.ask("brokers", time=6, servers=gate.servers, config={**python, "socket.timeout.ms": 3000})["ok"]


def test_files_everybody_may_read(penstock, kafka, people, users):
    users.chmod(0o644)
    with pytest.raises(Exception):
        start(penstock, kafka, people, users)


def test_names_of_a_cloud(penstock, kafka, people, users):
    """Brokers' own names follow a rule and are asked for by TLS; clients have others for them, with the rack in it."""
    rule = {"discovery": {"bootstrap": kafka.bootstrap("SASL_SSL"), "nodes": "broker-{id}.kafka.test:9095"}}
    keys = {"mode": "sni", "advertise": "{rack}-##.sasl.test", "bootstrap": "kafka.sasl.test"}
    gate = start(penstock, kafka, people, users, "SCRAM-SHA-256", cluster=rule, kafka_keys=keys)
    names = {f"{n} rack-{n}-{n:02}.sasl.test:{gate.port}" for n in NODES}
    check(kafka.java.run("roundtrip", servers=f"kafka.sasl.test:{gate.port}", config=people.alice.java), names)
    check(kafka.python.run("roundtrip", servers=f"kafka.sasl.test:{gate.port}", config=people.bob.python), names)


@contextlib.contextmanager
def names_with_racks(lab):
    """What a cloud calls its brokers."""
    table = {f"{n}.rack-{n}.cloud.test": address for n, address in settings.KAFKA_ADDRESSES.items()}
    lab.names.table.update(table)
    yield
    for name in table:
        del lab.names.table[name]


def test_racks_of_a_cloud(penstock, kafka, people, lab):
    """They are in names on both sides. After a restart nobody has told of any, and clients come back by names that have them, and by others."""
    tls = {key: people.tls[key] for key in ("cert_file", "key_file")}
    rule = {"discovery": {"bootstrap": kafka.bootstrap("PLAINTEXT"), "nodes": "{id}.{rack}.cloud.test:9092"}}
    keys = {"mode": "sni", "advertise": "{rack}-##.sasl.test", "bootstrap": "kafka.sasl.test"}

    def came(name):
        with secure(people, gate.port, name) as sock, contextlib.suppress(ConnectionResetError, EOFError):
            sock.sendall(ask(18))
            return read_response(sock)[:6] == b"\0\0\0\1\0\0"
        return False

    with names_with_racks(lab):
        gate = start_passing(penstock, kafka, tls=tls, cluster=rule, kafka_keys=keys)
        config = {**python_tls(people.alice)}
        names = {f"{n} rack-{n}-{n:02}.sasl.test:{gate.port}" for n in NODES}
        check(kafka.python.run("roundtrip", servers=f"kafka.sasl.test:{gate.port}", config=config), names)
        assert gate.stop() == 0
        gate.start(gate.config_file.read_text())
        for n in NODES:
            assert came(f"rack-{n}-{n:02}.sasl.test")
            assert gate.wait_access(broker=f"{settings.KAFKA_ADDRESSES[n]}:9092")
        began = time.monotonic()
        assert not came("unknown-01.sasl.test")  # which penstock made of a rack nobody had told of
        assert time.monotonic() - began > 1.8, "held for timeouts.connect"
        gate.wait_access(reason="node_unknown")
        assert not [asked for asked in lab.names.asked if "unknown.cloud" in asked]
        kafka.python.run("brokers", servers=f"kafka.sasl.test:{gate.port}", config=config)
        assert came("unknown-01.sasl.test") and came("rack-7-01.sasl.test"), "brokers' word counts more than names"


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_users_a_listener_lets_in(penstock, kafka, people, mechanism):
    """Clients that authenticate themselves, as the right user; another one is told so before the broker has heard of it."""
    tls = {key: people.tls[key] for key in ("cert_file", "key_file")}
    gate = start_passing(penstock, kafka, "SASL_SSL", tls=tls, cluster={"broker_tls": {"ca_file": people.ca}}, kafka_keys={"allow_users": ["ali*"]})
    clients = python_tls(people.alice), java_tls(people.alice)
    python, java = sasl(mechanism, tls=clients)
    check(kafka.python.run("roundtrip", servers=gate.servers, config=python), gate.names)
    check(kafka.java.run("roundtrip", servers=gate.servers, config=java), gate.names)
    python, java = sasl(mechanism, "admin", "admin-secret", tls=clients)
    refused = kafka.java.ask("roundtrip", servers=gate.servers, config=java)
    assert not refused["ok"] and "SaslAuthentication" in json.dumps(refused) and "principal_denied" in json.dumps(refused), refused
    assert not kafka.python.ask("brokers", time=6, servers=gate.servers, config={**python, "socket.timeout.ms": 3000})["ok"]
    gate.wait_access(reason="principal_denied")


@contextlib.contextmanager
def principals(kafka, servers, config):
    """What brokers' own logs of requests say meanwhile: {(client id, principal)}, filled at the end."""
    logs = [settings.RUN / "log" / f"kafka{n}" for n in NODES]
    before = [log.stat().st_size for log in logs]
    words = {"servers": servers, "config": config, "name": "kafka.request.logger"}
    kafka.java.run("logger", level="DEBUG", **words)
    seen = set()
    yield seen
    kafka.java.run("logger", **words)
    for log, size in zip(logs, before, strict=True):
        lines = [line for line in log.read_bytes()[size:].decode().splitlines() if "Completed request:" in line]
        rows = [json.loads(line.split("Completed request:", 1)[1]) for line in lines]
        seen |= {(row["requestHeader"]["clientId"], row["principal"]) for row in rows}


def test_another_certificate_for_each_client(penstock, kafka, people, tmp_path):
    """Brokers that go by certificates see one for alice, another for mallory, once there is a line, and none before."""
    lines = tmp_path / "certificates"
    write_users(lines, f"cn:alice {people.alice.client[0]} {people.alice.client[1]}\n")
    gate = start_passing(penstock, kafka, "MTLS", tls=people.tls, cluster={"broker_tls": {"ca_file": people.ca, "clients_file": str(lines)}})
    check(kafka.python.run("roundtrip", servers=gate.servers, config=people.alice.python), gate.names)
    check(kafka.java.run("roundtrip", servers=gate.servers, config=people.alice.java), gate.names)
    mallory = people.ca, *people.mallory.client[:2], gate.port
    assert ask_versions(*mallory) == b""
    write_users(lines, f"cn:mallory {people.mallory.client[0]} {people.mallory.client[1]}\n" + lines.read_text())
    gate.reload()
    wait_until("the reload", 10, lambda: ask_versions(*mallory) != b"")
    with principals(kafka, gate.servers, people.alice.java) as seen:
        for name in ("alice", "mallory"):
            assert kafka.python.run("brokers", servers=gate.servers, config={**getattr(people, name).python, "client.id": f"of-{name}"})["brokers"]
    assert {pair for pair in seen if pair[0].startswith("of-")} == {("of-alice", "User:CN=alice"), ("of-mallory", "User:CN=mallory")}


def test_whom_brokers_see(penstock, kafka, people, users):
    """The user of the line, not who is in the certificate."""
    gate = start(penstock, kafka, people, users)
    with principals(kafka, gate.servers, people.bob.java) as seen:
        for name in ("alice", "bob"):
            assert kafka.python.run("brokers", servers=gate.servers, config={**getattr(people, name).python, "client.id": f"of-{name}"})["brokers"]
    assert {pair for pair in seen if pair[0].startswith("of-")} == {("of-alice", "User:alice"), ("of-bob", "User:admin")}


# ---- brokers that say nothing


@pytest.mark.parametrize("answers", [0, 1])
def test_a_broker_that_does_not_answer(penstock, people, users, fake, answers):
    """Not at all, or not from the second question on: after timeouts.handshake the client is rid of it."""
    heard = []

    def serve(peer):
        while True:
            size = struct.unpack(">i", peer.read_exactly(4))[0]
            heard.append(peer.read_exactly(size))
            if len(heard) <= answers:  # ApiVersions: SaslHandshake and SaslAuthenticate are there
                peer.send(struct.pack(">iihi", 22, 1, 0, 2) + struct.pack(">hhh", 17, 0, 1) + struct.pack(">hhh", 36, 0, 2))

    broker, port = fake(serve, port=9092, seconds=20), next(PORTS)
    gate = penstock.new(port)
    gate.start({
        "clusters": {"k": {
            "protocol": "kafka", "discovery": {"bootstrap": [broker.where], "refresh": "off"},
            "broker_sasl": {"mechanism": "PLAIN", "users_file": str(users)},
        }},
        "listeners": [{"name": "kafka", "bind": f"{GATE}:{port}", "cluster": "k", "tls": people.tls, "kafka": {"advertise": GATE, "nodes": ["1-3"]}}],
        "timeouts": {"handshake": "1s"},
    })  # fmt: skip
    began = time.monotonic()
    assert ask_versions(people.ca, *people.alice.client[:2], port) == b""
    assert 0.9 < time.monotonic() - began < 4
    line = gate.wait_access(reason="broker_auth_timeout")
    assert line["term"].startswith("s") and line["user"] == "alice" and line["bytes_to_client"] == "0"
    assert [struct.unpack(">h", frame[:2])[0] for frame in heard] == [18, 17][: answers + 1] and all(b"penstock" in frame for frame in heard)


def test_whose_certificate_brokers_see(penstock, kafka, people, tmp_path):
    """The certificate of each client's line, and for whom there is none that of everybody."""
    seen = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def serve(peer):
        with context.wrap_socket(peer.sock, server_side=True) as inside:
            seen.append(dict(pair for (pair,) in inside.getpeercert()["subject"])["commonName"])
            inside.recv(1000)

    broker = FakeBroker(serve=serve, port=9094)
    context.load_cert_chain(*kafka.authority.issue(broker.address, prefix="fake-"))
    context.load_verify_locations(people.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    everybody, signers = Identity(kafka, "everybody"), {name: Identity(kafka, f"{name}-signed") for name in ("alice", "bob")}
    lines = tmp_path / "certificates"
    write_users(lines, "".join(f"cn:{name} {who.client[0]} {who.client[1]}\n" for name, who in signers.items()))
    keys = {"ca_file": people.ca, "cert_file": everybody.client[0], "key_file": everybody.client[1], "clients_file": str(lines)}
    cluster = {"discovery": {"bootstrap": [broker.where], "refresh": "off"}, "broker_tls": keys}
    gate = start_passing(penstock, kafka, tls=people.tls, cluster=cluster)
    try:
        for client, shown in (("alice", "alice-signed"), ("bob", "bob-signed"), ("mallory", "everybody"), ("alice", "alice-signed")):
            with secure(people, gate.port, GATE, getattr(people, client).client[:2]) as sock:
                sock.sendall(ask(18))
                wait_until("a broker to be shown a certificate", 5, lambda: seen)
            assert seen == [shown], client
            seen.clear()
    finally:
        broker.close()
    assert broker.errors == []
