#!/usr/bin/env bash
# Measures Backline beside granian, gunicorn and uvicorn, and its edge beside net/http. Takes five minutes and wants the
# machine for itself. CASES names some of asgi-hello, wsgi-hello, gevent-hello, django-hello, django-page, sleep and
# gevent-sleep.
. "$(dirname "$0")/lib.sh"

command -v wrk >/dev/null || absent "wrk is not installed (apt-get install wrk)"
command -v taskset >/dev/null || absent "taskset is not installed; it is Linux's"
ci/build.sh
venv=build/bench
if ! cmp -s benchmarks/requirements.txt "$venv/requirements.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --requirement benchmarks/requirements.txt
  cp benchmarks/requirements.txt "$venv/"
fi
cases=()
for case in ${CASES:-}; do
  cases+=(--case "$case")
done
"$venv/bin/python" benchmarks/side_by_side.py "${cases[@]+"${cases[@]}"}"
"$venv/bin/python" benchmarks/static_files.py
ci/bench_edge.sh
SCHEME=https ci/bench_edge.sh
