# SPDX-License-Identifier: GPL-3.0-or-later
"""Sozu with its splice feature, which deps.sh builds from crates.io. A child does the work."""

import os

from . import CACHE
from .contenders import Contender, register
from .processes import children_of, first_line
from .tls import SNI

FOLDER = CACHE / "sozu-2.3.3"
BINARY = FOLDER / "bin" / "sozu"
WHY = CACHE / "sozu-2.3.3.why"      # what deps.sh left when it could not be built


@register("sozu-splice")
class Sozu(Contender):
    roles = frozenset({"relay", "sni"})

    @classmethod
    def why_missing(cls, name):
        if os.access(BINARY, os.X_OK):
            return None
        if WHY.exists():
            return "sozu could not be built: " + WHY.read_text(encoding="utf-8").strip()
        return "sozu is not built: run `tests/lab/deps.sh peers` (needs a recent cargo)"

    @classmethod
    def version(cls):
        return first_line([BINARY, "--version"]) + " --features splice"

    def config(self):
        folder = self.processes.folder / self.name
        folder.mkdir(exist_ok=True)
        connections = self.setting.connections
        lines = [f'command_socket = "{folder}/command"', f'pid_file_path = "{folder}/pid"',
                 'log_level = "error"', 'log_target = "stdout"',
                 f"worker_count = {self.setting.workers}", "worker_automatic_restart = false",
                 f"max_connections = {connections}", f"max_buffers = {2 * connections + 100}",
                 "front_timeout = 600", "back_timeout = 600", "activate_listeners = true"]
        for address in self.at.values():
            lines += ["[[listeners]]", 'protocol = "tcp"', f'address = "{address}"']
        route = f', hostname = "{SNI}"' if self.setting.role == "sni" else ""
        for sink, address in self.at.items():
            lines += [f"[clusters.{sink}]", 'protocol = "tcp"',
                      f'frontends = [{{ address = "{address}"{route} }}]',
                      f'backends = [{{ address = "{self.to[sink]}" }}]']
        return "\n".join(lines) + "\n"

    def command(self):
        return [BINARY, "--config", self.write_config("toml"), "start"]

    def pid_of(self, _sink):
        return children_of(self.process.pid)[0]
