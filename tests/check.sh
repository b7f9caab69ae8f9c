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

report() { # report NAME STATUS BEGUN: one test of its own, unless its output counts tests
    name=$1
    ok=$2
    begun=$3
    log=build/check-$name.log
    counted=$(grep -Eo '[0-9]+ (passed|failed|skipped)' "$log" | tail -n 3)
    p=$(printf '%s\n' "$counted" | awk '$2 == "passed" {n = $1} END {print n + 0}')
    f=$(printf '%s\n' "$counted" | awk '$2 == "failed" {n = $1} END {print n + 0}')
    s=$(printf '%s\n' "$counted" | awk '$2 == "skipped" {n = $1} END {print n + 0}')
    if [ "$ok" = 1 ]; then
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
    if [ "$ok" = 0 ]; then
        tail -n 60 "$log"
        [ "${KEEP_GOING-}" = 1 ] || close
    fi
}

layer() { # layer NAME COMMAND...
    layer=$1
    shift
    from=$(date +%s)
    if "$@" >"build/check-$layer.log" 2>&1; then report "$layer" 1 "$from"; else report "$layer" 0 "$from"; fi
}

# End-to-end suites mostly wait, each for servers of its own in a network of its own: two side by side. Kafka's is by
# far the longest, so that a part of it comes behind Pulsar's.
suites() {
    from=$(date +%s)
    most=$(cd tests/e2e && echo test_5[014-6]_kafka*.py)
    rest=$(cd tests/e2e && echo test_5[237]_kafka*.py)
    # shellcheck disable=SC2086 # lists of files
    PENSTOCK_LAB=${PENSTOCK_LAB-pstk}-k tests/e2e/run.sh -q $most >build/check-e2e-kafka.log 2>&1 &
    kafka=$!
    if tests/e2e/run.sh -q --ignore-glob='*_kafka*.py' >build/check-e2e.log 2>&1; then pulsar_ok=1; else pulsar_ok=0; fi
    KEEP_GOING=1 report e2e $pulsar_ok "$from" # all have run: all are told of
    begun_rest=$(date +%s)
    # shellcheck disable=SC2086
    if tests/e2e/run.sh -q $rest >build/check-e2e-kafka-rest.log 2>&1; then rest_ok=1; else rest_ok=0; fi
    KEEP_GOING=1 report e2e-kafka-rest $rest_ok "$begun_rest"
    if wait $kafka; then kafka_ok=1; else kafka_ok=0; fi
    KEEP_GOING=1 report e2e-kafka $kafka_ok "$from"
}

layer build make -s -j2 all
layer lint make -s lint
layer unit make -s -j2 unit BUILD=asan
layer unit-tsan make -s -j2 unit BUILD=tsan T="queue mail log"
layer fuzz-replay make -s -j2 fuzz-replay BUILD=asan
layer bench make -s bench-check
layer sim make -s sim SEED=1..100
layer ktls make -s ktls
suites
close
