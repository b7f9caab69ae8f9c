# Sourced by the shell scripts of the lab: where things live. settings.py says the same for Python.
PENSTOCK_CACHE=${PENSTOCK_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/penstock} # downloads, kept
JARS=$PENSTOCK_CACHE/jars-pulsar-4.0.8
ADMIN_JARS=$PENSTOCK_CACHE/jars-pulsar-admin-4.0.8
KAFKA_JARS=$PENSTOCK_CACHE/jars-kafka-4.4.0
OLD_KAFKA_JARS=$PENSTOCK_CACHE/jars-kafka-3.9.2
KAFKA_CLIENTS="0.10.2.2 0.11.0.3 1.1.1 2.0.1 2.8.2 3.9.2" # generations of the Java client, each in
KAFKA_CLIENT_JARS=$PENSTOCK_CACHE/jars-kafka-clients     # -VERSION
KAFKA_STREAMS_JARS=$PENSTOCK_CACHE/jars-kafka-streams-4.3.1
KROXYLICIOUS_JARS=$PENSTOCK_CACHE/jars-kroxylicious-0.12.0
VENV=$PENSTOCK_CACHE/venv-lab
KAFKA_VENV=$PENSTOCK_CACHE/venv-kafka
KAFKA_GO=$PENSTOCK_CACHE/kafka-go
KAFKA_JS=$PENSTOCK_CACHE/kafkajs-2.2.4
OLD_RDKAFKA=$PENSTOCK_CACHE/librdkafka-1.9.2
TLS_VENV=$PENSTOCK_CACHE/venv-tls # a newer OpenSSL than the machine's
ENVOY_VERSION=1.40.0
ENVOY=$PENSTOCK_CACHE/venv-envoy # bench/harness/peers_*.py know these two as well
SOZU_VERSION=2.3.3
SOZU=$PENSTOCK_CACHE/sozu-$SOZU_VERSION
UML=$PENSTOCK_CACHE/user-mode-linux # where Debian's package is unpacked if it cannot be installed
NEWER_DEBIANS="forky sid" # whose user-mode Linux is a kernel that can change keys (6.14 or later); the first that has it
NEWER_UML=$PENSTOCK_CACHE/user-mode-linux-newer
export PENSTOCK_CACHE
