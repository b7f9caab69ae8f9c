#!/bin/sh
# Runs the unit-test binaries given, prints the output of those that fail (what was wrong again at
# its end, under what a long log may have hidden) and one closing line.
set -u
# What a test that aborts leaves.
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/unit.XXXXXX") || exit 1
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 1' HUP INT TERM
failed=0
passed=0
for bin in "$@"; do
    if out=$("$bin" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf '%s\n' "$out"
        printf '%s\n' "$out" | grep -E '^\[ +(ERROR|LINE|FAILED) +\]|Sanitizer|runtime error'
        printf 'FAILED %s\n' "$(basename "$bin")"
    fi
done
printf 'unit: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
