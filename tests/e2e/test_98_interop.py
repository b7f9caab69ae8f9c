"""Real TLS stacks against every mode of a listener. In each cell bytes go both ways at once, with a checksum, and connections end in both
directions: closed half by the client where its stack can (else wholly), and by the server. At the end of the file the matrix is printed."""
import collections
import dataclasses
import ssl

import interop
import pytest
import settings
import tls
import wire
from processes import wait_until

NAME = "gw.example.com"
CLEAN = {"client_fin", "broker_fin"}
QUANTUM = b"\x11\xec"  # X25519MLKEM768, in key_share: draft-ietf-tls-ecdhe-mlkem


@dataclasses.dataclass
class Mode:
    """A column."""

    name: str
    keys: dict = None  # of the listener's `tls`; None: its routes pass TLS through
    target: str = "plain"
    route: str = None  # the listener has routes, and this is what the client's does
    version: str = None  # that must come out of it
    cert: bool = False  # the client has one
    alpn: tuple = ((), "")  # offered, chosen
    resume: bool = False
    quantum: bool = False  # for clients whose hello has a post-quantum key share
    refused: str = None  # the reason in the access log


MODES = [
    Mode("pass", target="secret"),
    Mode("pass mTLS", target="asking", cert=True),
    Mode("1.2", {"max_version": "1.2"}, version="TLSv1.2"),
    Mode("1.3", {"min_version": "1.3"}, version="TLSv1.3"),
    Mode("re-enc", {}, target="pulsar", version="TLSv1.3"),
    Mode("route end", {}, route="terminate"),
    Mode("route re", {}, route="reencrypt", target="secret", version="TLSv1.3"),
    Mode("opt none", {"client_auth": "optional"}),
    Mode("opt cert", {"client_auth": "optional"}, cert=True),
    Mode("mTLS 1.2", {"client_auth": "require", "max_version": "1.2"}, version="TLSv1.2", cert=True),
    Mode("mTLS 1.3", {"client_auth": "require", "min_version": "1.3"}, version="TLSv1.3", cert=True),
    Mode("no cert", {"client_auth": "require"}, refused="client_tls_cert_missing"),
    Mode("ALPN", {"alpn": ["one", "two"]}, alpn=(("three", "two"), "two")),
    Mode("res 1.2", {"max_version": "1.2"}, version="TLSv1.2", resume=True),
    Mode("res 1.3", {"min_version": "1.3"}, version="TLSv1.3", resume=True),
    Mode("PQ pass", target="secret", quantum=True),
    Mode("PQ end", {}, quantum=True),
]


@pytest.fixture(scope="module")
def town(module_penstock, module_fake, tmp_path_factory, say):
    """One penstock with a listener for each column, and the servers behind it."""
    interop.all_there()

    class Town:
        folder = tmp_path_factory.mktemp("interop")
        authority = tls.Authority(tmp_path_factory.mktemp("ca"))
        cells = collections.defaultdict(dict)
        moved = collections.Counter()
        ports = {}

        @classmethod
        def file(cls, size, end, before):
            file = cls.folder / f"{size}-{end}-{len(before)}"
            file.write_bytes(interop.payload(size, end, before))
            return str(file)

    certificate, client = Town.authority.issue(NAME), Town.authority.issue("client-1", client=True)
    Town.client = client

    def context(pair, ask=False):
        one = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        one.load_cert_chain(*pair)
        if ask:
            one.verify_mode = ssl.CERT_REQUIRED
            one.load_verify_locations(Town.authority.file)
        return one

    Town.servers = {"plain": interop.Server(), "secret": interop.Server(context(certificate)), "asking": interop.Server(context(certificate, ask=True))}
    brokers = {name: module_fake(server.serve, port=6651) for name, server in Town.servers.items()}
    secret = module_fake(port=6651)
    secret.close()
    Town.servers["pulsar"] = interop.Server(context(Town.authority.issue(secret.address)))
    brokers["pulsar"] = module_fake(Town.servers["pulsar"].serve, address=secret.address, port=6651)
    Town.before = {"pulsar": wire.connect(target=brokers["pulsar"].where)}

    Town.gate = module_penstock.new()
    listeners = []
    for index, mode in enumerate(MODES):
        Town.ports[mode.name] = 7500 + index
        listener = {"name": f"mode-{index}", "bind": f"{settings.GATE_ADDRESS}:{Town.ports[mode.name]}"}
        if mode.keys is not None:
            listener["tls"] = {"cert_file": str(certificate[0]), "key_file": str(certificate[1]), **mode.keys}
            if "client_auth" in mode.keys:
                listener["tls"]["client_ca_file"] = str(Town.authority.file)
        forward = {"forward": brokers[mode.target].where}
        if mode.keys is None or mode.route:
            listener["routes"] = [{"host": NAME, "mode": mode.route or "pass", **forward}]
        else:
            listener |= {"cluster": "c"} if mode.target == "pulsar" else forward
        if mode.route == "reencrypt":
            listener["routes"][0]["broker_tls"] = {"ca_file": str(Town.authority.file), "name": "client"}
        listeners.append(listener)
    pulsar = {"discovery": {"urls": [f"pulsar+ssl://{brokers['pulsar'].where}"]}, "broker_tls": {"ca_file": str(Town.authority.file)}}
    Town.gate.start({"clusters": {"c": pulsar}, "listeners": listeners})
    yield Town
    for line in table(Town):
        say(line)


def table(town):
    """One line for each client: the version spoken, and how it closes its direction: half, or the stack can only close both."""
    yield f"interop: {len(town.cells)} clients x {len(MODES)} modes; {town.moved['connections']} connections, {town.moved['bytes'] / 1e6:.0f} MB with checksums"
    yield f"  {'':30} close " + " ".join(f"{mode.name:9}" for mode in MODES)
    for client, cells in town.cells.items():
        half = "half" if "half" in client.ends else "whole"
        yield f"  {client.name:30} {half:5} " + " ".join(f"{cells.get(mode.name, '-'):9}" for mode in MODES)


CELLS = [(client, mode) for client in interop.CLIENTS for mode in MODES if not mode.quantum or client.quantum]


@pytest.mark.parametrize("client,mode", CELLS, ids=lambda one: (one.name if isinstance(one, Mode) else type(one).__name__.lower()).replace(" ", "-"))
def test_cell(town, client, mode):
    if mode.quantum and not client.brings_quantum():
        pytest.skip(f"{client.name} is too old for a post-quantum key share")
    order = {
        "host": settings.GATE_ADDRESS, "port": town.ports[mode.name], "name": NAME, "ca": str(town.authority.file), "min": "1.2", "max": "1.3",
        "resume": mode.resume, "alpn": list(mode.alpn[0]) or None,
        "runs": [{"file": town.file(client.size, end, town.before.get(mode.target, b"")), "size": client.size, "end": end} for end in client.ends],
    }  # fmt: skip
    if mode.cert:
        order |= {"cert": str(town.client[0]), "key": str(town.client[1])}
    listener = f"mode-{MODES.index(mode)}"
    before = len(town.gate.access(listener=listener))
    server = town.servers[mode.target]
    server.seen.clear()  # of a cell that failed
    if mode.refused:
        with pytest.raises(AssertionError):
            client.run({**order, "runs": order["runs"][:1]}, town.folder)
        wait_until("the access line", 5, lambda: len(town.gate.access(listener=listener)) > before)
        assert town.gate.access(listener=listener)[before]["reason"] == mode.refused
        assert server.seen == [], "the target was contacted"
        town.cells[client][mode.name] = "refused"
        return
    rows = client.run(order, town.folder)
    seen = server.take(2)
    lines = wait_until("the access lines", 5, lambda: (a := town.gate.access(listener=listener)[before:])[1:] and a)
    assert {line["reason"] for line in lines} <= CLEAN and all(line["term"] == "--" for line in lines), [(l["reason"], l["term"], l["total_ms"]) for l in lines]
    assert not any("error" in row for row in seen), seen
    check(town, client, mode, rows, seen)
    town.moved["connections"] += len(lines)
    town.moved["bytes"] += sum(int(line["bytes_to_broker"]) + int(line["bytes_to_client"]) for line in lines)
    town.cells[client][mode.name] = rows[-1]["version"].removeprefix("TLSv")


def check(town, client, mode, rows, seen):
    talked = sorted((row for row in seen if row["end"] != "empty"), key=lambda row: client.ends.index(row["end"]))
    assert len(talked) == len(rows)
    for row, end in zip(rows, talked):
        assert mode.version in (None, row["version"]) and row["alpn"] == mode.alpn[1], row
        assert row["got"] == end["sent"], "what the client got is not what was sent to it"
        assert row["sent"] == interop.sum_of(interop.payload(client.size, end["end"], town.before.get(mode.target, b"")))
        assert end["got"] == interop.sum_of(interop.payload(client.size, end["end"])), "what the server got is not what was sent to it"
    assert [row["end"] for row in talked] == list(client.ends[-len(talked) :])
    assert rows[-1]["resumed"] == mode.resume, rows
    if mode.target == "asking":
        assert all(dict(pair[0] for pair in row["peer"]["subject"])["commonName"] == "client-1" for row in talked)
    if mode.quantum and mode.target == "secret":
        assert all(len(row["hello"]) > 1400 and QUANTUM in row["hello"] for row in talked)
