"""A wire between Kafka clients and penstock that reads along: whatever goes to a client must not hold what only brokers know.

    with Tap([9092, *range(19090, 19100)]) as tap: ...clients use 127.0.0.1 and penstock advertises it...; tap.leaks -> []
    with TlsTap([9093], authority, "gw.test", "*.gw.test") as tap: ...clients find those names at 127.0.0.1...; tap.leaks -> []

It stands on the clients' own loopback, at the ports penstock has on the gate address. A Tap sees nothing inside TLS, for which there is TlsTap.
"""
import collections
import contextlib
import select
import socket
import ssl
import struct
import threading

import netns
import settings

HOST = "127.0.0.1"
# Names of brokers, their network, and both as Kafka writes an address in DescribeQuorum.
SECRETS = [b".kafka.test", b"127.77."]


class Tap:
    def __init__(self, ports, secrets=SECRETS):
        self.secrets, self.leaks = secrets, []
        self.connections = 0
        self.bytes_to_clients = 0
        self._servers, self._open = [], set()
        self._lock = threading.Lock()
        with netns.client_side():
            for port in ports:
                server = socket.create_server((HOST, port), backlog=64)
                self._servers.append(server)
                threading.Thread(target=self._accept, args=(server, port), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self._servers:
            self._shut(one)  # wakes its thread; without that its port stays taken
            one.close()
        with self._lock:
            left = list(self._open)
        for one in left:
            self._shut(one)

    @staticmethod
    def _shut(sock):
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # past TLS, which another thread is at work with

    @staticmethod
    def _reset(sock):
        """Wakes its thread, and has nothing sent until it is closed."""
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            socket.socket.shutdown(sock, socket.SHUT_RD)

    def _accept(self, server, port):
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client, port), daemon=True).start()

    def _serve(self, client, port):
        try:
            client, gate = self._join(client, port)
        except (OSError, ValueError):  # ValueError: a client that has not said what it wants
            client.close()
            return
        with self._lock:
            self.connections += 1
            self._open |= {client, gate}
        self._carry(client, gate, port)
        with self._lock:
            self._open -= {client, gate}
        client.close()
        gate.close()

    def _join(self, client, port):
        """(the client's connection, one with penstock), as they are to be read."""
        with netns.client_side():
            gate = socket.create_connection((settings.GATE_ADDRESS, port), 5)
        gate.settimeout(None)
        return client, gate

    def _carry(self, client, gate, port):
        """Both ways, until their ends."""
        back = threading.Thread(target=self._pump, args=(gate, client, self._reader(port)), daemon=True)
        back.start()
        self._pump(client, gate, lambda data: None)
        back.join()

    def _pump(self, source, sink, see):
        try:
            while data := source.recv(65536):
                see(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:  # a reset stays one: to clients it is not an end
            self._reset(source)
            self._reset(sink)

    def _reader(self, port):
        """Reads along what goes to one client."""
        longest, tail = max(map(len, self.secrets)), b""

        def see(data):
            nonlocal tail
            self.bytes_to_clients += len(data)
            self._look(tail + data, port)
            tail = (tail + data)[-longest:]

        return see

    def _look(self, data, port):
        for secret in self.secrets:
            at = data.find(secret)
            if at >= 0:
                self.leaks.append((port, data[max(0, at - 40) : at + 60]))


class TlsTap(Tap):
    """Ends TLS in penstock's place, by certificates of `authority` for `names`, and begins it anew with penstock, for the name that the client
    wanted. Where one end is cut, the other is reset."""

    _PIECES = 16  # that wait for a slow reader

    def __init__(self, ports, authority, *names, secrets=SECRETS):
        self._ends, self._begins = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=authority.file)
        self._ends.load_cert_chain(*authority.issue(*names, prefix="tap-"))
        self._ends.sni_callback = self._note
        super().__init__(ports, secrets)

    @staticmethod
    def _note(client, name, _):
        client.wanted = name

    def _join(self, client, port):
        client.settimeout(10)
        client = self._ends.wrap_socket(client, server_side=True, suppress_ragged_eofs=False)
        _, gate = super()._join(client, port)
        gate.settimeout(10)
        return client, self._begins.wrap_socket(gate, server_hostname=client.wanted, suppress_ragged_eofs=False)

    def _carry(self, client, gate, port):
        """In one thread: what OpenSSL has of a connection is for one at a time."""
        other, see = {client: gate, gate: client}, {client: lambda data: None, gate: self._reader(port)}
        waiting = {one: collections.deque() for one in other}  # what is to be sent to it
        for one in other:
            one.setblocking(False)
        try:
            while True:
                self._wait([one for one in other if len(waiting[other[one]]) < self._PIECES], [one for one in other if waiting[one]])
                for one in other:
                    self._send(one, waiting[one])
                for source, sink in other.items():
                    data = self._receive(source) if len(waiting[sink]) < self._PIECES else None
                    if data == b"":
                        self._finish(sink, waiting[sink])
                        return
                    if data:
                        see[source](data)
                        waiting[sink].append(data)
                        self._send(sink, waiting[sink])
        except OSError:
            for one in other:
                self._reset(one)

    @staticmethod
    def _wait(reading, writing):
        if not any(one.pending() for one in reading):
            select.select(reading, writing, [])

    @staticmethod
    def _receive(one):
        """None: nothing now; b"": close_notify."""
        try:
            return one.recv(65536)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None

    @staticmethod
    def _send(one, pieces):
        """What has not been taken has to come again as it is."""
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            while pieces:
                one.send(pieces[0])
                pieces.popleft()

    @staticmethod
    def _finish(one, pieces):
        """Says the rest, and close_notify; reads on until the other end has understood, so that no reset overtakes them."""
        one.settimeout(5)
        for piece in pieces:
            one.sendall(piece)
        one.settimeout(1)
        with contextlib.suppress(OSError):
            one.unwrap()


def clean(ports):
    """For fixtures: a wire that something has come by, and no leak."""
    yield from watched(Tap(ports))


def watched(tap):
    """The same for any tap that is made for it."""
    with tap as wire:
        yield wire
        assert wire.connections > 0 and wire.bytes_to_clients > 0, "nobody came by the wire"
        assert not wire.leaks, f"{len(wire.leaks)} addresses of brokers went to clients: {wire.leaks[:3]}"
