#!/bin/sh
# Runs every layer of tests in the order in which a failure says most, and ends with one line:
# N passed, N failed, N skipped. A layer that fails stops the run, unless KEEP_GOING=1.
set -u
cd "$(dirname "$0")/.." || exit 1
mkdir -p build
passed=0
failed=0
skipped=0
started=$(date +%s)

close() {
    printf '%d passed, %d failed, %d skipped (%d s)\n' "$passed" "$failed" "$skipped" \
        $(($(date +%s) - started))
    [ "$failed" -eq 0 ]
    exit
}

layer() { # layer NAME COMMAND...: one test of its own, unless its output counts tests
    name=$1
    shift
    log=build/check-$name.log
    begun=$(date +%s)
    if "$@" >"$log" 2>&1; then ok=1; else ok=0; fi
    counted=$(grep -Eo '[0-9]+ (passed|failed|skipped)' "$log" | tail -n 3)
    p=$(printf '%s\n' "$counted" | awk '$2 == "passed" {n = $1} END {print n + 0}')
    f=$(printf '%s\n' "$counted" | awk '$2 == "failed" {n = $1} END {print n + 0}')
    s=$(printf '%s\n' "$counted" | awk '$2 == "skipped" {n = $1} END {print n + 0}')
    if [ $ok = 1 ]; then
        [ $((p + s)) -gt 0 ] || p=1
        word=ok
    else
        [ "$f" -gt 0 ] || f=1
        word=FAILED
    fi
    passed=$((passed + p))
    failed=$((failed + f))
    skipped=$((skipped + s))
    printf '  %-14s %-7s %4d s  %s\n' "$name" "$word" $(($(date +%s) - begun)) \
        "$(tail -n 1 "$log")"
    grep -E '^(SKIPPED|FAILED|ERROR)' "$log"
    if [ $ok = 0 ]; then
        tail -n 60 "$log"
        [ "${KEEP_GOING-}" = 1 ] || close
    fi
}

layer build make -s -j2 all
layer lint make -s lint
layer unit make -s -j2 unit BUILD=asan
layer unit-tsan make -s -j2 unit BUILD=tsan T="queue mail log"
layer fuzz-replay make -s -j2 fuzz-replay BUILD=asan
layer bench make -s bench-check
layer sim make -s sim SEED=1..100
layer ktls make -s ktls
layer e2e make -s e2e
close
