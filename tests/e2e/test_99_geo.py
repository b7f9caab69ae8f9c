"""Two real Pulsar clusters, each behind a penstock of its own that routes by server name and decrypts nothing (PIP-60): a namespace is
replicated over both. Neither cluster has another way to the other. The far one lets nobody in without a certificate."""
import concurrent.futures
import contextlib
import re
import signal
import socket
import ssl
import subprocess
import time

import cpp_sni
import netns
import pulsar
import pytest
import settings
import web
from cluster import Cluster
from clients import client, fresh, message, number_of, roundtrip, subscribe
from processes import wait_until

HOME, FAR = settings.HOME, settings.FAR


@pytest.fixture(scope="module")
def far(lab):
    cluster = Cluster(FAR, auth=True, tls=True, mtls=True, brokers=1)
    cluster.forget()
    cluster.up()
    yield cluster
    cluster.forget()
    netns.destroy_far()


class Edge:
    """The penstock in front of one cluster: reached by its clients at one address, by the other cluster at another."""

    def __init__(self, gate, cluster, routes, for_clients, for_cluster):
        self.gate, self.cluster = gate, cluster
        self.for_clients = f"pulsar+ssl://{for_clients}:{gate.port}"
        self.for_cluster = f"pulsar+ssl://{for_cluster}:{gate.port}"
        self.config = {
            "clusters": {"here": {"discovery": {"zookeeper": {"servers": cluster.zookeeper_servers}}}},
            "listeners": [
                {"name": "clients", "bind": f"{for_clients}:{gate.port}", "routes": routes},
                {"name": "other-cluster", "bind": f"{for_cluster}:{gate.port}", "routes": routes},
            ],
        }  # fmt: skip
        self.start()

    def start(self):
        self.gate.start(self.config)


@pytest.fixture(scope="module")
def home_edge(module_penstock, cluster, far):
    """A broker by its name, and any broker for every other name."""
    routes = [{"discovered": "here"}, {"host": "*", "cluster": "here"}]
    return Edge(module_penstock.new(), cluster, routes, settings.GATE_ADDRESS, settings.HOME_TO_FAR_ADDRESS)


@pytest.fixture(scope="module")
def far_edge(module_penstock, far):
    """A broker by its name, any broker by the service's."""
    routes = [{"host": FAR.service_name, "cluster": "here"}, {"discovered": "here"}]
    return Edge(module_penstock.new(side=FAR.side), far, routes, settings.FAR_GATE_ADDRESS, settings.FAR_FROM_HOME_ADDRESS)


@pytest.fixture(scope="module")
def person(far):
    """A certificate that the far brokers take."""
    return far.authority.issue("admin", client=True, prefix="client-")


def secure(site, file):
    """Service URL and trust of a client; the name is that of no host a client could find."""
    return f"pulsar+ssl://{site.service_name}:{settings.BROKER_TLS_PORT}", {"tls_trust_certs_file_path": str(file)}


@contextlib.contextmanager
def home_client(edge):
    url, words = secure(HOME, edge.cluster.authority.file)
    with cpp_sni.through(edge.for_clients), client(url, **words) as c:
        yield c


@contextlib.contextmanager
def far_client(edge, person):
    url, words = secure(FAR, edge.cluster.authority.file)
    with cpp_sni.through(edge.for_clients), client(url, authentication=pulsar.AuthenticationTLS(*map(str, person)), **words) as c:
        yield c


# ---- clients of brokers that want certificates


def test_python_brings_its_certificate_through(far, far_edge, person):
    with far_client(far_edge, person) as c:
        for size in (100, 70_000):
            roundtrip(c, f"persistent://{fresh('mtls')}", 50, size, batching_enabled=size < 1000)
    assert far_edge.gate.wait_access(sni=FAR.service_name)["route"] == FAR.service_name
    assert far_edge.gate.wait_access(sni=FAR.names[1])["route"] == "discovered:here"


def test_java_brings_its_certificate_through(far, far_edge, person, java):
    """Names verified: the client sees the broker's own certificate."""
    url, _ = secure(FAR, far.authority.file)
    words = {"url": url, "sniProxy": far_edge.for_clients, "trust": str(far.authority.file)}
    java.run("roundtrip", topic=f"persistent://{fresh('mtls')}", count=100, cert=str(person[0]), key=str(person[1]), **words)
    other = far.authority.issue("nobody-special", client=True, prefix="client-")
    answer = java.ask("roundtrip", topic=f"persistent://{fresh('mtls')}", cert=str(other[0]), key=str(other[1]), **words)
    assert not answer["ok"] and "not authorized" in answer["message"], answer
    said = far.brokers[1].log.read_text()
    assert "nobody-special" in said  # the name in the certificate has reached the broker


def test_none_is_refused_by_the_broker(far, far_edge):
    """Not by penstock: what the broker says reaches the client."""
    context = ssl.create_default_context(cafile=far.authority.file)
    before = len(far_edge.gate.access(sni=FAR.names[1]))
    with socket.create_connection((settings.FAR_GATE_ADDRESS, far_edge.gate.port), 10) as sock, pytest.raises(ssl.SSLError) as caught:
        with context.wrap_socket(sock, server_hostname=FAR.names[1]) as peer:
            peer.recv(1)
    assert "CERTIFICATE" in caught.value.reason, caught.value
    wait_until("its access line", 5, lambda: len(far_edge.gate.access(sni=FAR.names[1])) > before)
    assert far_edge.gate.access(sni=FAR.names[1])[-1]["reason"] in ("broker_fin", "client_fin")  # whoever closes first, once it is said


# ---- replication


def introduce(one, edge, *more):
    """Tells a cluster of the other one, as Pulsar's page on SNI routing says: names, and the proxy to reach them by."""
    other = edge.cluster
    one.pulsar_admin(
        "clusters", "create", other.site.cluster, "--url", f"http://{other.site.service_name}:{settings.BROKER_WEB}",
        "--broker-url-secure", f"pulsar+ssl://{other.site.service_name}:{settings.BROKER_TLS_PORT}",
        "--proxy-protocol", "SNI", "--proxy-url", edge.for_cluster,
        "--tls-enable", "--tls-trust-certs-filepath", other.authority.file, *more,
    )  # fmt: skip


@pytest.fixture
def namespace(cluster, far, home_edge, far_edge):
    """A namespace replicated over both clusters, which are told of each other; undone afterwards, because the home cluster goes on."""
    certificate, key = far.authority.issue("broker", client=True, prefix="client-")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        mine = "--tls-certs-filepath", certificate, "--tls-key-filepath", key
        for job in [pool.submit(introduce, cluster, far_edge, *mine), pool.submit(introduce, far, home_edge)]:
            job.result()
    namespace = fresh("both", "geo")
    both = [HOME.cluster, FAR.cluster]
    for one in (cluster, far):
        if "geo" not in one.admin("GET", "/admin/v2/tenants"):
            one.admin("PUT", "/admin/v2/tenants/geo", {"allowedClusters": both})
        one.admin("PUT", f"/admin/v2/namespaces/{namespace}", {"replication_clusters": both})
    yield namespace
    for one, other in ((far, HOME), (cluster, FAR)):
        one.admin("POST", f"/admin/v2/namespaces/{namespace}/replication", [one.site.cluster])
        one.admin("DELETE", f"/admin/v2/clusters/{other.cluster}")  # the brokers' connections to it end


def run_in(side, *words):
    return subprocess.run(netns.exec_in(side, words), capture_output=True, text=True, check=False).stdout


def test_there_is_no_other_way(cluster, far, home_edge, far_edge):
    """From either side: no route but to the ends of cables, no name of a broker, nobody at its address, and penstock alone at the cable's end."""
    for here, there, edge, address in (
        (HOME, FAR, far_edge, settings.FAR_FROM_HOME_ADDRESS),
        (FAR, HOME, home_edge, settings.HOME_TO_FAR_ADDRESS),
    ):
        routes = run_in(here.side, "ip", "-o", "route")
        assert address.rpartition(".")[0] in routes and not re.search("default|via", routes), routes
        for number, broker in there.brokers.items():
            assert not run_in(here.side, "getent", "hosts", there.names[number])
            for port in (settings.BROKER_PORT, settings.BROKER_TLS_PORT, settings.BROKER_WEB):
                assert not web.reachable(broker, port, here.side)
                assert not web.reachable(address, port, here.side)
                assert port == settings.BROKER_TLS_PORT or web.reachable(broker, port, there.side)
        assert web.reachable(address, edge.gate.port, here.side)


class Ends:
    """A producer and a consumer in each place. What the home clients write begins with "from-home", what the far ones do with "from-far"."""

    def __init__(self, home, far, topic):
        self.clients = {"home": home, "far": far}
        self.consumers = {name: subscribe(c, topic) for name, c in self.clients.items()}
        self.producers = {name: c.create_producer(topic, block_if_queue_full=True) for name, c in self.clients.items()}

    def produce(self, name, numbers, size=300):
        failed = []
        for number in numbers:
            done = lambda result, _: result == pulsar.Result.Ok or failed.append(result)  # noqa: E731
            self.producers[name].send_async(message(number, size, f"from-{name}"), done)
        self.producers[name].flush()
        assert not failed, failed[:5]

    def consume(self, name, count, seconds=30):
        """Numbers by where they come from; each message undamaged."""
        got = {"home": [], "far": []}
        for _ in range(count):
            one = self.consumers[name].receive(timeout_millis=seconds * 1000)
            origin = one.data().split(b" ", 1)[0].decode()
            got[origin.removeprefix("from-")].append(number_of(one.data(), origin))
            self.consumers[name].acknowledge(one)
        return got

    def nothing(self, name, seconds):
        with pytest.raises(pulsar.Timeout):
            self.consumers[name].receive(timeout_millis=int(seconds * 1000))


@contextlib.contextmanager
def both_ends(home_edge, far_edge, person, namespace):
    topic = f"persistent://{fresh('t', namespace)}"
    with home_client(home_edge) as home, far_client(far_edge, person) as other:
        yield Ends(home, other, topic)


def cable(side):
    """(local port, peer's port) of each connection on the cable between the clusters, seen from one end."""
    net = re.escape(settings.HOME_TO_FAR_ADDRESS.rpartition(".")[0])
    lines = run_in(side, "ss", "-tnH", "state", "established")
    return [(int(a), int(b)) for a, b in re.findall(rf"{net}\.\d+:(\d+) +{net}\.\d+:(\d+)", lines)]


def test_messages_go_both_ways(home_edge, far_edge, person, namespace, say):
    """Each of both places has all messages, its own and the other's, once, undamaged and in order."""
    with both_ends(home_edge, far_edge, person, namespace) as ends:
        began = time.monotonic()
        ends.produce("home", range(500))
        ends.produce("far", range(300))
        ends.produce("home", range(500, 505), 1_000_000)
        ends.produce("far", range(300, 305), 1_000_000)
        for name in ("home", "far"):
            assert ends.consume(name, 810) == {"home": list(range(505)), "far": list(range(305))}
        say(f"geo-replication: 505 messages from {HOME.cluster} and 305 from {FAR.cluster}, 10 MB, all in both places after {time.monotonic() - began:.1f} s")
        for name in ("home", "far"):
            ends.nothing(name, 0.5)
        ports = {home_edge.gate.port, far_edge.gate.port}
        for side in (HOME.side, FAR.side):
            used = cable(side)
            assert len(used) >= 4 and all(ports & set(pair) for pair in used), used
            say(f"geo-replication: {len(used)} connections between the clusters seen from {side}, all of them penstock's")
        for edge, pool in ((home_edge, "*"), (far_edge, FAR.service_name)):  # lookups by any broker, then to the one they named
            rows = edge.gate.json("/connections")["connections"]
            assert {row["route"] for row in rows if row["listener"] == "other-cluster"} == {pool, "discovered:here"}, rows


def test_replication_waits_for_penstock(home_edge, far_edge, person, namespace):
    """While the far penstock is away nothing gets across, and nothing is lost: it is the only way, and a way back."""
    with both_ends(home_edge, far_edge, person, namespace) as ends:
        ends.produce("home", range(10))
        assert ends.consume("far", 10)["home"] == list(range(10))
        ends.producers["far"].close()
        far_edge.gate.stop(signal.SIGKILL)
        ends.produce("home", range(10, 200))
        assert ends.consume("home", 200)["home"] == list(range(200))
        ends.nothing("far", 1.5)
        far_edge.start()
        seen = []
        while len(set(seen)) < 190:  # the consumer was cut off too: what it had not acknowledged yet comes again
            seen += [number for number in ends.consume("far", 1, 60)["home"] if number >= 10]
        assert list(dict.fromkeys(seen)) == list(range(10, 200))
