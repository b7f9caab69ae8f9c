#!/bin/sh
# Functions have at most 70 lines and files at most 800. Longer functions stand in
# long_functions.txt with their length: they may shrink, never grow, and leave the list when short.
set -u
cd "$(dirname "$0")/../.." || exit 1
files=$(find src bench tests/sim -name '*.c' 2>/dev/null | sort)
# shellcheck disable=SC2086
ctags --languages=C --kinds-C=f --fields=+ne --extras=-F -f - $files |
    awk -F '\t' '
    FILENAME == "tests/lint/long_functions.txt" {
        if ($0 !~ /^#/ && NF > 0) {
            split($0, words, " ")
            listed[words[1] " " words[2]] = words[3]
        }
        next
    }
    {
        from = to = 0
        for (i = 4; i <= NF; i++) {
            if ($i ~ /^line:/)
                from = substr($i, 6)
            if ($i ~ /^end:/)
                to = substr($i, 5)
        }
        lines = to - from + 1
        key = $2 " " $1
        if (lines > 70 && !(key in listed)) {
            printf "%s:%d: %s has %d lines, 70 are allowed\n", $2, from, $1, lines
            failed = 1
        } else if (lines > 70 && lines > listed[key]) {
            printf "%s:%d: %s grew from %d to %d lines\n", $2, from, $1, listed[key], lines
            failed = 1
        } else if (lines > 70 && lines < listed[key]) {
            printf "%s:%d: %s shrank to %d lines: write that into long_functions.txt\n", \
                $2, from, $1, lines
            failed = 1
        }
        if (lines > 70)
            seen[key] = 1
    }
    END {
        for (key in listed)
            if (!(key in seen)) {
                printf "long_functions.txt: %s is no long function any more: remove it\n", key
                failed = 1
            }
        exit failed
    }' tests/lint/long_functions.txt - || failed=1
# shellcheck disable=SC2086
for file in $files; do
    lines=$(wc -l <"$file")
    if [ "$lines" -gt 800 ]; then
        printf '%s: %d lines, 800 are allowed\n' "$file" "$lines"
        failed=1
    fi
done
exit "${failed:-0}"
