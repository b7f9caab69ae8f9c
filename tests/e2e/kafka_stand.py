"""librdkafka's consumers that come to a stand, for kafka_python.py and kafka_ctypes.py.

A fault of librdkafka (seen in 1.9.2 and 2.16.0; its pull request 5593 describes it): when it hears of leader A, then B, then A again, faster than a partition
is handed from the thread of one broker to that of the other, the partition stays at B, counts as read from a follower, and is asked of B for ever.
Every Fetch is answered: NOT_LEADER_FOR_PARTITION. It was seen straight at mock brokers as well as through penstock, on a busy machine.
"""
import re
import sys
import time

DEBUG = "topic"  # the key "debug", with which its log has this line for each Metadata that it hears meanwhile
_LINE = re.compile(r"Topic \S+ \[(\d+)\]: leader -?\d+ unchanged, not migrating away from preferred replica")
_LINES, _SECONDS, _SILENCE = 5, 5, 3


class Renewed:
    """A consumer, made anew when it stands like that. One thread, but for log()."""

    def __init__(self, make, end):
        """make(log) -> a consumer that says its log by log(text), from any thread; end(consumer)."""
        self._make, self._end, self._said = make, end, {}
        self.consumer = make(self._log)

    def _log(self, text):
        found = _LINE.search(text)
        if found:
            now, partition = time.monotonic(), int(found[1])
            first, lines, _ = self._said.get(partition, (now, 0, now))
            self._said[partition] = first, lines + 1, now

    def came(self, partitions):
        """After every poll: whose records it had."""
        for partition in partitions:
            self._said.pop(partition, None)
        now = time.monotonic()
        stand = [p for p, (first, lines, last) in list(self._said.items()) if lines >= _LINES and now - first > _SECONDS and now - last < _SILENCE]
        if stand:
            print(f"librdkafka stands at brokers that do not lead partitions {stand}: a new consumer goes on", file=sys.stderr, flush=True)
            self._end(self.consumer)
            self._said.clear()
            self.consumer = self._make(self._log)
