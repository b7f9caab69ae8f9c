"""The official Java client through `penstock proxy`: what the Python client lacks, and what the Java proxy refuses or hides."""
import settings
import wire
from clients import fresh
from wire import dial


def full(prefix="t"):
    return f"persistent://{fresh(prefix)}"


def test_roundtrip(gate, java):
    java.run("roundtrip", url=gate.url, topic=full(), count=500)


def test_chunked_messages(gate, java):
    """5 MiB and 12 MiB, both above the limit of one message."""
    java.run("chunks", url=gate.url, topic=full(), size=5 << 20)
    java.run("chunks", url=gate.url, topic=full(), size=12 << 20)


def test_key_shared(gate, java):
    assert java.run("keyShared", url=gate.url, topic=full())["consumers"] == 3


def test_transactions(cluster, gate, java):
    """Over topics of both brokers; the coordinator is found through lookup connections."""
    topics = {}
    while len(topics) < 2:
        topic = fresh("txn")
        topics[cluster.owner(topic)] = f"persistent://{topic}"
    java.run("transactions", url=gate.url, topics=list(topics.values()))


def test_watched_pattern(gate, java):
    """Topic list watching works through penstock: a late topic is found in seconds, not at the next poll."""
    assert java.run("pattern", url=gate.url, prefix=full("watch"))["late_ms"] < 40_000


def test_schema(gate, java):
    assert java.run("schema", url=gate.url, topic=full())["refused"] == "IncompatibleSchemaException"


def test_topic_not_found_keeps_its_type(cluster, gate, java):
    """Partition metadata of a topic that does not exist, without creating it: same exception as from the broker itself."""
    answer = java.ask("partitions", url=gate.url, topic=full())
    assert not answer["ok"] and answer["error"] == "TopicDoesNotExistException", answer
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect())
    peer.expect(wire.CONNECTED)
    peer.send(wire.frame(wire.PARTITIONED_METADATA, [(1, full()), (2, 42), (6, 0)]))
    got = peer.expect(wire.PARTITIONED_METADATA_RESPONSE)
    assert got[2] == 42 and got[3] == 1 and got[4] == wire.TOPIC_NOT_FOUND
    peer.close()


def test_listener_name(cluster, gate, java):
    """The listener a client asks for reaches the broker, and its address is dialled: port 6652 here."""
    topic = fresh("listener")
    java.run("roundtrip", url=gate.url, topic=f"persistent://{topic}", listener="gateway")
    address = settings.BROKER_ADDRESSES[cluster.owner(topic)]
    gate.wait_access(kind="data", broker=f"{address}:{settings.BROKER_GATEWAY_PORT}")


def test_unknown_listener_is_the_brokers_own_error(gate):
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect())
    peer.expect(wire.CONNECTED)
    peer.send(wire.lookup(full(), 1, [(7, "no-such-listener")]))
    got = peer.expect(wire.LOOKUP_RESPONSE)
    assert got[3] == wire.FAILED and "no-such-listener" in got.text(7), got
    peer.close()


def test_lookup_properties(penstock, fake, java):
    """What lookupProperties() sets is in the LOOKUP the broker gets (a real broker hands it to its load manager and shows it nobody)."""
    seen = []

    def serve(peer):
        peer.expect(wire.CONNECT)
        peer.send(wire.connected())
        while True:
            got = peer.read_frame()
            if got.kind == wire.PARTITIONED_METADATA:
                peer.send(wire.frame(wire.PARTITIONED_METADATA_RESPONSE, [(1, 0), (2, got[2]), (3, 0)]))
            elif got.kind == wire.LOOKUP:
                seen.append(got)
                peer.send(wire.lookup_answer(got[2], kind=wire.FAILED, error=4, authoritative=0))
            elif got.kind == wire.PING:
                peer.send(wire.frame(wire.PONG, []))

    gate = penstock.fixed(fake(serve))
    answer = java.ask("roundtrip", url=gate.url, topic="persistent://a/b/c", listener="gateway", properties={"rack": "7", "zone": "b"})
    assert not answer["ok"] and answer["error"] == "AuthorizationException", answer
    assert seen[0].text(7) == "gateway"
    properties = [dict(wire.decode(value)) for number, value in seen[0].fields if number == 8]
    assert {p[1]: p[2] for p in properties} == {b"rack": b"7", b"zone": b"b"}
