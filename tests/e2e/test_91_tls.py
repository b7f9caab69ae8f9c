"""TLS ended at penstock, and begun by it: certificates, versions, ends that are not cuts, refusals, reloads."""
import contextlib
import hashlib
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import threading
import time

import netns
import pytest
import settings
import tls
import wire
from fakes import echo, plain_echo
from processes import wait_until
from test_90_sni import FAULTS
from wire import dial

PATIENT = {"hello": "60s", "handshake": "60s"}
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


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


def ending(certificate, *more, **keys):
    """The keys of a listener that ends TLS."""
    pairs = [certificate, *more]
    return {"tls": {"cert_file": [str(c) for c, _ in pairs], "key_file": [str(k) for _, k in pairs], **keys}}


def only(version):
    return {"minimum_version": VERSIONS[version], "maximum_version": VERSIONS[version]}


def secure(gate, context, name="gw.example.com"):
    """A client inside TLS. A cut (no close_notify) raises ssl.SSLEOFError."""
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.client = "{}:{}".format(*peer.sock.getsockname())
    peer.sock = context.wrap_socket(peer.sock, server_hostname=name, suppress_ragged_eofs=False)
    return peer


def refused(gate, context, reason, name="gw.example.com"):
    """What OpenSSL calls the alert it gets."""
    peer = dial(settings.GATE_ADDRESS, gate.port)
    client = "{}:{}".format(*peer.sock.getsockname())
    with pytest.raises(ssl.SSLError) as caught:
        peer.sock = context.wrap_socket(peer.sock, server_hostname=name)
        peer.sock.recv(1)  # TLS 1.3: the client believes itself done before it has been judged
    peer.close()
    assert gate.wait_access(client=client)["reason"] == reason
    return caught.value.reason or str(caught.value)


# ---- clients


@pytest.mark.parametrize("version", VERSIONS)
def test_bytes_arrive(penstock, fake, authority, certificate, version):
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate))
    peer = secure(gate, authority.trusting(**only(version)))
    assert peer.sock.version() == f"TLSv{version}"
    sent, back = hashlib.sha256(), hashlib.sha256()
    for size in (1, 100, 16384, 16385, 70000, 1 << 20):
        data = os.urandom(size)
        got = tls.exchange(peer.sock, data, size)
        sent.update(data)
        back.update(got)
    assert sent.digest() == back.digest()
    peer.close()


@pytest.fixture
def small_buffers():
    """Sockets of the broker side have no room for a whole record. A large segment fills a large buffer just so, only not every time."""
    rmem = pathlib.Path("/proc/sys/net/ipv4/tcp_rmem")
    with netns.broker_side():
        before = rmem.read_text()
        rmem.write_text("4096 16384 16384")
    yield
    with netns.broker_side():
        rmem.write_text(before)


@pytest.mark.parametrize("version", VERSIONS)
def test_no_room_for_a_record(penstock, fake, authority, certificate, small_buffers, version):
    """Half a record is all the socket can hold: the rest must come all the same, and no byte of it twice."""
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate))
    peer = secure(gate, authority.trusting(**only(version)))
    data = os.urandom(1 << 20)
    assert tls.exchange(peer.sock, data, len(data)) == data
    assert gate.metrics()("penstock_tls_half_records_held") == 0
    peer.close()


def test_ends_are_ends(penstock, fake, authority, certificate):
    """A half close becomes close_notify and a FIN, and the other way round."""
    broker = fake()
    gate = penstock.forward(broker, listener=ending(certificate))
    peer = secure(gate, authority.trusting())
    peer.send(b"question")
    target = broker.next()
    assert target.read_exactly(8) == b"question"
    target.send(b"answer")
    target.sock.shutdown(socket.SHUT_WR)
    assert peer.read_exactly(6) == b"answer"
    assert peer.sock.recv(1) == b"", "close_notify"
    peer.sock.unwrap()
    assert target.read_to_end() == (b"", False)
    peer.close()
    target.close()
    assert gate.wait_access(client=peer.client)["reason"] == "broker_fin"


def test_a_cut_is_no_end(penstock, fake, authority, certificate):
    """A client whose stream ends without close_notify: what it sent may be cut short, and the broker is told so by a reset."""
    broker = fake()
    gate = penstock.forward(broker, listener=ending(certificate))
    peer = secure(gate, authority.trusting())
    peer.send(b"half a me")
    target = broker.next()
    assert target.read_exactly(9) == b"half a me"
    raw = socket.socket(fileno=os.dup(peer.sock.fileno()))
    raw.shutdown(socket.SHUT_WR)
    raw.close()
    assert target.read_to_end() == (b"", True)
    peer.sock.close()
    assert gate.wait_access(client=peer.client)["reason"] == "client_tls_truncated"


def test_reset_of_the_broker(penstock, fake, authority, certificate):
    """No close_notify in front of it: a client must not take it for an end."""
    broker = fake()
    gate = penstock.forward(broker, listener=ending(certificate))
    peer = secure(gate, authority.trusting())
    peer.send(b"x")
    target = broker.next()
    target.read_exactly(1)
    target.reset()
    with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
        peer.sock.recv(1)
    peer.close()
    assert gate.wait_access(client=peer.client)["reason"] == "broker_rst"


def test_certificate_by_server_name(penstock, fake, authority, certificate):
    other, wild = authority.issue("other.example.com"), authority.issue("*.wild.example.com")
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate, other, wild))
    context = authority.trusting()
    for name in ("gw.example.com", "other.example.com", "x.wild.example.com"):
        secure(gate, context, name).close()
    with pytest.raises(ssl.SSLCertVerificationError):
        secure(gate, context, "nobody.example.com")


def test_older_version_named_first(penstock, fake, authority, certificate):
    """The server's answer is the newest version both have; a client that was given an older one takes it for an attack."""
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate))
    said = subprocess.run([
        "gnutls-cli", "--port", str(gate.port), settings.GATE_ADDRESS, "--sni-hostname", "gw.example.com", "--verify-hostname", "gw.example.com",
        "--x509cafile", str(authority.file), "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3",
    ], input=b"x", capture_output=True, check=False, timeout=10).stdout.decode()  # fmt: skip
    assert "(TLS1.3" in said, said


def test_hello_in_crumbs(penstock, fake, authority, certificate, small_buffers):
    """A byte a segment fills the kernel's buffers long before the hello is whole: nobody waits for it busily."""
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate), timeouts={"hello": "3s", "handshake": "3s"})
    hello = tls.hello("gw.example.com", pad=12000)
    peers = [dial(settings.GATE_ADDRESS, gate.port) for _ in range(4)]
    for peer in peers:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sock.setblocking(False)
    before = gate.cpu_seconds()
    begun = time.monotonic()
    at = 0
    while time.monotonic() - begun < 2 and at < len(hello) - 1:
        for peer in peers:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                peer.sock.send(hello[at : at + 1])
        at += 1
    time.sleep(max(0, 2 - (time.monotonic() - begun)))
    assert gate.cpu_seconds() - before < 1
    for peer in peers:
        peer.close()
    gate.wait_access(seconds=5)


def test_hello_behind_an_urgent_mark(penstock, fake, authority, certificate):
    """A socket that is readable for ever and gives no byte: no reason to be busy."""
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate), timeouts={"hello": "5s", "handshake": "5s"})
    before = gate.cpu_seconds()
    peers = [dial(settings.GATE_ADDRESS, gate.port) for _ in range(4)]
    for peer in peers:
        peer.send(b"\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03" + bytes(4))
        peer.sock.send(b"!", socket.MSG_OOB)
        peer.send(bytes(300))
    for peer in peers:
        peer.read_to_end()
        peer.close()
    wait_until("all are told of", 3, lambda: len(gate.access(reason="client_tls_no_room")) == 4)
    assert gate.cpu_seconds() - before < 0.5
    secure(gate, authority.trusting()).close()


def test_unknown_and_missing_names(penstock, fake, authority, certificate):
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate, unknown_name="refuse", require_name=True))
    context = authority.trusting(check_hostname=False)
    assert refused(gate, context, "client_tls_unknown_name", "nobody.example.com") == "TLSV1_UNRECOGNIZED_NAME"
    assert refused(gate, context, "client_tls_missing_name", None) == "TLSV13_ALERT_MISSING_EXTENSION"
    assert "remove tls.require_name" in gate.log()


def test_alpn(penstock, fake, authority, certificate):
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate, alpn=["pulsar", "x"]))
    context = authority.trusting()
    context.set_alpn_protocols(["x", "pulsar"])
    peer = secure(gate, context)
    assert peer.sock.selected_alpn_protocol() == "pulsar"
    peer.close()
    context.set_alpn_protocols(["h2"])
    assert "no application protocol" in refused(gate, context, "client_tls_alpn").lower().replace("_", " ")


def test_versions(penstock, fake, authority, certificate):
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate, min_version="1.3"))
    assert "PROTOCOL_VERSION" in refused(gate, authority.trusting(**only("1.2")), "client_tls_version")
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate, max_version="1.2"))
    assert "PROTOCOL_VERSION" in refused(gate, authority.trusting(**only("1.3")), "client_tls_version")
    peer = secure(gate, authority.trusting())
    assert peer.sock.version() == "TLSv1.2"
    peer.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_client_certificates(penstock, fake, authority, stranger, certificate, version):
    keys = {"client_auth": "require", "client_ca_file": str(authority.file)}
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate, **keys))
    mine = authority.issue("client-1", client=True)
    peer = secure(gate, authority.trusting(mine, **only(version)))
    peer.send(b"hello")
    assert peer.read_exactly(5) == b"hello"
    peer.close()
    missing = "TLSV13_ALERT_CERTIFICATE_REQUIRED" if version == "1.3" else "SSLV3_ALERT_HANDSHAKE_FAILURE"
    assert refused(gate, authority.trusting(**only(version)), "client_tls_cert_missing") == missing
    other = stranger.issue("client-1", client=True)
    assert refused(gate, authority.trusting(other, **only(version)), "client_tls_cert_unknown_ca") == "TLSV1_ALERT_UNKNOWN_CA"
    old = authority.issue("client-1", client=True, days=0, prefix="old-")
    time.sleep(1.1)
    assert refused(gate, authority.trusting(old, **only(version)), "client_tls_cert_expired") == "SSLV3_ALERT_CERTIFICATE_EXPIRED"


@pytest.mark.parametrize("version", VERSIONS)
def test_clients_that_prove_nothing(penstock, fake, authority, certificate, version):
    """A certificate whose signature is not its CA's, and one shown by somebody who has not its key."""
    gate = penstock.forward(fake(), listener=ending(certificate, client_auth="require", client_ca_file=str(authority.file)))
    broken = authority.trusting(authority.broken("client-1", client=True), **only(version))
    assert refused(gate, broken, "client_tls_cert_bad") == "SSLV3_ALERT_BAD_CERTIFICATE"
    keyless = authority.trusting(authority.without_key("client-1", client=True), **only(version))
    assert refused(gate, keyless, "client_tls_proof") == "TLSV1_ALERT_DECRYPT_ERROR"


@pytest.mark.parametrize("is_reset", [False, True], ids=["gone", "reset"])
def test_client_leaves_in_the_middle(penstock, fake, authority, certificate, is_reset):
    broker = fake()
    gate = penstock.forward(broker, listener=ending(certificate))
    peer = begin(gate, authority.trusting())
    client = "{}:{}".format(*peer.sock.getsockname())
    peer.read()  # the server's flight
    if is_reset:
        peer.reset()
    else:
        peer.close()
    assert gate.wait_access(client=client)["reason"] == ("client_tls_reset" if is_reset else "client_tls_gone")
    assert broker.none_waiting()


def test_clients_by_name(penstock, fake, authority, certificate):
    keys = {"client_auth": "require", "client_ca_file": str(authority.file), "allow_clients": ["cn:orders", "dns:*.clients.test"]}
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate, **keys))
    for name in ("orders", "a.clients.test"):
        peer = secure(gate, authority.trusting(authority.issue(name, client=True)))
        peer.send(b"hello")
        assert peer.read_exactly(5) == b"hello"
        peer.close()
    other = authority.trusting(authority.issue("a.b.clients.test", client=True))
    assert refused(gate, other, "client_tls_cert_denied") == "TLSV1_ALERT_ACCESS_DENIED"


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", wire.connect(), b"\x00\x00\x00\x20\x00\x12\x00\x03\x00\x00\x00\x01\x00\x05probe"], ids=["http", "pulsar", "kafka"])
def test_not_tls(penstock, fake, certificate, data):
    broker = fake()
    gate = penstock.fixed(broker, listener=ending(certificate))
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(data)
    answer, was_reset = peer.read_to_end()
    assert not was_reset and tls.alert(answer) == 10, answer
    peer.close()
    assert broker.none_waiting()
    assert gate.wait_access()["reason"] == "client_tls_hello"


BROKEN = [(name, data, number) for name, data, number, reason in FAULTS if reason.startswith("hello_")]


@pytest.mark.parametrize("data,number", [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_broken_hellos(penstock, fake, certificate, data, number):
    """What is no ClientHello is none where TLS ends either: the same alert as where it is routed."""
    broker = fake()
    gate = penstock.forward(broker, listener=ending(certificate))
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(data)
    answer, was_reset = peer.read_to_end()
    assert not was_reset and tls.alert(answer) == number, answer
    peer.close()
    assert broker.none_waiting()
    assert gate.wait_access()["reason"] == "client_tls_hello"


def test_slow_handshake(penstock, fake, certificate):
    gate = penstock.forward(fake(), listener=ending(certificate), timeouts={"handshake": "300ms"})
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(tls.hello("gw.example.com")[:20])
    assert peer.read_to_end() == (b"", False)
    peer.close()
    assert gate.wait_access()["reason"] == "client_tls_timeout"


def begin(gate, context):
    """A client that has sent its hello and will not go on."""
    peer = dial(settings.GATE_ADDRESS, gate.port)
    outgoing = ssl.MemoryBIO()
    half = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="gw.example.com")
    with contextlib.suppress(ssl.SSLWantReadError):
        half.do_handshake()
    peer.send(outgoing.read())
    return peer


def test_a_timeout_gives_its_place_back(penstock, fake, authority, certificate):
    """A client that was too slow is given a second to read so; its place among the handshakes is somebody else's at once."""
    limits, timeouts = {"handshakes": 1}, {"handshake": "2s"}
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate), limits=limits, timeouts=timeouts, process={"workers": 1})

    def is_seen():
        """The place is free, and the client has not read so yet; false if nobody looked within that second."""
        slow = begin(gate, authority.trusting())
        client = "{}:{}".format(*slow.sock.getsockname())
        wait_until("it has the place", 2, lambda: gate.metrics()("penstock_tls_handshakes_in_use") == 1, step=0.005)
        free = wait_until("the place to be free", 5, lambda: not (now := gate.metrics())("penstock_tls_handshakes_in_use") and now, step=0.005)
        seen = free("penstock_sessions_in_use") == 1
        secure(gate, authority.trusting()).close()
        slow.close()
        assert gate.wait_access(client=client)["reason"] == "client_tls_timeout"
        return seen

    assert any(is_seen() for _ in range(3))


def test_slow_clients_are_pushed_out(penstock, fake, authority, certificate):
    """Who begins handshakes and does not end them keeps nobody else out for longer than half a second, not by a byte now and then either."""
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate), limits={"handshakes": 4}, process={"workers": 1})
    context = authority.trusting()
    silent = [begin(gate, context) for _ in range(4)]
    for peer in silent:
        peer.sent = 0  # of a record that never gets whole
    wait_until("all slots are taken", 5, lambda: gate.metrics()("penstock_tls_handshakes_in_use") == 4)
    for _ in range(3):
        time.sleep(0.1)
        for peer in silent[:2]:
            peer.send(b"\x16" if peer.sent == 0 else b"\x03\x03\x00"[peer.sent - 1 : peer.sent])
            peer.sent += 1
    late = begin(gate, context)  # waits for a slot like the others that come now, and then is given one
    before = time.monotonic()
    for _ in range(3):
        peer = secure(gate, context)
        peer.send(b"x")
        assert peer.read_exactly(1) == b"x"
        peer.close()
    assert time.monotonic() - before < 8
    assert sum(row["reason"] == "client_tls_pushed_out" for row in gate.access()) >= 1
    for peer in [*silent, late]:
        peer.close()


def test_behind_a_proxy_header(penstock, fake, authority, certificate):
    """HAProxy in front: its header comes first and in clear, perhaps in one segment with the ClientHello."""
    from test_25_proxy_header import v1

    keys = {"proxy_protocol": {"mode": "required", "trusted": ["10.77.0.0/24"]}}
    gate = penstock.forward(fake(plain_echo), listener={**ending(certificate), **keys})
    peer = dial(settings.GATE_ADDRESS, gate.port)
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = authority.trusting().wrap_bio(inside, outside, server_hostname="gw.example.com")
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    peer.send(v1() + outside.read())
    while True:
        inside.write(peer.read())
        try:
            session.do_handshake()
            break
        except ssl.SSLWantReadError:
            pass
    peer.send(outside.read())
    session.write(b"in one piece")
    peer.send(outside.read())
    got = b""
    while len(got) < 12:
        try:
            got += session.read(100)
        except ssl.SSLWantReadError:
            inside.write(peer.read())
    assert got == b"in one piece"
    peer.close()


def test_memory_is_used_up(penstock, fake, authority, certificate):
    """limits.tls_memory: a handshake too many is refused with an alert, connections there are go on, and the room comes back."""
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate), limits={"tls_memory": "16MiB"}, timeouts=PATIENT, process={"workers": 1})
    context = authority.trusting()
    at_rest = gate.metrics()("penstock_tls_memory_bytes")
    assert 0 < at_rest < 1 << 24 == gate.metrics()("penstock_tls_memory_max_bytes")
    open_before = secure(gate, context)
    silent = [begin(gate, context) for _ in range(300)]
    wait_until("the limit", 5, lambda: gate.access(reason="client_tls_no_memory"))
    metrics = gate.metrics()
    assert metrics("penstock_tls_memory_refused_total") > 0
    assert metrics("penstock_tls_memory_bytes") <= metrics("penstock_tls_memory_peak_bytes") <= 1 << 24
    assert refused(gate, context, "client_tls_no_memory") == "TLSV1_ALERT_INTERNAL_ERROR"
    data = os.urandom(1 << 20)
    assert tls.exchange(open_before.sock, data, len(data)) == data
    for peer in silent:
        peer.close()
    wait_until("the room is back", 5, lambda: gate.metrics()("penstock_tls_memory_bytes") <= at_rest)
    again = secure(gate, context)
    again.send(b"x")
    assert again.read_exactly(1) == b"x"
    again.close()
    open_before.close()


def test_many_at_once(penstock, fake, authority, certificate):
    """More handshakes than slots: they wait for each other, and all are served."""
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate), limits={"handshakes": 2}, timeouts=PATIENT)
    context, results = authority.trusting(), []

    def one(number):
        peer = secure(gate, context)
        data = b"%04d" % number
        peer.send(data)
        results.append(peer.read_exactly(4) == data)
        peer.close()

    threads = [threading.Thread(target=one, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 20


def test_bit_flip(penstock, fake, authority, certificate):
    """A record changed on the way ends its own connection, and no other."""
    broker = fake(plain_echo)
    gate = penstock.forward(broker, listener=ending(certificate))
    other = secure(gate, authority.trusting())
    peer = dial(settings.GATE_ADDRESS, gate.port)
    client = "{}:{}".format(*peer.sock.getsockname())
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = authority.trusting().wrap_bio(inside, outside, server_hostname="gw.example.com")
    while True:
        try:
            session.do_handshake()
            break
        except ssl.SSLWantReadError:
            peer.send(outside.read())
            inside.write(peer.read())
    peer.send(outside.read())
    session.write(b"some bytes")
    record = bytearray(outside.read())
    record[-3] ^= 1
    peer.send(bytes(record))
    inside.write(peer.read_to_end()[0])
    with pytest.raises(ssl.SSLError) as caught:
        while True:
            session.read(100)
    assert caught.value.reason == "SSLV3_ALERT_BAD_RECORD_MAC"
    peer.close()
    assert gate.wait_access(client=client)["reason"] == "client_tls_bad_record"
    other.send(b"still here")
    assert other.read_exactly(10) == b"still here"
    other.close()


# ---- Pulsar inside


def test_pulsar_inside(penstock, fake, authority, certificate):
    broker = fake()
    gate = penstock.fixed(broker, listener=ending(certificate))
    peer = secure(gate, authority.trusting())
    peer.send(wire.connect(target=broker.where), b"more")
    target, connect = broker.handshake()
    assert connect[wire.TARGET] is None and target.read_exactly(4) == b"more"
    assert peer.expect(wire.CONNECTED).raw == wire.connected()
    peer.close()
    target.close()


def test_refusals_are_inside(penstock, fake, authority, certificate):
    gate = penstock.fixed(fake(echo), listener=ending(certificate))
    peer = secure(gate, authority.trusting())
    peer.send(wire.connect(target="10.99.99.99:6650"))
    assert peer.expect(wire.ERROR)[2] == wire.NOT_ALLOWED
    assert peer.sock.recv(1) == b"", "close_notify"
    peer.close()


# ---- brokers


def speaking(authority, **keys):
    """The keys of a cluster whose brokers are spoken TLS to."""
    return {"broker_tls": {"ca_file": str(authority.file), **keys}}


def tls_broker(fake, authority, *names, **how):
    """(fake broker, its TLS side): a connection is TLS once `wrap` has been called with it."""
    broker = fake(**how)
    broker.url = broker.url.replace("pulsar://", "pulsar+ssl://")
    return broker, authority.server(*(names or (broker.address,)), prefix="broker-")


@pytest.mark.parametrize("version", VERSIONS)
def test_tls_to_the_broker(penstock, fake, authority, version):
    broker, side = tls_broker(fake, authority)
    side.context.minimum_version = side.context.maximum_version = VERSIONS[version]
    gate = penstock.fixed(broker, cluster=speaking(authority))
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect(target=broker.where), b"more")
    target = side.wrap(broker.next())
    assert target.expect(wire.CONNECT)[wire.TARGET] is None
    assert target.read_exactly(4) == b"more"
    target.send(wire.connected())
    assert peer.expect(wire.CONNECTED).raw == wire.connected()
    target.send(b"y" * 100000)
    assert peer.read_exactly(100000) == b"y" * 100000
    peer.close()
    target.close()


def test_tls_on_both_sides(penstock, fake, authority, certificate):
    broker, side = tls_broker(fake, authority)
    gate = penstock.fixed(broker, cluster=speaking(authority), listener=ending(certificate))
    peer = secure(gate, authority.trusting())
    peer.send(wire.connect())
    target = side.wrap(broker.next())
    assert target.expect(wire.CONNECT).raw == wire.connect()
    target.send(wire.connected())
    peer.expect(wire.CONNECTED)
    pings = wire.frame(wire.PING, []) * 10
    peer.send(pings)
    assert target.read_exactly(len(pings)) == pings
    peer.close()
    target.close()


def broker_refusal(gate, broker, side, reason):
    peer = dial(settings.GATE_ADDRESS, gate.port)
    client = "{}:{}".format(*peer.sock.getsockname())
    peer.send(wire.connect(target=broker.where))
    target = broker.next()
    caught = None
    try:
        side.wrap(target)
        target.sock.recv(1)
    except (ssl.SSLError, OSError) as error:
        caught = error
    assert peer.expect(wire.ERROR)[2] == wire.SERVICE_NOT_READY
    peer.close()
    target.close()
    assert gate.wait_access(client=client)["reason"] == reason
    return getattr(caught, "reason", None)


def test_broker_nobody_vouches_for(penstock, fake, authority, stranger):
    broker, side = tls_broker(fake, stranger)
    gate = penstock.fixed(broker, cluster=speaking(authority))
    assert broker_refusal(gate, broker, side, "broker_tls_cert_unknown_ca") == "TLSV1_ALERT_UNKNOWN_CA"


def test_broker_of_another_name(penstock, fake, authority):
    broker, side = tls_broker(fake, authority, "someone.else.test")
    gate = penstock.fixed(broker, cluster=speaking(authority))
    assert broker_refusal(gate, broker, side, "broker_tls_cert_name") == "SSLV3_ALERT_BAD_CERTIFICATE"
    loose = penstock.fixed(broker, cluster=speaking(authority, verify="ca"))
    peer = dial(settings.GATE_ADDRESS, loose.port)
    peer.send(wire.connect())
    target = side.wrap(broker.next())
    target.expect(wire.CONNECT)
    peer.close()
    target.close()


def below(peer):
    """The same connection without TLS."""
    return wire.Peer(socket.socket(fileno=os.dup(peer.sock.fileno())))


def cut(target):
    """A FIN, and no close_notify before it."""
    raw = below(target)
    raw.half_close()
    raw.close()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("inside", [False, True], ids=["plain", "tls"])
def test_a_cut_of_the_broker_is_no_end(penstock, fake, authority, certificate, version, inside):
    """What came before is delivered; then the client is reset, without a close_notify: what it got may be cut short."""
    broker, side = tls_broker(fake, authority)
    side.context.minimum_version = side.context.maximum_version = VERSIONS[version]
    gate = penstock.fixed(broker, cluster=speaking(authority, ktls="off"), listener=ending(certificate, ktls="off") if inside else ())
    peer = secure(gate, authority.trusting()) if inside else dial(settings.GATE_ADDRESS, gate.port)
    client = "{}:{}".format(*peer.sock.getsockname())
    peer.send(wire.connect(target=broker.where))
    target = side.wrap(broker.next())
    target.expect(wire.CONNECT)
    target.send(wire.connected())
    peer.expect(wire.CONNECTED)
    target.send(b"half a message")
    assert peer.read_exactly(14) == b"half a message"
    raw = below(peer)
    cut(target)
    assert raw.read_to_end() == (b"", True)
    raw.close()
    peer.close()
    target.close()
    assert gate.wait_access(client=client)["reason"] == "broker_tls_truncated"


@pytest.mark.parametrize("version", VERSIONS)
def test_brokers_that_prove_nothing(penstock, fake, authority, version):
    for make, reason, alert in (
        (authority.broken, "broker_tls_cert_bad", "SSLV3_ALERT_BAD_CERTIFICATE"),
        (authority.without_key, "broker_tls_proof", "TLSV1_ALERT_DECRYPT_ERROR"),
    ):
        broker = fake()
        broker.url = broker.url.replace("pulsar://", "pulsar+ssl://")
        side = tls.Server(*make(broker.address))
        side.context.minimum_version = side.context.maximum_version = VERSIONS[version]
        gate = penstock.fixed(broker, cluster=speaking(authority))
        assert broker_refusal(gate, broker, side, reason) == alert


def test_broker_leaves_in_the_middle(penstock, fake, authority):
    """The client is told in Pulsar's words, and the log says how it was."""
    broker, _ = tls_broker(fake, authority)
    gate = penstock.fixed(broker, cluster=speaking(authority))
    for is_reset in (False, True):
        peer = dial(settings.GATE_ADDRESS, gate.port)
        client = "{}:{}".format(*peer.sock.getsockname())
        peer.send(wire.connect(target=broker.where))
        target = broker.next()
        target.read()  # the hello
        if is_reset:
            target.reset()
        else:
            target.close()
        assert peer.expect(wire.ERROR)[2] == wire.SERVICE_NOT_READY
        peer.close()
        assert gate.wait_access(client=client)["reason"] == ("broker_tls_reset" if is_reset else "broker_tls_gone")


def server_hello(suite):
    """Of TLS 1.2, with a Certificate without a certificate behind it."""
    body = b"\x03\x03" + bytes(range(32)) + b"\x00" + suite.to_bytes(2, "big") + b"\x00"
    messages = b"\x02" + len(body).to_bytes(3, "big") + body, b"\x0b\x00\x00\x03\x00\x00\x00"
    return b"".join(b"\x16\x03\x03" + len(m).to_bytes(2, "big") + m for m in messages)


@pytest.mark.parametrize("verify", ["full", "ca"])
@pytest.mark.parametrize("suite,reason", [(0xC009, "broker_tls_no_cipher"), (0xC02B, "broker_tls_cert_missing")], ids=["suite", "certificate"])
def test_brokers_that_no_library_makes(penstock, fake, authority, suite, reason, verify):
    """One answers with a suite that was not offered, one shows a chain without a certificate: wolfSSL would take either."""
    broker, _ = tls_broker(fake, authority)
    gate = penstock.fixed(broker, cluster=speaking(authority, verify=verify))
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect(target=broker.where))
    target = broker.next()
    target.read()
    target.send(server_hello(suite))
    assert tls.alert(target.read_to_end()[0]) == 40
    assert peer.expect(wire.ERROR)[2] == wire.SERVICE_NOT_READY
    peer.close()
    target.close()
    assert gate.wait_access()["reason"] == reason


def test_client_certificate_for_brokers(penstock, fake, authority):
    broker, side = tls_broker(fake, authority)
    side.context.verify_mode = ssl.CERT_REQUIRED
    side.context.load_verify_locations(authority.file)
    certificate, key = authority.issue("penstock", client=True)
    gate = penstock.fixed(broker, cluster=speaking(authority, cert_file=str(certificate), key_file=str(key)))
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect())
    target = side.wrap(broker.next())
    assert dict(pair[0] for pair in target.sock.getpeercert()["subject"])["commonName"] == "penstock"
    target.expect(wire.CONNECT)
    peer.close()
    target.close()


def test_broker_that_does_not_shake_hands(penstock, fake, authority):
    broker, _ = tls_broker(fake, authority)
    gate = penstock.fixed(broker, cluster=speaking(authority), timeouts={"handshake": "300ms"})
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect())
    target = broker.next()
    assert peer.expect(wire.ERROR)[2] == wire.SERVICE_NOT_READY
    peer.close()
    target.close()
    assert gate.wait_access()["reason"] == "broker_tls_timeout"


# ---- files


def test_reload_changes_the_certificate(penstock, fake, authority, tmp_path):
    """New connections get the new one, open ones go on."""
    old, new = authority.issue("gw.example.com", prefix="old-"), authority.issue("gw.example.com", prefix="new-")
    pair = (tmp_path / "gw.pem", tmp_path / "gw.key")

    def put(certificate):
        for target, source in zip(pair, certificate):
            shutil.copy(source, target)

    put(old)
    gate = penstock.forward(fake(plain_echo), listener=ending(pair))
    first = secure(gate, authority.trusting())
    shown = first.sock.getpeercert(binary_form=True)
    put(new)
    gate.reload()

    def is_new():
        peer = secure(gate, authority.trusting())
        other = peer.sock.getpeercert(binary_form=True) != shown
        peer.close()
        return other

    wait_until("the new certificate", 5, is_new)
    first.send(b"still here")
    assert first.read_exactly(10) == b"still here"
    first.close()


def test_reload_of_a_broken_key(penstock, fake, authority, tmp_path):
    """All or nothing: the old certificate stays, and the log says why."""
    good, other = authority.issue("gw.example.com"), authority.issue("x.example.com")
    pair = (tmp_path / "gw.pem", tmp_path / "gw.key")
    for target, source in zip(pair, good):
        shutil.copy(source, target)
    gate = penstock.forward(fake(plain_echo), listener=ending(pair))
    shutil.copy(other[1], pair[1])
    gate.reload()
    wait_until("the refusal", 5, lambda: gate.metrics()("penstock_config_last_reload_successful") == 0)
    secure(gate, authority.trusting()).close()
    assert "gw.key" in gate.log()
