#!/usr/bin/env bash
# Compares the edge, answering in Go without a worker, with net/http: each on core 0, loaded by wrk from core 1, in turns.
# ROUNDS (3) and SECONDS_EACH (5) say how long, SCHEME (http) whether with TLS (https). Fails where the ratio of the
# medians is below FLOOR: of requests/s (1.4), and with TLS, which keeps wrk busier than the server, of CPU (1.1).
. "$(dirname "$0")/lib.sh"

command -v wrk >/dev/null || absent "wrk is not installed (apt-get install wrk)"
command -v taskset >/dev/null || absent "taskset is not installed; it is Linux's"
[ "$(cores)" -ge 2 ] || absent "needs two processors, one for the server and one for the load"

rounds=${ROUNDS:-3} each=${SECONDS_EACH:-5} scheme=${SCHEME:-http}
if [ "$scheme" = https ]; then floor=${FLOOR:-1.1}; else floor=${FLOOR:-1.4}; fi
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
go build -o "$work/edge_hello" ./benchmarks/edge_hello
ticks=$(getconf CLK_TCK)

# cpu prints the clock ticks that the server has taken, in user and system mode together.
cpu() { awk '{ print $14 + $15 }' "/proc/$server/stat"; }

# measure KIND PORT: one round; appends "requests-per-second microseconds-of-CPU-per-request" to its file.
measure() {
  local kind=$1 address=127.0.0.1:$2 before requests
  GOMAXPROCS=1 taskset -c 0 "$work/edge_hello" "$kind" "$address" "$scheme" &
  server=$!
  # wrk would count what the server is not yet there for as errors.
  curl --silent --insecure --retry 50 --retry-connrefused --retry-delay 0 --retry-max-time 10 "$scheme://$address/" >/dev/null
  taskset -c 1 wrk -t1 -c64 -d1 "$scheme://$address/" >/dev/null
  before=$(cpu)
  taskset -c 1 wrk -t1 -c64 -d"$each" "$scheme://$address/" >"$work/wrk"
  requests=$(awk '/requests in/ { print $1 }' "$work/wrk")
  awk -v n="$requests" -v ticks="$(($(cpu) - before))" -v hz="$ticks" '/Requests\/sec/ { printf "%.0f %.2f\n", $2, ticks / hz * 1e6 / n }' \
    "$work/wrk" | tee -a "$work/${kind##*/}" | sed "s|^|$kind |"
  kill "$server"
  wait "$server" || true
  server=
}

# median COLUMN FILE
median() { awk -v c="$1" '{ print $c }' "$2" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

echo "server requests/s us-of-CPU/request"
for ((round = 1; round <= rounds; round++)); do
  measure net/http $((18000 + RANDOM % 1000))
  measure edge $((19000 + RANDOM % 1000))
done
awk -v e="$(median 1 "$work/edge")" -v n="$(median 1 "$work/http")" -v ec="$(median 2 "$work/edge")" -v nc="$(median 2 "$work/http")" -v floor="$floor" -v scheme="$scheme" '
  BEGIN {
    printf "medians: edge %d/s, net/http %d/s: %.2f times; CPU a request %.2f us to %.2f us: %.2f times less\n", e, n, e / n, ec, nc, nc / ec
    exit (scheme == "https" ? nc / ec : e / n) < floor
  }'
