#!/usr/bin/env bash
# Everything that has to be right before a change is offered, with one summary at the end. Steps run one after the other:
# some tests measure time, and would measure each other.
. "$(dirname "$0")/lib.sh"

summary_begin
step setup ci/setup.sh
step build ci/build.sh
step go ci/go.sh
step python ci/python.sh
for venv in .venvs/*; do
  [ -d "$venv" ] && step "python-${venv##*/}" ci/python.sh "$venv"
done
step conformance ci/conformance.sh quick
step load ci/conformance.sh load
ci/lint.sh || step_failed
summary_end
