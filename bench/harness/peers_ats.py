# SPDX-License-Identifier: GPL-3.0-or-later
"""Apache Traffic Server, which routes by the ClientHello (tunnel_route) or terminates TLS and
forwards what is inside (forward_route). It needs a run root of its own to stand beside another."""

import os

from .contenders import Contender, register
from .processes import first_line
from .tls import SNI

ROUTES = {"sni": "tunnel_route", "tls": "forward_route"}
FOLDERS = ("etc", "run", "log", "cache")


@register("ats")
class Ats(Contender):
    roles = frozenset(ROUTES)
    lacks = {"relay": "Traffic Server 9.2 answers a blind tunnel on a plain port with 400"
                      " (Unsupported URL Scheme); it is in the ClientHello and TLS cells"}
    program = "traffic_server"
    package = "trafficserver"
    start_seconds = 20

    @classmethod
    def version(cls):
        return first_line([cls.program, "--version"])

    def config(self):
        (sink, address), = self.at.items()
        host, port = address.split(":")
        self.root = self.processes.folder / self.name
        return f"""\
# records.config
CONFIG proxy.config.http.server_ports STRING {port}:ip-in={host}:ssl
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT {self.setting.workers}
CONFIG proxy.config.exec_thread.affinity INT 0
CONFIG proxy.config.accept_threads INT 0
CONFIG proxy.config.task_threads INT 1
CONFIG proxy.config.net.listen_backlog INT 4096
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.http.cache.http INT 0
CONFIG proxy.config.http.connect_ports STRING *
CONFIG proxy.config.admin.user_id STRING #-1
CONFIG proxy.config.ssl.server.cert.path STRING /
CONFIG proxy.config.ssl.server.private_key.path STRING /
# ssl_multicert.config
dest_ip=* ssl_cert_name={self.setting.keys.cert} ssl_key_name={self.setting.keys.key}
# sni.yaml
sni:
  - fqdn: {SNI}
    {ROUTES[self.setting.role]}: {self.to[sink]}
"""

    def write_root(self):
        for folder in FOLDERS:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        layout = {"prefix": "", "exec_prefix": "", "sysconfdir": "etc", "localstatedir": "",
                  "runtimedir": "run", "logdir": "log", "datadir": "cache", "cachedir": "cache"}
        lines = [f"{key}: {self.root / folder}" for key, folder in layout.items()]
        lines += ["bindir: /usr/bin", "sbindir: /usr/sbin", "includedir: /usr/include",
                  "libdir: /usr/lib/trafficserver",
                  "libexecdir: /usr/lib/trafficserver/modules"]
        (self.root / "runroot.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        files = dict.fromkeys(("remap.config", "plugin.config", "storage.config", "volume.config",
                               "ip_allow.yaml"), "")
        files["ip_allow.yaml"] = ("ip_allow:\n  - {apply: in, ip_addrs: 127.0.0.0/8, action: allow,"
                                  " methods: ALL}\n")
        for line in self.config_text.splitlines():
            if line.startswith("# "):
                name = line[2:]
                files[name] = ""
            else:
                files[name] += line + "\n"
        for name, text in files.items():
            (self.root / "etc" / name).write_text(text, encoding="utf-8")

    def command(self):
        self.write_root()
        return [self.program]

    def launch(self, command, name=None, **more):
        return super().launch(command, name, env={**os.environ, "TS_RUNROOT": str(self.root)},
                              **more)
