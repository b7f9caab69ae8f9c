"""The official Java client as a co-process on the clients' side: one JVM for the whole suite, one request and one answer per line.

    java.run("transactions", url=..., topics=[...])  ->  dict, or AssertionError with the exception of the client
"""
import hashlib
import json
import pathlib
import select
import subprocess

import java
import netns
import settings

SOURCE = pathlib.Path(__file__).resolve().parent / "java" / "LabClient.java"


def compiled():
    """The folder with the classes, made anew when the source changes."""
    folder = settings.CACHE / "java-client" / hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    if not (folder / "LabClient.class").exists():
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["javac", "-nowarn", "-proc:none", "-cp", f"{settings.JARS}/*", "-d", str(folder), str(SOURCE)], capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"javac: {done.stderr}")
    return folder


class JavaClient:
    def __init__(self, side=None):
        """With a side: with the names of that side (netns.client_hosts), which a JVM reads once."""
        self._process = None
        self._side = side

    def _start(self):
        settings.RUN.joinpath("log").mkdir(parents=True, exist_ok=True)
        line = java.command("LabClient", heap="512m", direct="512m", path=[compiled()])
        line = netns.exec_in(self._side, line) if self._side else line
        with open(settings.RUN / "log" / "java-client", "ab") as log:
            self._process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)

    def ask(self, case, seconds=60, **words):
        """The answer, good or bad."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        self._process.stdin.write(json.dumps({"case": case, **words}).encode() + b"\n")
        self._process.stdin.flush()
        poll = select.poll()  # select(2) ends at descriptor 1,024
        poll.register(self._process.stdout, select.POLLIN)
        if not poll.poll(seconds * 1000):
            self.close()
            raise AssertionError(f"the Java client does not come back from {case} within {seconds} s")
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the Java client died in {case}; see {settings.RUN}/log/java-client")
        return json.loads(line)

    def run(self, case, seconds=60, **words):
        answer = self.ask(case, seconds, **words)
        assert answer["ok"], f"Java client, {case}: {answer['error']}: {answer['message']}"
        return answer

    def close(self):
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process = None
