# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay and TLS cells: what is measured, on which stage, among whom, and which goals hold."""

from .cell_kinds import (AddedLatencyCell, FairnessCell, Goal, IdleCell, LoadCell, Metric,
                         MiceCell)
from .stages import Stage
from .tls import CIPHER, SNI
from .verdict import ABSOLUTE

KIB, MIB = 1024, 1024 * 1024
NAMES = {4 * KIB: "4K", 64 * KIB: "64K", MIB: "1M", 128: "128", KIB: "1K"}

BARE = ("bare-copy-epoll", "bare-copy-uring", "bare-splice-epoll", "bare-splice-uring")
HAPROXY = ("haproxy-copy", "haproxy-auto", "haproxy-splice")
NGINX = ("nginx-16k", "nginx-64k")
RELAYS = ("direct", *BARE, *HAPROXY, *NGINX, "ats", "envoy", "socat", "sozu-splice")
ROUTERS = ("direct", *BARE, "haproxy-copy", "haproxy-splice", "nginx-16k", "ats", "envoy",
           "sozu-splice")
HOLDERS = ("direct", "bare-copy-epoll", "bare-copy-uring", "haproxy-copy", "haproxy-splice",
           *NGINX, "envoy", "sozu-splice")
TERMINATORS = ("haproxy-copy", "nginx-16k", "ats", "envoy", "hitch")
BULK_TERMINATORS = (*TERMINATORS, "haproxy-64k", "nginx-64k")

RELAY = Stage("relay", sinks=("echo", "discard", "source", "mice"))
ROUTED = Stage("routed", role="sni", sinks=("hello",))
TLS = Stage("tls", role="tls")
TLS_UP = Stage("tls-up", role="tls", sinks=("marked",))     # some can serve but one sink
TLS_DOWN = Stage("tls-down", role="tls", sinks=("source",))
TLS_IDLE = Stage("tls-idle", role="tls", connections=8200, alone=True)
TLS_OPTIONS = ("--sni", SNI, "--insecure", "--cipher", CIPHER)
SPINNING = Stage("spinning", alone=True)
IDLE = Stage("idle", connections=8200, alone=True)
TWO_WORKERS = Stage("two-workers", workers=2, alone=True)

IDLE_COUNTS = (16, 1000), (1000, 8000)
P50 = Metric("p50_us", "p50", "us")
P99 = Metric("p99_us", "p99", "us")


def cost(unit, label="CPU"):
    return Metric("cost", label, unit)


def stream_cells():
    """4 KiB writes: nginx; 64 KiB and more: HAProxy's forced splice."""
    for direction in ("up", "down"):
        for size in (4 * KIB, 64 * KIB, MIB):
            for count in (1, 8, 64):
                limit = 0.9 if size == MIB else 1.0
                words = "client to server" if direction == "up" else "server to client"
                yield LoadCell(
                    name=f"stream-{direction}-{NAMES[size]}-x{count}",
                    group=f"stream-{direction}",
                    title=f"one-way stream {words}, {size_text(size)} writes, {of(count)}",
                    stage=RELAY, contenders=RELAYS, metrics=(cost("s/GB", "CPU per GB"),),
                    goals=(Goal("cost", "peer", limit), Goal("cost", "bare", 1.05)),
                    mode="stream", sink="discard" if direction == "up" else "source",
                    options=("-c", count, "-b", size, *(["--down"] if direction == "down" else ())),
                    work="bytes", scale=1.0)


def pingpong_cells():
    for size in (128, KIB):
        for count in (1, 16, 256):
            yield LoadCell(
                name=f"pingpong-{NAMES[size]}-x{count}", group="pingpong",
                title=f"ping-pong, {size_text(size)}, {of(count)}",
                stage=RELAY, contenders=RELAYS,
                metrics=(cost("us", "CPU per round trip"), P50, P99),
                goals=(Goal("cost", "peer", 0.95), Goal("cost", "bare", 1.0),
                       Goal("p50_us", "peer", 0.95), Goal("p50_us", "bare", 1.0)),
                mode="pingpong", options=("-c", count, "-b", size), work="round_trips")


def open_loop_cells():
    for rate in (5000, 20000):
        yield LoadCell(
            name=f"open-{rate // 1000}k-x64", group="open-loop",
            title=f"open loop, {rate:,} messages/s, Poisson, 128 B, {of(64)}",
            stage=RELAY, contenders=RELAYS,
            metrics=(cost("us", "CPU per message"), P50, P99),
            goals=(Goal("cost", "peer", 1.0), Goal("cost", "bare", 1.05),
                   Goal("p50_us", "peer", 1.0), Goal("p50_us", "bare", 1.05)),
            mode="open", options=("-c", 64, "--rate", rate, "--schedule", "poisson"),
            work="messages")


def busy_poll_cells():
    yield AddedLatencyCell(
        name="busy-poll-128-x1", group="busy-poll", subject="penstock-busy",
        title=f"ping-pong, 128 B, {of(1)}, spinning instead of sleeping",
        stage=SPINNING, contenders=("direct", "penstock", "haproxy-copy", "haproxy-busy"),
        metrics=(Metric("added_us", "p50 added over direct", "us"), P50, P99,
                 cost("us", "CPU per round trip")),
        goals=(Goal("added_us", "haproxy-copy", 0.5),),
        mode="pingpong", options=("-c", 1, "-b", 128), work="round_trips")


def connect_cells():
    goals = (Goal("cost", "peer", 0.95), Goal("cost", "bare", 1.05))
    metrics = (cost("us", "CPU per connection"), P50, P99)
    yield LoadCell(
        name="connect-plain", group="connect", title="connect, one echo, close; 8 at a time",
        stage=RELAY, contenders=RELAYS, metrics=metrics, goals=goals,
        mode="crr", options=("-c", 8, "-b", 128), work="connections")
    yield LoadCell(
        name="connect-hello", group="connect",
        title="connect, a ClientHello routed by its name, an answer, close; 8 at a time",
        stage=ROUTED, contenders=ROUTERS, metrics=metrics, goals=goals,
        mode="hello", sink="hello", options=("-c", 8, "--sni", SNI), work="connections")


def idle_cells():
    for low, high in IDLE_COUNTS:
        yield IdleCell(
            name=f"idle-{high // 1000}k", group="idle",
            title=f"idle connections, memory of each from {low:,} to {high:,}",
            stage=IDLE, contenders=HOLDERS, pairs=3,
            metrics=(Metric("user_kib", "user memory each", "KiB"),
                     Metric("kernel_kib", "kernel memory each", "KiB")),
            goals=(Goal("user_kib", ABSOLUTE, 1.0),), counts=(low, high))


def mice_cells():
    """No CPU per message: the elephant's share depends on how fast it was let through."""
    yield MiceCell(
        name="mice-63", group="mice",
        title="63 mice (2,000 messages/s) beside an elephant and a slow reader",
        stage=RELAY, contenders=RELAYS,
        metrics=(P50, P99, Metric("elephant", "elephant", "GB/s")),
        goals=(Goal("p50_us", "peer", 1.0), Goal("p99_us", "peer", 1.0)),
        mode="mice", sink="mice", options=("-c", 63, "--rate", 2000, "--schedule", "poisson"),
        work="messages")


def tls_cells():
    """Every contender has to do the same: TLS 1.3, AES-128-GCM, the same ECDSA P-256 key."""
    for name, title, options in (("full", "full handshakes", ()),
                                 ("resumed", "resumed handshakes", ("--resume",))):
        yield LoadCell(
            name=f"tls-{name}", group="tls",
            title=f"TLS 1.3, {title}, ECDSA P-256, one echo, close; 8 at a time",
            stage=TLS, contenders=TERMINATORS,
            metrics=(cost("us", "CPU per connection"), P50, P99),
            goals=(Goal("cost", "peer", 1.0),),
            mode="tls", options=("-c", 8, *TLS_OPTIONS, *options), work="connections")
    yield LoadCell(
        name="tls-pingpong-128-x16", group="tls",
        title=f"ping-pong inside TLS 1.3, AES-128-GCM, 128 B, {of(16)}",
        stage=TLS, contenders=TERMINATORS, metrics=(cost("us", "CPU per round trip"), P50, P99),
        goals=(Goal("cost", "peer", 1.0),),
        mode="pingpong", options=("--tls", "-c", 16, "-b", 128, *TLS_OPTIONS), work="round_trips")


def tls_stream_cells():
    """The TLS side is the client's; the sink's is plain."""
    for direction, stage, options in (("up", TLS_UP, ()), ("down", TLS_DOWN, ("--down",))):
        words = "client to server" if direction == "up" else "server to client"
        for count in (1, 8):
            yield LoadCell(
                name=f"tls-stream-{direction}-x{count}", group="tls-stream",
                title=f"one-way stream {words} inside TLS 1.3, AES-128-GCM, 64 KiB writes,"
                      f" {of(count)}",
                stage=stage, contenders=BULK_TERMINATORS, metrics=(cost("s/GB", "CPU per GB"),),
                goals=(Goal("cost", "peer", 1.0),),
                mode="stream", sink=stage.sinks[0],
                options=("--tls", "-c", count, "-b", 64 * KIB, *TLS_OPTIONS, *options),
                work="bytes", scale=1.0)


def tls_idle_cells():
    """Nobody is direct here, so the kernel's memory has nothing to be compared with."""
    for low, high in IDLE_COUNTS:
        yield IdleCell(
            name=f"tls-idle-{high // 1000}k", group="tls-idle",
            title=f"idle TLS 1.3 connections, memory of each from {low:,} to {high:,}",
            stage=TLS_IDLE, contenders=TERMINATORS, pairs=3,
            metrics=(Metric("user_kib", "user memory each", "KiB"),),
            goals=(Goal("user_kib", "haproxy-copy", 0.5),), counts=(low, high),
            options=("--tls", *TLS_OPTIONS))


def fairness_cells():
    yield FairnessCell(
        name="fairness-2x200", group="fairness", title="200 equal connections over 2 workers",
        stage=TWO_WORKERS, contenders=(), pairs=3,
        metrics=(Metric("connections", "connections, most / mean", "x"),
                 Metric("bytes", "bytes, most / mean", "x")),
        goals=(Goal("connections", ABSOLUTE, 1.1), Goal("bytes", ABSOLUTE, 1.1)),
        options=("-c", 200, "--rate", 10000))


def size_text(size):
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB" if size >= KIB \
        else f"{size} B"


def of(count):
    return f"{count} connection{'s' if count > 1 else ''}"


CELLS = [*stream_cells(), *pingpong_cells(), *open_loop_cells(), *busy_poll_cells(),
         *connect_cells(), *idle_cells(), *mice_cells(), *tls_cells(), *tls_stream_cells(),
         *tls_idle_cells(), *fairness_cells()]
