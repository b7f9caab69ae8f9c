"""`penstock proxy --config proxy.conf`: each key it honours does what it did in the Java proxy; what it cannot honour it names, or refuses."""
import subprocess
import threading
import time

import netns
import pytest
import settings
import web
import wire
from fakes import echo
from mirror import Mirror
from processes import wait_until
from wire import dial

WEB = f"{settings.GATE_ADDRESS}:8088"


class Java:
    """Starts `penstock proxy` with a proxy.conf of some lines."""

    def __init__(self, penstock, tmp_path):
        self.penstock, self.folder = penstock, tmp_path

    def file(self, keys):
        file = self.folder / "proxy.conf"
        file.write_text("# as shipped\n" + "".join(f"{key}={value}\n" for key, value in keys.items()))
        return file

    def start(self, keys, *arguments, web=False, **how):
        one = self.penstock.new()
        base = {"bindAddress": settings.GATE_ADDRESS, "servicePort": one.port, "webServicePort": 8088 if web else ""}
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
    assert 0.2 < time.monotonic() - began < 1.5


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
    peer = dial(settings.GATE_ADDRESS, gate.port)
    began = time.monotonic()
    peer.read_to_end()
    assert 0.8 < time.monotonic() - began < 3
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
    "servicePortTls=6651", "webServicePortTls=8443", "authenticationEnabled=true", "tlsEnabledWithBroker=true",
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
