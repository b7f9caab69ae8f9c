"""ZooKeeper comes and goes; penstock serves from what it knew last, says how old that is, and recovers by itself."""
import time

import pytest
import settings
import wire
from clients import Load, client, fresh, roundtrip
from fakes import echo
from mirror import BROKERS, Mirror
from processes import wait_until
from wire import dial


@pytest.fixture(scope="module")
def shared_zk(lab):
    with Mirror() as one:
        yield one


@pytest.fixture
def zk(shared_zk):
    """One ZooKeeper server for this file, empty for each test."""
    if not shared_zk.servers.servers[0].alive():
        shared_zk.servers.start()
    for name in shared_zk.client.get_children("/"):
        if name != "zookeeper":
            shared_zk.client.delete(f"/{name}", recursive=True)
    return shared_zk


def urls(gate):
    return sorted(b["url"] for b in gate.json("/brokers")["clusters"][0]["brokers"])


def wait_urls(gate, brokers, seconds=5):
    want = sorted(b.url for b in brokers)
    wait_until(f"{gate.name} to know {want}", seconds, lambda: urls(gate) == want)


def state(gate):
    return gate.json("/brokers")["clusters"][0]["zookeeper"]


def wait_state(gate, want, seconds=15):
    wait_until(f"ZooKeeper state {want}", seconds, lambda: state(gate) in want.split("|"))
    assert any(gate.metrics()("penstock_zookeeper_state", state=one) for one in want.split("|"))


def serves(gate, broker):
    """A data connection to this broker works."""
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect(target=broker.where), b"hi")
    got = peer.read_frame()
    works = got.kind == wire.CONNECTED and peer.read_exactly(2) == b"hi"
    peer.close()
    return works


SHORT = {"session_timeout": "2s"}


def behind(penstock, zk, more=None, ready=True, servers=None):
    keys = {"discovery": {"zookeeper": {"servers": servers or zk.connect_string, **SHORT, **(more or {})}}}
    return penstock.zookeeper(None, cluster=keys, start={"ready": ready})


# ---- what is read


def test_brokers_come_and_go(penstock, fake, zk):
    """All three JSON forms; a new broker is usable at once; one that left is denied; the last one never leaves."""
    one, two, three = fake(echo), fake(echo), fake(echo)
    zk.broker(one.url, "simple")
    gate = behind(penstock, zk)
    wait_urls(gate, [one])
    zk.broker(two.url, "modular")
    path = zk.broker(three.url, "extensible")
    wait_urls(gate, [one, two, three])
    assert all(serves(gate, broker) for broker in (one, two, three))
    zk.remove(path)
    wait_urls(gate, [one, two])
    for broker in (one, two):
        zk.remove(f"{BROKERS}/{broker.address}:8080")
    time.sleep(1)
    assert urls(gate) and serves(gate, one if one.url in urls(gate) else two), "an empty list replaced the last brokers"
    zk.broker(three.url)
    wait_urls(gate, [three])


def test_listeners_of_a_broker_may_be_named(penstock, fake, zk):
    """advertisedListeners count as discovered."""
    one, gateway, stranger = fake(echo), fake(echo), fake(echo)
    zk.broker(one.url, advertisedListeners={"internal": {"brokerServiceUrl": one.url}, "gateway": {"brokerServiceUrl": gateway.url, "brokerServiceUrlTls": None}})
    gate = behind(penstock, zk)
    assert serves(gate, one) and serves(gate, gateway)
    assert not serves(gate, stranger)


BAD_NODES = {
    "empty": b"", "not JSON": b"{", "a list": b"[]", "a number": b"7", "null": b"null", "no url": b"{}", "url null": b'{"pulsarServiceUrl":null}',
    "url a number": b'{"pulsarServiceUrl":6650}', "url not pulsar": b'{"pulsarServiceUrl":"http://x:1"}', "port 0": b'{"pulsarServiceUrl":"pulsar://127.77.1.1:0"}',
    "port 65536": b'{"pulsarServiceUrl":"pulsar://127.77.1.1:65536"}', "user": b'{"pulsarServiceUrl":"pulsar://a@b:6650"}',
    "NUL": b'{"pulsarServiceUrl":"pulsar://127.77.1.1\\u0000:6650"}', "not UTF-8": b'{"pulsarServiceUrl":"pulsar://\xff\xfe:6650"}',
    "deep": b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "900 kB": b'{"pulsarServiceUrl":"pulsar://' + b"x" * 900_000 + b':6650"}',
    "listeners a string": b'{"pulsarServiceUrl":"pulsar://127.77.9.9:6650","advertisedListeners":"x"}',
}  # fmt: skip


def test_bad_nodes(penstock, fake, zk):
    """A node that cannot be understood is left out and named in the log; the good ones are used."""
    one = fake(echo)
    zk.broker(one.url)
    for number, data in enumerate(BAD_NODES.values()):
        zk.put(f"{BROKERS}/bad-{number}:8080", data)
    gate = behind(penstock, zk)
    assert serves(gate, one)
    wait_until("the good broker", 5, lambda: one.url in urls(gate))
    assert set(urls(gate)) <= {one.url, "pulsar://127.77.9.9:6650"}
    assert "bad-0" in gate.log(), "a bad node is not named in the log"
    two = fake(echo)
    zk.broker(two.url)
    wait_until("a broker that comes later", 5, lambda: two.url in urls(gate))


def test_a_node_that_turns_bad_keeps_its_last_good_value(penstock, fake, zk):
    one, two = fake(echo), fake(echo)
    path = zk.broker(one.url)
    zk.broker(two.url)
    gate = behind(penstock, zk)
    wait_urls(gate, [one, two])
    zk.put(path, b"{")
    zk.broker(fake(echo).url)  # makes the children change, so that all is looked at again
    wait_until("the third broker", 5, lambda: len(urls(gate)) >= 3)
    assert serves(gate, two)


def test_chroot(penstock, fake, zk):
    one = fake(echo)
    zk.broker(one.url, root="/some/where")
    gate = behind(penstock, zk, servers=zk.connect_string + "/some/where")
    wait_urls(gate, [one])


# ---- ZooKeeper in trouble


def test_not_there_at_start(penstock, fake, zk):
    """Neither refuses nor dies: not ready until the list was read once."""
    one = fake(echo)
    zk.broker(one.url)
    zk.servers.stop()
    gate = behind(penstock, zk, ready=False)
    gate.process.wait_ready(10, lambda: _healthy(gate))
    assert gate.get("/readyz")[0] == 503
    peer = dial(settings.GATE_ADDRESS, gate.port)  # a client meanwhile hears why
    peer.send(wire.connect())
    assert peer.expect(wire.ERROR)[2] == wire.SERVICE_NOT_READY
    zk.servers.start()
    gate.process.wait_ready(15, gate.is_ready)
    gate.mark_rest()
    wait_urls(gate, [one])
    assert serves(gate, one)


def test_a_client_comes_before_brokers_are_known(penstock, fake, zk):
    """It is held until there is one."""
    one = fake(echo)
    gate = penstock.zookeeper(zk.connect_string, start={"ready": False}, timeouts={"connect": "60s"})
    gate.wait_said("listening")
    peer = dial(settings.GATE_ADDRESS, gate.port)
    peer.send(wire.connect())
    time.sleep(1)
    assert not gate.access()
    zk.broker(one.url)
    peer.expect(wire.CONNECTED)
    peer.close()
    gate.process.wait_ready(15, gate.is_ready)
    gate.mark_rest()


def _healthy(gate):
    try:
        return gate.get("/healthz")[0] == 200
    except OSError:
        return False


def test_name_not_resolvable_at_start(penstock, fake, zk, lab):
    one = fake(echo)
    zk.broker(one.url)
    lab.names.table.pop("zk.names.test", None)
    gate = behind(penstock, zk, ready=False, servers="zk.names.test")  # the port is optional, too
    gate.process.wait_ready(10, lambda: _healthy(gate))
    wait_until("the name to be asked for", 5, lambda: "zk.names.test" in lab.names.asked)
    assert gate.get("/readyz")[0] == 503
    lab.names.table["zk.names.test"] = zk.servers.addresses[0]
    gate.process.wait_ready(20, gate.is_ready)
    gate.mark_rest()
    assert serves(gate, one)


def test_stopped_and_back(penstock, fake, zk):
    one, two = fake(echo), fake(echo)
    zk.broker(one.url)
    gate = behind(penstock, zk)
    zk.servers.stop()
    wait_state(gate, "connecting|expired")
    assert serves(gate, one) and gate.is_ready()
    age = gate.metrics()("penstock_snapshot_age_seconds")
    time.sleep(1.1)
    assert gate.metrics()("penstock_snapshot_age_seconds") > age + 0.5
    zk.servers.start()
    wait_state(gate, "connected")
    zk.broker(two.url)
    wait_urls(gate, [one, two])


def test_session_expired(penstock, fake, zk):
    """penstock itself sleeps for longer than its session lives (a paused virtual machine): new session, watches set anew."""
    one, two = fake(echo), fake(echo)
    zk.broker(one.url)
    gate = behind(penstock, zk)
    gate.process.freeze()
    time.sleep(8)  # a busy server may be late to end it
    zk.broker(two.url)
    gate.process.thaw()
    wait_urls(gate, [one, two], 15)
    assert "expired" in gate.log().lower()
    assert serves(gate, two)
    three = fake(echo)
    zk.broker(three.url)
    wait_urls(gate, [one, two, three])


def test_restarted_with_an_empty_tree(penstock, fake, zk):
    """All is gone, the list included: the last one is kept until brokers register again."""
    one, two = fake(echo), fake(echo)
    zk.broker(one.url)
    gate = behind(penstock, zk)
    zk.wipe()
    zk.servers.start()
    wait_state(gate, "connected", 20)
    time.sleep(0.5)
    assert urls(gate) == [one.url] and serves(gate, one) and gate.is_ready()
    zk.broker(two.url)
    wait_urls(gate, [two], 10)
    assert serves(gate, two)


def test_hanging(penstock, fake, zk):
    """Stopped in its tracks, the connection open: the same as gone."""
    one = fake(echo)
    zk.broker(one.url)
    gate = behind(penstock, zk)
    zk.servers.servers[0].freeze()
    try:
        wait_state(gate, "connecting|expired", 20)
        assert serves(gate, one)
    finally:
        zk.servers.servers[0].thaw()
    wait_state(gate, "connected", 20)


def test_one_of_three_down(penstock, fake):
    """Whichever it is, penstock finds another; a broker that comes then is seen."""
    brokers = [fake(echo)]
    with Mirror(servers=3) as ensemble:
        ensemble.broker(brokers[0].url)
        gate = behind(penstock, ensemble)
        for down in range(3):
            ensemble.servers.stop_one(down)
            wait_until("a quorum", 20, lambda down=down: any(ensemble.servers.serves(n) for n in range(3) if n != down))
            brokers.append(fake(echo))
            ensemble.broker(brokers[-1].url)
            wait_urls(gate, brokers, 20)
            assert serves(gate, brokers[-1])
            ensemble.servers.start_one(down)
            ensemble.servers.servers[down].wait_ready(20, lambda down=down: ensemble.servers.serves(down))
        gate.kill()


def test_real_clients_do_not_notice(cluster, penstock):
    """Real brokers, real clients, and the ZooKeeper penstock reads from is killed, emptied and brought back under load."""
    with Mirror() as zk:
        zk.copy_brokers(cluster)
        gate = behind(penstock, zk)
        with Load(gate.url, f"persistent://{fresh('zk')}") as load:
            zk.servers.stop()
            load.wait_acked(300)
            with client(gate.url) as c:
                roundtrip(c, f"persistent://{fresh('zk')}", 50)
            zk.wipe()
            zk.servers.start()
            load.wait_acked(300)
            with client(gate.url) as c:
                roundtrip(c, f"persistent://{fresh('zk')}", 50)
            load.finish()
        gate.assert_rest()
        gate.kill()


def test_the_clusters_own_zookeeper_is_killed(cluster, gate):
    """kill -9 for two seconds, then back with its tree: brokers and penstock both find it again."""
    with Load(gate.url, f"persistent://{fresh('zk')}") as load:
        cluster.zookeeper.stop()
        wait_state(gate, "connecting|expired", 15)
        load.wait_acked(200)
        cluster.zookeeper.start()
        wait_state(gate, "connected", 30)
        load.wait_acked(200)
        load.finish(duplicates=True)
    with client(gate.url) as c:
        roundtrip(c, f"persistent://{fresh('zk')}", 50)
    wait_until("both brokers", 30, lambda: len(gate.json("/brokers")["clusters"][0]["brokers"]) == 2)
