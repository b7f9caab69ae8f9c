# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kafka cells, on a real broker: one node, so that a relay which changes no addresses can take
part. The clients speak versions whose answers may name brokers, as today's do."""

from .brokers import KAFKA_JARS, KafkaBroker, lacks_jars
from .cell_kinds import Goal, IdleCell, Metric
from .cells import ABSOLUTE, KIB, P50, P99, cost
from .protocol_cells import BROKER, BrokerStage, ProtocolCell

OPAQUE = "penstock-opaque"
RELAYS = ("direct", OPAQUE, "haproxy-copy", "haproxy-splice")
GATEWAYS = ("kroxylicious-epoll", "kroxylicious-uring", "grepplabs")
EVERYBODY = (*RELAYS, *GATEWAYS)
SIZES = (("1K", "batches of 1 KiB records, 64 KiB each", ("-b", 64 * KIB, "--payload", KIB)),
         ("64K", "records of 64 KiB", ("-b", 64 * KIB)))
BULK = (Goal("cost", "haproxy-copy", 1.0), Goal("cost", OPAQUE, 1.15),
        Goal("cost", "grepplabs", 0.5), Goal("cost", "kroxylicious-epoll", 0.1))
STEADY = (Goal("p50_us", "haproxy-copy", 1.0), Goal("p50_us", "haproxy-splice", 1.0))
ASKED = (Goal("cost", "kroxylicious-epoll", 0.2),)
TOPICS = 1000


class KafkaStage(BrokerStage):
    def lacks(self):
        return lacks_jars(KAFKA_JARS)

    def broker(self, processes, machine):
        return KafkaBroker(processes, machine)


KAFKA = KafkaStage("kafka", role="kafka", connections=2200)
KAFKA_IDLE = KafkaStage("kafka-idle", role="kafka", connections=1200, alone=True)


def produce_cells():
    for name, words, size in SIZES:
        yield ProtocolCell(
            name=f"kafka-produce-{name}", group="kafka",
            title=f"produce {words}, 4 connections, 4 unanswered on each",
            stage=KAFKA, contenders=EVERYBODY, metrics=(cost("s/GB", "CPU per GB"), P50, P99),
            goals=BULK, mode="kafka-produce", stayers=RELAYS,
            options=(*size, "-c", 4, "--window", 4, "--topic", f"produce-{name}"),
            work="bytes", scale=1.0)


def fetch_cells():
    for name, words, size in SIZES:
        yield ProtocolCell(
            name=f"kafka-fetch-{name}", group="kafka",
            title=f"fetch {words}, 4 connections, up to 1 MiB at a time",
            stage=KAFKA, contenders=EVERYBODY, metrics=(cost("s/GB", "CPU per GB"), P50, P99),
            goals=BULK, mode="kafka-fetch", stayers=RELAYS,
            options=(*size, "-c", 4, "--fill", 4, "--topic", f"fetch-{name}"),
            work="bytes", scale=1.0)


def steady_cells():
    """At a rate that nobody has trouble with: what a gateway adds."""
    yield ProtocolCell(
        name="kafka-produce-1000", group="kafka",
        title="1,000 produce requests/s of four 1 KiB records, 8 connections",
        stage=KAFKA, contenders=EVERYBODY, metrics=(P50, P99, cost("us", "CPU per request")),
        goals=STEADY, mode="kafka-produce", stayers=RELAYS, least_seconds=2.0,
        options=("-c", 8, "-b", 4 * KIB, "--payload", KIB, "--rate", 1000,
                 "--topic", "produce-steady"),
        work="requests")
    yield ProtocolCell(
        name="kafka-fetch-1000", group="kafka",
        title="1,000 fetches/s of up to 64 KiB, 8 connections",
        stage=KAFKA, contenders=EVERYBODY, metrics=(P50, P99, cost("us", "CPU per request")),
        goals=STEADY, mode="kafka-fetch", stayers=RELAYS, least_seconds=2.0,
        options=("-c", 8, "-b", 16 * KIB, "--payload", KIB, "--fill", 4, "--max-bytes", 64 * KIB,
                 "--rate", 1000, "--topic", "fetch-steady"),
        work="requests")


def metadata_cells():
    """One at a time, as clients ask. With several on a connection the io_uring transport of
    Kroxylicious stops for good after some seconds."""
    yield ProtocolCell(
        name="kafka-metadata", group="kafka",
        title="metadata requests, 32 connections, one unanswered on each",
        stage=KAFKA, contenders=EVERYBODY, metrics=(cost("us", "CPU per request"), P50, P99),
        goals=(Goal("cost", "haproxy-copy", 1.0),), mode="kafka-metadata",
        options=("-c", 32, "--topics", 8, "--topic", "metadata"), work="requests")
    yield ProtocolCell(
        name="kafka-metadata-1k", group="kafka",
        title=f"metadata requests, 1,000 connections, {TOPICS:,} topics, one asked for at a time",
        stage=KAFKA, contenders=EVERYBODY, metrics=(cost("us", "CPU per request"), P50, P99),
        goals=ASKED, mode="kafka-metadata", least_seconds=2.0,
        options=("-c", 1000, "--topics", TOPICS, "--topic", "many"), work="requests")
    yield ProtocolCell(
        name="kafka-topics-1k", group="kafka",
        title=f"100 metadata requests/s for all of {TOPICS:,} topics, 1,000 connections",
        stage=KAFKA, contenders=EVERYBODY, metrics=(cost("us", "CPU per request"), P50, P99),
        goals=ASKED, mode="kafka-topics", least_seconds=4.0,
        options=("-c", 1000, "--topics", TOPICS, "--rate", 100, "--topic", "many"),
        work="requests")


def idle_cells():
    """Of connections that have asked for ApiVersions and been answered."""
    low, high = 16, 1000
    yield IdleCell(
        name="kafka-idle-1k", group="kafka",
        title=f"idle connections to a broker, memory of each from {low} to {high:,}",
        stage=KAFKA_IDLE, pairs=3,
        contenders=("haproxy-copy", "grepplabs", "kroxylicious-epoll"),
        metrics=(Metric("user_kib", "user memory each", "KiB"),),
        goals=(Goal("user_kib", ABSOLUTE, 2.0), Goal("user_kib", "haproxy-copy", 1.0)),
        mode="kafka-idle", sink=BROKER, counts=(low, high))


CELLS = [*produce_cells(), *fetch_cells(), *steady_cells(), *metadata_cells(), *idle_cells()]
