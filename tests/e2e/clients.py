"""The official Python client, with messages that can be checked: each carries its run, its number and a checksum.

    with client(url) as c: ... produce(c, topic, range(100)); consume(c, topic, range(100))
    load = Load(url, topic); load.start(); <break something>; load.finish()    # every acknowledged message is there, in order
"""
import contextlib
import random
import threading
import time
import uuid
import zlib

import pulsar
import settings


@contextlib.contextmanager
def client(url, **words):
    log = settings.RUN / "log" / "python-client"
    log.parent.mkdir(parents=True, exist_ok=True)
    words.setdefault("operation_timeout_seconds", 45)
    one = pulsar.Client(url, logger=pulsar.FileLogger(pulsar.LoggerLevel.Info, str(log)), **words)
    try:
        yield one
    finally:
        one.close()


def fresh(prefix="t", namespace="public/default"):
    """A topic name nobody used before, without the domain."""
    return f"{namespace}/{prefix}-{uuid.uuid4().hex[:8]}"


def message(number, size=100, run="r"):
    body = random.Random(number).randbytes(size)
    return f"{run} {number} {zlib.crc32(body)} ".encode() + body


def number_of(data, run="r"):
    """The number of a message, its checksum checked."""
    its_run, number, checksum, body = data.split(b" ", 3)
    assert its_run.decode() == run, f"a message of run {its_run}"
    assert zlib.crc32(body) == int(checksum), f"message {number} is damaged"
    return int(number)


def produce(c, topic, numbers, size=100, **words):
    producer = c.create_producer(topic, block_if_queue_full=True, **words)
    failed = []
    for number in numbers:
        producer.send_async(message(number, size), lambda result, _, number=number: result == pulsar.Result.Ok or failed.append((number, result)))
    producer.flush()
    producer.close()
    assert not failed, f"not acknowledged: {failed[:5]}"


def subscribe(c, topic, name="s", **words):
    words.setdefault("initial_position", pulsar.InitialPosition.Earliest)
    return c.subscribe(topic, name, **words)


def _said_of(topic, lines=3):
    """What the brokers and the Python client logged of a topic last."""
    said = []
    for log in sorted((settings.RUN / "log").glob("*broker*")) + [settings.RUN / "log" / "python-client"]:
        if log.exists():
            last = [line for line in log.read_text(errors="replace").splitlines() if topic in line][-lines:]
            said += [f"  {log.name}: {line[:240]}" for line in last]
    return "\n".join(said)


def receive(consumer, count, seconds=45):
    """The numbers of the next messages, acknowledged.

    A broker that has just got a bundle gives out nothing of its topics before it has read their namespace's snapshots of
    transactions, of which the broker that serves those may have to be found again: its own bound for that is 30 s.
    """
    got = []
    for _ in range(count):
        try:
            one = consumer.receive(timeout_millis=seconds * 1000)
        except pulsar.Timeout:
            topic = consumer.topic()
            raise AssertionError(f"{topic}: {len(got)} of {count} messages, then nothing for {seconds} s\n{_said_of(topic)}") from None
        got.append(number_of(one.data()))
        consumer.acknowledge(one)
    return got


def roundtrip(c, topic, count=100, size=100, **words):
    """Subscribes, produces, consumes: all there, in order, once."""
    consumer = subscribe(c, topic)
    produce(c, topic, range(count), size, **words)
    got = receive(consumer, count)
    assert got == list(range(count)), f"order or loss: {got[:20]}..."
    consumer.close()


class Load:
    """A producer and a consumer that go on through trouble. Acknowledged means: there, undamaged, in order."""

    def __init__(self, url, topic, pause=0.002, size=200, consume_url=None, **words):
        self.topic, self.pause, self.size = topic, pause, size
        self.url, self.consume_url, self.words = url, consume_url or url, words
        self.acked, self.failed, self.got = [], [], []
        self.sent = 0
        self.gaps = 0.0  # the longest time without an acknowledgement
        self._trouble = []
        self._stop, self._drained = threading.Event(), threading.Event()
        self._subscribed, self._flowing = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._guard, args=(work,), daemon=True) for work in (self._consume, self._produce)]

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self._stop.set()
        self._drained.set()
        for thread in self._threads:
            thread.join(40)

    def start(self):
        self._threads[0].start()
        if not self._subscribed.wait(30):
            raise AssertionError(f"could not subscribe: {self._trouble}")
        self._threads[1].start()
        if not self._flowing.wait(30):
            raise AssertionError(f"could not produce: {self._trouble}")
        return self

    def _guard(self, work):
        try:
            work()
        except Exception as error:  # noqa: BLE001 - reported by finish
            self._trouble.append(error)

    def _produce(self):
        last = time.monotonic()

        def done(result, _, number):
            nonlocal last
            if result == pulsar.Result.Ok:
                self.acked.append(number)
                now = time.monotonic()
                self.gaps, last = max(self.gaps, now - last), now
                if len(self.acked) >= 50:
                    self._flowing.set()
            else:
                self.failed.append((number, result))

        with client(self.url, **self.words) as c:
            producer = c.create_producer(
                self.topic, send_timeout_millis=0, block_if_queue_full=True, batching_enabled=True, batching_max_publish_delay_ms=1
            )
            while not self._stop.is_set():
                producer.send_async(message(self.sent, self.size), lambda r, i, number=self.sent: done(r, i, number))
                self.sent += 1
                self._stop.wait(self.pause)
            producer.flush()
            producer.close()

    def _consume(self):
        with client(self.consume_url, **self.words) as c:
            consumer = subscribe(c, self.topic, "load")
            self._subscribed.set()
            while not self._drained.is_set():
                with contextlib.suppress(pulsar.Timeout):
                    one = consumer.receive(timeout_millis=200)
                    self.got.append(number_of(one.data()))
                    with contextlib.suppress(pulsar.PulsarException):  # the broker may be away; the message is read again
                        consumer.acknowledge(one)
            consumer.close()

    def wait_acked(self, more, seconds=40):
        """Until so many more messages are acknowledged: the sign of life after trouble."""
        goal, deadline = len(self.acked) + more, time.monotonic() + seconds
        while len(self.acked) < goal:
            assert time.monotonic() < deadline, f"only {len(self.acked) - goal + more} acknowledgements in {seconds} s; {self._trouble}"
            time.sleep(0.05)

    def finish(self, seconds=40, duplicates=False):
        """Stops, waits for the rest, and checks."""
        self._stop.set()
        self._threads[1].join(seconds)
        assert not self._threads[1].is_alive(), f"the producer hangs: {len(self.acked)} of {self.sent} acknowledged"
        deadline = time.monotonic() + seconds
        while not set(self.got) >= set(self.acked) and time.monotonic() < deadline:
            time.sleep(0.05)
        self._drained.set()
        self._threads[0].join(seconds)
        assert not self._trouble, self._trouble
        assert not self.failed, f"sends failed: {self.failed[:5]}"
        missing = sorted(set(self.acked) - set(self.got))
        assert not missing, f"{len(missing)} acknowledged messages are lost, the first: {missing[:5]}"
        first_seen = list(dict.fromkeys(self.got))
        assert first_seen == sorted(first_seen), "order is broken"
        if not duplicates:
            assert len(first_seen) == len(self.got), f"{len(self.got) - len(first_seen)} messages came twice"
        return self
