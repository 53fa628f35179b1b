#!/usr/bin/env bash
# Runs every linter, a step each, so that the summary says which one complains. FIX=1 (make fmt) mends what can be mended.
# The functions are called by step, which shellcheck cannot see.
# shellcheck disable=SC2329
. "$(dirname "$0")/lib.sh"

# ruff_all COMMAND...: over the package by its own settings, which know its name, and over the rest by the same file.
ruff_all() {
  local folder others=()
  for folder in benchmarks ci conformance examples; do
    [ -d "$folder" ] && others+=("$folder")
  done
  (cd python && ../.venv/bin/ruff "$@" --cache-dir ../build/ruff .) &&
    .venv/bin/ruff "$@" --cache-dir build/ruff --config python/pyproject.toml "${others[@]}"
}
go_files() { find . -name '*.go' -not -path './.*' -not -path './build/*'; }

check_gofmt() {
  local unformatted
  unformatted=$(go_files | xargs gofmt -l)
  [ -z "$unformatted" ] || fail "not formatted (make fmt does it): $unformatted"
}

check_ruff() {
  local status=0
  ruff_all check || status=1
  ruff_all format --check || status=1
  return "$status"
}

check_mypy() {
  local folder status=0
  (cd python && ../.venv/bin/mypy --cache-dir ../build/mypy) || status=1
  # One run each, because folders share module names. conformance/apps and conformance/projects are as users write them.
  for folder in ci examples/tour conformance; do
    [ -d "$folder" ] || continue
    MYPYPATH=python .venv/bin/mypy --config-file python/pyproject.toml --cache-dir build/mypy --exclude '/(apps|projects)/' "$folder" || status=1
  done
  return "$status"
}

if [ ! -x .venv/bin/python ]; then
  ci/setup.sh
fi
if [ -n "${FIX:-}" ]; then
  go_files | xargs gofmt -w
  ci/golangci-lint.sh fmt
  ruff_all check --fix-only
  ruff_all format
  exit
fi

summary_begin
step gofmt check_gofmt
step golangci-lint ci/golangci-lint.sh run
step ruff check_ruff
step mypy check_mypy
step shellcheck .venv/bin/shellcheck -x -P SCRIPTDIR ci/*.sh .ci/run
step ceilings .venv/bin/python ci/ceilings.py
summary_end
