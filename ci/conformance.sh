#!/usr/bin/env bash
# Runs conformance/, which drives bin/backline from outside as users do. BACKLINE_PYTHONS lists an interpreter for each
# virtual environment, separated by ":", for the tests that run over every Python.
. "$(dirname "$0")/lib.sh"

[ -d conformance ] || absent "there is no conformance/"
[ -x bin/backline ] || fail "bin/backline is missing; run make build first"
[ -x .venv/bin/python ] || fail ".venv is missing; run ci/setup.sh first"

pythons=$PWD/.venv/bin/python
for python in "$PWD"/.venvs/*/bin/python; do
  [ -x "$python" ] && pythons=$pythons:$python
done
export BACKLINE_PYTHONS=$pythons
exec .venv/bin/python -m pytest conformance --timeout 300 -o "cache_dir=$PWD/build/pytest" "$@"
