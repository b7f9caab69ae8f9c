"""Routes that end TLS: beside routes that pass it through on one port, with and without TLS behind, with bytes nobody looks at and with Pulsar."""
import os
import socket
import ssl
import struct
import threading

import pytest
import settings
import tls
import wire
from fakes import plain_echo
from processes import wait_until
from test_25_proxy_header import V2, v1, v2
from test_90_sni import reaches, where
from test_91_tls import VERSIONS, below, ending, only, refused, secure
from tls import alert, hello
from wire import dial

PORT = 6651


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return tls.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def inner(tmp_path_factory):
    """Whom the targets' certificates are from."""
    return tls.Authority(tmp_path_factory.mktemp("inner"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("*.edge.test", "edge.test")


def edge(penstock, certificate, routes, start=(), **more):
    """A penstock with one listener that has these routes and this certificate. Keys of listeners go there, others are sections."""
    one = penstock.new()
    listener = {"name": "edge", "bind": f"{settings.GATE_ADDRESS}:{one.port}", "routes": routes, **(ending(certificate) if certificate else {})}
    for key in ("no_sni", "unknown", "allow_ports", "proxy_protocol", "tls"):
        if key in more:
            listener[key] = more.pop(key)
    return one.start({"listeners": [listener], "process": {"workers": 2}, **more}, **dict(start))


def says_back(peer, data=b"hello"):
    peer.send(data)
    assert peer.read_exactly(len(data)) == data


def speaking(inner, **keys):
    return {"ca_file": str(inner.file), **keys}


def held(gate):
    return gate.metrics()("penstock_tls_memory_bytes")


# ---- one port, three kinds of routes


@pytest.mark.parametrize("version", VERSIONS)
def test_three_modes_on_one_port(penstock, fake, authority, inner, certificate, version):
    plain, server = fake(plain_echo, port=7000), inner.server("b.edge.test", "pass.edge.test")
    secret = fake(server.serve, port=PORT)
    routes = [
        {"host": "pass.edge.test", "forward": where(secret)},
        {"host": "terminate.edge.test", "mode": "terminate", "forward": where(plain)},
        {"host": "*.edge.test", "mode": "reencrypt", "forward": where(secret), "broker_tls": speaking(inner, name="client")},
    ]
    gate = edge(penstock, certificate, routes)
    data = os.urandom(300_000)
    for name, trusted, peer_name in (("pass", inner, "pass.edge.test"), ("terminate", authority, None), ("b", authority, "b.edge.test")):
        peer = secure(gate, trusted.trusting(**only(version)), f"{name}.edge.test")
        assert peer.sock.version() == f"TLSv{version}"
        assert tls.exchange(peer.sock, data, len(data)) == data
        assert peer_name is None or server.names[-1] == peer_name
        peer.close()
        row = gate.wait_access(client=peer.client)
        assert row["sni"] == f"{name}.edge.test" and row["kind"] == "routed", row
        assert row["route"] == ("*.edge.test" if name == "b" else f"{name}.edge.test")
        assert row["broker"] == where(plain if name == "terminate" else secret)
        assert int(row["bytes_to_client"]) >= len(data)
        count = gate.metrics()
        assert count("penstock_route_connections_total", route=row["route"]) == 1
        wait_until("its end", 3, lambda row=row: gate.metrics()("penstock_route_connections_active", route=row["route"]) == 0)
    assert alert(refused_raw(gate, hello("no.where.test"))) == 112


def test_units_and_names_with_blanks(penstock, fake, authority, certificate):
    target = fake(plain_echo)
    rules = ["ou:Order Service", "ou:Süd*", "cn:night shift"]
    guarded = ending(certificate, client_auth="require", client_ca_file=str(authority.file), allow_clients=rules)
    gate = edge(penstock, certificate, [{"host": "a.edge.test", "mode": "terminate", "forward": where(target), **guarded}])
    for number, subject in enumerate(["/CN=x/OU=dev/OU=Order Service", "/CN=x/OU=Südwest", "/CN=night shift", "/CN=x/OU=night shift", "/CN=Order Service"]):
        own = authority.issue("x", client=True, prefix=f"blanks-{number}-", subject=subject)
        if number < 3:
            peer = secure(gate, authority.trusting(own), "a.edge.test")
            says_back(peer)
            peer.close()
        else:
            assert refused(gate, authority.trusting(own), "client_tls_cert_denied", "a.edge.test") == "TLSV1_ALERT_ACCESS_DENIED"


@pytest.mark.parametrize("version", VERSIONS)
def test_large_hellos(penstock, fake, authority, inner, certificate, version):
    """Routing carries what limits.first_frame allows; where TLS ends wolfSSL takes 18 KiB."""
    target, server = fake(plain_echo), inner.server("pass.edge.test")
    routes = [
        {"host": "a.edge.test", "mode": "terminate", "forward": where(target)},
        {"host": "pass.edge.test", "forward": where(fake(server.serve, port=PORT))},
    ]
    gate = edge(penstock, certificate, routes)

    def trusting(by, size):
        context = by.trusting(**only(version))
        context.set_alpn_protocols([f"{n:0249}" for n in range(size // 250)])
        return context

    for size, by, name in ((18_000, authority, "a.edge.test"), (60_000, inner, "pass.edge.test")):
        peer = secure(gate, trusting(by, size), name)
        says_back(peer)
        peer.close()
    assert refused(gate, trusting(authority, 18_500), "client_tls_decode", "a.edge.test") == "TLSV1_ALERT_DECODE_ERROR"


@pytest.mark.parametrize("version", VERSIONS)
def test_alpn_goes_on(penstock, fake, authority, inner, certificate, version):
    """The target, which likes http/1.1 better, is asked for what the client has agreed on. Where clients are not asked it has its own choice."""
    target = fake(port=PORT)
    server = inner.server(target.address)
    server.context.set_alpn_protocols(["http/1.1", "h2"])
    keys = {"mode": "reencrypt", "forward": where(target), "broker_tls": speaking(inner, alpn=["h2", "http/1.1"])}
    routes = [{"host": "a.edge.test", **keys}, {"host": "b.edge.test", **keys, **ending(certificate)}]
    gate = edge(penstock, certificate, routes, tls={**ending(certificate)["tls"], "alpn": ["h2", "pulsar", "http/1.1"]})
    for name, offered, agreed, asked in (
        ("a", ["h2", "http/1.1"], "h2", "h2"), ("a", ["http/1.1"], "http/1.1", "http/1.1"), ("a", ["pulsar"], "pulsar", None),
        ("a", [], None, None), ("b", ["h2"], None, "http/1.1"),
    ):  # fmt: skip
        context = authority.trusting(**only(version))
        if offered:
            context.set_alpn_protocols(offered)
        peer = secure(gate, context, f"{name}.edge.test")
        behind = server.wrap(target.next())
        assert (peer.sock.selected_alpn_protocol(), behind.sock.selected_alpn_protocol()) == (agreed, asked)
        peer.send(b"through")
        assert behind.read_exactly(7) == b"through"
        peer.close()
        behind.close()


def refused_raw(gate, data):
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(data)
    answer, was_reset = peer.read_to_end()
    assert not was_reset
    peer.close()
    return answer


@pytest.mark.parametrize("piece", [1, 7, 300, 1448])
def test_hello_in_pieces(penstock, fake, authority, certificate, piece):
    """The handshake is made from the hello that was read for the route, however it came; nobody is dialled before it is over."""
    target = fake(plain_echo)
    gate = edge(penstock, certificate, [{"host": "a.edge.test", "mode": "terminate", "forward": where(target)}])
    peer = dial(settings.GATE_ADDRESS, gate.port)
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = authority.trusting().wrap_bio(inside, outside, server_hostname="a.edge.test")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    rest = outside.read()
    while rest:
        peer.send(rest[:piece])
        rest = rest[piece:]
    shake(peer, session, inside)
    assert target.accepted == 0
    session.write(b"in one piece")
    peer.send(outside.read())
    assert take(peer, session, inside, 12) == b"in one piece"
    peer.close()


def test_hello_retry(penstock, fake, authority, certificate):
    """A client whose first key share is for a group the gate does not take says hello twice."""
    gate = edge(penstock, certificate, [{"host": "a.edge.test", "mode": "terminate", "forward": where(fake(plain_echo))}])
    from test_90_sni import s_client

    words = ["-servername", "a.edge.test", "-verify_hostname", "a.edge.test", "-CAfile", authority.file, "-groups", "P-521:P-384:P-256"]
    assert s_client(gate, *words) == b"ping\n"


def test_nothing_may_follow_the_hello(penstock, fake, certificate):
    """What stands behind the hello in the same segment is no part of a handshake anybody could have made."""
    target = fake()
    gate = edge(penstock, certificate, [{"host": "a.edge.test", "mode": "terminate", "forward": where(target)}])
    peer = dial(settings.GATE_ADDRESS, gate.port)
    client = "{}:{}".format(*peer.sock.getsockname())
    peer.send(hello("a.edge.test") + b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n")
    peer.read_to_end()
    peer.close()
    assert gate.wait_access(client=client)["reason"] == "client_tls_decode"
    assert target.none_waiting()


def test_behind_a_proxy_header(penstock, fake, authority, certificate):
    """HAProxy in front: its header, then the hello the route is chosen by, perhaps in one segment; networks go by the address it announces."""
    target = fake(plain_echo)
    routes = [{"host": "a.edge.test", "mode": "terminate", "forward": where(target), "allow": ["192.0.2.0/24"]}]
    gate = edge(penstock, certificate, routes, proxy_protocol={"mode": "required", "trusted": ["10.77.0.0/24"]})
    for header, is_let_in in ((v2("192.0.2.7"), True), (v1("192.0.2.7"), True), (v1("198.51.100.7"), False)):
        peer = dial(settings.GATE_ADDRESS, gate.port)
        inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = authority.trusting().wrap_bio(inside, outside, server_hostname="a.edge.test")
        with pytest.raises(ssl.SSLWantReadError):
            session.do_handshake()
        peer.send(header + outside.read())
        if not is_let_in:
            assert alert(peer.read_to_end()[0]) == 49
            peer.close()
            continue
        shake(peer, session, inside)
        peer.send(outside.read())
        session.write(b"hello")
        peer.send(outside.read())
        assert take(peer, session, inside, 5) == b"hello"
        peer.close()
        assert gate.wait_access(client="192.0.2.7:4321")["route"] == "a.edge.test"


def shake(peer, session, inside):
    """The rest of a handshake whose first flight is sent."""
    while True:
        inside.write(peer.read())
        try:
            session.do_handshake()
            return
        except ssl.SSLWantReadError:
            pass


def take(peer, session, inside, count):
    got = b""
    while len(got) < count:
        try:
            got += session.read(count - len(got))
        except ssl.SSLWantReadError:
            inside.write(peer.read())
    return got


def test_tickets_that_never_come(penstock, fake, authority, inner, certificate):
    """A target without tickets, and clients that say nothing: what is kept for a ticket is not in the way of handshakes."""
    server = inner.server("a.edge.test")
    server.context.num_tickets = 0
    target = fake(server.serve, port=PORT)
    routes = [{"host": "a.edge.test", "mode": "reencrypt", "forward": where(target), "broker_tls": speaking(inner, name="client")}]
    gate = edge(penstock, certificate, routes, limits={"tls_memory": "16MiB"}, process={"workers": 1})
    at_rest, context = held(gate), authority.trusting()
    peers = []
    for count in range(1, 301):
        peers.append(secure(gate, context, "a.edge.test"))
        wait_until("the handshake behind", 5, lambda count=count: len(server.names) == count, step=0.005)
    assert at_rest + (1 << 20) < held(gate) < 3 << 22, "some wait for their ticket, and not too many"
    for peer in peers:
        says_back(peer)
    assert held(gate) <= at_rest + 2_600_000, "tables for the curve and for two keys, which stay"
    for peer in peers:
        peer.close()
    assert not gate.access(reason="client_tls_no_memory") + gate.access(reason="broker_tls_no_memory")


def test_many_at_once(penstock, fake, authority, inner, certificate):
    """More handshakes than slots, on both sides: they wait for each other, and all are served."""
    server = inner.server("a.edge.test")
    target = fake(server.serve, port=PORT)
    routes = [{"host": "a.edge.test", "mode": "reencrypt", "forward": where(target), "broker_tls": speaking(inner, name="client")}]
    gate = edge(penstock, certificate, routes, limits={"handshakes": 2}, timeouts={"hello": "60s", "handshake": "60s"})
    context, results = authority.trusting(), []

    def one(number):
        peer = secure(gate, context, "a.edge.test")
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


# ---- certificates and rules of a route


def test_certificate_of_the_route(penstock, fake, authority, certificate):
    """A route's own tls replaces the listener's, all of it; the listener needs none then."""
    own = authority.issue("own.test")
    target = where(fake(plain_echo))
    routes = [
        {"host": "own.test", "mode": "terminate", "forward": target, **ending(own, alpn=["x"], min_version="1.3")},
        {"host": "*.edge.test", "mode": "terminate", "forward": target},
    ]
    for with_listener in (certificate, None):
        gate = edge(penstock, with_listener, routes[: 2 if with_listener else 1])
        context = authority.trusting()
        context.set_alpn_protocols(["x"])
        peer = secure(gate, context, "own.test")
        assert peer.sock.selected_alpn_protocol() == "x"
        says_back(peer)
        peer.close()
        assert "PROTOCOL_VERSION" in refused(gate, authority.trusting(**only("1.2")), "client_tls_version", "own.test")
        if with_listener:
            peer = secure(gate, authority.trusting(**only("1.2")), "a.edge.test")
            says_back(peer)
            peer.close()


def test_client_certificates_of_one_route(penstock, fake, authority, certificate):
    """No ticket and no other name of the same port gets around it."""
    target = fake(plain_echo)
    guarded = ending(certificate, client_auth="require", client_ca_file=str(authority.file), allow_clients=["cn:orders"])
    routes = [
        {"host": "open.edge.test", "mode": "terminate", "forward": where(target)},
        {"host": "guarded.edge.test", "mode": "terminate", "forward": where(target), **guarded},
    ]
    gate = edge(penstock, certificate, routes)
    for version in VERSIONS:
        context = authority.trusting(**only(version))
        peer = secure(gate, context, "open.edge.test")
        says_back(peer)
        session = peer.sock.session
        assert session.has_ticket
        peer.close()
        for name, reused in (("open.edge.test", True), ("guarded.edge.test", False)):
            raw = dial(settings.GATE_ADDRESS, gate.port)
            client = "{}:{}".format(*raw.sock.getsockname())
            try:
                raw.sock = context.wrap_socket(raw.sock, server_hostname=name, session=session)
                says_back(raw)
                assert reused and raw.sock.session_reused
                raw.sock.unwrap()
            except (ssl.SSLError, wire.Closed):
                assert not reused
            raw.close()
            assert gate.wait_access(client=client)["reason"] == ("client_fin" if reused else "client_tls_cert_missing")
        other = authority.trusting(authority.issue("payments", client=True), **only(version))
        assert refused(gate, other, "client_tls_cert_denied", "guarded.edge.test") == "TLSV1_ALERT_ACCESS_DENIED"
        peer = secure(gate, authority.trusting(authority.issue("orders", client=True), **only(version)), "guarded.edge.test")
        says_back(peer)
        peer.close()


def test_no_name_and_unknown_name(penstock, fake, authority, certificate):
    target = where(fake(plain_echo))
    gate = edge(penstock, certificate, [{"host": "a.edge.test", "mode": "terminate", "forward": target}], no_sni="a.edge.test", unknown="a.edge.test")
    for name in (None, "who.knows"):
        peer = secure(gate, authority.trusting(check_hostname=False), name)
        says_back(peer)
        peer.close()


def test_limits_come_before_the_handshake(penstock, fake, authority, certificate):
    """Client networks and max_connections are told by an alert, before any key is used."""
    target = where(fake(plain_echo))
    routes = [
        {"host": "few.edge.test", "mode": "terminate", "forward": target, "max_connections": 1},
        {"host": "far.edge.test", "mode": "terminate", "forward": target, "allow": ["192.0.2.0/24"]},
    ]
    gate = edge(penstock, certificate, routes)
    peer = secure(gate, authority.trusting(), "few.edge.test")
    says_back(peer)
    assert alert(refused_raw(gate, hello("few.edge.test"))) == 80
    assert alert(refused_raw(gate, hello("far.edge.test"))) == 49
    peer.close()
    wait_until("room", 3, lambda: gate.metrics()("penstock_route_connections_active", route="few.edge.test") == 0)
    secure(gate, authority.trusting(), "few.edge.test").close()
    # A handshake that fails gives its place back.
    for version in VERSIONS:
        context = ssl.create_default_context()
        context.minimum_version = context.maximum_version = VERSIONS[version]
        wait_until("room", 3, lambda: gate.metrics()("penstock_route_connections_active", route="few.edge.test") == 0)
        refused(gate, context, "client_tls_peer_alert", "few.edge.test")
        assert "client_tls_peer_alert: alert 48" in gate.log()
    wait_until("room", 3, lambda: gate.metrics()("penstock_route_connections_active", route="few.edge.test") == 0)


def test_slow_handshake(penstock, fake, authority, certificate):
    """A whole hello and then nothing: timeouts.handshake, and nobody behind was contacted."""
    target = fake()
    gate = edge(penstock, certificate, [{"host": "a.edge.test", "mode": "terminate", "forward": where(target)}], timeouts={"handshake": "300ms"})
    peer = dial(settings.GATE_ADDRESS, gate.port)
    client = "{}:{}".format(*peer.sock.getsockname())
    session = authority.trusting().wrap_bio(ssl.MemoryBIO(), out := ssl.MemoryBIO(), server_hostname="a.edge.test")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    peer.send(out.read())
    assert peer.read_to_end()[0][:1] == b"\x16"
    peer.close()
    assert gate.wait_access(client=client)["reason"] == "client_tls_timeout"
    assert target.none_waiting()


# ---- targets


def test_targets_that_are_dead(penstock, fake, authority, inner, certificate):
    """In turn, a dead one passed over; when none is left the client is reset: TLS with it stands already, and an end would be an answer."""
    server = inner.server(settings.NOBODY_ADDRESS, "t.test")
    alive, dead = fake(server.serve, port=PORT), fake(port=PORT)
    dead.close()
    keys = {"mode": "reencrypt", "broker_tls": speaking(inner, name="client")}
    gate = edge(
        penstock, authority.issue("t.test"), [{"host": "t.test", "forward": [where(dead), where(alive)], **keys}], timeouts={"connect": "1s"}
    )
    for _ in range(8):
        peer = secure(gate, authority.trusting(), "t.test")
        says_back(peer)
        peer.close()
    assert alive.accepted == 8
    alive.close()
    for version in VERSIONS:
        is_reset(gate, secure(gate, authority.trusting(**only(version)), "t.test"), "connect_refused")


def is_reset(gate, peer, reason):
    """TLS stands, and it ends without a close_notify, by a RST."""
    raw = below(peer)
    records, was_reset = raw.read_to_end()
    assert was_reset and b"\x15\x03\x03" not in records
    raw.close()
    peer.close()
    assert gate.wait_access(client=peer.client)["reason"] == reason


def test_a_listener_whose_target_is_dead(penstock, fake, authority, certificate):
    """A listener that ends TLS and forwards is no different."""
    dead = fake()
    gate = penstock.forward(dead, listener=ending(certificate))
    dead.close()
    is_reset(gate, secure(gate, authority.trusting(), "a.edge.test"), "connect_refused")


def test_target_is_verified(penstock, fake, authority, inner, certificate):
    """By the name in forward unless told otherwise; a wrong one, an unknown CA and a missing client certificate end the connection."""
    side = inner.server("right.test")
    target = fake(port=PORT)
    address = where(target)

    def gate(ca=inner, **keys):
        routes = [{"host": "a.edge.test", "mode": "reencrypt", "forward": address, "broker_tls": speaking(ca, **keys)}]
        return edge(penstock, certificate, routes)

    def outcome(gate, server=side):
        peer = secure(gate, authority.trusting(), "a.edge.test")
        peer.send(b"x")
        end = target.next()
        try:
            server.wrap(end)
            end.read_exactly(1)
            alert_name = None
        except (ssl.SSLError, wire.Closed) as error:
            alert_name = getattr(error, "reason", None)
        peer.close()
        end.close()
        return alert_name, gate.wait_access(client=peer.client)["reason"]

    assert outcome(gate()) == ("SSLV3_ALERT_BAD_CERTIFICATE", "broker_tls_cert_name")
    assert outcome(gate(verify="ca"))[0] is None
    assert outcome(gate(ca=authority)) == ("TLSV1_ALERT_UNKNOWN_CA", "broker_tls_cert_unknown_ca")
    assert outcome(gate(), inner.server(target.address, prefix="ip-"))[0] is None
    assert outcome(gate(name="client"), inner.server("a.edge.test", prefix="sni-"))[0] is None
    strict = inner.server(target.address, prefix="strict-")
    strict.context.verify_mode = ssl.CERT_REQUIRED
    strict.context.load_verify_locations(inner.file)
    mine = inner.issue("penstock", client=True)
    assert outcome(gate(cert_file=str(mine[0]), key_file=str(mine[1])), strict)[0] is None
    assert outcome(gate(), strict)[1] == "broker_tls_peer_alert"


def test_sni_towards_the_target(penstock, fake, authority, inner, certificate, lab):
    """The name in forward, not the one the client asked for; an address is no name."""
    server = inner.server("b1.inside.test", "127.77.1.0")
    target = fake(server.serve, port=PORT)
    lab.names.table["b1.inside.test"] = target.address
    routes = [{"host": "a.edge.test", "mode": "reencrypt", "forward": f"b1.inside.test:{PORT}", "broker_tls": speaking(inner)}]
    gate = edge(penstock, certificate, routes)
    peer = secure(gate, authority.trusting(), "a.edge.test")
    says_back(peer)
    peer.close()
    assert server.names == ["b1.inside.test"]


@pytest.mark.parametrize("mode", ["terminate", "reencrypt"])
def test_captures(penstock, fake, authority, inner, certificate, lab, mode):
    server = inner.server("cell-3.internal")
    target = fake(plain_echo if mode == "terminate" else server.serve, address=settings.OPEN_ADDRESS, port=PORT)
    lab.names.table["cell-3.internal"] = target.address
    route = {"host": "*.edge.test", "mode": mode, "forward": f"{{1}}.internal:{PORT}"}
    if mode == "reencrypt":
        route["broker_tls"] = speaking(inner)
    gate = edge(penstock, certificate, [route], egress={"allow": {"hosts": ["*.internal"]}})
    peer = secure(gate, authority.trusting(), "cell-3.edge.test")
    says_back(peer)
    peer.close()
    assert mode == "terminate" or server.names == ["cell-3.internal"]


@pytest.mark.parametrize("mode", ["terminate", "reencrypt"])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_proxy_header(penstock, fake, authority, inner, certificate, mode, version):
    """In front of what goes on in clear; inside the TLS that begins here."""
    side = inner.server("a.edge.test")
    target = fake(port=PORT)
    route = {"host": "a.edge.test", "mode": mode, "forward": where(target), "send_proxy_protocol": version}
    if mode == "reencrypt":
        route["broker_tls"] = speaking(inner, name="client")
    gate = edge(penstock, certificate, [route])
    peer = secure(gate, authority.trusting(), "a.edge.test")
    address, port = peer.client.split(":")
    peer.send(b"payload")
    end = target.next()
    if mode == "reencrypt":
        side.wrap(end)
    if version == "v1":
        want = f"PROXY TCP4 {address} {settings.GATE_ADDRESS} {port} {gate.port}\r\n".encode()
    else:
        want = V2 + b"\x21\x11\x00\x0c" + socket.inet_aton(address) + socket.inet_aton(settings.GATE_ADDRESS)
        want += struct.pack(">HH", int(port), gate.port)
    assert end.read_exactly(len(want) + 7) == want + b"payload"
    peer.close()
    end.close()


def test_ends_are_ends(penstock, fake, authority, inner, certificate):
    """Half a close is half a close through two TLS connections; a cut is a reset."""
    side = inner.server("a.edge.test")
    target = fake(port=PORT)
    routes = [{"host": "a.edge.test", "mode": "reencrypt", "forward": where(target), "broker_tls": speaking(inner, name="client")}]
    gate = edge(penstock, certificate, routes)

    def pair():
        peer = secure(gate, authority.trusting(), "a.edge.test")
        peer.send(b"question")
        end = side.wrap(target.next())
        assert end.read_exactly(8) == b"question"
        return peer, end

    peer, end = pair()
    end.send(b"answer")
    closing = threading.Thread(target=end.sock.unwrap)  # waits for the other half
    closing.start()
    assert peer.read_exactly(6) == b"answer"
    assert peer.sock.recv(1) == b""
    peer.sock.unwrap()
    closing.join()
    peer.close()
    end.close()
    assert gate.wait_access(client=peer.client)["reason"] == "broker_fin"
    peer, end = pair()
    raw = socket.socket(fileno=os.dup(peer.sock.fileno()))
    raw.shutdown(socket.SHUT_WR)
    raw.close()
    with pytest.raises((ssl.SSLEOFError, ConnectionResetError, wire.Closed)):
        end.sock.recv(1)
        raise wire.Closed
    peer.close()
    end.close()
    assert gate.wait_access(client=peer.client)["reason"] == "client_tls_truncated"


# ---- Pulsar inside


def tls_url(broker):
    broker.url = broker.url.replace("pulsar://", "pulsar+ssl://")
    return broker.url


@pytest.mark.parametrize("mode", ["terminate", "reencrypt"])
def test_pulsar_inside(penstock, fake, authority, inner, certificate, mode):
    """With a cluster: CONNECT is understood, proxy_to_broker_url obeyed and taken out, lookups are answered through the gate."""
    broker = fake()
    side = inner.server(broker.address)
    cluster = {"discovery": {"urls": [tls_url(broker) if mode == "reencrypt" else broker.url]}, "send_proxy_protocol": "v1"}
    if mode == "reencrypt":
        cluster["broker_tls"] = speaking(inner)
    routes = [{"host": "east.edge.test", "mode": mode, "cluster": "c"}]
    gate = edge(penstock, certificate, routes, clusters={"c": cluster})

    def arrive():
        end = broker.next()
        if mode == "reencrypt":
            side.wrap(end)
        header = b""
        while not header.endswith(b"\r\n"):
            header += end.read_exactly(1)
        assert header.startswith(b"PROXY TCP4 10.77.")
        return end

    peer = secure(gate, authority.trusting(), "east.edge.test")
    peer.send(wire.connect(target=broker.where), b"more")
    end = arrive()
    assert end.expect(wire.CONNECT)[wire.TARGET] is None and end.read_exactly(4) == b"more"
    end.send(wire.connected())
    assert peer.expect(wire.CONNECTED).raw == wire.connected()
    peer.close()
    end.close()
    row = gate.wait_access(client=peer.client)
    assert row["kind"] == "data" and row["route"] == row["sni"] == "east.edge.test", row

    peer = secure(gate, authority.trusting(), "east.edge.test")
    peer.send(wire.connect())
    end = arrive()
    end.expect(wire.CONNECT)
    end.send(wire.connected())
    peer.expect(wire.CONNECTED)
    peer.close()
    end.close()
    assert gate.wait_access(client=peer.client)["kind"] == "lookup"

    peer = secure(gate, authority.trusting(), "east.edge.test")
    peer.send(wire.connect(target="10.99.99.99:6650"))
    assert peer.expect(wire.ERROR)[2] == wire.NOT_ALLOWED
    assert peer.sock.recv(1) == b"", "close_notify"
    peer.close()
    assert broker.none_waiting()
    assert gate.metrics()("penstock_route_connections_total", route="east.edge.test") == 3


def test_discovered_broker_is_reencrypted(penstock, fake, authority, inner, lab):
    """The name the client asks for is the broker's; nobody looks at what is inside."""
    one, two = fake(port=PORT), fake(port=PORT)
    lab.names.table.update({"b1.pulsar.test": one.address, "b2.pulsar.test": two.address})
    side = inner.server("b1.pulsar.test", "b2.pulsar.test")
    urls = [f"pulsar+ssl://b{n}.pulsar.test:{PORT}" for n in (1, 2)]
    clusters = {"c": {"discovery": {"urls": urls}, "broker_tls": speaking(inner)}}
    gate = edge(penstock, authority.issue("*.pulsar.test"), [{"discovered": "c", "mode": "reencrypt"}], clusters=clusters)
    for name, target in (("b1.pulsar.test", one), ("b2.pulsar.test", two)):
        peer = secure(gate, authority.trusting(), name)
        peer.send(b"not Pulsar")
        end = side.wrap(target.next())
        assert end.read_exactly(10) == b"not Pulsar"
        assert side.names[-1] == name
        peer.close()
        end.close()
        assert gate.wait_access(client=peer.client)["route"] == "discovered:c"
    assert alert(refused_raw(gate, hello("b3.pulsar.test"))) == 112


# ---- reload


def test_reload(penstock, fake, authority, inner, certificate):
    """Open connections live on whatever becomes of their route; one in the middle of its handshake ends rather than going on in clear."""
    target = fake(plain_echo)
    routes = [{"host": "a.edge.test", "mode": "terminate", "forward": where(target)}, {"host": "b.edge.test", "forward": where(target)}]
    gate = edge(penstock, certificate, routes)
    peer = secure(gate, authority.trusting(), "a.edge.test")
    says_back(peer)
    half = dial(settings.GATE_ADDRESS, gate.port)
    client = "{}:{}".format(*half.sock.getsockname())
    session = authority.trusting().wrap_bio(inside := ssl.MemoryBIO(), out := ssl.MemoryBIO(), server_hostname="a.edge.test")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    half.send(out.read())
    inside.write(half.read())
    routes = [{"host": "a.edge.test", "forward": where(target)}, {"host": "b.edge.test", "mode": "terminate", "forward": where(target)}]
    listener = {"name": "edge", "bind": f"{settings.GATE_ADDRESS}:{gate.port}", "routes": routes, **ending(certificate)}
    gate.write({"listeners": [listener], "process": {"workers": 2}})
    gate.reload()
    wait_until("the reload", 5, lambda: gate.metrics()("penstock_config_generation") == 2)
    assert gate.wait_access(client=client)["reason"] == "listener_gone"
    half.close()
    says_back(peer, b"still here")
    other = secure(gate, authority.trusting(), "b.edge.test")
    says_back(other)
    other.close()
    peer.close()
    reaches(gate, hello("a.edge.test"), _taking(fake, gate, certificate, target))


def _taking(fake, gate, certificate, old):
    """A fake to be read by hand, where route a leads from now on."""
    new = fake()
    routes = [{"host": "a.edge.test", "forward": where(new)}, {"host": "b.edge.test", "mode": "terminate", "forward": where(old)}]
    listener = {"name": "edge", "bind": f"{settings.GATE_ADDRESS}:{gate.port}", "routes": routes, **ending(certificate)}
    gate.write({"listeners": [listener], "process": {"workers": 2}})
    gate.reload()
    wait_until("the reload", 5, lambda: gate.metrics()("penstock_config_generation") == 3)
    return new
