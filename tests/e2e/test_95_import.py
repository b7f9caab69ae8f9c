"""`penstock import`: the set-up of an Apache Traffic Server becomes a penstock.yaml that checks, serves, and sends clients where ATS sent them.
(no cluster needed)"""
import contextlib
import ssl
import subprocess

import pytest
import settings
import tls
from fakes import plain_echo
from test_10_start import run
from test_90_sni import PORT, reaches, refused, where
from test_91_tls import refused as refused_inside
from test_91_tls import secure
from tls import hello

RECORDS = """# PROXY TLS PORT
CONFIG proxy.config.http.server_ports STRING {port}:ssl:ip-in={gate} 4080
CONFIG proxy.config.ssl.client.cert.path STRING /proxy-cert.pem
CONFIG proxy.config.ssl.client.cert.filename STRING /proxy-key.pem
CONFIG proxy.config.http.connect_ports STRING 4443 6651
"""
RECORDS_YAML = """records:
  http: {{ server_ports: "{port}:ssl:ip-in={gate} 4080", connect_ports: 4443 6651 }}
  ssl: {{ client: {{ cert: {{ path: /proxy-cert.pem, filename: /proxy-key.pem }} }} }}
"""
LUA = """server_config = {{
  {{
     fqdn = 'pulsar-broker1.example.com',
     # the broker itself
     tunnel_route = '{one}'
  }},
  {{ fqdn = "*.example.com", tunnel_route = '{any}', }}, -- and the others
}}
"""
SNI = """sni:
  - fqdn: pulsar-broker1.example.com
    tunnel_route: {one}
  - fqdn: '*.example.com'
    tunnel_route: {any}
"""


def ats(folder, **files):
    """Writes files and imports them: (exit status, penstock.yaml, what is said)."""
    paths = []
    for name, text in files.items():
        paths.append(folder / name.replace("__", "."))
        paths[-1].write_text(text)
    done = subprocess.run([settings.PENSTOCK, "import", *paths], capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("records", [{"records__config": RECORDS}, {"records__yaml": RECORDS_YAML}], ids=["config", "yaml"])
@pytest.mark.parametrize("table", [{"ssl_server_name__config": LUA}, {"sni__yaml": SNI}], ids=["Lua", "YAML"])
def test_clients_get_where_ats_sent_them(penstock, fake, tmp_path, table, records):
    one, other, gate = fake(port=PORT), fake(port=PORT), penstock.new()
    words = {"port": gate.port, "gate": settings.GATE_ADDRESS, "one": where(one), "any": where(other)}
    status, text, said = ats(tmp_path, **{name: text.format(**words) for name, text in (table | records).items()})
    assert status == 1 and len(said.splitlines()) == 4, said  # 4080, the certificate and its key, and the sum
    for word in ("4080: HTTP", "cert.path", "cert.filename"):
        assert word in said and f"# {tmp_path}/" in text and word in text
    file = tmp_path / "penstock.yaml"
    file.write_text(text)
    assert run("check", "-c", file)[0] == 0
    gate.start(text.replace("127.0.0.1:9180", gate.admin))
    reaches(gate, hello("pulsar-broker1.example.com"), one)
    reaches(gate, hello("b.example.com"), other)
    reaches(gate, hello("a.b.example.com"), other)
    assert refused(gate, hello("example.com"), "no_route") == 112
    assert refused(gate, hello("pulsar-broker1.example.com.evil.test"), "no_route") == 112


def test_captured_name(penstock, fake, lab, tmp_path):
    """$1 of ATS leads through egress.allow, which is written for it."""
    broker, gate = fake(address=settings.OPEN_ADDRESS, port=PORT), penstock.new()
    lab.names.table["cell-9.inside"] = broker.address
    status, text, said = ats(
        tmp_path,
        sni__yaml=f"sni:\n- fqdn: '*.cells.test'\n  tunnel_route: $1.inside:{PORT}\n",
        records__config=f"CONFIG proxy.config.http.server_ports STRING {gate.port}:ssl:ip-in={settings.GATE_ADDRESS}\n",
    )
    assert (status, said) == (0, "")
    gate.start(text.replace("127.0.0.1:9180", gate.admin))
    reaches(gate, hello("cell-9.cells.test"), broker)
    assert refused(gate, hello("nobody.cells.test"), "dns_failed") == 80


TLS_RECORDS = """CONFIG proxy.config.http.server_ports STRING {port}:ssl:ip-in={gate}
CONFIG proxy.config.ssl.server.cert.path STRING {folder}
CONFIG proxy.config.ssl.server.private_key.path STRING {folder}
CONFIG proxy.config.ssl.client.verify.server.policy STRING ENFORCED
CONFIG proxy.config.ssl.client.CA.cert.path STRING {folder}
CONFIG proxy.config.ssl.client.CA.cert.filename STRING ca.pem
"""
TLS_SNI = """sni:
- fqdn: plain.example.com
  forward_route: {plain}
  ip_allow: "@clients.txt"
  server_cipher_suite: ECDHE-ECDSA-AES256-GCM-SHA384
  server_TLSv1_3_cipher_suites: TLS_CHACHA20_POLY1305_SHA256
- fqdn: shut.example.com
  forward_route: {plain}
  ip_allow: "@nobody.txt"
- fqdn: mine.example.com
  forward_route: {plain}
  verify_client: STRICT
  verify_client_ca_certs: {folder}/ca.pem
  valid_tls_version_min_in: TLSv1_3
- fqdn: again.example.com
  partial_blind_route: {again}
- fqdn: other.example.com
  partial_blind_route: {other}
- fqdn: "*.example.com"
  tunnel_route: {tunnel}
"""


def test_routes_that_end_TLS(penstock, fake, tmp_path):
    """forward_route, partial_blind_route and tunnel_route on one port, with ATS's certificates and demands."""
    (tmp_path / "clients.txt").write_text(f"192.0.2.1\n{settings.CLIENT_ADDRESS}/24\n")
    (tmp_path / "nobody.txt").write_text("192.0.2.0/24,2001:db8::/32")
    authority = tls.Authority(tmp_path)
    certificate, key = authority.issue("*.example.com")
    plain, tunnel, gate = fake(plain_echo, port=PORT), fake(port=PORT), penstock.new()
    again, other = fake(port=PORT), fake(port=PORT)
    sides = {again: authority.server(again.address), other: authority.server("someone.else.test")}
    words = {
        "port": gate.port, "gate": settings.GATE_ADDRESS, "folder": tmp_path,
        "plain": where(plain), "again": where(again), "other": where(other), "tunnel": where(tunnel),
    }  # fmt: skip
    status, text, said = ats(
        tmp_path, sni__yaml=TLS_SNI.format(**words), records__config=TLS_RECORDS.format(**words),
        ssl_multicert__config=f"dest_ip=* ssl_cert_name={certificate.name} ssl_key_name={key.name}\n",
    )  # fmt: skip
    assert (status, said) == (0, "")
    file = tmp_path / "penstock.yaml"
    file.write_text(text)
    assert run("check", "-c", file)[0] == 0
    gate.start(text.replace("127.0.0.1:9180", gate.admin))

    for version, cipher in (("TLSv1_2", "ECDHE-ECDSA-AES256-GCM-SHA384"), ("TLSv1_3", "TLS_CHACHA20_POLY1305_SHA256")):
        peer = secure(gate, authority.trusting(maximum_version=ssl.TLSVersion[version]), "plain.example.com")
        assert peer.sock.cipher()[0] == cipher
        peer.send(b"in clear")
        assert peer.read_exactly(8) == b"in clear"
        peer.close()
    assert refused(gate, hello("shut.example.com"), "acl_cidr") == 49

    mine = authority.issue("client", client=True)
    peer = secure(gate, authority.trusting(mine), "mine.example.com")
    assert peer.sock.version() == "TLSv1.3"
    peer.send(b"in clear")
    assert peer.read_exactly(8) == b"in clear"
    peer.close()
    assert refused_inside(gate, authority.trusting(), "client_tls_cert_missing", "mine.example.com")

    peer = secure(gate, authority.trusting(), "again.example.com")
    target = sides[again].wrap(again.next())
    assert sides[again].names == [None], "an address is no server name"
    peer.send(b"sealed anew")
    assert target.read_exactly(11) == b"sealed anew"
    peer.close()
    target.close()

    # A target that is not what its certificate says: ENFORCED, with ALL for want of another word.
    secure(gate, authority.trusting(), "other.example.com").close()
    with contextlib.suppress(OSError):
        sides[other].wrap(other.next()).sock.recv(1)
    assert gate.wait_access(sni="other.example.com")["reason"] == "broker_tls_cert_name"

    reaches(gate, hello("tunnel.example.com"), tunnel)


def test_exit_codes(lab, tmp_path):
    assert run("import")[0] == 2
    assert run("import", "--no-such-flag", "sni.yaml")[0] == 2
    assert run("import", tmp_path / "missing.yaml")[0] == 78
    assert ats(tmp_path, sni__yaml="sni:\n- fqdn: a.test\n  tunnel_route: [\n") == (
        78, "", f"{tmp_path}/sni.yaml:4:1: not YAML: did not find expected node content, while parsing a flow node that began at line 4, "
        "column 1; check the indentation, quotes and brackets\npenstock: 1 error\n",
    )  # fmt: skip
    status, _, said = ats(tmp_path, ssl_server_name__conf="server_config = {\n  { fqdn = f() },\n}\n")
    assert status == 78 and f"{tmp_path}/ssl_server_name.conf:2:12: 'f' where a text in quotes" in said
    assert ats(tmp_path, records__config="CONFIG proxy.config.http.server_ports STRING 443:ssl\n")[0] == 1
