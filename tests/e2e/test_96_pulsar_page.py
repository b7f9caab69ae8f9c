"""Pulsar's page on SNI routing as its reader types it: the files for Apache Traffic Server, imported, in front of brokers with
the names they have there; clients as it has them; and what it does not say: names without a dot, a gateway that is its own service URL,
brokers' names that lead to the gateway in DNS. Clients know only the names that a test gives them.

The page's proxy listens on 4443 and its Java client connects to 443: here both are 4443."""
import os
import pathlib
import shutil
import subprocess
import sys

import netns
import pytest
import settings
from clients import fresh
from javaclient import JavaClient
from test_10_start import run

NAMES, VIP, GATEWAY, PORT = {1: "pulsar-broker1", 2: "pulsar-broker2"}, "pulsar-broker-vip", "ats-proxy", 4443
SERVICE, PROXY = f"pulsar+ssl://{VIP}:6651/", f"pulsar+ssl://{GATEWAY}:{PORT}"
HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = settings.TREE / "conf"

RECORDS = """# The port that clients come to, by TLS
CONFIG proxy.config.http.server_ports STRING 4443:ssl 4080
# A certificate
CONFIG proxy.config.ssl.client.cert.path STRING /proxy-cert.pem
# and its key
CONFIG proxy.config.ssl.client.cert.filename STRING /proxy-key.pem

# The ports of targets that tunnels may lead to; there are wildcards (*) # and ranges (such as 1-1023).
CONFIG proxy.config.http.connect_ports STRING 4443 6651
"""
LUA = """server_config = {
  {
     fqdn = 'pulsar-broker-vip',
     # any broker, on 6651
     tunnel_route = 'pulsar-broker-vip:6651'
  },
  {
     fqdn = 'pulsar-broker1',
     # the first one
     tunnel_route = 'pulsar-broker1:6651'
  },
  {
     fqdn = 'pulsar-broker2',
     # the second one
     tunnel_route = 'pulsar-broker2:6651'
  },
}
"""
SNI = """sni:
- fqdn: pulsar-broker-vip
  tunnel_route: pulsar-broker-vip:6651
- fqdn: pulsar-broker1
  tunnel_route: pulsar-broker1:6651
- fqdn: pulsar-broker2
  tunnel_route: pulsar-broker2:6651
"""
TABLES = {"ssl_server_name.config": LUA, "sni.yaml": SNI}
NOT_CARRIED_OVER = [
    ("2", "server_ports: 4080: HTTP without TLS (no :ssl), which penstock does not serve"),
    ("4", "proxy.config.ssl.client.cert.path: how ATS does TLS to targets; here the client's own TLS reaches them"),
    ("6", "proxy.config.ssl.client.cert.filename: how ATS does TLS to targets; here the client's own TLS reaches them"),
]


def imported(folder, table, names=()):
    """What `penstock import` makes of the page's files, with other names for some in them."""
    text = TABLES[table]
    for old, new in dict(names).items():
        text = text.replace(old, new)
    (folder / "records.config").write_text(RECORDS)
    (folder / table).write_text(text)
    done = subprocess.run([settings.PENSTOCK, "import", "records.config", table], cwd=folder, capture_output=True, text=True, timeout=20)
    said = [f"records.config:{line}:1: warning: {what}" for line, what in NOT_CARRIED_OVER]
    assert (done.returncode, done.stderr.splitlines()) == (1, [*said, "penstock: 3 settings were not carried over"])
    return done.stdout


def start(gate, text):
    """As it stands, but for the admin port, which each penstock of a run has its own of."""
    assert text.count("127.0.0.1:9180") == 1
    return gate.start(text.replace("127.0.0.1:9180", gate.admin))


@pytest.mark.parametrize("table", TABLES)
def test_import(lab, tmp_path, table):
    """Nothing is missing, and `check` says what will not work: Java, with these names."""
    text = imported(tmp_path, table)
    assert 'bind: "0.0.0.0:4443"' in text and "allow_ports: [4443, 6651]" in text
    for name in (VIP, *NAMES.values()):
        assert f'{{ host: "{name}", forward: "{name}:6651" }}' in text
    file = tmp_path / "penstock.yaml"
    file.write_text(text)
    status, said = run("check", "-c", file)
    assert status == 0 and said.count("has no dot: Java clients send no server name for it") == 3, said


@pytest.fixture(scope="module")
def person(cluster):
    return cluster.authority.issue("client", client=True, prefix="client-")


def topics(cluster):
    """One of each broker; of a bundle of its own, for bundles are what brokers own."""
    made = {}
    for number in cluster.brokers:
        while (bundle := cluster.bundle(topic := fresh("page"))) in made:
            pass
        cluster.give(topic, number)
        made[bundle] = topic
    return [f"persistent://{topic}" for topic in made.values()]


def python(names, text, topics):
    """The official Python client as a program of its own that makes `client`, and what becomes of messages; (status, its log)."""
    program = f"import clients\n{text}\nfor topic in {topics!r}:\n    clients.roundtrip(client, topic, 50)\nclient.close()\n"
    path = os.pathsep.join(map(str, (HERE, HERE.parent / "lab")))
    with netns.client_hosts(names):
        line = netns.exec_in(settings.CLIENT_SIDE, [sys.executable, "-c", program])
        done = subprocess.run(line, capture_output=True, text=True, timeout=150, env={**os.environ, "PYTHONPATH": path})
    return done.returncode, done.stdout + done.stderr


def as_typed(cluster, person, service, **more):
    """The page's Python client: TLS, with a certificate of one's own."""
    auth = f"AuthenticationTLS({str(person[0])!r}, {str(person[1])!r})" if person else None
    words = "".join(f", {name}={value!r}" for name, value in more.items())
    return f"""
from pulsar import Client, AuthenticationTLS
auth = {auth}
client = Client({service!r}, tls_trust_certs_file_path={str(cluster.authority.file)!r}, tls_allow_insecure_connection=False, authentication=auth{words})
"""


def java(names, cluster, person, **words):
    """The page's Java client."""
    own = dict(zip(("cert", "key"), map(str, person))) if person else {}
    one = JavaClient(settings.CLIENT_SIDE)
    try:
        with netns.client_hosts(names):
            return one.ask("roundtrip", **own, trust=str(cluster.authority.file), count=100, **words)
    finally:
        one.close()


# ---- names that lead here


SERVICES = {"any broker": "pulsar.example.com", "a broker": settings.BROKER_NAMES[1]}


@pytest.fixture
def example(penstock, cluster):
    """conf/sni-routing.yaml as it stands, but for where ZooKeeper is and where clients come to: the port that brokers announce."""
    text = (EXAMPLES / "sni-routing.yaml").read_text()
    for old, new in (("zk-0,zk-1,zk-2", cluster.zookeeper_servers), ("0.0.0.0:443", f"{settings.GATE_ADDRESS}:6651")):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return start(penstock.new(port=6651), text)


def everything(*names):
    return dict.fromkeys((*names, *settings.BROKER_NAMES.values()), settings.GATE_ADDRESS)


@pytest.mark.parametrize("kind", SERVICES)
def test_python_finds_the_gateway_by_dns(cluster, example, person, kind):
    """No proxy is set: the gateway is where the brokers' names lead. A broker's certificate is good for its own name."""
    name = SERVICES[kind]
    text = as_typed(cluster, person, f"pulsar+ssl://{name}:6651", tls_validate_hostname=kind == "a broker")
    status, said = python(everything(name), text, topics(cluster))
    assert status == 0, said
    for broker in settings.BROKER_NAMES.values():
        assert example.wait_access(sni=broker)["route"] == "discovered:east"
    if kind == "any broker":
        assert example.wait_access(sni=name)["route"] == name


@pytest.mark.parametrize("kind", SERVICES)
def test_java_finds_the_gateway_by_dns(cluster, example, person, kind):
    name = SERVICES[kind]
    for topic in topics(cluster):
        answer = java(everything(name), cluster, person, url=f"pulsar+ssl://{name}:6651", topic=topic, verify=kind == "a broker")
        assert answer["ok"], answer
    for broker in settings.BROKER_NAMES.values():
        assert example.wait_access(sni=broker)["route"] == "discovered:east"
    if kind == "any broker":
        assert example.wait_access(sni=name)["route"] == name


# ---- full names


def test_java_through_the_proxy(penstock, cluster, person, lab, tmp_path):
    """The page's files and its Java client, with names that have a dot."""
    vip = f"{VIP}.example.com"
    lab.names.table[vip] = list(cluster.site.brokers.values())
    text = imported(tmp_path, "sni.yaml", {VIP: vip} | {name: settings.BROKER_NAMES[number] for number, name in NAMES.items()})
    edge = start(penstock.new(port=PORT), text)
    for topic in topics(cluster):
        words = {"url": f"pulsar+ssl://{vip}:6651/", "sniProxy": PROXY, "verify": False}
        answer = java({GATEWAY: settings.GATE_ADDRESS}, cluster, person, topic=topic, **words)
        assert answer["ok"], answer
    for name in (vip, *settings.BROKER_NAMES.values()):
        assert edge.wait_access(sni=name)["route"] == name


# ---- TLS that ends here


def test_tls_routes_example(penstock, cluster, person, tmp_path):
    """conf/tls-routes.yaml as it stands, but for where things are: what it says of each name."""
    text = (EXAMPLES / "tls-routes.yaml").read_text()
    places = {
        "zk-0,zk-1,zk-2": cluster.zookeeper_servers, "zk-w0,zk-w1,zk-w2": cluster.zookeeper_servers,
        "0.0.0.0:6651": f"{settings.GATE_ADDRESS}:6651", "/etc/penstock/tls/": f"{tmp_path}/",
    }  # fmt: skip
    for old, new in places.items():
        assert old in text
        text = text.replace(old, new)
    for name in ("gw", "partners"):
        certificate, key = cluster.authority.issue("*.example.com", prefix=name)
        shutil.copy(certificate, tmp_path / f"{name}.pem")
        shutil.copy(key, tmp_path / f"{name}.key")
    for name in ("brokers", "inside", "clients"):
        shutil.copy(cluster.authority.file, tmp_path / f"{name}-ca.pem")
    edge = start(penstock.new(port=6651), text)
    for name, port in (("east", settings.BROKER_PORT), ("west", settings.BROKER_TLS_PORT)):
        host = f"{name}.example.com"
        service = f"pulsar+ssl://{host}:6651"
        status, said = python({host: settings.GATE_ADDRESS}, as_typed(cluster, None, service, tls_validate_hostname=True), topics(cluster))
        assert status == 0, said
        edge.wait_access(sni=host, kind="data")  # a broker may be slow to end its half
        assert {row["broker"].rpartition(":")[2] for row in edge.access(sni=host, kind="data")} == {str(port)}
        answer = java({host: settings.GATE_ADDRESS}, cluster, None, url=service, topic=topics(cluster)[1])
        assert answer["ok"], answer
    for who, reason in ((None, "client_tls_cert_missing"), (person, "client_tls_cert_denied")):
        answer = java({"partners.example.com": settings.GATE_ADDRESS}, cluster, who, url="pulsar+ssl://partners.example.com:6651", topic="t", patience=2)
        assert not answer["ok"] and edge.wait_access(sni="partners.example.com", reason=reason)


# ---- brokers with the page's names


@pytest.fixture(scope="module")
def page(cluster, lab):
    """Both brokers, started again: they advertise the names they have on the page, and no other."""
    site = cluster.site
    cluster.site = site._replace(names=NAMES, service_name=VIP)
    cluster.restart_brokers()
    lab.names.table.update({name: site.brokers[number] for number, name in NAMES.items()} | {VIP: list(site.brokers.values())})
    yield cluster
    cluster.site = site
    cluster.restart_brokers()


@pytest.fixture
def edge(penstock, page, tmp_path):
    return start(penstock.new(port=PORT), imported(tmp_path, "ssl_server_name.config"))


def test_python_through_the_proxy(page, edge, person):
    """Of all names clients know the proxy's alone. Lookups go to the VIP, then each broker is reached by its name."""
    text = f"import cpp_sni\nwith cpp_sni.through({PROXY!r}):" + as_typed(page, person, SERVICE).replace("\n", "\n    ")
    status, said = python({GATEWAY: settings.GATE_ADDRESS}, text, topics(page))
    assert status == 0, said
    for name in (VIP, *NAMES.values()):
        row = edge.wait_access(sni=name)
        assert row["route"] == name and row["kind"] == "routed"


def test_java_needs_names_with_a_dot(page, edge, person):
    """It sends no server name for these. What it says of the alert helps nobody: the log has it."""
    words = {"url": SERVICE, "sniProxy": PROXY, "verify": False, "patience": 3}
    answer = java({GATEWAY: settings.GATE_ADDRESS}, page, person, topic=topics(page)[0], **words)
    assert not answer["ok"] and "Connection already closed" in answer["message"], answer
    assert edge.wait_access(reason="sni_missing")["sni"] == "-"
    assert "Java clients send none for addresses and for names without a dot" in edge.log()


def test_gateway_as_service_url(penstock, page, edge, person, tmp_path):
    """The page's Python client (and its C++ one) knows of no proxy: it asks for the gateway's own name, then goes to where the broker says.
    That takes a route more, a port more, and names that lead to the gateway."""
    wanted = topics(page)
    words = {"operation_timeout_seconds": 3}
    status, said = python({GATEWAY: settings.GATE_ADDRESS}, as_typed(page, person, PROXY, **words), wanted)
    assert status != 0 and "tlsv1 unrecognized name" in said, said
    assert edge.wait_access(sni=GATEWAY)["reason"] == "no_route"
    edge.stop()

    text = imported(tmp_path, "ssl_server_name.config")
    own = f"      - {{ host: {GATEWAY}, forward: '{VIP}:6651' }}\n"
    assert text.count("    routes:\n") == 1
    text = text.replace("    routes:\n", f"    routes:\n{own}")
    routes = text[text.index("    routes:\n") : text.index("\nadmin:")]
    text = text.replace("\nadmin:", f'  - name: tls-6651\n    bind: "{settings.GATE_ADDRESS}:6651"\n{routes}\nadmin:')
    better = start(penstock.new(port=PORT), text)
    everywhere = dict.fromkeys((GATEWAY, *NAMES.values()), settings.GATE_ADDRESS)
    status, said = python(everywhere, as_typed(page, person, PROXY), wanted)
    assert status == 0, said
    assert better.wait_access(sni=GATEWAY)["listener"] == "tls-4443"
    for name in NAMES.values():
        assert better.wait_access(sni=name)["listener"] == "tls-6651"
