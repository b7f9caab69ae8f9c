"""Clients that keep coming while something happens to a gateway with an echo behind it: whoever is refused is remembered."""
import threading
import time

import wire
from processes import wait_until
from wire import dial


def roundtrip(peer, data=b"still there"):
    peer.send(data)
    assert peer.read_exactly(len(data)) == data


class Callers:
    """Threads that connect, say a byte, hear it back and leave, all the time: every failure is kept."""

    def __init__(self, address, port, count=4):
        self.address, self.port = address, port
        self.done, self.failures, self._stop = 0, [], threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(count)]

    def _call(self):
        while not self._stop.is_set():
            try:
                one = dial(self.address, self.port)
                try:
                    roundtrip(one, b"x")
                finally:
                    one.close()
                self.done += 1
            except (OSError, wire.Closed) as error:
                self.failures.append(f"{time.strftime('%X')} {error!r}")
                time.sleep(0.01)

    def go_on(self, count=20):
        """Waits until so many more have been served."""
        before = self.done
        wait_until("callers to go on", 10, lambda: self.done > before + count)

    def __enter__(self):
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for one in self._threads:
            one.join()
