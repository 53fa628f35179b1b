#!/usr/bin/env bash
# Runs the Go benchmarks; BENCH is a pattern, COUNT how often each runs (6 or more for benchstat).
. "$(dirname "$0")/lib.sh"

exec go test -run '^$' -bench "${BENCH:-.}" -count "${COUNT:-1}" -benchmem ./...
