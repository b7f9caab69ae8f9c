"""Many connections: a thousand that rest and two hundred that work, in front of real brokers."""
import selectors
import socket
import threading

import settings
import wire
from clients import fresh
from fakes import echo
from processes import wait_until


class Idle:
    """Raw connections that say CONNECT, answer PING, and otherwise rest."""

    def __init__(self, port, count):
        self.selector, self.pings, self.lost = selectors.DefaultSelector(), 0, 0
        self.peers = []
        for number in range(count):
            peer = wire.Peer(socket.create_connection((settings.GATE_ADDRESS, port), 10), 10)
            peer.send(wire.connect(target="" if number % 2 else None))  # half data, half lookup connections
            self.peers.append(peer)
        for peer in self.peers:
            peer.expect(wire.CONNECTED)
            self.selector.register(peer.sock, selectors.EVENT_READ, peer)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            for key, _ in self.selector.select(0.1):
                try:
                    if key.data.read_frame().kind == wire.PING:
                        key.data.send(wire.frame(wire.PONG, []))
                        self.pings += 1
                except (wire.Closed, OSError):
                    self.lost += 1
                    self.selector.unregister(key.fileobj)

    def close(self):
        self._stop.set()
        self._thread.join()
        for peer in self.peers:
            peer.close()


def test_a_thousand_idle_and_two_hundred_busy(cluster, gate, java):
    rest = gate.metrics()
    idle = Idle(gate.port, 1000)
    try:
        now = gate.metrics()
        assert now("penstock_sessions_in_use") == 1000 and now("pulsar_proxy_active_connections") == 1000
        wait_until("idle connections to hold nothing", 5, lambda: not any(gate.metrics()(f"penstock_{kind}_in_use") for kind in ("buffers", "pipes")))
        per_connection = (now("process_resident_memory_bytes") - rest("process_resident_memory_bytes")) / 1000
        assert per_connection < 4096, f"{per_connection:.0f} bytes of memory per idle connection"
        topics = [f"persistent://{fresh('busy')}" for _ in range(20)]
        # each client: a lookup connection and one data connection, so 100 clients are 200 connections
        java.run("busy", url=gate.url, topics=topics, clients=100, count=30, seconds=90)
        wait_until("the busy ones to end", 10, lambda: gate.metrics()("penstock_sessions_in_use") == 1000)
        assert idle.lost == 0
        assert {row["kind"] for row in gate.json("/connections")["connections"]} == {"data", "lookup"}
        assert gate.json("/connections")["count"] == 1000
        now = gate.metrics()
        assert now("penstock_accept_paused_total") == rest("penstock_accept_paused_total")
    finally:
        idle.close()


def test_workers_share(penstock, fake):
    """With two workers, connections are spread over both (reuseport alone does not promise that)."""
    broker = fake(echo)
    gate = penstock.fixed(broker, process={"workers": 2})
    peers = []
    for _ in range(100):
        peers.append(wire.dial(settings.GATE_ADDRESS, gate.port))
        peers[-1].send(wire.connect(target=broker.where))
        peers[-1].expect(wire.CONNECTED)
    metrics = gate.metrics()
    share = [metrics("penstock_sessions_in_use", worker=str(n)) for n in (0, 1)]
    assert sum(share) == 100 and min(share) >= 35, share
    for peer in peers:
        peer.close()
