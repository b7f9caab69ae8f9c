#!/bin/sh
# document.sh FILE SHIPPED...: a Markdown file of the tree as packages bring it, where documents are side by side: links lead to where
# SHIPPED files (of the tree, too) are installed, and what is not shipped has no link. Sections about the sources are left out.
# tests/lint/packaging.sh looks for dead links in what comes of it.
set -eu
file=$1
shift
# shellcheck disable=SC2016 # awk's
awk -v folder="$(dirname "$file")" -v shipped=" $* " '
# path TARGET: from the root of the tree, without "." and ".."
function path(target,    parts, count, i, clean, kept) {
    count = split(folder "/" target, parts, "/")
    kept = 0
    for (i = 1; i <= count; i++) {
        if (parts[i] == "..")
            kept--
        else if (parts[i] != "." && parts[i] != "")
            clean[++kept] = parts[i]
    }
    target = clean[1]
    for (i = 2; i <= kept; i++)
        target = target "/" clean[i]
    return target
}

# installed TARGET: where a link leads there; nothing: it is not shipped
function installed(target) {
    if (target ~ /^(#|[a-z]+:)/)
        return target
    target = path(target)
    if (target == "conf/penstock.yaml")
        return "/etc/penstock/penstock.yaml"
    if (target == "packaging/common/monitoring")
        return "../../penstock"
    if (index(shipped, " " target " ") == 0)
        return ""
    if (target ~ /^conf\//)
        return "examples" substr(target, 5)
    sub(/.*\//, "", target)
    return target
}

/^## / { is_out = $0 ~ /^## (Two commands|How fast|Where things are)$/ }
is_out { next }
{
    line = ""
    while (match($0, /\[[^]]*\]\([^)]*\)/)) {
        before = substr($0, 1, RSTART - 1)
        link = substr($0, RSTART, RLENGTH)
        $0 = substr($0, RSTART + RLENGTH)
        words = substr(link, 2, index(link, "](") - 2)
        source = substr(link, index(link, "](") + 2)
        source = substr(source, 1, length(source) - 1)
        target = installed(source)
        if (target != "") {
            line = line before "[" (words == path(source) ? target : words) "](" target ")"
        } else if (before ~ / \($/ && $0 ~ /^\)/) {
            # nothing but the link in these brackets
            line = line substr(before, 1, length(before) - 2)
            $0 = substr($0, 2)
        } else if (before ~ /, $/ && $0 ~ /^\)/) {
            line = line substr(before, 1, length(before) - 2)
        } else {
            line = line before words
        }
    }
    print line $0
}
' "$file"
