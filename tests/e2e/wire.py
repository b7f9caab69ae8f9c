"""The Pulsar wire format, written by hand as far as raw tests need it: frames, fields, CONNECT, LOOKUP, ERROR.

A frame is u32 total, u32 command size, BaseCommand { 1: type, <type>: body }. A body is a list of (field number, int | bytes | str).
"""
import socket
import struct
import time

CONNECT, CONNECTED, SEND, ERROR, PING, PONG = 2, 3, 6, 14, 18, 19
PARTITIONED_METADATA, PARTITIONED_METADATA_RESPONSE = 21, 22
LOOKUP, LOOKUP_RESPONSE = 23, 24
GET_TOPICS, GET_TOPICS_RESPONSE = 32, 33
AUTH_CHALLENGE, AUTH_RESPONSE = 36, 37
WATCH_TOPIC_LIST, WATCH_TOPIC_LIST_SUCCESS = 64, 65

REDIRECT, CONNECT_TO, FAILED = 0, 1, 2  # LOOKUP_RESPONSE, field 3
AUTHENTICATION_ERROR, SERVICE_NOT_READY, TOPIC_NOT_FOUND, TOO_MANY_REQUESTS, NOT_ALLOWED = 3, 6, 11, 14, 22
CONNECTION_LEVEL = 2**64 - 1  # the request id of an ERROR that belongs to no request
TARGET = 6  # CONNECT's proxy_to_broker_url


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode(fields):
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def _read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def decode(data):
    fields, at = [], 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        if tag & 7 == 0:
            value, at = _read_varint(data, at)
        elif tag & 7 == 2:
            size, at = _read_varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"wire type {tag & 7}")
        fields.append((tag >> 3, value))
    return fields


def frame(kind, fields, payload=b""):
    command = encode([(1, kind), (kind, encode(fields))])
    return struct.pack(">II", 4 + len(command) + len(payload), len(command)) + command + payload


class Frame:
    """A received frame; frame[n] is the last value of body field n, or None."""

    def __init__(self, raw):
        self.raw = raw
        (size,) = struct.unpack(">I", raw[4:8])
        base = dict(decode(raw[8 : 8 + size]))
        self.kind = base[1]
        self.fields = decode(base.get(self.kind, b""))
        self.payload = raw[8 + size :]

    def __getitem__(self, number):
        return dict(self.fields).get(number)

    def text(self, number):
        value = self[number]
        return None if value is None else value.decode("utf-8", "replace")

    def __repr__(self):
        return f"Frame(kind={self.kind}, fields={self.fields!r:.300})"


def connect_fields(target=None, method="none", data=b"", more=()):
    fields = [(1, "raw-test"), (5, method), (3, data), (4, 21)]
    if target is not None:
        fields.append((TARGET, target))
    return [*fields, (10, encode([(1, 1), (2, 1)])), *more]


def connect(target=None, **words):
    return frame(CONNECT, connect_fields(target, **words))


def connected():
    return frame(CONNECTED, [(1, "fake-broker"), (2, 21), (3, 5242880)])


def lookup(topic, request, more=()):
    return frame(LOOKUP, [(1, topic), (2, request), *more])


def lookup_answer(request, url=None, kind=CONNECT_TO, authoritative=1, error=None, more=()):
    fields = [(1, url)] if url else []
    fields += [(3, kind), (4, request), (5, authoritative)]
    if error is not None:
        fields += [(6, error), (7, f"error {error} of the fake broker")]
    return frame(LOOKUP_RESPONSE, [*fields, *more])


class Closed(Exception):
    """The other side is gone; .reset says whether it went with an RST."""

    def __init__(self, reset):
        super().__init__("reset" if reset else "end of stream")
        self.reset = reset


class Peer:
    """A socket that speaks frames."""

    def __init__(self, sock, seconds=20):
        self.sock = sock
        self.seconds = seconds
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, *chunks):
        self.sock.settimeout(self.seconds)
        try:
            for chunk in chunks:
                self.sock.sendall(chunk)
        except (ConnectionResetError, BrokenPipeError):
            raise Closed(True) from None

    def read(self, size=65536):
        """At least one byte."""
        self.sock.settimeout(self.seconds)
        try:
            data = self.sock.recv(size)
        except ConnectionResetError:
            raise Closed(True) from None
        if not data:
            raise Closed(False)
        return data

    def read_exactly(self, size):
        data = bytearray()
        while len(data) < size:
            data += self.read(min(size - len(data), 1 << 20))
        return bytes(data)

    def read_frame(self):
        head = self.read_exactly(4)
        return Frame(head + self.read_exactly(struct.unpack(">I", head)[0]))

    def expect(self, kind):
        got = self.read_frame()
        assert got.kind == kind, f"wanted command {kind}, got {got}"
        return got

    def read_to_end(self):
        """All bytes until the other side ends, and whether it ended by RST."""
        data = b""
        while True:
            try:
                data += self.read()
            except Closed as end:
                return data, end.reset

    def silent(self, seconds=0.3):
        """True if nothing comes for a while."""
        self.sock.settimeout(seconds)
        try:
            self.sock.recv(1, socket.MSG_PEEK)
            return False
        except TimeoutError:
            return True
        except ConnectionResetError:
            return False

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


def dial(address, port, seconds=20, source=None):
    return Peer(socket.create_connection((address, port), seconds, source), seconds)


def drip(peer, data, pause=0.005):
    """One byte at a time, each in a packet of its own."""
    for byte in data:
        peer.send(bytes([byte]))
        time.sleep(pause)
