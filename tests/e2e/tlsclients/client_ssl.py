"""Python's ssl module, with the machine's OpenSSL. It has no half close: unwrap() throws away what is still on its way. See README.md."""
import hashlib
import json
import pathlib
import select
import socket
import ssl
import sys

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def context_for(order):
    context = ssl.create_default_context(cafile=order["ca"])
    context.minimum_version, context.maximum_version = VERSIONS[order["min"]], VERSIONS[order["max"]]
    if order.get("cert"):
        context.load_cert_chain(order["cert"], order["key"])
    if order.get("alpn"):
        context.set_alpn_protocols(order["alpn"])
    return context


def wait(sock, write):
    if not any(select.select([sock], [sock] if write else [], [], 30)):
        raise TimeoutError("nothing for 30 s")


def transfer(sock, data, size):
    """Sends all while it receives all; what came."""
    sock.setblocking(False)
    left, got = memoryview(data), bytearray()
    while left or len(got) < size:
        moved = False
        if left:
            try:
                left = left[sock.send(left[:65536]) :]
                moved = True
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
        if len(got) < size:
            try:
                part = sock.recv(65536)
                assert part, f"the end came after {len(got)} bytes"
                got += part
                moved = True
            except ssl.SSLWantReadError:
                pass
        if not moved:
            wait(sock, bool(left))
    sock.settimeout(30)
    return bytes(got)


def connect(order, context, run, session):
    data = pathlib.Path(run["file"]).read_bytes()
    raw = socket.create_connection((order["host"], order["port"]), 10)
    sock = context.wrap_socket(raw, server_hostname=order["name"], session=session, suppress_ragged_eofs=False)
    got = transfer(sock, data, run["size"])
    answer = {
        "version": sock.version(), "alpn": sock.selected_alpn_protocol() or "", "resumed": sock.session_reused,
        "sent": hashlib.sha256(data).hexdigest(), "got": hashlib.sha256(got).hexdigest(),
    }  # fmt: skip
    session = sock.session
    if run["end"] == "server":
        assert sock.recv(1) == b"", "a byte too many"  # a cut raises SSLEOFError
    sock.unwrap().close()  # close_notify from both sides
    return answer, session


def main():
    order = json.loads(sys.argv[1])
    context, session = context_for(order), None
    for run in order["runs"]:
        answer, session = connect(order, context, run, session if order["resume"] else None)
        print(json.dumps(answer))


if __name__ == "__main__":
    main()
