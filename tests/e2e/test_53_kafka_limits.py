"""Limits in front of Kafka: how many connections and how fast they come, how fast one may be. Who is over a rate is held back, and loses nothing."""
import itertools
import socket
import struct
import time

import pytest
import settings
from kafkamodes import by_port, clusters
from kafkawire import API_VERSIONS, read_response, request
from processes import wait_until

GATE = settings.GATE_ADDRESS
PORTS = itertools.count(9700, 10)


def start(penstock, kafka, rate=(), listener=(), **sections):
    port = next(PORTS)
    gate = penstock.new(port)
    gate.keys = {
        "clusters": clusters(kafka), "listeners": [by_port(port, kafka={"rate": dict(rate)} if rate else {}, **dict(listener))], **sections,
    }  # fmt: skip
    gate.start(gate.keys)
    gate.servers = f"{GATE}:{port}"
    return gate


def ask(number):
    return request(API_VERSIONS, correlation=number)


def answered(sock, number):
    """Its response comes; False: the end."""
    try:
        assert read_response(sock)[:4] == struct.pack(">i", number)
        return True
    except EOFError:
        return False


def dial(gate, seconds=30):
    return socket.create_connection((GATE, gate.port), seconds)


def is_served(sock):
    sock.sendall(ask(7))
    return answered(sock, 7)


# ---- how many


def is_turned_away(gate):
    with dial(gate) as over:
        try:
            return not is_served(over)
        except ConnectionError:
            return True


@pytest.mark.parametrize("limit, reason", [("connections", "conn_limit"), ("per_ip", "conn_limit_ip")])
def test_connections_of_the_process_and_of_an_address(penstock, kafka, limit, reason):
    gate = start(penstock, kafka, limits={limit: 2})
    held = [dial(gate) for _ in range(2)]
    assert all(is_served(sock) for sock in held)
    assert is_turned_away(gate)
    gate.wait_access(reason=reason)
    for sock in held:
        sock.close()


def test_connections_of_a_listener(penstock, kafka):
    """All ports of a listener together; room that is given back is used; a reload changes the limit for those who come then."""
    gate = start(penstock, kafka, listener={"max_connections": 2})
    held = [dial(gate), socket.create_connection((GATE, gate.port + 1), 30)]
    assert is_served(held[0])
    wait_until("both", 5, lambda: gate.metrics()("penstock_connections_active") == 2)
    assert is_turned_away(gate)
    gate.wait_access(reason="conn_limit_listener")
    held.pop().close()
    wait_until("room", 5, lambda: gate.metrics()("penstock_connections_active") == 1)
    held.append(dial(gate))
    assert is_served(held[1])
    assert is_turned_away(gate)
    gate.keys["listeners"][0]["max_connections"] = 3
    gate.write(gate.keys)
    gate.reload()
    wait_until("the other limit", 10, lambda: gate.metrics()("penstock_config_generation") == 2)
    held.append(dial(gate))
    assert is_served(held[2]) and is_served(held[0])
    assert is_turned_away(gate)
    wait_until("all three to be counted", 5, lambda: gate.metrics()("penstock_disconnects_total", reason="conn_limit_listener") == 3)
    for sock in held:
        sock.close()


def test_connections_a_second(penstock, kafka):
    """10 a second: the first 11 at once, the other 15 when it is their time; nobody is turned away."""
    gate = start(penstock, kafka, listener={"accept_rate": 10})
    begin = time.monotonic()
    held = [dial(gate) for _ in range(26)]
    for sock in held:
        sock.sendall(ask(7))
    assert all(answered(sock, 7) for sock in held)
    took = time.monotonic() - begin
    assert 1.3 <= took < 15, took
    assert gate.metrics()("penstock_accept_paced_total") >= 2
    assert gate.metrics()("penstock_connections_total") == 26
    for sock in held:
        sock.close()


# ---- how fast


def test_requests_a_second(penstock, kafka):
    """20 a second: 21 at once, then one every 50 ms; in their order, and none is lost. A reload lifts it for connections that are there."""
    gate = start(penstock, kafka, {"requests": 20})
    with dial(gate) as sock:
        begin = time.monotonic()
        sock.sendall(b"".join(ask(n) for n in range(80)))
        for n in range(80):
            assert answered(sock, n)
        took = time.monotonic() - begin
        assert 2.8 <= took < 15, took
        seen = gate.metrics()
        assert seen("penstock_kafka_requests_total", api="ApiVersions") == 80
        assert seen("penstock_kafka_paced_total", dir="to_broker") >= 20 and seen("penstock_kafka_paced_total", dir="to_client") == 0
        del gate.keys["listeners"][0]["kafka"]["rate"]
        gate.write(gate.keys)
        gate.reload()
        wait_until("no limit", 10, lambda: gate.metrics()("penstock_config_generation") == 2)
        begin = time.monotonic()
        sock.sendall(b"".join(ask(n) for n in range(400)))
        for n in range(400):
            assert answered(sock, n)
        assert time.monotonic() - begin < 12


def test_a_client_that_goes_while_it_is_held(penstock, kafka):
    """Its connection ends; so does penstock's drain, in time."""
    gate = start(penstock, kafka, {"requests": 1}, timeouts={"drain": "3s"}, drain={"lame_duck": "0s", "spread": "500ms"})
    with dial(gate) as sock:
        sock.sendall(b"".join(ask(n) for n in range(10)))
        assert answered(sock, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until("it to be gone", 15, lambda: gate.metrics()("penstock_connections_active") == 0)
    with dial(gate) as sock:
        sock.sendall(b"".join(ask(n) for n in range(60)))
        assert answered(sock, 0)
        assert gate.stop(seconds=15) == 0


def test_bytes_a_second(penstock, kafka):
    """1 MiB/s each way for each connection: 4 MB to one partition take about 3 s there and 3 s back, and arrive whole."""
    gate = start(penstock, kafka, {"bytes_in": "1MiB", "bytes_out": "1MiB"})
    topic = kafka.python.run("create", servers=gate.servers, partitions=1)["topic"]
    begin = time.monotonic()
    kafka.python.run("produce", servers=gate.servers, topic=topic, first=0, count=200, size=20000, config={"batch.size": 100000, "linger.ms": 20})
    there = time.monotonic()
    got = kafka.python.run("consume", servers=gate.servers, topic=topic, count=200, config={"fetch.message.max.bytes": 200000})
    back = time.monotonic()
    assert got["got"] == list(range(200))
    assert there - begin >= 2.4, f"produced in {there - begin} s"
    assert back - there >= 2.4, f"fetched in {back - there} s"
    seen = gate.metrics()
    assert seen("penstock_kafka_paced_total", dir="to_broker") >= 5
    assert seen("penstock_kafka_paced_total", dir="to_client") >= 5
