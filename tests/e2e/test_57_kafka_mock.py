"""Moves by script: librdkafka's mock brokers behind penstock, which change leaders and coordinators, fail, move and go away when they are
told to. What real brokers do by themselves now and then is done here many times a second, and what happens between two requests is known.

Clients are under load all the time and talk through the wire that reads along (tap.py). Whatever was acknowledged must arrive.
"""
import itertools
import time
import uuid

import pytest
import settings
import tap
from kafkaclients import CoProcess, KafkaPython
from processes import wait_until

PORT, BASE, PARTITIONS = 9092, 19090, 4
SERVERS = f"{tap.HOST}:{PORT}"
NAMES = {number: f"mock-{number}.kafka.test" for number in (1, 2, 3)}
AT_GATE = sorted(f"{number} {tap.HOST}:{BASE + number}" for number in NAMES)
PRODUCE, FETCH, METADATA, OFFSET_COMMIT, FIND_COORDINATOR, JOIN_GROUP, HEARTBEAT = 0, 1, 3, 8, 10, 11, 12
GROUP_KEYS = {"heartbeat.interval.ms": 200, "session.timeout.ms": 6000, "auto.commit.interval.ms": 200}
ENDS = -195  # in the place of an error: the broker ends the connection


class MockCluster(CoProcess):
    side = settings.BROKER_SIDE

    def __init__(self):
        super().__init__("kafka-mock")

    def command(self):
        return [settings.KAFKA_VENV / "bin/python", settings.TREE / "tests/e2e/kafka_mock.py"]


@pytest.fixture(scope="module")
def mock(lab):
    one = MockCluster()
    one.where = one.run("open", names=list(NAMES.values()))["bootstrap"]
    lab.names.table.update(dict.fromkeys(NAMES.values(), "127.0.0.1"))
    yield one
    one.close()


@pytest.fixture(scope="module")
def gate(module_penstock, mock):
    return module_penstock.new().start({
        "clusters": {"k": {"protocol": "kafka", "discovery": {"bootstrap": mock.where}}},
        "listeners": [{
            "name": "kafka", "bind": f"{settings.GATE_ADDRESS}:{PORT}", "cluster": "k",
            "kafka": {"advertise": tap.HOST, "base_port": BASE, "nodes": ["1-3"]},
        }],
    })  # fmt: skip


@pytest.fixture
def wire(gate):
    with tap.Tap([PORT, *range(BASE, BASE + 4)], secrets=[b".kafka.test"]) as wire:
        yield wire
        assert wire.connections > 0 and wire.bytes_to_clients > 0, "nobody came by the wire"
        assert not wire.leaks, f"{len(wire.leaks)} addresses of brokers went to clients: {wire.leaks[:3]}"


@pytest.fixture(scope="module")
def python():
    one = KafkaPython("mock-python")
    yield one
    one.close()


@pytest.fixture(scope="module")
def producer():
    one = KafkaPython("mock-producer")
    yield one
    one.close()


OLD = settings.OLD_RDKAFKA / "librdkafka.so.1"


@pytest.fixture(params=["librdkafka", "librdkafka-1.9"])
def library(request):
    """1.9 does not know that answers may hold addresses: what it is not told of it has to ask."""
    if request.param == "librdkafka":
        return {}
    if not OLD.exists():
        pytest.skip("librdkafka 1.9 could not be installed here: see what tests/lab/deps.sh lab says")
    return {"library": str(OLD)}


def calls(mock):
    return mock.run("requests")["requests"]


def load(client, mock, trouble, calm=lambda: None, seconds=3, **words):
    """A producer and a consumer of a topic of their own, while trouble(topic, step) happens ten times a second; calm() ends it."""
    topic = f"m-{uuid.uuid4().hex[:8]}"
    mock.run("topic", topic=topic, partitions=PARTITIONS, brokers=len(NAMES))
    mock.run("forget")
    client.begin("load", servers=SERVERS, topic=topic, time=seconds + 3, **words)  # longer than the trouble, however late that begins
    try:
        wait_until("the load to flow", 20, lambda: {PRODUCE, FETCH} <= {call for _, call in calls(mock)})
        deadline = time.monotonic() + seconds - 1
        try:
            for step in itertools.count():
                trouble(topic, step)
                time.sleep(0.1)
                if time.monotonic() > deadline:
                    break
        finally:
            calm()
        answer = client.answer("load", seconds + 63)
    except BaseException:
        client.close()
        raise
    assert answer["ok"], answer
    assert answer["lost"] == 0 and answer["failed"] == [] and answer["acked"] == answer["sent"] > 50, answer
    assert answer["brokers"] == AT_GATE
    return calls(mock)


def brokers_of(asked, *wanted):
    return {broker for broker, call in asked if call in wanted}


def rewritten(gate, way):
    return gate.metrics()("penstock_kafka_rewritten_total", way=way)


def test_leaders_change(mock, gate, wire, python, library):
    """Ten times a second a partition has another leader: the old one says who it is, with its address (KIP-951)."""
    before = rewritten(gate, "whole")
    asked = load(
        python, mock, lambda topic, step: mock.run("leader", topic=topic, partition=step % PARTITIONS, broker=1 + step % len(NAMES)), **library
    )
    assert brokers_of(asked, PRODUCE) == brokers_of(asked, FETCH) == set(NAMES)
    if not library:
        assert rewritten(gate, "whole") > before + 10


def test_answers_name_the_leader(mock, gate, wire, python, producer):
    """Metadata is behind: only answers to Fetch and Produce tell who leads, and where that is (KIP-951), which has to be at penstock.

    librdkafka goes by such an answer when the address is there too, and by metadata only if that is newer."""
    topic, before, behind = f"m-{uuid.uuid4().hex[:8]}", rewritten(gate, "whole"), 50
    mock.run("topic", topic=topic, partitions=1, brokers=len(NAMES))
    mock.run("leader", topic=topic, partition=0, broker=1)  # epoch 1
    producer.run("produce", servers=SERVERS, topic=topic, first=0, count=100)
    mock.run("forget")
    python.begin("consume", servers=SERVERS, topic=topic, count=200, config={"topic.metadata.refresh.interval.ms": -1})
    wait_until("fetching from broker 1", 20, lambda: [1, FETCH] in calls(mock))

    mock.run("leader_response", topic=topic, partition=0, broker=2, epoch=2)  # for the error of Fetch: metadata is asked for only after it
    mock.run("leader_response", topic=topic, partition=0, broker=1, epoch=0, times=behind)
    mock.run("forget")
    mock.run("leader", topic=topic, partition=0, broker=2)
    wait_until("fetching from broker 2", 5, lambda: [2, FETCH] in calls(mock))

    producer.run("produce", servers=SERVERS, topic=topic, first=100, count=100)  # begins with what metadata says
    asked = calls(mock)
    assert [call for _, call in asked].count(METADATA) < behind, "metadata may have told"
    assert brokers_of(asked, PRODUCE) == {1, 2}
    answer = python.answer("consume", 50)
    assert answer["ok"] and answer["got"] == list(range(200)), answer
    assert rewritten(gate, "whole") >= before + 2


def test_metadata_lies(mock, gate, wire, python):
    """Metadata, and errors of Fetch, name leaders that are none; who is taken for one says who it is."""

    def trouble(topic, step):
        partition, broker = step % PARTITIONS, 1 + (step // PARTITIONS) % len(NAMES)
        mock.run("leader_response", topic=topic, partition=partition, broker=broker, epoch=-1)
        if step % 3 == 0:
            mock.run("leader", topic=topic, partition=partition, broker=broker)

    asked = load(python, mock, trouble)
    assert brokers_of(asked, PRODUCE) == set(NAMES)


def test_brokers_go_down_and_up(mock, gate, wire, python):
    """One after the other is away for a third of a second; its partitions are led by another one meanwhile."""

    def trouble(topic, step):
        broker = 1 + (step // 6) % len(NAMES)
        if step % 6 == 0:
            for partition in range(PARTITIONS):
                mock.run("leader", topic=topic, partition=partition, broker=1 + broker % len(NAMES))
            mock.run("down", broker=broker)
        elif step % 6 == 3:
            mock.run("up", broker=broker)

    def calm():
        for broker in NAMES:
            mock.run("up", broker=broker)

    load(python, mock, trouble, calm)


def test_broker_moves(mock, gate, wire, python):
    """A broker that leads everything goes to another port as soon as it has been found at the last one, where nobody is left."""
    moves = []

    def trouble(topic, step):
        if step == 0:
            for partition in range(PARTITIONS):
                mock.run("leader", topic=topic, partition=partition, broker=2)
        if step % 5 == 4 and mock.run("visits", broker=2)["visits"] > 0:
            mock.run("move", broker=2)
            moves.append(step)

    mock.run("move", broker=2)  # from where its door stays open
    try:
        load(python, mock, trouble, seconds=4, config={"reconnect.backoff.max.ms": 300})
        wait_until("the last port to be found", 5, lambda: mock.run("visits", broker=2)["visits"] > 0)
    finally:
        mock.run("home", broker=2)
    assert len(moves) >= 2, moves


# Errors that are over when the client tries again, some of which make it ask for leaders and coordinators first.
ERRORS = {PRODUCE: [6, 7, ENDS, 19], FETCH: [6, 9, ENDS, 74], FIND_COORDINATOR: [15, ENDS], OFFSET_COMMIT: [14, ENDS], HEARTBEAT: [ENDS, 14]}


def test_errors(mock, gate, wire, python):
    """Every answer of these fails, twice a second: the client tries again, asks for metadata and connects anew, all at penstock."""

    def trouble(_, step):
        if step % 5 == 0:
            for call, errors in ERRORS.items():
                mock.run("errors", call=call, errors=[errors[step // 5 % len(errors)]])

    before = wire.connections
    asked = load(python, mock, trouble, lambda: mock.run("no_errors", calls=list(ERRORS)), config=GROUP_KEYS)
    assert set(ERRORS) <= {call for _, call in asked}
    assert wire.connections > before + 6


def test_coordinators_move(mock, gate, wire, python):
    """As soon as its member has reached it a group's coordinator is another broker: it finds that one by penstock's names and goes there."""
    group, now, seen = f"g-{uuid.uuid4().hex[:8]}", 1, 0
    mock.run("coordinator", group=group, broker=now)

    def trouble(_, step):
        nonlocal now, seen
        asked = calls(mock)
        if step % 5 == 0 and now in brokers_of(asked[seen:], JOIN_GROUP, HEARTBEAT):
            now, seen = 1 + now % len(NAMES), len(asked)
            mock.run("coordinator", group=group, broker=now)

    asked = load(python, mock, trouble, seconds=6, config=GROUP_KEYS, group=group)
    assert brokers_of(asked, JOIN_GROUP, HEARTBEAT) == set(NAMES)
