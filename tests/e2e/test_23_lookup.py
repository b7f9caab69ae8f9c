"""Lookup connections against scripted brokers: only LOOKUP_RESPONSE is changed, redirects are followed inside, errors stay their own."""
import socket
import threading
import time

import pytest
import settings
import wire
from fakes import echo
from processes import wait_until
from wire import dial

T = "persistent://public/default/t"


def open_lookup(gate, **words):
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect(**words))
    return peer


def both(gate, broker, **words):
    """A lookup connection and the broker's end of it."""
    peer = open_lookup(gate, **words)
    connection, _ = broker.handshake()
    peer.expect(wire.CONNECTED)
    return peer, connection


def ask(peer, connection, request, answer, more=()):
    """One LOOKUP seen by the broker as it was sent, and what the client gets for the broker's answer."""
    question = wire.lookup(T, request, more)
    peer.send(question)
    assert connection.read_frame().raw == question
    connection.send(answer)
    return peer.read_frame()


def test_the_answer_leads_back_through_penstock(penstock, fake):
    broker = fake()
    gate = penstock.fixed(broker)
    peer, connection = both(gate, broker)
    unknown = (60, b"from the future")
    got = ask(peer, connection, 7, wire.lookup_answer(7, broker.url, more=[unknown]))
    assert got.kind == wire.LOOKUP_RESPONSE and got[4] == 7 and got[3] == wire.CONNECT_TO
    assert got.text(1) == broker.url and got.text(2) == broker.url and got[8] == 1
    assert unknown in got.fields
    assert got[5] == 1
    assert gate.metrics()("penstock_lookups_total", result="relayed") == 1
    assert gate.metrics()("pulsar_proxy_lookup_requests_total") == 1


def test_the_question_is_not_touched(penstock, fake):
    """Listener name, properties and whatever comes later reach the broker (`ask` compares the bytes)."""
    broker = fake()
    gate = penstock.fixed(broker)
    peer, connection = both(gate, broker)
    more = [(7, "gateway"), (8, wire.encode([(1, "k"), (2, "v")])), (8, wire.encode([(1, "k2"), (2, "v2")])), (55, 9)]
    ask(peer, connection, 1, wire.lookup_answer(1, broker.url), more)


def test_everything_else_flows_untouched(penstock, fake):
    broker = fake()
    gate = penstock.fixed(broker)
    peer, connection = both(gate, broker)
    there = [
        wire.frame(wire.PARTITIONED_METADATA, [(1, T), (2, 1), (6, 0)]), wire.frame(wire.PING, []), wire.frame(wire.GET_TOPICS, [(1, 2), (2, "public/default")]),
        wire.frame(wire.WATCH_TOPIC_LIST, [(1, 3), (2, 4), (3, "public/default"), (4, ".*")]), wire.frame(62, [(1, 5), (2, 0)]),
        wire.frame(39, [(1, 6), (2, T), (3, wire.encode([(1, "s"), (3, b"{}"), (4, 2)]))]), wire.frame(70, [(1, 1), (2, T)]), wire.frame(199, [(1, 1)]),
        wire.frame(wire.SEND, [(1, 1), (2, 2)], payload=b"p" * 100_000),
    ]  # fmt: skip
    back = [
        wire.frame(wire.PARTITIONED_METADATA_RESPONSE, [(2, 1), (3, 1), (4, wire.TOPIC_NOT_FOUND), (5, "no such topic")]), wire.frame(wire.PONG, []),
        wire.frame(wire.GET_TOPICS_RESPONSE, [(1, 2), *[(2, f"{T}-{n}") for n in range(20_000)]]), wire.frame(wire.WATCH_TOPIC_LIST_SUCCESS, [(1, 3), (2, 4), (4, "h")]),
        wire.frame(wire.ERROR, [(1, 5), (2, 20), (3, "no coordinator")]), wire.frame(15, [(1, 1), (2, 2), (3, broker.url)]), wire.frame(199, [(1, 1)]),
    ]  # fmt: skip
    sender = threading.Thread(target=peer.send, args=there)
    sender.start()
    for sent in there:
        assert connection.read_frame().raw == sent
    sender.join()
    sender = threading.Thread(target=connection.send, args=back)
    sender.start()
    for sent in back:
        assert peer.read_frame().raw == sent
    sender.join()


def test_errors_keep_their_type_and_code(penstock, fake):
    broker = fake()
    gate = penstock.fixed(broker)
    peer, connection = both(gate, broker)
    for code in range(26):
        failed = wire.lookup_answer(code, kind=wire.FAILED, error=code, authoritative=0)
        assert ask(peer, connection, code, failed).raw == failed, f"error {code}"
        partitions = wire.frame(wire.PARTITIONED_METADATA_RESPONSE, [(2, 1000 + code), (3, 1), (4, code), (5, "text")])
        peer.send(wire.frame(wire.PARTITIONED_METADATA, [(1, T), (2, 1000 + code)]))
        connection.read_frame()
        connection.send(partitions)
        assert peer.read_frame().raw == partitions, f"partition metadata error {code}"
    assert gate.metrics()("penstock_lookups_total", result="failed") == 26


def test_a_redirect_is_followed_inside(penstock, fake):
    """To another broker, with the client's own CONNECT, the listener name and the properties."""
    first, second = fake(), fake()
    gate = penstock.fixed(first, cluster={"discovery": {"urls": [first.url]}})
    more = [(7, b"gateway"), (8, wire.encode([(1, "k"), (2, "v")]))]
    words = {"method": "token", "data": b"secret"}
    peer, connection = both(gate, first, **words)
    question = wire.lookup(T, 5, more)
    peer.send(question)
    connection.expect(wire.LOOKUP)
    connection.send(wire.lookup_answer(5, second.url, kind=wire.REDIRECT, authoritative=1))
    hop = second.next()
    assert hop.expect(wire.CONNECT).raw == wire.connect(**words)
    hop.send(wire.connected())
    asked = hop.expect(wire.LOOKUP)
    assert asked.text(1) == T and asked[3] == 1 and [f for f in asked.fields if f[0] in (7, 8)] == more
    peer.send(wire.frame(wire.PING, []))  # the primary lane keeps flowing
    connection.expect(wire.PING)
    connection.send(wire.frame(wire.PONG, []))
    peer.expect(wire.PONG)
    hop.send(wire.lookup_answer(asked[2], second.url))
    got = peer.expect(wire.LOOKUP_RESPONSE)
    assert got[4] == 5 and got[3] == wire.CONNECT_TO and got.text(1) == second.url and got[8] == 1
    metrics = gate.metrics()
    assert metrics("penstock_redirect_hops_total") == 1 and metrics("penstock_lookups_total", result="redirected") == 1


def redirecting(target, seen):
    """Serves lookups with a redirect to target(topic), counting."""

    def serve(peer):
        seen.append(peer.expect(wire.CONNECT))
        peer.send(wire.connected())
        while True:
            got = peer.read_frame()
            if got.kind == wire.LOOKUP:
                peer.send(wire.lookup_answer(got[2], target(got), kind=wire.REDIRECT))

    return serve


def test_redirects_in_a_circle_end(penstock, fake):
    seen, urls = [], []
    one, two = (fake(redirecting(lambda _, n=n: urls[1 - n], seen)) for n in (0, 1))
    urls += [one.url, two.url]
    gate = penstock.fixed(one, two)
    peer = open_lookup(gate)
    peer.expect(wire.CONNECTED)
    peer.send(wire.lookup(T, 3))
    got = peer.expect(wire.LOOKUP_RESPONSE)
    assert got[4] == 3 and got[3] == wire.FAILED and got[6] == wire.SERVICE_NOT_READY
    assert gate.metrics()("penstock_redirect_hops_total") <= 10
    peer.send(wire.frame(wire.PING, []))  # the connection lives on


@pytest.mark.parametrize("way", ["AB", "ABC", "ABA", "ABCD", "ABCB", "ABAB", "ABCABC"])
def test_redirects_by_turns(penstock, fake, way):
    """Each broker of the way sends on to the next one, the last one answers; going back to one that was asked before is no trouble."""
    step = 0

    def serve(peer):
        nonlocal step
        peer.expect(wire.CONNECT)
        peer.send(wire.connected())
        while True:
            got = peer.expect(wire.LOOKUP)
            step += 1
            if step < len(way):
                peer.send(wire.lookup_answer(got[2], brokers[way[step]].url, kind=wire.REDIRECT))
            else:
                peer.send(wire.lookup_answer(got[2], brokers[way[-1]].url))

    brokers = {name: fake(serve, seconds=30) for name in set(way)}
    gate = penstock.fixed(brokers["A"], timeouts={"connect": "1s"})
    peer = open_lookup(gate)
    peer.expect(wire.CONNECTED)
    peer.send(wire.lookup(T, 3))
    got = peer.expect(wire.LOOKUP_RESPONSE)
    assert got[3] == wire.CONNECT_TO and got.text(1) == brokers[way[-1]].url
    assert gate.metrics()("penstock_redirect_hops_total") == len(way) - 1


def test_a_hop_that_never_answers(penstock, fake):
    """One deadline for the whole redirect: the client gets ServiceNotReady, not silence."""
    first, second = fake(seconds=30), fake(seconds=30)
    gate = penstock.fixed(first, timeouts={"connect": "1s"})
    peer, connection = both(gate, first)
    peer.send(wire.lookup(T, 1))
    connection.expect(wire.LOOKUP)
    connection.send(wire.lookup_answer(1, second.url, kind=wire.REDIRECT))
    second.handshake()  # and then it falls silent
    got = peer.expect(wire.LOOKUP_RESPONSE)
    assert got[4] == 1 and got[3] == wire.FAILED and got[6] == wire.SERVICE_NOT_READY


def test_many_redirects_share_few_connections(penstock, fake):
    """64 pipelined lookups, redirected to 6 brokers: at most 4 hop connections at a time, each answer to its question."""

    def owner(got):
        return owners[int(got.text(1).rpartition("-")[2]) % len(owners)].url

    def answer(peer):
        peer.expect(wire.CONNECT)
        peer.send(wire.connected())
        while True:
            got = peer.expect(wire.LOOKUP)
            peer.send(wire.lookup_answer(got[2], owner(got)))

    owners = [fake(answer) for _ in range(6)]
    first = fake(redirecting(owner, []))
    gate = penstock.fixed(first)
    peer = open_lookup(gate)
    peer.expect(wire.CONNECTED)
    peer.send(b"".join(wire.lookup(f"{T}-{n}", 100 + n) for n in range(64)))
    got = {}
    for _ in range(64):
        answered = peer.expect(wire.LOOKUP_RESPONSE)
        got[answered[4]] = answered
    for n in range(64):
        assert got[100 + n][3] == wire.CONNECT_TO, got[100 + n]
        assert got[100 + n].text(1) == owners[n % 6].url
    peer.close()


def test_a_redirect_that_leads_nowhere(penstock, fake):
    """The redirect's broker is dead: the client gets ServiceNotReady for that lookup, in time, and keeps its connection."""
    broker, dead = fake(), fake()
    dead.close()
    gate = penstock.fixed(broker, timeouts={"connect": "1s"})
    peer, connection = both(gate, broker)
    for request, url in ((1, dead.url), (2, f"pulsar://{settings.NOBODY_ADDRESS}:6650")):
        began = time.monotonic()
        got = ask(peer, connection, request, wire.lookup_answer(request, url, kind=wire.REDIRECT))
        assert got.kind == wire.LOOKUP_RESPONSE and got[4] == request and got[3] == wire.FAILED and got[6] == wire.SERVICE_NOT_READY
        assert time.monotonic() - began < 8
    peer.send(wire.frame(wire.PING, []))
    connection.expect(wire.PING)


def test_a_broker_that_refuses_the_hop(penstock, fake):
    """The second broker's ERROR ends that lookup, not the connection."""
    first, second = fake(), fake()
    gate = penstock.fixed(first)
    peer, connection = both(gate, first)
    peer.send(wire.lookup(T, 9))
    connection.expect(wire.LOOKUP)
    connection.send(wire.lookup_answer(9, second.url, kind=wire.REDIRECT))
    hop = second.next()
    hop.expect(wire.CONNECT)
    hop.send(wire.frame(wire.ERROR, [(1, wire.CONNECTION_LEVEL), (2, wire.AUTHENTICATION_ERROR), (3, "no")]))
    hop.close()
    got = peer.expect(wire.LOOKUP_RESPONSE)
    assert got[4] == 9 and got[3] == wire.FAILED and got[6] in (wire.AUTHENTICATION_ERROR, wire.SERVICE_NOT_READY)
    peer.send(wire.frame(wire.PING, []))
    connection.expect(wire.PING)


def refresh(peer, connection, data):
    challenge = wire.frame(wire.AUTH_CHALLENGE, [(2, wire.encode([(1, "token"), (2, b"PulsarAuthRefresh")]))])
    response = wire.frame(wire.AUTH_RESPONSE, [(1, "raw-test"), (2, wire.encode([(1, "token"), (2, data)])), (3, 21)])
    connection.send(challenge)
    assert peer.read_frame().raw == challenge
    peer.send(response)
    assert connection.read_frame().raw == response


def test_a_refreshed_token_is_what_hops_carry(penstock, fake):
    first, second = fake(), fake()
    gate = penstock.fixed(first)
    peer, connection = both(gate, first, method="token", data=b"old")
    for data in (b"new", b"a much longer token than before" * 10, b"s"):
        refresh(peer, connection, data)
    peer.send(wire.lookup(T, 1))
    connection.expect(wire.LOOKUP)
    connection.send(wire.lookup_answer(1, second.url, kind=wire.REDIRECT))
    hop = second.next()
    got = hop.expect(wire.CONNECT)
    assert got[3] == b"s" and got.text(5) == "token" and got.text(1) == "raw-test"
    hop.send(wire.connected())
    hop.expect(wire.LOOKUP)
    hop.send(wire.lookup_answer(1, second.url))
    assert peer.expect(wire.LOOKUP_RESPONSE)[3] == wire.CONNECT_TO


def test_several_rounds_cannot_be_replayed(penstock, fake):
    """After a challenge before CONNECTED the redirect is not followed with the first round: ask again here, or say not ready."""
    first, second = fake(), fake()
    gate = penstock.fixed(first)
    peer = open_lookup(gate, method="sasl", data=b"round 0")
    connection = first.next()
    connection.expect(wire.CONNECT)
    connection.send(wire.frame(wire.AUTH_CHALLENGE, [(2, wire.encode([(1, "sasl"), (2, b"?")]))]))
    peer.expect(wire.AUTH_CHALLENGE)
    peer.send(wire.frame(wire.AUTH_RESPONSE, [(2, wire.encode([(1, "sasl"), (2, b"!")]))]))
    connection.expect(wire.AUTH_RESPONSE)
    connection.send(wire.connected())
    peer.expect(wire.CONNECTED)
    peer.send(wire.lookup(T, 4))
    connection.expect(wire.LOOKUP)
    connection.send(wire.lookup_answer(4, second.url, kind=wire.REDIRECT))
    again = connection.expect(wire.LOOKUP)  # the same broker is asked to decide by itself
    assert again[2] == 4 and again[3] == 1 and again.text(1) == T
    connection.send(wire.lookup_answer(4, second.url, kind=wire.REDIRECT))
    got = peer.expect(wire.LOOKUP_RESPONSE)  # it does not: the client is told, never sent there
    assert got[4] == 4 and got[3] == wire.FAILED and got[6] == wire.SERVICE_NOT_READY
    assert second.none_waiting()


def test_the_lookup_limit_is_real(penstock, fake):
    """limits.lookups bounds lookups in flight; the surplus is told TooManyRequests and the connection stays."""
    broker = fake()
    gate = penstock.fixed(broker, limits={"lookups": 2}, process={"workers": 1})
    peer, connection = both(gate, broker)
    peer.send(*(wire.lookup(T, n) for n in (1, 2, 3)))
    got = peer.expect(wire.LOOKUP_RESPONSE)
    assert got[4] == 3 and got[3] == wire.FAILED and got[6] == wire.TOO_MANY_REQUESTS
    for n in (1, 2):
        assert connection.expect(wire.LOOKUP)[2] == n
        connection.send(wire.lookup_answer(n, broker.url))
        assert peer.expect(wire.LOOKUP_RESPONSE)[4] == n
    assert ask(peer, connection, 4, wire.lookup_answer(4, broker.url))[3] == wire.CONNECT_TO
    metrics = gate.metrics()
    assert metrics("penstock_lookups_total", result="throttled") == 1 and metrics("pulsar_proxy_rejected_lookup_requests_total") == 1


# ---- brokers that are not there


def test_a_dead_broker_is_passed_over(penstock, fake):
    """Lookup and any-broker connections try the next at once, and the dead one rests."""
    live, dead = fake(), fake()
    dead.close()
    gate = penstock.fixed(dead, live, timeouts={"connect": "30s"})
    start = time.monotonic()
    for target in [None, ""] * 12:
        began = time.monotonic()
        peer = open_lookup(gate, target=target)
        connection, _ = live.handshake()
        peer.expect(wire.CONNECTED)
        assert time.monotonic() - began < 8
        peer.close()
        connection.close()
    metrics = gate.metrics()
    rounds = 1 + (time.monotonic() - start) // 2  # it rests for two seconds, for each worker
    assert 1 <= metrics("penstock_dial_failures_total") <= metrics("penstock_workers") * rounds, "the dead broker did not rest"
    assert metrics("penstock_dial_retries_total") >= 1


def test_a_broker_that_does_not_answer_is_passed_over(penstock, fake):
    live = fake()
    nobody = f"pulsar://{settings.NOBODY_ADDRESS}:6650"
    one = penstock.new()
    gate = one.start(penstock.config(one, [nobody, live.url], timeouts={"connect": "500ms"}, process={"workers": 1}))
    for _ in range(4):
        began = time.monotonic()
        peer = open_lookup(gate)
        connection, _ = live.handshake()
        peer.expect(wire.CONNECTED)
        assert time.monotonic() - began < 5
        peer.close()
        connection.close()


def test_a_named_broker_that_is_dead(penstock, fake):
    """Nobody else may answer for it: ERROR within timeouts.connect."""
    live, dead = fake(), fake()
    dead.close()
    nobody = f"{settings.NOBODY_ADDRESS}:6650"
    one = penstock.new()
    gate = one.start(penstock.config(one, [live.url, dead.url, f"pulsar://{nobody}"], timeouts={"connect": "1s"}))
    for target, reasons in ((dead.where, ["connect_refused"]), (nobody, ["connect_timeout", "connect_failed"])):
        began = time.monotonic()
        peer = open_lookup(gate, target=target)
        error = peer.expect(wire.ERROR)
        assert error[1] == wire.CONNECTION_LEVEL and error[2] == wire.SERVICE_NOT_READY
        assert peer.read_to_end() == (b"", False)
        assert time.monotonic() - began < 8
        peer.close()
        wait_until(f"an access line with one of {reasons}", 10, lambda: any(gate.access(reason=r) for r in reasons))
    assert live.none_waiting()


def test_all_brokers_dead_and_back(penstock, fake):
    broker = fake()
    broker.close()
    gate = penstock.fixed(broker, timeouts={"connect": "1s"})
    peer = open_lookup(gate)
    assert peer.expect(wire.ERROR)[2] == wire.SERVICE_NOT_READY
    fake(echo, address=broker.address)

    def back():
        peer = open_lookup(gate)
        got = peer.read_frame()
        peer.close()
        return got.kind == wire.CONNECTED

    wait_until("penstock to go there again", 5, back)


def test_brokers_are_learned_from_answers(penstock, fake):
    """Fixed URLs: a broker seen in an answer of a configured one may be named afterwards; others not."""
    configured, learned, stranger = fake(), fake(), fake()
    gate = penstock.fixed(configured)

    def name(broker):
        peer = dial(settings.GATE_ADDRESS, gate.port)
        peer.send(wire.connect(target=broker.where))
        return peer

    assert name(learned).expect(wire.ERROR)[2] == wire.NOT_ALLOWED
    peer, connection = both(gate, configured)
    ask(peer, connection, 1, wire.lookup_answer(1, learned.url))
    for number in range(20):  # at once, and whichever worker takes it
        data = name(learned)
        assert not _refused(data), f"connection {number} after the answer was refused"
        learned.handshake()
        data.expect(wire.CONNECTED)
    assert name(stranger).expect(wire.ERROR)[2] == wire.NOT_ALLOWED
    (cluster,) = gate.json("/brokers")["clusters"]
    assert {b["url"]: b["learned"] for b in cluster["brokers"]} == {configured.url: False, learned.url: True}


def _refused(peer):
    return not peer.silent(0.05) and wire.Frame(peer.sock.recv(4096, socket.MSG_PEEK)).kind == wire.ERROR


def test_check_active(penstock, fake):
    """check_active: only discovered and configured brokers; egress.allow is not asked."""
    broker, other = fake(), fake(address=settings.OPEN_ADDRESS)
    allow = {"allow": {"hosts": ["*"], "networks": ["10.77.0.0/24"], "ports": [6650]}}
    for check in (False, True):
        gate = penstock.fixed(broker, cluster={"check_active": check}, egress=allow)
        peer = dial(settings.GATE_ADDRESS, gate.port)
        peer.send(wire.connect(target=other.where))
        if check:
            assert peer.expect(wire.ERROR)[2] == wire.NOT_ALLOWED
        else:
            other.handshake()
            peer.expect(wire.CONNECTED)
        peer.close()


def test_brokers_are_used_in_turn(penstock, fake):
    brokers = [fake(lambda peer: (peer.expect(wire.CONNECT), peer.send(wire.connected()), peer.read())) for _ in range(3)]
    gate = penstock.fixed(*brokers)
    for _ in range(60):  # each begins anywhere
        peer = open_lookup(gate)
        peer.expect(wire.CONNECTED)
        peer.close()
        if all(broker.accepted >= 2 for broker in brokers):
            return
    raise AssertionError([b.accepted for b in brokers])


@pytest.mark.parametrize("url", ["pulsar://b.names.test:6650", "pulsar://{a}"])
def test_brokers_by_name_and_default_port(penstock, fake, lab, url):
    broker = fake()
    lab.names.table["b.names.test"] = broker.address
    one = penstock.new()
    gate = one.start(penstock.config(one, [url.replace("{a}", broker.address)]))
    peer, _ = both(gate, broker)
    peer.close()
