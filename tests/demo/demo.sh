#!/bin/sh
# demo.sh (make demo): a private Pulsar cluster nobody can reach, penstock in front of it, and the official Python client that produces
# and consumes through it all the same; then the same with Kafka (kafka.py). Needs root for the network namespaces; leaves nothing running and nothing behind but the caches.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
. "$here/../lab/paths.sh"
export PENSTOCK_LAB="${PENSTOCK_LAB:-demo}" PYTHONDONTWRITEBYTECODE=1
penstock=${PENSTOCK:-$tree/build/release/penstock}
gate=10.77.0.2 zookeeper=127.77.0.2 broker=127.77.0.11
topics="orders payments invoices clicks alarms videos"
pid='' log=''

lab() { "$VENV/bin/python" "$here/../lab/cluster.py" "$@"; }
say() { printf '\n== %s\n' "$*"; }

finish() {
    status=$?
    trap - EXIT INT TERM
    if [ -n "$pid" ]; then
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    fi
    if [ $status != 0 ] && [ -n "$log" ]; then echo "demo: failed; penstock's log:"; tail -20 "$log"; fi
    lab wipe || status=1
    [ -z "$log" ] || rm -f "$log"
    [ $status != 0 ] || say "Done; everything is stopped again."
    exit $status
}

[ -x "$penstock" ] || { echo "demo: no $penstock; first: make" >&2; exit 1; }
[ -x "$VENV/bin/python" ] || { echo "demo: no Python environment; first: tests/lab/deps.sh lab" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "demo: network namespaces need root; please run: sudo make demo" >&2; exit 1; }
trap finish EXIT
trap 'exit 130' INT TERM

say "1. ZooKeeper, a bookie and two Pulsar brokers, in a network of their own (about 15 s)"
lab wipe
lab up

number=1
for topic in $topics; do # topics of one namespace spread by themselves, but not evenly when there are only six
    lab give "public/default/$topic" $number
    number=$((3 - number))
done

say "2. penstock, by the command of the old proxy"
echo "   \$ penstock proxy --zookeeper-servers $zookeeper --global-zookeeper-servers $zookeeper --bind $gate:6650 --web $gate:8080"
log=$(mktemp)
# not by way of lab(), so that $! is penstock itself
"$VENV/bin/python" "$here/../lab/cluster.py" in "$penstock" proxy --zookeeper-servers "$zookeeper" --global-zookeeper-servers "$zookeeper" --bind "$gate:6650" --web "$gate:8080" >"$log" 2>&1 &
pid=$!
tries=0
until lab in curl -sf -m 1 http://127.0.0.1:9180/readyz >/dev/null 2>&1; do
    kill -0 "$pid" 2>/dev/null || { echo "demo: penstock ended"; exit 1; }
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { echo "demo: penstock is not ready after 10 s"; exit 1; }
    sleep 0.1
done
lab in curl -s http://127.0.0.1:9180/brokers | "$VENV/bin/python" -c '
import json, sys
for c in json.load(sys.stdin)["clusters"]:
    print("   ready; brokers found in ZooKeeper:", ", ".join(b["url"] for b in c["brokers"]))'

say "3. A client on the other side of the cable"
if lab out curl -s -m 1 "http://$broker:8080/" >/dev/null 2>&1; then echo "demo: a client can reach a broker directly"; exit 1; fi
echo "   cannot reach the brokers: a connection to $broker is refused"
# shellcheck disable=SC2086
lab out "$VENV/bin/python" "$here/client.py" "pulsar://$gate:6650" $topics

say "4. Which broker served which topic"
for topic in $topics; do
    url=$(lab in curl -s "http://$broker:8080/lookup/v2/topic/persistent/public/default/$topic" | sed -n 's/.*"brokerUrl":"\([^"]*\)".*/\1/p')
    printf '   %-10s %s\n' "$topic" "$url"
done

say "5. What penstock did"
lab in curl -s http://127.0.0.1:9180/metrics | awk '
    /^penstock_bytes_total/ { split($1, part, "\""); way[part[2]] += $2; path[part[4]] += $2; all += $2 }
    /^penstock_lookups_total/ { lookups += $2 }
    /^penstock_redirect_hops_total/ { hops = $2 }
    /^penstock_connections_total/ { connections += $2 }
    END {
        printf "   %d connections, %d topic lookups, %d redirects followed inside\n", connections, lookups, hops
        printf "   %.1f MB to brokers, %.1f MB to clients\n", way["to_broker"] / 1e6, way["to_client"] / 1e6
        printf "   %.1f MB spliced in the kernel, %.1f MB copied: %.0f %% spliced\n", path["splice"] / 1e6, path["copy"] / 1e6, 100 * path["splice"] / all
    }'

say "6. SIGTERM: penstock drains and ends"
kill -TERM "$pid"
status=0
wait "$pid" || status=$?
pid=
echo "   exit status $status"
[ $status = 0 ] || exit $status

PENSTOCK="$penstock" "$VENV/bin/python" "$here/kafka.py"
