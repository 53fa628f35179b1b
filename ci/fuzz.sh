#!/usr/bin/env bash
# Runs every fuzz target of every package for FUZZTIME (default 20 s), one per processor at a time. What is found lies
# in the package's testdata/fuzz afterwards: commit it together with the repair, it is then a test.
# PACKAGE=./wire limits it to one folder. Without it, DIFFERENTIAL_CASES (default 300000) requests of another seed each
# time are then read by h1, llhttp and h11, which have to agree.
. "$(dirname "$0")/lib.sh"

export FUZZTIME=${FUZZTIME:-20s}

# Called again for one target: ci/fuzz.sh FOLDER NAME
if [ $# = 2 ]; then
  folder=$1 name=$2
  log="build/logs/fuzz-$(basename "$folder")-$name.log"
  if go test -run '^$' -fuzz "^$name\$" -fuzztime "$FUZZTIME" -fuzzminimizetime 20x -parallel 1 "$folder" >"$log" 2>&1; then
    printf 'ok      %s %s: %s\n' "$folder" "$name" "$(grep -oE 'execs: [0-9]+' "$log" | tail -n 1)"
    exit
  fi
  printf 'FAILED  %s %s:\n' "$folder" "$name"
  grep -vE '^fuzz: elapsed' "$log"
  exit 1
fi

targets() {
  find "${PACKAGE:-.}" -name '*_test.go' -not -path './.*' -not -path './build/*' -print |
    while read -r file; do
      sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file" | sed "s|^|$(dirname "$file") |"
    done | sort
}

total=$(targets | wc -l | tr -d ' ')
[ "$total" -gt 0 ] || fail "no fuzz target found"
results=$(mktemp)
trap 'rm -f "$results"' EXIT
echo "$total targets, $FUZZTIME each, $(cores) at a time"
targets | xargs -P "$(cores)" -n 2 ci/fuzz.sh | tee "$results" || true
passed=$(grep -c '^ok ' "$results" || true)
echo "$passed passed, $((total - passed)) failed"
[ "$passed" = "$total" ] || exit 1

[ -z "${PACKAGE:-}" ] || exit 0
[ -x .venv/bin/python ] || absent ".venv is missing, so h1 is not compared with other parsers; ci/setup.sh makes it"
export DIFFERENTIAL_CASES=${DIFFERENTIAL_CASES:-300000} DIFFERENTIAL_SEED=${DIFFERENTIAL_SEED:-$RANDOM}
.venv/bin/python -m pytest conformance/test_differential.py -q -s -o "cache_dir=$PWD/build/pytest"
