"""Kafka's clients in front of three real brokers that only penstock can reach: every call, no address but penstock's.

All of them talk through a wire that reads along (tap.py): no byte that goes to a client may hold the name or the network of a broker.
"""
import contextlib
import socket
import uuid

import netns
import pytest
import settings
import tap
from coprocess import begun
from kafkaclients import check, check_load
from kafkamodes import by_port, clusters, stable, together
from kafkawire import API_VERSIONS, ask_versions, read_response, request
from processes import wait_until

PORT, BASE = 9092, 19090
SERVERS = f"{tap.HOST}:{PORT}"
NAMES = {f"{n} {tap.HOST}:{BASE + n}" for n in settings.KAFKA_NAMES}


@pytest.fixture(scope="module")
def gate(module_penstock, kafka):
    one = module_penstock.new()
    return one.start({"clusters": clusters(kafka), "listeners": [by_port(PORT, BASE, ["0-9"], tap.HOST)]})


@pytest.fixture
def wire(gate):
    yield from tap.clean([PORT, *range(BASE, BASE + 10)])


@pytest.mark.parametrize("library", ["confluent", "pure"])
def test_python(kafka, wire, library):
    check(kafka.python.run("roundtrip", library=library, servers=SERVERS), NAMES)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_java(kafka, wire, protocol):
    check(kafka.java.run("roundtrip", servers=SERVERS, protocol=protocol), NAMES)


def test_transactions(kafka, wire):
    for client in (kafka.python, kafka.java):
        assert client.run("transactions", servers=SERVERS)["got"] == list(range(200))


def test_share_groups(kafka, wire):
    answer = kafka.java.run("share", servers=SERVERS, seconds=120)
    assert answer["missing"] == [] and answer["twice"] == 0, answer


def test_controllers_are_nobodys_business(kafka, wire):
    answer = kafka.java.run("describe", servers=SERVERS, quorum=True)
    assert answer["leader"] in settings.KAFKA_NAMES
    assert answer["controllers"] == []


def test_a_topic_that_is_not_there_yet(kafka, wire):
    """Clients ask for it, brokers make it, and the first answers are errors with addresses (KIP-951)."""
    for library in ("confluent", "pure"):
        topic = f"auto-{uuid.uuid4().hex[:8]}"
        kafka.python.run("produce", library=library, servers=SERVERS, topic=topic, first=0, count=100)
        assert kafka.python.run("consume", library=library, servers=SERVERS, topic=topic, count=100)["got"] == list(range(100))


def test_much_is_spliced(gate, kafka, wire):
    """Records of fetches of 64 KiB and more are not copied."""
    before = gate.metrics()
    answer = kafka.java.run("roundtrip", servers=SERVERS, count=3000, size=20000, partitions=3,
                            config={"fetch.min.bytes": "1000000", "batch.size": "1000000", "linger.ms": "50"})  # fmt: skip
    check(answer, NAMES)
    after = gate.metrics()
    for direction in ("to_broker", "to_client"):
        name, words = "penstock_bytes_total", {"dir": direction, "path": "splice"}
        spliced = after(name, **words) - before(name, **words)
        assert spliced >= 0.95 * 3000 * 20000, f"{direction}: {spliced} bytes spliced"


# ---- trouble


@contextlib.contextmanager
def under_load(kafka, topic, seconds, **words):
    """Java produces and consumes for so long, in which this is done; all has arrived at the end."""
    kafka.java.begin("load", **{"servers": SERVERS, "topic": topic, "time": seconds, **words})
    with begun(kafka.java):
        yield
        check_load(kafka.java.answer("load", seconds + 90))


def test_leaders_move_under_load(kafka, wire):
    topic = kafka.python.run("create", servers=SERVERS, partitions=6)["topic"]
    with under_load(kafka, topic, 10):
        for _ in range(3):
            kafka.mover.run("move", servers=SERVERS, topic=topic)


def test_a_broker_dies_and_comes_back(kafka, wire):
    topic = kafka.python.run("create", servers=SERVERS, partitions=6)["topic"]
    before = stable(kafka.mover, servers=SERVERS)
    with under_load(kafka, topic, 20):
        together(kafka.mover, before + 1, 8, servers=SERVERS)
        kafka.kill(2)
        kafka.start(2)


def test_penstock_restarts(penstock, kafka, tmp_path):
    """Connections end between two requests; clients go on; a broker's port serves at once: where the brokers were is on disk."""
    gate, base = penstock.new(), 19190
    config = {
        "clusters": clusters(kafka), "listeners": [by_port(gate.port, base)],
        "state_dir": str(tmp_path), "drain": {"lame_duck": "0s", "spread": "500ms"}, "timeouts": {"drain": "10s"},
    }  # fmt: skip
    gate.start(config)
    servers = f"{settings.GATE_ADDRESS}:{gate.port}"
    topic = kafka.python.run("create", servers=servers, partitions=6)["topic"]
    with under_load(kafka, topic, 12, servers=servers):
        wait_until("the load to flow", 20, lambda: gate.metrics()("penstock_kafka_requests_total") > 150)
        assert len((tmp_path / "k.nodes").read_text().splitlines()) == 5, "two lines, and all three brokers"
        assert gate.stop() == 0
        ends = {row["reason"] for row in gate.access()}
        assert "drain" in ends and ends <= {"drain", "client_fin", "client_rst"}, ends
        gate.start(config)
    assert gate.stop() == 0
    config["clusters"]["k"]["discovery"]["refresh"] = "off"  # nobody else will tell it
    gate.start(config)
    assert ask_versions(base + 3)
    assert gate.wait_access(kind="kafka")["broker"] == f"{settings.KAFKA_ADDRESSES[3]}:9092"


def dial(port):
    return socket.create_connection((settings.GATE_ADDRESS, port), 10)


def is_answered(sock):
    sock.sendall(request(API_VERSIONS, correlation=9))
    return read_response(sock)[:4] == b"\0\0\0\t"


def is_refused(port):
    with contextlib.suppress(ConnectionRefusedError), dial(port):
        return False
    return True


def test_a_reload_changes_the_range_of_ports(penstock, kafka):
    """New ones are served, old ones are closed, all or nothing; connections that are there go on."""
    gate, base = penstock.new(), 19590
    keys = {"clusters": clusters(kafka), "listeners": [by_port(gate.port, base, ["1-3"])]}

    def reload(nodes):
        keys["listeners"][0]["kafka"]["nodes"] = nodes
        gate.write(keys)
        gate.reload()

    gate.start(keys)
    servers = f"{settings.GATE_ADDRESS}:{gate.port}"
    topic = kafka.python.run("create", servers=servers, partitions=6)["topic"]  # by the controller, which node 3 may be
    with dial(base + 1) as first, dial(base + 2) as second:
        reload(["1-2"])
        wait_until("node 3's port to be closed", 10, lambda: is_refused(base + 3))
        assert is_answered(first) and is_answered(second)
        reload(["1-9"])
        wait_until("node 3 to be served", 10, lambda: not is_refused(base + 3) and ask_versions(base + 3))
        assert gate.wait_access(broker=f"{settings.KAFKA_ADDRESSES[3]}:9092")
        assert set(kafka.python.run("brokers", servers=servers)["brokers"]) == {f"{n} {settings.GATE_ADDRESS}:{base + n}" for n in (1, 2, 3)}
        with under_load(kafka, topic, 15, servers=servers):
            wait_until("the load to flow", 30, lambda: gate.metrics()("penstock_kafka_requests_total", api="Produce") > 20)
            reload(["2-3"])
            wait_until("node 1's port to be closed", 10, lambda: is_refused(base + 1) and is_refused(base + 9))
            assert is_answered(first) and is_answered(second)
            with netns.broker_side(), socket.create_server((settings.GATE_ADDRESS, base + 5)):
                reload(["1-9"])
                gate.wait_said("listen_failed", f"{settings.GATE_ADDRESS}:{base + 5}", "in use")
                gate.wait_said("reload_failed", "the old configuration stays")
            assert is_refused(base + 1) and is_refused(base + 4) and ask_versions(base + 3)
            reload(["1-3"])
            wait_until("node 1 to be served again", 10, lambda: not is_refused(base + 1) and ask_versions(base + 1))
        assert is_answered(first) and is_answered(second)
        reload(["1-2"])  # no socket is left of those that were there meanwhile
        wait_until("node 3's port to be closed", 10, lambda: is_refused(base + 3))
    assert {row["reason"] for row in gate.access()} <= {"client_fin", "client_rst", "client_gone"}, gate.access()


def test_a_node_that_nobody_knows(penstock, kafka):
    """Held for a while, since it may be told of, then closed; and served as soon as it has been."""
    gate, base = penstock.new(), 19290
    gate.start({
        "clusters": clusters(kafka, discovery={"refresh": "off"}), "listeners": [by_port(gate.port, base, ["1-7"])],
        "timeouts": {"connect": "500ms"},
    })  # fmt: skip
    assert not ask_versions(base + 1)
    gate.wait_access(reason="node_unknown")
    kafka.python.run("brokers", servers=f"{settings.GATE_ADDRESS}:{gate.port}")
    assert ask_versions(base + 1)
    assert not ask_versions(base + 7)


def test_metadata_longer_than_a_buffer(gate, kafka, wire):
    """All topics in one answer: the addresses stand in front, the rest goes by unread."""
    topics = kafka.python.run("many", servers=SERVERS, count=400, length=220)["topics"]
    before, seen = gate.metrics()("penstock_kafka_rewritten_total", way="prefix"), wire.bytes_to_clients
    assert set(kafka.python.run("brokers", servers=SERVERS)["brokers"]) == NAMES
    assert gate.metrics()("penstock_kafka_rewritten_total", way="prefix") > before
    assert wire.bytes_to_clients - seen > 400 * 220
    kafka.java.run("delete", servers=SERVERS, topics=topics)
