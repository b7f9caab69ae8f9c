"""A program beside the tests, begun when it is first asked: one JSON request and one JSON answer per line.

    client.run("roundtrip", servers="127.0.0.1:9092")  ->  dict, or AssertionError with the exception of the program

{"case": "...", ...} is answered by {"ok": true, ...} or {"ok": false, "error": class, "message": text}.
"""
import contextlib
import json
import select
import subprocess

import netns
import settings


class CoProcess:
    """What the program says besides, on its stderr, is in a log of its name."""

    side = settings.CLIENT_SIDE  # None: where the tests are

    def __init__(self, name):
        self.name = name
        self._process = None

    def command(self):
        """The line that starts it."""
        raise NotImplementedError

    def _start(self):
        folder = settings.RUN / "log"
        folder.mkdir(parents=True, exist_ok=True)
        line = netns.exec_in(self.side, self.command()) if self.side else self.command()
        with open(folder / self.name, "ab") as log:
            self._process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)

    def begin(self, case, **words):
        """Sends the request; answer() has what came of it."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        self._process.stdin.write(json.dumps({"case": case, **words}).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self, case, seconds=180):
        poll = select.poll()  # select(2) ends at descriptor 1,024
        poll.register(self._process.stdout, select.POLLIN)
        if not poll.poll(seconds * 1000):
            self.close()
            raise AssertionError(f"{self.name} does not come back from {case} within {seconds} s")
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"{self.name} died in {case}; see {settings.RUN}/log/{self.name}")
        return json.loads(line)

    def ask(self, case, seconds=180, **words):
        """The answer, good or bad."""
        self.begin(case, **words)
        return self.answer(case, seconds)

    def run(self, case, seconds=180, **words):
        answer = self.ask(case, seconds, **words)
        assert answer["ok"], f"{self.name}, {case}: {answer['error']}: {answer['message']}"
        return answer

    def close(self):
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process = None


@contextlib.contextmanager
def begun(*clients):
    """Around what happens between their begin() and answer(). If it fails they are closed: what they say would be taken for the next answer."""
    try:
        yield
    except BaseException:
        for client in clients:
            client.close()
        raise
