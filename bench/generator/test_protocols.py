#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""penstock-bench's Pulsar and Kafka modes: against its own fake brokers, and against scripted ones.

    bench/generator/test_protocols.py [NAME...]     # after `make bench-tools`; NAME: unittest's

Between generator and sink stands a tap. What went by is taken apart here by other code than wrote
it: frames, checksums, numbers. Real brokers are the harness's business.
"""

import contextlib
import json
import os
import select
import socket
import struct
import sys
import threading
import unittest

from test import BENCH, SECONDS, Case, Sink, free_port, outcome, start

PULSAR_CONNECT, PULSAR_CONNECTED, PULSAR_PRODUCER, PULSAR_PRODUCER_SUCCESS = 2, 3, 5, 17
PULSAR_SEND, PULSAR_SEND_RECEIPT, PULSAR_MESSAGE = 6, 7, 9
PULSAR_LOOKUP, PULSAR_LOOKUP_RESPONSE = 23, 24
PULSAR_PARTITIONS, PULSAR_PARTITIONS_RESPONSE = 21, 22
REDIRECT, GO = 0, 1
KAFKA_PRODUCE, KAFKA_FETCH, KAFKA_METADATA, KAFKA_API_VERSIONS = 0, 1, 3, 18
PULSAR_MODES = ("pulsar-lookup", "pulsar-produce", "pulsar-consume", "pulsar-reconnect")
KAFKA_MODES = ("kafka-metadata", "kafka-topics", "kafka-produce", "kafka-fetch")


# ---- decoding ------------------------------------------------------------------------------------

def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ crc >> 8
    return crc ^ 0xffffffff


def crc_row(value):
    for _ in range(8):
        value = value >> 1 ^ (0x82f63b78 if value & 1 else 0)
    return value


CRC_TABLE = [crc_row(value) for value in range(256)]


def frames(data):
    """The whole frames at the beginning, each without its size."""
    at = 0
    while len(data) - at >= 4:
        (size,) = struct.unpack_from(">I", data, at)
        if len(data) - at - 4 < size:
            return
        yield data[at + 4:at + 4 + size]
        at += 4 + size


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        part = self.data[self.at:self.at + size]
        if len(part) != size:
            raise AssertionError("the frame ends too soon")
        self.at += size
        return part

    def unpack(self, form):
        values = struct.unpack(">" + form, self.take(struct.calcsize(">" + form)))
        return values[0] if len(values) == 1 else values

    def varint(self):
        value = shift = 0
        while True:
            byte = self.unpack("B")
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    def zigzag(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def compact(self):
        return self.take(self.varint() - 1)

    def left(self):
        return self.data[self.at:]


def protobuf(data):
    """Field number -> number or bytes; the last of each."""
    reader, fields = Reader(data), {}
    while reader.left():
        tag = reader.varint()
        fields[tag >> 3] = reader.varint() if tag & 7 == 0 else reader.take(reader.varint())
    return fields


def pulsar_command(frame):
    """Its type, its fields, and what follows the command."""
    reader = Reader(frame)
    command = protobuf(reader.take(reader.unpack("I")))
    return command[1], protobuf(command[command[1]]), reader.left()


def pulsar_payload(rest):
    """Metadata and payload of a SEND or MESSAGE whose checksum is right."""
    reader = Reader(rest)
    magic, checksum = reader.unpack("HI")
    if magic != 0x0e01 or checksum != crc32c(reader.left()):
        raise AssertionError("checksum")
    metadata = protobuf(reader.take(reader.unpack("I")))
    return metadata, reader.left()


def pulsar_batch(payload):
    reader = Reader(payload)
    while reader.left():
        single = protobuf(reader.take(reader.unpack("I")))
        yield reader.take(single[3])


def kafka_records(data):
    """(offset, value) of each record of whole batches with a right checksum."""
    reader = Reader(data)
    while reader.left():
        base, size = reader.unpack("qI")
        batch = Reader(reader.take(size))
        _, magic, checksum = batch.unpack("IBI")
        if magic != 2 or checksum != crc32c(batch.left()):
            raise AssertionError("checksum")
        _, last, *_, count = batch.unpack("HIqqqhiI")
        if count != last + 1:
            raise AssertionError("number of records")
        for _ in range(count):
            record = Reader(batch.take(batch.zigzag()))
            record.take(1)
            record.zigzag()
            offset, key_size = record.zigzag(), record.zigzag()
            value = record.take(record.zigzag())
            if key_size != -1 or record.left() != b"\0":
                raise AssertionError("record")
            yield base + offset, value
        if batch.left():
            raise AssertionError("the batch is longer than its records")


def kafka_request(frame):
    """Key, version, correlation id and the body."""
    reader = Reader(frame)
    key, version, number = reader.unpack("HHI")
    reader.take(reader.unpack("H"))
    reader.take(1)      # no tagged fields
    return key, version, number, reader.left()


# ---- what stands at the other end ----------------------------------------------------------------

class Tap:
    """A relay in its own thread that remembers what went by: for each connection a pair of
    bytearrays, to the broker and to the client."""

    def __init__(self, to):
        host, port = to.rsplit(":", 1)
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.to = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.connections = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()

    def run(self):
        other, log = {}, {}
        with contextlib.suppress(OSError):      # from accept, once __exit__ was there
            while True:
                for source in select.select([self.listener, *other], [], [])[0]:
                    if source is self.listener:
                        self.welcome(other, log)
                    elif source in other:
                        self.move(source, other, log)
        for end in (self.listener, *other):
            end.close()

    def welcome(self, other, log):
        client = self.listener.accept()[0]
        broker = socket.create_connection(self.target)
        self.connections.append((bytearray(), bytearray()))
        other[client], other[broker] = broker, client
        log[client], log[broker] = self.connections[-1]

    @staticmethod
    def move(source, other, log):
        data = b""
        with contextlib.suppress(OSError):
            data = source.recv(1 << 20)
            other[source].sendall(data)
        log[source] += data
        if not data:
            for end in (source, other.pop(source)):
                end.close()
                other.pop(end, None)


class Scripted:
    """A server that answers each frame with what `answer` makes of it; None hangs up."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.to = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def run(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        data = b""
        with client:
            while got := client.recv(1 << 16):
                data += got
                for frame in frames(data):
                    data = data[4 + len(frame):]
                    reply = self.answer(frame)
                    if reply is None:
                        return
                    client.sendall(reply)


def varint(value):
    out = b""
    while value > 0x7f:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def pulsar_frame(kind, **fields):
    """pulsar_frame(3, f1=b"x", f2=21)"""
    body = b"".join(field(int(name[1:]), value) for name, value in fields.items())
    command = field(1, kind) + field(kind, body)
    return struct.pack(">II", 4 + len(command), len(command)) + command


def pulsar_script(lookup):
    """A broker that takes everything, and gives `lookup(request id)` for a LOOKUP."""
    def answer(frame):
        kind, fields, _ = pulsar_command(frame)
        if kind == PULSAR_CONNECT:
            return pulsar_frame(PULSAR_CONNECTED, f1=b"scripted", f2=21)
        if kind == PULSAR_PARTITIONS:
            return pulsar_frame(PULSAR_PARTITIONS_RESPONSE, f1=0, f2=fields[2], f3=0)
        if kind == PULSAR_PRODUCER:
            return pulsar_frame(PULSAR_PRODUCER_SUCCESS, f1=fields[3], f2=fields[4])
        if kind == PULSAR_SEND:
            return pulsar_frame(PULSAR_SEND_RECEIPT, f1=fields[1], f2=fields[2])
        return lookup(fields[2]) if kind == PULSAR_LOOKUP else None
    return answer


def setUpModule():
    """A server that never answers is waited for quite long: that goes on beside all else."""
    Trouble.silent = socket.create_server(("127.0.0.1", 0), backlog=64)
    to = "127.0.0.1:%d" % Trouble.silent.getsockname()[1]
    Trouble.unanswered = {mode: start("load", mode, "--to", to, "-c", 2, "-t", SECONDS)
                          for mode in (*PULSAR_MODES[:3], *KAFKA_MODES)}


def tearDownModule():
    for process in Trouble.unanswered.values():
        process.kill()
        process.communicate()
    Trouble.silent.close()


# ---- the tests -----------------------------------------------------------------------------------

class Pulsar(Case):
    def test_lookup(self):
        with Sink("pulsar") as sink, Tap(sink.to) as tap:
            line = self.assert_good(outcome(start(
                "load", "pulsar-lookup", "--to", tap.to, "-c", 2, "--window", 3, "-t", SECONDS,
                "--topic", "t", "--topics", 4, "--namespace", "a/b")))
        self.assertGreater(line["work"]["lookups"], 50)
        self.assertAlmostEqual(line["latency_us"]["count"], line["work"]["lookups"], delta=6)
        topics = set()
        for up, _ in tap.connections:
            asked = [pulsar_command(frame) for frame in frames(up)]
            self.assertEqual(asked[0][0], PULSAR_CONNECT)
            self.assertEqual({kind for kind, *_ in asked[1:]}, {PULSAR_LOOKUP})
            self.assertEqual([fields[2] for _, fields, _ in asked[1:]],
                             list(range(len(asked) - 1)))
            topics |= {fields[1].decode() for _, fields, _ in asked[1:]}
        self.assertEqual(topics, {f"persistent://a/b/t-{i}" for i in range(4)})

    def test_open_loop(self):
        with Sink("pulsar", "--delay-us", 20000) as sink:
            for mode in ("pulsar-lookup", "pulsar-produce", "pulsar-consume"):
                with self.subTest(mode):
                    line = self.assert_good(sink.load(mode, "-c", 2, "--rate", 500, "-w", 0.1))
                    self.assertAlmostEqual(line["offered_per_second"], 500, delta=20)
                    self.assertGreater(line["latency_us"]["p50"], 20000)

    def produce(self, *options):
        """(the line, the SENDs of the first connection to the sink that has some)"""
        with Sink("pulsar") as sink, Tap(sink.to) as tap:
            line = self.assert_good(outcome(start(
                "load", "pulsar-produce", "--to", tap.to, "--stay", "-t", 0.05, *options)))
        for up, _ in tap.connections:
            commands = [pulsar_command(frame) for frame in frames(up)]
            sends = [command for command in commands if command[0] == PULSAR_SEND]
            if sends:
                return line, sends
        raise AssertionError("nothing was sent")

    def test_batches(self):
        line, sends = self.produce("-b", 10000, "--payload", 1000, "--window", 2)
        self.assertEqual(line["work"]["messages"], 10 * line["work"]["requests"])
        self.assertEqual(line["work"]["bytes"], 10 * (1000 + 7) * line["work"]["requests"])
        for number, (_, fields, rest) in enumerate(sends[:50]):
            metadata, payload = pulsar_payload(rest)
            self.assertEqual((fields[2], fields[3], fields[6]), (10 * number, 10, 10 * number + 9))
            self.assertEqual((metadata[2], metadata[11], metadata[24]),
                             (10 * number, 10, 10 * number + 9))
            self.assertEqual(metadata[9], len(payload))
            self.assertEqual([len(message) for message in pulsar_batch(payload)], 10 * [1000])

    def test_plain_messages(self):
        for size in (1, 100, 5000, 100000):
            with self.subTest(size):
                line, sends = self.produce("-b", size)
                self.assertEqual(line["work"]["bytes"], size * line["work"]["messages"])
                for number, (_, fields, rest) in enumerate(sends[:10]):
                    metadata, payload = pulsar_payload(rest)
                    self.assertEqual((fields[2], metadata[2]), (number, number))
                    self.assertNotIn(11, metadata)
                    self.assertEqual(len(payload), size)

    def test_way_to_the_broker(self):
        """Through the service address when the lookup says so, else straight, else by force."""
        broker = "127.0.0.1:%d" % free_port()
        for options, stay, connections in (
                (("--through-service", "--advertise", broker), (), [None, broker.encode()]),
                ((), (), [None]),   # the sink's own address: past the tap
                (("--advertise", broker), ("--stay",), [None])):
            with self.subTest(options), Sink("pulsar", *options) as sink, Tap(sink.to) as tap:
                self.assert_good(outcome(start("load", "pulsar-produce", "--to", tap.to, "-t",
                                               0.05, *stay)))
                seen = [[pulsar_command(frame) for frame in frames(up)]
                        for up, _ in tap.connections]
                self.assertEqual([commands[0][1].get(6) for commands in seen], connections)
                self.assertEqual(PULSAR_PRODUCER in [kind for kind, *_ in seen[-1]],
                                 len(options) > 0)

    def test_consume_live(self):
        with Sink("pulsar") as sink, Tap(sink.to) as tap:
            line = self.assert_good(outcome(start(
                "load", "pulsar-consume", "--to", tap.to, "--publish-to", sink.to, "--stay", "-c",
                2, "-b", 3000, "--payload", 1000, "--rate", 400, "-t", SECONDS)))
        self.assertAlmostEqual(line["work"]["messages"], 3 * 400 * line["seconds"], delta=30)
        for up, down in tap.connections:
            self.assertNotIn(PULSAR_SEND, [pulsar_command(frame)[0] for frame in frames(up)])
            messages = [command for command in map(pulsar_command, frames(down))
                        if command[0] == PULSAR_MESSAGE]
            self.assertGreater(len(messages), 10)
            first = [pulsar_payload(rest)[0][2] for _, _, rest in messages]
            self.assertEqual(first, list(range(0, 3 * len(first), 3)))

    def test_consume_backlog(self):
        """A rewind after each MiB; a consumer never gets more than it has asked for."""
        with Sink("pulsar") as sink:
            line = self.assert_good(sink.load("pulsar-consume", "-c", 2, "-b", 20000, "--fill", 1))
            self.assertGreater(line["work"]["bytes"], 4 << 20)
            self.assertEqual(line["work"]["bytes"], 20000 * line["work"]["messages"])

    def test_reconnect(self):
        with Sink("pulsar", "--through-service") as sink:
            line = self.assert_good(sink.load("pulsar-reconnect", "-c", 50, "--topics", 5))
        self.assertGreater(line["work"]["connections"], 50)
        self.assertEqual(line["work"]["connections"] % 50, 0)
        self.assertEqual(line["latency_us"]["count"], line["work"]["connections"])

    def test_refusals_are_counted_by_code(self):
        def refuse(request):
            return pulsar_frame(PULSAR_LOOKUP_RESPONSE, f3=2, f4=request, f6=6, f7=b"no")

        with Scripted(pulsar_script(refuse)) as broker:
            for mode in PULSAR_MODES:
                with self.subTest(mode):
                    result = outcome(start("load", mode, "--to", broker.to, "-t", 0.05))
                    self.assert_bad(result, "pulsar_6")

    @staticmethod
    def point(request, to, kind):
        return pulsar_frame(PULSAR_LOOKUP_RESPONSE, f1=b"pulsar://" + to.encode(), f3=kind,
                            f4=request, f5=1)

    def produce_at(self, broker):
        return outcome(start("load", "pulsar-produce", "--to", broker.to, "-t", 0.05))

    def test_redirects(self):
        """Lookups follow none. A producer does, also there and back again, but not for ever."""
        with Sink("pulsar") as sink:
            with Scripted(pulsar_script(lambda n: self.point(n, sink.to, REDIRECT))) as broker:
                line = self.assert_good(outcome(start("load", "pulsar-lookup", "--to", broker.to,
                                                      "-t", 0.05)))
                self.assertEqual(line["work"]["redirects"], line["work"]["lookups"])
                self.assertGreater(line["work"]["redirects"], 0)
                self.assert_good(self.produce_at(broker))
            with Scripted(pulsar_script(lambda n: self.point(n, first.to, REDIRECT))) as second:
                answers = iter(((second.to, REDIRECT), (sink.to, GO)))
                with Scripted(pulsar_script(lambda n: self.point(n, *next(answers)))) as first:
                    self.assert_good(self.produce_at(first))
        with Scripted(pulsar_script(lambda n: self.point(n, broker.to, REDIRECT))) as broker:
            self.assert_bad(self.produce_at(broker), "protocol")

    def test_back_to_the_service(self):
        """A broker says: where you began. The producer goes on there."""
        with Scripted(pulsar_script(lambda n: self.point(n, second.to, REDIRECT))) as first, \
                Sink("pulsar", "--advertise", first.to) as second:
            line = self.assert_good(self.produce_at(first))
        self.assertGreater(line["work"]["messages"], 0)


class Kafka(Case):
    def test_metadata(self):
        with Sink("kafka", "--partitions", 5) as sink:
            line = self.assert_good(sink.load("kafka-metadata", "-c", 2, "--window", 3, "--topics",
                                              4))
            self.assertGreater(line["work"]["requests"], 50)
            line = self.assert_good(sink.load("kafka-metadata", "-c", 2, "--rate", 500))
            self.assertAlmostEqual(line["offered_per_second"], 500, delta=20)

    def test_all_topics(self):
        with Sink("kafka", "--partitions", 2) as sink, Tap(sink.to) as tap:
            self.assert_good(outcome(start("load", "kafka-topics", "--to", tap.to, "-c", 3,
                                           "--topics", 7, "-t", 0.05)))
        for up, down in tap.connections:
            asked = [key == KAFKA_METADATA and body[:1] == b"\0"
                     for key, _, _, body in map(kafka_request, frames(up))]
            sizes = {len(frame) for all_topics, frame in zip(asked, frames(down)) if all_topics}
            self.assertEqual(len(sizes), 1)
            self.assertGreater(min(sizes), 7 * 2 * 25)

    def test_produce(self):
        for options, sizes in ((("-b", 10000, "--payload", 1000), 10 * [1000]),
                               (("-b", 100000), [100000]), (("-b", 1), [1])):
            with self.subTest(options), Sink("kafka") as sink, Tap(sink.to) as tap:
                line = self.assert_good(outcome(start(
                    "load", "kafka-produce", "--to", tap.to, "--stay", "--window", 2, "-t", 0.05,
                    *options)))
                self.assertEqual(line["work"]["messages"], len(sizes) * line["work"]["requests"])
                requests = list(map(kafka_request, frames(tap.connections[0][0])))
                self.assertEqual([key for key, *_ in requests[:3]],
                                 [KAFKA_API_VERSIONS, KAFKA_METADATA, KAFKA_PRODUCE])
                for key, _, _, body in requests[2:12]:
                    self.assertEqual(key, KAFKA_PRODUCE)
                    records = list(kafka_records(self.produced(body)))
                    self.assertEqual([len(value) for _, value in records], sizes)
                    self.assertEqual([offset for offset, _ in records], list(range(len(sizes))))

    def produced(self, body):
        reader = Reader(body)
        self.assertEqual(reader.unpack("BHIB"), (0, 1, 30000, 2))   # acks 1, one topic
        self.assertEqual(reader.compact(), b"bench")
        self.assertEqual(reader.unpack("BI"), (2, 0))   # one partition, the first
        records = reader.compact()
        self.assertEqual(reader.left(), b"\0\0\0")
        return records

    def test_every_client_has_its_partition(self):
        with Sink("kafka", "--partitions", 3) as sink, Tap(sink.to) as tap:
            self.assert_good(outcome(start("load", "kafka-produce", "--to", tap.to, "--stay", "-c",
                                           4, "-b", 100, "-t", 0.05)))
        partitions = []
        for up, _ in tap.connections:
            body = next(body for key, _, _, body in map(kafka_request, frames(up))
                        if key == KAFKA_PRODUCE)
            partitions.append(struct.unpack_from(">I", body, body.index(b"bench") + 6)[0])
        self.assertEqual(sorted(partitions), [0, 0, 1, 2])

    def test_leader_is_followed(self):
        with Sink("kafka") as sink, Tap(sink.to) as tap:
            self.assert_good(outcome(start("load", "kafka-produce", "--to", tap.to, "-t", 0.05)))
        self.assertEqual([key for key, *_ in map(kafka_request, frames(tap.connections[0][0]))],
                         [KAFKA_API_VERSIONS, KAFKA_METADATA])

    def test_fetch(self):
        with Sink("kafka") as sink, Tap(sink.to) as tap:
            line = self.assert_good(outcome(start(
                "load", "kafka-fetch", "--to", tap.to, "--stay", "-b", 20000, "--payload", 1000,
                "--fill", 1, "--max-bytes", 90000, "-t", 0.05)))
            self.assertEqual(line["work"]["messages"], 4 * 20 * line["work"]["requests"])
        up, down = tap.connections[0]
        keys = [key for key, *_ in map(kafka_request, frames(up))]
        fetched = [frame for key, frame in zip(keys, frames(down)) if key == KAFKA_FETCH]
        offsets = []
        for frame in fetched[:3]:
            offsets += [offset for offset, _ in kafka_records(self.records(frame))]
        self.assertEqual(offsets, list(range(len(offsets))))

    @staticmethod
    def records(frame):
        reader = Reader(frame)
        reader.unpack("IBIHIB")     # correlation, tags, throttled, error, session, one topic
        reader.take(16)             # its uuid
        reader.unpack("BIHqqqBi")   # one partition: its numbers, no aborted transactions
        return reader.compact()

    def test_fetch_at_a_rate(self):
        with Sink("kafka", "--delay-us", 20000) as sink:
            line = self.assert_good(sink.load("kafka-fetch", "-c", 2, "--rate", 200, "--fill", 1,
                                              "-w", 0.1))
        self.assertGreater(line["latency_us"]["p50"], 20000)

    def test_idle(self):
        with Sink("kafka") as sink:
            load = start("load", "kafka-idle", "--to", sink.to, "-c", "2,5", "-t", 5)
            for count in 2, 5:
                line = json.loads(load.stdout.readline())
                self.assertEqual((line["open"], line["touched"]), (count, count))
                if count == 2:
                    load.stdin.write("\n")
                    load.stdin.flush()
            self.assert_good(outcome(load))

    def test_unknown_version_is_answered_as_kip_511_says(self):
        with Sink("kafka") as sink:
            host, port = sink.to.split(":")
            with socket.create_connection((host, int(port)), 5) as client:
                client.sendall(struct.pack(">IHHIHB", 11, KAFKA_API_VERSIONS, 9, 7, 0, 0))
                (frame,) = frames(client.recv(4096))
        self.assertEqual(struct.unpack_from(">IHI", frame), (7, 35, 4))
        self.assertEqual(len(frame), 10 + 4 * 6)

    def test_refusals_are_counted_by_code(self):
        def too_old(frame):
            _, _, number, _ = kafka_request(frame)
            answer = struct.pack(">IHI", number, 35, 0)
            return struct.pack(">I", len(answer)) + answer

        with Scripted(too_old) as broker:
            for mode in KAFKA_MODES:
                with self.subTest(mode):
                    self.assert_bad(outcome(start("load", mode, "--to", broker.to)), "kafka_35")


class Large(Case):
    def test_more_than_a_socket_takes(self):
        """Nothing but room in the socket lets such a request go on."""
        for kind, produce, read in (("pulsar", "pulsar-produce", "pulsar-consume"),
                                    ("kafka", "kafka-produce", "kafka-fetch")):
            with self.subTest(kind), Sink(kind) as sink:
                line = self.assert_good(sink.load(produce, "-b", 7 << 20))
                self.assertEqual(line["work"]["messages"], line["work"]["requests"])
                line = self.assert_good(sink.load(read, "-b", 7 << 20, "--topic", "other"))
                self.assertGreater(line["work"]["bytes"], 7 << 20)

    def test_more_than_a_consumer_takes(self):
        with Sink("pulsar") as sink:
            line = self.assert_good(sink.load("pulsar-consume", "-b", 7 << 20, "--rate", 20))
        self.assertGreater(line["work"]["messages"], 1)


class Trouble(Case):
    def test_no_broker(self):
        to = f"127.0.0.1:{free_port()}"
        runs = {mode: start("load", mode, "--to", to, "-c", 2, "-t", SECONDS)
                for mode in (*PULSAR_MODES, *KAFKA_MODES)}
        for mode, process in runs.items():
            with self.subTest(mode):
                self.assert_bad(outcome(process), "refused")

    def test_broker_dies(self):
        for kind, modes in (("pulsar", PULSAR_MODES[:3]), ("kafka", KAFKA_MODES)):
            with Sink(kind) as sink:
                runs = [sink.start_load(mode, "-c", 2, "-t", 5) for mode in modes]
                select.select([], [], [], 0.3)
                sink.process.kill()
                for mode, process in zip(modes, runs):
                    with self.subTest(mode):
                        self.assert_bad(outcome(process), "reset", "eof", "refused")

    def test_wrong_protocol(self):
        """Each mode at a server that echoes."""
        with Sink("echo") as sink:
            for mode in (*PULSAR_MODES, *KAFKA_MODES):
                with self.subTest(mode):
                    self.assert_bad(sink.load(mode), "protocol", "kafka_35")

    def test_silent_broker(self):
        for mode, process in self.unanswered.items():
            with self.subTest(mode):
                self.assert_bad(outcome(process), "stuck")

    def test_help(self):
        for what in [f"load {mode}" for mode in (*PULSAR_MODES, *KAFKA_MODES)] + \
                ["sink pulsar", "sink kafka"]:
            with self.subTest(what):
                status, out, err = self.told(what)
                self.assertEqual((status, err), (0, ""))
                self.assertLessEqual(max(map(len, out.splitlines())), 100)

    @staticmethod
    def told(what):
        process = start(*what.split(), "--help")
        out, err = process.communicate(timeout=5)
        return process.returncode, out, err


if __name__ == "__main__":
    if not os.access(BENCH, os.X_OK):
        sys.exit("penstock-bench is not built: run `make bench-tools`")
    unittest.main()
