"""Counts connections to broker addresses on the clients' side, and questions for broker names. Nobody ought to try: a hit means that an
address has leaked.

    trap = Trap(); ...; trap.hits  ->  [("127.77.0.11", 6650), ("broker-1.kafka.test", 53), ...]

Names are asked of 127.0.0.1 there by what is started with exec_in() (netns.py), and nobody is told anything.
"""
import contextlib
import selectors
import socket
import threading

import netns
import settings


NAMES_AT = ("127.0.0.1", 53)


def _name_of(question):
    """The name a DNS question is for, in small letters."""
    labels, at = [], 12
    while at < len(question) and question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode("latin1"))
        at += 1 + question[at]
    return ".".join(labels).lower()


class Trap:
    def __init__(self):
        self.hits = []
        self._selector = selectors.DefaultSelector()
        self._stop, stopped = socket.socketpair()
        self._selector.register(stopped, selectors.EVENT_READ)
        self._sockets = [stopped]
        for where in settings.TRAPPED:
            with netns.client_side():
                sock = socket.create_server(where)
            sock.setblocking(False)
            self._sockets.append(sock)
            self._selector.register(sock, selectors.EVENT_READ, where)
        with netns.client_side():
            self._names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._names.bind(NAMES_AT)
        self._sockets.append(self._names)
        self._selector.register(self._names, selectors.EVENT_READ, NAMES_AT)
        self._thread = threading.Thread(target=self._run, name="trap", daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                if key.fileobj is self._names:
                    self._refuse_name()
                    continue
                connection, _ = key.fileobj.accept()
                connection.close()
                self.hits.append(key.data)

    def _refuse_name(self):
        question, asker = self._names.recvfrom(2048)
        name = _name_of(question)
        if name in settings.TRAPPED_NAMES:
            self.hits.append((name, NAMES_AT[1]))
        with contextlib.suppress(OSError):
            self._names.sendto(question[:2] + b"\x81\x83" + question[4:6] + bytes(6) + question[12:], asker)  # NXDOMAIN

    def close(self):
        self._stop.close()
        self._thread.join()
        for sock in self._sockets:
            sock.close()
