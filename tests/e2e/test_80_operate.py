"""What an operator does: drain, stop, reload, two side by side, one behind HAProxy."""
import contextlib
import json
import pathlib
import signal
import subprocess
import threading
import time

import pytest
import settings
import web
import wire
from clients import Load, client, fresh, message, roundtrip
from fakes import echo
from processes import Process, wait_until
from wire import dial


def open_data(gate, broker):
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect(target=broker.where), b"hi")
    peer.expect(wire.CONNECTED)
    assert peer.read_exactly(2) == b"hi"
    return peer


def open_lookup(gate):
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect())
    peer.expect(wire.CONNECTED)
    return peer


# ---- drain


def test_drain_in_order(penstock, fake):
    """Unready at once, listening until the lame-duck time is over, lookup connections first, data until timeouts.drain, then the end."""
    broker = fake(echo)
    gate = penstock.fixed(broker, drain={"lame_duck": "4s", "spread": "500ms"}, timeouts={"drain": "10s"})
    data, lookup = open_data(gate, broker), open_lookup(gate)
    data.seconds = lookup.seconds = 40
    began = time.monotonic()
    gate.process.send(signal.SIGTERM)
    wait_until("/readyz to say no", 0.5, lambda: gate.get("/readyz")[0] == 503, step=0.02)
    assert gate.get("/healthz")[0] == 200
    late = open_data(gate, broker)  # the load balancer has not heard yet
    assert lookup.read_to_end() == (b"", False)
    assert 3.9 < time.monotonic() - began < 9
    wait_until("the listener to close", 2, lambda: _refused(gate), step=0.05)
    data.send(b"still there")  # data connections live on
    assert data.read_exactly(11) == b"still there"
    late.close()
    data.read_to_end()
    assert 9 < time.monotonic() - began < 30
    assert gate.process.wait(5) == 0
    reasons = {row["kind"]: row["reason"] for row in gate.access()}
    assert reasons["lookup"] == "drain" and gate.access(reason="drain_timeout")


def _refused(gate):
    try:
        dial(settings.GATE_ADDRESS, gate.port, 1).close()
        return False
    except ConnectionRefusedError:
        return True


def test_drain_ends_early(penstock, fake):
    """Nobody left: no waiting for timeouts.drain."""
    broker = fake(echo)
    gate = penstock.fixed(broker, drain={"lame_duck": "0s", "spread": "0s"}, timeouts={"drain": "60s"})
    peer = open_data(gate, broker)
    gate.process.send(signal.SIGTERM)
    wait_until("the listener to close", 5, lambda: _refused(gate), step=0.05)
    peer.close()
    assert gate.process.wait(5) == 0


def test_second_sigterm_stops_at_once(penstock, fake):
    broker = fake(echo)
    gate = penstock.fixed(broker, drain={"lame_duck": "30s"}, timeouts={"drain": "60s"})
    peer = open_data(gate, broker)
    gate.process.send(signal.SIGTERM)
    wait_until("/readyz to say no", 2, lambda: gate.get("/readyz")[0] == 503, step=0.02)
    gate.process.send(signal.SIGTERM)
    assert gate.process.wait(3) == 0
    peer.read_to_end()
    assert gate.access(reason="stop")


def test_drain_closes_the_brokers_side_first(penstock, fake):
    """So that a broker keeps no ghost of a consumer the client has already replaced."""
    broker = fake(seconds=20)
    gate = penstock.fixed(broker, drain={"lame_duck": "0s", "spread": "0s"}, timeouts={"drain": "1s"})
    peer = dial(settings.GATE_ADDRESS, gate.port, 20)
    peer.send(wire.connect(target=broker.where))
    connection, _ = broker.handshake()
    peer.expect(wire.CONNECTED)
    ends = {}

    def watch(name, one):
        one.read_to_end()
        ends[name] = time.monotonic()

    threads = [threading.Thread(target=watch, args=item) for item in (("client", peer), ("broker", connection))]
    for t in threads:
        t.start()
    gate.process.send(signal.SIGTERM)
    for t in threads:
        t.join()
    assert ends["broker"] <= ends["client"] + 5  # two threads of this process say when
    assert gate.process.wait(5) == 0


def late_echo(peer):
    peer.expect(wire.CONNECT)
    time.sleep(0.4)
    peer.send(wire.connected())
    peer.read()


@pytest.mark.parametrize("spread", ["0s", "200ms"])
def test_a_lookup_connection_that_comes_late_to_a_drain(penstock, fake, spread):
    """Accepted before, and not at its broker yet when lookup connections are closed: that greets it, then it is closed too, and not reset at
    timeouts.drain."""
    gate = penstock.fixed(fake(late_echo), drain={"lame_duck": "0s", "spread": spread}, timeouts={"drain": "60s", "hello": "30s"})
    late = [dial(settings.GATE_ADDRESS, gate.port, 20) for _ in range(8)]
    open_lookup(gate).close()  # by now workers have the others, too
    wait_until("all to be accepted", 5, lambda: gate.metrics()("penstock_sessions_in_use") == len(late))
    gate.process.send(signal.SIGTERM)
    gate.wait_said("draining")
    time.sleep(0.3)
    for peer in late:
        peer.send(wire.connect())
    for peer in late:
        peer.expect(wire.CONNECTED)
        assert peer.read_to_end() == (b"", False)
    assert gate.process.wait(10) == 0
    assert [row["reason"] for row in gate.access(kind="lookup")].count("drain") == len(late)


def test_clients_move_on_when_one_drains(cluster, penstock):
    """Two penstocks side by side; a client that knows both goes on when one is drained, and nothing is lost."""
    one, two = (penstock.proxy(["--zookeeper-servers", cluster.zookeeper_servers, "--set", "drain.lame_duck=0s", "--set", "drain.spread=0s", "--set", "timeouts.drain=1s"]) for _ in range(2))
    url = f"{one.url},{two.url.removeprefix('pulsar://')}"
    with Load(url, f"persistent://{fresh('drain')}") as load:
        assert one.stop() == 0
        load.wait_acked(300)
        load.finish(duplicates=True)
    assert two.metrics()("penstock_connections_total") > 0


def test_side_by_side_and_one_dies(cluster, penstock):
    """Nothing is shared: a producer through one, a consumer through the other; then the one is killed."""
    one, two = (penstock.proxy(["--zookeeper-servers", cluster.zookeeper_servers]) for _ in range(2))
    topic = f"persistent://{fresh('side')}"
    with Load(one.url, topic, consume_url=two.url) as load:
        load.wait_acked(200)
        load.finish()
    with Load(f"{one.url},{two.url.removeprefix('pulsar://')}", f"persistent://{fresh('side')}") as load:
        one.kill()
        load.wait_acked(300)
        load.finish(duplicates=True)


# ---- reload


def test_reload_keeps_connections(penstock, fake):
    """A new listener, new limits, another access level: connections of the old generation live on."""
    broker = fake(echo)
    gate = penstock.fixed(broker)
    peer = open_data(gate, broker)
    config = json.loads(gate.config_file.read_text())
    generation = gate.metrics()("penstock_config_generation")
    config["listeners"].append({"name": "second", "bind": f"{settings.GATE_ADDRESS}:{gate.port + 1000}", "cluster": "c"})
    config["timeouts"] = {"hello": "1s"}
    gate.write(config)
    gate.reload()
    wait_until("the new generation", 5, lambda: gate.metrics()("penstock_config_generation") == generation + 1)
    assert gate.metrics()("penstock_config_last_reload_successful") == 1
    second = dial(settings.GATE_ADDRESS, gate.port + 1000)
    second.send(wire.connect(target=broker.where))
    second.expect(wire.CONNECTED)
    silent = dial(settings.GATE_ADDRESS, gate.port)
    began = time.monotonic()
    silent.read_to_end()
    assert time.monotonic() - began < 4.5, "the new timeouts.hello is not in force"
    peer.send(b"still there")
    assert peer.read_exactly(11) == b"still there"
    config["listeners"].pop()
    gate.write(config)
    gate.reload()
    wait_until("the second listener to go", 5, lambda: _refused_at(gate.port + 1000), step=0.05)
    peer.send(b"still there")
    assert peer.read_exactly(11) == b"still there"
    for one in (peer, second):
        one.close()


def _refused_at(port):
    try:
        dial(settings.GATE_ADDRESS, port, 1).close()
        return False
    except ConnectionRefusedError:
        return True


def test_a_bad_reload_changes_nothing(penstock, fake):
    broker = fake(echo)
    gate = penstock.fixed(broker)
    good = gate.config_file.read_text()
    generation = gate.metrics()("penstock_config_generation")
    busy = fake(echo, address=settings.OPEN_ADDRESS, port=7999)
    bad = [
        "listeners: [",  # not YAML
        good.replace('"protocol": "pulsar"', '"protocol": "pulser"'),
        good.replace('"listeners": [', '"listeners": [{"name": "taken", "bind": "%s", "cluster": "c"},' % busy.where),
    ]
    for text in bad:
        gate.config_file.write_text(text)
        before = len(gate.log())
        gate.reload()
        wait_until("the refusal", 5, lambda before=before: gate.metrics()("penstock_config_last_reload_successful") == 0 and len(gate.log()) > before)
        assert gate.metrics()("penstock_config_generation") == generation
        open_data(gate, broker).close()
        gate.config_file.write_text(good)
        gate.reload()
        generation += 1
        wait_until("the good one", 5, lambda generation=generation: gate.metrics()("penstock_config_generation") == generation)
        assert gate.metrics()("penstock_config_last_reload_successful") == 1


def test_what_cannot_be_reloaded_is_said(penstock, fake):
    gate = penstock.fixed(fake(echo), process={"workers": 1})
    config = json.loads(gate.config_file.read_text())
    config["process"]["workers"] = 2
    gate.write(config)
    gate.reload()
    wait_until("a word about process.workers", 5, lambda: "process.workers" in gate.log() or "process" in gate.log().rpartition("reload")[2])


def test_reload_under_load(cluster, penstock):
    """SIGHUP twenty times while messages flow."""
    gate = penstock.zookeeper(cluster.zookeeper_servers)
    with Load(gate.url, f"persistent://{fresh('reload')}") as load:
        for _ in range(20):
            gate.reload()
            load.wait_acked(20)
        load.finish()
    assert not gate.access(reason="listener_gone")


def test_signals_in_a_storm(penstock, fake):
    """A hundred SIGHUPs as fast as they go: coalesced, no harm."""
    broker = fake(echo)
    gate = penstock.fixed(broker)
    peer = open_data(gate, broker)
    for _ in range(100):
        gate.reload()
    peer.send(b"still there")
    assert peer.read_exactly(11) == b"still there"
    open_data(gate, broker).close()
    peer.close()
    wait_until("rest", 5, lambda: gate.metrics()("penstock_config_last_reload_successful") == 1)


def test_reload_amid_trouble(penstock, fake):
    """SIGHUP every few milliseconds while clients come, misbehave, stream, reset and go: same answers, nothing left behind."""
    broker = fake(echo)
    gate = penstock.fixed(broker)
    stop = threading.Event()

    def keep_reloading():
        while not stop.wait(0.005):
            gate.reload()

    reloader = threading.Thread(target=keep_reloading)
    reloader.start()
    try:
        data = b"y" * (1 << 20)
        for number in range(40):
            good, bad, gone = open_data(gate, broker), dial(settings.GATE_ADDRESS, gate.port), open_data(gate, broker)
            bad.send(wire.connect(target="127.0.0.1:1"))
            sender = threading.Thread(target=good.send, args=(data,))
            sender.start()
            assert bad.expect(wire.ERROR)[2] == wire.NOT_ALLOWED
            gone.send(b"z" * 100_000)
            gone.reset()
            assert good.read_exactly(len(data)) == data
            sender.join()
            good.close()
            bad.close()
    finally:
        stop.set()
        reloader.join()
    wait_until("the last reload", 5, lambda: gate.metrics()("penstock_config_last_reload_successful") == 1)
    wait_until("the last of 40", 5, lambda: gate.metrics()("penstock_disconnects_total", reason="target_special_denied") == 40)


# ---- beside others


@pytest.fixture
def haproxy(lab):
    """HAProxy on the broker side: haproxy(port, target port), sends PROXY v2."""
    made = []

    def make(port, target):
        process = Process(f"haproxy-{port}")
        conf = settings.RUN / "conf" / f"haproxy-{port}.cfg"
        conf.write_text(
            "global\n  maxconn 500\ndefaults\n  mode tcp\n  timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n"
            f"listen gate\n  bind {settings.GATE_ADDRESS}:{port}\n  server penstock {settings.GATE_ADDRESS}:{target} send-proxy-v2\n"
        )
        process.start(["haproxy", "-db", "-f", conf])
        process.wait_ready(10, lambda: web.reachable(settings.GATE_ADDRESS, port))
        made.append(process)

    yield make
    for process in made:
        process.stop(signal.SIGKILL)


def publisher_address(cluster, topic):
    (publisher,) = cluster.admin("GET", f"/admin/v2/persistent/{topic}/stats")["publishers"]
    return publisher["address"].lstrip("/")


def connected_from(url, cluster):
    """The address a broker's topic statistics show for a producer, and the producer's own."""
    topic = fresh("whence")
    with client(url) as c:
        producer = c.create_producer(f"persistent://{topic}")
        producer.send(message(0))
        return publisher_address(cluster, topic)


def test_proxy_v2_is_visible_in_broker_stats(cluster, penstock, gate):
    """send_proxy_protocol: v2 makes the broker see the client; without it sees penstock."""
    assert connected_from(gate.url, cluster).startswith("127.")
    for version in ("v1", "v2"):
        seeing = penstock.zookeeper(cluster.zookeeper_servers, cluster={"send_proxy_protocol": version})
        assert connected_from(seeing.url, cluster).startswith(settings.CLIENT_ADDRESS + ":")
        with client(seeing.url) as c:
            roundtrip(c, f"persistent://{fresh()}", 100)


def test_behind_haproxy(cluster, penstock, haproxy):
    """HAProxy tells penstock who the client is, penstock tells the broker."""
    trusted = {"proxy_protocol": {"mode": "required", "trusted": [f"{settings.GATE_ADDRESS}/32"]}}
    gate = penstock.zookeeper(cluster.zookeeper_servers, cluster={"send_proxy_protocol": "v2"}, listener=trusted)
    haproxy(7900, gate.port)
    url = f"pulsar://{settings.GATE_ADDRESS}:7900"
    assert connected_from(url, cluster).startswith(settings.CLIENT_ADDRESS + ":")
    with client(url) as c:
        roundtrip(c, f"persistent://{fresh('haproxy')}", 200)
    assert all(row["client"].startswith(settings.CLIENT_ADDRESS) for row in gate.access(kind="data"))


def test_spliced_bytes_are_what_the_kernel_says(penstock, fake, tmp_path):
    """The splice counter equals the sum of the splice returns seen by strace, within 1 %."""
    gate = penstock.forward(fake(lambda peer: [peer.send(peer.read()) for _ in range(10**9)]), process={"workers": 1})
    trace = tmp_path / "trace"
    strace = subprocess.Popen(["strace", "-f", "-qq", "-e", "trace=splice", "-o", str(trace), "-p", str(gate.process.pid)], stderr=subprocess.DEVNULL)
    try:
        wait_until("strace to attach", 10, lambda: "TracerPid:\t0" not in open(f"/proc/{gate.process.pid}/status").read())
        tasks = pathlib.Path(f"/proc/{gate.process.pid}/task")
        wait_until("each thread", 10, lambda: all("TracerPid:\t0" not in t.read_text() for t in tasks.glob("*/status") if "\tiou-" not in t.read_text()))
        peer = dial(settings.GATE_ADDRESS, gate.port, 30)
        data = b"x" * (16 << 20)
        threading.Thread(target=peer.send, args=(data,)).start()
        peer.read_exactly(len(data))
        peer.close()
        gate.wait_access()
    finally:
        strace.terminate()
        strace.wait(10)
    moved = sum(int(line.rpartition("= ")[2]) for line in trace.read_text().splitlines() if line.rpartition("= ")[2].isdigit())
    counted = gate.metrics()("penstock_bytes_total", path="splice")
    # every byte is spliced twice: into the pipe and out of it
    assert counted > 0 and abs(moved / 2 - counted) <= 0.01 * counted, f"strace {moved / 2}, counter {counted}"


def test_access_log_as_json(penstock, fake):
    broker = fake(echo)
    gate = penstock.fixed(broker, log={"format": "json"})
    open_data(gate, broker).close()

    def row():
        for line in gate.log().splitlines():
            if ": warning: " in line:  # about the config, which is read before the format is known
                continue
            one = json.loads(line)
            if "bytes_to_broker" in one:
                return one
        return None

    got = wait_until("an access line", 5, row)
    for key in ("id", "worker", "listener", "kind", "client", "broker", "term", "reason", "bytes_to_broker", "bytes_to_client", "spliced", "connect_ms", "total_ms"):
        assert key in got, f"no {key} in {got}"
    assert got["kind"] == "data" and got["broker"] == broker.where and got["listener"] == "pulsar"


def test_accounting_adds_up(penstock, fake):
    """connections = active + disconnects, by listener, whatever the reasons were."""
    broker = fake(echo)
    gate = penstock.fixed(broker, timeouts={"hello": "1s"})
    for data in (b"", b"SSH-2.0-x\r\n", wire.connect(target="127.0.0.1:1"), wire.connect(target=broker.where), wire.connect(target="")):
        peer = dial(settings.GATE_ADDRESS, gate.port)
        if data:
            peer.send(data)
            with contextlib.suppress(wire.Closed):
                peer.read()
        peer.close()
    held = open_data(gate, broker)

    def have_come_and_gone():
        metrics = gate.metrics()
        return metrics("penstock_connections_total") == 6 and metrics("penstock_connections_active") == 1

    wait_until("the others to end", 5, have_come_and_gone)
    metrics = gate.metrics()
    assert metrics("penstock_connections_total") == metrics("penstock_connections_active") + metrics("penstock_disconnects_total")
    held.close()
