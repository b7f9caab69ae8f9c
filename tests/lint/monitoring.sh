#!/bin/sh
# The Grafana dashboard and the Prometheus alerts name only metrics, labels and label values that
# docs/METRICS.md has (which tables.sh holds against the sources).
set -u
cd "$(dirname "$0")/../.." || exit 1
exec python3 tests/lint/monitoring.py packaging/common/monitoring/grafana.json packaging/common/monitoring/alerts.yml
