#!/bin/sh
# What packages bring fits together: links in documents lead to something, both units are alike, and no port of an example is
# among those that 60-penstock.conf gives to connections.
set -u
cd "$(dirname "$0")/../.." || exit 1
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
MAKEFLAGS='' make -s --no-print-directory install-data install-bench-data DESTDIR="$folder" PREFIX=/usr || exit 1
exec python3 tests/lint/packaging.py "$folder"
