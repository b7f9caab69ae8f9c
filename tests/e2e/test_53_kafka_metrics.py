"""What is counted of Kafka: the numbers of /metrics after traffic that is known."""
import itertools
import re
import socket
import struct

import settings
from kafkamodes import by_port, clusters
from kafkawire import API_VERSIONS, DELETE_TOPICS, HEARTBEAT, ask_hosts, read_response, request
from processes import wait_until

GATE = settings.GATE_ADDRESS
PORTS = itertools.count(9600, 10)
COUNT, SIZE = 3000, 20000
LOG_DIRS = 34


def start(penstock, kafka, nodes=("1-3",), listener=(), **keys):
    port = next(PORTS)
    gate = penstock.new(port)
    gate.start({"clusters": clusters(kafka), "listeners": [by_port(port, nodes=nodes, kafka=keys, **dict(listener))]})
    gate.servers = f"{GATE}:{port}"
    return gate


def dial(gate, seconds=10):
    return socket.create_connection((GATE, gate.port), seconds)


def test_calls_and_brokers(penstock, kafka):
    gate = start(penstock, kafka)
    answer = kafka.java.run("roundtrip", servers=gate.servers, count=COUNT, size=SIZE, partitions=3,
                            config={"fetch.min.bytes": "1000000", "batch.size": "1000000", "linger.ms": "50"})  # fmt: skip
    assert answer["missing"] == [] and answer["twice"] == 0
    wait_until("all to be closed", 10, lambda: gate.metrics()("penstock_connections_active") == 0)
    seen = gate.metrics()

    # Calls.
    assert seen("penstock_kafka_request_bytes_total", api="Produce") >= COUNT * SIZE
    assert seen("penstock_kafka_response_bytes_total", api="Fetch") >= COUNT * SIZE
    assert seen("penstock_kafka_requests_total", api="CreateTopics") == 1
    assert seen("penstock_kafka_requests_total", api="OffsetCommit") >= 1
    assert seen("penstock_kafka_requests_total", api="other") == 0
    for api in ("Produce", "Fetch", "Metadata", "ApiVersions"):
        answered = seen("penstock_kafka_response_seconds_count", api=api)
        assert 0 < answered <= seen("penstock_kafka_requests_total", api=api)
        assert answered == seen("penstock_kafka_response_seconds_bucket", api=api, le="+Inf")
        assert 0 < seen("penstock_kafka_response_seconds_sum", api=api) < 60 * answered
    assert seen("penstock_kafka_in_flight") == 0

    # Records, and the way they took. Of a response that nobody waited for the end of it is not known.
    spliced, copied = (seen("penstock_kafka_fetch_bytes_total", path=path) for path in ("splice", "copy"))
    assert 0.95 * COUNT * SIZE <= spliced
    assert COUNT * SIZE <= spliced + copied <= seen("penstock_kafka_response_bytes_total", api="Fetch")

    # Brokers: each has been used, and together they are everything.
    for node in ("any", "1", "2", "3"):
        assert seen("penstock_kafka_node_connections_total", listener="kafka", node=node) >= 1
        assert seen("penstock_kafka_node_requests_total", listener="kafka", node=node) >= 1
    # A client may be gone before its broker has been reached.
    assert seen("penstock_kafka_node_connections_total") <= seen("penstock_dials_total") <= seen("penstock_connections_total")
    assert seen("penstock_kafka_node_connections_active") == 0
    assert seen("penstock_kafka_node_requests_total") == seen("penstock_kafka_requests_total")
    for direction in ("to_broker", "to_client"):
        assert seen("penstock_kafka_node_bytes_total", dir=direction) == seen("penstock_bytes_total", dir=direction) > COUNT * SIZE
    # And how long these took: as all calls together.
    for end in ("count", "sum"):
        node, api = seen(f"penstock_kafka_node_response_seconds_{end}"), seen(f"penstock_kafka_response_seconds_{end}")
        assert abs(node - api) < 0.001 and node > 0, (node, api)
    assert seen("penstock_kafka_node_response_seconds_count", node="1") == seen("penstock_kafka_node_response_seconds_bucket", node="1", le="+Inf") > 0
    assert seen("penstock_kafka_unroutable_total") == 0

    # Responses that were changed: most as a whole, Metadata's beginning, what brokers offer.
    for way in ("whole", "prefix", "versions"):
        assert seen("penstock_kafka_rewritten_total", way=way) > 0, way


def test_fetches_that_wait(penstock, kafka):
    """Nothing to fetch: a response comes after as long as the client said it would wait."""
    gate = start(penstock, kafka)
    topic = kafka.python.run("create", servers=gate.servers, partitions=1)["topic"]
    config = {"fetch.wait.max.ms": 700, "socket.timeout.ms": 10000, "topic.metadata.refresh.interval.ms": 500}
    kafka.python.ask("consume", servers=gate.servers, topic=topic, count=1, time=10, config=config)
    seen = gate.metrics()
    longer, shorter = (seen("penstock_kafka_response_seconds_bucket", api="Fetch", le=le) for le in ("1.048576", "0.262144"))
    assert longer - shorter >= 2, (longer, shorter)
    assert seen("penstock_kafka_response_seconds_sum", api="Fetch") >= 0.65 * (longer - shorter)


def test_denied_calls(penstock, kafka):
    """Not offered, and counted when they come all the same; DescribeQuorum is offered in an older version."""
    gate = start(penstock, kafka, deny_apis=["DeleteTopics", "Heartbeat", "AlterReplicaLogDirs"])
    with dial(gate) as sock:
        sock.sendall(request(API_VERSIONS, 0, 1))
        answer = read_response(sock)
        offered = {struct.unpack_from(">h", answer, 10 + 6 * i)[0] for i in range(struct.unpack_from(">i", answer, 6)[0])}
        assert API_VERSIONS in offered and not offered & {HEARTBEAT, DELETE_TOPICS, LOG_DIRS}
        sock.sendall(request(HEARTBEAT, 0, 2))  # answered in the broker's place
        assert read_response(sock) == struct.pack(">ih", 2, 30)
        name = struct.pack(">h1s", 1, b"t")
        sock.sendall(request(DELETE_TOPICS, 0, 3, struct.pack(">i", 1) + name + struct.pack(">i", 1000)))
        assert read_response(sock) == struct.pack(">ii", 3, 1) + name + struct.pack(">h", 29)
        sock.sendall(request(LOG_DIRS, 0, 4))
        assert sock.recv(1) == b""
    gate.wait_access(reason="api_denied")
    seen = gate.metrics()
    for file in ("grafana.json", "alerts.yml"):  # all that they ask for of Kafka is there by now
        text = (settings.TREE / "packaging/common/monitoring" / file).read_text()
        names = set(re.findall(r"\bpenstock_kafka_[a-z_]+(?=[{\[) ])", text))
        assert len(names) > 2 and [name for name in sorted(names) if not seen.has(name)] == []
    assert seen("penstock_kafka_denied_total", api="Heartbeat") == 1
    assert seen("penstock_kafka_denied_total", api="DeleteTopics") == 1
    assert seen("penstock_kafka_denied_total", api="AlterReplicaLogDirs") == 1
    assert seen("penstock_kafka_denied_total") == 3
    assert seen("penstock_kafka_requests_total", api="DeleteTopics") == 0
    assert seen("penstock_kafka_answered_total") == 2
    assert seen("penstock_kafka_api_entries_total", fate="denied") == 3
    assert seen("penstock_kafka_api_entries_total", fate="lowered") >= 1
    assert seen("penstock_kafka_api_entries_total", fate="unknown") == 0


def test_unknown_calls(penstock, fake):
    """Of a broker with calls that nobody here has heard of: hidden, but for those of vendors. Calls of controllers are hidden too, and not denied."""
    vote, unknown, vendor = 52, 200, 10001
    offer = [(API_VERSIONS, 0, 3), (vote, 0, 2), (unknown, 0, 0), (unknown + 1, 0, 0), (vendor, 0, 1)]

    def serve(peer):
        while True:
            asked = peer.read_exactly(struct.unpack(">i", peer.read_exactly(4))[0])
            answer = asked[4:8] + struct.pack(">hi", 0, len(offer)) + b"".join(struct.pack(">hhh", *one) for one in offer)
            peer.send(struct.pack(">i", len(answer)) + answer)

    broker, port = fake(serve, port=9092), next(PORTS)
    gate = penstock.new(port)
    discovery = {"bootstrap": [broker.where], "refresh": "off"}
    gate.start({"clusters": {"k": {"protocol": "kafka", "discovery": discovery}}, "listeners": [by_port(port)]})
    with dial(gate) as sock:
        sock.sendall(request(API_VERSIONS, 0, 1))
        answer = read_response(sock)
        assert [struct.unpack_from(">h", answer, 10 + 6 * i)[0] for i in range(struct.unpack_from(">i", answer, 6)[0])] == [API_VERSIONS, vendor]
        sock.sendall(request(vendor, 1, 2))
        assert read_response(sock)[:4] == struct.pack(">i", 2)
        sock.sendall(request(unknown, 0, 3))
        assert sock.recv(1) == b""
    gate.wait_access(reason="api_unknown")
    seen = gate.metrics()
    assert seen("penstock_kafka_requests_total", api="other") == seen("penstock_kafka_response_seconds_count", api="other") == 1
    fates = {fate: seen("penstock_kafka_api_entries_total", fate=fate) for fate in ("unknown", "hidden", "denied", "lowered")}
    assert fates == {"unknown": 2, "hidden": 1, "denied": 0, "lowered": 0}


def test_held_clients(penstock, kafka):
    """More requests without a response than there may be: the client is held back, and all are answered in their order."""
    gate, count = start(penstock, kafka), 5000
    with dial(gate, 60) as sock:
        sock.sendall(b"".join(request(API_VERSIONS, 0, n) for n in range(count)))
        for n in range(count):
            assert struct.unpack_from(">i", read_response(sock)) == (n,)
    seen = gate.metrics()
    assert seen("penstock_kafka_held_total") >= 1
    assert seen("penstock_kafka_requests_total", api="ApiVersions") == count
    assert seen("penstock_kafka_response_seconds_count", api="ApiVersions") == count


def test_brokers_without_a_port(penstock, kafka):
    """Clients are told port 0; the log says so, once a minute at most of each worker."""
    gate = start(penstock, kafka, nodes=["1-2"])
    with dial(gate) as sock:  # librdkafka would wait for the controller, which node 3 may be
        for _ in range(3):
            hosts, _ = ask_hosts(sock)
    assert hosts == {1: (GATE, gate.port + 1), 2: (GATE, gate.port + 2), 3: (GATE, 0)}
    assert gate.metrics()("penstock_kafka_unroutable_total") >= 3
    lines = [line for line in gate.log().splitlines() if " kafka_hint " in line]
    assert len(lines) == 1 and "listener kafka: client " in lines[0] and "node 3: no port of this listener" in lines[0] and "kafka.nodes" in lines[0], lines


def test_ports_that_are_advertised(penstock, kafka):
    """They are others than those that are bound: something in between maps them."""
    gate = start(penstock, kafka, advertise="gw.example.com:19100")
    with dial(gate) as sock:
        assert ask_hosts(sock)[0] == {n: ("gw.example.com", 19100 + n) for n in (1, 2, 3)}
    for n in (1, 2, 3):
        with socket.create_connection((GATE, gate.port + n), 10) as sock:
            sock.sendall(request(API_VERSIONS, 0, 7))
            assert struct.unpack_from(">i", read_response(sock)) == (7,)
        gate.wait_access(broker=f"{settings.KAFKA_ADDRESSES[n]}:9092")


def test_a_name_that_comes_again(penstock, kafka):
    """A listener that moves has another id and the same name: its brokers have one row each."""
    gate = start(penstock, kafka)
    assert kafka.python.run("brokers", servers=gate.servers)["brokers"]
    before = gate.metrics()("penstock_kafka_node_connections_total", listener="kafka", node="any")
    port = next(PORTS)
    gate.write({"clusters": clusters(kafka), "listeners": [by_port(port)]})
    gate.reload()
    wait_until("the other port", 10, lambda: gate.metrics()("penstock_config_generation") == 2)
    assert kafka.python.run("brokers", servers=f"{GATE}:{port}")["brokers"]
    rows = [labels for name, labels, _ in gate.metrics().samples if name == "penstock_kafka_node_connections_total" and labels["node"] == "any"]
    assert rows == [{"listener": "kafka", "node": "any"}]
    assert gate.metrics()("penstock_kafka_node_connections_total", node="any") > before
