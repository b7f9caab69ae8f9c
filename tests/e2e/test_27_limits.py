"""Limits: who comes over one is told, nobody else notices, and the room is given back."""
import os
import random
import subprocess
import sys
import threading

import settings
import tls
import wire
from fakes import echo
from processes import wait_until
from wire import dial


def enter(gate, broker):
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect(target=broker.where))
    return peer, peer.read_frame()


def test_connection_limit(penstock, fake):
    broker = fake(echo)
    gate = penstock.fixed(broker, limits={"connections": 3}, process={"workers": 2})
    held = [enter(gate, broker) for _ in range(3)]
    assert all(got.kind == wire.CONNECTED for _, got in held)
    over, got = enter(gate, broker)
    over.close()
    assert got.kind == wire.ERROR and got[1] == wire.CONNECTION_LEVEL and got[2] == wire.NOT_ALLOWED
    wait_until("it to be counted", 10, lambda: gate.metrics()("penstock_disconnects_total", reason="conn_limit") == 1)
    assert gate.metrics()("pulsar_proxy_active_connections") == 3
    assert gate.metrics()("pulsar_proxy_rejected_connections_total") == 1
    held.pop()[0].close()
    wait_until("room", 3, lambda: gate.metrics()("pulsar_proxy_active_connections") == 2)
    peer, got = enter(gate, broker)
    assert got.kind == wire.CONNECTED


def test_limit_per_address(penstock, fake):
    broker = fake(echo)
    gate = penstock.fixed(broker, limits={"per_ip": 2})
    held = [enter(gate, broker) for _ in range(2)]
    assert all(got.kind == wire.CONNECTED for _, got in held)
    _, got = enter(gate, broker)
    assert got.kind == wire.ERROR and got[2] == wire.NOT_ALLOWED
    assert gate.wait_access(reason="conn_limit_ip")


def test_limit_per_address_counts_the_silent(penstock, fake):
    """Connections that have said nothing yet, or half a first frame, count like all others."""
    gate = penstock.fixed(fake(echo), limits={"per_ip": 2})
    silent = [dial(settings.GATE_ADDRESS, gate.port) for _ in range(2)]
    silent[1].send(b"\x00\x00")
    wait_until("both", 3, lambda: gate.metrics()("penstock_unrouted") == 2)
    over = dial(settings.GATE_ADDRESS, gate.port)
    assert over.expect(wire.ERROR)[2] == wire.NOT_ALLOWED
    for peer in [*silent, over]:
        peer.close()


def test_limits_where_tls_is_spoken(penstock, fake, tmp_path):
    """Who is over a limit is told by an alert, since anything else in clear would be nonsense to it."""
    certificate, key = tls.Authority(tmp_path).issue("gw.example.com")
    listener = {"tls": {"cert_file": str(certificate), "key_file": str(key)}}
    for limits, reason in (({"per_ip": 1}, "conn_limit_ip"), ({"connections": 1}, "conn_limit")):
        for gate in (penstock.fixed(fake(), listener=listener, limits=limits), penstock.forward(fake(), listener=listener, limits=limits)):
            silent = dial(settings.GATE_ADDRESS, gate.port)
            wait_until("the first", 3, lambda gate=gate: gate.metrics()("penstock_unrouted") == 1)
            over = dial(settings.GATE_ADDRESS, gate.port)
            answer, was_reset = over.read_to_end()
            assert tls.alert(answer) == 80 and not was_reset
            over.close()
            assert gate.wait_access(reason=reason)
            silent.close()


def test_no_clear_words_before_tls(penstock, fake, tmp_path):
    """Nor is a client told in Pulsar's words that its load balancer has not introduced it."""
    certificate, key = tls.Authority(tmp_path).issue("gw.example.com")
    listener = {"tls": {"cert_file": str(certificate), "key_file": str(key)}, "proxy_protocol": {"mode": "required", "trusted": ["10.77.0.0/24"]}}
    gate = penstock.fixed(fake(), listener=listener)
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(tls.hello("gw.example.com"))
    assert peer.read_to_end()[0] == b""
    peer.close()
    assert gate.wait_access(reason="proxy_missing")


def test_unrouted_connections_wait(penstock, fake):
    """limits.unrouted: silent clients cannot use up first-frame buffers; accepting pauses, and goes on when they time out."""
    broker = fake(echo)
    gate = penstock.fixed(broker, limits={"unrouted": 8}, timeouts={"hello": "1s"}, process={"workers": 1})
    silent = [dial(settings.GATE_ADDRESS, gate.port) for _ in range(16)]
    _, got = enter(gate, broker)
    assert got.kind == wire.CONNECTED
    for peer in silent:
        peer.close()


def test_first_frame_limit(penstock, fake):
    broker = fake(echo)
    gate = penstock.fixed(broker, limits={"first_frame": "2KiB"})
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect(target=broker.where, data=b"x" * 3000))
    assert peer.read_frame().kind == wire.ERROR
    assert gate.wait_access(reason="frame_too_big")
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect(target=broker.where, data=b"x" * 1000))
    peer.expect(wire.CONNECTED)


def test_out_of_pipes(penstock, fake):
    """limits.pipes used up: streams are copied, counted by reason, no byte lost."""
    broker = fake(echo)
    gate = penstock.fixed(broker, limits={"pipes": 1}, process={"workers": 1})
    stream_both_ways(gate, broker, 6)
    metrics = gate.metrics()
    assert metrics("penstock_path_fallback_total", reason="pipe_limit") > 0
    assert metrics("penstock_pipes_in_use") <= 1


HOLD_PIPES = """
import fcntl, os, sys
held = []
while len(held) < 2000:
    held.append(os.pipe())
    if fcntl.fcntl(held[-1][1], 1032) <= 8192:  # F_GETPIPE_SZ: the limit is reached when a new pipe comes small
        break
    try: fcntl.fcntl(held[-1][1], 1031, 1 << 20)  # F_SETPIPE_SZ
    except PermissionError: pass
print(fcntl.fcntl(held[-1][1], 1032), flush=True)
sys.stdin.read()
"""


def test_the_users_pipe_pages_are_used_up(penstock, fake):
    """An ordinary user whose other programs hold all pipe pages (fs.pipe-user-pages-soft): pipes come small; no byte is lost."""
    nobody = 65534
    python = os.path.realpath(sys.executable)  # not by way of a folder that is root's own
    as_nobody = ["setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups"]
    holder = subprocess.Popen([*as_nobody, python, "-c", HOLD_PIPES], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert int(holder.stdout.readline()) <= 8192, "the limit is not reached: fs.pipe-user-pages-soft is raised?"
        broker = fake(echo)
        gate = penstock.fixed(broker, start={"user": nobody})
        stream_both_ways(gate, broker, 4)
    finally:
        holder.stdin.close()
        holder.wait(10)


def stream_both_ways(gate, broker, count):
    """So many connections at once, 6 MiB there and back on each."""
    data = random.Random(4).randbytes(6 << 20)
    peers = [dial(settings.GATE_ADDRESS, gate.port, 20) for _ in range(count)]
    for peer in peers:
        peer.send(wire.connect(target=broker.where))
        peer.expect(wire.CONNECTED)
    wrong = []

    def both(peer):
        threading.Thread(target=peer.send, args=(data,)).start()
        if peer.read_exactly(len(data)) != data:
            wrong.append(peer)

    threads = [threading.Thread(target=both, args=(peer,)) for peer in peers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    for peer in peers:
        peer.close()
