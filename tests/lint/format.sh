#!/bin/sh
# clang-format 14, whose output differs from that of others. `make format` mends.
set -u
cd "$(dirname "$0")/../.." || exit 1
if ! command -v clang-format-14 >/dev/null; then
    echo 'clang-format-14 is not installed: apt-get install clang-format-14'
    exit 1
fi
# shellcheck disable=SC2046
set -- $(find src include tests/unit tests/fuzz tests/sim bench -name '*.[ch]' 2>/dev/null | sort)
if [ "${FIX:-0}" = 1 ]; then
    exec clang-format-14 -i "$@"
fi
# Two processes, since one takes most of the time of make lint.
printf '%s\n' "$@" | xargs -P 2 -n 40 clang-format-14 --dry-run --Werror 2>&1 |
    grep -E 'error: code should' | sed -E 's/: error.*/: not as clang-format 14 has it: make format/' |
    awk -F : '!($1 in seen) { seen[$1] = 1; print; failed = 1 } END { exit failed }'
