"""The client of `make demo`: client.py URL TOPIC... produces to each topic and reads everything back, checked by number and checksum.

Runs where clients are. A trap listens at the brokers' addresses there: if a broker address ever leaks to the client, it says so.
"""
import logging
import pathlib
import sys
import time
import zlib

import pulsar

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))
from trap import Trap  # noqa: E402

COUNT = {"videos": (150, 200_000)}  # messages and their size
USUAL = (2000, 1000)


def body(number, size):
    block = f"{number:08}".encode() * (size // 8 + 1)
    return block[:size]


def one_topic(client, topic):
    count, size = COUNT.get(topic, USUAL)
    consumer = client.subscribe(topic, "demo", initial_position=pulsar.InitialPosition.Earliest)
    producer = client.create_producer(topic, block_if_queue_full=True, batching_enabled=size < 10_000)
    began = time.monotonic()
    for number in range(count):
        data = body(number, size)
        producer.send_async(data, lambda *_: None, properties={"n": str(number), "crc": str(zlib.crc32(data))})
    producer.flush()
    for number in range(count):
        message = consumer.receive(timeout_millis=20_000)
        properties = message.properties()
        if int(properties["n"]) != number or int(properties["crc"]) != zlib.crc32(message.data()):
            sys.exit(f"demo: {topic}: wanted message {number}, got {properties['n']}")
        consumer.acknowledge(message)
    seconds = time.monotonic() - began
    print(f"   {topic:10} {count:5} messages of {size / 1000:g} kB produced and consumed, in order, checksums right: {seconds:.2f} s")
    producer.close()
    consumer.close()


def main():
    url, topics = sys.argv[1], sys.argv[2:]
    trap = Trap()
    print(f"   official Python client {pulsar.__version__}, service URL {url}")
    quiet = logging.getLogger("pulsar")
    quiet.setLevel(logging.CRITICAL)
    client = pulsar.Client(url, logger=quiet)
    for topic in topics:
        one_topic(client, topic)
    client.close()
    if trap.hits:
        sys.exit(f"demo: broker addresses have leaked: {trap.hits}")
    print("   no broker address was ever seen by the client")


if __name__ == "__main__":
    main()
