"""Kafka's clients that are not Java: each by its name, and all of them at once while something happens.

    with everybody() as clients:
        clients["sarama"].run("roundtrip", Way("127.0.0.1:9092", {"1 127.0.0.1:9093"}))
        under_load(clients, way, 12, trouble, kafka.mover, say)
"""
import contextlib
import os
import re
import typing

import pytest
import settings
from coprocess import begun
from kafkaclients import KafkaGo, KafkaJs, KafkaPython
from kafkamodes import stable, together
from processes import wait_until

NODES = (1, 2, 3)
TOGETHER = 6  # seconds
ALL = os.environ.get("PENSTOCK_E2E_MATRIX") == "1"  # make kafka-matrix


class Way(typing.NamedTuple):
    """How penstock is reached: bootstrap servers, what brokers must be called there ("1 host:port"), and who has signed its certificate."""

    servers: str
    names: set
    ca: str = None  # no TLS

    def java(self):
        keys = {"security.protocol": "SSL", "ssl.truststore.type": "PEM", "ssl.truststore.location": self.ca} if self.ca else {}
        return {"servers": self.servers, "config": keys}

    def addresses(self):
        return {name.split()[1] for name in self.names}


def way_by_port(host, port, base):
    """The way to three brokers whose ports are base + 1, + 2, + 3."""
    return Way(f"{host}:{port}", {f"{n} {host}:{base + n}" for n in NODES})


class Kind(typing.NamedTuple):
    process: type
    words: dict  # that choose the library
    tls: typing.Callable  # a CA's file -> words
    idempotent: bool  # its producer, as its load has it: what it repeats is in the log once, and in order
    needs: object = None  # a file without which it is not here


def _ours(ca):
    return {"security": {"ca": ca}}


def _rdkafka(ca):
    return {"config": {"security.protocol": "SSL", "ssl.ca.location": ca}}


def _pure(ca):
    return {"config": {"security_protocol": "SSL", "ssl_cafile": ca}}


_GO, _OLD = settings.KAFKA_GO / "client", settings.OLD_RDKAFKA / "librdkafka.so.1"
KINDS = {
    "franz-go": Kind(KafkaGo, {"library": "franz"}, _ours, True, _GO),
    "sarama": Kind(KafkaGo, {"library": "sarama"}, _ours, False, _GO),
    "kafkajs": Kind(KafkaJs, {}, _ours, False),
    "librdkafka": Kind(KafkaPython, {}, _rdkafka, True),
    "librdkafka-1.9": Kind(KafkaPython, {"library": str(_OLD)}, _rdkafka, False, _OLD),
    "kafka-python": Kind(KafkaPython, {"library": "pure"}, _pure, True),
}


class Client:
    """A co-process, told which library to use and how to reach penstock."""

    def __init__(self, name):
        self.name, self._kind = name, KINDS[name]
        self._process = self._kind.process(f"kafka-{name}")
        self.missing = self._kind.needs is not None and not self._kind.needs.exists()
        self.idempotent = self._kind.idempotent

    def _words(self, way, more):
        return {"servers": way.servers, **self._kind.words, **(self._kind.tls(way.ca) if way.ca else {}), **more}

    def run(self, case, way, **more):
        if self.missing:
            pytest.skip(f"{self.name} could not be installed here: see what tests/lab/deps.sh lab says")
        return self._process.run(case, **self._words(way, more))

    def begin(self, case, way, **more):
        self._process.begin(case, **self._words(way, more))

    def answer(self, case, seconds):
        return self._process.answer(case, seconds)

    def close(self):
        self._process.close()


@contextlib.contextmanager
def everybody():
    made = {name: Client(name) for name in KINDS}
    try:
        yield made
    finally:
        for one in made.values():
            one.close()


def read_from(log, offset):
    with open(log, errors="replace") as file:
        file.seek(offset)
        return file.read()


def under_load(clients, way, seconds, trouble, java, say):
    """Every client produces and consumes while trouble(topics) happens; then each tells what became of its messages, and Java what is in the log."""
    there = {name: client for name, client in clients.items() if not client.missing}
    for name in clients.keys() - there.keys():
        say(f"SKIPPED, loudly: {name} under load: it could not be installed here, see what tests/lab/deps.sh lab says")
    topics = {name: client.run("create", way, partitions=6)["topic"] for name, client in there.items()}
    javascript = settings.RUN / "log" / "kafka-kafkajs"
    read = javascript.stat().st_size if javascript.exists() else 0
    before = stable(java, **way.java())  # and its JVM is there when it is needed
    lasts = TOGETHER + seconds * 3 // 2
    for name, client in there.items():
        client.begin("load", way, topic=topics[name], time=lasts)
    with begun(*there.values()):
        together(java, before + len(there), TOGETHER + seconds // 2, **way.java())
        trouble(list(topics.values()))
        answers = {name: client.answer("load", lasts + 150) for name, client in there.items() if name != "kafkajs"}
        if "kafkajs" in there:
            try:
                answers["kafkajs"] = there["kafkajs"].answer("load", lasts + 150)
            except AssertionError:
                if re.search("timed out|timeout", read_from(javascript, read)):  # of each request it says after 10 s: "Request ... timed out"
                    raise
                say("SKIPPED, loudly: kafkajs under load: it came to a stand, and has had an answer to each request that it sent")
                del there["kafkajs"]
    for client in there.values():
        client.close()  # some keep a connection for a while
    bad = [
        f"{name}: {answer}" for name, answer in answers.items()
        if not answer["ok"] or answer["lost"] or answer["failed"] or not answer["acked"] == answer["sent"] > 50
    ]  # fmt: skip
    assert not bad, "\n".join(bad)
    for name, client in there.items():
        _judge_log(client, java.run("contents", topic=topics[name], count=answers[name]["sent"], **way.java()), answers[name]["sent"], say)
    known = {address.split()[-1] for answer in answers.values() for address in answer["brokers"]}
    assert way.addresses() <= known <= {way.servers, *way.addresses()}


def _judge_log(client, log, sent, say):
    """All that was sent was acknowledged, and so is there. A producer that is not idempotent may repeat what was taken and not acknowledged."""
    assert log["missing"] == 0 and log["stored"] == sent, f"{client.name}: {log}"
    if client.idempotent:
        assert log["twice"] == 0 and log["ordered"], f"{client.name}, not exactly once and in order in the log: {log}"
    else:
        say(f"kafka: {client.name}, whose producer is not idempotent: {log['twice']} of {sent} records twice, {'' if log['ordered'] else 'not '}in order")


def flowing(gate, calls=100):
    """Waits until clients have had the time for some hundred requests."""
    before = gate.metrics()("penstock_kafka_requests_total")
    wait_until("the load to flow", 20, lambda: gate.metrics()("penstock_kafka_requests_total") > before + calls)
