"""Kafka's clients that are not Java in front of three real brokers that only penstock can reach: each produces, consumes in a group and
administers, survives a topic that is not there yet, leaders that move, a broker that dies, and penstock's own restart.

All of them talk through a wire that reads along (tap.py): no byte that goes to a client may hold the name or the network of a broker. By ports
without TLS; by server names, where the wire ends TLS and begins it anew, the round trip, and with PENSTOCK_E2E_MATRIX=1 (`make kafka-matrix`)
all of it. What clients say at the end of where the brokers are must be penstock.
"""
import uuid

import netns
import pytest
import settings
import tap
from kafkaclients import check
from kafkamodes import by_port, clusters
from kafkaothers import ALL, KINDS, NODES, Way, everybody, flowing, under_load, way_by_port

GATE = settings.GATE_ADDRESS
PORT, BASE = 9092, 19090
SNI = 9093
DOMAIN, DIRECT = "all.test", "direct.test"  # names that lead to the wire, and to penstock
BOTH = ["port", "sni"]
MODES = BOTH if ALL else ["port"]


@pytest.fixture(scope="module")
def clients(kafka):
    names = [f"{host}.{{}}" for host in ("kafka", *(f"b{n}" for n in NODES))]
    netns.client_names({name.format(domain): where for domain, where in ((DOMAIN, tap.HOST), (DIRECT, GATE)) for name in names})
    with everybody() as made:
        yield made
    netns.client_names()


def config(kafka, port, advertise, base, sni, domain=DOMAIN, **sections):
    certificate, key = kafka.authority.issue(domain, f"*.{domain}", prefix="all-")
    return {
        "clusters": clusters(kafka),
        "listeners": [
            by_port(port, base, ["0-9"], advertise),
            {
                "name": "sni", "bind": f"{GATE}:{sni}", "cluster": "k", "tls": {"cert_file": str(certificate), "key_file": str(key)},
                "kafka": {"mode": "sni", "advertise": f"b{{id}}.{domain}", "bootstrap": f"kafka.{domain}"},
            },
        ],
        **sections,
    }  # fmt: skip


def way_by_name(kafka, port, domain=DOMAIN):
    return Way(f"kafka.{domain}:{port}", {f"{n} b{n}.{domain}:{port}" for n in NODES}, str(kafka.authority.file))


@pytest.fixture(scope="module")
def gate(module_penstock, kafka):
    return module_penstock.new().start(config(kafka, PORT, tap.HOST, BASE, SNI))


@pytest.fixture(params=MODES)
def way(request, gate, kafka):
    if request.param == "sni":
        before = gate.metrics()("penstock_connections_total", listener="sni")
        for _ in tap.watched(tap.TlsTap([SNI], kafka.authority, f"*.{DOMAIN}")):
            yield way_by_name(kafka, SNI)
        assert gate.metrics()("penstock_connections_total", listener="sni") > before, "nobody came this way"
        return
    for _ in tap.clean([PORT, *range(BASE, BASE + 10)]):
        yield way_by_port(tap.HOST, PORT, BASE)


@pytest.mark.parametrize("way", BOTH, indirect=True)
@pytest.mark.parametrize("name", KINDS)
def test_roundtrip(clients, way, name):
    check(clients[name].run("roundtrip", way), way.names)


@pytest.mark.parametrize("name", KINDS)
def test_topics_made_and_deleted(clients, way, name):
    """And described: by DescribeTopicPartitions or Metadata, as the library has it."""
    answer = clients[name].run("administer", way)
    assert len(answer["leaders"]) == 4 and set(answer["leaders"]) <= set(NODES), answer
    assert answer["left"] == 0
    assert set(answer.get("described", [])) <= way.names, answer


@pytest.mark.parametrize("name", KINDS)
def test_a_topic_that_is_not_there_yet(clients, way, name):
    topic = f"auto-{uuid.uuid4().hex[:8]}"
    clients[name].run("produce", way, topic=topic, first=0, count=100)
    assert clients[name].run("consume", way, topic=topic, count=100)["got"] == list(range(100))


# ---- trouble, for all of them at once: it comes from outside


def test_leaders_move(kafka, clients, gate, way, say):
    def trouble(topics):
        flowing(gate)
        for topic in topics:
            kafka.mover.run("move", topic=topic, **way.java())

    under_load(clients, way, 12, trouble, kafka.mover, say)


def test_a_broker_dies_and_comes_back(kafka, clients, gate, way, say):
    def trouble(_):
        flowing(gate)
        kafka.kill(3)
        kafka.start(3)

    under_load(clients, way, 20, trouble, kafka.mover, say)


@pytest.mark.parametrize("mode", MODES)
def test_penstock_restarts(kafka, clients, penstock, tmp_path, mode, say):
    """Connections end between two requests, clients come back to the ports they know, and are served at once: the map is on disk.

    Without the wire in between, which would take a connection before it finds out that there is nobody to pass it to."""
    gate, base, sni = penstock.new(), 19390, 19389
    sections = {"state_dir": str(tmp_path), "drain": {"lame_duck": "0s", "spread": "500ms"}, "timeouts": {"drain": "10s", "half_close": "5s"}}
    keys = config(kafka, gate.port, GATE, base, sni, DIRECT, **sections)
    gate.start(keys)

    def trouble(_):
        flowing(gate)
        assert gate.stop() == 0
        ends = {row["reason"] for row in gate.access()}
        # drain_timeout: a client may be waiting for its group to come together just then.
        assert "drain" in ends and ends <= {"drain", "drain_timeout", "client_fin", "client_rst", "client_tls_truncated"}, ends
        gate.start(keys)
        flowing(gate)

    way = way_by_port(GATE, gate.port, base) if mode == "port" else way_by_name(kafka, sni, DIRECT)
    under_load(clients, way, 12, trouble, kafka.mover, say)
