"""Routes to Kafka: several clusters, Pulsar's routes and such as nobody looks at behind one port, each told by the server name and each with rules of its own."""
import itertools
import json
import socket
import ssl
import struct

import netns
import pytest
import settings
import tls
from kafkaclients import check
from kafkamodes import NODES, Mode, run
from kafkawire import API_VERSIONS, METADATA, ask_hosts, read_response, request
from processes import wait_until
from test_51_kafka_security import java_tls, pure_tls, python_tls, secure
from test_52_kafka_sasl import Identity, write_users

GATE = settings.GATE_ADDRESS
PORTS = itertools.count(9660)
ZONES = "orders", "pay", "vault"
NAMES = {name: GATE for zone in ZONES for name in (f"{zone}.test", f"any.{zone}.test", *(f"b{n}.{zone}.test" for n in range(10)))}


@pytest.fixture(scope="module", autouse=True)
def names(kafka):
    netns.client_names({**NAMES, "echo.gw.test": GATE})
    yield
    netns.client_names()


@pytest.fixture(scope="module")
def ours(kafka):
    """penstock's certificate for all these names."""
    certificate, key = kafka.authority.issue("gw.test", *(name for zone in ZONES for name in (f"*.{zone}.test", f"{zone}.test")), prefix="routes-")

    class Ours:
        tls = {"cert_file": str(certificate), "key_file": str(key)}
        ca = str(kafka.authority.file)

    return Ours


def clusters(kafka, ours):
    """The same brokers by two of their listeners: which one was dialled shows in the access line."""
    return {
        "orders": {"protocol": "kafka", "discovery": {"bootstrap": kafka.bootstrap("PLAINTEXT")}},
        "pay": {"protocol": "kafka", "discovery": {"bootstrap": kafka.bootstrap("SSL")}, "broker_tls": {"ca_file": ours.ca}},
    }


ORDERS = {"host": "*.orders.test", "cluster": "orders", "mode": "terminate", "kafka": {"advertise": "b{id}.orders.test", "bootstrap": "orders.test"}}
PAY = {"host": "*.pay.test", "cluster": "pay", "mode": "reencrypt", "kafka": {"advertise": "b{id}.pay.test", "bootstrap": "any.pay.test", "read_only": True}}


def config(kafka, ours, port, routes, **more):
    """One listener with these routes; more clusters, other keys of the listener."""
    listener = {"name": "edge", "bind": f"{GATE}:{port}", "tls": ours.tls, "routes": routes, **more.pop("listener", {})}
    return {"clusters": {**clusters(kafka, ours), **more.pop("clusters", {})}, "listeners": [listener], **more}


def start(penstock, kafka, ours, *routes, **more):
    gate = penstock.new(next(PORTS))
    return gate.start(config(kafka, ours, gate.port, list(routes), **more))


def change(gate, kafka, ours, *routes):
    generation = gate.metrics()("penstock_config_generation")
    gate.write(config(kafka, ours, gate.port, list(routes)))
    gate.reload()
    wait_until("the other configuration", 10, lambda: gate.metrics()("penstock_config_generation") == generation + 1)


def brokers(gate, zone):
    return {f"{n} b{n}.{zone}.test:{gate.port}" for n in NODES}


def mode(gate, zone, bootstrap, tls):
    """All that a client of this route may know of."""
    return Mode(f"{bootstrap}:{gate.port}", {f"{name}:{gate.port}" for name in NAMES if name.endswith(f"{zone}.test")}, tls)


def hosts(sock):
    return ask_hosts(sock)[0]


def ended(sock, said):
    """Whether the connection has ended in place of an answer."""
    sock.sendall(said)
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


# ---- one port


def test_clusters_and_others_on_one_port(penstock, fake, kafka, ours, tmp_path):
    """Each client hears the names of its own route, gets at the cluster of its own route, and may do what its own route says."""
    inner = tls.Authority(tmp_path)
    opaque = fake(inner.server("echo.gw.test").serve, port=6651)
    gate = start(penstock, kafka, ours, ORDERS, {"host": "echo.gw.test", "forward": opaque.where}, PAY)
    servers = {zone: f"{bootstrap}:{gate.port}" for zone, bootstrap in (("orders", "orders.test"), ("pay", "any.pay.test"))}

    answer = kafka.python.run("roundtrip", servers=servers["orders"], config=python_tls(ours))
    check(answer, brokers(gate, "orders"))
    check(kafka.python.run("roundtrip", library="pure", servers=servers["orders"], config=pure_tls(ours)), brokers(gate, "orders"))
    check(kafka.java.run("roundtrip", servers=servers["orders"], config=java_tls(ours), count=3000, size=2000), brokers(gate, "orders"))
    # Clients give some connections up before they are inside TLS.
    dialled = {(line["kind"], line["broker"].rpartition(":")[2]) for line in gate.access() if line["broker"] != "-"}
    assert dialled == {("kafka", "9092")}
    gate.forget_log()

    # The other cluster, where the same topic is: read, and nothing else.
    assert set(kafka.python.run("brokers", servers=servers["pay"], config=python_tls(ours))["brokers"]) == brokers(gate, "pay")
    assert kafka.python.run("consume", servers=servers["pay"], topic=answer["topic"], count=1000, config=python_tls(ours))["got"] == list(range(1000))
    words = {"topic": answer["topic"], "first": 1000, "count": 1}
    quick = {"enable.idempotence": False, **python_tls(ours)}
    refused = kafka.python.ask("produce", servers=servers["pay"], config=quick, **words)
    assert not refused["ok"] and "TOPIC_AUTHORIZATION_FAILED" in json.dumps(refused), refused
    assert kafka.python.ask("produce", servers=servers["orders"], config=quick, **words)["ok"]
    wait_until("access lines of both", 10, lambda: {line["route"] for line in gate.access()} >= {"*.orders.test", "*.pay.test"})
    for line in gate.access(route="*.pay.test"):
        assert line["sni"].endswith("pay.test") and line["broker"].rpartition(":")[2] in ("9094", "-"), line

    # And what nobody looks at.
    with secure(whose(inner), gate.port, "echo.gw.test") as sock:
        sock.sendall(b"hello")
        assert sock.recv(5) == b"hello"
    assert gate.wait_access(sni="echo.gw.test")["kind"] == "routed"
    kafka.python.close()  # a producer that has failed keeps its connections until Python takes it away


def whose(authority):
    class Ours:
        ca = str(authority.file)

    return Ours


def test_nothing_of_brokers_is_told(penstock, kafka, ours):
    """Whatever Java asks: the ends of its connections, and all names it was told, are those of its route."""
    gate = start(penstock, kafka, ours, ORDERS, {**PAY, "kafka": {**PAY["kafka"], "read_only": False}})
    for zone, bootstrap in (("orders", "orders.test"), ("pay", "any.pay.test")):
        one = mode(gate, zone, bootstrap, java_tls(ours))
        for case in ("tour", "roundtrip", "transactions"):
            run(kafka.java, case, one)


def test_names_that_lead_nowhere(penstock, kafka, ours):
    """Of a route's names those of brokers and its bootstrap are known; another route's bootstrap may lead to any broker whatever was asked for."""
    open_route = {**PAY, "kafka": {"advertise": "b{id}.pay.test:443", "unknown": "bootstrap"}}
    gate = start(penstock, kafka, ours, ORDERS, open_route, listener={"no_sni": "*.pay.test"})
    for name, expected in (("orders.test", "orders"), ("b3.orders.test", "orders"), ("any.pay.test", "pay"), ("b2.pay.test", "pay"), (None, "pay")):
        with secure(ours, gate.port, name) as sock:
            assert hosts(sock) == {n: (f"b{n}.{expected}.test", 443 if expected == "pay" else gate.port) for n in NODES}, name
    with secure(ours, gate.port, "any.orders.test") as sock:
        assert ended(sock, request(API_VERSIONS))
    assert gate.wait_access(reason="no_route")["route"] == "*.orders.test"
    with secure(ours, gate.port, "b9.orders.test") as sock:  # a node that there is not
        assert ended(sock, request(API_VERSIONS))
    gate.wait_access(reason="node_unknown")


def test_the_way_of_a_name(penstock, kafka, ours):
    """/routes?sni= knows what workers do."""
    gate = start(penstock, kafka, ours, ORDERS, PAY)

    def way(name):
        (one,) = gate.json(f"/routes?sni={name}")["ways"]
        return one

    wait_until("brokers to be asked", 10, lambda: way("b2.pay.test")["targets"] and way("b2.orders.test")["targets"])
    for node in NODES:
        for zone, port in (("orders", 9092), ("pay", 9094)):
            one = way(f"b{node}.{zone}.test")
            assert [place["target"] for place in one["targets"]] == [f"broker-{node}.kafka.test:{port}"] and one["cluster"] == zone
    assert len(way("orders.test")["targets"]) >= 1 and way("orders.test")["route"] == "*.orders.test"
    assert way("b9.orders.test")["targets"] == []
    assert way("any.orders.test")["reason"] == "no_route"


# ---- whose connections are whose


def test_metrics_by_route(penstock, kafka, ours):
    """Node 1 of one cluster is not node 1 of the other. A route that is gone takes its rows along, and has them again when it comes back."""
    gate = start(penstock, kafka, ours, ORDERS, PAY)

    def visit(zone, node):
        with secure(ours, gate.port, f"b{node}.{zone}.test") as sock:
            sock.sendall(request(API_VERSIONS))
            read_response(sock)

    def count(zone, node):
        return gate.metrics()("penstock_kafka_node_connections_total", listener="edge", route=f"*.{zone}.test", node=str(node))

    def rest():
        wait_until("all to be closed", 10, lambda: gate.metrics()("penstock_connections_active") == 0)

    for zone, node, times in (("orders", 1, 2), ("pay", 1, 3), ("pay", 2, 1)):
        for _ in range(times):
            visit(zone, node)
    rest()
    assert (count("orders", 1), count("pay", 1), count("pay", 2), count("orders", 2)) == (2, 3, 1, 0)
    assert gate.metrics()("penstock_route_connections_total", route="*.pay.test") == 4
    assert gate.metrics()("penstock_kafka_node_requests_total", route="*.pay.test") == 4

    other = {**ORDERS, "host": "*.vault.test", "kafka": {"advertise": "b{id}.vault.test", "bootstrap": "vault.test"}}
    change(gate, kafka, ours, ORDERS, other)
    visit("vault", 1)
    rest()
    assert (count("orders", 1), count("pay", 1), count("vault", 1)) == (2, 0, 1)
    change(gate, kafka, ours, PAY, other)
    visit("pay", 1)
    rest()
    assert (count("orders", 1), count("pay", 1), count("vault", 1)) == (0, 4, 1)


def test_who_a_client_is(penstock, kafka, ours, tmp_path):
    """A route with certificates of its own, to brokers that penstock authenticates to in the place of its clients."""
    users = tmp_path / "users"
    write_users(users, "cn:alice alice alice-secret\ncn:bob admin admin-secret\n")
    vault = {
        "vault": {
            "protocol": "kafka", "discovery": {"bootstrap": kafka.bootstrap("SASL_SSL")}, "broker_tls": {"ca_file": ours.ca},
            "broker_sasl": {"mechanism": "SCRAM-SHA-256", "users_file": str(users)},
        },
    }  # fmt: skip
    guarded = {
        "host": "*.vault.test", "cluster": "vault", "mode": "reencrypt", "kafka": {"advertise": "b{id}.vault.test", "bootstrap": "vault.test"},
        "tls": {**ours.tls, "client_auth": "require", "client_ca_file": ours.ca},
    }  # fmt: skip
    gate = start(penstock, kafka, ours, ORDERS, guarded, clusters=vault)
    alice, bob, mallory = (Identity(kafka, name) for name in ("alice", "bob", "mallory"))
    servers = f"vault.test:{gate.port}"
    check(kafka.python.run("roundtrip", servers=servers, config=alice.python), brokers(gate, "vault"))
    check(kafka.java.run("roundtrip", servers=servers, config=bob.java), brokers(gate, "vault"))
    lines = [line for line in gate.access(route="*.vault.test") if "user" in line]
    assert {(line["principal"], line["user"]) for line in lines} == {("alice", "alice"), ("bob", "admin")}
    check(kafka.python.run("roundtrip", servers=f"orders.test:{gate.port}", config=python_tls(ours)), brokers(gate, "orders"))
    with secure(ours, gate.port, "vault.test", mallory.client[:2]) as sock:
        assert ended(sock, request(API_VERSIONS))
    gate.wait_access(reason="no_broker_user", route="*.vault.test")
    with pytest.raises((ssl.SSLError, ConnectionResetError)), secure(ours, gate.port, "vault.test") as sock:
        sock.recv(1)  # TLS 1.3: the client believes itself done before it has been judged
    gate.wait_access(reason="client_tls_cert_missing", route="*.vault.test")


# ---- a reload


def may_write(sock):
    """Whether CreateTopics (19) is among the calls of ApiVersions v0."""
    sock.sendall(request(API_VERSIONS))
    answer = read_response(sock)
    count = struct.unpack_from(">i", answer, 6)[0]
    return 19 in [struct.unpack_from(">h", answer, 10 + 6 * i)[0] for i in range(count)]


def test_a_reload(penstock, kafka, ours):
    """Rules of a route change for connections that are there. One whose route is gone, or leads to another cluster, ends with its next request; others' stay."""
    gate = start(penstock, kafka, ours, ORDERS, PAY)
    with secure(ours, gate.port, "b1.orders.test") as orders, secure(ours, gate.port, "b1.pay.test") as pay:
        assert may_write(orders) and not may_write(pay)
        change(gate, kafka, ours, {**ORDERS, "kafka": {**ORDERS["kafka"], "read_only": True, "advertise": "c{id}.orders.test"}}, PAY)
        assert not may_write(orders) and not may_write(pay)
        assert hosts(orders)[1][0] == "c1.orders.test" and hosts(pay)[1][0] == "b1.pay.test"
        change(gate, kafka, ours, {**ORDERS, "cluster": "pay", "mode": "reencrypt"}, PAY)
        assert ended(orders, request(API_VERSIONS))
        assert gate.wait_access(reason="listener_gone")["sni"] == "b1.orders.test"
        gate.forget_log()
        assert not may_write(pay)
        with secure(ours, gate.port, "b1.orders.test") as again:
            assert hosts(again)[1][0] == "b1.orders.test"
            change(gate, kafka, ours, PAY)
            assert ended(again, request(API_VERSIONS))
        gate.wait_access(reason="listener_gone")
        assert not may_write(pay)


@pytest.mark.parametrize("elsewhere", ["cluster", "forward"])
def test_a_listener_that_leads_elsewhere(penstock, kafka, ours, elsewhere):
    """Its brokers' names are another cluster's, or there are none any more: connections of before hear none of them, though their cluster is still there."""
    gate, other = penstock.new(next(PORTS)), next(PORTS)
    edge = {"name": "edge", "bind": f"{GATE}:{gate.port}"}
    stays = {"name": "stays", "bind": f"{GATE}:{other}", "cluster": "orders", "tls": ours.tls, "kafka": {"mode": "sni", **ORDERS["kafka"]}}
    pay = {"cluster": "pay", "tls": ours.tls, "kafka": {"mode": "sni", **PAY["kafka"]}}
    gate.start({"clusters": clusters(kafka, ours), "listeners": [stays, {**stays, **edge}]})
    with secure(ours, gate.port, "b1.orders.test") as sock:
        assert hosts(sock)[1] == ("b1.orders.test", gate.port)
        gate.write({"clusters": clusters(kafka, ours), "listeners": [stays, {**edge, **(pay if elsewhere == "cluster" else {"forward": "10.0.0.9:9"})}]})
        gate.reload()
        wait_until("the other configuration", 10, lambda: gate.metrics()("penstock_config_generation") == 2)
        assert ended(sock, request(METADATA, 2, 1, struct.pack(">i", 0)))
    gate.wait_access(reason="listener_gone")


# ---- many at once


def test_many_at_once(penstock, kafka, ours):
    """Clients of both clusters and of neither come and go on the same port."""
    gate = start(penstock, kafka, ours, ORDERS, PAY)
    for round_number in range(40):
        zone, node = ("orders", "pay")[round_number % 2], NODES[round_number % len(NODES)]
        socks = [secure(ours, gate.port, f"b{node}.{zone}.test") for _ in range(3)]
        for sock in socks:
            sock.sendall(request(API_VERSIONS, correlation=round_number))
        for sock in socks[:2]:
            assert struct.unpack(">i", read_response(sock)[:4])[0] == round_number
        for sock in socks:
            sock.close()
        with socket.create_connection((GATE, gate.port), 5) as sock:
            sock.sendall(tls.hello("nobody.test"))
            assert tls.alert(sock.recv(7)) == 112
