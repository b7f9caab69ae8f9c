"""Both ends of connections through penstock in one thread: nothing here blocks but World.run, which moves whatever can be moved until what
the test waits for is true.

    world = World()
    client = world.dial(port, Engine(...))    or world.dial(port) for a plain one
    target = world.listen(); ... end = world.accepted(target)
    client.send(b"..."); world.run(lambda: end.got == 3, "three bytes")
"""
import hashlib
import select
import socket
import struct
import time

from openssl import TlsError

_FIN_WAIT2 = 5  # of a socket whose FIN has been acknowledged: tcp_states.h
WINDOW = 1 << 17  # bytes queued of a source before it is asked for more


class End:
    """One end of a connection, with or without TLS. `end` says how the other one ended: None, "close_notify", "fin", "cut" (a FIN inside TLS
    without close_notify), "rst", ("alert", number), or ("refused", why) for what OpenSSL did not like."""

    def __init__(self, sock, engine=None):
        self.sock, self.engine = sock, engine
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.address = "{}:{}".format(*sock.getsockname())
        self.pending = b""  # to go over the wire
        self.data = b""  # what came
        self.got, self.digest = 0, None  # counted and, after `hash`, only hashed
        self.end = None
        self.has_fin = False  # behind close_notify too
        self.is_paused = False  # does not read
        self.source = None  # yields what is to be sent
        self.is_held = False  # wire bytes are gathered, not sent
        self.first = b""  # to be sent in one flight with the last message of the handshake
        self._finish = self._was_reset = False
        if engine and engine.context.role == "client":
            engine.shake()
            self._collect()

    def fileno(self):
        return self.sock.fileno()

    def is_ready(self):
        return not self.engine or self.engine.is_shaken()

    def _collect(self):
        if self.engine:
            self.pending += self.engine.take()

    # ---- sending

    def send(self, data):
        if self.engine:
            self.engine.write(data)
            self._collect()
        else:
            self.pending += data

    def send_wire(self, data):
        """Past TLS."""
        self._collect()
        self.pending += data

    def finish(self):
        """Behind what is queued: close_notify and FIN."""
        if self.engine:
            self.engine.close_notify()
            self._collect()
        self._finish = True

    def cut(self):
        """Behind what is queued: a FIN without close_notify."""
        self._finish = True

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.sock.close()

    def wants_write(self):
        return self.fileno() >= 0 and not self.is_held and bool(self.pending or self.source or self._finish) and self.is_ready_or_pending()

    def is_ready_or_pending(self):
        return bool(self.pending) or self.is_ready()

    def has_arrived(self):
        """All that was sent, FIN included, stands in the other socket."""
        return self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _FIN_WAIT2

    def flush(self):
        while self.source and self.is_ready() and len(self.pending) < WINDOW:
            try:
                self.send(next(self.source))
            except StopIteration:
                self.source = None
        if self.pending:
            try:
                sent = self.sock.send(self.pending)
            except BlockingIOError:
                return
            except (ConnectionResetError, BrokenPipeError):
                self._was_reset = True  # what came before that can still be read
                self.pending, self.source, self._finish = b"", None, False
                return
            self.pending = self.pending[sent:]
        if self._finish and not self.pending and not self.source:
            self._finish = False
            self.sock.shutdown(socket.SHUT_WR)

    # ---- receiving

    def wants_read(self):
        return self.fileno() >= 0 and not self.is_paused and not self.has_fin and self.end in (None, "close_notify")

    def _take(self, data):
        self.got += len(data)
        if self.digest:
            self.digest.update(data)
        else:
            self.data += data

    def hash(self):
        """Keeps no bytes from now on, only their number and their sum."""
        assert not self.data
        self.got, self.digest = 0, hashlib.sha256()

    def keep(self):
        """Keeps what comes again."""
        self.got, self.digest = 0, None

    def taken(self):
        """What has come, once."""
        data, self.data = self.data, b""
        self.got -= len(data)
        return data

    def receive(self):
        try:
            wire = self.sock.recv(1 << 17)
        except BlockingIOError:
            return
        except ConnectionResetError:
            self.end = "rst"
            return
        if not wire and self._was_reset:
            self.end = "rst"
            return
        if not self.engine:
            self._take(wire)
            self.end = None if wire else "fin"
            return
        try:
            self._open(wire)
        except TlsError as error:
            self.end = ("alert", error.alert) if error.alert else ("refused", str(error))
            self._collect()

    def _open(self, wire):
        self.engine.put(wire)
        if not self.engine.is_shaken() and self.engine.shake() and self.first:
            self.engine.write(self.first)
        while self.engine.is_shaken() and (data := self.engine.read()):
            self._take(data)
        self._collect()
        if self.engine.has_closed:
            self.end, self.has_fin = "close_notify", not wire
        elif not wire:
            self.end = "cut"

    def __repr__(self):
        tls = self.engine.context.role if self.engine else "plain"
        return f"<{tls} {self.address}: got {self.got}, to send {len(self.pending)}{'+' if self.source else ''}, end {self.end}>"


class Listener:
    def __init__(self, engine):
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.sock.setblocking(False)
        self.port = self.sock.getsockname()[1]
        self.engine = engine  # makes one for each connection, or None
        self.first = b""
        self.ends = []

    def fileno(self):
        return self.sock.fileno()


class World:
    def __init__(self):
        self.ends, self.listeners = [], []
        self._later = []

    def later(self, seconds, what):
        self._later.append((time.monotonic() + seconds, what))

    def listen(self, engine=None):
        self.listeners.append(Listener(engine))
        return self.listeners[-1]

    def dial(self, port, engine=None, receive=None):
        """`receive`: bytes of its receive buffer, small for a slow reader."""
        sock = socket.socket()
        if receive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        sock.connect(("127.0.0.1", port))
        self.ends.append(End(sock, engine))
        return self.ends[-1]

    def _accept(self, listener):
        sock, _ = listener.sock.accept()
        end = End(sock, listener.engine() if listener.engine else None)
        end.first = listener.first
        listener.ends.append(end)
        self.ends.append(end)

    def accepted(self, listener, seconds=10):
        """The next connection."""
        self.run(lambda: listener.ends, "a connection of penstock's", seconds)
        return listener.ends.pop(0)

    def step(self, seconds):
        due = [what for at, what in self._later if at <= time.monotonic()]
        self._later = [one for one in self._later if one[1] not in due]
        for what in due:
            what()
        reading = [e for e in self.ends if e.wants_read()]
        writing = [e for e in self.ends if e.wants_write()]
        readable, writable, _ = select.select([*self.listeners, *reading], writing, [], seconds)
        for one in readable:
            if isinstance(one, Listener):
                self._accept(one)
            elif one.fileno() >= 0:
                one.receive()
        for one in writable:
            if one.fileno() >= 0:
                one.flush()

    def run(self, until, what, seconds=10):
        deadline = time.monotonic() + seconds
        while not until():
            left = deadline - time.monotonic()
            assert left > 0, f"{what}: not within {seconds} s; {self.ends}"
            self.step(min(left, 0.1))

    def idle(self, seconds):
        """Lets time pass."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.step(min(left, 0.1))

    def close(self):
        for one in [*self.ends, *self.listeners]:
            one.sock.close()
        self.ends, self.listeners = [], []
