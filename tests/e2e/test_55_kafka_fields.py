"""Every field of Kafka's responses that may hold an address, as the schemas in Kafka's own jar have them, through penstock.

A broker of a few lines answers each call in each version with an address in every such field (java/LabFields.java): no real one can be made
to. What is in the field when it comes out decides, and must be what docs/KAFKA-FIELDS.md says. So a new version of Kafka, whose jar takes the
place of this one, fails here if it has a call, a version or a field by which penstock would let an address pass.
"""
import collections
import difflib
import re
import struct
import subprocess

import java
import pytest
import settings
import wire
from kafkamodes import by_port

TABLE = settings.TREE / "docs" / "KAFKA-FIELDS.md"
SOURCES = [settings.TREE / "tests" / name for name in ("e2e/java/LabFields.java", "vectors/kafka/KafkaVectors.java")]
ADVERTISED = b"gw.example.com"
CORRELATION = bytes([1, 2, 3, 4])  # of all requests that LabFields makes
JARS = [settings.KAFKA_JARS, settings.kafka_client("3.9.2")]  # the newest, and the last that knows what Kafka 4 has dropped

# Why a field may come out as it went in.
HARMLESS = {
    "where a broker stands, not how it is reached: clients read from the nearest": [
        "Produce node_endpoints.rack", "Fetch node_endpoints.rack", "Metadata brokers.rack", "DescribeCluster brokers.rack",
        "ShareFetch node_endpoints.rack", "ShareAcknowledge node_endpoints.rack",
    ],
    "a client, as the broker saw it (penstock's own address)": [
        "DescribeGroups groups.members.client_host", "ConsumerGroupDescribe groups.members.client_host",
        "ShareGroupDescribe groups.members.client_host", "StreamsGroupDescribe groups.members.client_host",
    ],
    "where a client says it stands": [
        "ConsumerGroupDescribe groups.members.rack_id", "ShareGroupDescribe groups.members.rack_id", "StreamsGroupDescribe groups.members.rack_id",
    ],
    "what applications of Kafka Streams tell each other of themselves": [
        "StreamsGroupHeartbeat partitions_by_user_endpoint.user_endpoint.host", "StreamsGroupHeartbeat partitions_by_user_endpoint.user_endpoint.port",
        "StreamsGroupDescribe groups.members.user_endpoint.host", "StreamsGroupDescribe groups.members.user_endpoint.port",
    ],
    "the name of a topic": [
        "StreamsGroupHeartbeat partitions_by_user_endpoint.active_partitions.topic",
        "StreamsGroupHeartbeat partitions_by_user_endpoint.standby_partitions.topic",
    ],
    "the host of a client that a rule is for": ["DescribeAcls resources.acls.host", "DeleteAcls filter_results.matching_acls.host"],
}  # fmt: skip
REASONS = {field: reason for reason, fields in HARMLESS.items() for field in fields}


# ---- what the jar knows


class Jar:
    """What LabFields prints of one jar."""

    def __init__(self, folder, records=40):
        self.folder = folder
        self.apis, self.fields, self.frames = {}, [], {}
        for line in self._run("make", str(records)).splitlines():
            kind, *words = line.split()
            if kind == "kafka":
                self.version = words[0]
            elif kind == "api":
                self.apis[int(words[0])] = words[1], int(words[2]), int(words[3])
            elif kind == "field":
                self.fields.append((int(words[0]), f"{words[1]} {words[2]}", words[3], int(words[4]), int(words[5])))
            elif kind == "frame":
                self.frames[int(words[0]), int(words[1])] = bytes.fromhex(words[2]), bytes.fromhex(words[3])
            elif kind == "versions":
                self.ask, self.offer, self.ahead = map(bytes.fromhex, words)

    def _run(self, *arguments, said=""):
        folder = java.compiled(self.folder, *SOURCES)
        line = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", f"{folder}:{self.folder}/*", "LabFields", *arguments]
        done = subprocess.run(line, input=said, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def left(self, responses):
        """(key, version, field) of those that have the address still."""
        lines = "".join(f"{key} {version} {frame.hex()}\n" for (key, version), frame in responses.items())
        rows = [line.split() for line in self._run("read", said=lines).splitlines()]
        return {(int(key), int(version), f"{self.apis[int(key)][0]} {path}") for _, key, version, path in rows}

    def offered(self, frame):
        """The newest version of each call in a response to ApiVersions."""
        rows = [line.split() for line in self._run("read", said=f"versions {frame.hex()}\n").splitlines()]
        return {int(key): int(newest) for _, key, newest in rows}


@pytest.fixture(scope="module", params=JARS, ids=["newest", "3.9.2"])
def jar(request):
    return Jar(request.param)


# ---- through penstock


class Through:
    """penstock in front of a broker that answers what it is told to."""

    def __init__(self, penstock, fake):
        self.answers, self.asked = {}, set()
        broker = fake(serve=self._serve, port=9092)
        self.gate = penstock.new()
        self.gate.start({
            "clusters": {"k": {"protocol": "kafka", "discovery": {"bootstrap": [broker.where]}}},
            "listeners": [by_port(self.gate.port, 19390, ["0-9"], ADVERTISED.decode())],
        })  # fmt: skip

    @staticmethod
    def _frame(peer):
        head = peer.read_exactly(4)
        return head + peer.read_exactly(struct.unpack(">I", head)[0])

    def _serve(self, peer):
        while True:
            request = self._frame(peer)
            if request[8:12] != CORRELATION:
                return  # penstock asks for itself
            call = struct.unpack(">HH", request[4:8])
            self.asked.add(call)
            answer = self.answers[call]
            peer.send(answer[:4] + request[8:12] + answer[8:])

    def ask(self, request):
        """The response; None: the connection was ended instead."""
        peer = wire.dial(settings.GATE_ADDRESS, self.gate.port)
        try:
            peer.send(request)
            return self._frame(peer)
        except wire.Closed:
            return None
        finally:
            peer.close()

    def all(self, frames):
        """Each call in each version on a connection of its own: the responses, and which calls came to the broker."""
        self.asked.clear()
        self.answers = {call: response for call, (_, response) in frames.items()}
        said = {call: self.ask(request) for call, (request, _) in frames.items()}
        return {call: response for call, response in said.items() if response}, set(self.asked)


# ---- judging


def ranges(versions):
    """[1, 2, 3, 5] -> "1-3, 5"."""
    runs = []
    for version in sorted(versions):
        if runs and runs[-1][1] == version - 1:
            runs[-1][1] = version
        else:
            runs.append([version, version])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def fates(jar, responses, asked):
    """What became of each field: {field: {"rewritten": versions, "refused": ..., "passed": ...}}. "broken": the broker was asked, and nothing came."""
    found, left = collections.defaultdict(lambda: collections.defaultdict(set)), jar.left(responses)

    def fate(call, field):
        if (*call, field) in left:
            return "passed"
        if call not in asked:
            return "refused"
        return "rewritten" if ADVERTISED in responses.get(call, b"") else "broken"

    for key, field, _, since, until in jar.fields:
        for version in range(since, until + 1):
            found[key, field][fate((key, version), field)].add(version)
    return found


def leaks(found, reasons):
    """The fields that come out as they went in, and nobody has said why they may; and those that do not come out."""
    return sorted(field for (_, field), fate in found.items() if fate["broken"] or fate["passed"] and field not in reasons)


def known_versions():
    """The newest version of each call in penstock's own table."""
    text = (settings.TREE / "include/penstock/wire/kafka_api.def").read_text()
    rows = re.findall(r"^KAFKA_API\((\d+), \w+, \w+, (\d+), \w+, (\w+)", text, re.M)
    return {int(key): (int(newest), way) for key, newest, way in rows}


def unseen(offered, known):
    """Calls whose newest version, as clients are offered it, is one that penstock's table has never heard of."""
    return {key for key, newest in offered.items() if key not in known or newest > known[key][0]}


# ---- tests


@pytest.fixture(scope="module")
def through(module_penstock, module_fake):
    return Through(module_penstock, module_fake)


@pytest.fixture(scope="module")
def found(through, jar):
    responses, asked = through.all(jar.frames)
    return fates(jar, responses, asked)


def test_the_net_catches(jar):
    """All that is known to hold addresses is among the fields that are looked at, and the broker's answers have one in each."""
    fields = {field for _, field, *_ in jar.fields}
    assert {"Metadata brokers.host", "Fetch node_endpoints.port", "DescribeQuorum nodes.listeners.host", "FindCoordinator host"} <= fields
    direct = jar.left({call: response for call, (_, response) in jar.frames.items()})
    assert {field for _, _, field in direct} == fields


def test_no_address_passes(found):
    assert leaks(found, REASONS) == [], "they may hold addresses; either penstock rewrites or refuses them, or say here why they may pass"


def test_a_field_that_nobody_has_spoken_for_is_found(found, jar):
    """The proof that test_no_address_passes can fail: one reason less, and brokers' answers as they are."""
    less = dict(REASONS)
    del less["Metadata brokers.rack"]
    assert leaks(found, less) == ["Metadata brokers.rack"]
    everything = {call: response for call, (_, response) in jar.frames.items()}
    bare = leaks(fates(jar, everything, set(everything)), REASONS)
    assert {"Metadata brokers.host", "Metadata brokers.port", "Fetch node_endpoints.host", "Vote node_endpoints.host"} <= set(bare)


def test_long_responses(through):
    """Records of 100,000 bytes go by unseen; addresses behind them do not."""
    jar = Jar(settings.KAFKA_JARS, records=100000)
    long = {call: frames for call, frames in jar.frames.items() if len(frames[1]) > 100000}
    assert {key for key, _ in long} == {1, 59, 78}, "calls with records in their responses: Fetch, FetchSnapshot, ShareFetch"
    responses, asked = through.all(long)
    assert {key for key, _ in responses} == {1, 78} and all(len(response) == len(long[call][1]) for call, response in responses.items())
    rows = {row: fate for row, fate in fates(jar, responses, asked).items() if row[0] in (1, 78)}
    assert leaks(rows, REASONS) == []
    assert rows[1, "Fetch node_endpoints.host"]["rewritten"] == {16, 17, 18}


def test_no_version_that_nobody_has_looked_at(through, jar):
    """A newer Kafka: what it offers beyond penstock's table is not offered to clients, or somebody has to look at it first."""
    known = known_versions()
    assert len(known) > 90 and {way for _, way in known.values()} >= {"PASS", "PREFIX", "WHOLE", "STREAM", "NEVER", "VERSIONS"}
    through.answers = {(18, 3): jar.offer}
    offered = jar.offered(through.ask(jar.ask))
    assert len(offered) > 60
    assert unseen(offered, known) == set(), "look at the responses of these calls' newest versions, then raise them in kafka_api.def"
    assert not set(offered) & {key for key, (_, way) in known.items() if way == "NEVER"}


def test_versions_of_a_kafka_to_come(through, jar):
    """Each call one version newer: those with addresses are offered up to the version we know; that of others shows that it would be noticed."""
    known = known_versions()
    through.answers = {(18, 3): jar.ahead}
    offered = jar.offered(through.ask(jar.ask))
    newer = unseen(offered, known)
    assert {known[key][1] for key in newer} <= {"PASS"}
    if jar.folder == settings.KAFKA_JARS:
        assert len(newer) > 50


@pytest.fixture(scope="module")
def every(through):
    """Of both jars together: one is the past of the other."""
    both, versions, apis = {}, [], {}
    for jar in map(Jar, JARS):
        responses, asked = through.all(jar.frames)
        for row, fate in fates(jar, responses, asked).items():
            for kind, numbers in fate.items():
                both.setdefault(row, collections.defaultdict(set))[kind] |= numbers
        versions.append(jar.version)
        apis |= {**jar.apis, **apis}
    return both, versions, apis


def table(both, versions, apis):
    rows = []
    for (_, field), fate in sorted(both.items()):
        name, path = field.split(" ", 1)
        words = [f"{word} ({ranges(fate[word])})" for word in ("rewritten", "refused", "passed") if fate[word]]
        rows.append(f"| {name} | `{path}` | {', '.join(words)} | {REASONS.get(field, '')} |")
    return "\n".join([
        "# Addresses in Kafka's protocol",
        f"Every field of a response that may hold an address, by the schemas in the jars of Kafka {' and '.join(versions)} ({len(apis)} calls), and what",
        "penstock, as it is configured by default, makes of it in which versions. *rewritten*: the address is that of penstock; *refused*: clients are not",
        "offered such a version, and a call of it ends the connection; *passed*: as the broker wrote it, for the reason that is given.",
        "",
        "Fields are looked at whose names hold host, addr, endpoint, url, uri, listener, rack, server, bootstrap, location, domain or port. Written by",
        "`tests/e2e/test_55_kafka_fields.py`, which puts an address into each of them and looks at what comes out; it fails when a newer jar has a field",
        "that is not here. Names say nothing of values: DescribeConfigs shows a broker's settings to those who may ask, `advertised.listeners` among them,",
        "which no client connects to (`deny_apis: [DescribeConfigs]` where that is too much).",
        "",
        "| Call | Field | What becomes of it (versions) | Why it may pass |", "|---|---|---|---|", *rows, "",
    ])  # fmt: skip


def test_the_table_in_the_docs(every):
    """docs/KAFKA-FIELDS.md is what was found."""
    wanted, have = table(*every), TABLE.read_text() if TABLE.exists() else ""
    (settings.RUN / TABLE.name).write_text(wanted)
    changes = list(difflib.unified_diff(have.splitlines(), wanted.splitlines(), "the docs", "found", lineterm="", n=0))
    assert not changes, "\n".join([*changes, f"if this is right: cp {settings.RUN / TABLE.name} {TABLE}"])


def test_reasons_are_needed(every):
    passed = {field for (_, field), fate in every[0].items() if fate["passed"]}
    assert set(REASONS) == passed, "reasons for fields that do not pass, or are not there any more"
