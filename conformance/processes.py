"""What the kernel knows of processes."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from harness import Server, eventually


def children(server: Server) -> list[int]:
    """The processes that the server has started and that have not been reaped."""
    found: list[int] = []
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        found += [int(pid) for pid in (task / "children").read_text().split()]
    return sorted(found)


def started(pid: int) -> int:
    """When a process was started, in clock ticks since the machine was."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def resident(pid: int) -> int:
    """Resident memory in bytes."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found.group(1)) * 1024


def pin(pid: int, processors: set[int]) -> None:
    """Has all threads of a process run on these processors only."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), processors)


def kill(pid: int) -> None:
    """kill -9, and wait until nothing is left of it."""
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pid}").exists(), f"the end of process {pid}")


def template(server: Server) -> int:
    """The process that workers are forked from, with --preload."""
    (pid,) = (pid for pid in children(server) if alive(pid))
    return pid


def forked(pid: int) -> set[int]:
    """What a template has forked and not reaped."""
    return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or before it was read
        return False


def proportional(pid: int) -> int:
    """Memory in bytes, of which shared pages are divided among those that share them."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found.group(1)) * 1024
