#!/usr/bin/env bash
# Runs the worker's tests on one interpreter: the one in .venv, or in the folder that is named.
. "$(dirname "$0")/lib.sh"

venv=$PWD/${1:-.venv}
[ -x "$venv/bin/python" ] || fail "$venv is missing; run ci/setup.sh first"
[ -d python/tests ] || absent "there is no python/tests"
cache=$PWD/build/pytest
cd python || exit
exec "$venv/bin/python" -m pytest --timeout 120 -q -o "cache_dir=$cache"
