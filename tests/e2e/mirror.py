"""A real ZooKeeper that says what the cluster's ZooKeeper says, made to be wrecked: the brokers do not notice, penstock must not mind.

    with Mirror() as zk: zk.broker("pulsar://127.77.1.1:6650"); zk.copy_brokers(cluster); ... zk.servers.stop()
"""
import contextlib
import json
import urllib.parse

import netns
from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss, NodeExistsError, NoNodeError, SessionExpiredError
from processes import wait_until
from zookeeper import ZooKeeper

BROKERS = "/loadbalance/brokers"


class Mirror:
    _count = 0

    def __init__(self, servers=1):
        Mirror._count += 1
        self.servers = ZooKeeper(f"mirror{Mirror._count}", [f"127.77.2.{Mirror._count * 4 + n}" for n in range(servers)])
        self._client = None

    def __enter__(self):
        self.servers.start()
        return self

    def __exit__(self, *_):
        self._forget()
        self.servers.wipe()

    def wipe(self):
        """kill -9, and the tree is gone; call servers.start() for an empty one."""
        self._forget()
        self.servers.wipe()

    def _forget(self):
        if self._client:
            self._client.stop()
            self._client.close()
        self._client = None

    @property
    def connect_string(self):
        return self.servers.connect_string

    @property
    def client(self):
        """A client on the broker side, connected."""
        if self._client is None:
            self._client = KazooClient(hosts=self.connect_string, timeout=10, connection_retry={"max_tries": -1, "max_delay": 0.2})
            with netns.broker_side():  # its threads are born there and stay there
                self._client.start(20)
        wait_until("the test's own ZooKeeper client", 20, lambda: self._client.connected)
        return self._client

    def put(self, path, text):
        """Holds when it returns: a server that is killed, or loses its quorum, in the middle only makes it take longer."""
        data = text if isinstance(text, bytes) else text.encode()

        def is_put():
            with contextlib.suppress(ConnectionLoss, SessionExpiredError, NodeExistsError):
                try:
                    self.client.set(path, data)
                except NoNodeError:
                    self.client.create(path, data, makepath=True)
                return True
            return False

        wait_until(f"{path} in the test's own ZooKeeper", 20, is_put)

    def remove(self, path):
        self.client.delete(path)

    def broker(self, url, form="modular", name=None, root="", **more):
        """Registers a broker in one of the three JSON forms; the path."""
        parts = urllib.parse.urlsplit(url)
        path = f"{root}{BROKERS}/{name or f'{parts.hostname}:8080'}"
        self.put(path, json.dumps(broker_json(url, form, **more)))
        return path

    def copy_brokers(self, cluster):
        """The nodes of the running cluster, byte for byte, but not ephemeral."""
        with netns.broker_side():
            source = KazooClient(hosts=cluster.zookeeper_servers)
            source.start(20)
        for name in source.get_children(BROKERS):
            self.put(f"{BROKERS}/{name}", source.get(f"{BROKERS}/{name}")[0])
        source.stop()
        source.close()


def broker_json(url, form, **more):
    host = urllib.parse.urlsplit(url).hostname
    common = {"webServiceUrl": f"http://{host}:8080", "pulsarServiceUrl": url}
    if form == "simple":
        common |= {"name": f"{host}:8080", "underLoaded": True, "overLoaded": False, "loadReportType": "LoadReport", "systemResourceUsage": {"cpu": {"usage": 1.0, "limit": 200.0}}}
    elif form == "modular":
        common |= {"cpu": {"usage": 3.1, "limit": 200.0}, "lastStats": {}, "bundles": [], "protocols": {}, "loadReportType": "LocalBrokerData", "startTimestamp": 1}
    else:
        common |= {
            "brokerId": f"{host}:8080", "pulsarServiceUrlTls": None, "advertisedListeners": {}, "protocols": {}, "startTimestamp": 1,
            "loadManagerClassName": "org.apache.pulsar.broker.loadbalance.extensions.ExtensibleLoadManagerImpl",
        }  # fmt: skip
    return common | more
