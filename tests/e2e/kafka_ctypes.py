"""librdkafka of any version, by ctypes: what kafka_python.Confluent is for the version whose Python package is installed.

    Rdkafka("/path/to/librdkafka.so.1", request).roundtrip...; `config` has the library's own keys
"""
import ctypes
import os
import sys
import time
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_int32, c_int64, c_size_t, c_void_p

import kafka_stand

PRODUCER, CONSUMER = 0, 1
COPY = 2  # of what is produced
SUCCESS = 0


class Message(Structure):
    _fields_ = [
        ("err", c_int), ("rkt", c_void_p), ("partition", c_int32), ("payload", c_void_p), ("len", c_size_t), ("key", c_void_p), ("key_len", c_size_t),
        ("offset", c_int64), ("opaque", c_void_p),
    ]  # fmt: skip


class Broker(Structure):
    _fields_ = [("id", c_int32), ("host", c_char_p), ("port", c_int)]


class Partition(Structure):
    _fields_ = [
        ("id", c_int32), ("err", c_int), ("leader", c_int32), ("replica_cnt", c_int), ("replicas", POINTER(c_int32)), ("isr_cnt", c_int),
        ("isrs", POINTER(c_int32)),
    ]  # fmt: skip


class Topic(Structure):
    _fields_ = [("topic", c_char_p), ("partition_cnt", c_int), ("partitions", POINTER(Partition)), ("err", c_int)]


class Metadata(Structure):
    _fields_ = [
        ("broker_cnt", c_int), ("brokers", POINTER(Broker)), ("topic_cnt", c_int), ("topics", POINTER(Topic)), ("orig_broker_id", c_int32),
        ("orig_broker_name", c_char_p),
    ]  # fmt: skip


DELIVERED = ctypes.CFUNCTYPE(None, c_void_p, POINTER(Message), c_void_p)
LOGGED = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_char_p, c_char_p)
LOG_INFO = 6  # as in syslog: above it is debugging

# name: result, arguments. Pointers that are only handed back are void.
FUNCTIONS = {
    "version_str": (c_char_p,),
    "err2str": (c_char_p, c_int),
    "last_error": (c_int,),
    "conf_new": (c_void_p,),
    "conf_set": (c_int, c_void_p, c_char_p, c_char_p, c_char_p, c_size_t),
    "conf_set_dr_msg_cb": (None, c_void_p, DELIVERED),
    "conf_set_log_cb": (None, c_void_p, LOGGED),
    "new": (c_void_p, c_int, c_void_p, c_char_p, c_size_t),
    "destroy": (None, c_void_p),
    "poll": (c_int, c_void_p, c_int),
    "flush": (c_int, c_void_p, c_int),
    "topic_new": (c_void_p, c_void_p, c_char_p, c_void_p),
    "topic_destroy": (None, c_void_p),
    "produce": (c_int, c_void_p, c_int32, c_int, c_char_p, c_size_t, c_char_p, c_size_t, c_void_p),
    "poll_set_consumer": (c_int, c_void_p),
    "consumer_poll": (POINTER(Message), c_void_p, c_int),
    "consumer_close": (c_int, c_void_p),
    "message_destroy": (None, POINTER(Message)),
    "commit": (c_int, c_void_p, c_void_p, c_int),
    "subscribe": (c_int, c_void_p, c_void_p),
    "topic_partition_list_new": (c_void_p, c_int),
    "topic_partition_list_add": (c_void_p, c_void_p, c_char_p, c_int32),
    "topic_partition_list_destroy": (None, c_void_p),
    "metadata": (c_int, c_void_p, c_int, c_void_p, POINTER(POINTER(Metadata)), c_int),
    "metadata_destroy": (None, POINTER(Metadata)),
    "queue_new": (c_void_p, c_void_p),
    "queue_destroy": (None, c_void_p),
    "queue_poll": (c_void_p, c_void_p, c_int),
    "event_error": (c_int, c_void_p),
    "event_error_string": (c_char_p, c_void_p),
    "event_destroy": (None, c_void_p),
    "NewTopic_new": (c_void_p, c_char_p, c_int, c_int, c_char_p, c_size_t),
    "NewTopic_destroy": (None, c_void_p),
    "CreateTopics": (None, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p),
    "event_CreateTopics_result": (c_void_p, c_void_p),
    "CreateTopics_result_topics": (POINTER(c_void_p), c_void_p, POINTER(c_size_t)),
    "DeleteTopic_new": (c_void_p, c_char_p),
    "DeleteTopic_destroy": (None, c_void_p),
    "DeleteTopics": (None, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p),
    "event_DeleteTopics_result": (c_void_p, c_void_p),
    "DeleteTopics_result_topics": (POINTER(c_void_p), c_void_p, POINTER(c_size_t)),
    "topic_result_error": (c_int, c_void_p),
    "topic_result_error_string": (c_char_p, c_void_p),
}


class Api:
    """api.conf_new() is rd_kafka_conf_new() of the library at a path."""

    def __init__(self, path):
        library = ctypes.CDLL(path, mode=os.RTLD_LOCAL)
        for name, (result, *arguments) in FUNCTIONS.items():
            function = library[f"rd_kafka_{name}"]
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)

    def check(self, error):
        if error != SUCCESS:
            raise RuntimeError(f"librdkafka {self.version_str().decode()}: {self.err2str(error).decode()}")


class Rdkafka:
    _apis = {}

    def __init__(self, path, request, message, number_of, fresh):
        self.api = self._apis.get(path) or self._apis.setdefault(path, Api(path))
        self.config = {"bootstrap.servers": request["servers"], **request.get("config", {})}
        self.message, self.number_of, self.fresh = message, number_of, fresh

    # ---- handles

    def _handle(self, kind, delivered=None, logged=None, **more):
        api, text = self.api, ctypes.create_string_buffer(512)
        conf = api.conf_new()
        for key, value in {**self.config, **more}.items():
            word = str(value).lower() if isinstance(value, bool) else str(value)
            if api.conf_set(conf, key.encode(), word.encode(), text, len(text)):
                raise ValueError(text.value.decode())
        if delivered:
            api.conf_set_dr_msg_cb(conf, delivered)
        if logged:
            api.conf_set_log_cb(conf, logged)
        handle = api.new(kind, conf, text, len(text))
        if not handle:
            raise ValueError(text.value.decode())
        return handle

    def _consumer(self, topic, logged=None, **more):
        keys = {"group.id": self.fresh(), "auto.offset.reset": "earliest", "enable.auto.commit": False, "topic.metadata.refresh.interval.ms": 5000}
        consumer = self._handle(CONSUMER, logged=logged, **keys, **more)
        self.api.check(self.api.poll_set_consumer(consumer))
        topics = self.api.topic_partition_list_new(1)
        self.api.topic_partition_list_add(topics, topic.encode(), -1)
        self.api.check(self.api.subscribe(consumer, topics))
        self.api.topic_partition_list_destroy(topics)
        return consumer

    def _next(self, consumer, milliseconds):
        """The numbers of the next message and of its partition, or None."""
        one = self.api.consumer_poll(consumer, milliseconds)
        if not one:
            return None
        m = one.contents
        found = (self.number_of(ctypes.string_at(m.payload, m.len)), m.partition) if m.err == SUCCESS else None
        self.api.message_destroy(one)
        return found

    def _look(self, what, handle=None):
        """what(metadata) of all topics."""
        mine = handle or self._handle(PRODUCER)
        found = POINTER(Metadata)()
        try:
            self.api.check(self.api.metadata(mine, 1, None, byref(found), 15000))
            answer = what(found.contents)
            self.api.metadata_destroy(found)
            return answer
        finally:
            if not handle:
                self.api.destroy(mine)

    # ---- administration

    def _administer(self, new, drop, call, of_event, topics_of, *more):
        api, handle = self.api, self._handle(PRODUCER)
        queue, wanted = api.queue_new(handle), c_void_p(new(*more))
        try:
            call(handle, byref(wanted), 1, None, queue)
            event = api.queue_poll(queue, 30000)
            if not event:
                raise RuntimeError("no answer in 30 s")
            if api.event_error(event):
                raise RuntimeError(api.event_error_string(event).decode())
            count = c_size_t()
            results = topics_of(of_event(event), byref(count))
            bad = [api.topic_result_error_string(results[i]) or b"?" for i in range(count.value) if api.topic_result_error(results[i])]
            api.event_destroy(event)
            if bad:
                raise RuntimeError(b", ".join(bad).decode())
        finally:
            drop(wanted)
            api.queue_destroy(queue)
            api.destroy(handle)

    def create(self, topic, partitions):
        api, text = self.api, ctypes.create_string_buffer(512)
        self._administer(
            api.NewTopic_new, api.NewTopic_destroy, api.CreateTopics, api.event_CreateTopics_result, api.CreateTopics_result_topics,
            topic.encode(), partitions, 3, text, len(text),
        )  # fmt: skip

    def remove(self, topic):
        api = self.api
        self._administer(
            api.DeleteTopic_new, api.DeleteTopic_destroy, api.DeleteTopics, api.event_DeleteTopics_result, api.DeleteTopics_result_topics, topic.encode()
        )

    def describe(self, topic):
        """As kafka_python's; this library has only Metadata to describe a topic."""

        def look(m):
            found = {t.topic.decode(): [one.leader for one in t.partitions[: t.partition_cnt]] for t in m.topics[: m.topic_cnt] if not t.err}
            return (found[topic], self._told(m)) if topic in found else ([], [])

        return self._look(look)

    @staticmethod
    def _told(metadata):
        return sorted(f"{b.id} {b.host.decode()}:{b.port}" for b in metadata.brokers[: metadata.broker_cnt])

    def brokers(self):
        return self._look(self._told)

    # ---- records

    def _send(self, handle, topic, number, size):
        data, key = self.message(number, size), b"%d" % (number % 11)
        while self.api.produce(topic, -1, COPY, data, len(data), key, len(key), number + 1):
            self.api.poll(handle, 50)  # the queue is full

    def produce(self, topic, numbers, size, **more):
        acked, failed = [], []
        report = DELIVERED(lambda _, m, __: (failed if m.contents.err else acked).append((m.contents.opaque or 0) - 1))
        producer = self._handle(PRODUCER, report, **{"message.timeout.ms": 60000, **more})
        where = self.api.topic_new(producer, topic.encode(), None)
        for number in numbers:
            self._send(producer, where, number, size)
        self.api.flush(producer, 60000)
        self.api.topic_destroy(where)
        self.api.destroy(producer)
        assert sorted(acked) == sorted(numbers) and not failed, f"{len(acked)} acknowledged, {len(failed)} failed"

    def consume(self, topic, count, seconds=40):
        consumer, got = self._consumer(topic), []
        deadline = time.monotonic() + seconds
        while len(got) < count and time.monotonic() < deadline:
            found = self._next(consumer, 500)
            if found:
                got.append(found[0])
        if got:
            self.api.check(self.api.commit(consumer, None, 0))
        self._end(consumer)
        return got

    def _end(self, consumer):
        self.api.consumer_close(consumer)
        self.api.destroy(consumer)

    def load(self, topic, seconds, account):
        report = DELIVERED(lambda _, m, __: account.ack((m.contents.opaque or 0) - 1, m.contents.err and self.api.err2str(m.contents.err).decode()))
        producer, logged = self._handle(PRODUCER, report, **{"message.timeout.ms": 120000}), []

        def made(log):
            def line(_, level, __, text):
                log(text.decode())
                if level <= LOG_INFO:
                    print(text.decode(), file=sys.stderr, flush=True)

            logged.append(LOGGED(line))  # kept: the library does not
            return self._consumer(topic, logged[-1], debug=kafka_stand.DEBUG)

        reader = kafka_stand.Renewed(made, self._end)
        where = self.api.topic_new(producer, topic.encode(), None)

        def send(number):
            self._send(producer, where, number, 200)
            self.api.poll(producer, 0)

        def read():
            found = self._next(reader.consumer, 200)
            reader.came([found[1]] if found else [])
            return [found[0]] if found else []

        account.run(seconds, send, lambda: self.api.flush(producer, 120000), read)
        account.brokers = sorted({*self._look(self._told, producer), *self._look(self._told, reader.consumer)})
        self.api.topic_destroy(where)
        self.api.destroy(producer)
        self._end(reader.consumer)
