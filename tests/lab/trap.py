"""Counts connections to broker addresses on the clients' side. Nobody ought to try: a hit means that an address has leaked.

    trap = Trap(); ...; trap.hits  ->  [("127.77.0.11", 6650), ...]
"""
import selectors
import socket
import threading

import netns
import settings


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
        self._thread = threading.Thread(target=self._run, name="trap", daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                connection, _ = key.fileobj.accept()
                connection.close()
                self.hits.append(key.data)

    def close(self):
        self._stop.close()
        self._thread.join()
        for sock in self._sockets:
            sock.close()
