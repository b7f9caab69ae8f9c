"""Java clients of Kafka, new and old, in front of three real brokers: all they can do, in port mode (plain) and by server names (TLS).

After each case every address that its clients had in memory is one of penstock's (java/Known.java walks through their objects), and after all
of them nothing in the memory of the whole process, garbage included, is the name of a broker or of its network.
"""
import contextlib
import itertools
import os
import subprocess

import kafkaclients
import netns
import pytest
import settings
import tap
from coprocess import begun
from kafkamodes import NAMES, NODES, Mode, by_port, clusters, knows_only, modes, run, stable, together
from processes import wait_until

ALL = os.environ.get("PENSTOCK_E2E_MATRIX") == "1"  # make kafka-matrix
LONG = f"{'a-name-that-is-longer-than-those-of-brokers':x<60}.java.test"


@pytest.fixture(scope="module", autouse=True)
def names(kafka):
    netns.client_names({**NAMES, LONG: settings.GATE_ADDRESS})
    yield
    netns.client_names()


@pytest.fixture(scope="module")
def gate(module_penstock, kafka):
    one = module_penstock.new()
    listeners, one.modes = modes(kafka)
    port = 9640
    listeners.append(by_port(port, advertise=LONG, name="long"))
    one.modes["long"] = Mode(f"{LONG}:{port}", {f"{LONG}:{port + n}" for n in (0, *NODES)})
    # Brokers hear nothing of a client that has gone while they make its JoinGroup wait for a rebalance.
    one.start({"clusters": clusters(kafka), "listeners": listeners, "timeouts": {"half_close": "5s"}})
    return one


@pytest.fixture(params=["port", "sni"])
def mode(gate, request):
    return gate.modes[request.param]


@pytest.fixture
def port(gate):
    return gate.modes["port"]


@pytest.fixture
def sni(gate):
    return gate.modes["sni"]


@pytest.fixture(scope="module")
def streams():
    client = kafkaclients.KafkaStreams()
    yield client
    client.close()


# ---- what clients do


@pytest.mark.parametrize("name, protocol", [("port", "classic"), ("sni", "consumer")])
def test_members_come_and_go(kafka, gate, name, protocol):
    answer = run(kafka.java, "group", gate.modes[name], protocol=protocol)
    assert answer["missing"] == [] and answer["members"] == 4, answer


def test_everything_an_administrator_can_ask(kafka, mode):
    answer = run(kafka.java, "tour", mode)
    assert answer["failed"] == {} and answer["steps"] == 27, answer["failed"]
    assert {node.split()[1] for node in answer["nodes"]} <= mode.addresses and len(answer["nodes"]) == len(NODES)


def test_a_topic_that_is_not_there_yet(kafka, mode):
    answer = run(kafka.java, "fresh", mode)
    assert answer["missing"] == [] and answer["twice"] == 0, answer


def test_controllers_by_a_name_that_leads_nowhere(kafka, penstock):
    """controllers: name. What is shown of them by default is nothing (test_50)."""
    gate = penstock.new()
    listeners, both = modes(kafka)
    for listener in listeners:
        listener["kafka"]["controllers"] = "name"
    gate.start({"clusters": clusters(kafka), "listeners": listeners})
    for mode in both.values():
        answer = kafka.java.run("describe", **mode.words(quorum=True))
        assert answer["leader"] in NODES
        assert {name.rsplit(":", 1)[0] for name in answer["controllers"]} == {f"{n} controller-{n}.invalid" for n in NODES}, answer
        knows_only(answer, mode)


def test_transactions_of_both_kinds(kafka, mode):
    """Clients go by a feature that comes with ApiVersions, not by versions of calls: with level 2 they leave out AddPartitionsToTxn."""
    answer = run(kafka.java, "transactions", mode)
    assert answer["v2"] and answer["got"] == list(range(200))
    kafka.mover.run("feature", **mode.words(name="transaction.version", level=1, down=True))
    try:
        answer = run(kafka.java, "transactions", mode)
        assert not answer["v2"] and answer["got"] == list(range(200))
    finally:
        kafka.mover.run("feature", **mode.words(name="transaction.version", level=2))


@pytest.mark.parametrize("name, protocol", [("port", "classic"), ("sni", "streams")])
def test_streams(streams, kafka, gate, name, protocol):
    """Exactly once, with a changelog and a repartition topic; the client is 4.3.1."""
    answer = run(streams, "streams", gate.modes[name], streams_protocol=protocol)
    assert set(answer["counts"].values()) == {answer["expected"]} and len(answer["counts"]) == 10, answer


def test_share_groups_while_leaders_move(kafka, mode):
    answer = run(kafka.java, "share", mode, move=True)
    assert answer["missing"] == [], answer


@pytest.mark.parametrize("version", ["2.8.2", "3.9.2"])
def test_old_clients(kafka, mode, version):
    """Kafka 4 has dropped what clients before 2.1 speak."""
    topic = kafka.java.run("create", **mode.words())["topic"]
    answer = kafkaclients.old_java(version, mode.servers, topic, config=mode.config)
    assert answer["version"] == version and answer["missing"] == 0 and answer["twice"] == 0, answer
    knows_only(answer, mode)


def test_what_a_client_learns_can_be_seen(kafka, port):
    """The proof that knows_only() can fail: a client on the other side, without penstock, knows brokers by their names."""
    topic = kafka.java.run("create", **port.words())["topic"]
    answer = kafkaclients.old_java("3.9.2", kafka.bootstrap("PLAINTEXT")[0], topic, side=settings.BROKER_SIDE)
    assert set(answer["known"]) == set(kafka.bootstrap("PLAINTEXT")), answer


def test_asking_for_a_brokers_name_is_seen(lab, kafka):
    """The proof that the trap sees clients that follow a name: nobody here knows it, and who asks is found out."""
    name = settings.KAFKA_NAMES[1]
    assert subprocess.run(netns.exec_in(settings.CLIENT_SIDE, ["getent", "ahostsv4", name]), check=False).returncode != 0
    assert (name, 53) in lab.trap.hits
    lab.trap.hits.clear()


# ---- trouble


@pytest.fixture(scope="module")
def second():
    client = kafkaclients.KafkaJava("kafka-java-2")
    yield client
    client.close()


@contextlib.contextmanager
def under_load(clients, modes, seconds):
    """An idempotent producer and a group of each kind, one in each mode; result() waits for the ends and judges."""
    loads = [(client, mode, client.run("create", **mode.words())["topic"]) for client, mode in zip(clients, modes)]
    for (client, mode, topic), protocol in zip(loads, ("classic", "consumer")):
        client.begin("load", **mode.words(topic=topic, time=seconds, protocol=protocol))

    def result():
        for client, mode, _ in loads:
            answer = client.answer("load", seconds + 120)
            assert answer["ok"] and answer["failed"] == [], answer
            assert answer["acked"] == answer["sent"] > 300, answer
            assert answer["lost"] == 0, f"acknowledged, and never consumed: {answer}"
            assert answer["stored"] == answer["acked"] and answer["missing"] == answer["twice"] == 0, f"not exactly once in the log: {answer}"
            assert answer["ordered"], answer
            knows_only(answer, mode)

    result.topics = [topic for _, _, topic in loads]
    with begun(*clients):
        yield result


def test_leaders_move_and_a_broker_dies(kafka, second, port, sni):
    """Whatever was acknowledged is consumed, and is in the log once."""
    before = stable(kafka.mover, **port.words())
    with under_load((kafka.java, second), (port, sni), 20) as result:
        together(kafka.mover, before + 2, 4, **port.words())
        for topic in (*result.topics, "__consumer_offsets"):
            kafka.mover.run("move", **port.words(topic=topic))
        kafka.kill(3)
        kafka.start(3)
    result()


@pytest.mark.parametrize("name, share", [("port", False), ("sni", False), ("port", True), ("long", False), ("long", True)])
def test_addresses_behind_long_responses(gate, kafka, name, share):
    """Errors of some partitions with records of others: the response has been on its way for long when its addresses come. Names that are
    longer than those of brokers have no room then: addresses are left out, and clients ask again."""
    way = "bare" if name == "long" else "tail"
    before = gate.metrics()("penstock_kafka_rewritten_total", way=way)
    for _ in range(3):  # all of a backlog may be read before a leader has moved
        answer = run(kafka.java, "backlog", gate.modes[name], 240, share=share)
        assert answer["missing"] == [] and (share or answer["twice"] == 0), answer
        if gate.metrics()("penstock_kafka_rewritten_total", way=way) > before:
            return
    raise AssertionError(answer)


def test_coordinators_of_many_groups(gate, kafka, mode):
    """One answer to FindCoordinator with more addresses than a buffer has room for."""
    before = gate.metrics()("penstock_kafka_rewritten_total", way="long")
    answer = run(kafka.java, "coordinators", mode, groups=800, length=150)
    assert answer["asked"] == 800
    assert gate.metrics()("penstock_kafka_rewritten_total", way="long") > before


def test_penstock_restarts(penstock, kafka, second, tmp_path):
    gate = penstock.new()
    listeners, both = modes(kafka)
    config = {
        "clusters": clusters(kafka), "listeners": listeners, "state_dir": str(tmp_path),
        "drain": {"lame_duck": "0s", "spread": "500ms"}, "timeouts": {"drain": "10s", "half_close": "5s"},
    }  # fmt: skip
    gate.start(config)
    with under_load((kafka.java, second), (both["port"], both["sni"]), 15) as result:
        wait_until("the loads to flow", 30, lambda: gate.metrics()("penstock_kafka_requests_total") > 400)
        assert gate.stop() == 0
        gate.start(config)
        wait_until("the loads to flow again", 30, lambda: gate.metrics()("penstock_kafka_requests_total") > 100)
        gate.kill()  # and once without a word
        gate.start(config)
    result()


class Loads:
    """Transactions, a share group and Streams, each of a process of its own and in a mode of its own, for as long as the test likes.

    further() waits until each of them has got on; end() until they have come to their ends, and has what each says."""

    def __init__(self, folder, clients, modes, protocol):
        self.folder, self.clients, self.modes = folder, clients, modes
        self.topics = {name: [client.run("create", **modes[name].words())["topic"] for _ in range(1 + (name == "streams"))] for name, client in clients.items()}
        self.application = f"app-{self.topics['streams'][0]}"
        more = {
            "transactions": {"id": f"id-{self.topics['transactions'][0]}"},
            "streams": {"application": self.application, "out": self.topics["streams"][1], "streams_protocol": protocol},
        }
        self.over = folder / "over"
        self.id = more["transactions"]["id"]
        for name, client in clients.items():
            words = {"topic": self.topics[name][0], "until": str(self.over), "progress": str(folder / name), **more.get(name, {})}
            client.begin(f"{name} in trouble", **modes[name].words(**words))

    def all_topics(self):
        """Theirs, and those that Kafka and Streams have made for them."""
        return [
            *itertools.chain(*self.topics.values()), f"{self.application}-by-word-repartition", f"{self.application}-counts-changelog",
            "__consumer_offsets", "__transaction_state", "__share_group_state",
        ]  # fmt: skip

    def _done(self):
        files = {name: self.folder / name for name in self.clients}
        return {name: int((file.exists() and file.read_text()) or 0) for name, file in files.items()}

    def further(self, seconds=180):
        before = self._done()
        wait_until("each of the loads to get on", seconds, lambda: all(done >= before[name] + 5 for name, done in self._done().items()))

    def end(self):
        self.over.touch()
        return {name: client.answer(f"{name} in trouble", 500) for name, client in self.clients.items()}


def judge_transactions(said, version):
    """Each committed record once and in order, of an aborted transaction none, of one whose end nobody knows all or none."""
    assert said[f"v{version}"], said
    assert said["commits"] >= 30 and said["aborted"] > 50, said
    assert said["lost"] == said["missing"] == said["twice"] == said["undead"] == said["torn"] == said["strange"] == 0 and said["ordered"], said


def judge_share(said):
    """All that was acknowledged to the producer was given out and accepted by the group, and nothing came again after that was confirmed."""
    assert said["failed"] == [] and said["acked"] == said["sent"] > 30, said
    assert said["stored"] == said["acked"] and said["missing"] == said["twice"] == 0 and said["ordered"], said
    assert said["lost"] == said["left"] == said["again"] == 0, said


def judge_streams(said):
    """Exactly once: no word was counted twice, none left out, no count said twice."""
    assert said["failed"] == [] and said["acked"] == said["sent"] > 15, said
    assert said["wrong"] == [] and said["counts"] == 2 * said["sent"], said


IN_TROUBLE = [(2, ("port", "sni", "port"), "classic"), (1, ("sni", "port", "sni"), "streams")][: 2 if ALL else 1]


@pytest.mark.parametrize("version, ways, protocol", IN_TROUBLE, ids=[f"v{version}" for version, *_ in IN_TROUBLE])
def test_accounts_of_transactions_shares_and_streams(penstock, kafka, second, streams, say, tmp_path, version, ways, protocol):
    """All of it to all three at once: leaders and coordinators move, the broker dies that looks after the transactions, penstock ends and is killed."""
    gate = penstock.new()
    listeners, both = modes(kafka)
    config = {
        "clusters": clusters(kafka), "listeners": listeners, "state_dir": str(tmp_path / "state"),
        "drain": {"lame_duck": "0s", "spread": "500ms"}, "timeouts": {"drain": "10s", "half_close": "5s"},
    }  # fmt: skip
    (tmp_path / "state").mkdir()
    gate.start(config)
    clients = {"transactions": kafka.java, "share": second, "streams": streams}
    how = dict(zip(clients, (both[name] for name in ways)))
    if version == 1:
        kafka.mover.run("feature", **both["port"].words(name="transaction.version", level=1, down=True))
    try:
        with begun(*clients.values()):
            loads = Loads(tmp_path, clients, how, protocol)
            loads.further()
            for topic in loads.all_topics():
                kafka.mover.run("move", **both["port"].words(topic=topic))
            loads.further()
            victim = kafka.mover.run("coordinator", **both["port"].words(id=loads.id))["coordinator"]
            kafka.kill(victim)
            loads.further()
            kafka.start(victim)
            loads.further()
            assert gate.stop() == 0
            gate.start(config)
            loads.further()
            gate.kill()
            gate.start(config)
            loads.further()
            answers = loads.end()
    finally:
        if version == 1:
            kafka.mover.run("feature", **both["port"].words(name="transaction.version", level=2))
    for name, answer in answers.items():
        assert answer["ok"], f"{name}: {answer}"
        knows_only(answer, how[name])
    say(f"kafka: in trouble, transactions v{version}: " + ", ".join(f"{key} {answers['transactions'][key]}" for key in ("commits", "aborted", "doubt", "renewed"))
        + f"; share: acked {answers['share']['acked']}, redelivered {answers['share']['redelivered']}; streams: counts {answers['streams']['counts']}")  # fmt: skip
    judge_transactions(answers["transactions"], version)
    judge_share(answers["share"])
    judge_streams(answers["streams"])


# ---- and at the end


def test_nothing_is_left_in_memory(kafka, gate, second, streams, port, sni):
    """A dump of all that these processes hold, or held when it was last collected: no broker's name, no broker's network."""
    for client in (kafka.java, second, streams):
        for mode in (port, sni):
            client.run("describe", **mode.words())
        file = settings.RUN / f"{client.name}.hprof"
        file.unlink(missing_ok=True)
        client.run("heap", file=str(file))
        memory = file.read_bytes()
        file.unlink()
        assert b"b1.java.test" in memory, "names cannot be found like this"
        for secret in tap.SECRETS:
            at = memory.find(secret)
            assert at < 0, f"{client.name}: {memory[max(0, at - 60) : at + 60]}"
