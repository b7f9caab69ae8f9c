"""Topics move and brokers die under load; clients recover through penstock by themselves, every acknowledged message is there in order."""
import time

import pytest
from clients import Load, client, fresh, roundtrip
from processes import wait_until


def url_of(cluster, number):
    return cluster.broker_url(number).removeprefix("pulsar://")


def test_unload_under_load(cluster, gate):
    """The bundle is thrown out six times, to the one and the other broker."""
    topic = fresh("unload")
    with Load(gate.url, f"persistent://{topic}") as load:
        for n in range(6):
            cluster.unload(topic, to=1 + n % 2)
            load.wait_acked(200)
        load.finish(duplicates=True)


def test_lookup_direct(cluster, penstock):
    """lookup: direct answers from the ownership znodes, also after the bundle has moved, also under load."""
    if cluster.options["extensible"]:
        pytest.skip("the extensible load manager keeps ownership out of ZooKeeper, lookup: direct has nothing to read")
    gate = penstock.zookeeper(cluster.zookeeper_servers, cluster={"lookup": "direct"})
    topic = fresh("direct")
    cluster.owner(topic)

    def direct():
        return gate.metrics()("penstock_lookups_total", result="direct")

    def looked_up():
        with client(gate.url) as c:
            c.create_producer(f"persistent://{topic}").close()
        return direct() > 0

    wait_until("a direct answer", 15, looked_up)
    with Load(gate.url, f"persistent://{topic}") as load:
        for n in range(4):
            cluster.give(topic, 3 - cluster.owner(topic))
            load.wait_acked(200)
            with client(gate.url) as c:
                roundtrip(c, f"persistent://{fresh('direct')}", 10)
        load.finish(duplicates=True)
    count = direct()
    wait_until("direct answers for the new owner", 15, lambda: looked_up() and direct() > count)
    gate.wait_access(kind="data", broker=url_of(cluster, cluster.owner(topic)))


@pytest.mark.parametrize("victim", [2, 1])
def test_broker_killed_under_load(cluster, gate, victim):
    """kill -9 of the broker that serves the topic, while its node is still in ZooKeeper; then it comes back."""
    topic, calm = fresh("kill"), fresh("calm")
    while cluster.bundle(calm) == cluster.bundle(topic):
        calm = fresh("calm")
    cluster.give(topic, victim)
    cluster.give(calm, 3 - victim)
    with client(gate.url) as c:  # a topic that is new after the kill may hang at the broker ("transaction buffer ..."), a known one may not
        roundtrip(c, f"persistent://{calm}", 10)
    with Load(gate.url, f"persistent://{topic}") as load:
        cluster.kill_broker(victim)
        try:
            # Until the session of the dead one ends, half of the list is dead. Lookups must not care.
            took = []
            for _ in range(8):
                began = time.monotonic()
                with client(gate.url) as c:
                    roundtrip(c, f"persistent://{calm}", 10)
                took.append(time.monotonic() - began)
            assert sum(one >= 3 for one in took) <= 2, f"lookups waited for the dead broker: {took}"
            load.wait_acked(300, 60)
            wait_until("the dead one to leave the list", 30, lambda: len(gate.json("/brokers")["clusters"][0]["brokers"]) == 1)
        finally:
            cluster.start_broker(victim)
        wait_until("both brokers in the list", 20, lambda: len(gate.json("/brokers")["clusters"][0]["brokers"]) == 2)
        cluster.unload(topic, to=victim)
        load.wait_acked(300, 60)
        load.finish(60, duplicates=True)
    with client(gate.url) as c:
        roundtrip(c, f"persistent://{calm}", 50)
