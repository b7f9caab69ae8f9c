"""When certificates run out: a metric, a page, warnings; and new ones taken while connections go on. And /routes, which says where a client would go."""
import calendar
import itertools
import json
import os
import shutil
import ssl
import subprocess
import threading
import time
import urllib.parse

import pytest
import settings
import tls
from fakes import plain_echo
from processes import wait_until
from test_90_sni import where
from test_91_tls import VERSIONS, ending, only, refused, secure
from test_93_route_tls import edge, says_back

DAY = 86400


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return tls.Authority(tmp_path_factory.mktemp("ca"))


def ends(file):
    """When the first certificate of a file runs out, by OpenSSL."""
    done = subprocess.run(["openssl", "x509", "-in", file, "-noout", "-enddate"], capture_output=True, text=True, check=True)
    return calendar.timegm(time.strptime(done.stdout.strip().removeprefix("notAfter="), "%b %d %H:%M:%S %Y GMT"))


def put(pair, certificate):
    for target, source in zip(pair, certificate):
        shutil.copy(source, target)


def everywhere(authority, target):
    """(config sections, files) with a certificate in every place that can have one."""
    listener, route, broker, target_pair = (
        authority.issue(f"{name}.test", days=days, client=name in ("broker", "target"), prefix=f"{name}-")
        for name, days in (("listener", 100), ("route", 40), ("broker", 20), ("target", 5))
    )
    clusters = {"c": {
        "discovery": {"urls": ["pulsar+ssl://10.9.9.9:6651"]},
        "broker_tls": {"ca_file": str(authority.file), "cert_file": str(broker[0]), "key_file": str(broker[1])},
    }}  # fmt: skip
    routes = [
        {"host": "listener.test", "mode": "terminate", "forward": where(target)},
        {"host": "route.test", "mode": "terminate", "forward": where(target), **ending(route)},
        {"host": "c.test", "mode": "reencrypt", "cluster": "c"},
        {
            "host": "target.test", "mode": "reencrypt", "forward": where(target),
            "broker_tls": {"ca_file": str(authority.file), "cert_file": str(target_pair[0]), "key_file": str(target_pair[1])},
        },
    ]  # fmt: skip
    return listener, routes, clusters, {"listener edge: tls": listener, "listener edge: route route.test: tls": route,
                                        "cluster c: broker_tls": broker, "listener edge: route target.test: broker_tls": target_pair}  # fmt: skip


def test_every_certificate_is_counted(penstock, fake, authority):
    """Those for clients, of the listener and of a route, and those for brokers, of a cluster and of a route; no CA."""
    listener, routes, clusters, files = everywhere(authority, fake())
    gate = edge(penstock, listener, routes, clusters=clusters)
    samples = [labels for name, labels, _ in gate.metrics().samples if name == "penstock_cert_expiry_timestamp_seconds"]
    assert len(samples) == len(files), samples
    for certificate, _ in files.values():
        assert gate.metrics()("penstock_cert_expiry_timestamp_seconds", file=str(certificate)) == ends(certificate)
    rows = gate.json("/certs")["certificates"]
    assert {row["used_by"]: row["file"] for row in rows} == {place: str(pair[0]) for place, pair in files.items()}
    for row in rows:
        assert calendar.timegm(time.strptime(row["expires"], "%Y-%m-%dT%H:%M:%SZ")) == ends(row["file"])
        assert (ends(row["file"]) - int(time.time())) // DAY - row["days_left"] in (0, -1)


def test_warnings(penstock, fake, authority):
    """At start, by `check`, and again and again; of those that are near, and of no others."""
    listener, routes, clusters, files = everywhere(authority, fake())
    near = files["listener edge: route target.test: broker_tls"][0]
    gate = edge(penstock, listener, routes, clusters=clusters, certificates={"warn_every": "1s"})
    words = f"listener edge: route target.test: broker_tls: {near}: runs out on "
    first = gate.log()  # it may have been said again since
    assert first.count(words) >= 1 and first.count("runs out on") == first.count(words)
    assert ", in 4 days" in first or ", in 5 days" in first  # it was made a moment ago
    wait_until("the next time", 5, lambda: gate.log().count(f"certificate text=\"{words}") >= 2)
    gate.write({**json.loads(gate.config_file.read_text()), "certificates": {"warn_before": "30d", "warn_every": "1h"}})
    gate.reload()
    broker = f"cluster c: broker_tls: {files['cluster c: broker_tls'][0]}: runs out on "
    wait_until("the reload's", 5, lambda: gate.log().count(broker) == 1)
    done = subprocess.run([settings.PENSTOCK, "check", "-q", "-c", gate.config_file], capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 0
    assert sorted(line.split(": runs out")[0] for line in done.stderr.splitlines() if ": runs out" in line) == sorted(
        f"warning: {w.removesuffix(': runs out on ')}" for w in (words, broker)
    )
    gate.write({**json.loads(gate.config_file.read_text()), "certificates": {"warn_before": "off"}})
    time.sleep(1)  # between two reloads
    gate.reload()
    wait_until("the second reload", 5, lambda: gate.metrics()("penstock_config_generation") == 3)
    assert gate.log().count(broker) == 1


def test_expired(penstock, fake, authority):
    """It is served all the same, clients judge; and everybody is told."""
    old = authority.issue("old.test", days=0, prefix="expired-")
    time.sleep(1.1)
    gate = edge(penstock, old, [{"host": "old.test", "mode": "terminate", "forward": where(fake(plain_echo))}], certificates={"warn_every": "1s"})
    assert f"{old[0]}: expired on " in gate.log()
    wait_until("the next time", 5, lambda: f'certificate text="listener edge: tls: {old[0]}: expired on ' in gate.log())
    assert gate.json("/certs")["certificates"][0]["days_left"] <= 0
    with pytest.raises(ssl.SSLCertVerificationError):
        secure(gate, authority.trusting(), "old.test")
    done = subprocess.run([settings.PENSTOCK, "check", "-c", gate.config_file], capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 0 and f"warning: listener edge: tls: {old[0]}: expired on " in done.stderr


def below(authority, folder, days):
    """An authority signed by another."""
    key, request, extensions = (folder / f"ca.{kind}" for kind in ("key", "csr", "ext"))
    extensions.write_text("basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n")
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    authority._openssl(*new, "-subj", "/CN=middle", "-keyout", key, "-out", request)
    authority._openssl("x509", "-req", "-in", request, "-CA", authority.file, "-CAkey", authority.folder / "ca.key", "-CAcreateserial", "-days", days,
                       "-extfile", extensions, "-out", folder / "ca.pem")  # fmt: skip
    return tls.Authority(folder)


def test_the_chain_counts(penstock, fake, authority, tmp_path):
    """An intermediate that runs out before its leaf; the root that stands behind it does not count."""
    middle = below(authority, tmp_path, 30)
    leaf, leaf_key = middle.issue("leaf.test", days=90)
    chain = tmp_path / "leaf.chain"
    chain.write_text(leaf.read_text() + middle.file.read_text() + authority.file.read_text())
    assert ends(authority.file) < ends(middle.file) < ends(leaf)
    gate = edge(penstock, (chain, leaf_key), [{"host": "leaf.test", "mode": "terminate", "forward": where(fake())}])
    assert gate.metrics()("penstock_cert_expiry_timestamp_seconds", file=str(chain)) == ends(middle.file)


def test_reloads_under_load(penstock, fake, authority, tmp_path):
    """Certificates change again and again, on the listener, on a route and towards the target: no connection notices, and new ones get the new
    certificate."""
    server = authority.server("a.test", "b.test", prefix="target-")
    plain, secret = fake(plain_echo), fake(server.serve, port=6651)
    pairs = [(tmp_path / f"{name}.pem", tmp_path / f"{name}.key") for name in ("listener", "route", "client")]
    numbers = itertools.count()

    def renew():
        shown = []
        for pair, name, client in zip(pairs, ("a.test", "b.test", "penstock"), (False, False, True)):
            put(pair, authority.issue(name, client=client, prefix=f"renewed-{next(numbers)}-"))
            shown.append(ssl.PEM_cert_to_DER_cert(pair[0].read_text()))
        return shown

    shown = renew()
    towards = {"ca_file": str(authority.file), "name": "client", "cert_file": str(pairs[2][0]), "key_file": str(pairs[2][1])}
    routes = [
        {"host": "a.test", "mode": "terminate", "forward": where(plain)},
        {"host": "b.test", "mode": "reencrypt", "forward": where(secret), "broker_tls": towards, **ending(pairs[1])},
    ]
    gate = edge(penstock, pairs[0], routes)
    context = authority.trusting()
    over, trouble, rounds = threading.Event(), [], [0, 0, 0]

    def streams(index, name):
        try:
            peer = secure(gate, context, name)
            while not over.is_set():
                says_back(peer, os.urandom(20_000))
                rounds[index] += 1
            peer.close()
        except Exception as error:  # noqa: BLE001 - shown below
            trouble.append(error)

    def arrivals():
        try:
            while not over.is_set():
                for name in ("a.test", "b.test"):
                    peer = secure(gate, context, name)
                    says_back(peer)
                    peer.close()
                rounds[2] += 1
        except Exception as error:  # noqa: BLE001
            trouble.append(error)

    threads = [threading.Thread(target=streams, args=(i, n)) for i, n in enumerate(("a.test", "b.test"))]
    threads.append(threading.Thread(target=arrivals))
    for thread in threads:
        thread.start()
    for generation in range(2, 6):
        before, shown = rounds[:], renew()
        gate.reload()
        wait_until("the reload", 5, lambda g=generation: gate.metrics()("penstock_config_generation") == g)
        for name, certificate in zip(("a.test", "b.test"), shown):
            peer = secure(gate, context, name)
            assert peer.sock.getpeercert(binary_form=True) == certificate
            says_back(peer)
            peer.close()
        wait_until("all go on", 10, lambda b=before: trouble or all(now > then for now, then in zip(rounds, b)))
        assert not trouble
        time.sleep(1)  # one reload a second
    over.set()
    for thread in threads:
        thread.join()
    assert not trouble
    for pair in pairs:
        assert gate.metrics()("penstock_cert_expiry_timestamp_seconds", file=str(pair[0])) == ends(pair[0])


# ---- revocation, by list and by staple


class Register:
    """What a CA says of its certificates afterwards, by the openssl command."""

    def __init__(self, authority, folder):
        self.authority, self.folder = authority, folder
        self.config = folder / "register.cnf"
        (folder / "index.txt").write_text("")
        self.config.write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index.txt\nunique_subject=no\ndefault_md=sha256\ndefault_crl_days=1\n"
            f"certificate={authority.file}\nprivate_key={authority.folder}/ca.key\n"
        )

    def _ca(self, *words):
        self.authority._openssl("ca", "-config", self.config, *words)

    def revoke(self, certificate):
        self._ca("-revoke", certificate)

    def list(self):
        file = self.folder / "list.pem"
        self._ca("-gencrl", "-out", file)
        return file

    def staple(self, certificate):
        file, key = certificate.with_suffix(".ocsp"), self.authority.folder / "ca.key"
        self._ca("-valid", certificate)
        ca = self.authority.file
        self.authority._openssl("ocsp", "-index", self.folder / "index.txt", "-CA", ca, "-rsigner", ca, "-rkey", key, "-issuer", ca, "-cert", certificate,
                                "-ndays", "1", "-resp_no_certs", "-respout", file)  # fmt: skip
        return file


def test_a_revoked_client(penstock, fake, authority, tmp_path):
    """Refused with the alert that says so, from the reload on that brings the list; others, and who is inside already, go on."""
    register = Register(authority, tmp_path)
    gate_certificate = authority.issue("gw.test", prefix="crl-")
    good, bad = (authority.issue(f"{name}.test", client=True, prefix="crl-") for name in ("good", "bad"))
    keys = {"client_auth": "require", "client_ca_file": str(authority.file), "crl_file": str(register.list())}
    listener = ending(gate_certificate, **keys)
    gate = edge(penstock, None, [{"host": "gw.test", "mode": "terminate", "forward": where(fake(plain_echo))}], **listener)
    inside = [secure(gate, authority.trusting(one), "gw.test") for one in (good, bad)]
    for peer in inside:
        says_back(peer)
    register.revoke(bad[0])
    register.list()
    gate.reload()
    wait_until("the reload", 5, lambda: gate.metrics()("penstock_config_generation") == 2)
    for version in VERSIONS:
        assert refused(gate, authority.trusting(bad, **only(version)), "client_tls_cert_revoked", "gw.test") == "SSLV3_ALERT_CERTIFICATE_REVOKED"
        peer = secure(gate, authority.trusting(good, **only(version)), "gw.test")
        says_back(peer)
        peer.close()
    for peer in inside:
        says_back(peer)
        peer.close()


@pytest.mark.parametrize("auth,is_below", [("none", False), ("none", True), ("optional", False)])
def test_staple(penstock, fake, authority, tmp_path, auth, is_below):
    """What the CA says of our certificate goes with it, to clients of TLS 1.2 that ask; where it cannot, for want of the issuer, we are told and the
    handshake goes on without."""
    folders = [tmp_path / name for name in ("middle", "other")]
    for folder in folders:
        folder.mkdir()
    issuer = below(authority, folders[0], 3) if is_below else authority
    certificate, key = issuer.issue("stapled.test", prefix=f"{auth}-")
    staple = Register(issuer, tmp_path).staple(certificate)
    chain = tmp_path / "chain.pem"
    chain.write_text(certificate.read_text() + issuer.file.read_text())
    other = tls.Authority(folders[1])
    target = where(fake(plain_echo))

    def status(**keys):
        if auth != "none":
            keys.update(client_auth=auth)
        listener = ending(keys.pop("pair"), ocsp_file=[str(staple)], **keys)
        gate = edge(penstock, None, [{"host": "stapled.test", "mode": "terminate", "forward": target}], **listener)
        words = ["-connect", f"{settings.GATE_ADDRESS}:{gate.port}", "-servername", "stapled.test", "-CAfile", str(authority.file), "-status", "-tls1_2"]
        done = subprocess.run(["openssl", "s_client", *words], input=b"", capture_output=True, timeout=10, check=False)
        assert b"BEGIN CERTIFICATE" in done.stdout and (is_below or b"Verify return code: 0 (ok)" in done.stdout), done
        return b"OCSP Response Status: successful" in done.stdout and b"Cert Status: good" in done.stdout, gate.log()

    with_issuer = {"pair": (chain, key)} if auth == "none" else {"pair": (certificate, key), "client_ca_file": str(authority.file)}
    without = {"pair": (certificate, key)} if auth == "none" else {"pair": (chain, key), "client_ca_file": str(other.file)}
    is_stapled, log = status(**with_issuer)
    assert is_stapled and "is not stapled" not in log
    is_stapled, log = status(**without)
    assert not is_stapled and f"{staple}: is not stapled, since the authority that has signed the certificate is not in " in log


# ---- /routes


@pytest.fixture
def town(penstock, fake, authority, lab):
    lab.names.table.update({"b1.pulsar.test": "127.77.1.250"})
    routes = [
        {"host": "a.test", "forward": ["127.77.1.1:6651", "[2001:db8::1]:6651"], "alpn": ["h2"], "allow": ["192.0.2.0/24"], "max_connections": 7},
        {"host": "a.test", "forward": "127.77.1.2:6651"},
        {"host": "*.cells.test", "forward": "{1}.internal:6651"},
        {"host": "*.odd.test", "forward": "{1}.outside:6651"},
        {"host": "east.test", "mode": "terminate", "cluster": "plain"},
        {"discovered": "c"},
    ]
    clusters = {
        "c": {"discovery": {"urls": ["pulsar+ssl://b1.pulsar.test:6651"]}},
        "plain": {"discovery": {"urls": ["pulsar://127.77.1.3:6650", "pulsar+ssl://127.77.1.3:6651"]}},
    }
    return edge(penstock, authority.issue("east.test"), routes, clusters=clusters, egress={"allow": {"hosts": ["*.internal"]}})


def test_routes_page(town):
    rows = town.json("/routes")["routes"]
    assert [row["route"] for row in rows] == ["a.test[h2]", "a.test", "*.cells.test", "*.odd.test", "east.test", "discovered:c"]
    assert rows[0] == {
        "listener": "edge", "route": "a.test[h2]", "host": "a.test", "mode": "pass", "forward": ["127.77.1.1:6651", "[2001:db8::1]:6651"],
        "cluster": None, "discovered": None, "alpn": ["h2"], "allow": ["192.0.2.0/24"], "max_connections": 7, "active": 0, "total": 0,
    }  # fmt: skip
    assert rows[4]["mode"] == "terminate" and rows[4]["cluster"] == "plain" and rows[4]["max_connections"] is None
    assert rows[5]["host"] is None and rows[5]["discovered"] == "c"


WAYS = [
    ({"sni": "a.test", "alpn": "h2", "client": "192.0.2.9"}, "a.test[h2]", None, ["127.77.1.1:6651", "[2001:db8::1]:6651"]),
    ({"sni": "A.test.", "alpn": "h2"}, "a.test[h2]", "acl_cidr", []),
    ({"sni": "a.test"}, "a.test", None, ["127.77.1.2:6651"]),
    ({"sni": "x.cells.test"}, "*.cells.test", None, ["x.internal:6651"]),
    ({"sni": "x.odd.test"}, "*.odd.test", None, ["x.outside:6651"]),
    ({"sni": "east.test"}, "east.test", None, ["127.77.1.3:6650"]),
    ({"sni": "b1.pulsar.test"}, "discovered:c", None, ["b1.pulsar.test:6651"]),
    ({"sni": "nobody.test"}, None, "no_route", []),
    ({"sni": "10.0.0.1"}, None, "no_route", []),
    ({"sni": ""}, None, "sni_missing", []),
]


@pytest.mark.parametrize("question,route,reason,targets", WAYS, ids=[urllib.parse.urlencode(w[0]) for w in WAYS])
def test_ways(town, question, route, reason, targets):
    wait_until("the name", 5, lambda: town.json("/routes?sni=b1.pulsar.test")["ways"][0]["targets"][0]["answer"] == "dial")
    for more in ({}, {"listener": "edge"}):
        (way,) = town.json("/routes?" + urllib.parse.urlencode({**question, **more}))["ways"]
        assert (way["route"], way["reason"], [t["target"] for t in way["targets"]]) == (route, reason, targets)
    answers = {"x.internal:6651": ("resolve", None, []), "x.outside:6651": ("deny", "target_host_denied", [])}
    for target in way["targets"]:
        name = "127.77.1.250:6651" if target["target"].startswith("b1") else target["target"]
        assert (target["answer"], target["reason"], target["addresses"]) == answers.get(target["target"], ("dial", None, [name]))


def test_questions_that_make_no_sense(town):
    for words in ("alpn=h2", "sni=a&alpn=", "sni=a&client=nonsense", "client=10.0.0.1"):
        status, body = town.get(f"/routes?{words}")
        assert status == 400 and body.startswith('{"error":"'), body
    assert town.json("/routes?sni=a.test&listener=other") == {"ways": []}
