"""How penstock stands in front of Kafka in these tests; the two modes of a listener side by side, ports (plain) and server names (TLS); and
what clients may know of brokers in each.

    gate.start({"clusters": clusters(kafka), "listeners": [by_port(gate.port)]})
    listeners, both = modes(kafka); gate.start({"clusters": clusters(kafka), "listeners": listeners}); run(kafka.java, "tour", both["sni"])
"""
import itertools
import time

import settings
from processes import LabError, wait_until

GATE = settings.GATE_ADDRESS
NODES = sorted(settings.KAFKA_NAMES)
NAMES = {"kafka.java.test": GATE, **{f"b{n}.java.test": GATE for n in NODES}}
SESSION = 5  # seconds: connections.max.reauth.ms of the brokers (tests/lab/kafkacluster.py)
_ports = itertools.count(9450, 20)


def clusters(kafka, upstream="PLAINTEXT", discovery=(), **keys):
    """Its brokers by their listener `upstream`."""
    return {"k": {"protocol": "kafka", "discovery": {"bootstrap": kafka.bootstrap(upstream), **dict(discovery)}, **keys}}


def by_port(port, base=None, nodes=("1-3",), advertise=GATE, kafka=(), **keys):
    """A listener, its brokers at base + 1, + 2, + 3; base is its own port unless told otherwise. `kafka` adds keys there, or has another mode."""
    ports = {"advertise": advertise, "base_port": port if base is None else base, "nodes": list(nodes)}
    return {"name": "kafka", "bind": f"{GATE}:{port}", "cluster": "k", "kafka": dict(kafka) if "mode" in kafka else {**ports, **dict(kafka)}, **keys}


class Mode:
    """One listener as a client sees it."""

    def __init__(self, servers, addresses, config=()):
        self.servers, self.addresses, self.config = servers, addresses, dict(config)

    def words(self, **more):
        return {"servers": self.servers, "config": {**self.config, **more.pop("config", {})}, **more}


def modes(kafka):
    """Listeners for both modes, at ports of their own, and how clients use them."""
    port = next(_ports)
    certificate, key = kafka.authority.issue("java.test", "*.java.test", prefix="java-")
    listeners = [
        by_port(port, name="port"),
        {
            "name": "sni", "bind": f"{GATE}:{port + 9}", "cluster": "k", "tls": {"cert_file": str(certificate), "key_file": str(key)},
            "kafka": {"mode": "sni", "advertise": "b{id}.java.test", "bootstrap": "kafka.java.test"},
        },
    ]  # fmt: skip
    tls = {"security.protocol": "SSL", "ssl.truststore.type": "PEM", "ssl.truststore.location": str(kafka.authority.file)}
    return listeners, {
        "port": Mode(f"{GATE}:{port}", {f"{GATE}:{port + n}" for n in (0, *NODES)}),
        "sni": Mode(f"kafka.java.test:{port + 9}", {f"{name}:{port + 9}" for name in NAMES}, tls),
    }


def wait_old(gate, *listeners, seconds=90):
    """Until each of these listeners has a connection that is older than two of SASL's sessions and has carried requests since then: brokers end
    those that have not authenticated again with the first request that comes too late."""
    first, left = {}, set(listeners)

    def done():
        for row in gate.json("/connections")["connections"]:
            if row["age_seconds"] > 2 * SESSION:
                was = first.setdefault((row["worker"], row["id"]), row["bytes_to_broker"])
                if row["bytes_to_broker"] > was + 5000:  # more than authenticating takes
                    left.discard(row["listener"])
        return not left

    try:
        wait_until("connections that outlive a session", seconds, done)
    except LabError:
        raise AssertionError(f"no connection has carried requests for longer than what a broker allows without authenticating again: {left}") from None


def ended_by_brokers(gate):
    """Lines of the access log."""
    return [row for row in gate.access() if row["reason"].startswith("broker_") or row["term"][0] in "Ss"]


def knows_only(answer, mode):
    """Every broker, and nothing but what penstock is called."""
    assert set(answer["known"]) <= mode.addresses, answer["known"]
    assert len(answer["known"]) >= len(NODES), answer["known"]


def run(client, case, mode, seconds=120, **words):
    answer = client.run(case, seconds, **mode.words(**words))
    knows_only(answer, mode)
    return answer


def stable(java, **words):
    """How many groups have come together."""
    return java.run("groups", state="Stable", **words)["groups"]


def together(java, groups, seconds, **words):
    """Waits until so many have, if that is within so many seconds.

    Kafka 4.4.0 may leave a group in the middle of that for good when a broker dies: who writes to __consumer_offsets waits for its replica there, and
    what has waited for 5 s is dropped ("The write event Timeout(key=join-...) ... timed out after 5000ms. Ignoring it.")."""
    deadline = time.monotonic() + seconds
    while stable(java, **words) < groups and time.monotonic() < deadline:
        time.sleep(0.2)
