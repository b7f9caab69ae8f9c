#!/bin/sh
# insert.sh FILE: a package's script, or a spec, with what both kinds of package share: each line "#INSERT NAME#" becomes
# packaging/common/NAME.
set -eu
# shellcheck disable=SC2016 # awk's
awk -v common="$(dirname "$0")/common" -v is_spec="${1##*.}" '
/^#INSERT [a-z.]+#$/ {
    name = common "/" substr($2, 1, length($2) - 1)
    for (count = 0; (getline line < name) > 0; count++) {
        if (is_spec == "spec")
            gsub(/%/, "%%", line)
        print line
    }
    if (count == 0) {
        print "insert.sh: nothing in " name >"/dev/stderr"
        exit 1
    }
    next
}
{ print }
' "$1"
