#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""penstock-bench against its own sinks: does the JSON line say what happened? Under ten seconds.

    bench/generator/test.py [NAME...]       # after `make bench-tools`; NAME as unittest has it

No figure is judged here: a busy machine must not fail this, so a run that says that the generator
was late is taken for good.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "build" / "release" / "penstock-bench"
PR_SET_PDEATHSIG = 1
SECONDS = 0.2
MODES = {"stream": "discard", "pingpong": "echo", "open": "echo", "crr": "echo", "hello": "hello",
         "mice": "mice"}
IN_TLS = ("stream", "pingpong")     # and idle, which is tested by itself
NEEDED = {"open": ["--rate", "500"], "hello": ["--sni", "a.example"]}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(*words):
    return subprocess.Popen([BENCH, *map(str, words)], text=True, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            preexec_fn=die_with_parent)


def outcome(process):
    """The exit status, the JSON line (None without one) and standard error."""
    out, err = process.communicate(timeout=20)
    return process.returncode, json.loads(out) if out else None, err


class Sink:
    """One sink process; a context that ends it."""

    def __init__(self, kind, *options):
        self.to = f"127.0.0.1:{free_port()}"
        self.process = start("sink", kind, "--listen", self.to, *options)
        if "listening" not in self.process.stdout.readline():
            raise AssertionError(self.process.communicate()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.communicate()

    def start_load(self, mode, *options):
        return start("load", mode, "--to", self.to, *options)

    def load(self, mode, *options):
        return outcome(self.start_load(mode, *NEEDED.get(mode, []), "-t", SECONDS, *options))


class TlsRelay:
    """Ends TLS in front of a sink, as a proxy does; a context that ends it."""

    def __init__(self, context, to):
        self.context = context
        self.target = ("127.0.0.1", int(to.rpartition(":")[2]))
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.to = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def serve(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.relay, args=(raw,), daemon=True).start()

    def relay(self, raw):
        with contextlib.suppress(OSError), self.context.wrap_socket(raw, server_side=True) as guest, \
                socket.create_connection(self.target) as sink:
            while True:
                ready = [guest] if guest.pending() else select.select([guest, sink], [], [])[0]
                for one, other in ((guest, sink), (sink, guest)):
                    if one not in ready:
                        continue
                    data = one.recv(1 << 14)
                    if not data and one is sink:
                        guest.unwrap()
                    if not data:
                        return
                    other.sendall(data)


def setUpModule():
    """A server that accepts and never answers. The grace time is five seconds, so all modes meet
    it at once and before anything else."""
    Trouble.silent = socket.create_server(("127.0.0.1", 0), backlog=64)
    to = "127.0.0.1:%d" % Trouble.silent.getsockname()[1]
    Trouble.unanswered = {
        mode: start("load", mode, "--to", to, "-c", 2, "-t", SECONDS, *NEEDED.get(mode, []))
        for mode in MODES}
    for mode in IN_TLS:
        Trouble.unanswered[f"{mode} --tls"] = start("load", mode, "--tls", "--insecure", "--to", to,
                                                    "-c", 2, "-t", SECONDS)


def tearDownModule():
    for process in Trouble.unanswered.values():
        process.kill()
        process.communicate()
    Trouble.silent.close()


class Case(unittest.TestCase):
    def assert_good(self, result):
        """A run without errors, and valid but for what the machine did to the generator."""
        status, line, err = result
        self.assertEqual(err, "")
        self.assertEqual(line["errors"], {})
        why = line.get("invalid_why", "")
        self.assertTrue(line["valid"] or why.startswith("late at"), why)
        self.assertEqual(status, 0 if line["valid"] else 1)
        return line

    def assert_bad(self, result, *reasons):
        status, line, _ = result
        self.assertEqual(status, 1)
        self.assertTrue(line["errors"])
        self.assertLessEqual(set(line["errors"]), set(reasons))
        return line


class Streams(Case):
    def test_up(self):
        with Sink("discard") as sink:
            line = self.assert_good(sink.load("stream", "-c", 3, "-b", 4096))
        self.assertEqual(line["work"]["connections"], 3)
        self.assertGreater(line["work"]["bytes"], 1 << 20)

    def test_down(self):
        with Sink("source") as sink:
            line = self.assert_good(sink.load("stream", "--down", "-c", 3, "-b", 5000))
        self.assertEqual(line["work"]["connections"], 3)
        self.assertGreater(line["work"]["bytes"], 1 << 20)
        self.assertEqual(line["work"]["bytes"] % 5000, 0)

    def test_a_sink_that_loses_bytes_is_seen(self):
        def lossy(listener):
            with listener.accept()[0] as guest:
                count = 0
                while data := guest.recv(1 << 20):
                    count += len(data)
                guest.sendall((count - 1).to_bytes(8, sys.byteorder))

        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=lossy, args=(listener,), daemon=True).start()
            process = start("load", "stream", "-t", SECONDS, "--to",
                            "127.0.0.1:%d" % listener.getsockname()[1])
            self.assert_bad(outcome(process), "short")


class Echoes(Case):
    def test_pingpong(self):
        with Sink("echo") as sink:
            line = self.assert_good(sink.load("pingpong", "-c", 4, "-b", 1000))
        trips = line["work"]["round_trips"]
        self.assertGreater(trips, 100)
        self.assertEqual(line["work"]["bytes"], 2000 * trips)
        self.assertEqual(line["latency_us"]["count"], trips)

    def test_message_larger_than_every_buffer(self):
        with Sink("echo") as sink:
            for mode in ("pingpong", "crr"):
                line = self.assert_good(sink.load(mode, "-b", 8 << 20))
                self.assertGreater(line["work"]["round_trips"], 0)

    def test_crr(self):
        with Sink("echo") as sink:
            line = self.assert_good(sink.load("crr", "-c", 4))
        self.assertGreater(line["work"]["connections"], 100)
        self.assertAlmostEqual(line["work"]["connections"], line["work"]["round_trips"], delta=4)

    def test_idle(self):
        with Sink("echo") as sink:
            process = sink.start_load("idle", "-c", "5,9", "-t", 5)
            for count in (5, 9):
                self.assertEqual(json.loads(process.stdout.readline()),
                                 {"mode": "idle", "open": count, "touched": count})
                process.stdin.write("\n")
                process.stdin.flush()
            line = self.assert_good(outcome(process))
        self.assertEqual(line["work"]["connections"], 9)

    def test_proxy_is_measured(self):
        with Sink("echo") as sink:
            line = self.assert_good(sink.load("pingpong", "--cpu-of", sink.process.pid))
        self.assertGreater(line["proxy_cpu_ns"], 0)
        self.assertGreater(sum(line["proxy_switches"].values()), 100)


class OpenLoop(Case):
    def test_uniform(self):
        with Sink("echo") as sink:
            line = self.assert_good(sink.load("open", "-c", 8, "--rate", 2000))
        self.assertAlmostEqual(line["offered_per_second"], 2000, delta=20)
        self.assertAlmostEqual(line["latency_us"]["count"], 2000 * line["seconds"], delta=2)
        self.assertEqual(line["late_us"]["count"], line["latency_us"]["count"])

    def test_poisson(self):
        with Sink("echo") as sink:
            line = self.assert_good(
                sink.load("open", "-c", 8, "--rate", 5000, "--schedule", "poisson"))
        self.assertAlmostEqual(line["offered_per_second"], 5000, delta=1000)
        self.assertNotEqual(line["offered_per_second"], 5000)

    def test_a_slow_answer_delays_no_message(self):
        """50 ms for each answer: a closed loop of one connection would reach 20 a second."""
        with Sink("echo", "--delay-us", 50000) as sink:
            line = self.assert_good(sink.load("open", "-c", 1, "--rate", 1000, "-w", 0.1))
        self.assertGreater(line["per_second"]["messages"], 300)
        self.assertGreater(line["latency_us"]["p50"], 50000)

    def test_a_stall_is_in_the_latency(self):
        """The sink stands still for a third of the window: so many messages must have waited."""
        with Sink("echo") as sink:
            process = sink.start_load("open", "-c", 4, "--rate", 1000, "-t", 0.6)
            time.sleep(0.25)
            sink.process.send_signal(signal.SIGSTOP)
            time.sleep(0.2)
            sink.process.send_signal(signal.SIGCONT)
            _, line, _ = outcome(process)
        self.assertEqual(line["errors"], {})
        self.assertGreater(line["latency_us"]["max"], 150000)
        self.assertGreater(line["latency_us"]["p90"], 80000)
        self.assertLess(line["latency_us"]["p50"], 80000)

    def test_impossible_rate(self):
        with Sink("echo") as sink:
            status, line, _ = sink.load("open", "-c", 4, "--rate", 10000000)
        self.assertEqual((status, line["valid"]), (1, False))
        self.assertIn("of the offered rate", line["invalid_why"])

    def test_a_late_generator_says_so(self):
        with Sink("echo") as sink:
            process = sink.start_load("open", "-c", 4, "--rate", 1000, "-t", 0.4)
            time.sleep(0.2)
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.1)
            process.send_signal(signal.SIGCONT)
            _, line, _ = outcome(process)
        self.assertFalse(line["valid"])
        self.assertTrue(line["invalid_why"].startswith("late at p"))
        self.assertGreater(line["late_us"]["max"], 80000)

    def test_histogram_file(self):
        with tempfile.TemporaryDirectory() as folder, Sink("echo") as sink:
            path = pathlib.Path(folder) / "a.hgrm"
            line = self.assert_good(sink.load("open", "--rate", 2000, "--hgrm", path))
            text = path.read_text(encoding="ascii").splitlines()
        self.assertEqual(text[0].split(), ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"])
        rows = [[float(word) for word in row.split()] for row in text[2:-3]]
        for column in range(3):
            values = [row[column] for row in rows]
            self.assertEqual(values, sorted(values))
        self.assertEqual(rows[-1][1:], [1.0, line["latency_us"]["count"], float("inf")])
        self.assertAlmostEqual(rows[-1][0], line["latency_us"]["max"], delta=0.01)
        median = next(row for row in rows if row[1] == 0.5)
        self.assertAlmostEqual(median[0], line["latency_us"]["p50"], delta=0.01)
        self.assertRegex(text[-3], r"^#\[Mean    = +[0-9.]+, StdDeviation   = +[0-9.]+\]$")

    def test_mice(self):
        with Sink("mice") as sink:
            line = self.assert_good(sink.load("mice", "-c", 20, "-t", 0.4))
        self.assertAlmostEqual(line["offered_per_second"], 1000, delta=20)
        self.assertGreater(line["work"]["messages"], 300)
        self.assertGreater(line["beside"]["slow_bytes"], 0)
        self.assertGreater(line["beside"]["elephant_bytes"], 10 * line["beside"]["slow_bytes"])


@unittest.skipUnless(shutil.which("openssl"), "openssl, which makes the certificate, is missing")
class Tls(Case):
    """Python's TLS is the peer: it shares OpenSSL with the generator but not its ClientHello."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.certificate = os.path.join(folder.name, "certificate.pem")
        key = os.path.join(folder.name, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out",
                        cls.certificate, "-subj", "/CN=bench", "-addext",
                        "subjectAltName=DNS:a.example"], check=True, capture_output=True)
        cls.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        cls.context.load_cert_chain(cls.certificate, key)
        cls.context.set_alpn_protocols(["pulsar"])
        cls.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        cls.to = "127.0.0.1:%d" % cls.listener.getsockname()[1]
        cls.addClassCleanup(cls.listener.close)
        threading.Thread(target=cls.serve, daemon=True).start()

    @classmethod
    def serve(cls):
        while True:
            try:
                raw, _ = cls.listener.accept()
            except OSError:
                return
            threading.Thread(target=cls.echo, args=(raw,), daemon=True).start()

    @classmethod
    def echo(cls, raw):
        with contextlib.suppress(OSError), cls.context.wrap_socket(raw, server_side=True) as guest:
            while data := guest.recv(1 << 16):
                guest.sendall(data)

    def load(self, *options):
        return outcome(start("load", "tls", "--to", self.to, "-c", 2, "-t", SECONDS, *options))

    def test_full(self):
        line = self.assert_good(self.load("--cafile", self.certificate, "--sni", "a.example"))
        self.assertGreater(line["work"]["connections"], 2)
        self.assertGreater(line["beside"]["full_handshakes"], 2)
        self.assertEqual(line["beside"]["resumed_handshakes"], 0)
        self.assertTrue(line["beside"]["tls"].startswith("TLSv1.3 "))

    def test_resumed(self):
        line = self.assert_good(self.load("--insecure", "--resume", "-w", 0.2))
        self.assertGreater(line["beside"]["resumed_handshakes"], 2)
        self.assertLess(line["beside"]["full_handshakes"], 2)

    def in_tls(self, kind, mode, *options):
        """A mode with --tls, through a relay, before a sink."""
        with Sink(kind) as sink, TlsRelay(self.context, sink.to) as relay:
            line = self.assert_good(outcome(start(
                "load", mode, "--to", relay.to, "-t", SECONDS, "--tls", "--insecure", *options)))
        return line

    def test_streams(self):
        for kind, options in (("marked", []), ("source", ["--down"])):
            line = self.in_tls(kind, "stream", "-c", 3, "-b", 40000, *options)
            self.assertEqual(line["work"]["connections"], 3)
            self.assertGreater(line["work"]["bytes"], 1 << 20)
            # Whole writes, and upwards one more byte from each: the mark.
            self.assertEqual(line["work"]["bytes"] % 40000, 0 if options else 3)

    def test_a_stream_that_loses_bytes_is_seen(self):
        def lossy(listener):
            with self.context.wrap_socket(listener.accept()[0], server_side=True) as guest:
                count = 0
                while (data := guest.recv(1 << 14))[-1:] != b"q":
                    count += len(data)
                guest.sendall((count + len(data) - 1).to_bytes(8, sys.byteorder))

        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=lossy, args=(listener,), daemon=True).start()
            self.assert_bad(outcome(start(
                "load", "stream", "--tls", "--insecure", "-t", SECONDS, "--to",
                "127.0.0.1:%d" % listener.getsockname()[1])), "short")

    def test_pingpong(self):
        line = self.in_tls("echo", "pingpong", "-c", 4, "-b", 1000)
        self.assertGreater(line["work"]["round_trips"], 10)
        self.assertEqual(line["work"]["bytes"], 2000 * line["work"]["round_trips"])
        line = self.in_tls("echo", "pingpong", "-b", 100000)    # more than a record holds
        self.assertGreater(line["work"]["round_trips"], 0)

    def test_idle(self):
        with Sink("echo") as sink, TlsRelay(self.context, sink.to) as relay:
            process = start("load", "idle", "--to", relay.to, "-c", "5,9", "-t", 5, "--tls",
                            "--cafile", self.certificate, "--sni", "a.example")
            for count in (5, 9):
                self.assertEqual(json.loads(process.stdout.readline()),
                                 {"mode": "idle", "open": count, "touched": count})
                process.stdin.write("\n")
                process.stdin.flush()
            line = self.assert_good(outcome(process))
        self.assertEqual(line["work"]["connections"], 9)

    def test_cipher(self):
        for suite in ("TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"):
            line = self.in_tls("echo", "pingpong", "--cipher", suite)
            self.assertTrue(line["beside"]["tls"].startswith(f"TLSv1.3 {suite} "),
                            line["beside"]["tls"])
            self.assertNotIn("no group", line["beside"]["tls"])
        status, _, err = self.load("--insecure", "--cipher", "AES128-SHA")
        self.assertEqual(status, 2)
        self.assertIn("TLS_AES_128_GCM_SHA256", err)

    def test_certificate_is_checked(self):
        for options in ([], ["--cafile", self.certificate, "--sni", "b.example"]):
            result = self.load(*options)
            self.assert_bad(result, "tls")
            self.assertIn("certificate verify failed", result[2])
        for mode in IN_TLS:
            result = outcome(start("load", mode, "--tls", "--to", self.to, "-c", 2, "-t", SECONDS))
            self.assert_bad(result, "tls")
            self.assertIn("certificate verify failed", result[2])

    def test_not_tls(self):
        with Sink("echo") as sink:
            self.assert_bad(sink.load("tls", "--insecure"), "tls")
            for mode in IN_TLS:
                self.assert_bad(sink.load(mode, "--tls", "--insecure"), "tls")

    def test_hello_is_a_client_hello(self):
        """A real TLS server reads the name, chooses the protocol and answers in TLS 1.3."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            process = start("load", "hello", "--to", "127.0.0.1:%d" % listener.getsockname()[1],
                            "--sni", "b.example", "--alpn", "pulsar", "-b", 1600)
            with listener.accept()[0] as guest:
                hello = guest.recv(1600, socket.MSG_WAITALL)
                process.kill()
            process.communicate()
        self.assertEqual((len(hello), hello[0], int.from_bytes(hello[3:5], "big")),
                         (1600, 22, 1595))
        names = []
        received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.context.sni_callback = lambda server, name, context: names.append(name)
        self.addCleanup(setattr, self.context, "sni_callback", None)
        server = self.context.wrap_bio(received, sent, server_side=True)
        received.write(hello)
        with self.assertRaises(ssl.SSLWantReadError):
            server.do_handshake()
        self.assertEqual(names, ["b.example"])
        self.assertEqual(server.selected_alpn_protocol(), "pulsar")
        answer = sent.read()
        self.assertEqual((answer[0], answer[5]), (22, 2))   # a ServerHello, not an alert


class Trouble(Case):
    def test_no_sink(self):
        to = f"127.0.0.1:{free_port()}"
        runs = {mode: start("load", mode, "--to", to, "-c", 2, "-t", SECONDS,
                            *NEEDED.get(mode, [])) for mode in [*MODES, "tls"]}
        for mode, process in runs.items():
            with self.subTest(mode):
                line = self.assert_bad(outcome(process), "refused")
                self.assertEqual(line["invalid_why"], "nothing was done")

    def test_sink_dies(self):
        with contextlib.ExitStack() as stack:
            sinks = {mode: stack.enter_context(Sink(kind)) for mode, kind in MODES.items()}
            runs = {mode: sink.start_load(mode, "-c", 2, "-t", 0.5, *NEEDED.get(mode, []))
                    for mode, sink in sinks.items()}
            time.sleep(0.3)
            for sink in sinks.values():
                sink.process.kill()
            begin = time.monotonic()
            for mode, process in runs.items():
                with self.subTest(mode):
                    self.assert_bad(outcome(process), "reset", "eof", "refused")
            self.assertLess(time.monotonic() - begin, 4)

    def test_sink_that_never_answers(self):
        for mode, process in self.unanswered.items():
            with self.subTest(mode):
                self.assert_bad(outcome(process), "stuck")

    def test_wrong_answer(self):
        with Sink("echo") as sink:
            self.assert_bad(sink.load("hello"), "protocol")

    def test_command_line(self):
        for words, said in (
                (["pingpong"], "needs --to"),
                (["pingpong", "--to", "nonsense"], "HOST:PORT"),
                (["pingpong", "--to", "127.0.0.1:1", "--rate", "5"], "no use for rate"),
                (["pingpong", "--to", "127.0.0.1:1", "-c", "1,2"], "only load idle"),
                (["pingpong", "--to", "127.0.0.1:1", "-c", "0"], "from 1 to"),
                (["open", "--to", "127.0.0.1:1"], "needs --rate"),
                (["hello", "--to", "127.0.0.1:1"], "needs --sni"),
                (["hello", "--to", "127.0.0.1:1", "--sni", "a", "-b", "9"], "ClientHello can have"),
                (["stream", "--to", "127.0.0.1:1", "--sni", "a"], "needs --tls"),
                (["crr", "--to", "127.0.0.1:1", "--tls"], "no use for tls"),
                (["nonsense"], "no 'load nonsense'")):
            with self.subTest(words=words):
                status, line, err = outcome(start("load", *words))
                self.assertEqual((status, line), (2, None))
                self.assertIn(said, err)

    def test_port_taken(self):
        with Sink("echo") as sink:
            status, _, err = outcome(start("sink", "echo", "--listen", sink.to))
        self.assertEqual(status, 1)
        self.assertIn(sink.to, err)

    def test_help(self):
        for mode in [*MODES, "idle", "tls"]:
            done = subprocess.run([BENCH, "load", mode, "--help"], capture_output=True, text=True,
                                  check=True)
            self.assertIn("--to HOST:PORT", done.stdout)
            self.assertLessEqual(max(map(len, done.stdout.splitlines())), 100)


if __name__ == "__main__":
    if not os.access(BENCH, os.X_OK):
        sys.exit("penstock-bench is not built: run `make bench-tools`")
    unittest.main()
