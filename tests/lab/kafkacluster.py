"""Private Kafka clusters on the broker side, out of the clients' reach: KafkaCluster (KRaft), three brokers that are controllers too, and
OldKafkaCluster (3.9.2), whose brokers are in ZooKeeper under /kafka: three of them each, and a fourth where a test wants one more.

They advertise names that only penstock can resolve (settings.KAFKA_NAMES, OLD_KAFKA_NAMES), on listeners of every kind there is:

    PLAINTEXT 9092   SASL_PLAINTEXT 9093   SSL 9094   SASL_SSL 9095   MTLS 9096 (a client certificate is demanded)

    kafka = KafkaCluster(); kafka.up(); kafka.bootstrap("PLAINTEXT"); kafka.kill(2); kafka.start(2); kafka.forget()
    old = OldKafkaCluster(); old.up(); old.connect_string; old.start(4); old.stop(4); old.zookeeper.stop(); old.ports[2] = {...}; old.forget()
"""
import functools
import shutil
import signal
import subprocess

import netns
import pki
import settings
import web
from processes import LabError, Process
from zookeeper import ZooKeeper

CLUSTER_ID = "cGVuc3RvY2stbGFiLTAwMQ"
USERS = {"alice": "alice-secret", "admin": "admin-secret"}

_QUIET = """status = warn
rootLogger.level = WARN
rootLogger.appenderRef.c.ref = C
appender.c.type = Console
appender.c.name = C
appender.c.layout.type = PatternLayout
appender.c.layout.pattern = %d %p %c{1} %m%n%ex{short}
"""
_QUIET_OLD = """log4j.rootLogger=WARN, C
log4j.appender.C=org.apache.log4j.ConsoleAppender
log4j.appender.C.layout=org.apache.log4j.PatternLayout
log4j.appender.C.layout.ConversionPattern=%d %p %c{1} %m%n
"""
_JAAS = "org.apache.kafka.common.security"


class KafkaCluster:
    name, jars = "kafka", settings.KAFKA_JARS
    addresses, names = settings.KAFKA_ADDRESSES | settings.KAFKA_MORE_ADDRESSES, settings.KAFKA_NAMES | settings.KAFKA_MORE_NAMES
    first = (1, 2, 3)  # started by up()

    def __init__(self):
        self.data = settings.RUN / self.name
        self.brokers = {n: Process(f"{self.name}{n}") for n in self.addresses}
        self.ports = {n: dict(settings.KAFKA_PORTS) for n in self.addresses}  # may be changed before a start
        self.more, self.options = {}, []  # lines of every broker's file, and words for its JVM: from its next start on

    @functools.cached_property
    def authority(self):
        """Who signs the brokers' certificates."""
        folder = self.data / "pki"
        folder.mkdir(parents=True, exist_ok=True)
        return pki.Authority(folder)

    # ---- start and stop

    def up(self):
        if not self.jars.joinpath(".stamp").exists():
            raise LabError("no Kafka jars; first run: tests/lab/deps.sh lab")
        netns.create()
        is_new = not (self.data / "1" / "meta.properties").exists()
        if is_new:
            self._prepare()
        for number in self.first:
            if not self.brokers[number].alive():
                self._launch(number)
        for number in self.first:
            self._wait(number)
        if is_new:
            self._finish()

    def down(self):
        for broker in self.brokers.values():
            broker.stop(signal.SIGKILL)

    def forget(self):
        """Stops all and deletes the data. Logs stay."""
        self.down()
        shutil.rmtree(self.data, ignore_errors=True)

    def kill(self, number):
        self.brokers[number].stop(signal.SIGKILL)

    def stop(self, number):
        """As an administrator does: it leaves the cluster."""
        self.brokers[number].stop(seconds=30)

    def start(self, number):
        if not self.brokers[number].alive():
            self._launch(number)
        self._wait(number)

    def bootstrap(self, listener):
        return [f"{self.names[number]}:{settings.KAFKA_PORTS[listener]}" for number in self.first]

    # ---- servers

    def _log_option(self):
        log4j = self.data / "log4j2.properties"
        log4j.parent.mkdir(parents=True, exist_ok=True)
        log4j.write_text(_QUIET)
        return f"-Dlog4j2.configurationFile={log4j}"

    def _java(self, main, *arguments, heap="384m"):
        return [
            "java", "-Xms128m", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:+ExitOnOutOfMemoryError",
            "-Djava.net.preferIPv4Stack=true", self._log_option(), *self.options, "-cp", f"{self.jars}/*", main, *map(str, arguments),
        ]  # fmt: skip

    def _run_all(self, what, lines):
        """All at once: most of it is the start of a JVM."""
        lines = [netns.exec_in(settings.BROKER_SIDE, line) for line in lines]
        running = [subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for line in lines]
        for one in running:
            said, _ = one.communicate(timeout=60)
            if one.returncode:
                raise LabError(f"{what}: {said[-500:]}")

    def _prepare(self):
        """Before the first start."""
        scram = [word for user, secret in USERS.items() for word in ("-S", f"SCRAM-SHA-256=[name={user},password={secret}]")]
        lines = [self._java("kafka.tools.StorageTool", "format", "-g", "-t", CLUSTER_ID, "-c", self._conf(n), *scram) for n in self.brokers]
        self._run_all("Kafka's storage could not be formatted", lines)

    def _finish(self):
        """After it."""

    def _launch(self, number):
        self.brokers[number].start(self._java("kafka.Kafka", self._conf(number)))

    def _wait(self, number):
        """A broker opens its listeners when it is ready."""
        address, ports = self.addresses[number], self.ports[number].values()
        self.brokers[number].wait_ready(90, lambda: all(web.reachable(address, port) for port in ports))

    def _store(self, number):
        """Key and certificate in one file, as Kafka wants it."""
        certificate, key = self.authority.issue(self.names[number], self.addresses[number], prefix="both-")
        store = self.data / "pki" / f"broker{number}.pem"
        store.write_text(key.read_text() + certificate.read_text())
        return store

    def _conf(self, number):
        """The file with what this broker is told."""
        address, name = self.addresses[number], self.names[number]
        listeners = {"INTERNAL": settings.KAFKA_INTERNAL_PORT, **self.ports[number]}
        conf = self.data / f"broker{number}.properties"
        conf.parent.mkdir(parents=True, exist_ok=True)
        lines = {
            "broker.rack": f"rack-{number}", "log.dirs": self.data / str(number), "inter.broker.listener.name": "INTERNAL",
            "listeners": ",".join(f"{kind}://{address}:{port}" for kind, port in listeners.items()),
            "advertised.listeners": ",".join(
                f"{kind}://{address if kind == 'INTERNAL' else name}:{port}" for kind, port in listeners.items()
            ),
            "listener.security.protocol.map":
                "INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,MTLS:SSL",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256", "connections.max.reauth.ms": 5000,
            "num.partitions": 3, "auto.create.topics.enable": "true",
            "auto.leader.rebalance.enable": "false", "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.num.partitions": 6, "transaction.state.log.num.partitions": 6,
            "num.network.threads": 2, "num.io.threads": 4, "num.replica.fetchers": 1,
            "log.segment.bytes": 67108864, "log.cleaner.dedupe.buffer.size": 4194304,
            "fetch.max.bytes": 268435456,
            **self._replicas(len(self.first)),
        }  # fmt: skip
        for kind in ("sasl_plaintext", "sasl_ssl"):
            users = " ".join(f'user_{user}="{secret}"' for user, secret in USERS.items())
            lines[f"listener.name.{kind}.plain.sasl.jaas.config"] = f"{_JAAS}.plain.PlainLoginModule required {users};"
            lines[f"listener.name.{kind}.scram-sha-256.sasl.jaas.config"] = f"{_JAAS}.scram.ScramLoginModule required;"
        for kind in ("ssl", "sasl_ssl", "mtls"):
            lines |= {
                f"listener.name.{kind}.ssl.keystore.type": "PEM", f"listener.name.{kind}.ssl.keystore.location": self._store(number),
                f"listener.name.{kind}.ssl.truststore.type": "PEM", f"listener.name.{kind}.ssl.truststore.location": self.authority.file,
            }  # fmt: skip
        lines["listener.name.mtls.ssl.client.auth"] = "required"
        self._own_lines(number, lines)
        lines |= self.more
        conf.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        return conf

    @staticmethod
    def _replicas(count):
        return {
            "default.replication.factor": count, "min.insync.replicas": count - 1, "offsets.topic.replication.factor": count,
            "transaction.state.log.replication.factor": count, "transaction.state.log.min.isr": count - 1,
        }  # fmt: skip

    def _own_lines(self, number, lines):
        """What only this kind of cluster has."""
        controller = settings.KAFKA_CONTROLLER_PORT
        is_controller = number in self.first
        lines["listeners"] += f",CONTROLLER://{self.addresses[number]}:{controller}" if is_controller else ""
        lines |= {
            "process.roles": "broker,controller" if is_controller else "broker", "node.id": number,
            "controller.quorum.voters": ",".join(f"{n}@{self.addresses[n]}:{controller}" for n in self.first),
            "controller.listener.names": "CONTROLLER",
            "share.coordinator.state.topic.num.partitions": 3, "share.coordinator.state.topic.replication.factor": 3,
            "share.coordinator.state.topic.min.isr": 2,
            "broker.session.timeout.ms": 6000, "broker.heartbeat.interval.ms": 1000,
        }  # fmt: skip


class OldKafkaCluster(KafkaCluster):
    name, jars = "kafka-old", settings.OLD_KAFKA_JARS
    addresses, names = settings.OLD_KAFKA_ADDRESSES, settings.OLD_KAFKA_NAMES
    first = (1, 2, 3)

    def __init__(self):
        super().__init__()
        self.zookeeper = ZooKeeper("kafka-zookeeper", [settings.OLD_KAFKA_ZOOKEEPER])

    @property
    def connect_string(self):
        return f"{self.zookeeper.connect_string}/kafka"

    def up(self):
        netns.create()
        self.zookeeper.start()
        super().up()

    def down(self):
        super().down()
        self.zookeeper.stop()

    def forget(self):
        super().forget()
        self.zookeeper.wipe()

    def _log_option(self):
        log4j = self.data / "log4j.properties"
        log4j.parent.mkdir(parents=True, exist_ok=True)
        log4j.write_text(_QUIET_OLD)
        return f"-Dlog4j.configuration=file:{log4j}"

    def _prepare(self):
        """Nothing: brokers make their tree."""

    def _finish(self):
        """Users of SCRAM: there is no place for them before the brokers have made one."""
        self._run_all("SCRAM users could not be made", [
            self._java("kafka.admin.ConfigCommand", "--zookeeper", self.connect_string, "--alter", "--entity-type", "users", "--entity-name", user,
                       "--add-config", f"SCRAM-SHA-256=[iterations=4096,password={secret}]")
            for user, secret in USERS.items()
        ])  # fmt: skip

    def _own_lines(self, number, lines):
        lines |= {"broker.id": number, "zookeeper.connect": self.connect_string, "zookeeper.session.timeout.ms": 4000}
