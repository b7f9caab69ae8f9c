"""Kafka's official clients as co-processes (coprocess.py) on the clients' side, where nobody knows a broker's name.

    python.run("roundtrip", library="confluent", servers="127.0.0.1:9092")  ->  dict, or AssertionError with the exception of the client

Cases are functions of kafka_python.py and of java/LabKafka.java; both know the same ones where both can.
"""
import json
import pathlib
import subprocess

import java
import netns
import settings
from coprocess import CoProcess

HERE = pathlib.Path(__file__).resolve().parent
JAVA = [HERE / "java" / f"{name}.java" for name in ("LabKafka", "LabTrouble", "LabCases", "Known")]


class KafkaPython(CoProcess):
    """librdkafka (library="confluent") and kafka-python (library="pure")."""

    def __init__(self, name="kafka-python"):
        super().__init__(name)

    def command(self):
        return [settings.KAFKA_VENV / "bin/python", HERE / "kafka_python.py"]


class KafkaGo(CoProcess):
    """franz-go (library="franz") and sarama (library="sarama")."""

    def __init__(self, name="kafka-go"):
        super().__init__(name)

    def command(self):
        return [settings.KAFKA_GO / "client"]


class KafkaJs(CoProcess):
    """kafkajs."""

    def __init__(self, name="kafka-js"):
        super().__init__(name)

    def command(self):
        return ["node", HERE / "kafka_js/client.js", settings.KAFKA_JS]


class KafkaJava(CoProcess):
    options = ()  # words for its JVM

    def __init__(self, name="kafka-java", jars=settings.KAFKA_JARS, sources=JAVA, main="LabKafka"):
        super().__init__(name)
        self.jars, self.sources, self.main = jars, sources, main

    def command(self):
        log4j = settings.RUN / "conf" / "kafka-log4j2.properties"
        log4j.parent.mkdir(parents=True, exist_ok=True)
        log4j.write_text("rootLogger.level = WARN\nrootLogger.appenderRef.c.ref = C\nappender.c.type = Console\nappender.c.name = C\n"
                         "appender.c.target = SYSTEM_ERR\nappender.c.layout.type = PatternLayout\nappender.c.layout.pattern = %d %p %c{1} %m%n%ex{short}\n")  # fmt: skip
        return [
            "java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", f"-Dlog4j2.configurationFile={log4j}", *self.options,
            "-cp", f"{java.compiled(self.jars, *self.sources)}:{self.jars}/*", self.main,
        ]  # fmt: skip


class KafkaStreams(KafkaJava):
    """The case "streams"; also an older client than the other ones."""

    def __init__(self, name="kafka-streams"):
        super().__init__(name, settings.KAFKA_STREAMS_JARS, [HERE / "java/LabStreams.java", *JAVA], "LabStreams")


def check(answer, names):
    """What "roundtrip" says: all has arrived, once, and these are the brokers."""
    assert answer["missing"] == [] and answer["twice"] == 0, answer
    assert set(answer["brokers"]) == names, f"brokers: {sorted(answer['brokers'])}, not {sorted(names)}"


def check_load(answer, least=500):
    """What "load" says: whatever was sent was acknowledged, and has arrived."""
    assert answer["ok"] and answer["lost"] == 0 and answer["failed"] == [], answer
    assert answer["acked"] == answer["sent"] > least, answer


def old_java(version, servers, topic, count=200, side=settings.CLIENT_SIDE, config=(), options=()):
    """A Java client of another age produces and consumes; what it says (java/LabOld.java)."""
    jars = settings.kafka_client(version)
    folder = java.compiled(jars, HERE / "java/LabOld.java", HERE / "java/Known.java")
    words = [servers, topic, count, *(f"{key}={value}" for key, value in dict(config).items())]
    line = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", *options, "-cp", f"{folder}:{jars}/*", "LabOld", *words]
    done = subprocess.run(netns.exec_in(side, line), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, f"kafka-clients {version}: {done.stderr[-1500:]}"
    return json.loads(done.stdout.splitlines()[-1])
