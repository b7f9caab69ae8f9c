#!/bin/sh
# Runs the unit-test binaries given, prints the output of those that fail and one closing line.
set -u
failed=0
passed=0
for bin in "$@"; do
    if out=$("$bin" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf '%s\n' "$out"
        printf 'FAILED %s\n' "$(basename "$bin")"
    fi
done
printf 'unit: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
