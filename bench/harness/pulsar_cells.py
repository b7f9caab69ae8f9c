# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pulsar cells, on a real broker: one, so that a relay which knows no lookups can take part.
Where an answer points elsewhere, the clients behind such a relay come to it all the same."""

from .brokers import PULSAR_JARS, PulsarCluster, lacks_jars
from .cell_kinds import Goal, Metric
from .cells import KIB, P50, P99, cost
from .protocol_cells import BrokerStage, ProtocolCell

RELAYS = ("direct", "bare-copy-epoll", "bare-splice-epoll", "haproxy-copy", "haproxy-splice")
EVERYBODY = (*RELAYS, "pulsar-java")
STREAM = (Goal("cost", "haproxy-splice", 1.0), Goal("cost", "pulsar-java", 0.5))
BATCH_BYTES = 128 * KIB     # where the clients' own batching stops
SIZES = (("1K", "batches of 1 KiB messages", ("-b", BATCH_BYTES, "--payload", KIB)),
         ("64K", "messages of 64 KiB", ("-b", 64 * KIB)))


class PulsarStage(BrokerStage):
    def lacks(self):
        return lacks_jars(PULSAR_JARS)

    def broker(self, processes, machine):
        return PulsarCluster(processes, machine)


PULSAR = PulsarStage("pulsar", role="pulsar", connections=5000)


def topic(name, domain="persistent"):
    return "--topic", f"{domain}://public/default/{name}"


def produce_cells():
    """Not persistent, because a disk would be measured otherwise."""
    for name, words, size in SIZES:
        yield ProtocolCell(
            name=f"pulsar-produce-{name}", group="pulsar",
            title=f"produce {words}, 4 connections, 4 unanswered on each",
            stage=PULSAR, contenders=EVERYBODY, metrics=(cost("s/GB", "CPU per GB"),),
            goals=STREAM, mode="pulsar-produce", stayers=RELAYS,
            options=(*size, "-c", 4, "--window", 4,
                     *topic(f"produce-{name}", "non-persistent")),
            work="bytes", scale=1.0)


def consume_cells():
    """The publishers go past the proxy; the broker reads from its cache."""
    for name, words, size in SIZES:
        yield ProtocolCell(
            name=f"pulsar-consume-{name}", group="pulsar",
            title=f"consume {words}, 4 connections, a backlog again and again",
            stage=PULSAR, contenders=EVERYBODY, metrics=(cost("s/GB", "CPU per GB"),),
            goals=STREAM, mode="pulsar-consume", stayers=RELAYS, publishes=True,
            options=(*size, "-c", 4, "--fill", 4, *topic(f"consume-{name}")),
            work="bytes", scale=1.0)


def latency_cells():
    """On a persistent topic the commits of the bookie would hide every proxy."""
    yield ProtocolCell(
        name="pulsar-500", group="pulsar",
        title="500 messages/s of 1 KiB, published and consumed, not persistent, end to end",
        stage=PULSAR, contenders=EVERYBODY,
        metrics=(Metric("cost", "CPU per 1,000 messages", "ms"), P50, P99),
        goals=(Goal("cost", "pulsar-java", 0.5), Goal("p99_us", "direct", 1.3)),
        mode="pulsar-consume", stayers=RELAYS, least_seconds=4.0, warm_up=("--rate", 5000),
        options=("-c", 4, "-b", KIB, "--rate", 500, *topic("steady", "non-persistent")),
        work="messages", scale=1e-3)


def lookup_cells():
    yield ProtocolCell(
        name="pulsar-lookup", group="pulsar",
        title="topic lookups, 8 connections, 4 unanswered on each",
        stage=PULSAR, contenders=EVERYBODY, metrics=(cost("us", "CPU per lookup"), P50, P99),
        goals=(Goal("cost", "pulsar-java", 0.2),), mode="pulsar-lookup",
        options=("-c", 8, "--window", 4, "--topics", 64, *topic("lookup", "non-persistent")),
        work="lookups")


def reconnect_cells():
    yield ProtocolCell(
        name="pulsar-reconnect-1k", group="pulsar",
        title="1,000 clients come back at once: lookup, broker, producer",
        stage=PULSAR, contenders=EVERYBODY, metrics=(cost("us", "CPU per client"), P50, P99),
        goals=(Goal("cost", "pulsar-java", 0.2),), mode="pulsar-reconnect", stayers=RELAYS,
        options=("-c", 1000, "--topics", 16, *topic("storm", "non-persistent")),
        work="connections")


CELLS = [*produce_cells(), *consume_cells(), *latency_cells(), *lookup_cells(),
         *reconnect_cells()]
