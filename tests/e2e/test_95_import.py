"""`penstock import`: the set-up of an Apache Traffic Server becomes a penstock.yaml that checks, serves, and sends clients where ATS sent them.
(no cluster needed)"""
import subprocess

import pytest
import settings
from test_10_start import run
from test_90_sni import PORT, reaches, refused, where
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
