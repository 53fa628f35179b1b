#!/usr/bin/env bash
# Runs the Go tests, with the race detector where a C compiler is (the detector is linked by it; nothing else is).
. "$(dirname "$0")/lib.sh"

race=-race
if [ "$(go env GOOS)" = linux ] && ! command -v "${CC:-gcc}" >/dev/null && ! command -v clang >/dev/null; then
  in_ci && fail "the race detector needs a C compiler, and there is none"
  echo "no C compiler: the tests run without the race detector"
  race=
fi

# The second run is for the edge as systems without epoll have it: a goroutine for each connection. In the third every
# connection that a test makes has TLS: what holds for plain ones has to hold for them.
tests() {
  local status=0
  # $race is meant to vanish where it is empty.
  go test $race -timeout 5m -json ./... || status=1
  [ "$(go env GOOS)" != linux ] || go test $race -tags portable -timeout 5m -json ./edge || status=1
  go test $race -tags secure -timeout 5m -json ./edge || status=1
  return "$status"
}
export CGO_ENABLED=${race:+1}
tests | "$(find_python)" ci/go_report.py
