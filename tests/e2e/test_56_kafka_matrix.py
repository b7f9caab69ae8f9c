"""Kafka's clients x the two modes x what secures a connection: TLS ended here, certificates of clients, every mechanism of SASL passed through.

Each cell makes a topic, produces, consumes by a group, and asks who the brokers are, which must be penstock's names and nothing else. A run
of the whole suite has some cells of every column and of every client; PENSTOCK_E2E_MATRIX=1 (`make kafka-matrix`, and in `make matrix`) all of
them. At the end of the file the table is printed, and all of it goes to build/kafka-matrix.txt. By server names all go through a wire that reads
along inside TLS (tap.py), but where they show a certificate: no byte to a client may hold the name or the network of a broker.
"""
import collections
import os
import typing

import kerberos
import netns
import pytest
import settings
import tap
from coprocess import begun
from kafkaclients import KafkaGo, KafkaJava, KafkaJs, KafkaPython, old_java
from kafkamodes import SESSION, by_port, clusters, ended_by_brokers, wait_old
from processes import wait_until
from test_52_kafka_sasl import ask_versions

ALL = os.environ.get("PENSTOCK_E2E_MATRIX") == "1"
GATE, NAME = settings.GATE_ADDRESS, "gw.test"
OLD = settings.OLD_RDKAFKA / "librdkafka.so.1"
USER, SECRET = "alice", "alice-secret"
SERVICE = f"kafka/{NAME}"


class Column(typing.NamedTuple):
    name: str
    listener: str
    tls: bool = False
    cert: bool = False
    mechanism: str = None


COLUMNS = [
    Column("port", "plain"),
    Column("port TLS", "tls", tls=True),
    Column("port mTLS", "mtls", tls=True, cert=True),
    Column("SNI TLS", "sni", tls=True),
    Column("SNI mTLS", "sni-mtls", tls=True, cert=True),
    *(Column(f"port {short}", "sasl", mechanism=mechanism) for short, mechanism in (
        ("PLAIN", "PLAIN"), ("SCR256", "SCRAM-SHA-256"), ("SCR512", "SCRAM-SHA-512"), ("OAUTH", "OAUTHBEARER"), ("GSSAPI", "GSSAPI"),
    )),
    *(Column(f"SNI {short}", "sni-sasl", tls=True, mechanism=mechanism) for short, mechanism in (
        ("PLAIN", "PLAIN"), ("SCR256", "SCRAM-SHA-256"), ("SCR512", "SCRAM-SHA-512"), ("OAUTH", "OAUTHBEARER"),
    )),
]  # fmt: skip
PORTS = {"plain": 9400, "tls": 9410, "mtls": 9420, "sasl": 9430, "sni": 9440, "sni-mtls": 9450, "sni-sasl": 9460}
TAPPED = ["sni", "sni-sasl"]


# ---- how each client is told


class Town:
    """Files of the test, and what was seen."""

    cells = collections.defaultdict(dict)

    def neutral(self, column):
        """The words of the co-processes that are ours: Go's and JavaScript's."""
        words = {"ca": self.ca} if column.tls else {}
        words |= {"cert": self.cert, "key": self.key} if column.cert else {}
        if column.mechanism:
            words |= {"mechanism": column.mechanism, "user": USER, "secret": SECRET}
            words |= {"service": "kafka", "realm": kerberos.NAME, "krb5conf": str(self.realm.conf)} if column.mechanism == "GSSAPI" else {}
        return {"security": words}

    @staticmethod
    def protocol(column):
        return ("SASL_" if column.mechanism else "") + ("SSL" if column.tls else "PLAINTEXT")

    def rdkafka(self, column):
        keys = {"security.protocol": self.protocol(column)}
        keys |= {"ssl.ca.location": self.ca} if column.tls else {}
        keys |= {"ssl.certificate.location": self.cert, "ssl.key.location": self.key} if column.cert else {}
        if column.mechanism == "OAUTHBEARER":
            keys |= {"sasl.mechanism": "OAUTHBEARER", "enable.sasl.oauthbearer.unsecure.jwt": True, "sasl.oauthbearer.config": f"principal={USER}"}
        elif column.mechanism:
            keys |= {"sasl.mechanism": column.mechanism, "sasl.username": USER, "sasl.password": SECRET}
        return {"config": keys}

    def pure(self, column):
        keys = {"security_protocol": self.protocol(column)}
        keys |= {"ssl_cafile": self.ca} if column.tls else {}
        keys |= {"ssl_certfile": self.cert, "ssl_keyfile": self.key} if column.cert else {}
        keys |= {"sasl_mechanism": column.mechanism} if column.mechanism else {}
        if column.mechanism and column.mechanism != "OAUTHBEARER":
            keys |= {"sasl_plain_username": USER, "sasl_plain_password": SECRET}
        return {"config": keys, "user": USER}

    def java(self, column):
        keys = {"security.protocol": self.protocol(column)}
        keys |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": self.ca} if column.tls else {}
        keys |= {"ssl.keystore.type": "PEM", "ssl.keystore.location": self.both} if column.cert else {}
        if column.mechanism:
            kafka, who = "org.apache.kafka.common.security", f'required username="{USER}" password="{SECRET}";'
            scram = f"{kafka}.scram.ScramLoginModule {who}"
            keys |= {"sasl.mechanism": column.mechanism, "sasl.kerberos.service.name": "kafka", "sasl.jaas.config": {
                "PLAIN": f"{kafka}.plain.PlainLoginModule {who}", "SCRAM-SHA-256": scram, "SCRAM-SHA-512": scram,
                "OAUTHBEARER": f'{kafka}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="{USER}";',
                "GSSAPI": self.realm and f'com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true doNotPrompt=true '
                          f'keyTab="{self.realm.keytab(USER)}" principal="{USER}@{kerberos.NAME}";',
            }[column.mechanism]}  # fmt: skip
        return {"config": keys}


class Kind(typing.NamedTuple):
    process: type
    told: typing.Callable  # (town, column) -> words of the request
    words: dict = {}
    gssapi: bool = False
    scram: bool = True
    needs: object = None  # a file without which it is not here


# SCRAM: librdkafka before 2.6.1 puts its nonce in front of the broker's, which begins with it, once more (librdkafka #4895). Straight at a
# broker of Kafka 4.4.0 that is "invalid credentials" too, tried again until the call's time is over; 3.9.2 lets it pass (test_52_kafka_zookeeper.py).
# GSSAPI: sarama's way of bare tokens begins without a SaslHandshake, as before Kafka 0.10, which Kafka 4 does not take (KIP-896); it has the other way too.
KINDS = {
    "Java classic": Kind(KafkaJava, Town.java, {"protocol": "classic"}, gssapi=True),
    "Java KIP-848": Kind(KafkaJava, Town.java, {"protocol": "consumer"}, gssapi=True),
    "franz-go": Kind(KafkaGo, Town.neutral, {"library": "franz"}, gssapi=True, needs=settings.KAFKA_GO / "client"),
    "sarama": Kind(KafkaGo, Town.neutral, {"library": "sarama"}, gssapi=True, needs=settings.KAFKA_GO / "client"),
    "kafkajs": Kind(KafkaJs, Town.neutral),
    "librdkafka": Kind(KafkaPython, Town.rdkafka),
    "librdkafka 1.9": Kind(KafkaPython, Town.rdkafka, {"library": str(OLD)}, scram=False, needs=OLD),
    "kafka-python": Kind(KafkaPython, Town.pure, {"library": "pure"}),
}


# ---- what stands there


def _mechanisms(kafka, realm):
    """Lines that make brokers of all of them. Kerberos' names are for the name of penstock, which is what clients ask for."""
    kinds = "org.apache.kafka.common.security"
    lines = {"sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER" + (",GSSAPI" if realm else ""), "sasl.kerberos.service.name": "kafka"}
    for listener in ("sasl_plaintext", "sasl_ssl"):
        lines[f"listener.name.{listener}.scram-sha-512.sasl.jaas.config"] = f"{kinds}.scram.ScramLoginModule required;"
        lines[f"listener.name.{listener}.oauthbearer.sasl.jaas.config"] = (
            f'{kinds}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="admin";'
        )
        if realm:
            lines[f"listener.name.{listener}.gssapi.sasl.jaas.config"] = (
                "com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true isInitiator=false doNotPrompt=true "
                f'keyTab="{realm.keytab(SERVICE)}" principal="{SERVICE}@{kerberos.NAME}";'
            )
    return lines


def _restart(kafka):
    """All at once: what they hold is on disk."""
    kafka.down()
    kafka.up()


@pytest.fixture(scope="module")
def town(kafka, module_penstock, say, tmp_path_factory):
    town = Town()
    missing = kerberos.missing()
    town.realm = None if missing else kerberos.Realm(settings.RUN / "kerberos", {USER: SECRET}, [SERVICE])
    if town.realm:
        town.realm.start()
        kafka.options = [f"-Djava.security.krb5.conf={town.realm.conf}"]
    kafka.more = _mechanisms(kafka, town.realm)
    _restart(kafka)
    netns.client_names({NAME: GATE, "kafka.gw.test": tap.HOST, **{f"b{n:02}.gw.test": tap.HOST for n in range(1, 4)}})
    certificate, key = kafka.authority.issue(NAME, "*.gw.test", GATE, prefix="matrix-")
    town.ca = str(kafka.authority.file)
    town.cert, town.key = map(str, kafka.authority.issue(USER, client=True, prefix="matrix-client-"))
    both = tmp_path_factory.mktemp("matrix") / "both.pem"
    both.write_text(open(town.key).read() + open(town.cert).read())
    town.both = str(both)
    town.gate = module_penstock.new()
    town.gate.start(_config(kafka, town, {"cert_file": str(certificate), "key_file": str(key)}))
    kafka.python.run("scram", servers=f"{NAME}:{PORTS['plain']}", user=USER, secret=SECRET)
    processes = {}
    for name, kind in KINDS.items():
        if kind.process is KafkaJava and KafkaJava in processes:
            continue
        processes[kind.process if kind.process is KafkaJava else name] = one = kind.process(f"matrix-{name.replace(' ', '-')}")
        if kind.process is KafkaJava:
            one.options = kafka.options
    town.process = lambda name: processes[KafkaJava if KINDS[name].process is KafkaJava else name]
    # Nobody but the client can show its certificate: that listener's TLS goes by as it is.
    with tap.Tap([PORTS["sni-mtls"]]), tap.TlsTap([PORTS[name] for name in TAPPED], kafka.authority, "*.gw.test") as town.wire:
        yield town
    for one in processes.values():
        one.close()
    netns.client_names()
    if town.realm:
        town.realm.stop()
    _show(town, say)


def _config(kafka, town, tls):
    def cluster(kind):
        broker_tls = {"broker_tls": {"ca_file": town.ca}} if kind.endswith("SSL") else {}
        return {"protocol": "kafka", "discovery": {"bootstrap": kafka.bootstrap(kind)}, **broker_tls}

    mutual = {**tls, "client_auth": "require", "client_ca_file": town.ca}
    sni = {"mode": "sni", "advertise": "b##.gw.test", "bootstrap": "kafka.gw.test"}
    rows = {
        "plain": ("PLAINTEXT", None), "tls": ("PLAINTEXT", tls), "mtls": ("SSL", mutual), "sasl": ("SASL_PLAINTEXT", None),
        "sni": ("SSL", tls), "sni-mtls": ("PLAINTEXT", mutual), "sni-sasl": ("SASL_SSL", tls),
    }  # fmt: skip
    listeners = []
    for name, (kind, how) in rows.items():
        keys = sni if name.startswith("sni") else {"advertise": NAME, "base_port": PORTS[name], "nodes": ["1-3"]}
        listener = {"name": name, "bind": f"{GATE}:{PORTS[name]}", "cluster": kind.lower().replace("_", "-"), "kafka": keys}
        listeners.append({**listener, **({"tls": how} if how else {})})
    return {"clusters": {kind.lower().replace("_", "-"): cluster(kind) for kind in ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")}, "listeners": listeners}


# ---- cells


def _is_in_check(client, column):
    """Every column by one client at least, every client in one column at least."""
    kinds = list(KINDS)
    turn = COLUMNS.index(column) % len(kinds)
    first = next(kind for kind in kinds[turn:] + kinds[:turn] if _can(kind, column))
    return client == first


def _can(client, column):
    mechanism = column.mechanism or ""
    return KINDS[client].gssapi if mechanism == "GSSAPI" else KINDS[client].scram or "SCRAM" not in mechanism


CELLS = [(client, column) for client in KINDS for column in COLUMNS if _can(client, column) and (ALL or _is_in_check(client, column))]


@pytest.mark.parametrize("client,column", CELLS, ids=lambda one: (one.name if isinstance(one, Column) else one).replace(" ", "-"))
def test_cell(town, client, column):
    kind, port = KINDS[client], PORTS[column.listener]
    if kind.needs and not kind.needs.exists():
        pytest.skip(f"{client} could not be installed here: see what tests/lab/deps.sh lab says")
    if column.mechanism == "GSSAPI" and not town.realm:
        pytest.skip(f"no KDC here: {', '.join(kerberos.missing())} not found")
    is_sni, before = column.listener.startswith("sni"), town.wire.bytes_to_clients
    servers = f"{'kafka.gw.test' if is_sni else NAME}:{port}"
    answer = town.process(client).run("roundtrip", servers=servers, count=300, **kind.words, **kind.told(town, column))
    assert answer["missing"] == [] and answer["twice"] == 0, answer
    wanted = {f"{n} b{n:02}.gw.test:{port}" if is_sni else f"{n} {NAME}:{port + n}" for n in settings.KAFKA_NAMES}
    assert set(answer["brokers"]) == wanted
    assert column.listener not in TAPPED or town.wire.bytes_to_clients > before, "nobody came by the wire"
    assert not town.wire.leaks, town.wire.leaks[:3]
    town.cells[client][column.name] = "ok"


def test_a_wrong_secret(town):
    """It is the brokers that say so, and clients believe them."""
    column = next(column for column in COLUMNS if column.name == "port SCR512")
    words = town.neutral(column)
    words["security"]["secret"] = "wrong"
    answer = town.process("kafkajs").ask("brokers", servers=f"{NAME}:{PORTS['sasl']}", retries=1, **words)
    assert not answer["ok"] and "uthentication" in answer["message"], answer


# ---- what only SASL has


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "OAUTHBEARER"])
def test_bare_tokens(town, mechanism):
    """SaslHandshake v0: tokens without headers, the way of clients from before Kafka 1.0."""
    column = Column("", "sasl", mechanism=mechanism)
    if not KINDS["sarama"].needs.exists():
        pytest.skip("sarama could not be installed here: see what tests/lab/deps.sh lab says")
    words = town.neutral(column)
    words["security"]["handshake"] = 0
    answer = town.process("sarama").run("roundtrip", library="sarama", servers=f"{NAME}:{PORTS['sasl']}", count=300, **words)
    assert answer["missing"] == [] and answer["twice"] == 0, answer


def test_bare_tokens_of_kerberos(town, kafka):
    """Java 0.11, the last without SaslAuthenticate: nothing says how many tokens there will be, and the last of the client's has no answer."""
    if not town.realm:
        pytest.skip(f"no KDC here: {', '.join(kerberos.missing())} not found")
    topic = kafka.python.run("create", servers=f"{NAME}:{PORTS['plain']}")["topic"]
    config = town.java(Column("", "sasl", mechanism="GSSAPI"))["config"]
    answer = old_java("0.11.0.3", f"{NAME}:{PORTS['sasl']}", topic, config=config, options=kafka.options)
    assert answer["missing"] == 0 and answer["twice"] == 0, answer


def test_penstock_authenticates_itself(penstock, kafka, town, tmp_path):
    """With SCRAM-SHA-512, for clients with certificates that know nothing of SASL; and the broker is told the truth about the password."""
    users = tmp_path / "users"
    users.touch(0o600)
    users.write_text(f"cn:{USER} {USER} {SECRET}\n* admin wrong-secret\n")
    port, gate = 9480, penstock.new(9480)
    certificate, key = kafka.authority.issue(NAME, GATE, prefix="matrix-own-")
    bob = kafka.authority.issue("bob", client=True, prefix="matrix-bob-")
    gate.start({
        "clusters": {"k": {
            "protocol": "kafka", "discovery": {"bootstrap": kafka.bootstrap("SASL_SSL"), "refresh": "off"}, "broker_tls": {"ca_file": town.ca},
            "broker_sasl": {"mechanism": "SCRAM-SHA-512", "users_file": str(users)},
        }},
        "listeners": [{
            "name": "own", "bind": f"{GATE}:{port}", "cluster": "k", "kafka": {"advertise": NAME, "base_port": port, "nodes": ["1-3"]},
            "tls": {"cert_file": str(certificate), "key_file": str(key), "client_auth": "require", "client_ca_file": town.ca},
        }],
    })  # fmt: skip
    words = town.rdkafka(Column("", "own", tls=True, cert=True))
    answer = kafka.python.run("roundtrip", servers=f"{NAME}:{port}", count=300, **words)
    assert answer["missing"] == [] and answer["twice"] == 0, answer
    assert set(answer["brokers"]) == {f"{n} {NAME}:{port + n}" for n in settings.KAFKA_NAMES}
    assert gate.metrics()("penstock_kafka_logins_total", when="first") > 3 and gate.metrics()("penstock_kafka_logins_failed_total") == 0
    assert ask_versions(town.ca, *bob, port) == b""
    gate.wait_access(reason="broker_auth_failed", principal="bob")
    assert "does not take this user and password" in gate.log() and "secret" not in gate.log()


def test_authenticated_again(town, kafka, penstock, say):
    """A session is 5 s, after which a broker ends a connection that has not authenticated again: of each client, which has a listener of its
    own, one outlives it twice and carries requests, and brokers end few."""
    column, names = next(column for column in COLUMNS if column.name == "port SCR256"), ("franz-go", "sarama", "kafkajs", "librdkafka")
    there = [name for name in names if not KINDS[name].needs or KINDS[name].needs.exists()]
    for name in sorted({*names} - {*there}):
        say(f"SKIPPED, loudly: {name} authenticating again: it could not be installed here, see what tests/lab/deps.sh lab says")
    ports = {name: 9500 + 10 * i for i, name in enumerate(there)}
    gate = penstock.new()
    gate.start({"clusters": clusters(kafka, "SASL_PLAINTEXT"), "listeners": [by_port(port, name=name, advertise=NAME) for name, port in ports.items()]})
    words = {name: {"servers": f"{NAME}:{ports[name]}", **KINDS[name].words, **KINDS[name].told(town, column)} for name in there}
    topics = {name: town.process(name).run("create", **words[name])["topic"] for name in there}
    for name in there:
        town.process(name).begin("load", topic=topics[name], time=18, **words[name])
    with begun(*map(town.process, there)):
        wait_old(gate, *there)
        answers = {name: town.process(name).answer("load", 150) for name in there}
    for name in there:
        town.process(name).close()  # some keep a connection for a while
    bad = [f"{name}: {a}" for name, a in answers.items() if not a["ok"] or a["lost"] or a["failed"] or not a["acked"] == a["sent"] > 50]
    assert not bad, "\n".join(bad)
    for name in there:  # on a busy machine a client may be late with one: that one is ended
        late = [row for row in ended_by_brokers(gate) if row["listener"] == name]

        def old(name=name):
            return sum(float(row["total_ms"]) > 2000 * SESSION for row in gate.access(listener=name))

        wait_until("old ones to end", 5, lambda old=old, late=late: old() > 2 * len(late))
        say(f"kafka: {name} authenticating again: {old()} connections older than two sessions, {len(late)} ended by brokers")


# ---- the table


def _show(town, say):
    width = max(map(len, KINDS))
    lines = [f"{'':{width}}  " + " ".join(f"{column.name:>11}" for column in COLUMNS)]
    for client in KINDS:
        cells = (town.cells[client].get(column.name, "." if _can(client, column) else "-") for column in COLUMNS)
        lines.append(f"{client:{width}}  " + " ".join(f"{cell:>11}" for cell in cells))
    done = sum(len(row) for row in town.cells.values())
    head = f"kafka: {done} of {sum(_can(k, c) for k in KINDS for c in COLUMNS)} cells, client x mode x security (- not to be had with this client here, . not in this run)"
    for line in (head, *lines):
        say(line)
    if ALL:
        file = settings.TREE / "build" / "kafka-matrix.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join([head, *lines]) + "\n")
