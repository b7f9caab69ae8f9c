"""Real brokers with TLS, official clients: TLS ended here, begun here, on both sides, and passed through by server name."""
import cpp_sni
import pytest
import settings
from clients import client, fresh, roundtrip
from processes import wait_until
from test_91_tls import ending


def full(prefix="tls"):
    return f"persistent://{fresh(prefix)}"


@pytest.fixture(scope="module")
def mine(cluster):
    """A certificate for our own address, by the CA that signs the brokers' too: clients trust one file."""
    return cluster.authority.issue("gw.pulsar.test", settings.GATE_ADDRESS)


@pytest.fixture(scope="module")
def gates(module_penstock, cluster, mine):
    """in -> out: tls -> plain, plain -> tls, tls -> tls."""
    servers = {"discovery": {"zookeeper": {"servers": cluster.zookeeper_servers}}}
    speaks = {"broker_tls": {"ca_file": str(cluster.authority.file)}}

    def gate(how, listener):
        one = module_penstock.new()
        config = module_penstock.config(one, [], {**servers, **how}, listener)
        return one.start(config)

    return {
        "tls-plain": gate({}, ending(mine)), "plain-tls": gate(speaks, {}), "tls-tls": gate(speaks, ending(mine)),
        "tls-tls-direct": gate({**speaks, "lookup": "direct"}, ending(mine)),
    }  # fmt: skip


def url(gates, how):
    return f"{'pulsar+ssl' if how.startswith('tls') else 'pulsar'}://{settings.GATE_ADDRESS}:{gates[how].port}"


HOW = ["tls-plain", "plain-tls", "tls-tls", "tls-tls-direct"]


@pytest.mark.parametrize("how", HOW)
def test_python(cluster, gates, how):
    words = {"tls_trust_certs_file_path": str(cluster.authority.file), "tls_validate_hostname": True} if how.startswith("tls") else {}
    with client(url(gates, how), **words) as c:
        for size in (100, 70_000, 1_000_000):
            roundtrip(c, full(), 40, size, batching_enabled=size < 1000)
    port = settings.BROKER_PORT if how == "tls-plain" else settings.BROKER_TLS_PORT
    assert gates[how].wait_access(kind="data")["broker"].endswith(f":{port}")


@pytest.mark.parametrize("how", HOW)
def test_java(cluster, gates, java, how):
    words = {"trust": str(cluster.authority.file)} if how.startswith("tls") else {}
    java.run("roundtrip", url=url(gates, how), topic=full(), count=300, **words)
    java.run("roundtrip", url=url(gates, how), topic=full(), count=5, size=1 << 20, **words)


@pytest.mark.parametrize("how", ["plain-tls", "tls-tls"])
def test_redirects_are_followed_inside_tls(cluster, gates, how):
    """Side connections of lookups speak TLS too."""
    topic = fresh()
    words = {"tls_trust_certs_file_path": str(cluster.authority.file)} if how.startswith("tls") else {}
    start = gates[how].metrics()("penstock_redirect_hops_total")
    for attempt in range(40):
        with client(url(gates, how), **words) as c:
            roundtrip(c, f"persistent://{topic}", 20)
        if gates[how].metrics()("penstock_redirect_hops_total") > start:
            return
        cluster.unload(topic, to=1 + attempt % 2)
    raise AssertionError("40 unloads, and no redirect was needed")


@pytest.fixture(scope="module")
def edge(module_penstock, cluster):
    """Routing by server name, nothing decrypted: the page of Pulsar's documentation (PIP-60), without its table."""
    one = module_penstock.new()
    return one.start({
        "clusters": {"c": {"discovery": {"zookeeper": {"servers": cluster.zookeeper_servers}}}},
        "listeners": [{
            "name": "edge", "bind": f"{settings.GATE_ADDRESS}:{one.port}",
            "routes": [{"discovered": "c"}],
        }],
    })  # fmt: skip


def test_java_through_sni(cluster, edge, java):
    """The client names brokers by what they advertise, and connects to the proxy only."""
    service = f"pulsar+ssl://{settings.BROKER_NAMES[1]}:{settings.BROKER_TLS_PORT}"
    words = {"trust": str(cluster.authority.file), "sniProxy": f"pulsar+ssl://{settings.GATE_ADDRESS}:{edge.port}"}
    for number in (1, 2):
        topic = fresh("sni")
        cluster.give(topic, number)
        java.run("roundtrip", url=service, topic=f"persistent://{topic}", count=200, **words)
        edge.wait_access(sni=settings.BROKER_NAMES[number])


def test_python_through_sni(cluster, edge):
    """The C++ library under the Python client can do it, too (cpp_sni.py). It verifies names as the proxy's, so here it does not."""
    service = f"pulsar+ssl://{settings.BROKER_NAMES[1]}:{settings.BROKER_TLS_PORT}"
    words = {"tls_trust_certs_file_path": str(cluster.authority.file)}
    for number in (1, 2):
        topic = fresh("sni")
        cluster.give(topic, number)
        before = len(edge.access(sni=settings.BROKER_NAMES[number]))
        with cpp_sni.through(f"pulsar+ssl://{settings.GATE_ADDRESS}:{edge.port}"), client(service, **words) as c:
            for size in (100, 1_000_000):
                roundtrip(c, f"persistent://{topic}", 20, size, batching_enabled=size < 1000)
        wait_until("its access line", 5, lambda: len(edge.access(sni=settings.BROKER_NAMES[number])) > before)
