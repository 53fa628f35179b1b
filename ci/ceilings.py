"""Checks that files and functions stay readable. A soft limit is printed, a hard one fails: what has to be longer is
split, or its reason stands in ARCHITECTURE.md and its path in EXEMPT."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# Lines, soft and hard. Go's functions are golangci-lint's (funlen).
LIMITS = {"go": (400, 800), "py": (400, 700), "test": (800, 1200), "function": (40, 80)}
EXEMPT: frozenset[str] = frozenset()


def main() -> int:
    too_long = 0
    for path in sources():
        text = path.read_text(encoding="utf-8")
        is_test = path.name.endswith("_test.go") or path.name.startswith(("test_", "conftest"))
        findings = [(str(path), len(text.splitlines()), "test" if is_test else path.suffix[1:])]
        if path.suffix == ".py" and not is_test:
            findings += [(f"{path}:{line} {name}()", length, "function") for name, line, length in functions(text)]
        for what, length, kind in findings:
            soft, hard = LIMITS[kind]
            if length > hard and str(path) not in EXEMPT:
                too_long += 1
                print(f"{what}: {length} lines, at most {hard} are allowed: split it")
            elif length > soft:
                print(f"{what}: {length} lines, more than the {soft} that read well")
    return 1 if too_long else 0


def sources() -> Iterator[Path]:
    """Every Go and Python file that is, or could be, in the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.go", "*.py"]
    for name in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        path = Path(name)
        if path.exists() and "testdata" not in path.parts:
            yield path


def functions(text: str) -> Iterator[tuple[str, int, int]]:
    """Name, first line and length of each function."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


if __name__ == "__main__":
    sys.exit(main())
