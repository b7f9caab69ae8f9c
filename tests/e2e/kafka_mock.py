"""The co-process of test_57: librdkafka's cluster of mock brokers, which does what it is told when it is told. Runs on the broker side.

Every request: {"case": a method of Mock, its arguments}.
"""
import ctypes
import glob
import importlib.util
import json
import os
import socket
import sys
import threading
import traceback
from ctypes import POINTER, c_char_p, c_int, c_int16, c_int32, c_size_t, c_void_p

import kafka_ctypes

HOST = "127.0.0.1"  # the only one that mock brokers listen at

# rd_kafka_mock_...: result, arguments
FUNCTIONS = {
    "cluster_new": (c_void_p, c_void_p, c_int),
    "cluster_bootstraps": (c_char_p, c_void_p),
    "group_initial_rebalance_delay_ms": (None, c_void_p, c_int32),
    "broker_set_host_port": (None, c_void_p, c_int32, c_char_p, c_int),
    "broker_set_down": (c_int, c_void_p, c_int32),
    "broker_set_up": (c_int, c_void_p, c_int32),
    "topic_create": (c_int, c_void_p, c_char_p, c_int, c_int),
    "partition_set_leader": (c_int, c_void_p, c_char_p, c_int32, c_int32),
    "partition_push_leader_response": (c_int, c_void_p, c_char_p, c_int, c_int32, c_int32),
    "push_request_errors_array": (None, c_void_p, c_int16, c_size_t, POINTER(c_int)),
    "clear_request_errors": (None, c_void_p, c_int16),
    "coordinator_set": (c_int, c_void_p, c_char_p, c_char_p, c_int32),
    "start_request_tracking": (None, c_void_p),
    "clear_requests": (None, c_void_p),
    "get_requests": (POINTER(c_void_p), c_void_p, POINTER(c_size_t)),
    "request_destroy_array": (None, POINTER(c_void_p), c_size_t),
    "request_id": (c_int32, c_void_p),
    "request_api_key": (c_int16, c_void_p),
}


def library():
    """That of the Python package, which is new: it has all of these functions."""
    package = os.path.dirname(importlib.util.find_spec("confluent_kafka").origin)
    return glob.glob(f"{package}.libs/librdkafka-*.so*")[0]


class House:
    """Another address for a broker, until it moves out: a port from which bytes are carried to its own."""

    def __init__(self, port):
        self.visits, self._to, self._open, self._lock = 0, port, set(), threading.Lock()
        self._server = socket.create_server((HOST, 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                visitor, _ = self._server.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection((HOST, self._to))
            except OSError:
                visitor.close()
                continue
            with self._lock:
                self.visits += 1
                self._open |= {visitor, broker}
            for source, sink in ((visitor, broker), (broker, visitor)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def _carry(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        House._shut(sink)

    @staticmethod
    def _shut(one):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self):
        """Nobody is let in any more, and who is there is put out."""
        self._shut(self._server)
        self._server.close()
        with self._lock:
            for one in self._open:
                self._shut(one)


class Mock:
    def __init__(self):
        path = library()
        self.api = kafka_ctypes.Api(path)
        dll = ctypes.CDLL(path)
        for name, (result, *arguments) in FUNCTIONS.items():
            function = dll[f"rd_kafka_mock_{name}"]
            function.restype, function.argtypes = result, arguments
            setattr(self, f"_{name}", function)
        self.houses = {}

    def open(self, names):
        """A broker of each of these names, which it tells to clients: where they are."""
        text = ctypes.create_string_buffer(512)
        self.handle = self.api.new(kafka_ctypes.PRODUCER, self.api.conf_new(), text, len(text))
        self.cluster = self._cluster_new(self.handle, len(names))
        self.names = dict(enumerate(names, 1))
        self.ports = dict(enumerate((int(where.split(":")[1]) for where in self._cluster_bootstraps(self.cluster).decode().split(",")), 1))
        for broker in self.names:
            self._tell(broker, self.ports[broker])
        self._group_initial_rebalance_delay_ms(self.cluster, 0)
        self._start_request_tracking(self.cluster)
        return {"bootstrap": [f"{name}:{self.ports[broker]}" for broker, name in self.names.items()]}

    def _tell(self, broker, port):
        self._broker_set_host_port(self.cluster, broker, self.names[broker].encode(), port)

    def topic(self, topic, partitions, brokers):
        self.api.check(self._topic_create(self.cluster, topic.encode(), partitions, brokers))
        return {}

    def leader(self, topic, partition, broker):
        self.api.check(self._partition_set_leader(self.cluster, topic.encode(), partition, broker))
        return {}

    def leader_response(self, topic, partition, broker, epoch, times=1):
        """The next answers to Metadata, and errors of Fetch, name this leader; the address beside a Fetch's is that of the real one."""
        for _ in range(times):
            self.api.check(self._partition_push_leader_response(self.cluster, topic.encode(), partition, broker, epoch))
        return {}

    def errors(self, call, errors):
        """The next answers to this call have these errors; -195 is the end of the connection."""
        self._push_request_errors_array(self.cluster, call, len(errors), (c_int * len(errors))(*errors))
        return {}

    def no_errors(self, calls):
        for call in calls:
            self._clear_request_errors(self.cluster, call)
        return {}

    def down(self, broker):
        self.api.check(self._broker_set_down(self.cluster, broker))
        return {}

    def up(self, broker):
        self.api.check(self._broker_set_up(self.cluster, broker))
        return {}

    def move(self, broker):
        """To a port that nobody knows yet; the one it leaves is closed, if it is not its own."""
        new, old = House(self.ports[broker]), self.houses.get(broker)
        self.houses[broker] = new
        self._tell(broker, new.port)
        if old:
            old.close()
        return {}

    def visits(self, broker):
        """How many connections there were to where it is now."""
        return {"visits": self.houses[broker].visits}

    def home(self, broker):
        """Back to where it came from."""
        self._tell(broker, self.ports[broker])
        self.houses.pop(broker).close()
        return {}

    def coordinator(self, group, broker):
        self.api.check(self._coordinator_set(self.cluster, b"group", group.encode(), broker))
        return {}

    def forget(self):
        self._clear_requests(self.cluster)
        return {}

    def requests(self):
        """What came since forget(), in order: [broker, call]."""
        count = c_size_t()
        found = self._get_requests(self.cluster, ctypes.byref(count))
        rows = [[self._request_id(found[i]), self._request_api_key(found[i])] for i in range(count.value)]
        self._request_destroy_array(found, count)
        return {"requests": rows}


def main():
    mock = Mock()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"ok": True, **getattr(mock, request.pop("case"))(**request)}
        except BaseException as error:  # noqa: BLE001 - told to the test
            traceback.print_exc()
            answer = {"ok": False, "error": type(error).__name__, "message": str(error)}
        print(json.dumps(answer), flush=True)


main()
