#!/usr/bin/env bash
# Runs the Go tests, with the race detector where a C compiler is (the detector is linked by it; nothing else is).
. "$(dirname "$0")/lib.sh"

race=-race
if [ "$(go env GOOS)" = linux ] && ! command -v "${CC:-gcc}" >/dev/null && ! command -v clang >/dev/null; then
  in_ci && fail "the race detector needs a C compiler, and there is none"
  echo "no C compiler: the tests run without the race detector"
  race=
fi
# $race is meant to vanish where it is empty.
CGO_ENABLED=${race:+1} go test $race -timeout 5m -json ./... | "$(find_python)" ci/go_report.py
