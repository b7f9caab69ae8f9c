#!/bin/sh
# Every non-static function begins with the stem of its file, a part of that from its beginning, or
# the name of its folder, so that a call says where to look: relay_splice.c has relay_splice_* or
# relay_*. names.txt lists the rest.
set -u
cd "$(dirname "$0")/../.." || exit 1
# A function without the field "file:" is visible outside of its file.
# shellcheck disable=SC2046
ctags --languages=C --langmap=C:.c --kinds-C=f --fields=+f-n --extras=-F -f - \
    $(find src -name '*.c' | sort) |
    awk -F '\t' '
    FILENAME == "tests/lint/names.txt" {
        if ($0 !~ /^#/ && NF > 0) {
            split($0, words, " ")
            if (words[3] == "") {
                print FILENAME ":" FNR ": an exception needs a reason"
                failed = 1
            }
            extra[words[1], ++extras[words[1]]] = words[2]
        }
        next
    }
    /\tfile:/ { next }
    {
        count = split($2, parts, "/")
        stem = parts[count]
        sub(/\.c$/, "", stem)
        folder = parts[count - 1]
        fine = begins($1, folder)
        # addr_parse.c goes on where addr.c ends: any part of the stem from its beginning.
        for (part = stem; ; sub(/_[^_]*$/, "", part)) {
            fine = fine || begins($1, part)
            if (part !~ /_/)
                break
        }
        for (i = 1; i <= extras[$2]; i++)
            fine = fine || begins($1, extra[$2, i])
        if (!fine) {
            printf "%s: %s begins with neither %s_ nor %s_\n", $2, $1, stem, folder
            failed = 1
        }
    }
    function begins(name, prefix) {
        return name == prefix || index(name, prefix "_") == 1
    }
    END { exit failed }' tests/lint/names.txt -
