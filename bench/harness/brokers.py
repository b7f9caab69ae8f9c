# SPDX-License-Identifier: GPL-3.0-or-later
"""The real brokers behind the protocol cells: Pulsar as tests/lab starts it, and Kafka. They run on
the core of the generator, and compile only with C1: warm within seconds, and no compiler thread
wakes up in the middle of a run."""

import json
import os
import re
import signal
import sys
import time

from . import CACHE, TOP, BenchError, say
from .contenders import which
from .processes import wait_for_port

LAB = TOP / "tests" / "lab"
PULSAR_JARS = CACHE / "jars-pulsar-4.0.8"
KAFKA_JARS = CACHE / "jars-kafka-4.4.0"
KAFKA_CLUSTER = "cGVuc3RvY2stYmVuY2hfXw"    # "penstock-bench__"
KAFKA_HOST = "127.77.1.1"       # of the addresses that tests/lab uses, none
START_SECONDS = 180
STOP_SECONDS = 60
QUIET_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

LOG4J = """\
<Configuration status="error"><Appenders><Console name="out" target="SYSTEM_OUT">
<PatternLayout pattern="%p %c{1}: %m%n%ex{short}"/></Console></Appenders>
<Loggers><Root level="warn"><AppenderRef ref="out"/></Root></Loggers></Configuration>
"""


def lacks_jars(folder):
    """Why a class path cannot be used, or None."""
    if which("java") and (folder / ".stamp").exists():
        return None
    return f"{folder.name} is not there: run `tests/lab/deps.sh peers-java`"


def jvm(processes, folder, *options):
    """The beginning of the command line of a JVM with the jars of a folder, and quiet logs."""
    log4j = processes.write("log4j2.xml", LOG4J)
    return ["java", *options, f"-Dlog4j2.configurationFile={log4j}", "-cp", f"{folder}/*:{folder}"]


class PulsarCluster:
    """ZooKeeper, a bookie and one broker."""

    def __init__(self, processes, machine):
        self.processes = processes
        environment = {"PENSTOCK_LAB": "bench", "PENSTOCK_LAB_NETNS": "off",
                       "PENSTOCK_LAB_DIR": str(processes.folder / "pulsar")}
        self.process = processes.start(
            "pulsar-cluster", [sys.executable, LAB / "cluster.py", "hold", "--brokers", 1],
            {machine.load_cpu}, env={**os.environ, **environment})
        say("starting a Pulsar cluster (about 15 s)")
        found = json.loads(self.wait_for_line())
        self.broker, = found["brokers"]
        self.web, = found["web"]

    def wait_for_line(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            found = re.search(r"^\{.*\}$", self.processes.log_of(self.process), re.M)
            if found:
                return found[0]
            time.sleep(0.1)
        raise BenchError("no Pulsar cluster: " + self.complaint())

    def complaint(self):
        """Of cluster.py; behind its first line is the end of a server's log, which we also get."""
        said = self.processes.log_of(self.process)
        found = re.search(r"^cluster: (.*?)(; the end of .*)?$", said, re.M)
        return found[1] if found else said[-300:]

    def check(self):
        if self.process.poll() is not None:
            raise BenchError("the Pulsar cluster: " + self.processes.last_words(self.process))

    def stop(self):
        """It wipes its data, so it is asked and not killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(STOP_SECONDS)


class KafkaBroker:
    """One node that is broker and controller (KRaft)."""

    def __init__(self, processes, machine):
        self.processes = processes
        self.broker = f"{KAFKA_HOST}:9092"
        config = processes.write("kafka.properties", self.config())
        say("starting a Kafka broker (about 5 s)")
        self.run_to_end(processes, machine, "kafka.tools.StorageTool", "format",
                        "-t", KAFKA_CLUSTER, "-c", config)
        self.process = processes.start(
            "kafka", [*jvm(processes, KAFKA_JARS, *QUIET_JVM, "-Xms512m", "-Xmx512m"),
                      "kafka.Kafka", config], {machine.load_cpu})
        wait_for_port(self.process, self.broker, processes, START_SECONDS)

    @staticmethod
    def run_to_end(processes, machine, *words):
        process = processes.start(words[1], [*jvm(processes, KAFKA_JARS, *QUIET_JVM), *words],
                                  {machine.load_cpu})
        if process.wait() != 0:
            raise BenchError(f"{words[0]}: " + processes.last_words(process))

    def config(self):
        return f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{KAFKA_HOST}:9093
listeners=PLAINTEXT://{self.broker},CONTROLLER://{KAFKA_HOST}:9093
controller.listener.names=CONTROLLER
log.dirs={self.processes.folder}/kafka
num.partitions=4
num.network.threads=1
num.io.threads=2
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.segment.bytes=33554432
log.retention.bytes=67108864
log.retention.check.interval.ms=2000
log.segment.delete.delay.ms=1000
"""

    def check(self):
        if self.process.poll() is not None:
            raise BenchError("the Kafka broker: " + self.processes.last_words(self.process))

    def stop(self):
        self.processes.stop(self.process)
