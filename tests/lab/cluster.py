"""A private Pulsar cluster: ZooKeeper, one bookie, two brokers, all on the broker side and out of the clients' reach.

    cluster.py up [--auth] [--tls] [--extensible] [--zookeepers 3] [--brokers 1]    start what is not running (about 20 s)
    cluster.py hold [options of up]                           a new one that ends with this command; says where it is
    cluster.py broker-kill N | broker-start N                 kill -9 one broker, start it again
    cluster.py give TOPIC N                                   hand a topic's bundle to broker N, e.g. public/default/t 2
    cluster.py zk-stop | zk-start                             ZooKeeper, keeping its tree
    cluster.py java-proxy-start | java-proxy-stop             the Java proxy on the gate address, to compare with
    cluster.py in|out COMMAND...                              run a command on the broker side | client side
    cluster.py token ROLE [SECONDS]                           print a token
    cluster.py status | down | wipe                           wipe = down + delete data and namespaces

Options are remembered from `up` until `wipe`. Names and folders: settings.py.
"""
import argparse
import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import uuid

import java
import kafkacluster
import netns
import pki
import settings
import tokens
import web
from processes import LabError, Process, wait_until
from zookeeper import ZooKeeper


AUTHENTICATION = {kind: f"org.apache.pulsar.broker.authentication.AuthenticationProvider{kind.capitalize()}" for kind in ("token", "tls")}


class Cluster:
    more = {}  # lines of broker.conf for brokers that are started from now on

    def __init__(self, site=settings.HOME, **options):
        """With options: a new cluster, or the running one if its options are the same. Without: the one that runs."""
        self.site = site
        self._file = settings.RUN / f"{site.prefix}cluster.json"
        self._data = settings.RUN / f"{site.prefix}data"
        kept = json.loads(self._file.read_text()) if self._file.exists() else None
        defaults = {"auth": False, "tls": False, "mtls": False, "extensible": False, "zookeepers": 1, "brokers": 2}
        self.options = {**defaults, **options} if options else kept or defaults
        self.zookeeper = ZooKeeper(f"{site.prefix}zookeeper", site.zookeepers[: self.options["zookeepers"]], site.side)
        self.bookie = Process(f"{site.prefix}bookie")
        self.brokers = {n: Process(f"{site.prefix}broker{n}") for n in site.brokers if n <= self.options["brokers"]}
        self.java_proxy = Process("java-proxy")
        if kept and kept != self.options and any(broker.alive() for broker in self.brokers.values()):
            raise LabError(f"a cluster with other options is running ({kept}); first: cluster.py wipe")

    @functools.cached_property
    def authority(self):
        """Who signs the brokers' certificates; kept until `wipe`."""
        folder = self._data / "pki"
        folder.mkdir(parents=True, exist_ok=True)
        return pki.Authority(folder)

    # ---- start and stop

    def up(self, say=lambda text: None):
        if not settings.JARS.joinpath(".stamp").exists():
            raise LabError("no Pulsar jars; first run: tests/lab/deps.sh lab")
        netns.create()
        if self.site is settings.FAR:
            netns.create_far()
        self._data.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self.options))
        say("ZooKeeper")
        self.zookeeper.start()
        say("cluster metadata")
        self._init_metadata()
        say("bookie")
        self._start_bookie()
        for number in self.brokers:
            if not self.brokers[number].alive():
                self._start_broker(number)
        for number in self.brokers:
            say(f"broker {number}")
            self._wait_broker(number)

    def down(self):
        self.java_proxy.stop()
        for process in (*self.brokers.values(), self.bookie):
            process.stop(signal.SIGKILL)
        self.zookeeper.stop()

    def forget(self):
        """Stops all and deletes the data: the next `up` is a new cluster. Logs stay."""
        self.down()
        shutil.rmtree(self._data, ignore_errors=True)
        shutil.rmtree(self.zookeeper.data, ignore_errors=True)
        self._file.unlink(missing_ok=True)

    def wipe(self):
        self.down()
        netns.destroy()
        shutil.rmtree(settings.RUN, ignore_errors=True)

    def kill_broker(self, number):
        self.brokers[number].stop(signal.SIGKILL)

    def start_broker(self, number):
        if not self.brokers[number].alive():
            self._start_broker(number)
        self._wait_broker(number)

    def restart_brokers(self):
        """For those that are to know other settings (`more`), or other names (`site`)."""
        for broker in self.brokers.values():
            broker.stop()
        for number in self.brokers:
            self._start_broker(number)
        for number in self.brokers:
            self._wait_broker(number)
        for number in self.brokers:
            wait_until(f"broker {number} to find an owner for a topic", 30, lambda number=number: self._finds(number))

    def _finds(self, number):
        """Whether a broker answers lookups: after it is ready it is some time until bundles have owners."""
        with contextlib.suppress(LabError):
            return self.admin("GET", f"/lookup/v2/topic/persistent/public/default/found-{uuid.uuid4().hex[:8]}", broker=number)

    # ---- questions

    @property
    def zookeeper_servers(self):
        return self.zookeeper.connect_string

    def broker_url(self, number):
        return f"pulsar://{self.site.brokers[number]}:{settings.BROKER_PORT}"

    def admin(self, method, path, body=None, broker=None, ok=(200, 204)):
        """A call of the brokers' admin REST API; the JSON answer, the text, or None."""
        number = broker or next(n for n, p in self.brokers.items() if p.alive())
        url = f"http://{self.site.brokers[number]}:{settings.BROKER_WEB}{path}"
        token = tokens.token("admin") if self.options["auth"] else None
        status, text = web.request(method, url, body, token, seconds=30, side=self.site.side)
        if status not in ok:
            raise LabError(f"{method} {url}: {status} {text[:300]}")
        try:
            return json.loads(text) if text else None
        except ValueError:
            return text

    def pulsar_admin(self, *words):
        """The pulsar-admin command, as an operator of this cluster types it."""
        lines = {"webServiceUrl": f"http://{self.site.brokers[1]}:{settings.BROKER_WEB}"}
        if self.options["auth"]:
            lines["authPlugin"] = "org.apache.pulsar.client.impl.auth.AuthenticationToken"
            lines["authParams"] = f"token:{tokens.token('admin')}"
        conf = self._write(f"{self.site.prefix}client.conf", lines)
        line = java.command("org.apache.pulsar.admin.cli.PulsarAdminTool", conf, *words, path=[f"{settings.ADMIN_JARS}/*"])
        done = subprocess.run(netns.exec_in(self.site.side, line), capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"pulsar-admin {' '.join(map(str, words))}: {done.stdout[-500:]} {done.stderr[-500:]}")
        return done.stdout

    def bundles(self, namespace="public/default"):
        """Bundle name -> number of the broker that owns it (only owned ones)."""
        owned = {}
        for number, broker in self.brokers.items():
            if not broker.alive():
                continue
            address = self.site.brokers[number]
            answer = self.admin("GET", f"/admin/v2/brokers/{self.site.cluster}/{address}:{settings.BROKER_WEB}/ownedNamespaces", broker=number)
            for name in answer:
                if name.startswith(namespace + "/"):
                    owned[name.rpartition("/")[2]] = number
        return owned

    def owner(self, topic):
        """The number of the broker that serves a topic (which makes one own it)."""
        found = self.admin("GET", f"/lookup/v2/topic/persistent/{topic}")
        host = urllib.parse.urlsplit(found["brokerUrl"]).hostname
        return next(n for n, a in self.site.brokers.items() if a == host)

    def bundle(self, topic):
        return self.admin("GET", f"/lookup/v2/topic/persistent/{topic}/bundle")

    def unload(self, topic, to=None):
        """Unloads the bundle of a topic, if asked to a broker of our choice."""
        namespace = topic.rpartition("/")[0]
        query = f"?destinationBroker={self.site.brokers[to]}:{settings.BROKER_WEB}" if to else ""
        self.admin("PUT", f"/admin/v2/namespaces/{namespace}/{self.bundle(topic)}/unload{query}")

    def give(self, topic, number):
        """Sees to it that a broker of our choice owns a topic's bundle: a client's lookup just then may have given it back to the other one."""

        def given():
            with contextlib.suppress(LabError):  # a bundle that is on its way has no owner
                if self.owner(topic) == number:
                    return True
                self.unload(topic, to=number)
                return self.owner(topic) == number
            return False

        wait_until(f"broker {number} to own {topic}", 20, given)

    # ---- the parts

    def _init_metadata(self):
        done = self._data / "metadata.done"
        if done.exists():
            return
        first = self.site.brokers[1]
        store = f"zk:{self.zookeeper_servers}"
        process = Process(f"{self.site.prefix}metadata")
        process.start(java.command(
            "org.apache.pulsar.PulsarClusterMetadataSetup", "--cluster", self.site.cluster, "--metadata-store", store,
            "--configuration-metadata-store", store, "--web-service-url", f"http://{first}:{settings.BROKER_WEB}",
            "--broker-service-url", f"pulsar://{first}:{settings.BROKER_PORT}", "--initial-num-transaction-coordinators", 2,
        ), self.site.side)  # fmt: skip
        if process.wait(60) != 0:
            raise LabError(f"metadata set-up failed:\n{process.tail()}")
        done.touch()

    def _start_bookie(self):
        if self.bookie.alive():
            return
        data = self._data / "bookie"
        conf = self._write(f"{self.site.prefix}bookie.conf", {
            "bookiePort": 3181, "advertisedAddress": self.site.bookie, "listeningInterface": "lo", "allowLoopback": "true",
            "zkServers": self.zookeeper_servers, "zkLedgersRootPath": "/ledgers", "zkTimeout": 30000,
            "journalDirectories": data / "journal", "ledgerDirectories": data / "ledgers", "journalSyncData": "false",
            "journalPreAllocSizeMB": 16, "journalMaxSizeMB": 256, "skipListSizeLimit": 33554432,
            "nettyMaxFrameSizeBytes": 5253120, "diskUsageThreshold": 0.99, "diskUsageWarnThreshold": 0.98,
            "httpServerEnabled": "false", "gcWaitTime": 300000,
            "statsProviderClass": "org.apache.bookkeeper.stats.NullStatsProvider",
        })  # fmt: skip
        self.bookie.start(java.command("org.apache.bookkeeper.server.Main", "--conf", conf, heap="256m", direct="256m"), self.site.side)
        self.bookie.wait_ready(60, lambda: web.reachable(self.site.bookie, 3181, self.site.side))

    def _start_broker(self, number):
        address = self.site.brokers[number]
        manager = "extensions.ExtensibleLoadManagerImpl" if self.options["extensible"] else "impl.ModularLoadManagerImpl"
        store = f"zk:{self.zookeeper_servers}"
        internal, gateway = f"pulsar://{address}:{settings.BROKER_PORT}", f"pulsar://{address}:{settings.BROKER_GATEWAY_PORT}"
        lines = {
            "clusterName": self.site.cluster, "metadataStoreUrl": store, "configurationMetadataStoreUrl": store,
            "metadataStoreSessionTimeoutMillis": 6000, "bindAddress": address, "advertisedAddress": address, "brokerServicePort": settings.BROKER_PORT,
            "webServicePort": settings.BROKER_WEB,
            # a second listener under a name of its own: what a client gets that asks for it
            "bindAddresses": f"gateway:{gateway}", "internalListenerName": "internal",
            "advertisedListeners": f"internal:{internal},gateway:{gateway}",
            "haProxyProtocolEnabled": "true",  # a PROXY header is accepted, not demanded
            "managedLedgerDefaultEnsembleSize": 1, "managedLedgerDefaultWriteQuorum": 1, "managedLedgerDefaultAckQuorum": 1,
            "managedLedgerCacheSizeMB": 64, "defaultNumberOfNamespaceBundles": 4,
            "loadManagerClassName": f"org.apache.pulsar.broker.loadbalance.{manager}",
            "loadBalancerAutoBundleSplitEnabled": "false", "loadBalancerSheddingEnabled": "false",
            "transactionCoordinatorEnabled": "true", "systemTopicEnabled": "true", "topicLevelPoliciesEnabled": "true",
            "acknowledgmentAtBatchIndexLevelEnabled": "true", "brokerDeleteInactiveTopicsEnabled": "false",
            "functionsWorkerEnabled": "false", "webSocketServiceEnabled": "false", "numIOThreads": 2, "numHttpServerThreads": 8,
            "numOrderedExecutorThreads": 2, "numWorkerThreadsForNonPersistentTopic": 2, "bookkeeperNumberOfChannelsPerBookie": 2,
        }  # fmt: skip
        if self.options["extensible"]:
            lines["loadBalancerTransferEnabled"] = "true"
        if self.options["tls"]:
            certificate, key = self.authority.issue(self.site.names[number], address, self.site.service_name)
            secure = f"pulsar+ssl://{self.site.names[number]}:{settings.BROKER_TLS_PORT}"
            lines |= {
                "brokerServicePortTls": settings.BROKER_TLS_PORT, "tlsCertificateFilePath": certificate, "tlsKeyFilePath": key,
                "tlsTrustCertsFilePath": self.authority.file, "tlsHostnameVerificationEnabled": "true",
                "advertisedListeners": f"internal:{internal},internal:{secure},gateway:{gateway}",
            }  # fmt: skip
        if self.options["auth"]:
            lines |= {
                "authenticationEnabled": "true", "authorizationEnabled": "true", "authenticationRefreshCheckSeconds": 3,
                "authenticationProviders": ",".join(AUTHENTICATION[kind] for kind in ("token", "tls")),
                "tokenSecretKey": f"file://{tokens.key_file()}", "superUserRoles": "admin,broker,client,anonymous,proxy",
                "proxyRoles": "proxy",  # whoever comes as this says on whose behalf; a broker wants both to be allowed
                "anonymousUserRole": "anonymous",  # who brings no token may do all: one cluster serves both kinds of test
                "brokerClientAuthenticationPlugin": "org.apache.pulsar.client.impl.auth.AuthenticationToken",
                "brokerClientAuthenticationParameters": f"token:{tokens.token('broker')}",
            }  # fmt: skip
        if self.options["mtls"]:  # no anonymous, and none at all without a certificate
            lines.pop("anonymousUserRole", None)
            lines["tlsRequireTrustedClientCertOnConnect"] = "true"
        conf = self._write(f"{self.site.prefix}broker{number}.conf", {**lines, **self.more})
        self.brokers[number].start(
            java.command("org.apache.pulsar.PulsarBrokerStarter", "--broker-conf", conf, heap="512m", direct="512m"), self.site.side
        )

    def _wait_broker(self, number):
        address = self.site.brokers[number]
        token = tokens.token("admin") if self.options["auth"] else None

        def ready():
            try:
                url = f"http://{address}:{settings.BROKER_WEB}/admin/v2/brokers/ready"
                return web.request("GET", url, token=token, seconds=5, side=self.site.side)[0] == 200 and web.reachable(address, settings.BROKER_PORT, self.site.side)
            except OSError:
                return False

        self.brokers[number].wait_ready(120, ready)

    def start_java_proxy(self, **more):
        """The stock Java proxy on the gate address: what penstock is compared with. `more`: lines of proxy.conf."""
        store = f"zk:{self.zookeeper_servers}"
        conf = self._write("java-proxy.conf", {
            "clusterName": "c1", "metadataStoreUrl": store, "configurationMetadataStoreUrl": store,
            "bindAddress": settings.GATE_ADDRESS, "advertisedAddress": settings.GATE_ADDRESS, "servicePort": 6650,
            "webServicePort": 8080, "brokerProxyAllowedTargetPorts": "6650,6651,6652", **more,
        })  # fmt: skip
        self.java_proxy.start(
            java.command("org.apache.pulsar.proxy.server.ProxyServiceStarter", "--config", conf, heap="256m", direct="256m")
        )
        self.java_proxy.wait_ready(60, lambda: web.reachable(settings.GATE_ADDRESS, more.get("servicePort", 6650)))

    def _write(self, name, lines):
        file = settings.RUN / "conf" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        return file


def hold(cluster, say):
    """A new cluster until this process ends: SIGTERM wipes it, and however else it ends, the servers end with it.
    When it is up, one line of JSON says where."""
    Process.dies_with_us = True
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        cluster.wipe()
        cluster.up(say)
        brokers = [settings.BROKER_ADDRESSES[number] for number in cluster.brokers]
        print(json.dumps({
            "zookeeper": cluster.zookeeper_servers,
            "brokers": [f"{address}:{settings.BROKER_PORT}" for address in brokers],
            "web": [f"{address}:{settings.BROKER_WEB}" for address in brokers],
        }), flush=True)  # fmt: skip
        signal.pause()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        cluster.wipe()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("verb")
    parser.add_argument("words", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    verb, words = arguments.verb, arguments.words

    if verb in ("up", "hold"):
        options = argparse.ArgumentParser()
        options.add_argument("--auth", action="store_true")
        options.add_argument("--tls", action="store_true")
        options.add_argument("--extensible", action="store_true")
        options.add_argument("--zookeepers", type=int, choices=(1, 3), default=1)
        options.add_argument("--brokers", type=int, choices=(1, 2), default=2)
        began = time.monotonic()
        cluster = Cluster(**vars(options.parse_args(words)))
        start = hold if verb == "hold" else Cluster.up
        start(cluster, say=lambda text: print(f"{time.monotonic() - began:5.1f} s  {text} ...", flush=True))
        print(f"{time.monotonic() - began:5.1f} s  up: {settings.RUN}")
        return 0
    cluster = Cluster()
    if verb in ("down", "wipe"):
        Cluster(settings.FAR).down()  # left by a test that was killed
        kafkacluster.KafkaCluster().down()
        kafkacluster.OldKafkaCluster().down()
        getattr(cluster, verb)()
    elif verb == "broker-kill":
        cluster.kill_broker(int(words[0]))
    elif verb == "broker-start":
        cluster.start_broker(int(words[0]))
    elif verb == "give":
        cluster.give(words[0], int(words[1]))
    elif verb == "zk-stop":
        cluster.zookeeper.stop()
    elif verb == "zk-start":
        cluster.zookeeper.start()
    elif verb == "java-proxy-start":
        cluster.start_java_proxy()
    elif verb == "java-proxy-stop":
        cluster.java_proxy.stop()
    elif verb in ("in", "out") and words:
        side = settings.BROKER_SIDE if verb == "in" else settings.CLIENT_SIDE
        line = netns.exec_in(side, words)
        os.execvp(line[0], line)
    elif verb == "token" and words:
        print(tokens.token(words[0], float(words[1]) if len(words) > 1 else None))
    elif verb == "status":
        for process in (*cluster.zookeeper.servers, cluster.bookie, *cluster.brokers.values(), cluster.java_proxy):
            print(f"{process.name:12} {process.pid or 'not running'}")
    else:
        parser.error(f"no such verb: {verb}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"cluster: {error}")
