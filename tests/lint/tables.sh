#!/bin/sh
# What is printed from the tables is what stands in the tree, and docs/METRICS.md names exactly the
# metrics that exist.  usage: tables.sh PENSTOCK
set -u
penstock=$(realpath "${1:-build/release/penstock}")
cd "$(dirname "$0")/../.." || exit 1
failed=0

same() { # same FILE COMMAND...
    file=$1
    shift
    if ! difference=$("$@" | diff -u "$file" - 2>&1); then
        printf '%s\n' "$difference" | head -20
        printf '%s is not what the tables say: run make docs\n' "$file"
        failed=1
    fi
}

same docs/OPTIONS.md "$penstock" docs options
same docs/METRICS.md "$penstock" docs metrics
same conf/penstock.yaml "$penstock" docs yaml
same packaging/common/completions/penstock.bash "$penstock" docs bash
same packaging/common/completions/_penstock "$penstock" docs zsh
same packaging/common/completions/penstock-bench.bash build/release/penstock-bench bash
same packaging/common/completions/_penstock-bench build/release/penstock-bench zsh

# Manual pages: groff has nothing to complain of.
for page in penstock.1 penstock.yaml.5 penstock-bench.1; do
    warnings=$(groff -ww -man -Tutf8 -z build/man/$page 2>&1)
    if [ -n "$warnings" ]; then
        printf 'build/man/%s: %s\n' "$page" "$warnings"
        failed=1
    fi
done

# Names in the sources: rows of stat.def, and texts of src/control/admin. A histogram's
# _bucket, _sum and _count belong to its name.
exists=$({
    grep -oE '"(penstock|pulsar_proxy)_[a-z_]+"' include/penstock/base/stat.def
    grep -rohE '"(penstock|pulsar_proxy|process)_[a-z_]+' src/control/admin
} | tr -d '"' | sed -E 's/_(bucket|sum|count)$//' | sort -u)
documented=$(grep -oE '^\| `(penstock|pulsar_proxy|process)_[a-z_]+`' docs/METRICS.md |
    tr -d '|` ' | sort -u)
difference=$(printf '%s\n---\n%s\n' "$exists" "$documented" | awk '
    $0 == "---" { second = 1; next }
    !second { exists[$0] = 1 }
    second { documented[$0] = 1 }
    END {
        for (name in exists)
            if (!(name in documented))
                print name " is not in docs/METRICS.md: add it to src/cli/cli_docs.c"
        for (name in documented)
            if (!(name in exists))
                print name " of docs/METRICS.md does not exist: remove it from src/cli/cli_docs.c"
    }')
if [ -n "$difference" ]; then
    printf '%s\n' "$difference"
    failed=1
fi

# Configurations in the tree are valid, where the files they name are there.
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=example \
    -keyout "$folder/gw.key" -out "$folder/gw.pem" 2>/dev/null || failed=1
for name in clients-ca brokers-ca inside-ca partners; do
    cp "$folder/gw.pem" "$folder/$name.pem"
done
cp "$folder/gw.key" "$folder/partners.key"
echo token >"$folder/proxy.jwt"
chmod 640 "$folder"/*
for file in conf/*.yaml; do
    sed "s#/etc/penstock/tls/#$folder/#g" "$file" >"$folder/${file##*/}"
    if ! said=$("$penstock" check -q -c "$folder/${file##*/}" 2>&1); then
        printf '%s: not valid:\n%s\n' "$file" "$said"
        failed=1
    fi
done
exit $failed
