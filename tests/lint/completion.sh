#!/bin/bash
# Shell completion: both files are what their shell can read, and bash's is asked what a user would
# ask it. That they are what the tables say is tables.sh's.
set -u
cd "$(dirname "$0")/../.." || exit 1
files=packaging/common/completions
failed=0
for name in penstock penstock-bench; do
    bash -n $files/$name.bash || failed=1
    zsh -n $files/_$name || failed=1
done
compopt() { :; } # it only works while somebody types
# shellcheck disable=SC1091
. $files/penstock.bash
# shellcheck disable=SC1091
. $files/penstock-bench.bash

# offers "WORDS TYPED SO FAR" "PATTERN": the last word is being typed; a '_' at the end is an empty one.
offers() {
    read -ra COMP_WORDS <<<"${1//=/ = }"
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    [ "${COMP_WORDS[COMP_CWORD]}" != _ ] || COMP_WORDS[COMP_CWORD]=
    if [ "${COMP_WORDS[0]}" = penstock ]; then _penstock; else _penstock_bench; fi
    # shellcheck disable=SC2053
    if [[ "${COMPREPLY[*]}" != $2 ]]; then
        printf '%s: offers "%s", not "%s"\n' "$1" "${COMPREPLY[*]}" "$2"
        failed=1
    fi
}
offers 'penstock che' check
offers 'penstock _' '*run proxy check *version help*'
offers 'penstock check --du' --dump
offers 'penstock check -_' '' # no such flag
offers 'penstock proxy --zoo' --zookeeper-servers
offers 'penstock proxy --set limits.conn' limits.connections=
offers 'penstock proxy --bind _' ''
offers 'penstock check --config conf/pen' conf/penstock.yaml
offers 'penstock check --config=conf/pen' conf/penstock.yaml
offers 'penstock import conf/pen' conf/penstock.yaml
offers 'penstock help ver' version
offers 'penstock show _' brokers
offers 'penstock show --js' --json
offers 'penstock docs _' ''
offers 'penstock-bench _' 'load sink --help'
offers 'penstock-bench load open' open
offers 'penstock-bench sink ec' echo
offers 'penstock-bench load stream --do' --down
offers 'penstock-bench load open --do' ''
offers 'penstock-bench load open --schedule p' poisson
offers 'penstock-bench load open --to _' ''
offers 'penstock-bench load open --hgrm conf/pen' conf/penstock.yaml
exit $failed
