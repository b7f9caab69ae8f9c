"""A wire between Kafka clients and penstock that reads along: whatever goes to a client must not hold what only brokers know.

    with Tap([9092, *range(19090, 19100)]) as tap: ...clients use 127.0.0.1 and penstock advertises it...; tap.leaks -> []

It stands on the clients' own loopback, at the ports penstock has on the gate address. Plain connections only: TLS shows nothing.
"""
import socket
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
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    @staticmethod
    def _reset(sock):
        """Wakes its thread, and has nothing sent until it is closed."""
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.shutdown(socket.SHUT_RD)
        except OSError:
            pass

    def _accept(self, server, port):
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client, port), daemon=True).start()

    def _serve(self, client, port):
        try:
            with netns.client_side():
                gate = socket.create_connection((settings.GATE_ADDRESS, port), 5)
        except OSError:
            client.close()
            return
        gate.settimeout(None)
        with self._lock:
            self.connections += 1
            self._open |= {client, gate}
        back = threading.Thread(target=self._pump, args=(gate, client, port), daemon=True)
        back.start()
        self._pump(client, gate, None)
        back.join()
        with self._lock:
            self._open -= {client, gate}
        client.close()
        gate.close()

    def _pump(self, source, sink, port):
        """`port`: of the connection, towards the client."""
        longest = max(map(len, self.secrets))
        tail = b""
        try:
            while data := source.recv(65536):
                if port is not None:
                    self._look(tail + data, port)
                    self.bytes_to_clients += len(data)
                    tail = (tail + data)[-longest:]
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:  # a reset stays one: to clients it is not an end
            self._reset(source)
            self._reset(sink)

    def _look(self, data, port):
        for secret in self.secrets:
            at = data.find(secret)
            if at >= 0:
                self.leaks.append((port, data[max(0, at - 40) : at + 60]))


def clean(ports):
    """For fixtures: a wire that something has come by, and no leak."""
    with Tap(ports) as wire:
        yield wire
        assert wire.connections > 0 and wire.bytes_to_clients > 0, "nobody came by the wire"
        assert not wire.leaks, f"{len(wire.leaks)} addresses of brokers went to clients: {wire.leaks[:3]}"
