"""Reads `go test -json` and prints what a person wants: go test's own line per package, everything a failed test said,
what failed once more, and one line of counts at the end. Standard library alone: it runs before any virtual
environment exists."""

import json
import sys
from collections import Counter, defaultdict


def main() -> int:
    counts: Counter[str] = Counter()
    said: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    failed: list[str] = []
    for line in sys.stdin:
        try:
            event = json.loads(line)
        except ValueError:  # what the go command prints beside the events
            print(line, end="", flush=True)
            continue
        action, test = event["Action"], event.get("Test", "")
        package = event.get("Package", event.get("ImportPath", ""))
        if action == "build-output":
            print(event["Output"], end="", flush=True)
        elif action == "output":
            said[package, test].append(event["Output"])
        elif action in ("pass", "fail", "skip"):
            if action == "fail":
                failed.append(f"failed: {package} {test}".rstrip())
                if not test:
                    # What crashes, or takes too long, ends in the middle of tests that then never end.
                    for unfinished in [key for key in said if key[0] == package and key[1]]:
                        failed.append(f"unfinished: {package} {unfinished[1]}")
                        show(said.pop(unfinished), whole=True)
            show(said.pop((package, test), []), whole=action == "fail" or not test)
            if test:
                counts[action] += 1
    for line in failed:
        print(line)
    print(f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped")
    return 1 if failed or not counts["pass"] else 0


def show(lines: list[str], *, whole: bool) -> None:
    """Prints what a test or a package said: of a skipped test the reason too, of a passed one nothing."""
    skipped = any(line.lstrip().startswith("--- SKIP") for line in lines)
    if whole or skipped:
        noise = ("=== RUN", "=== PAUSE", "=== CONT", "PASS\n")
        print("".join(line for line in lines if not line.startswith(noise)), end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
