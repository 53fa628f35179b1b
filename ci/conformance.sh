#!/usr/bin/env bash
# Runs conformance/, which drives bin/backline from outside as users do: first the tests that mostly wait, PROCESSES (two
# for each processor) at once, then those that load the machine and measure it, one after the other. An argument, `quick`
# or `load`, asks for one of the two; others go to pytest. BACKLINE_PYTHONS lists an interpreter for each virtual
# environment, separated by ":", for the tests that run over every Python.
. "$(dirname "$0")/lib.sh"

[ -d conformance ] || absent "there is no conformance/"
[ -x bin/backline ] || fail "bin/backline is missing; run make build first"
[ -x .venv/bin/python ] || fail ".venv is missing; run ci/setup.sh first"

pythons=$PWD/.venv/bin/python
for python in "$PWD"/.venvs/*/bin/python; do
  [ -x "$python" ] && pythons=$pythons:$python
done
export BACKLINE_PYTHONS=$pythons

run() { .venv/bin/python -m pytest conformance --timeout 300 --durations 15 -o "cache_dir=$PWD/build/pytest" "$@"; }

# A file's tests stay together (loadfile): they share servers.
quick=(-m 'not load' --numprocesses "${PROCESSES:-$(($(cores) * 2))}" --dist loadfile)
load=(-m load)

case ${1:-} in
  quick) run "${quick[@]}" "${@:2}" ;;
  load) run "${load[@]}" "${@:2}" ;;
  '') run "${quick[@]}" && run "${load[@]}" ;;
  *) run "$@" ;;
esac
