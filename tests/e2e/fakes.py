"""A broker made of a few lines, on a loopback address of the broker side, for what a real one cannot be made to do.

    broker = FakeBroker(); ... connection = broker.next(); connection.expect(CONNECT); connection.send(connected())
    broker = FakeBroker(serve=echo)    # or a function that serves each connection in a thread of its own
"""
import contextlib
import itertools
import queue
import socket
import threading

import netns
import wire

_addresses = itertools.product(range(16, 256), range(1, 255))  # each used once in a run


class FakeBroker:
    def __init__(self, serve=None, address=None, port=6650, seconds=None, backlog=256, buffers=None):
        self.address = address or "127.77.{}.{}".format(*next(_addresses))
        self.port = port
        self.where = f"{self.address}:{port}"
        self.url = f"pulsar://{self.where}"
        self.accepted = 0
        self._serve, self._seconds = serve, seconds or (60 if serve else 20)  # who serves waits for a test that waits for something else
        self._waiting = queue.Queue()
        self._peers, self.errors = [], []
        with netns.broker_side():
            self._listener = socket.socket()
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if buffers:  # small socket buffers make back-pressure come early
                self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffers)
                self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers)
            self._listener.bind((self.address, port))
            self._listener.listen(backlog)
        self._thread = threading.Thread(target=self._run, name=f"fake broker {self.where}", daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            peer = wire.Peer(sock, self._seconds)
            self._peers.append(peer)
            if self._serve:
                threading.Thread(target=self._serve_one, args=(peer,), daemon=True).start()
            else:
                self._waiting.put(peer)

    def _serve_one(self, peer):
        try:
            self._serve(peer)
        except (wire.Closed, TimeoutError, OSError):
            pass
        except Exception as error:  # noqa: BLE001 - shown by the test that asks
            self.errors.append(error)
        finally:
            peer.close()

    def next(self, seconds=20):
        """The next connection that penstock makes here (only without `serve`)."""
        try:
            return self._waiting.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no connection came to {self.where} within {seconds} s") from None

    def handshake(self):
        """The next connection, its CONNECT read and answered: (connection, CONNECT frame)."""
        peer = self.next()
        connect = peer.expect(wire.CONNECT)
        peer.send(wire.connected())
        return peer, connect

    def none_waiting(self):
        return self._waiting.empty()

    def close(self):
        """Nobody listens here any more; connections are closed. May be called twice."""
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for peer in self._peers:
            with contextlib.suppress(OSError):  # a thread that waits in recv(2) would keep it open
                peer.sock.shutdown(socket.SHUT_RDWR)
            peer.close()


def echo(peer):
    """CONNECT, CONNECTED, then everything comes back."""
    peer.expect(wire.CONNECT)
    peer.send(wire.connected())
    while True:
        peer.send(peer.read())


def plain_echo(peer):
    while True:
        peer.send(peer.read())


def lookups(answer):
    """Serves lookup connections: answer(frame) gives the bytes for each LOOKUP; PING is answered with PONG."""

    def serve(peer):
        peer.expect(wire.CONNECT)
        peer.send(wire.connected())
        while True:
            got = peer.read_frame()
            if got.kind == wire.LOOKUP:
                peer.send(answer(got))
            elif got.kind == wire.PING:
                peer.send(wire.frame(wire.PONG, []))

    return serve
