# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers from Debian's packages that are one process and one short configuration: HAProxy, nginx,
hitch and socat. One worker each, no logs, TCP_NODELAY on both sides."""

import os

from .contenders import Contender, register
from .processes import children_of, family_seconds, first_line, wait_for_port
from .tls import SNI

PIPES_MAX = 1200    # HAProxy counts them into its descriptors and refuses to start above the limit
NGINX_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"


@register("haproxy-copy", "haproxy-auto", "haproxy-splice", "haproxy-busy", "haproxy-64k")
class Haproxy(Contender):
    """Copying, `option splice-auto`, splice forced both ways, copying with busy polling, or with
    buffers of 64 KiB instead of 16."""
    roles = frozenset({"relay", "sni", "tls"})
    program = "haproxy"
    package = "haproxy"

    def config(self):
        connections = self.setting.connections
        lines = ["global", f"    nbthread {self.setting.workers}", f"    maxconn {connections}"]
        if self.variant in ("auto", "splice"):  # forced splice needs two pipes for a connection
            lines += [f"    maxpipes {min(2 * connections, PIPES_MAX)}", "    tune.pipesize 262144"]
        if self.variant == "busy":
            lines.append("    busy-polling")
        if self.variant == "64k":
            lines.append("    tune.bufsize 65536")
        lines += ["defaults", "    mode tcp", "    option dontlognull",
                  "    timeout connect 5s", "    timeout client 10m", "    timeout server 10m"]
        lines += {"auto": ["    option splice-auto"],
                  "splice": ["    option splice-request", "    option splice-response"],
                  }.get(self.variant, [])
        section = {"sni": self.sni, "tls": self.tls}.get(self.setting.role, self.relay)
        for sink, address in self.at.items():
            lines += section(sink, address)
        return "\n".join(lines) + "\n"

    def relay(self, sink, address):
        return [f"listen {sink}", f"    bind {address}", f"    server sink {self.to[sink]}"]

    def sni(self, sink, address):
        return [f"frontend {sink}", f"    bind {address}",
                "    tcp-request inspect-delay 5s",
                "    tcp-request content accept if { req.ssl_hello_type 1 }",
                f"    use_backend {sink}-routed if {{ req.ssl_sni {SNI} }}",
                f"backend {sink}-routed", f"    server sink {self.to[sink]}"]

    def tls(self, sink, address):
        return [f"listen {sink}", f"    bind {address} ssl crt {self.setting.keys.both}",
                f"    server sink {self.to[sink]}"]

    def command(self):
        return [self.program, "-f", self.write_config("cfg"), "-db"]


@register("nginx-16k", "nginx-64k")
class Nginx(Contender):
    """The stream module; one process (`master_process off`), with the buffer size as variant."""
    roles = frozenset({"relay", "sni", "tls"})
    program = "nginx"
    package = "nginx-light, libnginx-mod-stream"

    @classmethod
    def why_missing(cls, name):
        missing = super().why_missing(name)
        if missing is None and not os.path.exists(NGINX_MODULE):
            missing = "nginx has no stream module: run `tests/lab/deps.sh peers`" \
                      " (Debian package libnginx-mod-stream)"
        return missing

    def config(self):
        self.folder = self.processes.folder / self.name
        self.folder.mkdir(exist_ok=True)
        connections = 2 * self.setting.connections + 64
        servers = "\n".join(self.server(sink, address) for sink, address in self.at.items())
        return f"""\
load_module {NGINX_MODULE};
daemon off;
master_process off;
user root;
pid {self.folder}/pid;
error_log stderr error;
worker_rlimit_nofile {connections + 64};
events {{ worker_connections {connections}; multi_accept on; }}
stream {{
    access_log off;
    proxy_buffer_size {self.variant};
    proxy_half_close on;
    proxy_timeout 10m;
    tcp_nodelay on;
{servers}
}}
"""

    def server(self, sink, address):
        target = self.to[sink]
        if self.setting.role == "tls":
            return (f"    server {{ listen {address} ssl backlog=4096; proxy_pass {target};\n"
                    f"        ssl_certificate {self.setting.keys.cert};"
                    f" ssl_certificate_key {self.setting.keys.key};\n"
                    "        ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:4m; }")
        if self.setting.role == "sni":
            return (f"    map $ssl_preread_server_name ${sink} {{ {SNI} {target}; }}\n"
                    f"    server {{ listen {address} backlog=4096; ssl_preread on;"
                    f" proxy_pass ${sink}; }}")
        return f"    server {{ listen {address} backlog=4096; proxy_pass {target}; }}"

    def command(self):
        return [self.program, "-p", self.folder, "-e", "stderr", "-c", self.write_config()]


@register("hitch")
class Hitch(Contender):
    """TLS termination only. Its work is done by a child of the process that was started."""
    roles = frozenset({"tls"})
    program = "hitch"
    package = "hitch"

    @classmethod
    def version(cls):
        return first_line([cls.program, "--version"])

    def config(self):
        (sink, address), = self.at.items()
        host, port = address.split(":")
        to_host, to_port = self.to[sink].split(":")
        user = 'user = "nobody"\ngroup = "nogroup"' if os.geteuid() == 0 else ""
        return f"""\
frontend = "[{host}]:{port}"
backend = "[{to_host}]:{to_port}"
pem-file = "{self.setting.keys.both}"
workers = {self.setting.workers}
backlog = 4096
daemon = off
quiet = on
syslog = off
log-level = 0
tls-protos = TLSv1.2 TLSv1.3
ocsp-dir = ""
{user}
"""

    def command(self):
        return [self.program, f"--config={self.write_config()}"]

    def pid_of(self, _sink):
        return children_of(self.process.pid)[0]


@register("socat")
class Socat(Contender):
    """A process for every connection, and one that listens for every sink."""
    program = "socat"
    package = "socat"

    @classmethod
    def version(cls):
        return first_line([cls.program, "-V"], "version")

    def start(self):
        self.config_text = None
        self.serving = {}
        for sink, address in self.at.items():
            host, port = address.split(":")
            command = [self.program,
                       f"TCP-LISTEN:{port},bind={host},fork,reuseaddr,nodelay,backlog=4096",
                       f"TCP:{self.to[sink]},nodelay"]
            self.serving[sink] = self.launch(command, f"{self.name}-{sink}")
            wait_for_port(self.serving[sink], address, self.processes)

    def all_processes(self):
        return list(self.serving.values())

    def pid_of(self, sink):
        return self.serving[sink].pid

    def forked_seconds(self):
        return sum(family_seconds(process.pid) for process in self.serving.values())
