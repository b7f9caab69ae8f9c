"""A real ZooKeeper on the broker side: one server, or an ensemble of three."""
import shutil
import signal
import socket

import java
import netns
import settings
from processes import Process


class ZooKeeper:
    def __init__(self, name="zookeeper", addresses=(settings.ZOOKEEPER_ADDRESSES[0],), side=settings.BROKER_SIDE):
        self.name, self.side = name, side
        self.addresses = list(addresses)
        self.data = settings.RUN / "data" / name
        self.servers = [Process(f"{name}{i + 1}" if len(self.addresses) > 1 else name) for i in range(len(self.addresses))]

    @property
    def connect_string(self):
        return ",".join(f"{a}:{settings.ZOOKEEPER_PORT}" for a in self.addresses)

    def start(self):
        for index in range(len(self.servers)):
            self.start_one(index)
        for index in range(len(self.servers)):
            self.servers[index].wait_ready(40, lambda index=index: self.serves(index))

    def start_one(self, index):
        if self.servers[index].alive():
            return
        home = self.data / str(index + 1)
        home.mkdir(parents=True, exist_ok=True)
        (home / "myid").write_text(f"{index + 1}\n")
        lines = [
            "tickTime=500", f"dataDir={home}", f"clientPort={settings.ZOOKEEPER_PORT}", f"clientPortAddress={self.addresses[index]}",
            "admin.enableServer=false", "4lw.commands.whitelist=*", "maxClientCnxns=0", "extendedTypesEnabled=true",
            "minSessionTimeout=1000", "maxSessionTimeout=60000",
        ]  # fmt: skip
        if len(self.addresses) > 1:
            lines += ["initLimit=20", "syncLimit=10"]
            lines += [f"server.{i + 1}={a}:2888:3888" for i, a in enumerate(self.addresses)]
        conf = settings.RUN / "conf" / f"{self.servers[index].name}.cfg"
        conf.parent.mkdir(parents=True, exist_ok=True)
        conf.write_text("\n".join(lines) + "\n")
        self.servers[index].start(java.command("org.apache.zookeeper.server.quorum.QuorumPeerMain", conf), self.side)

    def ask(self, index, word):
        """The answer to a four-letter word, or '' if nobody answers."""
        with netns.inside(self.side):
            try:
                with socket.create_connection((self.addresses[index], settings.ZOOKEEPER_PORT), 1) as sock:
                    sock.settimeout(1)
                    sock.sendall(word.encode())
                    answer = b""
                    while chunk := sock.recv(4096):
                        answer += chunk
                    return answer.decode()
            except OSError:
                return ""

    def serves(self, index):
        return "Mode:" in self.ask(index, "srvr")

    def stop_one(self, index, number=signal.SIGKILL):
        self.servers[index].stop(number)

    def stop(self):
        for index in range(len(self.servers)):
            self.stop_one(index)

    def wipe(self):
        """Stops it and forgets the tree."""
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)
