"""Names, addresses and folders of the lab.

Everything a second lab beside this one must not share hangs on PENSTOCK_LAB: namespaces, run folder. Addresses may be the same,
because each lab has network namespaces of its own.
"""
import os
import pathlib
import tempfile
import typing

NAME = os.environ.get("PENSTOCK_LAB", "pstk")
RUN = pathlib.Path(os.environ.get("PENSTOCK_LAB_DIR", f"{tempfile.gettempdir()}/penstock-lab-{NAME}"))
CACHE = pathlib.Path(
    os.environ.get("PENSTOCK_CACHE")
    or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "penstock"
)
JARS = CACHE / "jars-pulsar-4.0.8"
ADMIN_JARS = CACHE / "jars-pulsar-admin-4.0.8"
TLS_VENV = CACHE / "venv-tls"
KAFKA_JARS = CACHE / "jars-kafka-4.4.0"
OLD_KAFKA_JARS = CACHE / "jars-kafka-3.9.2"
KAFKA_STREAMS_JARS = CACHE / "jars-kafka-streams-4.3.1"
KAFKA_VENV = CACHE / "venv-kafka"
KAFKA_GO = CACHE / "kafka-go"
KAFKA_JS = CACHE / "kafkajs-2.2.4"
OLD_RDKAFKA = CACHE / "librdkafka-1.9.2"


def kafka_client(version):
    """The jars of one generation of Kafka's Java client: those that deps.sh names in KAFKA_CLIENTS."""
    return CACHE / f"jars-kafka-clients-{version}"


TREE = pathlib.Path(__file__).resolve().parents[2]
PENSTOCK = TREE / os.environ.get("PENSTOCK", "build/release/penstock")

# With PENSTOCK_LAB_NETNS=off there is one side, the network of the caller: no root needed, nobody hidden. For the benchmarks.
NETNS = os.environ.get("PENSTOCK_LAB_NETNS", "on") != "off"

# The two sides of the one cable: clients here, penstock and the brokers there.
CLIENT_SIDE, BROKER_SIDE = f"{NAME}-out", f"{NAME}-in"
CLIENT_ADDRESS, GATE_ADDRESS = "10.77.0.1", "10.77.0.2"
OPEN_ADDRESS = "10.77.0.3"  # a second address of the broker side that is no loopback
NOBODY_ADDRESS = "10.77.0.99"  # on the cable, but nobody answers: a connect there hangs

# Loopback addresses of the broker side. For a client the same numbers are its own loopback, where the trap listens.
DNS_ADDRESS = "127.77.0.53"
ZOOKEEPER_ADDRESSES = ["127.77.0.2", "127.77.0.4", "127.77.0.5"]
BOOKIE_ADDRESS = "127.77.0.3"
BROKER_ADDRESSES = {1: "127.77.0.11", 2: "127.77.0.12"}
BROKER_NAMES = {1: "broker-1.pulsar.test", 2: "broker-2.pulsar.test"}  # of their TLS ports
BROKER_PORT, BROKER_TLS_PORT, BROKER_GATEWAY_PORT, BROKER_WEB = 6650, 6651, 6652, 8080
ZOOKEEPER_PORT = 2181


class Site(typing.NamedTuple):
    """Where one cluster lives: its Pulsar name, its network namespace and its addresses there."""

    cluster: str
    side: str
    prefix: str  # of its processes and files
    zookeepers: list
    bookie: str
    brokers: dict
    names: dict
    service_name: str  # any of its brokers: their certificates are for this name too


HOME = Site("c1", BROKER_SIDE, "", ZOOKEEPER_ADDRESSES, BOOKIE_ADDRESS, BROKER_ADDRESSES, BROKER_NAMES, "pulsar.home.test")

# A second place, for a second cluster: namespace and loopback addresses of its own, a cable to the broker side, one to the clients.
FAR_SIDE = f"{NAME}-far"
FAR = Site("c2", FAR_SIDE, "far-", ["127.78.0.2"], "127.78.0.3", {1: "127.78.0.11"}, {1: "broker-1.far.test"}, "pulsar.far.test")
HOME_TO_FAR_ADDRESS, FAR_FROM_HOME_ADDRESS = "10.78.0.1", "10.78.0.2"
CLIENT_TO_FAR_ADDRESS, FAR_GATE_ADDRESS = "10.79.0.1", "10.79.0.2"

# Kafka's brokers, on the broker side as well. They tell clients these names, which only penstock can resolve.
KAFKA_ADDRESSES = {1: "127.77.0.21", 2: "127.77.0.22", 3: "127.77.0.23"}
KAFKA_NAMES = {n: f"broker-{n}.kafka.test" for n in KAFKA_ADDRESSES}
KAFKA_MORE_ADDRESSES = {4: "127.77.0.24"}  # one more where a test wants it, and no controller
KAFKA_MORE_NAMES = {n: f"broker-{n}.kafka.test" for n in KAFKA_MORE_ADDRESSES}
KAFKA_PORTS = {"PLAINTEXT": 9092, "SASL_PLAINTEXT": 9093, "SSL": 9094, "SASL_SSL": 9095, "MTLS": 9096}
KAFKA_INTERNAL_PORT, KAFKA_CONTROLLER_PORT = 9091, 9099

# Kafka of the time when brokers were in ZooKeeper, with ports like the others'.
OLD_KAFKA_ZOOKEEPER = "127.77.0.6"
OLD_KAFKA_ADDRESSES = {1: "127.77.0.31", 2: "127.77.0.32", 3: "127.77.0.33", 4: "127.77.0.34"}
OLD_KAFKA_NAMES = {n: f"old-{n}.kafka.test" for n in OLD_KAFKA_ADDRESSES}

TRAPPED = [(a, p) for a in (*BROKER_ADDRESSES.values(), *FAR.brokers.values()) for p in (BROKER_PORT, BROKER_TLS_PORT, BROKER_GATEWAY_PORT, BROKER_WEB)]
TRAPPED += [(a, p) for a in (*KAFKA_ADDRESSES.values(), *KAFKA_MORE_ADDRESSES.values(), *OLD_KAFKA_ADDRESSES.values()) for p in (*KAFKA_PORTS.values(), KAFKA_INTERNAL_PORT, KAFKA_CONTROLLER_PORT)]
TRAPPED_NAMES = {*KAFKA_NAMES.values(), *KAFKA_MORE_NAMES.values(), *OLD_KAFKA_NAMES.values()}
