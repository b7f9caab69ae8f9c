"""Java clients from 0.10.2 to 4.4 in front of Kafka 3.9.2, which still speaks what Kafka 4 has dropped; its brokers are in ZooKeeper."""
import subprocess

import kafkaclients
import netns
import pytest
from kafkamodes import NAMES, clusters, knows_only, modes, run

VERSIONS = ["0.10.2.2", "0.11.0.3", "1.1.1", "2.0.1", "2.8.2", "3.9.2"]


@pytest.fixture(scope="module")
def both(module_penstock, old_kafka):
    netns.client_names(NAMES)
    listeners, both = modes(old_kafka)
    # As in test_54_kafka_java: brokers hear nothing of a client that has gone while they make its JoinGroup wait.
    module_penstock.new().start({"clusters": clusters(old_kafka), "listeners": listeners, "timeouts": {"half_close": "5s"}})
    yield both
    netns.client_names()


@pytest.fixture(scope="module")
def store(old_kafka):
    """The authority's certificate as clients of before 2.7 want it."""
    file = old_kafka.authority.file.with_suffix(".p12")
    file.unlink(missing_ok=True)
    subprocess.run(["keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", old_kafka.authority.file, "-keystore", file,
                    "-storetype", "PKCS12", "-storepass", "changeit"], check=True, capture_output=True)  # fmt: skip
    return {
        "security.protocol": "SSL", "ssl.truststore.type": "PKCS12", "ssl.truststore.location": str(file), "ssl.truststore.password": "changeit",
        "ssl.endpoint.identification.algorithm": "HTTPS",
    }  # fmt: skip


def check(kafka, mode, version, config=()):
    topic = kafka.java.run("create", **mode.words())["topic"]
    answer = kafkaclients.old_java(version, mode.servers, topic, config=config)
    assert answer["version"] == version and answer["missing"] == 0 and answer["twice"] == 0, answer
    knows_only(answer, mode)


@pytest.mark.parametrize("version", VERSIONS)
def test_old_clients(old_kafka, both, version):
    check(old_kafka, both["port"], version)


@pytest.mark.parametrize("version", ["0.10.2.2", "1.1.1"])
def test_old_clients_by_server_names(old_kafka, both, store, version):
    check(old_kafka, both["sni"], version, store)


def test_the_newest_client(old_kafka, both):
    """It falls back to what these brokers know: no groups of the new kind, transactions of the first kind."""
    for mode in both.values():
        answer = run(old_kafka.java, "roundtrip", mode)
        assert answer["missing"] == [] and answer["twice"] == 0, answer
        assert {node.split()[1] for node in answer["brokers"]} <= mode.addresses
        answer = run(old_kafka.java, "transactions", mode)
        assert not answer["v2"] and answer["got"] == list(range(200))
        assert run(old_kafka.java, "fresh", mode)["missing"] == []
        answer = run(old_kafka.java, "group", mode)
        assert answer["missing"] == [] and answer["members"] == 4, answer
