# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kafka cells, on a real broker: one node, so that a relay which changes no addresses can take
part. penstock joins them with its role kafka; no goals are set before."""

from .brokers import KAFKA_JARS, KafkaBroker, lacks_jars
from .cells import KIB, P50, P99, cost
from .protocol_cells import BrokerStage, ProtocolCell

RELAYS = ("direct", "haproxy-copy", "haproxy-splice")
EVERYBODY = (*RELAYS, "kroxylicious-epoll", "kroxylicious-uring", "grepplabs")
SIZES = (("1K", "batches of 1 KiB records, 64 KiB each", ("-b", 64 * KIB, "--payload", KIB)),
         ("64K", "records of 64 KiB", ("-b", 64 * KIB)))


class KafkaStage(BrokerStage):
    def lacks(self):
        return lacks_jars(KAFKA_JARS)

    def broker(self, processes, machine):
        return KafkaBroker(processes, machine)


KAFKA = KafkaStage("kafka", role="kafka")


def produce_cells():
    for name, words, size in SIZES:
        yield ProtocolCell(
            name=f"kafka-produce-{name}", group="kafka",
            title=f"produce {words}, 4 connections, 4 unanswered on each",
            stage=KAFKA, contenders=EVERYBODY, metrics=(cost("s/GB", "CPU per GB"), P50, P99),
            goals=(), mode="kafka-produce", stayers=RELAYS,
            options=(*size, "-c", 4, "--window", 4, "--topic", f"produce-{name}"),
            work="bytes", scale=1.0)


def fetch_cells():
    for name, words, size in SIZES:
        yield ProtocolCell(
            name=f"kafka-fetch-{name}", group="kafka",
            title=f"fetch {words}, 4 connections, up to 1 MiB at a time",
            stage=KAFKA, contenders=EVERYBODY, metrics=(cost("s/GB", "CPU per GB"), P50, P99),
            goals=(), mode="kafka-fetch", stayers=RELAYS,
            options=(*size, "-c", 4, "--fill", 4, "--topic", f"fetch-{name}"),
            work="bytes", scale=1.0)


def metadata_cells():
    """One at a time, as clients ask. With several on a connection the io_uring transport of
    Kroxylicious stops for good after some seconds."""
    yield ProtocolCell(
        name="kafka-metadata", group="kafka",
        title="metadata requests, 32 connections, one unanswered on each",
        stage=KAFKA, contenders=EVERYBODY, metrics=(cost("us", "CPU per request"), P50, P99),
        goals=(), mode="kafka-metadata",
        options=("-c", 32, "--topics", 8, "--topic", "metadata"), work="requests")


CELLS = [*produce_cells(), *fetch_cells(), *metadata_cells()]
