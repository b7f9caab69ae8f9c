#!/bin/sh
# All lints, each silent when it has nothing to say, and one closing line.
# usage: lint.sh PENSTOCK
set -u
here=$(dirname "$0")
passed=0
failed=0
for lint in layers names banned ratchet tables cited completion monitoring packaging python format; do
    if output=$("$here/$lint.sh" "${1:-build/release/penstock}" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf '%s\n%s: FAILED\n' "$output" "$lint"
    fi
done
printf 'lint: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
