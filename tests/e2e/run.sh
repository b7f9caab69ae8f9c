#!/bin/sh
# run.sh [pytest arguments]: the end-to-end suite against build/release/penstock (or $PENSTOCK), e.g. run.sh -k auth -x
# PENSTOCK_LAB_KEEP=1 leaves the Pulsar cluster running for the next run; end it with tests/lab/cluster.py wipe.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lab/paths.sh"
"$here/../lab/deps.sh" lab
export PYTHONDONTWRITEBYTECODE=1
cd "$here"
exec "$VENV/bin/python" -m pytest "$@"
