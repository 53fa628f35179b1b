#!/usr/bin/env bash
# Prints the summary file that ci/lib.sh describes: a line per step, then a verdict.
set -euo pipefail

printf '\n=== summary\n'
awk -F '\t' '
  { printf "%-14s %-8s %5d s   %s\n", $1, $2, $3, $4; seconds += $3; steps++; if ($2 == "FAILED") bad = bad " " $1 }
  END {
    if (!steps) { print "FAILED: no step ran"; exit 1 }
    if (bad) { printf "FAILED:%s (output in build/logs)\n", bad; exit 1 }
    printf "ok: %d steps in %d s\n", steps, seconds
  }' "${1:-build/summary.tsv}"
