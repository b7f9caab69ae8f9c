"""The co-process of kafkaclients.KafkaPython: runs in an environment of its own, which has confluent-kafka and kafka-python.

Every request: {"case": ..., "library": "confluent"|"pure"|a path of a librdkafka, "servers": "host:port,...", "config": {more of the client's
own keys}, ...}.
Messages carry their number and a checksum; what a case returns is for the test to judge.
"""
import base64
import json
import logging
import sys
import threading
import time
import traceback
import uuid
import zlib

import kafka_stand


def message(number, size):
    body = (b"%d " % number).ljust(size, b"x")
    return b"%d %d " % (number, zlib.crc32(body)) + body


def number_of(data):
    number, checksum, body = data.split(b" ", 2)
    assert zlib.crc32(body) == int(checksum), f"message {number} is damaged"
    return int(number)


def fresh():
    return f"t-{uuid.uuid4().hex[:10]}"


class Account:
    """What a load has sent, what was acknowledged, and what came back; ack() may be called by any thread."""

    def __init__(self):
        self.sent, self.acked, self.got, self.failed, self.brokers = 0, set(), set(), [], []

    def ack(self, number, error):
        if error:
            self.failed.append(str(error))
        else:
            self.acked.add(number)

    def run(self, seconds, send, flush, read):
        """send(number) and read() -> numbers, each in a thread; whatever was acknowledged has the time to arrive."""
        over, errors = threading.Event(), []

        def reading():
            try:
                while not over.is_set():
                    self.got.update(read())
            except BaseException as error:  # noqa: BLE001 - raised below
                errors.append(error)

        reader = threading.Thread(target=reading)
        reader.start()
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                for _ in range(5):
                    send(self.sent)
                    self.sent += 1
                time.sleep(0.05)
            flush()
            end = time.monotonic() + 60
            while self.acked - self.got and time.monotonic() < end and not errors:
                time.sleep(0.1)
        finally:
            over.set()
            reader.join()
        if errors:
            raise errors[0]


# ---- librdkafka


class Lines(logging.Handler):
    """Its log: each line goes to a function, and to stderr what is no debugging."""

    def __init__(self, line):
        super().__init__()
        self._line = line

    def emit(self, record):
        text = record.getMessage()
        self._line(text)
        if record.levelno > logging.DEBUG:
            print(text, file=sys.stderr, flush=True)


class Confluent:
    def __init__(self, request):
        import confluent_kafka
        import confluent_kafka.admin

        self.k, self.a = confluent_kafka, confluent_kafka.admin
        self.config = {"bootstrap.servers": request["servers"], **request.get("config", {})}
        self.group = request.get("group")

    def admin(self):
        return self.a.AdminClient(self.config)

    def brokers(self, seconds=15):
        """Every address of a broker that Metadata and DescribeCluster give; who is refused tries again until the time is over."""
        admin = self.admin()
        told = [f"{b.id} {b.host}:{b.port}" for b in admin.list_topics(timeout=seconds).brokers.values()]
        return sorted({*told, *(f"{n.id} {n.host}:{n.port}" for n in admin.describe_cluster(request_timeout=15).result().nodes)})

    def create(self, topic, partitions):
        admin = self.admin()  # which has to live until the answer is there
        admin.create_topics([self.a.NewTopic(topic, partitions, 3)])[topic].result(20)

    def create_many(self, topics):
        admin = self.admin()
        for one in admin.create_topics([self.a.NewTopic(topic, 1, 1) for topic in topics], operation_timeout=30).values():
            one.result(60)

    def produce(self, topic, numbers, size, **more):
        producer, failed = self.k.Producer({"enable.idempotence": True, **self.config, **more}), []
        for number in numbers:
            while True:
                try:
                    producer.produce(topic, message(number, size), key=b"%d" % (number % 11), on_delivery=lambda e, _: e and failed.append(str(e)))
                    break
                except BufferError:
                    producer.poll(0.05)
        left = producer.flush(60)
        assert not left and not failed, f"{left} left, {failed[:3]}"

    def consume(self, topic, count, seconds=40, **more):
        keys = {"group.id": fresh(), "auto.offset.reset": "earliest", "isolation.level": "read_committed", "enable.auto.commit": False}
        consumer, got = self.k.Consumer({"topic.metadata.refresh.interval.ms": 5000, **self.config, **keys, **more}), []
        consumer.subscribe([topic])
        deadline = time.monotonic() + seconds
        while len(got) < count and time.monotonic() < deadline:
            for one in consumer.consume(1000, 0.5):
                if one.error() is None:
                    got.append(number_of(one.value()))
        if got:
            consumer.commit(asynchronous=False)
        consumer.close()
        return got

    def describe(self, topic):
        """The leader of each partition, none where there is no such topic; and the addresses of all nodes that are told of."""
        admin = self.admin()
        try:
            found = admin.describe_topics(self.k.TopicCollection([topic]), request_timeout=15)[topic].result().partitions
        except self.k.KafkaException as error:
            if error.args[0].code() != self.k.KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
            return [], []
        nodes = [node for one in found for node in (one.leader, *one.replicas, *one.isr) if node]
        return [one.leader.id if one.leader else -1 for one in found], [f"{node.id} {node.host}:{node.port}" for node in nodes]

    def remove(self, topic):
        admin = self.admin()
        admin.delete_topics([topic])[topic].result(20)

    def load(self, topic, seconds, account):
        mine = {key: value for key, value in self.config.items() if key not in ("heartbeat.interval.ms", "session.timeout.ms")}
        producer = self.k.Producer({**mine, "enable.idempotence": True})
        keys = {"auto.offset.reset": "earliest", "topic.metadata.refresh.interval.ms": 5000, "debug": kafka_stand.DEBUG}

        def made(log):
            logger = logging.Logger("librdkafka")
            logger.addHandler(Lines(log))
            consumer = self.k.Consumer({**self.config, **keys, "group.id": self.group or fresh()}, logger=logger)
            consumer.subscribe([topic])
            return consumer

        reader = kafka_stand.Renewed(made, lambda consumer: consumer.close())

        def send(number):
            producer.produce(topic, message(number, 200), on_delivery=lambda error, _: account.ack(number, error))
            producer.poll(0)

        def read():
            records = [m for m in reader.consumer.consume(1000, 0.2) if m.error() is None]
            reader.came({m.partition() for m in records})
            return [number_of(m.value()) for m in records]

        account.run(seconds, send, lambda: producer.flush(120), read)
        told = [*producer.list_topics(timeout=15).brokers.values(), *reader.consumer.list_topics(timeout=15).brokers.values()]
        account.brokers = sorted({f"{b.id} {b.host}:{b.port}" for b in told})
        reader.consumer.close()

    def transactions(self, topic):
        """One committed, one aborted: only the first is read."""
        producer = self.k.Producer({**self.config, "transactional.id": fresh()})
        producer.init_transactions(30)
        for first, ends in ((0, producer.commit_transaction), (1000, producer.abort_transaction), (100, producer.commit_transaction)):
            producer.begin_transaction()
            for number in range(first, first + 100):
                producer.produce(topic, message(number, 50))
            producer.flush(30)
            ends(30)
        return sorted(self.consume(topic, 200))


# ---- kafka-python


class Reader:
    """A consumer, made anew in its group when it waits for something nobody will fetch.

    That is a fault of kafka-python 3.0.12, seen on a busy machine: it joins before it knows the topic's partitions, so at once a second time, and
    the timeout of poll() comes while that SyncGroup is under way. Why it had to join is settled by then (_perform_assignment has taken the new
    snapshot), need_rejoin() is false, and so no poll() ever looks at _join_task again: the broker's answer, with all partitions, stays in it. Its
    log says "Updated partition assignment: []", and nothing of the assignment that came 29 ms after the timeout; it sends no heartbeat and
    reads nothing, for ever. With poll(8) that is every second or third consumer, straight at a broker as well as through penstock.
    """

    def __init__(self, make):
        self._make, self._consumer, self.renewed = make, make(), 0

    def poll(self, *words, **keys):
        records = self._consumer.poll(*words, **keys)
        coordinator = self._consumer._coordinator
        if coordinator._join_task is not None and not coordinator.need_rejoin():
            print(f"kafka-python has lost an assignment: {self._consumer.assignment()}", file=sys.stderr, flush=True)
            self.close()
            self._consumer, self.renewed = self._make(), self.renewed + 1
        return records

    def commit(self):
        self._consumer.commit()

    def close(self):
        self._consumer.close()


class Pure:
    def __init__(self, request):
        import kafka
        import kafka.admin
        import kafka.errors

        self.k = kafka
        self.config = {"bootstrap_servers": request["servers"].split(","), **request.get("config", {})}
        if self.config.get("sasl_mechanism") == "OAUTHBEARER":
            self.config["sasl_oauth_token_provider"] = self._tokens(request["user"])

    @staticmethod
    def _tokens(user):
        """Of the kind that Kafka's validator of unsecured tokens takes."""
        from kafka.net.sasl.oauth import AbstractTokenProvider

        def part(claims):
            return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()

        class Tokens(AbstractTokenProvider):
            def token(self):
                now = int(time.time())
                return f"{part({'alg': 'none'})}.{part({'sub': user, 'iat': now, 'exp': now + 3600})}."

        return Tokens()

    def brokers(self):
        admin = self.k.KafkaAdminClient(**self.config)
        told = admin.describe_cluster()["brokers"]
        admin.close()
        return sorted(f"{b.get('broker_id', b.get('node_id'))} {b['host']}:{b['port']}" for b in told)

    def create(self, topic, partitions):
        admin = self.k.KafkaAdminClient(**self.config)
        admin.create_topics([self.k.admin.NewTopic(topic, partitions, 3)])
        admin.close()

    def produce(self, topic, numbers, size):
        producer = self.k.KafkaProducer(**self.config, acks="all", retries=20)
        sent = [producer.send(topic, message(number, size), key=b"%d" % (number % 11)) for number in numbers]
        producer.flush(60)
        for one in sent:
            one.get(1)
        producer.close()

    def _reader(self, topic, age):
        keys = {**self.config, "group_id": fresh(), "auto_offset_reset": "earliest", "metadata_max_age_ms": age}
        return Reader(lambda: self.k.KafkaConsumer(topic, **keys))

    def consume(self, topic, count, seconds=40):
        consumer, got = self._reader(topic, 2000), []
        deadline = time.monotonic() + seconds
        while len(got) < count and time.monotonic() < deadline:
            for records in consumer.poll(500, max_records=1000).values():
                got += [number_of(one.value) for one in records]
        if got:
            consumer.commit()
        consumer.close()
        return got

    def describe(self, topic):
        """As Confluent's; no addresses are told."""
        admin = self.k.KafkaAdminClient(**self.config)
        found = admin.describe_topics([topic]) if topic in admin.list_topics() else []
        admin.close()
        return [one["leader_id"] for one in found[0]["partitions"]] if found else [], []

    def remove(self, topic):
        admin = self.k.KafkaAdminClient(**self.config)
        admin.delete_topics([topic])
        admin.close()

    def load(self, topic, seconds, account):
        producer = self.k.KafkaProducer(**self.config, acks="all", retries=1000, request_timeout_ms=5000)
        consumer = self._reader(topic, 5000)

        def send(number):
            sent = producer.send(topic, message(number, 200))
            sent.add_callback(lambda _: account.ack(number, None))
            sent.add_errback(lambda error: account.ack(number, error))

        def read():
            try:
                return [number_of(one.value) for records in consumer.poll(200).values() for one in records]
            except (self.k.errors.KafkaConnectionError, self.k.errors.UnknownBrokerIdError):
                return []  # poll() says so of a broker that has died, and goes on when it is called again

        account.run(seconds, send, lambda: producer.flush(120), read)
        account.brokers = self.brokers()
        producer.close()
        consumer.close()


# ---- cases


def roundtrip(client, request):
    """A fresh topic, produced to and consumed by a group, and all brokers that were told of."""
    topic, count = request.get("topic") or fresh(), request.get("count", 1000)
    if not request.get("topic"):
        client.create(topic, request.get("partitions", 6))
    client.produce(topic, range(count), request.get("size", 100))
    got = client.consume(topic, count)
    return {"topic": topic, "missing": sorted(set(range(count)) - set(got))[:5], "twice": len(got) - len(set(got)), "brokers": client.brokers()}


def transactions(client, request):
    topic = fresh()
    client.create(topic, 3)
    got = client.transactions(topic)
    return {"got": got}


def produce(client, request):
    client.produce(request["topic"], range(request["first"], request["first"] + request["count"]), request.get("size", 100))
    return {}


def consume(client, request):
    return {"got": sorted(client.consume(request["topic"], request["count"], request.get("time", 40)))}


def create(client, request):
    topic = request.get("topic") or fresh()
    client.create(topic, request.get("partitions", 6))
    return {"topic": topic}


def many(client, request):
    """Topics of one partition and one replica, with long names."""
    names = [f"{fresh()}-{number}".ljust(request["length"], "x") for number in range(request["count"])]
    client.create_many(names)
    return {"topics": names}


def brokers(client, request):
    words = {"seconds": request["time"]} if "time" in request else {}
    return {"brokers": client.brokers(**words)}


def scram(client, request):
    """Gives a user another secret, of SCRAM-SHA-512."""
    a = client.a
    info = a.ScramCredentialInfo(a.ScramMechanism.SCRAM_SHA_512, 4096)
    user = a.UserScramCredentialUpsertion(request["user"], info, request["secret"].encode())
    admin = client.admin()
    admin.alter_user_scram_credentials([user])[request["user"]].result(20)
    return {}


def settled(client, topic, done):
    """What describe() says when all brokers can have heard of a change."""
    deadline = time.monotonic() + 10
    while not done((said := client.describe(topic))[0]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return said


def administer(client, request):
    """Makes a topic, looks at it, and takes it away."""
    topic = fresh()
    client.create(topic, 4)
    leaders, described = settled(client, topic, lambda leaders: leaders and -1 not in leaders)
    client.remove(topic)
    return {"leaders": leaders, "described": sorted({*described}), "left": len(settled(client, topic, lambda leaders: not leaders)[0])}


def load(client, request):
    """Produces and consumes for so many seconds; whatever was acknowledged must arrive."""
    account = Account()
    client.load(request["topic"], request["time"], account)
    return {
        "sent": account.sent, "acked": len(account.acked), "lost": len(account.acked - account.got), "failed": account.failed[:3],
        "brokers": account.brokers,
    }  # fmt: skip


CASES = {f.__name__: f for f in (roundtrip, transactions, produce, consume, create, many, brokers, administer, load, scram)}


def client_of(request):
    library = request.get("library", "confluent")
    if library in ("confluent", "pure"):
        return (Confluent if library == "confluent" else Pure)(request)
    import kafka_ctypes

    return kafka_ctypes.Rdkafka(library, request, message, number_of, fresh)


def main():
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"ok": True, **CASES[request["case"]](client_of(request), request)}
        except BaseException as error:  # noqa: BLE001 - told to the test
            traceback.print_exc()
            answer = {"ok": False, "error": type(error).__name__, "message": str(error)}
        print(json.dumps(answer), flush=True)


main()
