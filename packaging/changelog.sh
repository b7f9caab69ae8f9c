#!/bin/sh
# changelog.sh deb|rpm VERSION: packaging/common/changelog in the form of that kind of package. A VERSION that is not in it
# (make deb VERSION=...) gets an entry of its own, of the day of the newest.
set -eu
kind=$1
version=$2
file=$(dirname "$0")/common/changelog
who="penstock maintainers <maintainers@penstock.example>"

# day FORMAT: of $date, which every build prints alike
day() { LC_ALL=C TZ=UTC date -d "$date" "+$1"; }

head() { # head VERSION DATE
    date=$2
    case $kind in
    deb) printf 'penstock (%s) unstable; urgency=medium\n\n' "$1" ;;
    rpm) printf '* %s %s - %s-1\n' "$(day '%a %b %d %Y')" "$who" "$1" ;;
    esac
}

line() {
    case $kind in
    deb) printf '  %s\n' "$1" ;;
    rpm) printf -- '- %s\n' "${1#\* }" ;;
    esac
}

tail() {
    case $kind in
    deb) printf '\n -- %s  %s\n\n' "$who" "$(day '%a, %d %b %Y 00:00:00 +0000')" ;;
    rpm) echo ;;
    esac
}

date=
if ! grep -q "^$version " "$file"; then
    newest=$(awk 'NR == 1 { print $2 }' "$file")
    head "$version" "$newest"
    line "* Built as version $version."
    tail
    date=
fi
while IFS= read -r text; do
    case $text in
    [0-9]*)
        [ -z "$date" ] || tail
        # shellcheck disable=SC2086 # version and date
        head $text
        ;;
    '  * '*) line "${text#  }" ;;
    '    '*) if [ "$kind" = deb ]; then echo "$text"; else echo "${text#  }"; fi ;;
    esac
done <"$file"
tail
