"""What the interop tests run: the TLS clients of tlsclients/ and two of the command line, each as one process per cell, and the server behind
penstock that they talk to.

    client = Go(); client.run(order) -> one dict for each connection
    server = Server(); broker = fake(server.serve)        or, inside TLS, Server(context)
"""
import contextlib
import functools
import hashlib
import json
import os
import pathlib
import random
import re
import select
import shutil
import ssl
import subprocess
import sys
import threading
import time

import java
import settings

HERE = pathlib.Path(__file__).resolve().parent / "tlsclients"
MARK = b"@@interop "  # in front of the line that tells the server what to do; what comes before it is somebody else's


def sum_of(data):
    return hashlib.sha256(data).hexdigest()


def payload(size, end, before=b""):
    """What a client sends: its first line says what the server is to do."""
    return before + MARK + f"{size} {end}\n".encode() + random.Random(size).randbytes(size)


# ---- the server


class Server:
    """Reads a payload while it sends as much; sees to a clean end; keeps what happened."""

    def __init__(self, context=None):
        self.context = context
        self.seen = []
        self._lock = threading.Condition()

    def serve(self, peer):
        row = {"hello": b"", "end": None}
        try:
            if self.context:
                row["hello"] = self._hello(peer.sock)
                peer.sock = self.context.wrap_socket(peer.sock, server_side=True, suppress_ragged_eofs=False)
                row["peer"] = peer.sock.getpeercert() if self.context.verify_mode else None
            _Conversation(peer.sock, row).run()
        except (OSError, AssertionError) as error:
            row["error"] = repr(error)
        finally:
            with self._lock:
                self.seen.append(row)
                self._lock.notify_all()

    @staticmethod
    def _hello(sock):
        """The ClientHello, or what fits into a segment or two of it, not taken off the socket."""
        import socket

        sock.settimeout(5)
        head = b""
        while len(head) < 5:
            head = sock.recv(5, socket.MSG_PEEK)
        size = 5 + int.from_bytes(head[3:5], "big")
        return sock.recv(size, socket.MSG_PEEK | socket.MSG_WAITALL)

    def take(self, count, seconds=10):
        """What happened in the last connections, which are over then."""
        with self._lock:
            over = self._lock.wait_for(lambda: len(self.seen) >= count, seconds)
            rows, self.seen = self.seen, []
        assert over, f"only {len(rows)} of {count} connections came to the server and ended: {rows}"
        return rows


class _Conversation:
    """One thread for both directions: an SSL object is not for two at once."""

    def __init__(self, sock, row):
        self.sock, self.row = sock, row
        self.got, self.ended = bytearray(), False

    def run(self):
        size, end = self._first_line()
        if size is None:  # a connection that only wanted a session
            self.row["end"] = "empty"
            self._finish()
            return
        answer = random.Random(size + 1).randbytes(size)
        # half: the second half of the answer waits for the end of the question
        parts = [answer[: size // 2], answer[size // 2 :]] if end == "half" else [answer]
        for index, part in enumerate(parts):
            if index == 1:
                self._move(b"", lambda: self.ended)
            self._move(part, lambda: len(self.got) >= size)
        if end != "server":
            self._move(b"", lambda: self.ended)
        assert len(self.got) == size, f"{len(self.got)} bytes of {size}"
        self._finish()
        self.row |= {"end": end, "got": sum_of(self.head + bytes(self.got)), "sent": sum_of(answer)}

    def _first_line(self):
        data = b""
        while not re.search(re.escape(MARK) + rb"\d+ \w+\n", data):
            part = self.sock.recv(65536)
            if not part:
                assert not data, f"the end came after {data[:100]!r}"
                self.ended = True
                return None, None
            data += part
        begin = data.index(MARK)
        at = data.index(b"\n", begin) + 1
        self.head, self.got = data[begin:at], bytearray(data[at:])
        size, end = self.head[len(MARK) :].split()
        return int(size), end.decode()

    def _move(self, data, enough):
        """Sends all of the data and reads until it is enough."""
        self.sock.setblocking(False)
        left = memoryview(data)
        while left or not enough():
            moved = False
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                if left:
                    left = left[self.sock.send(left[:65536]) :]
                    moved = True
            with contextlib.suppress(ssl.SSLWantReadError, BlockingIOError):
                if not self.ended:
                    part = self.sock.recv(65536)
                    self.got += part
                    self.ended = not part
                    moved = True
            if not moved and not any(select.select([] if self.ended else [self.sock], [self.sock] if left else [], [], 20)):
                raise TimeoutError(f"nothing for 20 s: {len(left)} bytes to send, {len(self.got)} have come")
        self.sock.settimeout(20)

    def _finish(self):
        """Our end, and the client's if it has not come yet."""
        import socket

        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.unwrap()
        else:
            self.sock.shutdown(socket.SHUT_WR)
            if not self.ended:
                assert self.sock.recv(1) == b"", "a byte too many"


# ---- the clients


class Client:
    """One stack. `ends`: how its connections can end; `size`: the bytes it moves each way."""

    name, ends, size = "", ("half", "server"), 1_000_000
    quantum = False  # its ClientHello brings a post-quantum key share by itself

    def brings_quantum(self):
        return self.quantum

    def run(self, order, folder):
        done = subprocess.run([*self.command(), json.dumps(order)], capture_output=True, text=True, timeout=60, env=self.environment())
        if done.returncode:
            raise AssertionError(f"{self.name}: {done.stderr.strip()[-1500:]}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def environment(self):
        return None


class Python(Client):
    name, ends = f"Python ssl, {ssl.OPENSSL_VERSION.rsplit(' ', 3)[0]}", ("client", "server")

    def command(self):
        return [sys.executable, HERE / "client_ssl.py"]


class PyOpenssl(Client):
    quantum = True

    @functools.cached_property
    def name(self):
        code = "from OpenSSL import SSL; print(SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode())"
        said = subprocess.run([settings.TLS_VENV / "bin/python", "-c", code], capture_output=True, text=True, check=True).stdout
        return f"pyOpenSSL, {' '.join(said.split()[:2])}"

    def command(self):
        return [settings.TLS_VENV / "bin/python", HERE / "client_pyopenssl.py"]


class Node(Client):
    @functools.cached_property
    def name(self):
        said = subprocess.run(["node", "-p", "process.version + ', OpenSSL ' + process.versions.openssl"], capture_output=True, text=True, check=True)
        return f"Node {said.stdout.strip()}"

    def command(self):
        return ["node", HERE / "client.js"]


def _kept(source, product, make):
    """A program made from a source, kept until the source changes."""
    folder = settings.CACHE / "tls-clients" / hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    if not (folder / product).exists():
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(make(folder), capture_output=True, text=True, cwd=folder)
        if done.returncode:
            raise AssertionError(f"{source.name} does not compile: {done.stderr}")
    return folder


class Java(Client):
    @functools.cached_property
    def name(self):
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
        return f"Java JSSE {re.search(r'[0-9][0-9.]+', said)[0]}"

    def command(self):
        source = HERE / "TlsClient.java"
        compiled = ["javac", "-nowarn", "-proc:none", "-cp", f"{settings.JARS}/*", "-d", ".", source]
        folder = _kept(source, "TlsClient.class", lambda _: compiled)
        return java.command("TlsClient", heap="96m", path=[folder])


class Go(Client):
    quantum = True

    @functools.cached_property
    def version(self):
        return subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout.strip().removeprefix("go")

    @functools.cached_property
    def name(self):
        return f"Go {self.version} crypto/tls"

    def brings_quantum(self):
        return tuple(int(n) for n in self.version.split(".")[:2]) >= (1, 24)

    def command(self):
        source = HERE / "client.go"
        return [_kept(source, "client", lambda folder: ["go", "build", "-buildvcs=false", "-o", folder / "client", source]) / "client"]


class _Spoken(Client):
    """A client of the command line: its standard input goes out, what comes in is its standard output."""

    ends = ("client", "server")

    def talk(self, argv, run):
        """Sends the file, waits for the answer; closes its input or waits for the end. What came."""
        with open(run["file"], "rb") as file:
            data = file.read()
        with subprocess.Popen(list(map(str, argv)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            complaints = []
            threads = [
                threading.Thread(target=lambda: complaints.append(client.stderr.read())),
                threading.Thread(target=self._feed, args=(client, data)),
            ]
            for thread in threads:
                thread.start()
            got = b""
            deadline = time.monotonic() + 30
            while len(got) < run["size"] and select.select([client.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                part = os.read(client.stdout.fileno(), 65536)
                if not part:
                    break
                got += part
            threads[1].join(10)
            if run["end"] == "client" and len(got) == run["size"]:
                client.stdin.close()
            try:
                status = client.wait(10)
            except subprocess.TimeoutExpired:
                client.kill()
                status = "it does not end"
            got += client.stdout.read()
            with contextlib.suppress(OSError):
                client.stdin.close()
            threads[0].join(10)
        said = complaints[0].decode(errors="replace")
        assert status == 0 and len(got) == run["size"], f"{self.name}: status {status}, {len(got)} bytes of {run['size']} came: {said[-1500:]}"
        return {"sent": sum_of(data), "got": sum_of(got)}

    @staticmethod
    def _feed(client, data):
        with contextlib.suppress(BrokenPipeError):
            client.stdin.write(data)
            client.stdin.flush()


class Openssl(_Spoken):
    @functools.cached_property
    def name(self):
        return " ".join(subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout.split()[:2]) + " s_client"

    def run(self, order, folder):
        return [self._one(order, run, folder, index) for index, run in enumerate(order["runs"])]

    def _one(self, order, run, folder, index):
        session, messages = folder / "session.pem", folder / "messages"
        argv = [
            "openssl", "s_client", "-connect", f"{order['host']}:{order['port']}", "-servername", order["name"], "-verify_hostname", order["name"],
            "-CAfile", order["ca"], "-verify_return_error", "-quiet", "-nocommands", "-msg", "-msgfile", messages, "-sess_out", session,
            "-min_protocol", f"TLSv{order['min']}", "-max_protocol", f"TLSv{order['max']}",
        ]  # fmt: skip
        argv += ["-no_ign_eof"] if run["end"] == "client" else []
        argv += ["-cert", order["cert"], "-key", order["key"]] if order.get("cert") else []
        argv += ["-alpn", ",".join(order["alpn"])] if order.get("alpn") else []
        argv += ["-sess_in", session] if order["resume"] and index else []
        row = self.talk(argv, run)
        came = _messages(messages.read_text())
        answer = came.get("EncryptedExtensions") or came["ServerHello"]  # in TLS 1.3 ALPN is in the former
        alpn = (word for word in order.get("alpn") or () if b"\0" + bytes([len(word) + 1, len(word)]) + word.encode() in answer)
        version = "TLSv1.3" if "EncryptedExtensions" in came else "TLSv1.2"
        return {**row, "version": version, "alpn": next(alpn, ""), "resumed": "Certificate" not in came}


def _messages(text):
    """What `s_client -msg` says came in: handshake messages by name. "<<< TLS 1.3, Handshake [length 0062], Certificate", then hex."""
    found = re.findall(r"^<<< TLS \S+, Handshake \[length \w+\], (\w+)\n((?:    .*\n)*)", text, re.M)
    return {name: bytes.fromhex("".join(line[:53] for line in data.splitlines()).replace(" ", "")) for name, data in found}


class Gnutls(_Spoken):
    """With -r it makes one connection for the session and sends nothing in it. When the server ends first it goes without a close_notify of
    its own, which is a cut; so here it always ends first."""

    ends, size = ("client", "client"), 200_000  # it takes its time

    @functools.cached_property
    def name(self):
        return f"GnuTLS {subprocess.run(['gnutls-cli', '--version'], capture_output=True, text=True, check=True).stdout.split()[1]} gnutls-cli"

    def run(self, order, folder):
        return [self._one(order, run, folder) for run in order["runs"][order["resume"] :]]

    def _one(self, order, run, folder):
        said = folder / "gnutls"
        said.unlink(missing_ok=True)
        versions = [v for v in ("1.3", "1.2") if order["min"] <= v <= order["max"]]
        argv = [
            "gnutls-cli", "-p", order["port"], order["host"], "--logfile", said, "--sni-hostname", order["name"], "--verify-hostname", order["name"],
            "--x509cafile", order["ca"], "--priority", "NORMAL:-VERS-ALL:" + ":".join(f"+VERS-TLS{v}" for v in versions),
        ]  # fmt: skip
        argv += ["--x509certfile", order["cert"], "--x509keyfile", order["key"]] if order.get("cert") else []
        argv += [f"--alpn={word}" for word in order.get("alpn") or ()]
        argv += ["-r", "--waitresumption"] if order["resume"] else []
        row = self.talk(argv, run)
        text = said.read_text(errors="replace")
        alpn = re.search(r"Application protocol: (\S+)", text)
        return {
            **row, "version": "TLSv" + re.findall(r"Description: \(TLS(1\.\d)", text)[-1], "alpn": alpn[1] if alpn else "",
            "resumed": "This is a resumed session" in text,
        }  # fmt: skip


CLIENTS = [Openssl(), PyOpenssl(), Python(), Java(), Go(), Gnutls(), Node()]


def all_there():
    missing = [tool for tool in ("openssl", "go", "gnutls-cli", "node", "java", "javac") if not shutil.which(tool)]
    assert not missing, f"not installed: {missing}; tests/lab/deps.sh lab installs them"
