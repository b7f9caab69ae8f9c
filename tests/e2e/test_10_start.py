"""Does it start, say so, and refuse well? (no cluster needed)"""
import datetime
import re
import subprocess

import netns
import pki
import pytest
import settings
import wire
from fakes import echo
from processes import wait_until


def run(*arguments, text=None):
    """A subcommand that ends by itself: (exit status, output of both kinds)."""
    done = subprocess.run(
        netns.exec_in(settings.BROKER_SIDE, [settings.PENSTOCK, *arguments]), capture_output=True, text=True, timeout=20, input=text
    )
    return done.returncode, done.stdout + done.stderr


def test_version_names_its_libraries(lab):
    status, text = run("version")
    assert status == 0
    for word in ("penstock", "liburing", "zookeeper", "microhttpd", "kernel"):
        assert word in text.lower(), f"no {word} in:\n{text}"


def test_usage_error_is_2(lab):
    assert run("no-such-command")[0] == 2
    assert run("proxy", "--no-such-flag")[0] == 2


def test_check_names_all_errors_at_once(lab, tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(
        "clusters:\n  c:\n    protocol: pulsar\n    discovery: { urls: [pulsar://b1:6650] }\n"
        "    lookop: relay\n"  # 5: a typing error
        "listeners:\n  - { name: a, bind: 'nonsense', cluster: c }\n"  # 7: no address
        "  - { name: b, bind: '127.0.0.1:7000', cluster: nowhere }\n"  # 8: no such cluster
        "timeouts: { hello: 5 parsecs }\n"  # 9: no such unit
    )
    status, text = run("check", "-c", file)
    assert status == 78, text
    for line in (5, 7, 8, 9):
        assert f"bad.yaml:{line}:" in text, f"line {line} is not named:\n{text}"
    assert "lookup" in text, f"no 'did you mean lookup':\n{text}"
    assert run("run", "-c", file)[0] == 78


def dump(file):
    return subprocess.run([settings.PENSTOCK, "check", "-c", file, "--dump"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("file", sorted((settings.TREE / "conf").glob("*.yaml")), ids=lambda file: file.stem)
def test_examples(lab, tmp_path, file):
    """Every one is accepted once the files it names are there."""
    authority = pki.Authority(tmp_path)
    certificate, key = authority.issue("*.example.com", prefix="of-")
    text = file.read_text()
    for name in {name for line in text.splitlines() for name in re.findall(r"/etc/penstock/tls/(\S+\.(?:pem|key|jwt))", line.partition("#")[0])}:
        source = authority.file if name.endswith("-ca.pem") else key if name.endswith(".key") else certificate
        (tmp_path / name).write_text("a.b.c\n" if name.endswith(".jwt") else source.read_text())
        (tmp_path / name).chmod(0o600)
    (tmp_path / file.name).write_text(text.replace("/etc/penstock/tls/", f"{tmp_path}/"))
    status, said = run("check", "-c", tmp_path / file.name)
    assert status == 0 and "\nfine: " in f"\n{said}", said


def test_dump_is_a_config(lab, tmp_path):
    """What --dump prints is a config, and its dump is the same again."""
    file, again = tmp_path / "good.yaml", tmp_path / "again.yaml"
    file.write_text(
        "clusters: { c: { protocol: pulsar, discovery: { urls: [pulsar://b1:6650] } } }\n"
        "listeners: [ { name: a, bind: '127.0.0.1:7000', cluster: c } ]\n"
    )
    again.write_text(dump(file))
    assert run("check", "-c", again)[0] == 0
    assert dump(again) == dump(file)


def test_ready_when_it_says_so(penstock, fake):
    broker = fake(echo)
    gate = penstock.fixed(broker, drain={"lame_duck": "0s", "spread": "0s"})
    gate.wait_said("ready")
    assert gate.get("/healthz")[0] == 200
    (cluster,) = gate.json("/brokers")["clusters"]
    assert cluster["name"] == "c" and cluster["source"] == "urls" and [b["url"] for b in cluster["brokers"]] == [broker.url]
    assert gate.metrics()("penstock_build_info") == 1
    assert gate.stop() == 0


@pytest.mark.parametrize("seconds", [0, 0.15])
def test_ready_means_that_names_are_known(penstock, fake, lab, seconds):
    """Workers have the addresses of named brokers when it says so, however long the name server takes: who comes then finds a broker."""
    broker = fake(echo)
    lab.names.table["named.broker.test"] = broker.address
    lab.names.seconds = seconds
    try:
        for _ in range(5):
            one = penstock.new()
            one.start(penstock.config(one, ["pulsar://named.broker.test:6650"]), ready=False)
            wait_until("ready", 10, one.is_ready, step=0.002)
            peer = wire.dial(settings.GATE_ADDRESS, one.port)
            peer.send(wire.connect(target=""))
            assert peer.read_frame().kind == wire.CONNECTED, one.log()
            peer.close()
            one.mark_rest()
    finally:
        lab.names.seconds = 0


def test_ready_with_a_name_that_nobody_has(penstock, fake):
    """It is not waited for: the other broker serves."""
    broker = fake(echo)
    one = penstock.new()
    one.start(penstock.config(one, ["pulsar://nobody.broker.test:6650", broker.url]))
    one.wait_said("ready")
    at = [datetime.datetime.fromisoformat(line.split()[0].rstrip("Z")) for line in one.log().splitlines() if " info " in line]
    assert (at[-1] - at[0]).total_seconds() < 2.9
    peer = wire.dial(settings.GATE_ADDRESS, one.port)
    peer.send(wire.connect(target=""))
    peer.expect(wire.CONNECTED)
    peer.close()


def test_a_taken_address_is_refused(penstock, fake):
    first = penstock.fixed(fake(echo))
    second = penstock.new(port=first.port)
    second.start(penstock.config(second, ["pulsar://127.77.1.1:6650"]), ready=False)
    assert second.process.wait(10) in (1, 78)
    assert f"{settings.GATE_ADDRESS}:{first.port}" in second.log(), second.log()
    wire.dial(settings.GATE_ADDRESS, first.port).close()


def test_few_descriptors(penstock, fake):
    """The hard limit of open files is lower than the config needs: starts with what fits, and says so with the remedy."""
    broker = fake(echo)
    gate = penstock.fixed(broker, limits={"connections": 50000}, process={"workers": 1}, start={"descriptors": 256})
    log = gate.log().lower()
    assert "limits.connections" in log or "max connections" in log, log
    assert "nofile" in log or "ulimit" in log, f"no remedy named:\n{log}"
    held = []
    for _ in range(300):  # more than fit: the surplus is refused or waits, nobody who is in suffers
        held.append(wire.dial(settings.GATE_ADDRESS, gate.port))
    first = held[0]
    first.send(wire.connect(target=broker.where), b"are you there")
    first.expect(wire.CONNECTED)
    assert first.read_exactly(13) == b"are you there"
    for peer in held:
        peer.close()
    late = wait_until("room for a new connection", 10, lambda: _answered(gate, broker))
    assert late


def _answered(gate, broker):
    peer = wire.dial(settings.GATE_ADDRESS, gate.port, seconds=2)
    try:
        peer.send(wire.connect(target=broker.where))
        return peer.read_frame().kind == wire.CONNECTED
    except (wire.Closed, TimeoutError):
        return False
    finally:
        peer.close()
