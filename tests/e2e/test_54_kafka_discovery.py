"""penstock asks brokers of Kafka itself where they are: at start, every now and then, and when a client waits."""
import json
import socket
import struct
import subprocess
import time

import netns
import pytest
import settings
from fakes import FakeBroker
from kafkamodes import by_port, clusters
from kafkawire import API_VERSIONS, ask_versions, request
from processes import wait_until

GATE = settings.GATE_ADDRESS


def start(penstock, bootstrap, base, cluster=(), discovery=(), **top):
    gate = penstock.new()
    gate.start({
        "clusters": {"k": {"protocol": "kafka", "discovery": {"bootstrap": bootstrap, "refresh": "1s", "grace": "2s", **dict(discovery)}, **dict(cluster)}},
        "listeners": [by_port(gate.port, base, ["0-9"])],
        "timeouts": {"connect": "1s"},
        **top,
    })  # fmt: skip
    return gate


def nodes(gate):
    """Node ids in /brokers."""
    return sorted(row["id"] for row in gate.json("/brokers")["clusters"][0]["brokers"] if row["id"].isdigit())


def show(gate, *words):
    """penstock show brokers, on the gate's side."""
    return subprocess.run(netns.exec_in(gate.side, [gate.program, "show", "brokers", *words]), capture_output=True, text=True, timeout=20)


def wait_nodes(gate, want, seconds=10):
    wait_until(f"nodes {want}", seconds, lambda: nodes(gate) == want)


# ---- real brokers


def test_nobody_need_ask(penstock, kafka):
    """The first client of all comes to the port of a node. A bootstrap broker that refuses and one that hangs are passed by."""
    gate = start(penstock, ["127.77.0.99:9092", f"{settings.NOBODY_ADDRESS}:9092", "nowhere.kafka.test:9092", *kafka.bootstrap("PLAINTEXT")], 19690)
    wait_nodes(gate, ["1", "2", "3"])
    assert all(ask_versions(19690 + n) for n in (1, 2, 3))
    assert not gate.said("bootstrap_silent")


@pytest.mark.parametrize("kind", ["SSL", "MTLS"])
def test_over_tls(penstock, kafka, kind):
    certificate, key = kafka.authority.issue("penstock", client=True, prefix="asker-")
    tls = {"ca_file": str(kafka.authority.file), **({"cert_file": str(certificate), "key_file": str(key)} if kind == "MTLS" else {})}
    gate = start(penstock, kafka.bootstrap(kind), 19690, cluster={"broker_tls": tls})
    wait_nodes(gate, ["1", "2", "3"])
    assert ask_versions(19692)
    assert gate.wait_access(kind="kafka")["broker"] == f"{settings.KAFKA_ADDRESSES[2]}:{settings.KAFKA_PORTS[kind]}"


def test_tls_that_is_not_to_be_trusted(penstock, kafka, lab):
    gate = start(penstock, kafka.bootstrap("SSL"), 19690, cluster={"broker_tls": {"ca_file": "/etc/ssl/certs/ca-certificates.crt"}})
    gate.wait_said("bootstrap_silent", "TLS")
    assert nodes(gate) == []


def test_a_listener_that_wants_authentication(penstock, kafka):
    """penstock is turned away, says so once, and reads along as ever."""
    gate = start(penstock, kafka.bootstrap("SASL_PLAINTEXT"), 19690)
    gate.wait_said("bootstrap_silent", "authentication")
    assert nodes(gate) == []
    keys = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "alice", "sasl.password": "alice-secret"}
    kafka.python.run("brokers", servers=f"{GATE}:{gate.port}", config=keys)
    wait_nodes(gate, ["1", "2", "3"])
    assert gate.log().count("bootstrap_silent") == 1


def own_user(tmp_path, mechanism, password="admin-secret"):
    """discovery.sasl, and the file with the password."""
    path = tmp_path / "password"
    path.write_text(password + "\n")
    path.chmod(0o600)
    return {"sasl": {"mechanism": mechanism, "user": "admin", "password_file": str(path)}}


def sasl_of(user, mechanism):
    return {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": f"{user}-secret"}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_asked_as_a_user_of_its_own(penstock, kafka, tmp_path, mechanism):
    """penstock has a user to ask with, clients bring theirs: the very first one may come to the port of a node."""
    gate = start(penstock, kafka.bootstrap("SASL_PLAINTEXT"), 19690, discovery=own_user(tmp_path, mechanism))
    wait_nodes(gate, ["1", "2", "3"])
    shown = show(gate, "--admin", gate.admin)
    rows = [line.split() for line in shown.stdout.splitlines() if line[:1].isdigit()]
    assert [row[:4] for row in rows if row[0] in "123"] == [[str(n), f"{name}:9093", f"rack-{n}", "bootstrap"] for n, name in settings.KAFKA_NAMES.items()], shown
    answer = kafka.python.run("roundtrip", servers=f"{GATE}:19692", config=sasl_of("alice", mechanism))
    assert answer["missing"] == [] and answer["twice"] == 0, answer
    assert set(answer["brokers"]) == {f"{n} {GATE}:{19690 + n}" for n in (1, 2, 3)}
    assert {line["broker"].split(":")[1] for line in gate.access() if line["reason"] == "client_fin"} == {"9093"}
    assert not gate.said("bootstrap_silent") and "secret" not in gate.log()


def test_asked_with_a_wrong_password(penstock, kafka, tmp_path):
    """Said once, clients of a node's port wait in vain, and nothing else is amiss; with the right one in the file brokers are asked at once."""
    gate = start(penstock, kafka.bootstrap("SASL_PLAINTEXT"), 19690, discovery=own_user(tmp_path, "SCRAM-SHA-256", "wrong-secret"), certificates={"refresh": "1s"})
    gate.wait_said("bootstrap_silent", "discovery.sasl: it does not take this user and password")
    begun = time.monotonic()
    assert not ask_versions(19692)
    assert time.monotonic() - begun > 0.9, "held for timeouts.connect"
    gate.wait_access(reason="node_unknown")
    assert nodes(gate) == [] and ask_versions(gate.port)
    wait_until("the next round to be 7 s away", 20, lambda: gate.metrics()("penstock_bootstrap_rounds_total", cluster="k", result="failed") >= 4)
    own_user(tmp_path, "SCRAM-SHA-256")
    gate.wait_said("bootstrap_answers", seconds=1.5)  # four times as much, at the most: see wait_until()
    assert gate.said("tls_refreshed")
    wait_nodes(gate, ["1", "2", "3"])
    assert ask_versions(19692)
    assert gate.log().count("bootstrap_silent") == 1 and "secret" not in gate.log()


def test_a_broker_dies_and_comes_back(penstock, kafka):
    """It is refused once its time of grace is over, and served again as soon as a client asks for it."""
    gate = start(penstock, kafka.bootstrap("PLAINTEXT"), 19690, discovery={"refresh": "2s"})
    wait_nodes(gate, ["1", "2", "3"])
    kafka.kill(3)
    try:
        gate.wait_said("node_gone", "node 3", seconds=30)
        wait_nodes(gate, ["1", "2"])
        assert not ask_versions(19693)
        gate.wait_access(reason="node_unknown")
    finally:
        kafka.start(3)
    wait_until("node 3 to be served", 20, lambda: ask_versions(19693))


def test_a_broker_is_added(penstock, kafka):
    """Served without a restart of penstock, and told of to clients; when it has left the cluster it is refused."""
    gate = start(penstock, kafka.bootstrap("PLAINTEXT"), 19690)
    servers = f"{GATE}:{gate.port}"
    wait_nodes(gate, ["1", "2", "3"])
    kafka.start(4)
    try:
        wait_nodes(gate, ["1", "2", "3", "4"])
        assert ask_versions(19694)
        assert gate.wait_access(broker=f"{kafka.addresses[4]}:9092")
        names = {f"{n} {GATE}:{19690 + n}" for n in (1, 2, 3, 4)}
        wait_until("each broker to tell of node 4", 10, lambda: set(kafka.python.run("brokers", servers=servers)["brokers"]) == names)
    finally:
        kafka.stop(4)
        kafka.mover.run("unregister", servers=servers, node=4)
    wait_nodes(gate, ["1", "2", "3"])
    assert not ask_versions(19694)


def test_show(penstock, kafka):
    """`penstock show brokers`: a table for people, the same as JSON for programs."""
    gate = start(penstock, [f"{settings.NOBODY_ADDRESS}:1", *kafka.bootstrap("PLAINTEXT")], 19690)
    wait_nodes(gate, ["1", "2", "3"])

    done = show(gate, "-c", gate.config_file)
    assert done.returncode == 0 and done.stderr == "", done
    lines = done.stdout.splitlines()
    assert lines[0].startswith("cluster k (kafka, bootstrap, confirmed "), lines
    assert lines[1].split() == ["ID", "ADDRESS", "RACK", "SOURCE", "AGE"]
    for n, name in settings.KAFKA_NAMES.items():
        row = next(line.split() for line in lines if line.startswith(f"{n} "))
        assert row[1:4] == [f"{name}:9092", f"rack-{n}", "bootstrap"] and row[4].endswith("s"), row
    done = show(gate, "--json", "--admin", gate.admin)
    assert done.returncode == 0, done
    (cluster,) = json.loads(done.stdout)["clusters"]
    assert cluster["protocol"] == "kafka" and cluster["asked"]["good"] >= 1 and cluster["asked"]["error"] is None
    assert [(row["node"], row["rack"], row["source"]) for row in cluster["brokers"] if "node" in row] == [(n, f"rack-{n}", "bootstrap") for n in (1, 2, 3)]
    assert gate.metrics()("penstock_bootstrap_rounds_total", result="good") >= 1
    assert gate.metrics()("penstock_snapshot_age_seconds", cluster="k") < 10
    assert gate.metrics()("penstock_brokers", cluster="k") == 3
    done = show(gate, "--admin", "127.0.0.1:1")
    assert done.returncode == 1 and "no penstock answers at 127.0.0.1:1" in done.stderr, done


# ---- brokers that only a few lines of Python can be


def metadata(correlation, brokers, version=1):
    """A Metadata response v1: brokers as (id, host, port, rack)."""
    text = lambda s: struct.pack(">h", -1) if s is None else struct.pack(">h", len(s)) + s.encode()  # noqa: E731
    rows = b"".join(struct.pack(">i", n) + text(host) + struct.pack(">i", port) + text(rack) for n, host, port, rack in brokers)
    body = struct.pack(">i", correlation) + struct.pack(">i", len(brokers)) + rows + struct.pack(">i", 1) + struct.pack(">i", 0)
    return struct.pack(">i", len(body)) + body


class Asked(FakeBroker):
    """Answers each question with what `answer` makes of its correlation id, `piece` bytes at a time."""

    def __init__(self, answer, piece=1 << 20, pause=0.0, address=None):
        self.answer, self.piece, self.pause = answer, piece, pause
        self.questions = []
        super().__init__(serve=self.reply, address=address, port=9092)

    def reply(self, peer):
        size = struct.unpack(">i", peer.read_exactly(4))[0]
        question = peer.read_exactly(size)
        self.questions.append(question)
        data = self.answer(struct.unpack(">i", question[4:8])[0])
        for at in range(0, len(data), self.piece):
            peer.send(data[at : at + self.piece])
            time.sleep(self.pause)
        peer.read_to_end()


def good(correlation):
    return metadata(correlation, [(5, "127.77.9.5", 9092, "a"), (6, "127.77.9.6", 9093, None)])


BAD = {
    "nothing": lambda c: b"",
    "HTTP": lambda c: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a TLS alert": lambda c: bytes.fromhex("15030300020246"),
    "size 0": lambda c: struct.pack(">i", 0),
    "a negative size": lambda c: struct.pack(">ii", -5, c),
    "2 GiB": lambda c: struct.pack(">ii", 0x7FFFFFFF, c),
    "another correlation": lambda c: good(c + 1),
    "no brokers": lambda c: metadata(c, []),
    "half an answer": lambda c: good(c)[:20],
    "a count that lies": lambda c: struct.pack(">iii", 8, c, 1000000),
    "a host of 32 KiB": lambda c: metadata(c, [(5, "x" * 32000, 9092, None)]),
    "no such hosts": lambda c: metadata(c, [(5, "a b", 9092, None), (-1, "k", 9092, None), (7, "k", 0, None), (8, "k", 65536, None)]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_answers(penstock, lab, name):
    """Nothing is taken from them, the next one is asked at once, and nothing stays open."""
    bad, fine = Asked(BAD[name]), Asked(good)
    try:
        gate = start(penstock, [bad.where, fine.where], 19690, timeouts={"connect": "1s", "handshake": "1s"})
        wait_nodes(gate, ["5", "6"])
        assert bad.accepted >= 1
        assert fine.questions[0][:4] == bytes.fromhex("00030001")
        assert fine.questions[0][-4:] == b"\0\0\0\0", "asks for no topics"
    finally:
        bad.close()
        fine.close()


def test_an_answer_byte_by_byte(penstock, lab):
    slow = Asked(good, piece=1, pause=0.002)
    try:
        gate = start(penstock, [slow.where], 19690)
        wait_nodes(gate, ["5", "6"])
    finally:
        slow.close()


def test_a_long_answer_is_read(penstock, lab):
    """Many brokers, and bytes behind the answer, which nobody looks at."""
    many = Asked(lambda c: metadata(c, [(n, f"127.78.{n // 200}.{n % 200}", 9092, "r" * 60) for n in range(900)]) + b"x" * 1000)
    try:
        gate = start(penstock, [many.where], 19690)
        wait_until("900 nodes", 10, lambda: len(nodes(gate)) == 900)
    finally:
        many.close()


def test_asked_when_a_client_waits(penstock, lab):
    """Long before the next round is due."""
    known = [(5, "127.77.9.5", 9092, None)]
    broker = Asked(lambda c: metadata(c, known))
    try:
        gate = start(penstock, [broker.where], 19690, discovery={"refresh": "1h"})
        wait_nodes(gate, ["5"])
        asked = len(broker.questions)
        time.sleep(1)
        assert len(broker.questions) == asked
        known.append((6, broker.address, 9092, None))
        with socket.create_connection((GATE, 19696), 5) as sock:
            sock.sendall(request(API_VERSIONS))
            wait_nodes(gate, ["5", "6"])
        # What is not there is not asked for without an end.
        for _ in range(20):
            socket.create_connection((GATE, 19697), 5).close()
        time.sleep(1)
        assert len(broker.questions) < asked + 12, f"{len(broker.questions)} questions"
    finally:
        broker.close()


def test_a_client_that_waits_is_served(penstock, kafka):
    """Nobody has told of its broker when it comes: it is held until somebody does, and then has its answer from that broker."""
    known = [(5, "127.77.9.5", 9092, None)]

    def answer(correlation):
        time.sleep(0.7 if len(known) > 1 else 0)
        return metadata(correlation, known)

    broker = Asked(answer)
    try:
        gate = start(penstock, [broker.where], 19690, discovery={"refresh": "1h"}, timeouts={"connect": "5s"})
        wait_nodes(gate, ["5"])
        known += [(n, address, 9092, None) for n, address in settings.KAFKA_ADDRESSES.items()]
        began = time.monotonic()
        assert ask_versions(19692), "held, and not served"
        assert 0.6 < time.monotonic() - began < 5
        assert gate.wait_access(kind="kafka")["broker"] == f"{settings.KAFKA_ADDRESSES[2]}:9092"
    finally:
        broker.close()


def test_a_client_comes_before_a_name_resolves(penstock, kafka, lab):
    """To the bootstrap address, when no address of a bootstrap broker is known yet: it is held until there is one."""
    gate = penstock.new()
    lab.names.seconds = 0.5  # for each of two questions
    try:
        gate.start({"clusters": clusters(kafka), "listeners": [by_port(gate.port, 19890)], "timeouts": {"connect": "10s"}}, ready=False)
        gate.wait_said("listening", "ports of brokers")
        began = time.monotonic()
        assert ask_versions(gate.port)
        assert time.monotonic() - began > 0.3
    finally:
        lab.names.seconds = 0
    gate.mark_rest()


def test_reload(penstock, lab):
    """Other bootstrap brokers are asked at once; with refresh: off nobody is."""
    first, second = Asked(good), Asked(lambda c: metadata(c, [(7, "127.77.9.7", 9092, None)]))
    try:
        gate = start(penstock, [first.where], 19690)
        wait_nodes(gate, ["5", "6"])
        text = gate.config_file.read_text()
        gate.config_file.write_text(text.replace(first.where, second.where))
        gate.reload()
        wait_until("node 7", 10, lambda: "7" in nodes(gate))
        wait_nodes(gate, ["7"], 10)  # the others are gone when their time of grace is over
        gate.config_file.write_text(text.replace(first.where, second.where).replace('"refresh": "1s"', '"refresh": "off"'))
        gate.reload()
        gate.wait_said("configuration 3 is in force")
        time.sleep(1)
        asked = len(second.questions)
        time.sleep(2)
        assert len(second.questions) == asked and nodes(gate) == ["7"]
    finally:
        first.close()
        second.close()


def test_reload_to_a_cluster_that_is_not_up_yet(penstock, lab):
    """The old one would answer, at the nodes it has told of: it is not asked, and nothing of it is left once the new one speaks."""
    known = [(5, "127.77.9.5", 9092, None)]
    first = Asked(lambda c: metadata(c, known))
    second = "127.77.9.9"
    known.append((6, first.address, 9092, None))
    try:
        gate = start(penstock, [first.where], 19690, discovery={"grace": "1h"})
        wait_nodes(gate, ["5", "6"])
        text = gate.config_file.read_text()
        gate.config_file.write_text(text.replace(first.where, f"{second}:9092"))
        gate.reload()
        gate.wait_said("configuration 2 is in force")
        time.sleep(1)
        asked = len(first.questions)
        gate.wait_said("bootstrap_silent", second)
        time.sleep(2.5)
        assert len(first.questions) == asked
        assert nodes(gate) == ["5", "6"], "clients are served as before"
        there = Asked(lambda c: metadata(c, [(7, "127.77.9.7", 9092, None)]), address=second)
        try:
            wait_nodes(gate, ["7"])
        finally:
            there.close()
    finally:
        first.close()
