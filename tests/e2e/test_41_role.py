"""Role mode: clients are known by their certificates, which end at penstock; brokers are shown penstock's own credential and the client's name.

The brokers have proxyRoles=proxy and grants for `alice` in public/role; a name without a grant is refused by them, not by penstock."""
import ssl
import time

import pulsar
import pytest
import settings
import tokens
import web
import wire
from clients import client, fresh, roundtrip, subscribe
from processes import wait_until
from test_91_tls import ending
from wire import dial

SPACE = "public/role"
HOW = ["token-plain", "token-tls", "certificate-tls"]  # penstock's credential, and what is spoken to brokers


def topic():
    return fresh("role", SPACE)


@pytest.fixture(scope="module")
def space(cluster):
    cluster.admin("PUT", f"/admin/v2/namespaces/{SPACE}", {"replication_clusters": ["c1"]}, ok=(204, 409))
    cluster.admin("POST", f"/admin/v2/namespaces/{SPACE}/permissions/alice", ["produce", "consume"])


@pytest.fixture(scope="module")
def people(cluster, space):
    """Certificates of clients, and of penstock, by common name."""
    return {name: cluster.authority.issue(name, client=True, prefix="role-") for name in ("alice", "mallory", "proxy")}


@pytest.fixture(scope="module")
def setup(cluster, people):
    """The configuration of a role mode: (cluster's keys, listener's keys)."""
    server = cluster.authority.issue("gw.pulsar.test", settings.GATE_ADDRESS, prefix="role-")

    def keys(how, token=None, forward=False, file="proxy"):
        credential, speaks = how.split("-")
        role = {"forward": True} if forward else {}
        broker_tls = {"ca_file": str(cluster.authority.file)}
        if credential == "token":
            kept = settings.RUN / "data" / f"{file}.jwt"
            kept.write_text((token or tokens.token("proxy")) + "\n")
            kept.chmod(0o640)
            role["token_file"] = str(kept)
        else:
            role["certificate"] = True
            broker_tls |= {"cert_file": str(people["proxy"][0]), "key_file": str(people["proxy"][1])}
        mine = {"credentials": {"role": role}, **({"broker_tls": broker_tls} if speaks == "tls" else {})}
        return mine, ending(server, client_auth="require", client_ca_file=str(cluster.authority.file))

    return keys


def with_zookeeper(cluster, keys):
    return {"discovery": {"zookeeper": {"servers": cluster.zookeeper_servers}}, **keys}


@pytest.fixture(scope="module")
def gates(module_penstock, cluster, setup):
    def gate(how):
        one = module_penstock.new()
        mine, listener = setup(how)
        return one.start(module_penstock.config(one, [], with_zookeeper(cluster, mine), listener))

    return {how: gate(how) for how in HOW}


def url(gate):
    return f"pulsar+ssl://{settings.GATE_ADDRESS}:{gate.port}"


def as_python(cluster, person, **more):
    return {
        "tls_trust_certs_file_path": str(cluster.authority.file), "tls_validate_hostname": True,
        "authentication": pulsar.AuthenticationTLS(*map(str, person)), **more,
    }  # fmt: skip


def as_java(cluster, person):
    return {"trust": str(cluster.authority.file), "cert": str(person[0]), "key": str(person[1])}


def raw(cluster, gate, person):
    """A client of a few lines inside TLS."""
    context = ssl.create_default_context(cafile=cluster.authority.file)
    context.load_cert_chain(*person)
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.sock = context.wrap_socket(peer.sock, server_hostname=settings.GATE_ADDRESS)
    return peer


def said(peer):
    """The ERROR that is the last thing a client hears: (code, text)."""
    error = peer.expect(wire.ERROR)
    assert peer.read_to_end() == (b"", False)
    peer.close()
    return error[2], error.text(3)


def log_of(cluster, number):
    return cluster.brokers[number].log.read_text(errors="replace")


# ---- real brokers, official clients


@pytest.mark.parametrize("how", HOW)
def test_python(cluster, gates, people, how):
    with client(url(gates[how]), **as_python(cluster, people["alice"])) as c:
        for size in (100, 70_000, 1_000_000):
            roundtrip(c, f"persistent://{topic()}", 40, size, batching_enabled=size < 1000)
    row = gates[how].wait_access(kind="data", principal="alice")
    assert row["broker"].endswith(f":{settings.BROKER_PORT if how == 'token-plain' else settings.BROKER_TLS_PORT}")
    assert "originalAuthRole=alice" in log_of(cluster, 1) + log_of(cluster, 2)


@pytest.mark.parametrize("how", HOW)
def test_java(cluster, gates, people, java, how):
    java.run("roundtrip", url=url(gates[how]), topic=f"persistent://{topic()}", count=300, **as_java(cluster, people["alice"]))
    java.run("roundtrip", url=url(gates[how]), topic=f"persistent://{topic()}", count=5, size=1 << 20, **as_java(cluster, people["alice"]))


@pytest.mark.parametrize("how", HOW)
def test_not_allowed(cluster, gates, people, java, how):
    """A certificate that is good, of somebody the brokers grant nothing: they say so, though penstock's own role may do all."""
    with client(url(gates[how]), **as_python(cluster, people["mallory"])) as c:
        with pytest.raises(pulsar.AuthorizationError):
            c.create_producer(f"persistent://{topic()}")
    answer = java.ask("roundtrip", url=url(gates[how]), topic=f"persistent://{topic()}", **as_java(cluster, people["mallory"]))
    assert not answer["ok"] and answer["error"] == "AuthorizationException", answer


@pytest.mark.parametrize("how", ["token-plain", "certificate-tls"])
def test_redirects(cluster, gates, people, how):
    """Side connections of lookups are opened in penstock's name as well."""
    one = topic()
    start = gates[how].metrics()("penstock_redirect_hops_total")
    for attempt in range(40):
        with client(url(gates[how]), **as_python(cluster, people["alice"])) as c:
            roundtrip(c, f"persistent://{one}", 20)
        if gates[how].metrics()("penstock_redirect_hops_total") > start:
            return
        cluster.unload(one, to=1 + attempt % 2)
    raise AssertionError("40 unloads, and no redirect was needed")


# ---- who one is


def test_forged(cluster, gates, people):
    """What only a proxy may say ends the connection, in whichever frame, and no broker hears it."""
    gate = gates["token-tls"]
    for field in (7, 8, 9, 11):
        peer = raw(cluster, gate, people["mallory"])
        peer.send(wire.connect(method="tls", more=[(field, "admin")]))
        code, text = said(peer)
        assert code == wire.NOT_ALLOWED and "spoofed_original" in text
    late = [wire.lookup(f"persistent://{topic()}", 1, more=[(field, "admin")]) for field in (4, 5, 6)]
    late += [wire.frame(wire.PARTITIONED_METADATA, [(1, f"persistent://{topic()}"), (2, 1), (field, "admin")]) for field in (3, 4, 5)]
    for frame in late:
        peer = raw(cluster, gate, people["mallory"])
        peer.send(wire.connect(method="tls"))
        peer.expect(wire.CONNECTED)
        peer.send(frame)
        code, text = said(peer)
        assert code == wire.NOT_ALLOWED and "spoofed_original" in text
    wait_until("ten access lines", 5, lambda: len(gate.access(reason="spoofed_original")) == 10)


def test_a_client_that_is_a_proxy(cluster, gates, people):
    """Whose name is in proxyRoles may not come as a client: the brokers' own check."""
    peer = raw(cluster, gates["certificate-tls"], people["proxy"])
    peer.send(wire.connect(method="tls"))
    code, text = said(peer)
    assert (code, text) == (4, "Invalid roles.")
    gates["certificate-tls"].wait_access(reason="role_refused", principal="proxy")


SUBJECTS = {
    "none": "/O=acme",
    "comma": "/CN=alice,x",
    "hidden": "/CN=mallory/O=x,CN=alice",  # an organisation that would like to be a name
    "parts": "/CN=alice+OU=dev",
    "umlaut": "/CN=\u00e4lice",
}  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in SUBJECTS if kind != "hidden"])
def test_no_principal(cluster, gates, people, kind):
    """Names that Java would read otherwise than they were meant are nobody's."""
    person = cluster.authority.issue(f"subject-{kind}", client=True, subject=SUBJECTS[kind])
    peer = raw(cluster, gates["token-tls"], person)
    peer.send(wire.connect(method="tls"))
    code, text = said(peer)
    assert code == wire.AUTHENTICATION_ERROR and "role_no_principal" in text


def test_hidden(cluster, gates, people):
    """As in Java: what stands inside another attribute is no name."""
    person = cluster.authority.issue("subject-hidden", client=True, subject=SUBJECTS["hidden"])
    peer = raw(cluster, gates["token-tls"], person)
    peer.send(wire.connect(method="tls"))
    peer.expect(wire.CONNECTED)
    peer.close()
    gates["token-tls"].wait_access(principal="mallory")


def test_another_credential(cluster, gates, people):
    """A token beside the certificate would be verified by nobody."""
    peer = raw(cluster, gates["token-tls"], people["alice"])
    peer.send(wire.connect(method="token", data=tokens.token("alice").encode()))
    code, text = said(peer)
    assert code == wire.AUTHENTICATION_ERROR and "role_method" in text


def test_no_credential(cluster, gates, people):
    """The certificate is enough, whether the client thinks of it as its authentication or not."""
    words = as_python(cluster, people["alice"])
    del words["authentication"]
    words |= {"tls_certificate_file_path": str(people["alice"][0]), "tls_private_key_file_path": str(people["alice"][1])}
    with client(url(gates["token-tls"]), **words) as c:
        roundtrip(c, f"persistent://{topic()}", 20)


def test_tls_where_credentials_pass(cluster, penstock, people, setup):
    """Without role mode the broker would see penstock's certificate, and take the client for it."""
    _, listener = setup("certificate-tls")
    certificate, key = map(str, people["proxy"])
    keys = {"broker_tls": {"ca_file": str(cluster.authority.file), "cert_file": certificate, "key_file": key}}
    gate = penstock.zookeeper(cluster.zookeeper_servers, keys, listener)
    peer = raw(cluster, gate, people["mallory"])
    peer.send(wire.connect(method="tls"))
    code, text = said(peer)
    assert code == wire.AUTHENTICATION_ERROR and "auth_tls" in text


# ---- penstock's own credential


@pytest.mark.parametrize("why", ["key", "role"])
def test_a_wrong_credential(cluster, penstock, people, setup, java, why):
    """The client hears the broker's own words, the log says whose credential it is about, once a second and worker."""
    token = tokens.token("proxy", key=b"k" * 32) if why == "key" else tokens.token("client")
    words, code = ("Failed to authenticate", wire.AUTHENTICATION_ERROR) if why == "key" else ("Invalid roles.", 4)
    mine, listener = setup("token-plain", token, file=f"wrong-{why}")
    gate = penstock.zookeeper(cluster.zookeeper_servers, mine, listener)
    for target in (None, cluster.broker_url(1).removeprefix("pulsar://")):
        peer = raw(cluster, gate, people["alice"])
        peer.send(wire.connect(target, method="tls"))
        assert said(peer) == (code, words)
    wait_until("two access lines", 5, lambda: len(gate.access(reason="role_refused", principal="alice")) == 2)
    lines = [line for line in gate.log().splitlines() if " role_refused " in line]
    assert lines and all("principal alice" in line and words in line and "proxyRoles" in line for line in lines), lines
    if why == "key":  # the other it takes for a passing trouble, and tries on for 20 s
        answer = java.ask("roundtrip", url=url(gate), topic=f"persistent://{topic()}", **as_java(cluster, people["alice"]))
        assert answer["error"] == "AuthenticationException", answer


def test_reload(cluster, penstock, people, setup):
    """A new token is read on reload; a file without one keeps the old configuration."""
    mine, listener = setup("token-plain", tokens.token("client"), file="turned")
    gate = penstock.zookeeper(cluster.zookeeper_servers, mine, listener)
    file = settings.RUN / "data" / "turned.jwt"

    def goes():
        peer = raw(cluster, gate, people["alice"])
        peer.send(wire.connect(method="tls"))
        kind = peer.read_frame().kind
        peer.close()
        return kind == wire.CONNECTED

    def turn(text, word):
        file.write_text(text)
        before = gate.log().count(word)
        gate.reload()
        wait_until(word, 5, lambda: gate.log().count(word) > before)

    assert not goes()
    turn(tokens.token("proxy"), " reloaded ")
    wait_until("the new token", 5, goes)
    turn("\n", "reload_failed")
    assert "is empty" in gate.log() and goes()


def test_renewed_in_place(cluster, penstock, people, setup):
    """A token that changes is read without a signal; what is none is said once, and the one before stays."""
    mine, listener = setup("token-plain", tokens.token("client"), file="renewed")
    gate = penstock.zookeeper(cluster.zookeeper_servers, mine, listener, certificates={"refresh": "1s"})
    file = settings.RUN / "data" / "renewed.jwt"

    def goes():
        peer = raw(cluster, gate, people["alice"])
        peer.send(wire.connect(method="tls"))
        kind = peer.read_frame().kind
        peer.close()
        return kind == wire.CONNECTED

    assert not goes()
    file.write_text(tokens.token("proxy"))
    wait_until("the new token", 5, goes)
    file.write_text("two words\n")
    wait_until("the complaint", 5, lambda: "renewed.jwt: holds more than a token" in gate.log())  # it may have seen the file while that was empty
    assert goes()
    assert gate.metrics()("penstock_config_generation") == 1, "the rest of the configuration is not read"
    gate.reload()
    wait_until("a reload reads it too, and refuses", 5, lambda: "reload_failed" in gate.log())
    file.write_text(tokens.token("client"))
    wait_until("the other one again", 5, lambda: not goes())


def test_expiry(cluster, penstock, people, setup):
    """When penstock's token runs out the broker closes what came with it, as it does with the Java proxy that does not forward."""
    mine, listener = setup("token-plain", tokens.token("proxy", 10), file="short")
    gate = penstock.zookeeper(cluster.zookeeper_servers, mine, listener)
    peer = raw(cluster, gate, people["alice"])
    peer.send(wire.connect(method="tls"))
    peer.expect(wire.CONNECTED)
    peer.seconds = 60
    assert peer.read_to_end() == (b"", False)
    assert "not forwarding the credentials. Closing connection" in log_of(cluster, 1) + log_of(cluster, 2)


# ---- the Java proxy in the same place


JAVA_PORT, JAVA_TLS_PORT = 6690, 6691  # it does not reuse addresses: no other test has served these a minute ago


@pytest.fixture
def java_proxy(cluster, people):
    certificate, key = cluster.authority.issue("gw.pulsar.test", settings.GATE_ADDRESS, prefix="role-java-")
    cluster.start_java_proxy(
        servicePort=JAVA_PORT, servicePortTls=JAVA_TLS_PORT, tlsCertificateFilePath=certificate, tlsKeyFilePath=key, tlsTrustCertsFilePath=cluster.authority.file,
        tlsRequireTrustedClientCertOnConnect="true", authenticationEnabled="true", authorizationEnabled="true",
        authenticationProviders="org.apache.pulsar.broker.authentication.AuthenticationProviderTls",
        brokerClientAuthenticationPlugin="org.apache.pulsar.client.impl.auth.AuthenticationToken",
        brokerClientAuthenticationParameters=f"token:{tokens.token('proxy')}",
    )  # fmt: skip
    wait_until("its TLS port", 20, lambda: web.reachable(settings.GATE_ADDRESS, JAVA_TLS_PORT))
    yield
    cluster.java_proxy.stop()


REFUSED, DENIED = f"error {wire.AUTHENTICATION_ERROR}", f"error {wire.NOT_ALLOWED}"
FATES = {  # (Java's proxy, penstock); subjects of certificates, then what CONNECT says
    "none": (REFUSED, REFUSED),
    "parts": (REFUSED, REFUSED),
    "hidden": ("connected", "connected"),
    "comma": ("connected", REFUSED),  # Java's proxy forwards the principal `alice\`
    "umlaut": ("connected", REFUSED),
    "token": (REFUSED, REFUSED),
    "original_principal": ("connected", DENIED),  # Java's proxy overwrites it in silence
    "proxy_version": (DENIED, DENIED),
}


def test_as_the_java_proxy(cluster, java_proxy, gates, people, java):
    """The same clients with the same certificates fare the same with both, but for the few where penstock is stricter."""

    class JavaProxy:
        port = JAVA_TLS_PORT

    ours = gates["token-plain"]
    for gate in JavaProxy, ours:
        for name, error in ("alice", None), ("mallory", "AuthorizationException"):
            answer = java.ask("roundtrip", url=url(gate), topic=f"persistent://{topic()}", count=20, **as_java(cluster, people[name]))
            assert answer.get("error") == error, (gate, name, answer)

    def fate(gate, kind):
        person = cluster.authority.issue(f"subject-{kind}", client=True, subject=SUBJECTS[kind]) if kind in SUBJECTS else people["mallory"]
        more = [({"original_principal": 7, "proxy_version": 11}[kind], "alice")] if kind in ("original_principal", "proxy_version") else []
        peer = raw(cluster, gate, person)
        peer.send(wire.connect(method="token" if kind == "token" else "tls", more=more))
        got = peer.read_frame()
        peer.close()
        return "connected" if got.kind == wire.CONNECTED else f"error {got[2]}"

    assert {kind: (fate(JavaProxy, kind), fate(ours, kind)) for kind in FATES} == FATES


# ---- a broker that says what real ones do not


@pytest.fixture
def faked(cluster, penstock, fake, people, setup):
    """(penstock in role mode, its broker, a second one that it knows from the first)."""

    def make(brokers=1, **more):
        mine, listener = setup("token-plain", "secret-token", **more)
        fakes = [fake() for _ in range(brokers)]
        return penstock.fixed(fakes[0], cluster=mine, listener=listener), *fakes

    return make


@pytest.mark.parametrize("target", [True, False], ids=["data", "lookup"])
def test_connect(cluster, faked, people, target):
    """CONNECT as a broker gets it: nothing of the client's but its versions and what it can do."""
    gate, broker = faked()
    peer = raw(cluster, gate, people["alice"])
    peer.send(wire.connect(broker.where if target else None, method="tls", more=[(2, 0), (12, b"of tomorrow"), (99, 7)]))
    got = broker.next().expect(wire.CONNECT)
    version = dict(got.fields).pop(11)
    assert sorted(got.fields) == sorted([
        (1, b"raw-test"), (3, b"secret-token"), (4, 21), (5, b"token"), (7, b"alice"),
        (10, wire.encode([(1, 1), (2, 1)])), (11, version),
    ])  # fmt: skip
    assert version.startswith(b"penstock-")
    peer.close()


@pytest.mark.parametrize("target", [True, False], ids=["data", "lookup"])
def test_challenge(cluster, faked, people, target):
    """A broker's AUTH_CHALLENGE is for penstock; the client hears of it nothing, and CONNECTED is its broker's."""
    gate, broker = faked()
    peer = raw(cluster, gate, people["alice"])
    peer.send(wire.connect(broker.where if target else None, method="tls"))
    connection = broker.next()
    connection.expect(wire.CONNECT)
    challenge = wire.frame(wire.AUTH_CHALLENGE, [(1, "fake"), (2, wire.encode([(1, "token"), (2, "prove it")])), (3, 21)])
    for _ in range(10):
        connection.send(challenge)
        answer = connection.expect(wire.AUTH_RESPONSE)
        assert answer[1] == b"raw-test" and answer[3] == 21
        assert wire.decode(answer[2]) == [(1, b"token"), (2, b"secret-token")]
    connection.send(wire.connected())
    assert peer.read_frame().raw == wire.connected()
    if not target:
        connection.send(challenge)  # renewal is penstock's business too, and a client's answer to nothing goes nowhere
        connection.expect(wire.AUTH_RESPONSE)
        peer.send(wire.frame(wire.AUTH_RESPONSE, [(1, "x"), (2, wire.encode([(1, "token"), (2, "mine")]))]))
    peer.send(wire.frame(wire.PING, []))
    connection.expect(wire.PING)
    peer.close()


def test_challenge_without_end(cluster, faked, people):
    gate, broker = faked()
    peer = raw(cluster, gate, people["alice"])
    peer.send(wire.connect(broker.where, method="tls"))
    connection = broker.next()
    connection.expect(wire.CONNECT)
    for _ in range(11):
        connection.send(wire.frame(wire.AUTH_CHALLENGE, [(1, "fake"), (2, wire.encode([(1, "token"), (2, "again")])), (3, 21)]))
    assert said(peer)[0] == wire.AUTHENTICATION_ERROR
    gate.wait_access(reason="role_refused")


def test_a_cluster_goes_in_the_middle_of_a_login(cluster, faked, people, setup):
    """Whatever its broker asks for then, it is not shown the credential of the cluster that is left."""
    gate, broker = faked()
    peer = raw(cluster, gate, people["alice"])
    peer.send(wire.connect(broker.where, method="tls"))
    connection = broker.next()
    connection.expect(wire.CONNECT)
    mine, listener = setup("token-plain", "token-of-another", file="another")
    keys = {"protocol": "pulsar", "discovery": {"urls": [broker.url]}, **mine}
    bind = f"{settings.GATE_ADDRESS}:{gate.port}"
    gate.write({"clusters": {"another": keys}, "listeners": [{"name": "pulsar", "bind": bind, "cluster": "another", **listener}]})
    gate.reload()
    gate.wait_access(reason="listener_gone")
    try:
        connection.send(wire.frame(wire.AUTH_CHALLENGE, [(1, "fake"), (2, wire.encode([(1, "token"), (2, "prove it")])), (3, 21)]))
    except OSError:
        pass  # it is closed already
    assert connection.read_to_end()[0] == b""
    peer.close()


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "refused"])
def test_side(cluster, faked, people, taken):
    """The broker a lookup is redirected to is told the same, and may want proof, too."""
    gate, first, second = faked(brokers=2)
    peer = raw(cluster, gate, people["alice"])
    peer.send(wire.connect(method="tls"))
    connection, _ = first.handshake()
    peer.expect(wire.CONNECTED)
    peer.send(wire.lookup("persistent://t/n/x", 7))
    connection.expect(wire.LOOKUP)
    connection.send(wire.lookup_answer(7, second.url, kind=wire.REDIRECT))
    side = second.next()
    got = side.expect(wire.CONNECT)
    assert (got[3], got[5], got[7]) == (b"secret-token", b"token", b"alice")
    side.send(wire.frame(wire.AUTH_CHALLENGE, [(1, "fake"), (2, wire.encode([(1, "token"), (2, "prove it")])), (3, 21)]))
    assert wire.decode(side.expect(wire.AUTH_RESPONSE)[2]) == [(1, b"token"), (2, b"secret-token")]
    if taken:
        side.send(wire.connected())
        side.expect(wire.LOOKUP)
        side.send(wire.lookup_answer(7, second.url))
    else:
        side.send(wire.frame(wire.ERROR, [(1, wire.CONNECTION_LEVEL), (2, 4), (3, "Invalid roles.")]))
    answer = peer.expect(wire.LOOKUP_RESPONSE)
    assert answer[4] == 7 and answer[3] == (wire.CONNECT_TO if taken else wire.FAILED)
    if not taken:
        wait_until("a line about it", 5, lambda: f"broker {second.where} does not let this proxy in for principal alice" in gate.log())
    peer.close()


@pytest.mark.parametrize("target", [True, False], ids=["data", "lookup"])
def test_early(cluster, faked, people, target):
    """Before CONNECTED a client has nothing to say that a broker could take for penstock's."""
    gate, broker = faked()
    peer = raw(cluster, gate, people["mallory"])
    peer.send(wire.connect(broker.where if target else None, method="tls"))
    connection = broker.next()
    connection.expect(wire.CONNECT)
    peer.send(wire.frame(wire.AUTH_RESPONSE, [(1, "x"), (2, wire.encode([(1, "token"), (2, "mine")]))]))
    code, text = said(peer)
    assert code == wire.NOT_ALLOWED and "role_early" in text
    assert connection.read_to_end()[0] == b""


def test_forward(cluster, faked, people):
    """What a client authenticates with besides its certificate goes along when asked for; never the method tls, which would be penstock's."""
    gate, broker = faked(forward=True)
    for method, data in (("token", b"its.own"), ("tls", b""), ("none", b"")):
        peer = raw(cluster, gate, people["alice"])
        peer.send(wire.connect(broker.where, method=method, data=data))
        connection, got = broker.handshake()
        assert (got[7], got[3]) == (b"alice", b"secret-token")
        assert (got[8], got[9]) == ((data, method.encode()) if method == "token" else (None, None))
        peer.close()
        connection.close()
    peer = raw(cluster, gate, people["alice"])
    peer.send(wire.connect(broker.where, method="token", data=b"\xff\xfe"))
    assert said(peer)[0] == wire.AUTHENTICATION_ERROR


# ---- brokers that verify what is forwarded


@pytest.fixture
def verifying(cluster):
    """Both brokers, started again with authenticateOriginalAuthData."""

    def again(more):
        cluster.more = more
        cluster.restart_brokers()

    again({"authenticateOriginalAuthData": "true"})
    yield
    again({})  # the cluster is everybody's


def test_forwarded_for_real(cluster, penstock, people, setup, verifying):
    """The principal is whom the client's token is for; the brokers see to its renewal with the client itself, and to its being good."""
    mine, listener = setup("token-tls", forward=True, file="forwarding")
    gate = penstock.zookeeper(cluster.zookeeper_servers, mine, listener)
    asked = []

    def renew():
        asked.append(time.monotonic())
        return tokens.token("alice", 3)

    words = as_python(cluster, people["mallory"], authentication=pulsar.AuthenticationToken(renew))
    words |= {"tls_certificate_file_path": str(people["mallory"][0]), "tls_private_key_file_path": str(people["mallory"][1])}
    with client(url(gate), **words) as c:
        one = f"persistent://{topic()}"
        consumer, producer = subscribe(c, one), c.create_producer(one)
        until = time.monotonic() + 9
        while time.monotonic() < until:
            producer.send(b"x")
            consumer.acknowledge(consumer.receive(45_000))
            time.sleep(0.05)
        assert not gate.access(kind="data")
        roundtrip(c, f"persistent://{topic()}", 20)
    assert len(asked) >= 3
    peer = raw(cluster, gate, people["alice"])
    peer.send(wire.connect(method="token", data=tokens.token("alice", key=b"k" * 32).encode()))
    assert said(peer) == (wire.AUTHENTICATION_ERROR, "Failed to authenticate")
    # No token, nothing to verify: the brokers take such a client for anonymous, as they do behind the Java proxy.
