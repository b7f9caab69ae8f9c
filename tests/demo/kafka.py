"""The Kafka half of `make demo`: three real brokers that only penstock can reach, penstock in port mode, librdkafka and kafka-python behind a wire that
looks for the brokers' names and addresses in every byte a client gets. Leaves nothing running.
"""
import pathlib
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lab"), str(HERE.parent / "e2e")]

import settings  # noqa: E402
import tap  # noqa: E402
from kafkaclients import KafkaPython  # noqa: E402
from kafkacluster import KafkaCluster  # noqa: E402
from nameserver import NameServer  # noqa: E402
from penstock import Penstock  # noqa: E402
from trap import Trap  # noqa: E402

PORT, BASE = 9092, 19090
SERVERS = f"{tap.HOST}:{PORT}"
# What a client does that has much to send and to read: batches of a megabyte.
LARGE = {"batch.size": 1000000, "linger.ms": 50, "fetch.min.bytes": 1000000, "queued.min.messages": 1000}


def config(bootstrap):
    return {
        "clusters": {"k": {"protocol": "kafka", "discovery": {"bootstrap": bootstrap}}},
        "listeners": [{
            "name": "kafka", "bind": f"{settings.GATE_ADDRESS}:{PORT}", "cluster": "k",
            "kafka": {"advertise": tap.HOST, "base_port": BASE, "nodes": ["1-3"]},
        }],
    }  # fmt: skip


def talk(client, name, **words):
    answer = client.run("roundtrip", servers=SERVERS, **words)
    count, size = words["count"], words["size"]
    if answer["missing"] or answer["twice"]:
        sys.exit(f"demo: {name}: {answer}")
    print(f"   {name:14} {count:5} messages of {size / 1000:g} kB produced and consumed by a group, none missing, none twice, checksums right")
    return answer["brokers"]


def show(gate, wire, brokers):
    metrics = gate.metrics()
    spliced, copied = (metrics("penstock_bytes_total", path=path) for path in ("splice", "copy"))
    print(f"   the brokers clients know: {', '.join(sorted(brokers))}")
    print(f"   {metrics('penstock_kafka_requests_total'):.0f} requests, {metrics('penstock_kafka_rewritten_total'):.0f} answers with addresses written anew")
    print(f"   {spliced / 1e6:.1f} MB spliced in the kernel, {copied / 1e6:.1f} MB copied: {100 * spliced / (spliced + copied):.0f} % spliced")
    print(f"   {wire.bytes_to_clients / 1e6:.1f} MB read along the wire to clients: {len(wire.leaks)} names or addresses of brokers in them")


def run(kafka, gate, client):
    print("\n== 7. Kafka: three brokers (KRaft), which tell clients names that only penstock can resolve (about 15 s)", flush=True)
    kafka.up()
    print(f"   they say they are {', '.join(kafka.bootstrap('PLAINTEXT'))}")
    print("\n== 8. penstock: one port for each of them", flush=True)
    gate.start(config(kafka.bootstrap("PLAINTEXT")))
    print(f"   ready; bootstrap {PORT}, broker N at {BASE} + N")
    trap = Trap()
    print("\n== 9. Clients on the other side of the cable, and somebody who reads along", flush=True)
    with tap.Tap([PORT, *range(BASE + 1, BASE + 4)]) as wire:
        brokers = talk(client, "librdkafka", count=1500, size=20000, partitions=3, config=LARGE)
        brokers = {*brokers, *talk(client, "kafka-python", library="pure", count=2000, size=1000)}
        show(gate, wire, brokers)
        if wire.leaks or trap.hits:
            sys.exit(f"demo: addresses of brokers have leaked: {wire.leaks[:3]} {trap.hits}")
    trap.close()
    print("   no broker was ever tried directly")
    print(f"\n== 10. SIGTERM: penstock drains and ends: exit status {gate.stop()}")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    kafka, gate, client = KafkaCluster(), Penstock("demo-kafka"), KafkaPython("demo-kafka-client")
    names = NameServer()
    names.table.update({name: settings.KAFKA_ADDRESSES[number] for number, name in settings.KAFKA_NAMES.items()})
    try:
        run(kafka, gate, client)
    finally:
        client.close()
        gate.kill()
        kafka.forget()
        names.close()


if __name__ == "__main__":
    main()
