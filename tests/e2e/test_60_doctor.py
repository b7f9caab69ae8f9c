"""`penstock doctor`: one line for each thing looked at, the remedy beside it, and an exit code that says whether penstock would start."""
import ctypes
import json
import re
import ssl
import struct
import subprocess
import sys
import time

import netns
import pytest
import settings
import tls
from fakes import plain_echo
from mirror import Mirror
from processes import wait_until

FINE, FAILURE, STOP = 0, 1, 78
PORT = 6999  # nobody's in this suite
LINE = re.compile(r"(ok   |warn |fail ) (\S+) +(\S.*)")


def config(tmp_path, **sections):
    file = tmp_path / "doctor.yaml"
    file.write_text(json.dumps({"admin": {"listen": "off"}, "limits": {"connections": 1000}, **sections}))
    return file


def run(file, *flags, **how):
    words = netns.exec_in(settings.BROKER_SIDE, [settings.PENSTOCK, "doctor", "-c", file, *flags])
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, **how)


class Doctor:
    """What it found, from --json: doctor("io_uring") are the findings of one check."""

    def __init__(self, file, **how):
        done = run(file, "--json", **how)
        self.status, self.text = done.returncode, done.stdout
        assert not done.stderr, done.stderr
        self.report = json.loads(self.text)
        self.findings = self.report["checks"]
        counts = {state: sum(f["state"] == state for f in self.findings) for state in ("ok", "warn", "fail")}
        assert counts == {state: self.report[state] for state in counts}
        assert self.report["result"] == ("fail" if counts["fail"] else "warn" if counts["warn"] else "ok")
        assert (self.status == FINE) == (counts["fail"] == 0), self.text

    def __call__(self, check):
        return [f for f in self.findings if f["check"] == check]

    def one(self, check):
        (found,) = self(check)
        return found

    def states(self, check):
        return [f["state"] for f in self(check)]


def cluster_of(url, **keys):
    return {"c": {"discovery": {"urls": [url]}, **keys}}


def through(**keys):
    return [{"name": "pulsar", "bind": f"{settings.GATE_ADDRESS}:{PORT}", "cluster": "c", **keys}]


# ---- the host


def test_this_machine(lab, tmp_path, say):
    """The text and the JSON say the same, and nothing about this machine stops penstock, which the rest of this suite shows."""
    file = config(tmp_path, process={"workers": 1})
    text, report = run(file), Doctor(file)
    lines = text.stdout.splitlines()
    assert text.returncode == report.status == FINE, text.stdout
    assert lines.pop() == "doctor: {ok} ok, {warn} warn, {fail} fail".format(**report.report)
    for line, found in zip(lines, report.findings, strict=True):
        state, check, rest = LINE.fullmatch(line).groups()
        remedy = f"; {found['remedy']}" if found["remedy"] else ""
        assert (state.strip(), check, rest) == (found["state"], found["check"], found["what"] + remedy)
    assert report.one("io_uring")["state"] == "ok"
    assert {f["check"] for f in report.findings} >= {"config", "kernel", "io_uring", "memlock", "files", "pipes", "memory", "ktls", "cpus"}
    say("penstock doctor, in the network of the tests:\n    " + "\n    ".join(text.stdout.splitlines()))


def test_every_warning_has_a_remedy(lab, tmp_path):
    report = Doctor(config(tmp_path, limits={"connections": 5_000_000, "pipes": 65536}, process={"workers": 200}))
    assert report.status == FINE and len([f for f in report.findings if f["state"] == "warn"]) >= 3, report.text
    assert [f for f in report.findings if f["state"] != "ok" and f["check"] != "config" and not f["remedy"]] == []
    assert report.one("cpus")["state"] == "warn" and "200 workers" in report.one("cpus")["what"]


def forbid_io_uring():
    """In the child: a seccomp filter as containers have it, EPERM for io_uring_setup (425 everywhere) and nothing else."""
    ret_errno, ret_allow, load, jump_equal, ret = 0x00050000 | 1, 0x7FFF0000, 0x20, 0x15, 0x06
    rows = [(load, 0, 0, 0), (jump_equal, 0, 1, 425), (ret, 0, 0, ret_errno), (ret, 0, 0, ret_allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *row) for row in rows))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(rows), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program):  # PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP
        sys.exit("no seccomp")


def test_io_uring_forbidden(lab, tmp_path):
    """What would stop the start stops the doctor with the same code, and names who forbids it."""
    file = config(tmp_path)
    report = Doctor(file, preexec_fn=forbid_io_uring)
    found = report.one("io_uring")
    assert report.status == STOP and found["state"] == "fail"
    assert "seccomp" in found["what"] and "io_uring_setup" in found["what"] + found["remedy"], found
    assert Doctor(file).status == FINE
    started = subprocess.run(
        netns.exec_in(settings.BROKER_SIDE, [settings.PENSTOCK, "run", "-c", file]),
        capture_output=True, text=True, timeout=20, check=False, preexec_fn=forbid_io_uring,
    )  # fmt: skip
    assert started.returncode == STOP and "seccomp" in started.stderr


def test_beside_the_penstock_that_runs(penstock, fake, tmp_path):
    """Its limits count, not the shell's; its addresses are taken, by it."""
    broker = fake(plain_echo)
    gate = penstock.forward(broker, limits={"connections": 1000}, process={"workers": 1}, start={"descriptors": 300})
    report = Doctor(gate.config_file)
    found = report.one("files")
    assert found["state"] == "warn" and found["what"].startswith(f"300 may be open (penstock {gate.process.pid})"), report.text
    assert found["remedy"].startswith("LimitNOFILE=")
    assert report("brokers")[0]["what"] == "listener plain: 1 of 1 target can be reached"
    assert report.one("listeners")["what"] == "2 addresses are in use, as it should be where penstock runs"
    strange = Doctor(config(tmp_path, listeners=[{"name": "a", "bind": f"{settings.GATE_ADDRESS}:{gate.port}", "forward": broker.where}]))
    assert strange.status == STOP and "in use" in strange.one("listeners")["what"] and "ss -ltnp" in strange.one("listeners")["remedy"]
    assert gate.stop() == 0
    wait_until("the addresses to be let go", 10, lambda: Doctor(gate.config_file).one("listeners")["what"] == "2 addresses can be bound")
    assert "(this shell)" in Doctor(gate.config_file).one("files")["what"]


def test_sysctl_is_a_file_for_sysctl(lab, tmp_path):
    file = config(tmp_path, limits={"connections": 200_000}, process={"workers": 4}, listeners=[
        {"name": "a", "bind": f"{settings.GATE_ADDRESS}:40000", "forward": f"{settings.NOBODY_ADDRESS}:1", "backlog": 60000},
    ])  # fmt: skip
    done = run(file, "--sysctl")
    assert done.returncode == FAILURE  # nobody is there
    settings_of = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    names = {line.partition(" = ")[0] for line in settings_of}
    assert {"net.core.somaxconn", "net.ipv4.ip_local_reserved_ports"} <= names, done.stdout
    assert all(re.fullmatch(r"[a-z0-9_.]+ = [0-9, -]+", line) for line in settings_of), done.stdout
    assert "net.ipv4.ip_local_reserved_ports = 40000" in settings_of


# ---- the configuration and its files


def test_configuration(lab, tmp_path):
    file = config(tmp_path)
    file.write_text("listeners: nonsense\ntimeouts: { hello: 5 }\n")
    report = Doctor(file)
    assert report.status == STOP
    said = [f["what"] for f in report("config")]
    assert any(f"{file}:1:12: listeners" in what for what in said) and any(f"{file}:2:20: timeouts.hello" in what for what in said), said
    assert report.one("io_uring")["state"] == "ok"  # what does not depend on it was looked at
    missing = Doctor(tmp_path / "none.yaml")
    assert missing.status == STOP and "none.yaml" in missing("config")[0]["what"]


def test_certificates(lab, fake, tmp_path):
    authority = tls.Authority(tmp_path)
    target = fake(plain_echo)
    pairs = [authority.issue(f"{name}.test", days=days) for name, days in (("long", 90), ("near", 5), ("over", 0))]
    time.sleep(1.1)  # until a certificate for 0 days is over

    def look(*pairs):
        files = {"cert_file": [str(c) for c, _ in pairs], "key_file": [str(k) for _, k in pairs]}
        routes = [{"host": "a.test", "forward": target.where, "mode": "terminate"}]
        bind = f"{settings.GATE_ADDRESS}:{PORT}"
        return Doctor(config(tmp_path, listeners=[{"name": "edge", "bind": bind, "tls": files, "routes": routes}]))

    report = look(*pairs)
    found = {f["what"].split(": ")[2].rpartition("/")[2]: f for f in report("certificates")}
    assert {name: f["state"] for name, f in found.items()} == {"long.pem": "ok", "near.pem": "warn", "over.pem": "fail"}
    assert re.search(r"in (89|90) days$", found["long.pem"]["what"]) and re.search(r"in [45] days$", found["near.pem"]["what"])
    assert "expired on" in found["over.pem"]["what"] and found["over.pem"]["remedy"]
    assert report.status == FAILURE
    assert look(*pairs[:2]).status == FINE


# ---- ZooKeeper and brokers


def test_real_cluster(cluster, tmp_path):
    """Brokers as they register themselves, dialled at the addresses penstock would dial; with TLS, verified as it would verify them."""
    servers = {"discovery": {"zookeeper": {"servers": cluster.zookeeper_servers}}}

    def look(**keys):
        return Doctor(config(tmp_path, clusters={"c": {**servers, **keys}}, listeners=through()))

    plain = look()
    assert plain.status == FINE, plain.text
    assert plain.states("zookeeper") == ["ok"] * len(cluster.zookeeper_servers.split(","))
    assert all(re.search(r" answers, (standalone|leader|follower)$", f["what"]) for f in plain("zookeeper"))
    assert [f["what"] for f in plain("brokers")] == ["cluster c: 2 of 2 brokers can be reached"]
    verified = look(broker_tls={"ca_file": str(cluster.authority.file)})
    assert [f["what"] for f in verified("brokers")] == ["cluster c: 2 of 2 brokers can be reached, with TLS"], verified.text
    other = tls.Authority(tmp_path)
    strange = look(broker_tls={"ca_file": str(other.file)})
    assert strange.status == FAILURE and strange.states("brokers") == ["fail", "fail"], strange.text
    assert all("signed by nobody we trust" in f["what"] for f in strange("brokers")), strange.text


def test_zookeeper(lab, fake, tmp_path):
    with Mirror(servers=3) as zk:
        file = config(tmp_path, clusters={"c": {"discovery": {"zookeeper": {"servers": zk.connect_string}}}}, listeners=through())
        empty = Doctor(file)
        assert empty.states("zookeeper") == ["ok"] * 3 and empty.status == FAILURE
        assert empty.one("brokers")["what"] == "cluster c: ZooKeeper lists no broker" and zk.connect_string in empty.one("brokers")["remedy"]

        broker = fake(plain_echo)
        zk.broker(broker.url)
        zk.broker("pulsar://127.77.9.9:6650")  # registered, and dead
        one_dead = Doctor(file)
        assert one_dead.status == FAILURE and one_dead.states("brokers") == ["ok", "fail"], one_dead.text
        assert one_dead("brokers")[0]["what"] == "cluster c: 1 of 2 brokers can be reached"
        assert one_dead("brokers")[1]["what"] == "cluster c: broker 127.77.9.9:6650: Connection refused"

        zk.servers.stop_one(0)
        assert sorted(Doctor(file).states("zookeeper")) == ["ok", "ok", "warn"]
        zk.servers.stop_one(1)
        wait_until("the last server to notice", 30, lambda: "not currently serving" in zk.servers.ask(2, "srvr"))
        no_quorum = Doctor(file)  # the last one answers, and serves nobody
        assert no_quorum.states("zookeeper") == ["fail"] * 3 and no_quorum.states("brokers") == ["fail"], no_quorum.text
        assert any("serves nobody" in f["what"] for f in no_quorum("zookeeper"))


def test_names(lab, tmp_path):
    report = Doctor(config(tmp_path, clusters=cluster_of("pulsar://no-such-broker.test:6650"), listeners=through()))
    found = report.one("brokers")
    assert report.status == FAILURE and "no-such-broker.test:6650: its name: " in found["what"] and "resolv.conf" in found["remedy"]


def test_silence(lab, tmp_path):
    file = config(tmp_path, clusters=cluster_of(f"pulsar://{settings.NOBODY_ADDRESS}:6650"), listeners=through(), timeouts={"connect": "300ms"})
    found = Doctor(file).one("brokers")
    assert found["state"] == "fail" and re.search("does not answer|No route to host", found["what"]), found


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_brokers_that_want_another_certificate(lab, fake, tmp_path, version):
    """With TLS 1.3 a server says so only when for us all is done."""
    (tmp_path / "theirs").mkdir()
    ours, theirs = tls.Authority(tmp_path), tls.Authority(tmp_path / "theirs")
    server = ours.server("b.test", "127.77.1.1")
    server.context.minimum_version = server.context.maximum_version = ssl.TLSVersion[version]
    server.context.verify_mode = ssl.CERT_REQUIRED
    server.context.load_verify_locations(ours.file)
    broker = fake(server.serve, address="127.77.1.1")
    good, bad = ours.issue("client.test", client=True), theirs.issue("client.test", client=True)

    def look(pair):
        trust = {"ca_file": str(ours.file), "cert_file": str(pair[0]), "key_file": str(pair[1])}
        url = broker.url.replace("pulsar://", "pulsar+ssl://")
        return Doctor(config(tmp_path, clusters=cluster_of(url, broker_tls=trust), listeners=through()))

    welcome, refused = look(good), look(bad)
    assert welcome.states("brokers") == ["ok"], welcome.text
    assert refused.states("brokers") == ["fail"] and refused.status == FAILURE, refused.text
    assert re.search("TLS: (refused with a TLS alert|reset)", refused.one("brokers")["what"]), refused.text


# ---- what is installed beside it


def test_dashboard_and_alerts_find_their_metrics(penstock, fake, tmp_path):
    """`make lint` holds them against docs/METRICS.md; here a penstock with everything in use says each of these names itself (Kafka's: test_53_kafka_metrics.py)."""
    authority = tls.Authority(tmp_path)
    certificate, key = authority.issue("gw.test")
    target = fake(plain_echo)
    gate = penstock.new()
    gate.start({
        "clusters": cluster_of(target.url),
        "listeners": [{
            "name": "edge", "bind": f"{settings.GATE_ADDRESS}:{gate.port}", "tls": {"cert_file": str(certificate), "key_file": str(key)},
            "routes": [{"host": "gw.test", "forward": target.where, "mode": "terminate"}],
        }],
    })  # fmt: skip
    said = gate.metrics()
    for file in ("grafana.json", "alerts.yml"):
        text = (settings.TREE / "packaging/common/monitoring" / file).read_text()
        names = set(re.findall(r"\b(?:penstock|process)_[a-z_]+(?=[{\[) ])", text))
        assert len(names) > 15, names
        assert [name for name in sorted(names) if not name.startswith("penstock_kafka_") and not said.has(name)] == []
