# SPDX-License-Identifier: GPL-3.0-or-later
"""grepplabs kafka-proxy. No registry has it any more, so whoever has a binary names its path."""

import os

from .contenders import Contender, register
from .processes import first_line, free_port

VARIABLE = "PENSTOCK_BENCH_GREPPLABS"
BUFFER_BYTES = 65536    # its default of 4 KiB would be unfair


@register("grepplabs")
class Grepplabs(Contender):
    roles = frozenset({"kafka"})

    @classmethod
    def binary(cls):
        return os.environ.get(VARIABLE)

    @classmethod
    def why_missing(cls, name):
        if cls.binary() is None:
            return f"no registry has it: give the path of a kafka-proxy binary in {VARIABLE}"
        if not os.access(cls.binary(), os.X_OK):
            return f"{VARIABLE}: {cls.binary()} is not a program"
        return None

    @classmethod
    def version(cls):
        return first_line([cls.binary(), "--version"])

    def command(self):
        (sink, address), = self.at.items()
        return [self.binary(), "server", "--bootstrap-server-mapping", f"{self.to[sink]},{address}",
                "--default-listener-ip", "127.0.0.1", "--dynamic-sequential-min-port", free_port(),
                "--http-listen-address", f"127.0.0.1:{free_port()}", "--log-level", "warning",
                "--proxy-request-buffer-size", BUFFER_BYTES,
                "--proxy-response-buffer-size", BUFFER_BYTES]
