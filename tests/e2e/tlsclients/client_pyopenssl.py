"""The OpenSSL inside the `cryptography` package, newer than the machine's: its ClientHello brings a post-quantum key share. See README.md."""
import hashlib
import json
import pathlib
import select
import socket
import sys

from cryptography import x509
from OpenSSL import SSL

VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}


def context_for(order):
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(VERSIONS[order["min"]])
    context.set_max_proto_version(VERSIONS[order["max"]])
    context.load_verify_locations(order["ca"])
    context.set_verify(SSL.VERIFY_PEER)
    if order.get("cert"):
        context.use_certificate_chain_file(order["cert"])
        context.use_privatekey_file(order["key"])
    if order.get("alpn"):
        context.set_alpn_protos([word.encode() for word in order["alpn"]])
    return context


def until(sock, step):
    """Repeats a step of a socket that does not block until it is done."""
    while True:
        try:
            return step()
        except SSL.WantReadError:
            wait(sock, [sock], [])
        except SSL.WantWriteError:
            wait(sock, [sock], [sock])


def wait(sock, read, write):
    if not any(select.select(read, write, [], 30)):
        raise TimeoutError("nothing for 30 s")


def transfer(connection, sock, data, run):
    """Sends all while it receives all; what came."""
    left, got = memoryview(data), bytearray()
    while left or len(got) < run["size"]:
        moved = False
        if left:
            try:
                left = left[connection.send(bytes(left[:65536])) :]
                moved = True
            except (SSL.WantReadError, SSL.WantWriteError):
                pass
            if not left and run["end"] == "half":
                until(sock, connection.shutdown)
        if len(got) < run["size"]:
            try:
                got += connection.recv(65536)
                moved = True
            except SSL.WantReadError:
                pass
        if not moved:
            wait(sock, [sock], [sock] if left else [])
    return bytes(got)


def connect(order, context, run, session):
    data = pathlib.Path(run["file"]).read_bytes()
    sock = socket.create_connection((order["host"], order["port"]), 10)
    sock.setblocking(False)
    connection = SSL.Connection(context, sock)
    connection.set_tlsext_host_name(order["name"].encode())
    if session:
        connection.set_session(session)
    connection.set_connect_state()
    until(sock, connection.do_handshake)
    names = connection.get_peer_certificate().to_cryptography().extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert order["name"] in names.get_values_for_type(x509.DNSName), names
    got = transfer(connection, sock, data, run)
    if run["end"] == "client":
        until(sock, connection.shutdown)
    try:
        until(sock, lambda: connection.recv(1))
        raise AssertionError("a byte too many")
    except SSL.ZeroReturnError:  # close_notify; a bare end is SysCallError
        pass
    if run["end"] == "server":
        until(sock, connection.shutdown)
    answer = {
        "version": connection.get_protocol_version_name(), "alpn": connection.get_alpn_proto_negotiated().decode(),
        "resumed": bool(SSL._lib.SSL_session_reused(connection._ssl)), "sent": hashlib.sha256(data).hexdigest(), "got": hashlib.sha256(got).hexdigest(),
    }  # fmt: skip
    session = connection.get_session()
    sock.close()
    return answer, session


def main():
    order = json.loads(sys.argv[1])
    context, session = context_for(order), None
    for run in order["runs"]:
        answer, session = connect(order, context, run, session if order["resume"] else None)
        print(json.dumps(answer))


if __name__ == "__main__":
    main()
