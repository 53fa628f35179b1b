"""Workers that are killed under load: what clients may see of it is what the application was working on."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Server, eventually, in_parallel
from processes import children, kill
from wrk import Load, Wrk

pytestmark = [pytest.mark.load, pytest.mark.timeout(120)]

SECONDS = 20
THREADS = 8


class Entries:
    """What the processes of apps/counted.py have written down."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def pids(self) -> list[int]:
        return [int(path.name) for path in self._folder.iterdir()]

    def entered(self, pid: int) -> int:
        """How many requests have reached the application in this process."""
        path = self._folder / str(pid)
        data = path.read_bytes() if path.exists() else b""
        return sum(number for (number,) in struct.iter_unpack("=Q", data))


def kill_one_a_second(server: Server, entries: Entries, load: Wrk) -> list[int]:
    """Kill a random worker that has served something, every second while there is load; their numbers."""
    killed: list[int] = []
    begun = time.monotonic()

    def due() -> bool:
        return time.monotonic() >= begun + len(killed) + 1

    def serving() -> list[int]:
        return [pid for pid in children(server) if entries.entered(pid)]

    while len(killed) < SECONDS:
        eventually(due, "the next second")
        victim = random.choice(eventually(serving, "a worker that serves"))  # type: ignore[arg-type]
        assert load.running, f"wrk ended after {len(killed)} kills"
        kill(victim)
        killed.append(victim)
    return killed


def under_fire(
    serve: Callable[..., Server], folder: Path, loop: str, method: str, target: str
) -> tuple[Load, list[int], Entries]:
    """Load for as long as workers are killed, and 2 s more."""
    folder.mkdir()
    entries = Entries(folder)
    server = serve(f"counted:{loop}", "--workers", "2", "--threads", str(THREADS), env={"COUNTS": str(folder)})
    with Wrk(server, target, seconds=SECONDS + 2, method=method, body=100 if method == "POST" else 0) as wrk:
        killed = kill_one_a_second(server, entries, wrk)
        load = wrk.result()
    assert server.count("worker died") == SECONDS, server.log
    return load, killed, entries


@pytest.mark.parametrize("loop", ["wsgi", "asgi"])
def test_kill_9_every_second_costs_get_nothing(serve: Callable[..., Server], tmp_path: Path, loop: str) -> None:
    def run(n: int) -> Load:
        return under_fire(serve, tmp_path / str(n), loop, "GET", ("/", "/slow")[n])[0]

    for load in in_parallel(2, run):
        assert isinstance(load, Load) and load.requests > 10_000, load
        assert load.errors == 0, load


@pytest.mark.parametrize("loop", ["wsgi", "asgi"])
def test_kill_9_every_second_costs_post_what_had_entered(
    serve: Callable[..., Server], tmp_path: Path, loop: str
) -> None:
    def run(n: int) -> tuple[Load, list[int], Entries]:
        return under_fire(serve, tmp_path / str(n), loop, "POST", ("/", "/slow")[n])

    for result in in_parallel(2, run):
        load, killed, entries = result  # type: ignore[misc]
        # Exact: each process says in its answers who it is, so what entered it and was not answered is known.
        lost = {pid: entries.entered(pid) - load.answered.get(str(pid), 0) for pid in killed}
        assert load.requests > 2_000, load
        assert load.errors <= sum(lost.values()), (load, lost)
        assert min(lost.values()) >= 0, lost
        if loop == "wsgi":
            assert max(lost.values()) <= THREADS, lost
