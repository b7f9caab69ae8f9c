"""Fixtures of the end-to-end suite.

pytest itself lives on the clients' side of the lab (tests/lab/netns.py), so every client a test makes is where clients are: it can reach
penstock and nothing else. What must run on the broker side says so.

    lab          namespaces, name server, trap                  (milliseconds; what fake brokers need)
    cluster      ZooKeeper, bookie and two brokers, once        (10 s)
    gate         `penstock proxy` in front of the cluster, once
    kafka        three brokers of Kafka                         (10 s)
    old_kafka    three of 3.9.2, and their ZooKeeper, for a file (12 s)
    penstock     makes further penstocks for one test: penstock(config), penstock.proxy(arguments), penstock.fixed(brokers)
    fake         makes fake brokers for one test

After each test the trap is empty, every process the test started is gone, and each penstock is back at rest: no session, buffer,
pipe or hop in use, no descriptor more than after its start, no trouble in its log.
"""
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))

import netns  # noqa: E402
import settings  # noqa: E402
from cluster import Cluster  # noqa: E402
from fakes import FakeBroker  # noqa: E402
from javaclient import JavaClient  # noqa: E402
from kafkacluster import KafkaCluster, OldKafkaCluster  # noqa: E402
from kafkaclients import KafkaJava, KafkaPython  # noqa: E402
from nameserver import NameServer  # noqa: E402
from penstock import Penstock  # noqa: E402
from processes import start_time  # noqa: E402
from trap import Trap  # noqa: E402

KEEP = os.environ.get("PENSTOCK_LAB_KEEP") == "1"  # leave the cluster running for the next run
CLUSTER = ("zookeeper", "bookie", "broker", "java-proxy", "kafka")
GATE_PORT = 6650


def pytest_configure(config):
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", 143))  # so that what was started is stopped
    for name, pid in _running().items():  # left by a run that was killed
        if not name.startswith(CLUSTER):
            os.kill(pid, signal.SIGKILL)
    netns.create()
    netns.enter(settings.CLIENT_SIDE)
    # A copy, so that a build meanwhile does not get into a running suite.
    copy = settings.RUN / "bin" / "penstock"
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copy2(settings.PENSTOCK, copy)
        subprocess.run([copy, "version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise pytest.UsageError(f"no working {settings.PENSTOCK} ({error}); first: make") from None
    settings.PENSTOCK = copy
    for log in [*(settings.RUN / "log").glob("penstock-*"), settings.RUN / "log" / "python-client"]:
        log.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def lab():
    class Lab:
        trap = Trap()
        names = NameServer()

    yield Lab
    Lab.trap.close()
    Lab.names.close()


_said = pytest.StashKey()


@pytest.fixture(scope="session")
def say(request):
    """For what a run is to show besides passing: lines that are printed at its end."""
    return request.config.stash.setdefault(_said, []).append


@pytest.fixture(scope="session")
def cluster(lab):
    """PENSTOCK_E2E_CLUSTER="extensible three-zookeepers" makes it another one (for `make matrix`)."""
    words = os.environ.get("PENSTOCK_E2E_CLUSTER", "").split()
    cluster = Cluster(auth=True, tls=True, extensible="extensible" in words, zookeepers=3 if "three-zookeepers" in words else 1)
    if not all(broker.alive() for broker in cluster.brokers.values()):
        cluster.forget()  # brokers on a tree of an earlier run may take 25 s for the first topic of each namespace
    cluster.up()
    lab.names.table.update({name: settings.BROKER_ADDRESSES[number] for number, name in settings.BROKER_NAMES.items()})
    yield cluster
    if not KEEP:
        cluster.forget()


@pytest.fixture(scope="session")
def gate(cluster):
    """The command a user types, in front of the real cluster: pulsar://10.77.0.2:6650."""
    gate = Penstock("gate")
    gate.port = GATE_PORT
    gate.url = f"pulsar://{settings.GATE_ADDRESS}:{GATE_PORT}"
    servers = cluster.zookeeper_servers
    gate.start_proxy([
        "--zookeeper-servers", servers, "--global-zookeeper-servers", servers,
        "--bind", f"{settings.GATE_ADDRESS}:{GATE_PORT}", "--web", "off",
    ])  # fmt: skip
    yield gate
    gate.kill()


@pytest.fixture(scope="session")
def kafka(lab):
    """Three brokers of Kafka, and its clients: kafka.python, kafka.java, and kafka.mover, which is Java too."""
    yield from _kafka(lab, KafkaCluster(), "kafka")


@pytest.fixture(scope="module")
def old_kafka(lab):
    """Three brokers of Kafka 3.9.2, which are in ZooKeeper, and the same clients. A test may start a fourth broker."""
    yield from _kafka(lab, OldKafkaCluster(), "old-kafka")


def _kafka(lab, cluster, name):
    cluster.up()
    lab.names.table.update({name: cluster.addresses[number] for number, name in cluster.names.items()})
    cluster.python, cluster.java, cluster.mover = KafkaPython(f"{name}-python"), KafkaJava(f"{name}-java"), KafkaJava(f"{name}-mover")
    yield cluster
    cluster.python.close()
    cluster.java.close()
    cluster.mover.close()
    if not KEEP:
        cluster.forget()


@pytest.fixture(scope="session")
def java(lab):
    """The Java client."""
    client = JavaClient()
    yield client
    client.close()


class _Factory:
    """Makes penstocks that end with the test."""

    _numbers = itertools.count(1)
    _ports = itertools.count(7001)

    def __init__(self):
        self.made = []

    def new(self, port=None, side=settings.BROKER_SIDE):
        one = Penstock(f"penstock-{next(self._numbers)}", side)
        one.port = port or next(self._ports)
        one.url = f"pulsar://{settings.GATE_ADDRESS}:{one.port}"
        self.made.append(one)
        return one

    def __call__(self, config, **how):
        return self.new().start(config, **how)

    def proxy(self, arguments, **how):
        """`penstock proxy`, bound to a port of its own, without the Java web port."""
        one = self.new()
        return one.start_proxy(["--bind", f"{settings.GATE_ADDRESS}:{one.port}", "--web", "off", *arguments], **how)

    def fixed(self, *brokers, cluster=(), listener=(), start=(), **sections):
        """In front of brokers known by URL. `cluster` and `listener` add keys there, other words add sections."""
        one = self.new()
        return one.start(self.config(one, [b.url for b in brokers], cluster, listener, **sections), **dict(start))

    def zookeeper(self, servers, cluster=(), listener=(), start=(), **sections):
        """In front of what a ZooKeeper says."""
        one = self.new()
        keys = {"discovery": {"zookeeper": {"servers": servers}}, **dict(cluster)}
        return one.start(self.config(one, [], keys, listener, **sections), **dict(start))

    def forward(self, broker, listener=(), start=(), **sections):
        """A bare TCP listener in front of one address."""
        one = self.new()
        bind = f"{settings.GATE_ADDRESS}:{one.port}"
        return one.start({"listeners": [{"name": "plain", "bind": bind, "forward": broker.where, **dict(listener)}], **sections}, **dict(start))

    @staticmethod
    def config(one, urls, cluster=(), listener=(), **sections):
        return {
            "clusters": {"c": {"protocol": "pulsar", "discovery": {"urls": urls}, **dict(cluster)}},
            "listeners": [{"name": "pulsar", "bind": f"{settings.GATE_ADDRESS}:{one.port}", "cluster": "c", **dict(listener)}],
            **sections,
        }

    def end(self):
        for one in self.made:
            one.kill()


@pytest.fixture
def penstock(lab, request):
    factory = _Factory()
    yield factory
    try:
        _assert_rest(request, factory.made)
    finally:
        factory.end()


@pytest.fixture(scope="module")
def module_penstock(lab):
    """As `penstock`, for a whole file."""
    factory = _Factory()
    yield factory
    factory.end()


def _fakes():
    made = []

    def make(*words, **keys):
        made.append(FakeBroker(*words, **keys))
        return made[-1]

    yield make
    for broker in made:
        broker.close()
        assert not broker.errors, f"fake broker {broker.where}: {broker.errors}"


@pytest.fixture
def fake(lab):
    yield from _fakes()


@pytest.fixture(scope="module")
def module_fake(lab):
    yield from _fakes()


def _running():
    """The lab's processes that are alive, by name."""
    alive = {}
    for file in (settings.RUN / "pid").glob("*"):
        pid, started = file.read_text().split()
        if start_time(pid) == started:
            alive[file.name] = int(pid)
    return alive


@pytest.fixture(autouse=True)
def back_to_rest(request, lab):
    """See the top of this file. Comes last, because it is asked for first."""
    fixtures = request.fixturenames
    for shared in ("cluster", "gate", "kafka", "old_kafka"):  # started before the count, so that they are no strangers afterwards
        if shared in fixtures:
            request.getfixturevalue(shared)
    before = set(_running())
    yield
    left = {name: pid for name, pid in _running().items() if name not in before}
    for pid in left.values():
        os.kill(pid, signal.SIGKILL)
    assert not left, f"processes left running (killed now): {left}"
    shared = request.node.funcargs.get("gate"), request.node.funcargs.get("module_penstock")
    _assert_rest(request, [shared[0]] if shared[0] else [])
    _assert_rest(request, shared[1].made if shared[1] else [])
    hits, lab.trap.hits[:] = list(lab.trap.hits), []
    assert not hits, f"a broker address has leaked: clients went to {sorted(set(hits))}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.has_passed = outcome.get_result().passed


def _assert_rest(request, penstocks):
    """After a test that passed: each penstock it used is at rest, and none has logged trouble."""
    if not getattr(request.node, "has_passed", False):
        return
    for one in penstocks:
        if one.process.alive():
            one.assert_rest()
        elif one.process.log.exists():
            one.assert_quiet_log()


@pytest.hookimpl(trylast=True)  # after the fixtures, also when the run is cut short
def pytest_sessionfinish(session, exitstatus):
    """Whatever happened: nothing stays, unless asked to."""
    for name, pid in _running().items():
        if not (KEEP and name.startswith(CLUSTER)):
            os.kill(pid, signal.SIGKILL)
    if not KEEP:
        netns.destroy()


def pytest_terminal_summary(terminalreporter, exitstatus):
    count = {key: len(terminalreporter.getreports(key)) for key in ("passed", "failed", "error", "skipped")}
    for report in terminalreporter.getreports("skipped"):
        terminalreporter.write_line(f"SKIPPED, loudly: {report.nodeid}: {report.longrepr[2]}")
    for line in terminalreporter.config.stash.get(_said, []):
        terminalreporter.write_line(line)
    failed = count["failed"] + count["error"]
    terminalreporter.write_line("")
    terminalreporter.write_line(f"e2e: {count['passed']} passed, {failed} failed, {count['skipped']} skipped")
