#!/usr/bin/env bash
# Prints the end of what each failed step said, then the summary file that ci/lib.sh describes: a line per step, and a
# verdict. All of it at the end, because whoever looks at a long output looks there.
set -euo pipefail
summary=${1:-build/summary.tsv}

awk -F '\t' '$2 == "FAILED" { print $1 }' "$summary" | while read -r name; do
  printf '\n=== the end of %s\n' "$name"
  tail -n 30 "build/logs/$name.log" || true
done
printf '\n=== summary\n'
awk -F '\t' '
  { printf "%-14s %-8s %5d s   %s\n", $1, $2, $3, $4; seconds += $3; steps++; if ($2 == "FAILED") bad = bad " " $1 }
  END {
    if (!steps) { print "FAILED: no step ran"; exit 1 }
    if (bad) { printf "FAILED:%s (output in build/logs)\n", bad; exit 1 }
    printf "ok: %d steps in %d s\n", steps, seconds
  }' "$summary"
