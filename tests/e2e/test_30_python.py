"""The official Python client through `penstock proxy` to a real cluster."""
import contextlib
import re
import time

import pulsar
import pytest
from clients import client, fresh, message, number_of, produce, receive, roundtrip, subscribe
from processes import wait_until


def topic_on(cluster, broker):
    """A new topic that this broker serves."""
    for _ in range(100):
        topic = fresh(f"on{broker}")
        if cluster.owner(topic) == broker:
            return topic
    raise AssertionError(f"broker {broker} owns nothing")


@pytest.mark.parametrize("broker", [1, 2])
def test_produce_and_consume_on_each_broker(cluster, gate, broker):
    topic = topic_on(cluster, broker)
    with client(gate.url) as c:
        roundtrip(c, f"persistent://{topic}", 1000)
    address = cluster.broker_url(broker).removeprefix("pulsar://")
    gate.wait_access(kind="data", broker=address)
    wait_until("the broker to forget the producer", 5, lambda: not cluster.admin("GET", f"/admin/v2/persistent/{topic}/stats")["publishers"])


def test_a_redirect_is_seen_and_followed(cluster, gate):
    """Unloaded, a bundle has no owner; a lookup that reaches the wrong broker is redirected, and the client never hears of it."""
    if cluster.options["extensible"]:
        pytest.skip("the extensible load manager hands bundles over, no lookup needs a redirect")
    topic = fresh()
    start = gate.metrics()("penstock_redirect_hops_total")
    for attempt in range(40):
        with client(gate.url) as c:
            roundtrip(c, f"persistent://{topic}", 20)
        if gate.metrics()("penstock_redirect_hops_total") > start:
            return
        cluster.unload(topic, to=1 + attempt % 2)
    raise AssertionError("40 unloads, and no redirect was needed")


def test_non_persistent(gate):
    with client(gate.url) as c:
        topic = f"non-persistent://{fresh()}"
        consumer = subscribe(c, topic)
        produce(c, topic, range(50))
        assert receive(consumer, 50) == list(range(50))


@pytest.mark.parametrize("size", [0, 1000, 70_000, 1_000_000, 5_000_000])
def test_sizes(gate, size):
    """From nothing to just below the broker's limit, which is where copy ends and splice begins."""
    with client(gate.url) as c:
        roundtrip(c, f"persistent://{fresh()}", max(4, min(200, 10_000_000 // (size + 1))), size, batching_enabled=size < 100_000)


def test_big_messages_are_spliced(gate):
    """Messages of 64 KiB and more: at least 95 % of the payload goes through splice."""
    before = gate.metrics()
    count, size = 400, 100_000
    with client(gate.url) as c:
        roundtrip(c, f"persistent://{fresh()}", count, size, batching_enabled=False)
    wait_until("the connections to end", 5, lambda: not gate.metrics()("penstock_sessions_in_use"))
    after = gate.metrics()
    for way in ("to_broker", "to_client"):
        spliced = after("penstock_bytes_total", dir=way, path="splice") - before("penstock_bytes_total", dir=way, path="splice")
        assert spliced >= 0.95 * count * size, f"{way}: {spliced / count / size:.1%}"


def test_partitioned(cluster, gate):
    """Six partitions spread over both brokers; every message once, in order per partition."""
    topic = fresh("parts")
    cluster.admin("PUT", f"/admin/v2/persistent/{topic}/partitions", 6)
    with client(gate.url) as c:
        assert len(c.get_topic_partitions(f"persistent://{topic}")) == 6
        consumer = subscribe(c, f"persistent://{topic}")
        produce(c, f"persistent://{topic}", range(300), message_routing_mode=pulsar.PartitionsRoutingMode.RoundRobinDistribution, batching_enabled=False)
        per_partition = {}
        for _ in range(300):
            one = consumer.receive(timeout_millis=45_000)
            per_partition.setdefault(one.topic_name(), []).append(number_of(one.data()))
            consumer.acknowledge(one)
    assert len(per_partition) == 6
    assert all(numbers == sorted(numbers) for numbers in per_partition.values())
    assert sorted(n for numbers in per_partition.values() for n in numbers) == list(range(300))
    owners = {cluster.owner(f"{topic}-partition-{n}") for n in range(6)}
    assert owners <= {1, 2}


def test_regex_subscription(gate):
    prefix = fresh("rx")
    with client(gate.url) as c:
        for n in range(5):
            produce(c, f"persistent://{prefix}-{n}", [n])
        consumer = subscribe(c, re.compile(f"persistent://{prefix}-.*"))
        assert sorted(receive(consumer, 5)) == list(range(5))


def test_reader(gate):
    topic = f"persistent://{fresh()}"
    with client(gate.url) as c:
        produce(c, topic, range(100))
        reader = c.create_reader(topic, pulsar.MessageId.earliest)
        got = []
        while reader.has_message_available():
            got.append(number_of(reader.read_next(45_000).data()))
        assert got == list(range(100))
        reader.seek(pulsar.MessageId.earliest)
        assert number_of(reader.read_next(45_000).data()) == 0


def test_schema(gate):
    class Apple(pulsar.schema.Record):
        name = pulsar.schema.String()
        weight = pulsar.schema.Integer()

    topic = f"persistent://{fresh()}"
    with client(gate.url) as c:
        schema = pulsar.schema.JsonSchema(Apple)
        consumer = c.subscribe(topic, "s", schema=schema)
        producer = c.create_producer(topic, schema=schema)
        for n in range(20):
            producer.send(Apple(name=f"apple {n}", weight=n))
        for n in range(20):
            value = consumer.receive(45_000).value()
            assert (value.name, value.weight) == (f"apple {n}", n)

        class Pear(pulsar.schema.Record):
            name = pulsar.schema.Double()

        with pytest.raises(pulsar.IncompatibleSchema):
            c.create_producer(topic, schema=pulsar.schema.JsonSchema(Pear))


def test_key_shared(gate):
    """Three consumers on connections of their own: a key stays with one, in order."""
    topic = f"persistent://{fresh()}"
    clients = [pulsar.Client(gate.url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)) for _ in range(3)]
    consumers = [c.subscribe(topic, "ks", consumer_type=pulsar.ConsumerType.KeyShared) for c in clients]
    with client(gate.url) as c:
        producer = c.create_producer(topic, batching_type=pulsar.BatchingType.KeyBased)
        for n in range(300):
            producer.send_async(message(n), lambda *_: None, partition_key=f"k{n % 20}")
        producer.flush()
    owner, last, count = {}, {}, 0
    deadline = time.monotonic() + 45
    while count < 300 and time.monotonic() < deadline:
        for who, consumer in enumerate(consumers):
            with contextlib.suppress(pulsar.Timeout):
                while count < 300:
                    one = consumer.receive(timeout_millis=100)
                    n = number_of(one.data())
                    key = one.partition_key()
                    assert owner.setdefault(key, who) == who, f"{key} went to two consumers"
                    assert last.get(key, -1) < n, f"{key} out of order"
                    last[key] = n
                    count += 1
                    consumer.acknowledge(one)
    assert count == 300
    for one in clients:
        one.close()


def test_unknown_topic_keeps_its_error(cluster, gate):
    """A namespace that does not exist: the broker's own answer reaches the client."""
    with client(gate.url) as c:
        with pytest.raises(pulsar.PulsarException) as through:
            c.create_producer("persistent://public/no-such-namespace/t")
    assert "Topic" in type(through.value).__name__ or "NotFound" in str(through.value) or "Authorization" in type(through.value).__name__, repr(through.value)
