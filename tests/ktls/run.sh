#!/bin/sh
# run.sh [pytest arguments]: the kTLS suite in user-mode Linux, whatever the kernel of this machine: it runs as a program of the caller's
# (no root, no KVM) on the host's own tree, which it can only read. e.g. run.sh -k rekey
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lab/paths.sh"
"$here/../lab/deps.sh" ktls
penstock=${PENSTOCK:-$here/../../build/release/penstock}
[ -x "$penstock" ] || { echo "ktls: no $penstock; first: make" >&2; exit 1; }

root=/
[ -x /usr/bin/linux.uml ] || root=$UML/
scratch=$(mktemp -d "${TMPDIR:-/tmp}/penstock-ktls.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 143' INT TERM

# Its kernel has a command line of its own ideas: what to run is in a file.
cp "$penstock" "$scratch/penstock" # so that a build meanwhile does not get into a running suite
cc -shared -fPIC -O1 -Wall -Werror -o "$scratch/refuse.so" "$here/refuse.c"
{
    echo "cd '$here' || exit 1"
    echo "export PENSTOCK='$scratch/penstock' PENSTOCK_CACHE='$PENSTOCK_CACHE' PENSTOCK_LAB_NETNS=off PENSTOCK_LAB_DIR='$scratch/lab'"
    echo "export KTLS_MODULES='${root}usr/lib/uml/modules' PYTHONDONTWRITEBYTECODE=1"
    printf "exec '%s/bin/python' -m pytest -q -p no:cacheprovider --tb=short --color=no --no-header" "$VENV"
    for word in "$@"; do printf " '%s'" "$word"; done
    echo
} >"$scratch/command"

: >"$scratch/uml.log"
timeout -k 5 "${KTLS_TIMEOUT:-400}" "${root}usr/bin/linux.uml" mem=768M root=98:0 rootfstype=hostfs rootflags=/ ro \
    "init=$here/guest.py" "scratch=$scratch" quiet con=null con0=null,fd:1 </dev/null 2>"$scratch/uml.log" |
    tr -d '\r' | grep -vE '^(SELinux: |mmapper_init |Failed to initialize ubd |reboot: )' || true
if [ ! -s "$scratch/status" ]; then
    cat "$scratch/uml.log" >&2
    echo "ktls: user-mode Linux did not start, or did not come to its end: 0 passed, 1 failed" >&2
    exit 1
fi
exit "$(cat "$scratch/status")"
