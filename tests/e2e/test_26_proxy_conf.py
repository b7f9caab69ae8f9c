"""`penstock proxy --config proxy.conf`: each key it honours does what it did in the Java proxy; what it cannot honour it names, or refuses."""
import shutil
import ssl
import subprocess
import threading
import time

import netns
import pulsar
import pytest
import settings
import tls
import tokens
import web
import wire
from clients import client, fresh, roundtrip
from fakes import echo
from mirror import Mirror
from processes import wait_until
from test_41_role import people, space, topic  # noqa: F401 - fixtures
from test_91_tls import VERSIONS, only, refused, secure, tls_broker
from wire import dial

WEB = f"{settings.GATE_ADDRESS}:8088"


def pair(certificate):
    return {"tlsCertificateFilePath": certificate[0], "tlsKeyFilePath": certificate[1]}


class Java:
    """Starts `penstock proxy` with a proxy.conf of some lines."""

    def __init__(self, penstock, tmp_path):
        self.penstock, self.folder = penstock, tmp_path

    def file(self, keys):
        file = self.folder / "proxy.conf"
        file.write_text("# as shipped\n" + "".join(f"{key}={value}\n" for key, value in keys.items()))
        return file

    def start(self, keys, *arguments, web=False, certificate=None, **how):
        """With a certificate there is servicePortTls and no servicePort."""
        one = self.penstock.new()
        base = {"bindAddress": settings.GATE_ADDRESS, "servicePort": one.port, "webServicePort": 8088 if web else ""}
        if certificate:
            base |= {"servicePort": "", "servicePortTls": one.port, **pair(certificate)}
        return one.start_proxy(["--config", self.file({**base, **keys}), *arguments], **how)

    def dump(self, keys, *arguments):
        """(exit status, effective configuration as YAML, complaints)."""
        line = netns.exec_in(settings.BROKER_SIDE, [settings.PENSTOCK, "proxy", "--config", self.file(keys), "--dump", *arguments])
        done = subprocess.run(line, capture_output=True, text=True, timeout=10)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def java_conf(penstock, tmp_path):
    return Java(penstock, tmp_path)


def enter(gate, target, **words):
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect(target=target, **words))
    return peer, peer.read_frame()


def kind_of(gate, target, **words):
    peer, got = enter(gate, target, **words)
    peer.close()
    return got.kind


# ---- discovery


def test_brokerServiceURL(java_conf, fake):
    one, two = fake(echo), fake(echo)
    gate = java_conf.start({"brokerServiceURL": f"{one.url},{two.url}"})
    assert kind_of(gate, one.where) == kind_of(gate, two.where) == wire.CONNECTED


@pytest.mark.parametrize("key", ["metadataStoreUrl", "zookeeperServers"])
def test_local_store(java_conf, fake, key):
    broker = fake(echo)
    with Mirror() as zk:
        zk.broker(broker.url)
        scheme = "zk:" if key == "metadataStoreUrl" else ""
        gate = java_conf.start({key: scheme + zk.connect_string})
        assert kind_of(gate, broker.where) == wire.CONNECTED
        gate.kill()


def test_command_line_wins_over_the_file(java_conf, fake):
    broker = fake(echo)
    with Mirror() as zk:
        zk.broker(broker.url)
        gate = java_conf.start({"zookeeperServers": "127.0.0.1:1", "servicePort": 1}, "--zookeeper-servers", zk.connect_string, "--bind", f"{settings.GATE_ADDRESS}:7950")
        gate.port = 7950
        assert kind_of(gate, broker.where) == wire.CONNECTED
        gate.kill()


# ---- where it may connect to


def test_brokerProxyAllowed(java_conf, fake, lab):
    """Host names, addresses, ports: all three must agree, and each alone can refuse."""
    known, other = fake(echo), fake(echo, address=settings.OPEN_ADDRESS)
    lab.names.table |= {"b1.east.test": other.address, "b1.west.test": other.address}
    good = {
        "brokerServiceURL": known.url, "brokerProxyAllowedHostNames": "*.east.test", "brokerProxyAllowedIPAddresses": "10.77.0.0/24",
        "brokerProxyAllowedTargetPorts": "6650",
    }  # fmt: skip
    assert kind_of(java_conf.start(good), "b1.east.test:6650") == wire.CONNECTED
    assert kind_of(java_conf.start(good), "b1.west.test:6650") == wire.ERROR
    for key, value in (("brokerProxyAllowedHostNames", "*.north.test"), ("brokerProxyAllowedIPAddresses", "10.78.0.0/16"), ("brokerProxyAllowedTargetPorts", "6651")):
        gate = java_conf.start(good | {key: value})
        assert kind_of(gate, "b1.east.test:6650") == wire.ERROR, key
        assert kind_of(gate, known.where) == wire.CONNECTED, key


def test_checkActiveBrokers(java_conf, fake):
    known, other = fake(echo), fake(echo, address=settings.OPEN_ADDRESS)
    open_to_all = {"brokerServiceURL": known.url, "brokerProxyAllowedHostNames": "*", "brokerProxyAllowedIPAddresses": "10.77.0.0/24"}
    assert kind_of(java_conf.start(open_to_all), other.where) == wire.CONNECTED
    assert kind_of(java_conf.start(open_to_all | {"checkActiveBrokers": "true"}), other.where) == wire.ERROR


def test_brokerProxyConnectTimeoutMs(java_conf):
    gate = java_conf.start({"brokerServiceURL": f"pulsar://{settings.NOBODY_ADDRESS}:6650", "brokerProxyConnectTimeoutMs": 300})
    began = time.monotonic()
    assert kind_of(gate, f"{settings.NOBODY_ADDRESS}:6650") == wire.ERROR
    assert 0.2 < time.monotonic() - began < 6


def test_brokerProxyReadTimeoutMs(java_conf, fake):
    broker = fake(echo)
    gate = java_conf.start({"brokerServiceURL": broker.url, "brokerProxyReadTimeoutMs": 1000})
    peer, got = enter(gate, broker.where)
    assert got.kind == wire.CONNECTED
    peer.read_to_end()
    assert gate.wait_access(reason="idle")


# ---- listening and limits


def test_servicePort_and_bindAddress(java_conf, fake):
    """In every test here; this one shows that the other addresses stay free."""
    gate = java_conf.start({"brokerServiceURL": fake(echo).url})
    assert web.reachable(settings.GATE_ADDRESS, gate.port)
    assert not web.reachable(settings.OPEN_ADDRESS, gate.port) and not web.reachable("127.0.0.1", gate.port)


def test_maxMessageSize(java_conf, fake):
    """Bounds the frames of a lookup connection whose broker announces no limit of its own (+ 10 KiB for headers)."""

    def serve(peer):
        peer.expect(wire.CONNECT)
        peer.send(wire.frame(wire.CONNECTED, [(1, "old broker"), (2, 21)]))
        while True:
            peer.send(peer.read_frame().raw)

    broker = fake(serve)
    frame = wire.frame(wire.GET_TOPICS, [(1, 1), (2, "x" * 150_000)])
    for size, passes in ((100_000, False), (145_000, True)):
        gate = java_conf.start({"brokerServiceURL": broker.url, "maxMessageSize": size})
        peer, got = enter(gate, None)
        assert got.kind == wire.CONNECTED
        peer.send(frame)
        if passes:
            assert peer.read_frame().raw == frame
        else:
            peer.read_to_end()
            assert gate.wait_access(reason="frame_too_big")
        peer.close()


def test_keepAliveIntervalSeconds(java_conf, fake):
    """The deadline of the handshake."""
    gate = java_conf.start({"brokerServiceURL": fake(echo).url, "keepAliveIntervalSeconds": 1})
    began = time.monotonic()
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.read_to_end()
    assert 0.8 < time.monotonic() - began < 10
    assert gate.wait_access(reason="hello_timeout")


def test_haProxyProtocolEnabled(java_conf, fake):
    """A header is accepted, and a v1 header goes to the broker."""
    broker = fake()
    for enabled in ("true", "false"):
        gate = java_conf.start({"brokerServiceURL": broker.url, "haProxyProtocolEnabled": enabled})
        peer = dial(settings.GATE_ADDRESS, gate.port)
        peer.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 4321 6650\r\n" + wire.connect(target=broker.where))
        if enabled == "true":
            assert broker.next().read_exactly(21) == b"PROXY TCP4 192.0.2.7 "
            peer.close()
        else:
            peer.read_to_end()
            assert broker.none_waiting()


def test_proxyZeroCopyModeEnabled(java_conf, fake):
    broker = fake(echo)
    data = b"x" * (4 << 20)
    for enabled in ("true", "false"):
        gate = java_conf.start({"brokerServiceURL": broker.url, "proxyZeroCopyModeEnabled": enabled})
        peer, _ = enter(gate, broker.where)
        threading.Thread(target=peer.send, args=(data,)).start()
        assert peer.read_exactly(len(data)) == data
        peer.close()
        gate.wait_access()
        assert (gate.metrics()("penstock_bytes_total", path="splice") > 0) == (enabled == "true")


def test_maxConcurrentInboundConnections(java_conf, fake):
    broker = fake(echo)
    gate = java_conf.start({"brokerServiceURL": broker.url, "maxConcurrentInboundConnections": 2})
    held = [enter(gate, broker.where) for _ in range(2)]
    assert all(got.kind == wire.CONNECTED for _, got in held)
    assert kind_of(gate, broker.where) == wire.ERROR


def test_maxConcurrentInboundConnectionsPerIp(java_conf, fake):
    broker = fake(echo)
    gate = java_conf.start({"brokerServiceURL": broker.url, "maxConcurrentInboundConnectionsPerIp": 2})
    held = [enter(gate, broker.where) for _ in range(2)]
    assert all(got.kind == wire.CONNECTED for _, got in held)
    assert kind_of(gate, broker.where) == wire.ERROR
    assert gate.wait_access(reason="conn_limit_ip")


def test_maxConcurrentLookupRequests(java_conf, fake):
    broker = fake()
    gate = java_conf.start({"brokerServiceURL": broker.url, "maxConcurrentLookupRequests": 1, "numIOThreads": 1})
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect())
    connection, _ = broker.handshake()
    peer.expect(wire.CONNECTED)
    peer.send(wire.lookup("t", 1), wire.lookup("t", 2))
    assert peer.expect(wire.LOOKUP_RESPONSE)[6] == wire.TOO_MANY_REQUESTS
    connection.close()


def test_numIOThreads(java_conf, fake):
    assert java_conf.start({"brokerServiceURL": fake(echo).url, "numIOThreads": 1}).metrics()("penstock_workers") == 1
    assert java_conf.start({"brokerServiceURL": fake(echo).url, "numIOThreads": 2}).metrics()("penstock_workers") == 2


# ---- the web port


def test_status_html(java_conf, fake, tmp_path):
    """200 if and only if the file is there; 404 without statusFilePath, as in Java."""
    file = tmp_path / "status"
    file.touch()
    java_conf.start({"brokerServiceURL": fake(echo).url, "statusFilePath": file}, web=True)
    assert web.request("GET", f"http://{WEB}/status.html") == (200, "OK")
    file.unlink()
    wait_until("/status.html to say 404", 3, lambda: web.request("GET", f"http://{WEB}/status.html")[0] == 404)


def test_status_html_without_a_file(java_conf, fake):
    java_conf.start({"brokerServiceURL": fake(echo).url}, web=True)
    assert web.request("GET", f"http://{WEB}/status.html")[0] == 404


def test_web_metrics_and_clusterName(java_conf, fake):
    java_conf.start({"brokerServiceURL": fake(echo).url, "clusterName": "east"}, web=True)
    for path in ("/metrics", "/metrics/"):
        status, text = web.request("GET", f"http://{WEB}{path}")
        assert status == 200 and 'pulsar_proxy_active_connections{cluster="east"}' in text


def test_enableProxyStatsEndpoints(java_conf, fake):
    java_conf.start({"brokerServiceURL": fake(echo).url, "enableProxyStatsEndpoints": "false"}, web=True)
    assert web.request("GET", f"http://{WEB}/metrics")[0] == 404


# ---- TLS with clients


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return tls.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A CA nobody trusts."""
    return tls.Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("gw.example.com")


def inside(gate, context, target):
    """What a client inside TLS is answered."""
    peer = secure(gate, context)
    peer.send(wire.connect(target=target))
    kind = peer.read_frame().kind
    peer.close()
    return kind


def test_servicePortTls(java_conf, fake, authority, certificate):
    """Alone, and beside servicePort."""
    broker = fake(echo)
    gate = java_conf.start({"brokerServiceURL": broker.url}, certificate=certificate)
    assert inside(gate, authority.trusting(), broker.where) == wire.CONNECTED
    both = java_conf.start({"brokerServiceURL": broker.url, "servicePortTls": gate.port + 1000, **pair(certificate)})
    assert kind_of(both, broker.where) == wire.CONNECTED
    both.port = gate.port + 1000
    assert inside(both, authority.trusting(), broker.where) == wire.CONNECTED
    assert both.wait_access(listener="pulsar") and both.wait_access(listener="pulsar-tls")


def test_tlsCertificateFilePath_and_tlsKeyFilePath(java_conf, fake, authority):
    for name in ("one.example.com", "two.example.com"):
        gate = java_conf.start({"brokerServiceURL": fake(echo).url}, certificate=authority.issue(name))
        peer = secure(gate, authority.trusting(), name)
        assert peer.sock.getpeercert()["subjectAltName"] == (("DNS", name),)
        peer.close()
    status, _, complaints = java_conf.dump({"metadataStoreUrl": "zk:10.0.0.1:2181", "servicePortTls": 6651})
    assert status == 78 and "servicePortTls" in complaints and "tlsCertificateFilePath" in complaints, complaints


def test_tlsTrustCertsFilePath(java_conf, fake, authority, stranger, certificate):
    """Nobody needs a certificate; who shows one must have it from there."""
    broker = fake(echo)
    mine, foreign = authority.issue("client", client=True), stranger.issue("client", client=True)
    gate = java_conf.start({"brokerServiceURL": broker.url, "tlsTrustCertsFilePath": authority.file}, certificate=certificate)
    assert inside(gate, authority.trusting(), broker.where) == wire.CONNECTED
    assert inside(gate, authority.trusting(mine), broker.where) == wire.CONNECTED
    assert refused(gate, authority.trusting(foreign), "client_tls_cert_unknown_ca") == "TLSV1_ALERT_UNKNOWN_CA"


def test_tlsRequireTrustedClientCertOnConnect(java_conf, fake, authority, certificate):
    broker = fake(echo)
    mine = authority.issue("client", client=True)
    keys = {"brokerServiceURL": broker.url, "tlsTrustCertsFilePath": authority.file, "tlsRequireTrustedClientCertOnConnect": "true"}
    gate = java_conf.start(keys, certificate=certificate)
    assert inside(gate, authority.trusting(mine), broker.where) == wire.CONNECTED
    assert refused(gate, authority.trusting(), "client_tls_cert_missing")


def test_tlsAllowInsecureConnection_of_clients(java_conf, fake, authority, stranger, certificate):
    """Any certificate will do: it is not even asked for."""
    broker = fake(echo)
    foreign = stranger.issue("client", client=True)
    keys = {"brokerServiceURL": broker.url, "tlsTrustCertsFilePath": authority.file, "tlsAllowInsecureConnection": "true"}
    gate = java_conf.start(keys, certificate=certificate)
    assert inside(gate, authority.trusting(foreign), broker.where) == wire.CONNECTED


@pytest.mark.parametrize("version", VERSIONS)
def test_tlsProtocols(java_conf, fake, authority, certificate, version):
    broker = fake(echo)
    gate = java_conf.start({"brokerServiceURL": broker.url, "tlsProtocols": f"TLSv{version}"}, certificate=certificate)
    assert inside(gate, authority.trusting(**only(version)), broker.where) == wire.CONNECTED
    other = "1.2" if version == "1.3" else "1.3"
    assert "PROTOCOL_VERSION" in refused(gate, authority.trusting(**only(other)), "client_tls_version")


@pytest.mark.parametrize("name", ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"], ids=["Java", "OpenSSL"])
def test_tlsCiphers(java_conf, fake, authority, certificate, name):
    """No suite of TLS 1.3 is among them, so that is not spoken; what penstock does not speak is named."""
    broker = fake(echo)
    gate = java_conf.start({"brokerServiceURL": broker.url, "tlsCiphers": f"TLS_RSA_WITH_AES_128_CBC_SHA, {name}"}, certificate=certificate)
    peer = secure(gate, authority.trusting())
    assert peer.sock.cipher()[:2] == ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2")
    peer.close()
    assert "TLS_RSA_WITH_AES_128_CBC_SHA is not spoken here" in gate.log()


def test_tlsCertRefreshCheckDurationSec(java_conf, fake, authority, tmp_path):
    """Files that change come into force without a signal; half of them do not, and connections live on."""
    broker = fake(echo)
    old, new = authority.issue("gw.example.com", prefix="old-"), authority.issue("gw.example.com", prefix="new-")
    mine = (tmp_path / "gw.pem", tmp_path / "gw.key")

    def put(number, source):
        fresh_file = tmp_path / "fresh"
        shutil.copy(source[number], fresh_file)
        fresh_file.rename(mine[number])

    def shown():
        peer = secure(gate, authority.trusting())
        certificate = peer.sock.getpeercert(binary_form=True)
        peer.close()
        return ssl.DER_cert_to_PEM_cert(certificate).split()

    put(0, old)
    put(1, old)
    gate = java_conf.start({"brokerServiceURL": broker.url, "tlsCertRefreshCheckDurationSec": 1}, certificate=mine)
    held = secure(gate, authority.trusting())
    held.send(wire.connect(target=broker.where))
    held.expect(wire.CONNECTED)
    put(0, new)  # its key comes later
    wait_until("the complaint", 5, lambda: "tls_refresh_failed" in gate.log())
    assert shown() == old[0].read_text().split()
    put(1, new)
    wait_until("the new certificate", 5, lambda: shown() == new[0].read_text().split())
    wait_until("what the log says of it", 5, lambda: gate.log().count("tls_refreshed") == 1)
    assert gate.log().count("tls_refresh_failed") == 1
    held.send(wire.frame(wire.PING, []))
    held.expect(wire.PING)
    held.close()


def test_haProxyProtocolEnabled_with_TLS(java_conf, fake, authority, certificate):
    """In: in front of TLS. Out: inside TLS, where brokers look for it."""
    broker, side = tls_broker(fake, authority)
    keys = {
        "brokerServiceURLTLS": broker.url, "tlsEnabledWithBroker": "true", "brokerClientTrustCertsFilePath": authority.file,
        "tlsHostnameVerificationEnabled": "true", "haProxyProtocolEnabled": "true",
    }  # fmt: skip
    gate = java_conf.start(keys, certificate=certificate)
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 4321 6650\r\n")
    peer.sock = authority.trusting().wrap_socket(peer.sock, server_hostname="gw.example.com")
    peer.send(wire.connect(target=broker.where))
    target = side.wrap(broker.next())
    assert target.read_exactly(21) == b"PROXY TCP4 192.0.2.7 "
    peer.close()
    target.close()


# ---- HTTPS

HTTPS = 8448


def https(gate, context, path):
    """Status line and body."""
    gate.port = HTTPS
    peer = secure(gate, context)
    peer.send(f"GET {path} HTTP/1.1\r\nHost: gw.example.com\r\nConnection: close\r\n\r\n".encode())
    head, _, body = peer.read_to_end()[0].partition(b"\r\n\r\n")
    version, cipher = peer.sock.version(), peer.sock.cipher()[0]
    peer.close()
    return int(head.split()[1]), body.decode(), version, cipher


def test_webServicePortTls(java_conf, fake, authority, certificate, tmp_path):
    """The same pages as on webServicePort, or with that one empty instead of it."""
    file = tmp_path / "status"
    file.touch()
    keys = {"brokerServiceURL": fake(echo).url, "statusFilePath": file, "webServicePortTls": HTTPS, **pair(certificate)}
    gate = java_conf.start(keys, web=True)
    assert https(gate, authority.trusting(), "/status.html")[:2] == (200, "OK")
    status, text = https(gate, authority.trusting(), "/metrics")[:2]
    assert status == 200 and "pulsar_proxy_active_connections" in text
    assert web.request("GET", f"http://{WEB}/status.html") == (200, "OK")
    gate.stop()
    gate = java_conf.start(keys)
    assert https(gate, authority.trusting(), "/status.html")[:2] == (200, "OK")
    assert not web.reachable(settings.GATE_ADDRESS, 8080)


def test_webServiceTlsProtocols_and_Ciphers(java_conf, fake, authority, certificate):
    """Of the HTTPS port alone."""
    keys = {
        "brokerServiceURL": fake(echo).url, "webServicePortTls": HTTPS, "webServiceTlsProtocols": "TLSv1.2",
        "webServiceTlsCiphers": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    }  # fmt: skip
    gate = java_conf.start(keys, web=True, certificate=certificate)
    peer = secure(gate, authority.trusting())
    assert peer.sock.version() == "TLSv1.3"
    peer.close()
    assert https(gate, authority.trusting(), "/metrics")[2:] == ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")


# ---- TLS with brokers


@pytest.fixture
def spoken(java_conf, fake, authority):
    """spoken(keys, names): (peer, what became of the handshake with the broker: its inside, or None)."""

    def start(keys=(), names=(), authority=authority, context=()):
        broker, side = tls_broker(fake, authority, *names)
        for name, value in dict(context).items():
            setattr(side.context, name, value)
        base = {"brokerServiceURLTLS": broker.url, "tlsEnabledWithBroker": "true", "brokerClientTrustCertsFilePath": authority.file}
        gate = java_conf.start({k: v for k, v in {**base, **dict(keys)}.items() if v})
        peer = dial(settings.GATE_ADDRESS, gate.port)
        peer.send(wire.connect(target=broker.where))
        target = broker.next()
        try:
            side.wrap(target).expect(wire.CONNECT)
        except (ssl.SSLError, OSError, wire.Closed):
            assert peer.expect(wire.ERROR)[2] == wire.SERVICE_NOT_READY
            peer.close()
            target.close()
            return gate, None
        target.send(wire.connected())
        peer.expect(wire.CONNECTED)
        peer.close()
        return gate, target

    return start


def test_tlsEnabledWithBroker_and_brokerServiceURLTLS(spoken):
    assert spoken()[1]


def test_brokerClientTrustCertsFilePath(spoken, authority, stranger):
    gate, target = spoken({"brokerClientTrustCertsFilePath": stranger.file})
    assert target is None and gate.wait_access()["reason"] == "broker_tls_cert_unknown_ca"
    gate, target = spoken({"brokerClientTrustCertsFilePath": None})  # the system's, which do not know ours
    assert target is None and gate.wait_access()["reason"] == "broker_tls_cert_unknown_ca"


def test_tlsHostnameVerificationEnabled(spoken):
    """Off by default, as in Java, which is said."""
    gate, target = spoken(names=["someone.else.test"])
    assert target and "tlsHostnameVerificationEnabled=true" in gate.log()
    assert spoken({"tlsHostnameVerificationEnabled": "true"})[1]
    gate, target = spoken({"tlsHostnameVerificationEnabled": "true"}, names=["someone.else.test"])
    assert target is None and gate.wait_access()["reason"] == "broker_tls_cert_name"


def test_tlsAllowInsecureConnection_with_brokers(spoken, stranger):
    gate, target = spoken({"tlsAllowInsecureConnection": "true", "brokerClientTrustCertsFilePath": stranger.file}, names=["someone.else.test"])
    assert target and "verify" in gate.log()


def test_brokerClientCertificateFilePath_and_brokerClientKeyFilePath(spoken, authority, java_conf, fake):
    certificate, key = authority.issue("the-proxy", client=True)
    broker, side = tls_broker(fake, authority)
    side.context.verify_mode = ssl.CERT_REQUIRED
    side.context.load_verify_locations(authority.file)
    gate = java_conf.start({
        "brokerServiceURLTLS": broker.url, "tlsEnabledWithBroker": "true", "brokerClientTrustCertsFilePath": authority.file,
        "brokerClientCertificateFilePath": certificate, "brokerClientKeyFilePath": key,
    })  # fmt: skip
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect(target=broker.where))
    target = side.wrap(broker.next())
    assert target.sock.getpeercert()["subject"] == ((("commonName", "the-proxy"),),)
    target.expect(wire.CONNECT)
    peer.close()
    target.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_brokerClientTlsProtocols(spoken, version):
    _, target = spoken({"brokerClientTlsProtocols": f"TLSv{version}"})
    assert target.sock.version() == f"TLSv{version}"
    other = {"minimum_version": VERSIONS["1.3"]} if version == "1.2" else {"maximum_version": VERSIONS["1.2"]}
    assert spoken({"brokerClientTlsProtocols": f"TLSv{version}"}, context=other)[1] is None


def test_brokerClientTlsCiphers(spoken):
    """The one OpenSSL likes least."""
    assert spoken()[1].sock.cipher()[0] != "TLS_AES_128_GCM_SHA256"
    assert spoken({"brokerClientTlsCiphers": "TLS_AES_128_GCM_SHA256"})[1].sock.cipher()[0] == "TLS_AES_128_GCM_SHA256"


@pytest.mark.parametrize("plain", ["client", "broker", "neither"])
def test_real_brokers(java_conf, cluster, java, plain):
    """A proxy.conf with TLS as people have it, a real cluster found in ZooKeeper, official clients."""
    keys = {"metadataStoreUrl": f"zk:{cluster.zookeeper_servers}", "configurationMetadataStoreUrl": f"zk:{cluster.zookeeper_servers}"}
    if plain != "broker":
        keys |= {"tlsEnabledWithBroker": "true", "brokerClientTrustCertsFilePath": cluster.authority.file, "tlsHostnameVerificationEnabled": "true"}
    mine = None if plain == "client" else cluster.authority.issue("gw.pulsar.test", settings.GATE_ADDRESS)
    gate = java_conf.start(keys, certificate=mine)
    url = f"pulsar{'' if plain == 'client' else '+ssl'}://{settings.GATE_ADDRESS}:{gate.port}"
    trust = {} if plain == "client" else {"tls_trust_certs_file_path": str(cluster.authority.file), "tls_validate_hostname": True}
    with client(url, **trust) as c:
        for size in (100, 200_000):
            roundtrip(c, f"persistent://{fresh()}", 40, size)
    java.run("roundtrip", url=url, topic=f"persistent://{fresh()}", count=100, **({} if plain == "client" else {"trust": str(cluster.authority.file)}))
    port = settings.BROKER_PORT if plain == "broker" else settings.BROKER_TLS_PORT
    assert gate.wait_access(kind="data")["broker"].endswith(f":{port}")


CLASSES = "org.apache.pulsar.{}.Authentication"


@pytest.mark.parametrize("plugin", ["Tls", "Token"])
def test_clients_known_by_their_certificates(java_conf, cluster, people, tmp_path, plugin):
    """authenticationEnabled with AuthenticationProviderTls, and the proxy's own credential: role mode. Brokers let `alice` in, and not `mallory`."""
    token = tmp_path / "token"
    token.write_text(tokens.token("proxy"))
    token.chmod(0o640)
    mine = {"Tls": f"tlsCertFile:{people['proxy'][0]},tlsKeyFile:{people['proxy'][1]}", "Token": f"file://{token}"}
    gate = java_conf.start({
        "metadataStoreUrl": f"zk:{cluster.zookeeper_servers}", "tlsEnabledWithBroker": "true", "tlsHostnameVerificationEnabled": "true",
        "brokerClientTrustCertsFilePath": cluster.authority.file, "tlsTrustCertsFilePath": cluster.authority.file,
        "authenticationEnabled": "true", "authenticationProviders": CLASSES.format("broker.authentication") + "ProviderTls",
        "brokerClientAuthenticationPlugin": CLASSES.format("client.impl.auth") + plugin, "brokerClientAuthenticationParameters": mine[plugin],
    }, certificate=cluster.authority.issue("gw.pulsar.test", settings.GATE_ADDRESS, prefix="conf-"))  # fmt: skip
    url = f"pulsar+ssl://{settings.GATE_ADDRESS}:{gate.port}"

    def known_as(name):
        authentication = pulsar.AuthenticationTLS(*map(str, people[name]))
        return client(url, authentication=authentication, tls_trust_certs_file_path=str(cluster.authority.file))

    with known_as("alice") as c:
        roundtrip(c, f"persistent://{topic()}", 40)
    assert gate.wait_access(kind="data", principal="alice")
    with known_as("mallory") as c, pytest.raises(pulsar.AuthorizationError):
        c.create_producer(f"persistent://{topic()}")


# ---- what is only to be seen in the effective configuration

SHOWN = [
    ("metadataStoreSessionTimeoutMillis", "7000", ["session_timeout: 7s"]),
    ("zookeeperSessionTimeoutMs", "8000", ["session_timeout: 8s"]),
    ("metadataStoreCacheExpirySeconds", "77", ["resync: 77s"]),
    ("zooKeeperCacheExpirySeconds", "78", ["resync: 78s"]),
    ("configurationMetadataStoreUrl", "zk:10.0.0.9:2182", ["global_servers", "10.0.0.9:2182"]),
    ("configurationStoreServers", "10.0.0.9:2182", ["global_servers", "10.0.0.9:2182"]),
    ("globalZookeeperServers", "10.0.0.9:2182", ["global_servers", "10.0.0.9:2182"]),
]


@pytest.mark.parametrize("key,value,words", SHOWN, ids=[c[0] for c in SHOWN])
def test_shown(java_conf, key, value, words):
    base = {"metadataStoreUrl": "zk:10.0.0.1:2181"}
    status, text, complaints = java_conf.dump(base | {key: value})
    assert status == 0, complaints
    _, without, _ = java_conf.dump(base)
    for word in words:
        assert word in text, text
    assert text != without


# ---- what cannot be honoured

SECURITY = [
    "authenticationEnabled=true",
    "brokerClientAuthenticationPlugin=org.apache.pulsar.client.impl.auth.AuthenticationToken", "brokerClientAuthenticationParameters=token:x",
]  # fmt: skip


@pytest.mark.parametrize("line", SECURITY, ids=[s.partition("=")[0] for s in SECURITY])
def test_a_lost_security_key_stops_the_start(java_conf, line):
    key, _, value = line.partition("=")
    base = {"metadataStoreUrl": "zk:10.0.0.1:2181"}
    status, _, complaints = java_conf.dump(base | {key: value})
    assert status == 78 and key in complaints and "proxy.conf:" in complaints, complaints
    status, _, complaints = java_conf.dump(base | {key: value}, "--ignore", key)
    assert status == 0, complaints


KEYSTORES = [
    {"servicePortTls": "6651", "tlsEnabledWithKeyStore": "true", "tlsKeyStore": "/a.jks", "tlsKeyStorePassword": "x"},
    {"tlsEnabledWithBroker": "true", "brokerClientTlsEnabledWithKeyStore": "true", "brokerClientTlsTrustStore": "/a.jks"},
]


@pytest.mark.parametrize("keys", KEYSTORES, ids=["clients", "brokers"])
def test_keystores_are_refused_with_what_to_do(java_conf, keys):
    status, _, complaints = java_conf.dump({"metadataStoreUrl": "zk:10.0.0.1:2181", **keys})
    assert status == 78 and all(key in complaints for key in list(keys)[1:]), complaints
    assert "keytool -importkeystore" in complaints and "openssl pkcs12" in complaints, complaints


def test_others_are_named_in_one_warning(java_conf, fake):
    keys = {"httpNumThreads": "8", "proxyExtensions": "kafka", "webSocketServiceEnabled": "true", "functionWorkerWebServiceURL": "http://f:6750"}
    gate = java_conf.start({"brokerServiceURL": fake(echo).url, **keys})
    lines = [line for line in gate.log().splitlines() if any(key in line for key in keys)]
    assert len(lines) == 1 and all(key in lines[0] for key in keys), lines


def test_unknown_key_is_named(java_conf):
    status, _, complaints = java_conf.dump({"metadataStoreUrl": "zk:10.0.0.1:2181", "servicePrt": "6650"})
    assert "servicePrt" in complaints and "servicePort" in complaints, (status, complaints)


def test_all_flags_of_the_java_command_line(java_conf):
    base = {"servicePort": "6650"}
    for flag in ("-zk", "--zookeeper-servers", "-md", "--metadata-store", "--metadata-store-url"):
        status, text, complaints = java_conf.dump(base, flag, "10.0.0.7:2181")
        assert status == 0 and "10.0.0.7:2181" in text, (flag, complaints)
    for flag in ("-gzk", "--global-zookeeper-servers", "-cs", "--configuration-store-servers", "-cms", "--configuration-metadata-store"):
        status, text, complaints = java_conf.dump(base, "-zk", "10.0.0.7", flag, "10.0.0.8")
        assert status == 0 and "10.0.0.8:2181" in text, (flag, complaints)


def test_nothing_to_go_by(java_conf):
    status, _, complaints = java_conf.dump({"servicePort": "6650"})
    assert status == 78 and "zookeeper" in complaints.lower()


def test_a_bad_value_is_named_with_its_line(java_conf):
    status, _, complaints = java_conf.dump({"metadataStoreUrl": "zk:10.0.0.1:2181", "servicePort": "many"})
    assert status == 78 and "proxy.conf:3:" in complaints, complaints
