"""What goes through a gateway while it is upgraded: an echo server behind it, and clients that keep coming, and one that stays."""
import contextlib
import socket
import threading
import time


class Echo:
    """Sends back what it gets, on a port of the loopback."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=self._socket.accept()[:1], daemon=True).start()

    @staticmethod
    def _serve(one):
        with contextlib.suppress(OSError), one:
            while data := one.recv(65536):
                one.sendall(data)

    def close(self):
        self._socket.close()


def roundtrip(one, data=b"a real byte"):
    one.sendall(data)
    got = b""
    while len(got) < len(data):
        more = one.recv(len(data) - len(got))
        if not more:
            raise ConnectionError("it ended")
        got += more
    if got != data:
        raise ConnectionError(f"{got!r} came back")


def proxied(port, data=b"a real byte"):
    with socket.create_connection(("127.0.0.1", port), 5) as one:
        roundtrip(one, data)
    return True


def is_open(port):
    try:
        return proxied(port)
    except OSError:
        return False


class Traffic:
    """`with Traffic(port) as traffic:` four clients connect, exchange a byte and leave, again and again, and one stays all the while."""

    def __init__(self, port, count=4):
        self.port, self.done, self.failures, self._stop = port, 0, [], threading.Event()
        self._threads = [threading.Thread(target=self._come_and_go) for _ in range(count)]

    def _come_and_go(self):
        while not self._stop.is_set():
            try:
                proxied(self.port)
                self.done += 1
            except OSError as error:
                self.failures.append(f"{time.strftime('%X')} {error!r}")
                time.sleep(0.02)

    def __enter__(self):
        self.lasting = socket.create_connection(("127.0.0.1", self.port), 5)
        roundtrip(self.lasting)
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for one in self._threads:
            one.join()
        self.lasting.close()

    def check(self):
        """Nobody was refused so far, and the one that stays is still served."""
        roundtrip(self.lasting)
        if self.failures:
            raise AssertionError(f"{len(self.failures)} of {self.done + len(self.failures)} connections failed: {self.failures[:3]}")
        return self.done
