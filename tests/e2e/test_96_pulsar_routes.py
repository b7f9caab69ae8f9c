"""Real brokers, official clients, one port: brokers by name (PIP-60), the VIP of Pulsar's SNI-routing page, routes that end TLS and speak Pulsar."""
import pytest
import settings
from clients import client, fresh, roundtrip
from test_91_tls import ending

VIP = "pulsar-broker-vip.example.com"


def full(prefix="routes"):
    return f"persistent://{fresh(prefix)}"


@pytest.fixture(scope="module")
def mine(cluster):
    """By the CA that signs the brokers' too: clients trust one file."""
    return cluster.authority.issue("*.edge.test", settings.GATE_ADDRESS)


@pytest.fixture(scope="module")
def edge(module_penstock, cluster, mine):
    """c: brokers in clear, s: the same with TLS."""
    servers = {"discovery": {"zookeeper": {"servers": cluster.zookeeper_servers}}}
    one = module_penstock.new()
    routes = [
        {"discovered": "c"},
        {"host": VIP, "cluster": "c"},
        {"host": "plain.edge.test", "cluster": "c", "mode": "terminate"},
        {"host": "secret.edge.test", "cluster": "s", "mode": "reencrypt"},
        {"host": "direct.edge.test", "cluster": "d", "mode": "reencrypt"},
    ]
    speaks = {"broker_tls": {"ca_file": str(cluster.authority.file)}}
    return one.start({
        "clusters": {"c": servers, "s": {**servers, **speaks}, "d": {**servers, **speaks, "lookup": "direct"}},
        "listeners": [{
            "name": "edge", "bind": f"{settings.GATE_ADDRESS}:{one.port}", "routes": routes, "no_sni": "plain.edge.test",
            "unknown": "secret.edge.test", **ending(mine),
        }],
    })  # fmt: skip


def words(cluster, edge, **more):
    return {"trust": str(cluster.authority.file), "sniProxy": f"pulsar+ssl://{settings.GATE_ADDRESS}:{edge.port}", **more}


def test_java_by_vip(cluster, edge, java):
    """Any live broker serves the look-up; the brokers it names are reached by their own names, through the same port. Nobody decrypts."""
    service = f"pulsar+ssl://{VIP}:{settings.BROKER_TLS_PORT}"
    for number in (1, 2):
        topic = fresh("vip")
        cluster.give(topic, number)
        java.run("roundtrip", url=service, topic=f"persistent://{topic}", count=200, **words(cluster, edge, verify=False))
        assert edge.wait_access(sni=settings.BROKER_NAMES[number])["route"] == "discovered:c"
    assert edge.wait_access(sni=VIP)["kind"] == "routed"


@pytest.mark.parametrize("name", ["plain", "secret", "direct"])
def test_java_inside(cluster, edge, java, name):
    """TLS ends here: the client sees one certificate, and every connection asks for the same name."""
    service = f"pulsar+ssl://{name}.edge.test:{settings.BROKER_TLS_PORT}"
    java.run("roundtrip", url=service, topic=full(name), count=300, **words(cluster, edge))
    java.run("roundtrip", url=service, topic=full(name), count=5, size=1 << 20, **words(cluster, edge))
    row = edge.wait_access(sni=f"{name}.edge.test", kind="data")
    assert row["broker"].endswith(f":{settings.BROKER_PORT if name == 'plain' else settings.BROKER_TLS_PORT}")
    assert row["route"] == f"{name}.edge.test"


def test_java_without_a_name(cluster, edge, java):
    """An address is no server name: no_sni."""
    service = f"pulsar+ssl://{settings.GATE_ADDRESS}:{edge.port}"
    java.run("roundtrip", url=service, topic=full(), count=100, trust=str(cluster.authority.file))
    assert edge.wait_access(sni="-", kind="data")["route"] == "plain.edge.test"


def test_python_with_an_address_for_a_name(cluster, edge):
    """The C++ client sends the address as a server name, which nobody has: unknown."""
    service = f"pulsar+ssl://{settings.GATE_ADDRESS}:{edge.port}"
    with client(service, tls_trust_certs_file_path=str(cluster.authority.file), tls_validate_hostname=True) as c:
        for size in (100, 70_000, 1_000_000):
            roundtrip(c, full(), 40, size, batching_enabled=size < 1000)
    row = edge.wait_access(sni=settings.GATE_ADDRESS, kind="data")
    assert row["route"] == "secret.edge.test"


def test_java_by_a_table(penstock, cluster, java):
    """As Pulsar's page has it for ATS: each broker and the VIP by hand."""
    names = settings.BROKER_NAMES
    one = penstock.new()
    brokers = [f"{name}:{settings.BROKER_TLS_PORT}" for name in names.values()]
    routes = [{"host": VIP, "forward": brokers}, *({"host": n, "forward": f"{n}:{settings.BROKER_TLS_PORT}"} for n in names.values())]
    gate = one.start({"listeners": [{"name": "edge", "bind": f"{settings.GATE_ADDRESS}:{one.port}", "routes": routes}]})
    service = f"pulsar+ssl://{VIP}:{settings.BROKER_TLS_PORT}"
    for _ in range(4):
        java.run("roundtrip", url=service, topic=full(), count=50, **words(cluster, gate, verify=False))
    assert {row["route"] for row in gate.access()} <= {VIP, *names.values()}
