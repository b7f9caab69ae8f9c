# SPDX-License-Identifier: GPL-3.0-or-later
"""The peers on the JVM: the Java Pulsar proxy and Kroxylicious.

They have one core like everybody, so the JVM chooses the serial collector by itself, and Netty two
event loops. The JIT compiles on the same core and in the CPU time of the process: a cell therefore
warms them up before the first run that counts.
"""

from . import CACHE
from .brokers import PULSAR_JARS, jvm, lacks_jars
from .contenders import Contender, register
from .processes import first_line, free_port, split

KROXYLICIOUS_JARS = CACHE / "jars-kroxylicious-0.12.0"


class JavaPeer(Contender):
    start_seconds = 60
    warm_up_seconds = 15    # bench/README.md says how it was found
    jars = None
    artifact = None         # whose version is shown

    @classmethod
    def why_missing(cls, name):
        return lacks_jars(cls.jars)

    @classmethod
    def version(cls):
        jar = next(cls.jars.glob(f"{cls.artifact}-[0-9]*.jar"), None)
        return f"{jar.stem if jar else cls.artifact}, {first_line(['java', '-version'])}"

    def jvm(self, *words):
        # Netty's fast paths, opened as the start scripts of Pulsar do.
        return [*jvm(self.processes, self.jars, "-Xms512m", "-Xmx512m",
                     "-XX:MaxDirectMemorySize=512m", "-Dio.netty.tryReflectionSetAccessible=true",
                     "--add-opens=java.base/java.nio=ALL-UNNAMED",
                     "--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED"), *words]


@register("pulsar-java")
class PulsarProxy(JavaPeer):
    """The proxy of the Pulsar project, with zero copy (splice), its default. Given a broker's URL it
    insists on one for the web too, which nobody uses here."""
    roles = frozenset({"pulsar"})
    jars = PULSAR_JARS
    artifact = "pulsar-proxy"

    def config(self):
        (sink, address), = self.at.items()
        host, port = split(address)
        return f"""\
clusterName=bench
brokerServiceURL=pulsar://{self.to[sink]}
brokerWebServiceURL=http://{self.to[sink]}
bindAddress={host}
advertisedAddress={host}
servicePort={port}
webServicePort={free_port()}
"""

    def command(self):
        return self.jvm("org.apache.pulsar.proxy.server.ProxyServiceStarter", "--config",
                        self.write_config())


@register("kroxylicious-epoll", "kroxylicious-uring")
class Kroxylicious(JavaPeer):
    """Without filters: it decodes what it must to rewrite addresses. Its listeners cannot be bound
    to one address, so they are on all of the machine while it runs."""
    roles = frozenset({"kafka"})
    jars = KROXYLICIOUS_JARS
    artifact = "kroxylicious-runtime"

    def config(self):
        (sink, address), = self.at.items()
        return f"""\
useIoUring: {"true" if self.variant == "uring" else "false"}
virtualClusters:
- name: bench
  targetCluster: {{ bootstrapServers: "{self.to[sink]}" }}
  gateways:
  - name: default
    portIdentifiesNode:
      bootstrapAddress: {address}
      nodeStartPort: {free_port()}
      nodeIdRanges: [ {{ name: all, start: 1, end: 1 }} ]
"""

    def command(self):
        return self.jvm("Kroxylicious", self.write_config("yaml"))
