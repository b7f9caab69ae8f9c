"""A small HTTP client for addresses of the broker side (broker admin, penstock admin), or of another, used from any side."""
import http.client
import json
import socket
import urllib.parse

import netns
import settings


class _Connection(http.client.HTTPConnection):
    side = settings.BROKER_SIDE

    def connect(self):
        with netns.inside(self.side):
            self.sock = socket.create_connection((self.host, self.port), self.timeout)


def request(method, url, body=None, token=None, seconds=10, redirects=5, side=settings.BROKER_SIDE):
    """(status, text). Redirects are followed: brokers send admin calls to the owner of a bundle."""
    parts = urllib.parse.urlsplit(url)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = _Connection(parts.hostname, parts.port, timeout=seconds)
    connection.side = side
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        if answer.status in (301, 302, 307) and redirects:
            return request(method, answer.headers["Location"], body, token, seconds, redirects - 1, side)
        return answer.status, text
    finally:
        connection.close()


def reachable(address, port, side=settings.BROKER_SIDE):
    with netns.inside(side):
        try:
            socket.create_connection((address, port), 0.5).close()
            return True
        except OSError:
            return False
