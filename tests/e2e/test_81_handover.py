"""A new program takes over from a running one: the listening sockets go along, nobody is refused, and what goes wrong is the new one's end only."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import time

import pytest
import settings
from callers import Callers, roundtrip
from clients import Load, fresh
from fakes import plain_echo
from processes import start_time, wait_until
from test_54_kafka_discovery import Asked, metadata
from wire import dial

QUICK = {"drain": {"lame_duck": "200ms", "spread": "200ms"}, "timeouts": {"drain": "120s"}}


@pytest.fixture
def made_of(penstock, tmp_path):
    """made_of(fake broker): a bare relay whose program is a file of its own, so that it can be replaced."""
    made = []

    def make(broker, **sections):
        one = penstock.new()
        one.program = tmp_path / "penstock"
        shutil.copy(settings.PENSTOCK, one.program)
        how = {"env": sections.pop("env", None), "ready": sections.pop("ready", True)}
        bind = f"{settings.GATE_ADDRESS}:{one.port}"
        one.start({"listeners": [{"name": "plain", "bind": bind, "forward": broker.where}], **QUICK, **sections}, **how)
        made.append(one)
        return one

    yield make
    for one in made:  # whoever is the last of its line
        one.process.stop(signal.SIGKILL)


def replace(gate, text=None):
    """As a package manager does: a new file under the old name. A script in its place, if there is text."""
    fresh_file = gate.program.with_name("penstock.new")
    if text is None:
        shutil.copy(settings.PENSTOCK, fresh_file)
    else:
        fresh_file.write_text(text)
        fresh_file.chmod(0o755)
    fresh_file.replace(gate.program)


def refuses(port):
    try:
        dial(settings.GATE_ADDRESS, port).close()
    except ConnectionRefusedError:
        return True
    return False


def heir(gate, seconds=15):
    """The process that took over; `gate` is that one from now on. And its predecessor, as (pid, start time)."""
    old = gate.process.pid
    before = old, start_time(old)  # it may have ended when its successor is known
    found = wait_until("somebody to take over", seconds, lambda: re.findall(r"handed_over text=\"process (\d+) ", gate.log()), step=0.02)
    new = int(found[-1])
    follow(gate, new)
    return before


def follow(gate, pid):
    gate.process.pid_file.write_text(f"{pid} {start_time(pid)}\n")
    gate.reaped, gate.process.child = gate.process.child, None
    gate.forget_log()


def wait_gone(before, gate, seconds):
    def gone():
        if getattr(gate, "reaped", None):
            gate.reaped.poll()
        return start_time(before[0]) != before[1]

    wait_until("the old process to end", seconds, gone, step=0.02)


def test_nobody_is_refused(made_of, fake):
    """Three generations while clients come and go; a connection of the first lives on; the admin port never says no."""
    broker = fake(plain_echo, seconds=60)
    one = made_of(broker)
    old = dial(settings.GATE_ADDRESS, one.port, 30)
    roundtrip(old)
    line = []
    with Callers(settings.GATE_ADDRESS, one.port) as callers:
        for _ in range(3):
            callers.go_on()
            replace(one)
            one.reload()
            line.append(heir(one))
            assert one.get("/readyz")[0] == 200
        callers.go_on()
    assert not callers.failures
    assert start_time(line[0][0]) == line[0][1], "the first process has a connection to serve"
    for before in line[1:]:
        wait_gone(before, one, 5)
    roundtrip(old)
    old.close()
    wait_gone(line[0], one, 5)
    assert one.stop() == 0


def test_sigusr2_makes_another_of_the_same(made_of, fake):
    one = made_of(fake(plain_echo))
    one.process.send(signal.SIGUSR2)
    before = heir(one)
    wait_gone(before, one, 5)
    peer = dial(settings.GATE_ADDRESS, one.port)
    roundtrip(peer)
    peer.close()


def test_a_reload_without_a_new_program_is_a_reload(made_of, fake):
    one = made_of(fake(plain_echo))
    pid = one.process.pid
    one.reload()
    wait_until("the reload", 5, lambda: "reloaded" in one.log())
    assert one.process.pid == pid and "handover" not in one.log()


REFUSALS = [
    ("configuration", "nonsense", None, "code 78"),
    ("no-program", None, "#!/nonexistent\n", "No such file"),
    ("broken-program", None, "#!/bin/sh\nexit 127\n", "code 127"),
    ("crash", None, "#!/bin/sh\nkill -SEGV $$\n", "signal 11"),
    ("wrong-words", None, "#!/bin/bash\nexec 4>&3 3>&-\necho -n 'no, thanks' >&4\nsleep 60\n", "signal 9"),
]


@pytest.mark.parametrize("config, program, why", [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_the_old_one_stays(made_of, fake, config, program, why):
    """Whatever is wrong with the new one: nothing changes, the log says why, and the next try is a good one."""
    one = made_of(fake(plain_echo))
    good, pid = one.config_file.read_text(), one.process.pid
    peer = dial(settings.GATE_ADDRESS, one.port)
    with Callers(settings.GATE_ADDRESS, one.port) as callers:
        replace(one, program)
        if config:
            one.config_file.write_text(config)
        one.reload()
        wait_until("the refusal", 5, lambda: "handover_failed" in one.log())
        callers.go_on()
    line = next(line for line in one.log().splitlines() if "handover_failed" in line)
    assert why in line and "goes on serving" in line
    assert not callers.failures
    assert one.process.pid == pid and one.metrics()("penstock_config_last_reload_successful") == 0
    roundtrip(peer)
    peer.close()
    one.config_file.write_text(good)
    replace(one)
    one.forget_log()
    one.reload()
    wait_gone(heir(one), one, 5)
    assert one.metrics()("penstock_config_last_reload_successful") == 1


@pytest.mark.parametrize("was, will_be", [(1, 2), (2, 1)])
def test_number_of_workers(made_of, fake, was, will_be):
    """More workers get sockets of their own beside those handed over; with fewer, what waits at the others' would be lost: refused."""
    one = made_of(fake(plain_echo), process={"workers": was})
    config = json.loads(one.config_file.read_text())
    config["process"]["workers"] = will_be
    one.write(config)
    with Callers(settings.GATE_ADDRESS, one.port) as callers:
        one.process.send(signal.SIGUSR2)
        if will_be > was:
            wait_gone(heir(one), one, 5)
            assert one.metrics()("penstock_workers") == will_be
        else:
            wait_until("the refusal", 5, lambda: "handover_failed" in one.log())
            assert "the running process has 2 workers, this one would have 1" in one.log()
        time.sleep(0.3)
    assert not callers.failures


def test_listeners_come_and_go_with_it(made_of, fake):
    """The new program's file has another listener instead of one of two: that one is closed when the old process drains."""
    broker = fake(plain_echo)
    one = made_of(broker)
    config = json.loads(one.config_file.read_text())
    config["listeners"].append({"name": "second", "bind": f"{settings.GATE_ADDRESS}:{one.port + 1000}", "forward": broker.where})
    one.write(config)
    one.reload()
    wait_until("the second listener", 5, lambda: "reloaded" in one.log())
    config["listeners"][1]["bind"] = f"{settings.GATE_ADDRESS}:{one.port + 1500}"
    one.write(config)
    one.process.send(signal.SIGUSR2)
    wait_gone(heir(one), one, 5)
    for port in (one.port, one.port + 1500):
        peer = dial(settings.GATE_ADDRESS, port)
        roundtrip(peer)
        peer.close()
    wait_until("the port to be let go", 5, lambda: refuses(one.port + 1000))


def test_stopped_while_the_new_one_starts(made_of, fake):
    """SIGTERM wins: the new process, which is not ready yet, ends with the old one."""
    one = made_of(fake(plain_echo))
    replace(one, "#!/bin/sh\nexec sleep 100\n")
    one.reload()
    wait_until("the new process", 5, lambda: "handover text" in one.log())
    child = int(re.search(r"handover text=\"process (\d+),", one.log())[1])
    assert start_time(child)
    one.reload()
    wait_until("the second reload to be put off", 5, lambda: "reload_later" in one.log())
    assert one.stop() == 0
    assert start_time(child) is None


def test_a_reload_meanwhile_is_not_lost(made_of, fake):
    """While the new process gets ready it is put off; the old one, as long as it drains, passes it on."""
    one = made_of(fake(plain_echo, seconds=30))
    lasting = dial(settings.GATE_ADDRESS, one.port, 20)
    roundtrip(lasting)
    replace(one, f"#!/bin/sh\nsleep 1\nexec {settings.PENSTOCK} \"$@\"\n")
    one.reload()
    wait_until("the new process", 5, lambda: "handover text" in one.log())
    one.reload()
    before = heir(one)
    wait_until("the reload", 5, lambda: one.metrics()("penstock_config_generation") == 2)
    time.sleep(1.1)  # reloads are a second apart
    os.kill(before[0], signal.SIGHUP)
    wait_until("the next reload", 5, lambda: one.metrics()("penstock_config_generation") == 3)
    lasting.close()
    wait_gone(before, one, 5)


def listening(pid, ports):
    """How many listening sockets there are at these ports, in the network of a process."""
    rows = pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    found = [int(row.split()[1].partition(":")[2], 16) for row in rows if row.split()[3] == "0A"]
    return sum(port in ports for port in found)


def test_a_thousand_ports(made_of, fake):
    """Each broker of Kafka that there may be has a port of its own: more than fits into the connection between the processes at once, and the
    new one takes its time before it reads any of it."""
    base, ports = 20000, range(20000, 21000)
    broker = fake(plain_echo)
    one = made_of(
        broker,
        clusters={"k": {"protocol": "kafka", "discovery": {"bootstrap": [broker.where]}}},
        listeners=[{
            "name": "kafka", "bind": f"{settings.GATE_ADDRESS}:19999", "cluster": "k",
            "kafka": {"advertise": settings.GATE_ADDRESS, "base_port": base, "nodes": ["0-999"]},
        }],
        timeouts={"drain": "1s"},
    )  # fmt: skip
    pid = one.process.pid
    sockets = listening(pid, ports)
    assert sockets >= 1000
    held = [socket.create_connection((settings.GATE_ADDRESS, port), 5) for port in ports[::50]]
    replace(one, f"#!/bin/sh\nsleep 1\nexec {settings.PENSTOCK} \"$@\"\n")
    one.reload()
    wait_until("the new process", 5, lambda: "handover text" in one.log())
    assert one.is_ready(), "the control thread serves others meanwhile"
    before = heir(one)
    assert listening(one.process.pid, ports) == sockets, "the same sockets, not some beside them"
    wait_gone(before, one, 10)
    for port in ports:
        socket.create_connection((settings.GATE_ADDRESS, port), 5).close()
    for each in held:
        each.close()


def test_the_old_one_dies_while_the_new_one_starts(made_of, fake):
    """Then the new one has the sockets, and nobody is refused either."""
    one = made_of(fake(plain_echo))
    replace(one, f"#!/bin/sh\nsleep 1\nexec {settings.PENSTOCK} \"$@\"\n")
    one.reload()
    wait_until("the new process", 5, lambda: "handover text" in one.log())
    child = int(re.search(r"handover text=\"process (\d+),", one.log())[1])
    one.kill()
    follow(one, child)
    with Callers(settings.GATE_ADDRESS, one.port, 1) as callers:
        wait_until("the new one to serve", 5, lambda: callers.done > 0)
    assert not callers.failures


def test_unix_admin_socket_and_service_manager(made_of, fake, tmp_path):
    """What systemd hears: who the main process is, and that it is alive; and the admin socket's file stays with the heir."""
    path = pathlib.Path(f"/tmp/penstock-notify-{os.getpid()}")
    path.unlink(missing_ok=True)
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(path))
    manager.settimeout(10)
    manager.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    heard = []

    def wait_for(text):
        while True:
            data, control, _, _ = manager.recvmsg(4096, 64)
            pid = int.from_bytes(control[0][2][:4], "little")
            heard.append((pid, data.decode()))
            if text in heard[-1][1]:
                return pid

    admin = tmp_path / "admin.sock"
    env = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "2000000"}
    one = made_of(fake(plain_echo), admin={"listen": f"unix:{admin}"}, env=env, ready=False)
    old = one.process.pid
    before = old, start_time(old)
    assert wait_for("READY=1") == old
    assert wait_for("WATCHDOG=1") == old
    one.process.send(signal.SIGUSR2)
    assert wait_for("RELOADING=1") == old
    assert wait_for("MAINPID=") == old
    assert "READY=1" in heard[-1][1]
    new = int(re.search(r"MAINPID=(\d+)", heard[-1][1])[1])
    follow(one, new)
    assert wait_for("WATCHDOG=1") == new
    wait_gone(before, one, 5)
    with unix(admin) as asked:
        asked.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 200 " in asked.recv(4096)
    # The old process says nothing any more, and the new one has not said READY=1 for itself.
    said = [(pid, text) for pid, text in heard[heard.index(next(h for h in heard if "MAINPID=" in h[1])) + 1 :]]
    assert {pid for pid, _ in said} == {new} and not any("READY" in text for _, text in said)
    assert one.stop() == 0
    assert not admin.exists()
    manager.close()
    path.unlink()


def test_one_process_saves(made_of, fake, tmp_path):
    """The one that drains still learns where brokers are, and leaves the file about it to the one that serves."""
    state = tmp_path / "state"
    state.mkdir()
    known = [(5, "127.77.9.5", 9092, None)]
    asked = Asked(lambda c: metadata(c, known))
    try:
        one = made_of(
            fake(plain_echo, seconds=30),
            clusters={"k": {"protocol": "kafka", "discovery": {"bootstrap": [asked.where], "refresh": "1s"}}},
            state_dir=str(state),
        )  # fmt: skip
        saved = state / "k.nodes"
        wait_until("node 5 to be saved", 5, lambda: saved.exists() and "5 127.77.9.5" in saved.read_text())
        lasting = dial(settings.GATE_ADDRESS, one.port, 20)
        roundtrip(lasting)
        one.process.send(signal.SIGUSR2)
        before = heir(one)
        one.process.send(signal.SIGSTOP)
        try:
            known.append((6, "127.77.9.6", 9092, None))
            wait_until("the old process to learn of node 6", 5, lambda: "node 6 is at" in one.log())
            time.sleep(1.5)
            assert "127.77.9.6" not in saved.read_text()
        finally:
            one.process.send(signal.SIGCONT)
        wait_until("node 6 to be saved", 5, lambda: "6 127.77.9.6" in saved.read_text())
        assert [path.name for path in state.iterdir()] == ["k.nodes"]
        lasting.close()
        wait_gone(before, one, 5)
    finally:
        asked.close()


def test_an_heir_that_ends_in_order(made_of, fake, tmp_path):
    """It has no broker list yet, and somebody ends it: sockets and the admin socket's file are still those of the process before it."""
    admin = tmp_path / "admin.sock"
    one = made_of(fake(plain_echo), admin={"listen": f"unix:{admin}"}, ready=False)
    wait_until("the first one", 5, lambda: "ready text" in one.log())
    config = json.loads(one.config_file.read_text())
    config["clusters"] = {"far": {"protocol": "pulsar", "discovery": {"zookeeper": {"servers": f"{settings.NOBODY_ADDRESS}:2181"}}}}
    config["listeners"].append({"name": "far", "bind": f"{settings.GATE_ADDRESS}:{one.port + 1000}", "cluster": "far"})
    one.write(config)
    one.process.send(signal.SIGUSR2)
    wait_until("the new process", 5, lambda: "handover text" in one.log())
    child = int(re.search(r"handover text=\"process (\d+),", one.log())[1])
    wait_until("it to have the sockets", 5, lambda: one.log().count(f"admin on {admin}") == 2)
    os.kill(child, signal.SIGTERM)
    wait_until("its end", 10, lambda: "it ended with code 0; this process goes on serving" in one.log())
    with unix(admin) as asked:
        asked.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 200 " in asked.recv(4096)
    peer = dial(settings.GATE_ADDRESS, one.port)
    roundtrip(peer)
    peer.close()
    assert one.stop() == 0
    assert not admin.exists()


def unix(path):
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(5)
    one.connect(str(path))
    return one


def test_under_load_with_real_brokers(cluster, penstock):
    """Lookup and data connections of a real client while the program is replaced three times: every message arrives."""
    gate = penstock.proxy(["--zookeeper-servers", cluster.zookeeper_servers, "--set", "drain.lame_duck=1s", "--set", "drain.spread=1s", "--set", "timeouts.drain=3s"])
    with Load(gate.url, f"persistent://{fresh('handover')}") as load:
        for _ in range(3):
            load.wait_acked(100)
            gate.process.send(signal.SIGUSR2)
            before = heir(gate)
            wait_gone(before, gate, 10)
        load.wait_acked(100)
        load.finish(duplicates=True)
    gate.process.stop(signal.SIGKILL)
