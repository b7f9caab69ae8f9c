"""TLS as far as tests of routing by server name need it: ClientHellos written by hand, alerts read by hand, and servers with a certificate of
their own that echo inside TLS.

    hello("broker-1.example.com", alpn=["h2"], cuts=[3, 700])      cut into records after these bytes of the message
    alert(b"\\x15\\x03\\x03...") -> 112
    authority = Authority(folder); server = authority.server("b1.test"); broker = fake(server.serve)
"""
import contextlib
import pathlib
import select
import ssl
import struct
import time

import pki

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "vectors/hello"


def _vector(data, size):
    return len(data).to_bytes(size, "big") + data


def extension(kind, data):
    return struct.pack(">H", kind) + _vector(data, 2)


def server_name(name):
    name = name.encode() if isinstance(name, str) else name
    return extension(0, _vector(b"\x00" + _vector(name, 2), 2))


def ech(name="outer.example.com", config=7):
    """encrypted_client_hello, outer (RFC 9849 5): suite, config id, encapsulated key, and what nobody here can read."""
    return extension(65037, b"\x00\x00\x01\x00\x01" + bytes([config]) + _vector(bytes(32), 2) + _vector(bytes(144), 2)) + server_name(name)


def grease(name):
    """Values nobody knows wherever a client may put some (RFC 8701 3.1): suites, extensions, groups, versions, key shares, protocols."""
    extensions = [
        extension(0x0A0A, b""), server_name(name), extension(10, _vector(b"\x1a\x1a\x00\x1d", 2)),
        extension(16, _vector(_vector(b"\x2a\x2a", 1) + _vector(b"pulsar", 1), 2)), extension(43, _vector(b"\x3a\x3a\x03\x04\x03\x03", 1)),
        extension(51, _vector(b"\x4a\x4a" + _vector(b"\x00", 2) + b"\x00\x1d" + _vector(bytes(32), 2), 2)), extension(0xFAFA, b"\x00"),
    ]  # fmt: skip
    return message(extensions, b"\x5a\x5a\x13\x01")


def message(extensions, suites=b"\x13\x01"):
    body = b"\x03\x03" + bytes(range(32)) + b"\x00" + _vector(suites, 2) + _vector(b"\x00", 1) + _vector(b"".join(extensions), 2)
    return b"\x01" + _vector(body, 3)


def records(data, cuts=()):
    edges = [0, *cuts, len(data)]
    return b"".join(b"\x16\x03\x01" + _vector(data[a:b], 2) for a, b in zip(edges, edges[1:]))


def hello(name=None, alpn=(), versions=(0x0304, 0x0303), pad=0, cuts=()):
    parts = [extension(51, bytes(pad))] if pad else []
    if name is not None:
        parts.append(server_name(name))
    if alpn:
        parts.append(extension(16, _vector(b"".join(_vector(p.encode(), 1) for p in alpn), 2)))
    if versions:
        parts.append(extension(43, _vector(b"".join(struct.pack(">H", v) for v in versions), 1)))
    return records(message(parts), cuts)


def alert(data):
    """The number of the fatal alert that is all there is."""
    assert len(data) == 7 and data[:1] == b"\x15" and data[1:2] == b"\x03" and data[3:6] == b"\x00\x02\x02", f"no alert: {data!r:.100}"
    return data[6]


def exchange(sock, data, size, seconds=20):
    """Sends and receives at the same time, from one thread: an SSLSocket is not to be used from two. The first `size` bytes that came."""
    deadline = time.monotonic() + seconds
    got, sent = bytearray(), 0
    sock.setblocking(False)
    while len(got) < size or sent < len(data):
        idle = True
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if sent < len(data):
                sent += sock.send(data[sent : sent + 65536])
                idle = False
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if len(got) < size:
                part = sock.recv(min(65536, size - len(got)))
                if not part:
                    raise AssertionError(f"the end after {len(got)} of {size} bytes, {sent} of {len(data)} sent")
                got += part
                idle = False
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(got)} of {size} bytes came in {seconds} s, {sent} of {len(data)} sent")
        if idle:
            select.select([sock], [sock] if sent < len(data) else [], [], 0.1)
    sock.setblocking(True)
    return bytes(got)


class Authority(pki.Authority):
    """A CA of the test's own."""

    def server(self, *names, **how):
        return Server(*self.issue(*names, **how))

    def trusting(self, certificate=None, **limits):
        """What a client that trusts this CA dials with."""
        context = ssl.create_default_context(cafile=self.file)
        if certificate:
            context.load_cert_chain(*certificate)
        for name, value in limits.items():
            setattr(context, name, value)
        return context


class Server:
    """Serves one connection after the other: says which name it was asked for, then echoes."""

    def __init__(self, certificate, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.names = []
        self.context.sni_callback = lambda _sock, name, _context: self.names.append(name)

    def wrap(self, peer):
        """TLS with a client that has just connected."""
        peer.sock = self.context.wrap_socket(peer.sock, server_side=True, suppress_ragged_eofs=False)
        return peer

    def serve(self, peer):
        with self.context.wrap_socket(peer.sock, server_side=True) as inside:
            while data := inside.recv(65536):
                inside.sendall(data)
