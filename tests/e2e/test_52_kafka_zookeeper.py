"""Kafka 3.9.2, whose brokers are in ZooKeeper: found there, added, gone, moved, and all of it while ZooKeeper is away.

The clients of most people round-trip and go on under load through leaders that move, a broker that dies and a penstock that restarts; with
PENSTOCK_E2E_MATRIX=1 (`make kafka-matrix`) all of them do.
"""
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import settings
import tap
from coprocess import begun
from kafkaclients import check, check_load
from kafkacluster import USERS
from kafkamodes import by_port
from kafkaothers import ALL, KINDS, NODES, everybody, flowing, under_load, way_by_port
from kafkawire import ask_versions
from mirror import Mirror
from processes import wait_until

PORT, BASE = 9092, 19390


def config(kafka, port, base, advertise=settings.GATE_ADDRESS, more=None, **top):
    return {
        "clusters": {"k": {"protocol": "kafka", "discovery": {"zookeeper": {
            "servers": kafka.connect_string, "listener": "plaintext", "session_timeout": "2s", **(more or {}),
        }, "grace": "10s"}}},
        "listeners": [by_port(port, base, ["0-9"], advertise)],
        **top,
    }  # fmt: skip


@pytest.fixture(scope="module")
def gate(module_penstock, old_kafka):
    one = module_penstock.new()
    one.start(config(old_kafka, PORT, BASE, tap.HOST))
    return one


@pytest.fixture(scope="module")
def clients(old_kafka):
    with everybody() as made:
        yield made


@pytest.fixture
def way(gate):
    for _ in tap.clean([PORT, *range(BASE, BASE + 10)]):
        yield way_by_port(tap.HOST, PORT, BASE)


@pytest.mark.parametrize("name", KINDS if ALL else ["librdkafka", "kafka-python"])
def test_roundtrip(clients, way, name):
    check(clients[name].run("roundtrip", way), way.names)


def test_java(old_kafka, way):
    check(old_kafka.java.run("roundtrip", protocol="classic", **way.java()), way.names)


def test_scram_of_an_old_librdkafka(penstock, old_kafka, clients):
    """Before 2.6.1 it says its nonce twice (librdkafka #4895), which Kafka 4 refuses, and 3.9.2 takes: penstock is not in the way."""
    gate, base = penstock.new(), 19790
    gate.start(config(old_kafka, gate.port, base, more={"listener": "sasl_plaintext"}))
    keys = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": "alice", "sasl.password": USERS["alice"]}
    way = way_by_port(settings.GATE_ADDRESS, gate.port, base)
    check(clients["librdkafka-1.9"].run("roundtrip", way, config=keys), way.names)


# ---- brokers come and go


def brokers(gate):
    """Node id -> address, as ZooKeeper has told penstock."""
    rows = gate.json("/brokers")["clusters"][0]["brokers"]
    assert all(row["source"] in ("zookeeper", "file") for row in rows), rows
    return {row["id"]: row["url"].removeprefix("kafka://") for row in rows if not row["leaving"]}


def where(kafka, *nodes):
    return {str(n): f"{kafka.names[n]}:{kafka.ports[n]['PLAINTEXT']}" for n in nodes}


def wait_brokers(gate, want, seconds=20):
    wait_until(f"{want} in /brokers", seconds, lambda: brokers(gate) == want)


@pytest.fixture
def second(penstock, old_kafka, tmp_path):
    """Another penstock, which nobody teaches: no client asks for the list."""
    one = penstock.new()
    one.base = 19490
    one.start(config(old_kafka, one.port, one.base, state_dir=str(tmp_path), timeouts={"connect": "500ms"}))
    wait_brokers(one, where(old_kafka, 1, 2, 3))
    return one


def test_a_broker_is_added_and_leaves(second, old_kafka):
    """Served without a restart; for a while after it has left clients are still led to it, then refused."""
    gate, base = second, second.base
    assert all(ask_versions(base + n) for n in (1, 2, 3)) and not ask_versions(base + 4)
    gate.wait_access(reason="node_unknown")
    old_kafka.start(4)
    try:
        wait_brokers(gate, where(old_kafka, 1, 2, 3, 4))
        wait_until("node 4 to be served", 5, lambda: ask_versions(base + 4))
        assert gate.wait_access(broker=f"{old_kafka.addresses[4]}:9092")
    finally:
        old_kafka.stop(4)
    wait_brokers(gate, where(old_kafka, 1, 2, 3))
    assert not ask_versions(base + 4)
    gate.wait_access(reason="connect_refused")  # known, but not there
    gate.wait_said("node_gone")
    seen = len([row for row in gate.access() if row["reason"] == "node_unknown"])
    assert not ask_versions(base + 4)
    wait_until("it to be unknown", 5, lambda: len([row for row in gate.access() if row["reason"] == "node_unknown"]) > seen)
    assert ask_versions(base + 1)


def test_a_broker_moves_to_another_port(second, old_kafka):
    gate, base = second, second.base
    old_kafka.stop(2)
    old_kafka.ports[2] = {kind: port + 100 for kind, port in settings.KAFKA_PORTS.items()}
    try:
        old_kafka.start(2)
        wait_brokers(gate, where(old_kafka, 1, 2, 3))
        wait_until("node 2 to be served", 5, lambda: ask_versions(base + 2))
        assert gate.wait_access(broker=f"{old_kafka.addresses[2]}:9192")
    finally:
        old_kafka.stop(2)
        old_kafka.ports[2] = dict(settings.KAFKA_PORTS)
        old_kafka.start(2)
    wait_brokers(gate, where(old_kafka, 1, 2, 3))
    wait_until("node 2 to be served where it was", 5, lambda: ask_versions(base + 2))


def test_zookeeper_goes_away_and_comes_back(second, old_kafka, tmp_path):
    """What was known last serves on, after a restart too; a new broker is found when ZooKeeper is back."""
    gate, base = second, second.base
    again = config(old_kafka, gate.port, base, state_dir=str(tmp_path), timeouts={"connect": "500ms"})
    old_kafka.zookeeper.stop()
    try:
        wait_until("ZooKeeper to be missed", 15, lambda: gate.json("/brokers")["clusters"][0]["zookeeper"] != "connected")
        assert all(ask_versions(base + n) for n in (1, 2, 3))
        assert gate.stop() == 0
        gate.start(again)
        assert brokers(gate) == where(old_kafka, 1, 2, 3)
        assert all(ask_versions(base + n) for n in (1, 2, 3))
        assert gate.json("/brokers")["clusters"][0]["age_seconds"] > 0
    finally:
        old_kafka.zookeeper.start()
    wait_until("ZooKeeper to be back", 30, lambda: gate.json("/brokers")["clusters"][0]["zookeeper"] == "connected")
    gate.mark_rest()
    old_kafka.start(4)
    try:
        wait_brokers(gate, where(old_kafka, 1, 2, 3, 4), 30)
        wait_until("node 4 to be served", 5, lambda: ask_versions(base + 4))
    finally:
        old_kafka.stop(4)


@pytest.mark.parametrize("listener,said", [("NOWHERE", "has no listener NOWHERE"), ("ssl", "has listener ssl with SSL, and the cluster has no broker_tls")])
def test_another_listener(penstock, old_kafka, listener, said):
    """That brokers do not have, or that speaks something else: said once for each broker, and the start goes on waiting."""
    gate = penstock.new()
    gate.start(config(old_kafka, gate.port, 19590 if listener == "NOWHERE" else 19990, more={"listener": listener}), ready=False)
    gate.wait_said("broker_unreadable", said)
    gate.mark_rest()
    assert brokers(gate) == {}


# ---- clients come first


@pytest.fixture
def empty(old_kafka):
    """A ZooKeeper that no broker is in."""
    with Mirror() as zk:
        yield zk


def registration(kafka, node):
    """As a broker writes it."""
    host, port = kafka.names[node], kafka.ports[node]["PLAINTEXT"]
    kinds = {"listener_security_protocol_map": {"PLAINTEXT": "PLAINTEXT"}, "endpoints": [f"PLAINTEXT://{host}:{port}"]}
    return json.dumps({**kinds, "features": {}, "rack": f"rack-{node}", "host": host, "port": port, "jmx_port": -1, "timestamp": "1", "version": 5})


def test_clients_come_before_brokers_are_known(penstock, old_kafka, empty):
    """Those who want any broker are held like those who want one, and are served once it is there."""
    gate, base = penstock.new(), 19790
    gate.start(config(empty, gate.port, base, timeouts={"connect": "10s"}), ready=False)
    gate.wait_said("listening", "ports of brokers")
    with ThreadPoolExecutor() as pool:
        clients = [pool.submit(ask_versions, port) for port in (gate.port, gate.port, base + 1)]
        time.sleep(1)
        assert not any(client.done() for client in clients) and not gate.access()
        empty.put("/brokers/ids/1", registration(old_kafka, 1))
        assert all(client.result(5) for client in clients)
    assert gate.wait_access()["broker"] == f"{old_kafka.addresses[1]}:9092"
    gate.mark_rest()


def test_clients_come_and_brokers_never(penstock, empty):
    """They are held for timeouts.connect; then their connections end, and the log says why and what helps."""
    gate = penstock.new()
    gate.start(config(empty, gate.port, 19890, timeouts={"connect": "700ms"}), ready=False)
    gate.wait_said("listening", "ports of brokers")
    gate.mark_rest()
    began = time.monotonic()
    assert not ask_versions(gate.port)
    assert 0.6 < time.monotonic() - began < 3
    gate.wait_access(reason="no_broker")
    gate.wait_said("kafka_hint", "no broker is known yet")
    assert gate.metrics()("penstock_disconnects_total", reason="no_broker") == 1


# ---- trouble, under load


def listed(gate):
    """Nodes that ZooKeeper has; what brokers tell clients of one that has just died may be older."""
    rows = gate.json("/brokers")["clusters"][0]["brokers"]
    return {row["id"] for row in rows if row["source"] == "zookeeper" and not row["leaving"]}


@pytest.fixture
def trouble(penstock, old_kafka, tmp_path):
    """A penstock of its own, and all that may happen to the topics behind it: `way`, and trouble(topics)."""
    gate, base = penstock.new(), 19690
    keys = config(
        old_kafka, gate.port, base, state_dir=str(tmp_path), drain={"lame_duck": "0s", "spread": "500ms"}, timeouts={"drain": "10s"}
    )  # fmt: skip
    gate.start(keys)
    wait_brokers(gate, where(old_kafka, *NODES))

    def trouble(topics):
        flowing(gate)
        assert gate.stop() == 0
        assert "drain" in {row["reason"] for row in gate.access()}, "nobody was there any more"
        gate.start(keys)
        flowing(gate)
        for topic in topics:
            old_kafka.mover.run("move", topic=topic, **trouble.way.java())
        old_kafka.kill(3)
        flowing(gate)
        wait_until("ZooKeeper to miss node 3", 30, lambda: listed(gate) == {"1", "2"})  # it would not start before
        old_kafka.start(3)
        wait_until("node 3 to be back", 30, lambda: listed(gate) == {"1", "2", "3"})

    trouble.way = way_by_port(settings.GATE_ADDRESS, gate.port, base)
    return trouble


def test_trouble_under_load(old_kafka, trouble):
    """Elections are those of ZooKeeper's controller. Whatever was acknowledged is consumed, and is in the log once."""
    java, way, seconds = old_kafka.java, trouble.way, 40
    old_kafka.mover.run("describe", **way.java())  # its JVM is there when it is needed
    topic = java.run("create", **way.java())["topic"]
    java.begin("load", topic=topic, time=seconds, **way.java())
    with begun(java):
        trouble([topic, "__consumer_offsets"])
        answer = java.answer("load", seconds + 120)
    check_load(answer, 300)
    assert answer["stored"] == answer["acked"] and answer["missing"] == answer["twice"] == 0 and answer["ordered"], f"not exactly once in the log: {answer}"
    assert set(answer["known"]) <= {way.servers, *way.addresses()}, answer


if ALL:

    def test_trouble_for_all_of_them(old_kafka, clients, trouble, say):
        under_load(clients, trouble.way, 40, trouble, old_kafka.mover, say)
