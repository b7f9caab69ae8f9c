#!/bin/sh
# Every document that is named anywhere is in the tree, so that whoever reads of it can read it:
# each word like this-one.md, by the end of its path, and each docs/adr/0000.
set -u
cd "$(dirname "$0")/../.." || exit 1

# bench/report writes report.md; elsewhere a word may end like this in C.
named() {
    grep -rnoE --exclude=cited.sh --exclude-dir=__pycache__ "$1" \
        README.md bench conf docs include packaging src tests | sort -u
}

named '[A-Za-z0-9][A-Za-z0-9_-]+\.md\b' | grep -v 'transcript\.md$\|report\.md$' |
    while IFS=: read -r file line word; do
        [ -n "$(find . -path ./build -prune -o -name "$word" -print -quit)" ] ||
            echo "$file:$line: there is no $word"
    done | grep . && failed=1
named 'docs/adr/[0-9]{4}' |
    while IFS=: read -r file line word; do
        [ -n "$(find docs/adr -path "$word*" -print -quit)" ] ||
            echo "$file:$line: there is no $word"
    done | grep . && failed=1
exit "${failed:-0}"
