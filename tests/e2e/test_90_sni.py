"""Routing by server name without termination: TLS goes through untouched to where its ClientHello asks to go, or is refused with the alert
that says why, and then nobody behind is contacted."""
import pathlib
import random
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest
import settings
import tls
import wire
from processes import wait_until
from test_25_proxy_header import V2, trusting, v1, v2
from tls import alert, hello
from wire import dial

PORT = 6651  # of targets: in egress.allow.ports by default
ANSWER = b"hello yourself"


def edge(penstock, routes, start=(), process=None, **more):
    """A penstock whose only listener has these routes. Keys of listeners go there, others are sections."""
    one = penstock.new()
    listener = {"name": "edge", "bind": f"{settings.GATE_ADDRESS}:{one.port}", "routes": routes}
    for key in ("no_sni", "unknown", "allow_ports", "proxy_protocol", "splice"):
        if key in more:
            listener[key] = more.pop(key)
    return one.start({"listeners": [listener], "process": process or {"workers": 2}, **more}, **dict(start))


def where(broker):
    return f"{broker.address}:{broker.port}"


def knock(gate, data):
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.client = "{}:{}".format(*peer.sock.getsockname())
    peer.send(data)
    return peer


def reaches(gate, data, broker):
    """What the client said arrives there byte for byte, and an answer comes back."""
    peer = knock(gate, data + b"and more")
    target = broker.next()
    assert target.read_exactly(len(data) + 8) == data + b"and more"
    target.send(ANSWER)
    assert peer.read_exactly(len(ANSWER)) == ANSWER
    peer.close()
    target.read_to_end()  # the client was first
    target.close()
    return gate.wait_access(client=peer.client)


def refused(gate, data, reason):
    """The alert the client is told, with a clean end; and nobody was dialled."""
    dials = gate.metrics()("penstock_dials_total")
    peer = knock(gate, data)
    answer, was_reset = peer.read_to_end()
    assert not was_reset, "a reset may overtake the alert"
    peer.close()
    row = gate.wait_access(client=peer.client)
    assert gate.metrics()("penstock_dials_total") == dials, "a target was contacted"
    assert row["reason"] == reason and row["broker"] == "-", row
    return alert(answer)


# ---- which route


@pytest.fixture(scope="module")
def town(module_penstock, module_fake, lab):
    """One of every kind of route. {1}.internal is resolved by the lab's name server."""

    class Town:
        exact, wild, deep, longer, h2, rest, other = (module_fake(port=PORT) for _ in range(7))
        captured = module_fake(address=settings.OPEN_ADDRESS, port=PORT)
        b1, b2 = (module_fake(port=PORT) for _ in range(2))

    lab.names.table.update({
        "cell-7.internal": Town.captured.address, "loop.internal": "127.0.0.1", "b1.pulsar.test": Town.b1.address,
        "b2.pulsar.test": Town.b2.address, "named.test": Town.exact.address,
    })  # fmt: skip
    Town.gate = edge(
        module_penstock,
        [
            {"host": "pulsar-broker1.example.com", "forward": where(Town.exact)},
            {"host": "*.example.com", "forward": where(Town.wild)},
            {"host": "**.example.com", "forward": where(Town.deep)},
            {"host": "**.east.example.com", "forward": where(Town.longer)},
            {"host": "alpn.test", "forward": where(Town.h2), "alpn": ["h2", "http/1.1"]},
            {"host": "alpn.test", "forward": where(Town.rest)},
            {"host": "strict.test", "forward": where(Town.h2), "alpn": ["h2"]},
            {"host": "named.test", "forward": f"named.test:{PORT}"},
            {"host": "*.cells.test", "forward": f"{{1}}.internal:{PORT}"},
            {"host": "*.odd.test", "forward": f"{{1}}.outside:{PORT}"},
            {"host": "pulsar.test", "cluster": "c"},
            {"discovered": "c"},
        ],
        clusters={"c": {"discovery": {"urls": ["pulsar+ssl://b1.pulsar.test:6651", "pulsar+ssl://b2.pulsar.test:6651"]}}},
        egress={"allow": {"hosts": ["*.internal"]}},
        timeouts={"hello": "30s", "connect": "10s"},
    )
    return Town


ROUTES = [
    ("pulsar-broker1.example.com", "exact", "pulsar-broker1.example.com"),
    ("PULSAR-Broker1.Example.COM", "exact", "pulsar-broker1.example.com"),
    ("pulsar-broker1.example.com.", "exact", "pulsar-broker1.example.com"),
    ("b.example.com", "wild", "*.example.com"),
    ("east.example.com", "wild", "*.example.com"),
    ("a.b.example.com", "deep", "**.example.com"),
    ("a.east.example.com", "longer", "**.east.example.com"),
    ("a.b.east.example.com", "longer", "**.east.example.com"),
    ("alpn.test", "rest", "alpn.test"),
    ("named.test", "exact", "named.test"),
    ("cell-7.cells.test", "captured", "*.cells.test"),
    ("b1.pulsar.test", "b1", "discovered:c"),
    ("b2.pulsar.test", "b2", "discovered:c"),
]


@pytest.mark.parametrize("name,target,route", ROUTES, ids=[r[0] for r in ROUTES])
def test_routed(town, name, target, route):
    row = reaches(town.gate, hello(name), getattr(town, target))
    assert row["kind"] == "routed" and row["route"] == route and row["sni"] == name.lower().rstrip("."), row
    assert row["broker"] == where(getattr(town, target)) and row["reason"] == "client_fin"


ODD = [
    ("ECH outer", tls.records(tls.message([tls.ech("b.example.com")])), "wild"),
    ("ECH outer, in two records", tls.records(tls.message([tls.ech("b.example.com")]), [60]), "wild"),
    ("GREASE", tls.records(tls.grease("b.example.com")), "wild"),
    ("GREASE, in two records", tls.records(tls.grease("b.example.com"), [60]), "wild"),
    ("ECH of wolfSSL 5.9", (tls.VECTORS / "wolf592.bin").read_bytes(), "exact"),
]  # fmt: skip


@pytest.mark.parametrize("data,target", [row[1:] for row in ODD], ids=[row[0] for row in ODD])
def test_what_nobody_here_can_read(town, data, target):
    """It goes by the outer name, and on untouched."""
    assert b"\xfe\x0d" in data or b"\x0a\x0a" in data, "what this is about is in it"
    reaches(town.gate, data, getattr(town, target))


@pytest.mark.parametrize("alpn,target", [(["h2"], "h2"), (["x", "http/1.1"], "h2"), (["h3"], "rest")], ids=str)
def test_alpn_chooses(town, alpn, target):
    reaches(town.gate, hello("alpn.test", alpn), getattr(town, target))


def test_any_live_broker(town):
    """The pool: both brokers get some, by their TLS ports."""
    for _ in range(60):
        peer = knock(town.gate, hello("pulsar.test"))
        wait_until("one of the two", 5, lambda: not (town.b1.none_waiting() and town.b2.none_waiting()), step=0.005)
        (town.b2 if town.b1.none_waiting() else town.b1).next().close()
        peer.close()
        if min(town.b1.accepted, town.b2.accepted) > 5:
            return
    raise AssertionError((town.b1.accepted, town.b2.accepted))


FAULTS = [
    ("unknown name", hello("nobody.test"), 112, "no_route"),
    ("the bare parent", hello("example.com"), 112, "no_route"),
    ("a longer name", hello("pulsar-broker1.example.com.evil.test"), 112, "no_route"),
    ("an address", hello("10.0.0.1"), 112, "no_route"),
    ("no name", hello(None), 109, "sni_missing"),
    ("no name, TLS 1.2", hello(None, versions=(0x0303,)), 40, "sni_missing"),
    ("ALPN of nobody", hello("strict.test", ["x"]), 120, "no_alpn"),
    ("no ALPN", hello("strict.test"), 120, "no_alpn"),
    ("egress denies the name", hello("a.odd.test"), 112, "target_host_denied"),
    ("two names", tls.records(tls.message([tls.extension(0, b"\x00\x0c\x00\x00\x03a.b\x00\x00\x03c.d")])), 50, "hello_name_twice"),
    ("server_name twice", tls.records(tls.message([tls.server_name("a.b"), tls.server_name("c.d")])), 50, "hello_extension_twice"),
    ("a NUL", hello(b"pulsar-broker1.example.com\x00.evil"), 50, "hello_name_bytes"),
    ("not ASCII", hello("br\u00f6ker.example.com".encode()), 50, "hello_name_bytes"),
    ("an empty name", hello(""), 50, "hello_name_empty"),
    ("an empty label", hello("a..example.com"), 50, "hello_name_bytes"),
    ("ECH outer, name of nobody", tls.records(tls.message([tls.ech("nobody.test")])), 112, "no_route"),
    ("ECH twice", tls.records(tls.message([tls.ech("b.example.com"), tls.extension(65037, b"\x01")])), 50, "hello_extension_twice"),
    ("GREASE and no name", tls.records(tls.message([tls.extension(0x0A0A, b""), tls.extension(43, b"\x04\x3a\x3a\x03\x04")])), 109, "sni_missing"),
    ("GREASE for the only version", tls.records(tls.message([tls.extension(43, b"\x02\x3a\x3a")])), 40, "sni_missing"),
    ("254 bytes", hello("a" * 50 + (".bbbbbbbbb" * 20) + ".com"), 50, "hello_name_long"),
    ("a list that overruns", tls.records(tls.message([tls.extension(0, b"\x00\x07\x00\x00\x03a.b")])), 50, "hello_name_list"),
    ("an empty record", hello("pulsar-broker1.example.com", cuts=[10, 10]), 10, "hello_record_empty"),
    ("an alert record inside", hello("a.example.com", cuts=[10])[:15] + b"\x15\x03\x03\x00\x02\x01\x00", 10, "hello_record_type"),
    ("17 KiB record", b"\x16\x03\x01\x42\x00", 22, "hello_record_long"),
    ("64 KiB hello", b"\x16\x03\x01\x40\x00\x01\x00\xff\xff", 47, "hello_message_long"),
    ("SSL 2.0", (tls.VECTORS / "sslv2.bin").read_bytes(), 70, "hello_sslv2"),
    ("SSL 2.x record", b"\x16\x02\x00\x00\x10", 70, "hello_record_version"),
    ("a ServerHello", b"\x16\x03\x03\x00\x04\x02\x00\x00\x00", 10, "hello_message_type"),
    ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 10, "hello_http"),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 10, "hello_http"),
    ("Pulsar", wire.connect(), 10, "hello_pulsar"),
    ("Kafka", b"\x00\x00\x00\x20\x00\x12\x00\x03\x00\x00\x00\x01\x00\x05probe", 10, "hello_kafka"),
    ("SSH", b"SSH-2.0-OpenSSH_9.2p1\r\n", 10, "hello_ssh"),
    ("PROXY", v1() + hello("pulsar-broker1.example.com"), 10, "hello_proxy"),
    ("nonsense", b"this is not the protocol you are looking for", 10, "hello_other"),
]  # fmt: skip


@pytest.mark.parametrize("data,number,reason", [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_refused(town, data, number, reason):
    def count():
        return town.gate.metrics()("penstock_disconnects_total", reason=reason)

    before = count()
    assert refused(town.gate, data, reason) == number
    wait_until("the count", 3, lambda: count() > before)  # once the client's own FIN is read
    assert count() == before + 1


def test_derived_target_may_not_be_loopback(town):
    """The name may be dialled, the address it has may not."""
    assert refused(town.gate, hello("loop.cells.test"), "target_special_denied") == 112


def test_derived_target_unknown_to_dns(town):
    assert refused(town.gate, hello("nobody.cells.test"), "dns_failed") == 80


def test_hint_for_java(town):
    refused(town.gate, hello(None), "sni_missing")
    assert "Java clients send none" in town.gate.log()


def test_hint_for_addresses(town):
    refused(town.gate, hello("10.0.0.1"), "no_route")
    assert "an address for a server name" in town.gate.log()


# ---- hellos of real clients, in pieces

KNOWN = ["gnutls2", "java_pulsar-broker1.example.com", "node", "openssl30", "openssl35", "ossl35_bigalpn", "ossl35_frag512", "ossl_frag512",
         "split1", "split_mid", "wolf554", "wolf592", "wolf592pq"]  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_real_hellos(town, name):
    reaches(town.gate, (tls.VECTORS / f"{name}.bin").read_bytes(), town.exact)


@pytest.mark.parametrize("name,number", [("java_pulsar-broker1", 109), ("java_10.0.0.1", 109), ("openssl30_nosni", 109)])
def test_real_hellos_without_a_name(town, name, number):
    assert refused(town.gate, (tls.VECTORS / f"{name}.bin").read_bytes(), "sni_missing") == number


def in_pieces(town, data, sizes):
    peer = dial(settings.GATE_ADDRESS, town.gate.port)
    rest = data
    while rest:
        n = next(sizes)
        peer.send(rest[:n])
        time.sleep(0.0005)
        assert len(rest) <= n or town.exact.none_waiting(), "routed before the hello was whole"
        rest = rest[n:]
    target = town.exact.next()
    assert target.read_exactly(len(data)) == data
    peer.close()
    target.close()


def test_one_byte_writes(town):
    in_pieces(town, hello("pulsar-broker1.example.com"), iter(lambda: 1, 0))


@pytest.mark.parametrize("cut", [1, 4, 40, 60, 80])
def test_two_records(town, cut):
    in_pieces(town, hello("pulsar-broker1.example.com", cuts=[cut]), iter(lambda: 3, 0))


def test_22_kib_in_segments(town):
    in_pieces(town, (tls.VECTORS / "ossl35_bigalpn.bin").read_bytes(), iter(lambda: 700, 0))


def test_60_kib(town):
    data = tls.records(tls.message([tls.extension(51, bytes(60000)), tls.server_name("pulsar-broker1.example.com")]), [16000, 32000, 48000])
    in_pieces(town, data, iter(lambda: 1448, 0))


# ---- TLS from end to end


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return tls.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def secure(penstock, fake, authority):
    """Two TLS servers with certificates of their own behind one port."""

    class Secure:
        servers = {name: authority.server(name) for name in ("one.test", "two.test")}
        gate = edge(penstock, [{"host": n, "forward": where(fake(s.serve, port=PORT))} for n, s in servers.items()])

    return Secure


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_python_client(secure, authority, version):
    """The client verifies the target's certificate under the name it asked for; nothing is terminated here."""
    context = ssl.create_default_context(cafile=authority.file)
    context.minimum_version = context.maximum_version = version
    data = random.Random(1).randbytes(3 << 20)
    for name, server in secure.servers.items():
        with socket.create_connection((settings.GATE_ADDRESS, secure.gate.port), 10) as sock, context.wrap_socket(sock, server_hostname=name) as peer:
            assert tls.exchange(peer, data, len(data)) == data
        assert server.names[-1] == name
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"), socket.create_connection((settings.GATE_ADDRESS, secure.gate.port), 10) as sock:
        context.wrap_socket(sock, server_hostname="three.test")


def s_client(gate, *words):
    """What comes back for a line, or what OpenSSL says about it."""
    argv = ["openssl", "s_client", "-connect", f"{settings.GATE_ADDRESS}:{gate.port}", "-quiet", "-verify_return_error", *map(str, words)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        client.stdin.write(b"ping\n")
        client.stdin.flush()
        line = client.stdout.readline()
        client.kill()  # with -quiet it goes on when its input ends
        return line or client.stderr.read().lower()


@pytest.mark.parametrize("words", [
    [], ["-tls1_2"], ["-max_send_frag", "512"], ["-groups", "P-521:P-256"], ["-alpn", ",".join(f"protocol-{n:03}" for n in range(900))],
], ids=["plain", "TLS 1.2", "fragments", "HelloRetryRequest", "16 KiB of ALPN"])  # fmt: skip
def test_openssl_client(secure, authority, words):
    """With -groups the server wants another one: the second hello goes where the first went."""
    if words[:1] == ["-groups"]:
        secure.servers["two.test"].context.set_ecdh_curve("prime256v1")
    assert s_client(secure.gate, "-servername", "two.test", "-verify_hostname", "two.test", "-CAfile", authority.file, *words) == b"ping\n"
    assert secure.servers["two.test"].names[-1] == "two.test"


def test_openssl_client_is_told(secure):
    assert b"unrecognized name" in s_client(secure.gate, "-servername", "three.test")
    assert b"alert number 109" in s_client(secure.gate, "-noservername")


# ---- targets


def test_several_targets(penstock, fake):
    """In turn while both live; the live one alone when the other is dead; an alert when none is left."""
    one, two = fake(port=PORT), fake(port=PORT)
    gate = edge(penstock, [{"host": "a.test", "forward": [where(one), where(two)]}], timeouts={"connect": "1s"})

    def serve(count):
        for _ in range(count):
            peer = knock(gate, hello("a.test"))
            wait_until("one of the two", 5, lambda: not (one.none_waiting() and two.none_waiting()), step=0.005)
            (two if one.none_waiting() else one).next().close()
            peer.close()

    while min(one.accepted, two.accepted) <= 5:
        assert one.accepted + two.accepted < 60
        serve(1)
    two.close()
    before = one.accepted
    serve(20)
    assert one.accepted == before + 20
    one.close()
    answer, _ = knock(gate, hello("a.test")).read_to_end()
    assert alert(answer) == 80
    gate.wait_access(reason="connect_refused")


def test_brokers_that_are_dead(penstock, fake, lab):
    """The pool passes a dead one over; who asks for it by name is told."""
    one, two = fake(port=PORT), fake(port=PORT)
    lab.names.table.update({"d1.pulsar.test": one.address, "d2.pulsar.test": two.address})
    clusters = {"c": {"discovery": {"urls": [f"pulsar+ssl://d{n}.pulsar.test:{PORT}" for n in (1, 2)]}}}
    gate = edge(penstock, [{"host": "pool.test", "cluster": "c"}, {"discovered": "c"}], clusters=clusters, timeouts={"connect": "1s"})
    two.close()
    for _ in range(10):
        reaches(gate, hello("pool.test"), one)
    answer, _ = knock(gate, hello("d2.pulsar.test")).read_to_end()
    assert alert(answer) == 80
    gate.wait_access(reason="connect_refused", sni="d2.pulsar.test")
    one.close()
    answer, _ = knock(gate, hello("pool.test")).read_to_end()
    assert alert(answer) == 80
    gate.wait_access(reason="connect_refused", sni="pool.test")


def test_a_target_that_hangs(penstock, fake):
    """The next one gets its turn after timeouts.connect."""
    broker = fake(port=PORT)
    gate = edge(penstock, [{"host": "a.test", "forward": [f"{settings.NOBODY_ADDRESS}:{PORT}", where(broker)]}], timeouts={"connect": "300ms"})
    for _ in range(6):
        reaches(gate, hello("a.test"), broker)


def test_defaults(penstock, fake):
    known, nameless = fake(port=PORT), fake(port=PORT)
    routes = [{"host": "known.test", "forward": where(known)}, {"host": "nameless.test", "forward": where(nameless)}]
    gate = edge(penstock, routes, no_sni="nameless.test", unknown="known.test")
    reaches(gate, hello(None), nameless)
    row = reaches(gate, hello("who.knows"), known)
    assert row["sni"] == "who.knows" and row["route"] == "known.test"
    reaches(gate, hello("10.0.0.1"), known)
    assert refused(gate, hello("a..b"), "hello_name_bytes") == 50


def test_any_name_and_allow_ports(penstock, fake, lab):
    broker, other = fake(port=PORT), fake(port=6652)
    lab.names.table.update({"in.pulsar.test": broker.address, "off.pulsar.test": other.address})
    gate = edge(
        penstock, [{"host": "*", "forward": where(broker)}, {"discovered": "c"}, {"host": "pool.test", "cluster": "c"}], allow_ports=[PORT],
        clusters={"c": {"discovery": {"urls": ["pulsar+ssl://in.pulsar.test:6651", "pulsar+ssl://off.pulsar.test:6652"]}}},
    )  # fmt: skip
    assert reaches(gate, hello("any.name.at.all"), broker)["route"] == "*"
    assert reaches(gate, hello("in.pulsar.test"), broker)["route"] == "discovered:c"
    for _ in range(5):
        reaches(gate, hello("pool.test"), broker)
    assert refused(gate, hello("off.pulsar.test"), "target_port_denied") == 112
    assert other.none_waiting()


# ---- PROXY protocol


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_proxy_header_per_route(penstock, fake, version):
    """In front of the hello; and only on the route that has it."""
    broker, plain = fake(port=PORT), fake(port=PORT)
    gate = edge(
        penstock,
        [{"host": "a.test", "forward": where(broker), "send_proxy_protocol": version}, {"host": "b.test", "forward": where(plain)}],
        proxy_protocol=trusting("optional")["proxy_protocol"],
    )
    for header in (b"", v1("192.0.2.7"), v2("192.0.2.7")):
        peer = knock(gate, header + hello("a.test"))
        address, port = ("192.0.2.7", 4321) if header else peer.sock.getsockname()
        if version == "v1":
            want = f"PROXY TCP4 {address} {settings.GATE_ADDRESS} {port} {gate.port}\r\n".encode()
        else:
            want = V2 + b"\x21\x11\x00\x0c" + socket.inet_aton(address) + socket.inet_aton(settings.GATE_ADDRESS)
            want += struct.pack(">HH", port, gate.port)
        target = broker.next()
        assert target.read_exactly(len(want) + len(hello("a.test"))) == want + hello("a.test")
        peer.close()
        peer = knock(gate, header + hello("b.test") + b"and more")
        target = plain.next()
        assert target.read_exactly(len(hello("b.test")) + 8) == hello("b.test") + b"and more", "no header for a route that asks for none"
        target.close()
        peer.close()


def test_proxy_header_required(penstock, fake):
    broker = fake(port=PORT)
    gate = edge(penstock, [{"host": "a.test", "forward": where(broker)}], proxy_protocol=trusting("required")["proxy_protocol"])
    peer = knock(gate, v2("192.0.2.9") + hello("a.test"))
    broker.next().close()
    peer.close()
    assert gate.wait_access(client="192.0.2.9:4321")["sni"] == "a.test"
    assert knock(gate, hello("a.test")).read_to_end()[0] == b""
    assert gate.wait_access(reason="proxy_missing")


# ---- ends


@pytest.fixture
def link(penstock, fake):
    broker = fake(seconds=20, port=PORT)
    gate = edge(penstock, [{"host": "a.test", "forward": where(broker)}], timeouts={"half_close": "20s"})

    def make():
        peer = dial(settings.GATE_ADDRESS, gate.port, 20)
        peer.send(hello("a.test"))
        target = broker.next()
        target.read_exactly(len(hello("a.test")))
        return peer, target

    make.gate = gate
    return make


BOTH_WAYS = pytest.mark.parametrize("to_broker", [True, False], ids=["client-first", "broker-first"])


@BOTH_WAYS
def test_half_close(link, to_broker):
    source, sink = link()[:: 1 if to_broker else -1]
    data = random.Random(2).randbytes(4 << 20)
    speaker = threading.Thread(target=lambda: (source.send(data), source.half_close()))
    speaker.start()
    assert sink.read_to_end() == (data, False)
    speaker.join()
    sink.send(data[::-1])
    assert source.read_exactly(len(data)) == data[::-1]
    sink.close()
    assert source.read_to_end() == (b"", False)
    assert link.gate.wait_access()["reason"] == ("client_fin" if to_broker else "broker_fin")
    assert link.gate.metrics()("penstock_bytes_total", path="splice") > 0


@BOTH_WAYS
def test_reset(link, to_broker):
    source, sink = link()[:: 1 if to_broker else -1]
    source.send(b"last words")
    assert sink.read_exactly(10) == b"last words"
    source.reset()
    assert sink.read_to_end() == (b"", True), "a reset must not look like a clean end"
    assert link.gate.wait_access()["reason"] == ("client_rst" if to_broker else "broker_rst")


# ---- limits


def test_slow_hellos(penstock, fake):
    """An absolute time, whatever dribbles in; nothing is dialled; other limits that are shorter do not matter."""
    broker = fake(port=PORT)
    gate = edge(penstock, [{"host": "a.test", "forward": where(broker)}], timeouts={"hello": "1s", "idle": "300ms", "frame": "200ms"})
    for data in (b"", hello("a.test")[:1], hello("a.test")[:-1]):
        began = time.monotonic()
        peer = knock(gate, data)
        assert peer.read_to_end() == (b"", False)
        assert 0.7 < time.monotonic() - began < 10
        assert gate.wait_access(client=peer.client)["reason"] == "hello_timeout"
    peer = dial(settings.GATE_ADDRESS, gate.port)
    began = time.monotonic()
    with pytest.raises((wire.Closed, OSError)):
        for byte in hello("a.test", pad=1000):
            peer.send(bytes([byte]))
            time.sleep(0.02)
    assert time.monotonic() - began < 10
    assert broker.none_waiting()


def test_unrouted_hellos_are_bounded(penstock, fake):
    """More silent clients than limits.unrouted: memory stays, and those behind them are served when these time out."""
    broker = fake(port=PORT)
    gate = edge(
        penstock, [{"host": "a.test", "forward": where(broker)}], limits={"unrouted": 8}, timeouts={"hello": "1s"}, process={"workers": 1}
    )
    half = [knock(gate, hello("a.test", pad=16000)[:-1]) for _ in range(20)]
    assert gate.metrics()("penstock_buffers_in_use") <= 8
    reaches(gate, hello("a.test"), broker)
    for peer in half:
        peer.close()


def test_hello_limit(penstock, fake):
    broker = fake(port=PORT)
    gate = edge(penstock, [{"host": "a.test", "forward": where(broker)}], limits={"first_frame": "4KiB"})
    reaches(gate, hello("a.test", pad=3900), broker)
    assert refused(gate, hello("a.test", pad=4200), "hello_message_long") == 47


def test_connections_of_a_route(penstock, fake):
    """Counted over all workers; the others do not notice; room is given back; a reload keeps the count."""
    few, many = fake(port=PORT), fake(port=PORT)
    routes = [{"host": "few.test", "forward": where(few), "max_connections": 3}, {"host": "many.test", "forward": where(many)}]
    gate = edge(penstock, routes)

    def enter():
        peer = knock(gate, hello("few.test"))
        return peer, few.next()

    def count(kind):
        return gate.metrics()(f"penstock_route_connections_{kind}", listener="edge", route="few.test")

    held = [enter() for _ in range(3)]
    assert count("active") == 3
    assert refused(gate, hello("few.test"), "conn_limit_route") == 80
    reaches(gate, hello("many.test"), many)
    rows = gate.json("/connections")["connections"]
    assert [row["route"] for row in rows] == ["few.test"] * 3 and {row["kind"] for row in rows} == {"routed"}
    for end in held.pop():
        end.close()
    wait_until("room", 3, lambda: count("active") == 2)
    held.append(enter())
    gate.write({
        "listeners": [{"name": "edge", "bind": f"{settings.GATE_ADDRESS}:{gate.port}", "routes": [routes[1], {**routes[0], "max_connections": 4}]}],
        "process": {"workers": 2},
    })  # fmt: skip
    gate.reload()
    wait_until("the reload", 5, lambda: gate.metrics()("penstock_config_generation") == 2)
    assert count("active") == 3 and count("total") == 4
    held.append(enter())
    assert refused(gate, hello("few.test"), "conn_limit_route") == 80
    for peer, target in held:
        peer.close()
        target.close()


def test_client_networks(penstock, fake):
    """By the address the load balancer announces."""
    broker = fake(port=PORT)
    routes = [{"host": "a.test", "forward": where(broker), "allow": ["192.0.2.0/24"]}, {"host": "b.test", "forward": where(broker)}]
    gate = edge(penstock, routes, proxy_protocol=trusting("optional")["proxy_protocol"])
    assert refused(gate, hello("a.test"), "acl_cidr") == 49
    reaches(gate, hello("b.test"), broker)
    peer = knock(gate, v2("192.0.2.1") + hello("a.test"))
    broker.next().close()
    peer.close()
    answer, _ = knock(gate, v2("198.51.100.1") + hello("a.test")).read_to_end()
    assert alert(answer) == 49


def test_connection_limit(penstock, fake):
    broker = fake(port=PORT)
    gate = edge(penstock, [{"host": "a.test", "forward": where(broker)}], limits={"connections": 1})
    peer = knock(gate, hello("a.test"))
    target = broker.next()
    answer, _ = dial(settings.GATE_ADDRESS, gate.port).read_to_end()
    assert alert(answer) == 80
    peer.close()
    target.close()


# ---- reload


def test_reload(penstock, fake):
    """Connections live on although their route is gone; new ones go by the new table."""
    old, new = fake(port=PORT), fake(port=PORT)
    gate = edge(penstock, [{"host": "a.test", "forward": where(old)}, {"host": "b.test", "forward": where(old)}])
    peer = knock(gate, hello("a.test"))
    target = old.next()
    half = knock(gate, hello("b.test")[:50])

    def turn_to(routes, generation):
        gate.write({
            "listeners": [{"name": "edge", "bind": f"{settings.GATE_ADDRESS}:{gate.port}", "routes": routes}], "process": {"workers": 2},
        })  # fmt: skip
        gate.reload()
        wait_until("the reload", 5, lambda: gate.metrics()("penstock_config_generation") == generation)

    turn_to([{"host": "b.test", "forward": where(new)}], 2)
    assert refused(gate, hello("a.test"), "no_route") == 112
    half.send(hello("b.test")[50:])
    assert new.next().read_exactly(len(hello("b.test"))) == hello("b.test")
    peer.send(b"still there")
    assert target.read_exactly(len(hello("a.test")) + 11).endswith(b"still there")
    half.close()
    peer.close()
    target.close()
    time.sleep(1)
    turn_to([{"host": "b.test", "forward": "nonsense"}], 2)  # refused as a whole
    reaches(gate, hello("b.test"), new)


def test_check(penstock, tmp_path):
    """`check` names line and column; the start is refused with 78."""
    file = tmp_path / "c.yaml"
    file.write_text(
        'listeners:\n  - name: e\n    bind: "127.0.0.1:1"\n    routes:\n      - { host: a.test, forward: "h:1", mode: terminate }\n'
        '      - { host: a.test, forward: "h:1" }\n'
    )
    for words in (["check", "-c", file], ["run", "-c", file]):
        done = subprocess.run([settings.PENSTOCK, *words], capture_output=True, text=True, timeout=10, check=False)
        assert done.returncode == 78
        assert f"{file}:5:47: listeners[0].routes[0].mode: there is no certificate to end TLS with" in done.stderr
        assert f"{file}:6:17: listeners[0].routes[1].host: a.test is there already" in done.stderr


def test_vectors_are_all_used():
    used = {*KNOWN, "java_pulsar-broker1", "java_10.0.0.1", "openssl30_nosni", "sslv2"}
    names = {file.stem for file in pathlib.Path(tls.VECTORS).glob("*.bin")}
    assert names - used == {"openssl30_tls12", "python"}, "both ask for a name without a dot: test_proto_sni.c"
