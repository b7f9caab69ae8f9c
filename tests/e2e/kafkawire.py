"""Kafka's wire format, written by hand as far as raw tests need it: requests in old versions, where a response ends, who is at a port.

A request is i32 size, i16 key, i16 version, i32 correlation, string client id, body; a response i32 size, i32 correlation, body.
"""
import socket
import struct

import settings

METADATA, HEARTBEAT, SASL_HANDSHAKE, API_VERSIONS, DELETE_TOPICS, SASL_AUTHENTICATE = 3, 12, 17, 18, 20, 36


def request(key, version=0, correlation=1, body=b"", client=b"test", size=None):
    """With a size of its own it lies."""
    head = struct.pack(">hhih", key, version, correlation, len(client)) + client + body
    return struct.pack(">I", len(head) if size is None else size) + head


def read_response(sock):
    """Without its size. EOFError: the end came first."""

    def exactly(n):
        got = b""
        while len(got) < n:
            piece = sock.recv(n - len(got))
            if not piece:
                raise EOFError("closed in the middle of a response")
            got += piece
        return got

    return exactly(struct.unpack(">i", exactly(4))[0])


def ask_versions(port):
    """Whether ApiVersions is answered at that port. Who is not there resets: clients try that again, but not all of them an orderly end."""
    with socket.create_connection((settings.GATE_ADDRESS, port), 5) as sock:
        sock.settimeout(10)
        sock.sendall(request(API_VERSIONS, correlation=7))
        try:
            assert read_response(sock)[:4] == b"\0\0\0\7"
            return True
        except ConnectionResetError:
            return False


def ask_hosts(sock):
    """Metadata v2 without topics: (host, port) by node id, and the cluster's id."""
    sock.sendall(request(METADATA, 2, 1, struct.pack(">i", 0)))
    answer = read_response(sock)
    hosts, at = {}, 8
    for _ in range(struct.unpack_from(">i", answer, 4)[0]):
        node, length = struct.unpack_from(">ih", answer, at)
        port, rack = struct.unpack_from(">ih", answer, at + 6 + length)
        hosts[node] = answer[at + 6 : at + 6 + length].decode(), port
        at += 12 + length + max(rack, 0)
    (length,) = struct.unpack_from(">h", answer, at)
    return hosts, answer[at + 2 : at + 2 + length].decode()


def ask_topics(sock, names=None, creates=False):
    """Metadata v4 of these topics, or of all there are: what the response says of each, 0 if nothing is wrong with it."""
    body = b"\xff\xff\xff\xff" if names is None else struct.pack(">i", len(names)) + b"".join(struct.pack(">h", len(name)) + name.encode() for name in names)
    sock.sendall(request(METADATA, 4, 1, body + bytes([creates])))
    answer = read_response(sock)
    at, errors = 8, {}

    def take(form):
        nonlocal at
        values = struct.unpack_from(form, answer, at)
        at += struct.calcsize(form)
        return values[0]

    def text():
        nonlocal at
        length = max(take(">h"), 0)
        at += length
        return answer[at - length : at].decode()

    for _ in range(take(">i")):
        take(">i"), text(), take(">i"), text()  # a broker
    text(), take(">i")
    for _ in range(take(">i")):
        error, name, _ = take(">h"), text(), take(">b")
        errors[name] = error
        for _ in range(take(">i")):
            at += 10
            for _ in range(2):  # replicas, and those in sync
                count = take(">i")
                at += 4 * count
    assert at == len(answer)
    return errors
