#!/bin/sh
# run.sh [pytest arguments]: the kTLS suite in user-mode Linux, whatever the kernel of this machine: it runs as a program of the caller's
# (no root, no KVM) on the host's own tree, which it can only read. On two kernels, one after the other: this Debian's, which cannot change
# keys (before 6.14), and a newer Debian's, which can. e.g. run.sh -k rekey; KTLS_KERNELS=newer run.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lab/paths.sh"
"$here/../lab/deps.sh" ktls
penstock=${PENSTOCK:-$here/../../build/release/penstock}
[ -x "$penstock" ] || { echo "ktls: no $penstock; first: make" >&2; exit 1; }

scratch=$(mktemp -d "${TMPDIR:-/tmp}/penstock-ktls.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 143' INT TERM
cp "$penstock" "$scratch/penstock" # so that a build meanwhile does not get into a running suite
cc -shared -fPIC -O1 -Wall -Werror -o "$scratch/refuse.so" "$here/refuse.c"
javac -nowarn -proc:none -d "$scratch" "$here/KeyLimits.java"

# Its kernel has a command line of its own ideas: what to run is in a file.
write_command() { # write_command KERNEL MODULES [pytest arguments]
    echo "cd '$here' || exit 1"
    echo "export PENSTOCK='$scratch/penstock' PENSTOCK_CACHE='$PENSTOCK_CACHE' PENSTOCK_LAB_NETNS=off PENSTOCK_LAB_DIR='$scratch/lab'"
    echo "export KTLS_KERNEL='$1' KTLS_MODULES='$2' PYTHONDONTWRITEBYTECODE=1"
    shift 2
    printf "exec '%s/bin/python' -m pytest -q -p no:cacheprovider --tb=short --color=no --no-header" "$VENV"
    for word in "$@"; do printf " '%s'" "$word"; done
    echo
}

# boot FOLDER PROGRAM...: until its end. The newer kernel finds its C library from the folder it is started in.
boot() {
    cd "$1"
    shift
    timeout -k 5 "${KTLS_TIMEOUT:-1200}" "$@" mem=768M root=98:0 rootfstype=hostfs rootflags=/ ro \
        "init=$here/guest.py" "scratch=$scratch" quiet con=null con0=null,fd:1 </dev/null 2>"$scratch/uml.log" |
        tr -d '\r' | grep -vE '^(SELinux: |mmapper_init |Failed to initialize ubd |reboot: )' || true
}

run() { # run KERNEL [pytest arguments]
    kernel=$1
    shift
    rm -rf "$scratch/status" "$scratch/ca"
    case $kernel in
    own)
        root=/
        [ -x /usr/bin/linux.uml ] || root=$UML/
        write_command own "${root}usr/lib/uml/modules" "$@" >"$scratch/command"
        (boot / "${root}usr/bin/linux.uml")
        ;;
    newer)
        # Without those that no kernel makes a difference to.
        for name in 1_no_kernel 2_no_cipher 6_routes 7_memory 7_scarce; do set -- "--ignore=test_$name.py" "$@"; done
        write_command newer "$NEWER_UML/usr/lib/uml/modules" "$@" >"$scratch/command"
        (boot "$NEWER_UML" env LD_LIBRARY_PATH=.lib64 ./linux)
        ;;
    *) echo "no kernel '$kernel'; there are: own newer" >"$scratch/uml.log" ;;
    esac
    # 5: none of the cases that were asked for is of this kernel.
    case $(cat "$scratch/status" 2>/dev/null) in
    0 | 1 | 5) ;;
    "") cat "$scratch/uml.log"; echo "ktls: 0 passed, 1 failed (kernel '$kernel' did not start, or did not come to its end)" ;;
    *) echo "ktls: 0 passed, 1 failed (kernel '$kernel': pytest ended with status $(cat "$scratch/status"))" ;;
    esac
}

for kernel in ${KTLS_KERNELS:-own newer}; do run "$kernel" "$@"; done | tee "$scratch/said"
awk '/^ktls: / { passed += $2; failed += $4; sub(/^[^(]*\(/, ""); sub(/\)$/, ""); on = on (on ? "; " : "") $0 }
    END { printf "ktls: %d passed, %d failed (%s)\n", passed, failed, on; exit passed == 0 || failed > 0 }' "$scratch/said"
