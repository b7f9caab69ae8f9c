#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a Pulsar stream penstock moves by splice, and whether its counter tells the truth.

Starts penstock in front of a broker of its own that speaks just enough Pulsar (CONNECT, SEND with
receipts, FLOW, MESSAGE), produces and consumes messages of 64 KiB and more through it, and reads
/metrics: at least 95 % of the bytes must have gone by splice. Then it does the same under strace
and compares penstock_bytes_total{path="splice"} with the sum of what splice(2) returned. Each byte
passes two calls, socket to pipe and pipe to socket; both sums must agree with the counter to 1 %.

With --pid and --admin it watches a penstock that runs already, in front of real brokers, for
--seconds. Exit status: 0 passed, 1 failed, 2 could not run.
"""

import argparse
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from harness import PENSTOCK, BenchError
from harness.contenders import Penstock
from harness.processes import Processes, free_port, http_get, metric_sum, wait_ready

LIMIT_SHARE = 0.95
LIMIT_OFF = 0.01
KIB, MIB = 1024, 1024 * 1024
SIZES = (64 * KIB, 256 * KIB, MIB, 4 * MIB)
PLAIN_BYTES = 128 * MIB     # for each size and direction
TRACED_BYTES = 32 * MIB     # strace makes every call slow
WINDOW = 16                 # messages sent and not yet acknowledged, as a producer would
DIRECTIONS = ("to_broker", "to_client")
CONNECT, CONNECTED, SEND, SEND_RECEIPT, MESSAGE, FLOW = 2, 3, 6, 7, 9, 11


# ---- as much of Pulsar's wire format as is needed ------------------------------------------------

def varint(value):
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def command(kind, body):
    return number(1, kind) + text(kind, body)


def frame(kind, body):
    """A command without payload."""
    inner = command(kind, body)
    return struct.pack(">II", 4 + len(inner), len(inner)) + inner


def payload_frame(kind, body, payload):
    """SEND or MESSAGE, without the checksum, which the protocol leaves optional."""
    inner = command(kind, body)
    metadata = text(1, b"bench") + number(2, 1) + number(3, 1)
    rest = struct.pack(">I", len(metadata)) + metadata + payload
    return struct.pack(">II", 4 + len(inner) + len(rest), len(inner)) + inner + rest


def read_exactly(connection, size):
    whole = bytearray(size)
    view = memoryview(whole)
    while size > 0:
        n = connection.recv_into(view, size)
        if n == 0:
            raise BenchError("the connection ended in the middle of a frame")
        view = view[n:]
        size -= n
    return whole


def read_frame(connection):
    """(command, the bytes after the two sizes); None at the end of the connection."""
    first = connection.recv(1)
    if not first:
        return None
    (total,) = struct.unpack(">I", first + read_exactly(connection, 3))
    rest = read_exactly(connection, total)
    return rest[5], rest[4:]


def ends_with(rest, payload):
    return len(rest) >= len(payload) and memoryview(rest)[len(rest) - len(payload):] == payload


class Broker(threading.Thread):
    """Serves one connection after another. FLOW carries the size and number of messages wanted."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", free_port()))
        self.port = self.listener.getsockname()[1]
        self.wrong = 0
        self.saw_target = False

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    self.serve(connection)
                except (OSError, BenchError):
                    self.wrong += 1

    def serve(self, connection):
        while (got := read_frame(connection)) is not None:
            kind, rest = got
            if kind == CONNECT:
                self.saw_target = self.saw_target or b"127.0.0.1:" in rest
                connection.sendall(frame(CONNECTED, text(1, b"bench") + number(2, 21)
                                         + number(3, 5 * MIB)))
            elif kind == SEND:
                size = next(s for s in reversed(SIZES) if s <= len(rest))
                self.wrong += not ends_with(rest, PAYLOADS[size])
                connection.sendall(frame(SEND_RECEIPT, number(1, 1) + number(2, 1)))
            elif kind == FLOW:
                size, count = struct.unpack(">II", rest[-8:])
                whole = payload_frame(MESSAGE, number(1, 1), PAYLOADS[size])
                for _ in range(count):
                    connection.sendall(whole)


PAYLOADS = {size: os.urandom(size) for size in SIZES}


def open_client(port, broker_port):
    client = socket.create_connection(("127.0.0.1", port), 10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    target = f"127.0.0.1:{broker_port}".encode()
    client.sendall(frame(CONNECT, text(1, b"bench") + number(4, 21) + text(6, target)))
    got = read_frame(client)
    if got is None or got[0] != CONNECTED:
        raise BenchError(f"no CONNECTED but {got and bytes(got[1][:200])}")
    client.settimeout(60)
    return client


def produce(client, size, total):
    whole = payload_frame(SEND, number(1, 1) + number(2, 1), PAYLOADS[size])
    count = total // size
    for i in range(count + WINDOW):
        if i < count:
            client.sendall(whole)
        if i >= WINDOW:
            got = read_frame(client)
            if got is None or got[0] != SEND_RECEIPT:
                raise BenchError("a message was not acknowledged")
    return count * len(whole)


def consume(client, size, total):
    count = total // size
    client.sendall(frame(FLOW, number(1, 1) + number(2, count)
                         + text(15, struct.pack(">II", size, count))))
    moved = 0
    for _ in range(count):
        got = read_frame(client)
        if got is None or got[0] != MESSAGE or not ends_with(got[1], PAYLOADS[size]):
            raise BenchError("a message came damaged or not at all")
        moved += 4 + 4 + len(got[1])
    return moved


# ---- the two sides that are compared -------------------------------------------------------------

class Counters:
    def __init__(self, host, port):
        self.host, self.port = host, port

    def read(self):
        metrics = http_get(self.host, self.port, "/metrics")[1]
        return {(way, path): metric_sum(metrics, "penstock_bytes_total", dir=way, path=path)
                or 0.0 for way in DIRECTIONS for path in ("splice", "copy")}

    def since(self, before):
        """What was added, once the counters have come to rest."""
        last = None
        for _ in range(40):
            now = self.read()
            if now == last:
                break
            last = now
            time.sleep(0.05)
        return {key: now[key] - before[key] for key in now}


CALL = re.compile(r"^(\d+) +splice\(\d+<(\w+)")
RESULT = re.compile(r"\) += (-?\d+)")
RESUMED = re.compile(r"^(\d+) +<\.\.\. splice resumed>")


def sum_splices(trace):
    """Bytes by what they were taken from: {'socket': n, 'pipe': n, 'calls': n}."""
    sums = {"socket": 0, "pipe": 0, "calls": 0}
    begun = {}
    for line in trace.splitlines():
        call, resumed = CALL.match(line), RESUMED.match(line)
        if call:
            kind = "pipe" if call[2] == "pipe" else "socket"
            if "<unfinished" in line:
                begun[call[1]] = kind
                continue
        elif resumed and resumed[1] in begun:
            kind = begun.pop(resumed[1])
        else:
            continue
        result = RESULT.search(line)
        sums["calls"] += 1
        if result and int(result[1]) > 0:
            sums[kind] += int(result[1])
    return sums


class Strace:
    """strace attached to every thread of a process; stop() returns the sums."""

    def __init__(self, pid, folder):
        self.file = os.path.join(folder, "splice.trace")
        self.process = subprocess.Popen(
            ["strace", "-f", "-y", "-e", "trace=splice", "-e", "signal=none", "-o", self.file,
             "-p", str(pid)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 10
        while not all_traced(pid):
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                raise BenchError("strace cannot attach: " + self.process.stderr.read())
            time.sleep(0.02)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        with open(self.file, encoding="utf-8", errors="replace") as trace:
            return sum_splices(trace.read())


def all_traced(pid):
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as status:
            if "TracerPid:\t0\n" in status.read():
                return False
    return True


# ---- verdicts ------------------------------------------------------------------------------------

def judge_share(name, splice, copy):
    share = splice / (splice + copy) if splice + copy else 0.0
    good = share >= LIMIT_SHARE
    print(f"  {name:<24} {splice / 1e6:10.1f} MB by splice of {(splice + copy) / 1e6:10.1f}"
          f"   {share:7.2%}  {'PASS' if good else f'FAIL (limit {LIMIT_SHARE:.0%})'}")
    return good


def judge_trace(counted, sums):
    good = counted > 0
    print(f"  penstock_bytes_total{{path=\"splice\"}} rose by {counted:.0f}; "
          f"strace saw {sums['calls']} calls")
    for kind, way in (("socket", "socket to pipe"), ("pipe", "pipe to socket")):
        off = sums[kind] / counted - 1 if counted else 1.0
        fine = abs(off) <= LIMIT_OFF
        good = good and fine
        print(f"  {way}: sum of returns {sums[kind]}, {off:+.3%} of the counter  "
              f"{'PASS' if fine else f'FAIL (limit {LIMIT_OFF:.0%})'}")
    return good


def run_streams(client, counters, total, show):
    """Both directions at every size; passes when every share is high enough and no byte is lost."""
    good = True
    for size in SIZES:
        for way, act in (("to_broker", produce), ("to_client", consume)):
            before = counters.read()
            moved = act(client, size, total)
            added = counters.since(before)
            splice, copy = added[way, "splice"], added[way, "copy"]
            if not show:
                continue
            good = judge_share(f"{size // KIB} KiB {way}", splice, copy) and good
            if abs(splice + copy - moved) > 0.001 * moved:
                print(f"    the counters add up to {splice + copy:.0f} bytes, {moved} were moved")
                good = False
    return good


def start_penstock(processes, broker_port):
    port, admin = free_port(), free_port()
    path = processes.write("spliced.yaml", f"""\
clusters:
  bench: {{ protocol: pulsar, discovery: {{ urls: ["pulsar://127.0.0.1:{broker_port}"] }} }}
listeners:
  - {{ name: pulsar, bind: "127.0.0.1:{port}", cluster: bench }}
process: {{ workers: 1 }}
admin: {{ listen: "127.0.0.1:{admin}" }}
log: {{ level: info, format: text, access: errors }}
""")
    process = processes.start("penstock", [PENSTOCK, "run", "-c", path],
                              {max(os.sched_getaffinity(0))})
    wait_ready(process, admin, processes)
    return process, port, admin


def run_own():
    missing = Penstock.why_missing("penstock")
    if missing:
        raise BenchError(missing)
    with Processes() as processes:
        broker = Broker()
        broker.start()
        process, port, admin = start_penstock(processes, broker.port)
        counters = Counters("127.0.0.1", admin)
        try:
            with open_client(port, broker.port) as client:
                print("bytes by splice, Pulsar messages through penstock")
                good = run_streams(client, counters, PLAIN_BYTES, show=True)
                print("the counter against strace")
                before = counters.read()
                tracer = Strace(process.pid, processes.folder)
                try:
                    run_streams(client, counters, TRACED_BYTES, show=False)
                    added = counters.since(before)
                finally:
                    sums = tracer.stop()
                good = judge_trace(sum(added[way, "splice"] for way in DIRECTIONS), sums) and good
        except (OSError, BenchError) as error:
            raise BenchError(f"{error}\npenstock said:\n{processes.log_of(process)}") \
                from error
        finally:
            broker.listener.close()
        if broker.wrong or broker.saw_target:
            print(f"  the broker got {broker.wrong} damaged messages; proxy_to_broker_url "
                  f"{'reached it' if broker.saw_target else 'was removed'}  FAIL")
            good = False
        return good


def run_watch(pid, admin, seconds):
    host, port = admin.rsplit(":", 1)
    counters = Counters(host, int(port))
    with Processes() as processes:
        try:
            before = counters.read()
        except OSError as error:
            raise BenchError(f"no metrics at {admin}: {error}") from error
        if not os.path.isdir(f"/proc/{pid}"):
            raise BenchError(f"there is no process {pid}")
        tracer = Strace(pid, processes.folder)
        try:
            time.sleep(seconds)
        finally:
            sums = tracer.stop()
        added = counters.since(before)
    good = True
    for way in DIRECTIONS:
        if added[way, "splice"] + added[way, "copy"] > MIB:
            good = judge_share(way, added[way, "splice"], added[way, "copy"]) and good
    return judge_trace(sum(added[way, "splice"] for way in DIRECTIONS), sums) and good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pid", type=int, help="watch this penstock instead of starting one")
    parser.add_argument("--admin", default="127.0.0.1:9180", help="its admin address")
    parser.add_argument("--seconds", type=float, default=10, help="for how long (with --pid)")
    arguments = parser.parse_args()
    if shutil.which("strace") is None:
        raise BenchError("strace is not installed: `apt-get install strace`")
    if arguments.pid:
        good = run_watch(arguments.pid, arguments.admin, arguments.seconds)
    else:
        good = run_own()
    print(f"spliced: {'PASS' if good else 'FAIL'}")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as problem:
        print(f"spliced.py: {problem}", file=sys.stderr)
        sys.exit(2)
