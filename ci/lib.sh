# Sourced by every script here: strict mode, the repository as current folder, and the summary. Works with bash 3.2,
# which is what macOS has.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p build/logs

# The go command fetches the toolchain that go.mod names; an environment may forbid that with GOTOOLCHAIN=local.
export GOTOOLCHAIN=auto
# Compiled Python files stay out of python/backline, which is embedded in the binary as it lies there.
export PYTHONPYCACHEPREFIX="$PWD/build/pycache"

# An exit status that means "could not be done here", as automake has it. Only outside CI: see absent.
readonly SKIPPED=77

in_ci() { [ "${CI:-}" = true ]; }

# fail MESSAGE: says what is wrong and ends the script.
fail() {
  printf 'error: %s\n' "$1" >&2
  exit 1
}

# absent MESSAGE: something that the step needs is not here. A developer's machine may lack it, CI may not.
absent() {
  in_ci && fail "$1"
  printf 'skipped: %s\n' "$1"
  exit "$SKIPPED"
}

# cores prints how many processors there are.
cores() { getconf _NPROCESSORS_ONLN; }

# suits INTERPRETER: whether it runs and is new enough. A pyenv shim can exist and still refuse to run.
suits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; }

# find_python prints the interpreter that the main virtual environment is made with.
find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.10; do
    if suits "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  fail "no Python 3.10 or newer found; install one, or name it: make test PYTHON=/path/to/python3"
}

# find_pythons prints one interpreter for each of 3.10 to 3.13 that is installed.
find_pythons() {
  local minor candidate
  for minor in 10 11 12 13; do
    for candidate in "python3.$minor" "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$minor".*/bin/python3; do
      if suits "$candidate"; then
        command -v "$candidate"
        break
      fi
    done
  done
}

# go_tool NAME VERSION PACKAGE...: builds programs of other projects, with go.mod's toolchain, on first use (a minute or
# two), and prints the folder that they are in. Built here and not downloaded: it is the same on every machine, and a
# linter must be compiled by a Go at least as new as the code it reads.
go_tool() {
  local name=$1 version=$2 toolchain folder package program
  shift 2
  toolchain=$(sed -n 's/^toolchain //p' go.mod)
  folder="$PWD/.tools/$name-$version-$toolchain"
  for package; do
    program=${package%/v[0-9]} # the version of a module is not the name of its program
    program=${program##*/}
    [ -x "$folder/$program" ] && continue
    echo "building $program $version" >&2
    GOTOOLCHAIN=$toolchain GOBIN=$folder CGO_ENABLED=0 GOFLAGS='' go install "$package@$version" >&2
  done
  printf '%s\n' "$folder"
}

# The summary is a file of lines "name <tab> status <tab> seconds <tab> counts". Whoever starts first owns it and prints
# it at the end; scripts called by that one only add to it.
summary_owner=
failed=0

summary_begin() {
  if [ -z "${BACKLINE_SUMMARY:-}" ]; then
    summary_owner=yes
    export BACKLINE_SUMMARY="$PWD/build/summary.tsv"
    : >"$BACKLINE_SUMMARY"
  fi
}

# step NAME COMMAND...: runs it, keeps its output in build/logs, remembers how it ended. Goes on after a failure, so that
# one run shows everything that is wrong.
step() {
  local name=$1 began=$SECONDS status=0 word=ok log counts
  shift
  log="build/logs/$name.log"
  printf '\n=== %s\n' "$name"
  "$@" 2>&1 | tee "$log" || status=$?
  case $status in
    0) ;;
    "$SKIPPED") word=skipped ;;
    *) word=FAILED && step_failed ;;
  esac
  # The line in which pytest, ci/go_report.py and ci/fuzz.sh count, without pytest's frame.
  counts=$(grep -E '[0-9]+ (passed|failed|error|skipped)' "$log" | tail -n 1 | sed -e 's/^=* *//' -e 's/ *=*$//' || true)
  [ "$word" = skipped ] && counts=$(grep '^skipped: ' "$log" | tail -n 1)
  printf '%s\t%s\t%s\t%s\n' "$name" "$word" "$((SECONDS - began))" "$counts" >>"$BACKLINE_SUMMARY"
}

# step_failed remembers that a script with steps of its own failed.
step_failed() { failed=1; }

# summary_end prints the summary where this script owns it, and ends with 1 where a step failed.
summary_end() {
  [ -n "$summary_owner" ] && ci/summary.sh "$BACKLINE_SUMMARY"
  exit "$failed"
}
