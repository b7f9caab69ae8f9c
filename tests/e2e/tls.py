"""TLS as far as tests of routing by server name need it: ClientHellos written by hand, alerts read by hand, and servers with a certificate of
their own that echo inside TLS.

    hello("broker-1.example.com", alpn=["h2"], cuts=[3, 700])      cut into records after these bytes of the message
    alert(b"\\x15\\x03\\x03...") -> 112
    authority = Authority(folder); server = authority.server("b1.test"); broker = fake(server.serve)
"""
import pathlib
import ssl
import struct
import subprocess

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "vectors/hello"


def _vector(data, size):
    return len(data).to_bytes(size, "big") + data


def extension(kind, data):
    return struct.pack(">H", kind) + _vector(data, 2)


def server_name(name):
    name = name.encode() if isinstance(name, str) else name
    return extension(0, _vector(b"\x00" + _vector(name, 2), 2))


def message(extensions):
    body = b"\x03\x03" + bytes(range(32)) + b"\x00" + _vector(b"\x13\x01", 2) + _vector(b"\x00", 1) + _vector(b"".join(extensions), 2)
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


class Authority:
    """A CA of the test's own."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.file = self.folder / "ca.pem"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                      "-subj", "/CN=test CA", "-keyout", self.folder / "ca.key", "-out", self.file)  # fmt: skip

    def _openssl(self, *words):
        done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def server(self, *names):
        base = self.folder / names[0].replace("*", "any")
        key, request, certificate, more = (base.with_suffix(s) for s in (".key", ".csr", ".pem", ".ext"))
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={names[0]}",
                      "-keyout", key, "-out", request)  # fmt: skip
        more.write_text("subjectAltName=" + ",".join(f"DNS:{n}" for n in names) + "\n")
        self._openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.folder / "ca.key", "-CAcreateserial",
                      "-days", "2", "-extfile", more, "-out", certificate)  # fmt: skip
        return Server(certificate, key)


class Server:
    """Serves one connection after the other: says which name it was asked for, then echoes."""

    def __init__(self, certificate, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.names = []
        self.context.sni_callback = lambda _sock, name, _context: self.names.append(name)

    def serve(self, peer):
        with self.context.wrap_socket(peer.sock, server_side=True) as inside:
            while data := inside.recv(65536):
                inside.sendall(data)
