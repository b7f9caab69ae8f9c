#!/bin/sh
# Folders may include only what tests/lint/layers.txt allows them, and the table has no cycle but
# the ones between a folder and its own subfolders.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck disable=SC2046 # no blanks in our file names
awk -f tests/lint/layers.awk tests/lint/layers.txt \
    $(find src include -name '*.[ch]' -o -name '*.def' | sort) || exit 1
cycle=$(awk '$1 == "module" {
        for (i = 3; i <= NF; i++) {
            if ($i == "*" || index($2, $i "/") == 1)
                continue
            print $2, $i
        }
    }' tests/lint/layers.txt | tsort 2>&1 >/dev/null)
if [ -n "$cycle" ]; then
    printf 'tests/lint/layers.txt: %s\n' "$cycle"
    exit 1
fi
