"""Snapshots and profiles of this very process, asked for over a real control connection."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from typing import Any

import pytest

from backline import profiler, stacks, wire
from backline.control import Control

PATIENCE = 20.0


def ask(conn: socket.socket, *messages: wire.Outgoing) -> dict[str, Any]:
    for message in messages:
        conn.sendall(wire.encode([message]))
    decoder = wire.Decoder()
    while True:
        for kind, token, text in decoder.feed(conn.recv(1 << 20)):
            assert (kind, token) == (wire.REPORT, messages[0][1])
            found: dict[str, Any] = json.loads(text)
            return found


def wait_here(gate: threading.Event) -> None:
    gate.wait(PATIENCE)


def spin_here(gate: threading.Event) -> None:
    while not gate.is_set():
        sum(range(100))


class Crew:
    """Threads that do the same."""

    def __init__(self, target: Any, count: int) -> None:
        self.gate = threading.Event()
        self.threads = [threading.Thread(target=target, args=(self.gate,), name=f"crew-{n}") for n in range(count)]

    def __enter__(self) -> Crew:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        for thread in self.threads:
            thread.join()


def test_threads_that_do_the_same_are_one(pair: tuple[Control, socket.socket]) -> None:
    control, conn = pair
    with Crew(wait_here, 30) as crew:
        control.running = {thread.ident or 0: n for n, thread in enumerate(crew.threads)}

        def entry() -> dict[str, Any]:
            found = ask(conn, (wire.SNAPSHOT, 3))["stacks"]
            return max((each for each in found if "in wait_here" in each["text"]), key=lambda each: int(each["count"]))

        deadline = time.monotonic() + PATIENCE
        while (one := entry())["count"] < 30:
            assert time.monotonic() < deadline, one
        assert one["kind"] == "thread"
        assert len(one["names"]) == len(one["streams"]) == stacks.NAMED
        assert one["names"][0].startswith("crew-")
        assert "threading.py" not in one["text"].split("in wait_here")[0], "not how a thread begins"


class Loop:
    """What stacks.Loop asks for."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.units: dict[int, Any] = {}

    def turns(self) -> int:
        return 0

    def poke(self) -> None:
        raise AssertionError("nobody watches")

    def requests(self) -> dict[int, Any]:
        return self.units


async def outer(gate: asyncio.Event) -> None:
    await inner(gate)


async def inner(gate: asyncio.Event) -> None:
    await gate.wait()


def test_tasks_with_their_awaits(pair: tuple[Control, socket.socket]) -> None:
    control, conn = pair

    async def main() -> dict[str, Any]:
        loop, gate = Loop(), asyncio.Event()
        task = asyncio.create_task(outer(gate), name="patient")

        async def waits_for_it() -> None:
            await task

        other = asyncio.create_task(waits_for_it(), name="follower")
        await asyncio.sleep(0.01)
        loop.units = {7: task}
        control.watch(loop, 0)
        deadline = time.monotonic() + PATIENCE
        while True:
            found = await asyncio.to_thread(ask, conn, (wire.SNAPSHOT, 4))
            if (
                any("event loop, waits for work" in each["note"] for each in found["stacks"])
                or time.monotonic() > deadline
            ):
                break  # otherwise the loop had not come to its selector yet
        gate.set()
        await other
        return found

    found = asyncio.run(main())["stacks"]
    (patient,) = [each for each in found if each["names"] == ["patient"]]
    assert (patient["kind"], patient["streams"]) == ("task", [7])
    assert patient["text"].index("in outer") < patient["text"].index("in inner") < patient["text"].index("in wait")
    (follower,) = [each for each in found if each["names"] == ["follower"]]
    assert follower["note"] == "awaits the task patient"
    (loop_thread,) = [each for each in found if "event loop" in each["note"]]
    assert loop_thread["note"] == "runs the event loop, waits for work"
    assert loop_thread["text"] == ""


class Lazy:
    """An object like Django's lazy ones."""

    asked = False

    @property
    def __class__(self) -> Any:
        Lazy.asked = True
        return Lazy

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise AssertionError(value)


def test_lazy_objects_stay_lazy(pair: tuple[Control, socket.socket]) -> None:
    _, conn = pair
    import greenlet  # noqa: F401  # where it is in use, all objects are looked at

    lazy = Lazy()
    assert ask(conn, (wire.SNAPSHOT, 8))["stacks"]
    assert type(lazy) is Lazy
    assert not Lazy.asked


def test_the_number_of_stacks_is_bounded(pair: tuple[Control, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    _, conn = pair
    monkeypatch.setattr(stacks, "DISTINCT", 1)
    with Crew(wait_here, 1), Crew(spin_here, 1):
        found = ask(conn, (wire.SNAPSHOT, 5))
    assert len(found["stacks"]) == 1
    assert found["more"] >= 1


def test_an_endless_recursion_is_cut() -> None:
    def deeper(n: int) -> list[stacks.Line]:
        return deeper(n - 1) if n else stacks.lines_of(stacks.frames_of(threading.get_ident()))

    assert len(deeper(500)) == stacks.DEEPEST


def test_a_profile_shows_who_is_busy(pair: tuple[Control, socket.socket]) -> None:
    _, conn = pair
    with Crew(spin_here, 1) as busy, Crew(wait_here, 1):
        busy.threads[0].name = "spinner"
        found = ask(conn, (wire.PROFILE, 6, 500, 100))
    assert found["samples"] >= 2, "on a very busy machine"
    assert found["seconds"] > 0.4
    lanes = {lane["name"]: lane for lane in found["threads"]}
    spinner = lanes["spinner"]
    assert len(spinner["stacks"]) == len(spinner["weights"])
    assert sum(spinner["weights"]) == pytest.approx(found["seconds"], rel=0.1)
    names = {found["frames"][frame]["name"] for stack in spinner["stacks"] for frame in found["stacks"][stack]}
    assert "spin_here" in names
    assert not {"_bootstrap", "_bootstrap_inner"} & names
    # The one that waits has one stack all the time, which is one sample of the whole weight.
    waits = lanes["crew-0"]
    assert len(waits["stacks"]) <= 2


@pytest.mark.parametrize("budget", [profiler.BUDGET, 1e-12], ids=["ample", "spent-at-once"])
def test_a_profile_of_tasks_that_wait(
    pair: tuple[Control, socket.socket], monkeypatch: pytest.MonkeyPatch, budget: float
) -> None:
    control, conn = pair
    monkeypatch.setattr(profiler, "BUDGET", budget)

    async def main() -> dict[str, Any]:
        loop, gate = Loop(), asyncio.Event()
        task = asyncio.create_task(outer(gate))
        await asyncio.sleep(0.01)
        loop.units = {1: task}
        control.watch(loop, 0)
        found = await asyncio.to_thread(ask, conn, (wire.PROFILE, 7, 200, 100))
        gate.set()
        await task
        return found

    found = asyncio.run(main())
    (lane,) = [lane for lane in found["threads"] if "tasks wait" in lane["name"]]
    names = [found["frames"][frame]["name"] for frame in found["stacks"][lane["stacks"][0]]]
    assert [name.rpartition(".")[2] for name in names] == ["outer", "inner", "wait"]
    assert sum(lane["weights"]) > 0.15


def test_one_profile_at_a_time_and_its_end(pair: tuple[Control, socket.socket]) -> None:
    _, conn = pair
    conn.sendall(wire.encode([(wire.PROFILE, 1, 60_000, 100)]))
    assert "another profile" in ask(conn, (wire.PROFILE, 2, 1000, 100))["error"]
    conn.sendall(wire.encode([(wire.PROFILE, 0, 0, 0)]))
    assert ask_nothing(conn)["seconds"] < PATIENCE
    assert "error" not in ask(conn, (wire.PROFILE, 3, 10, 100))


def ask_nothing(conn: socket.socket) -> dict[str, Any]:
    """The answer that is still to come."""
    ((_, token, text),) = wire.Decoder().feed(conn.recv(1 << 20))
    assert token == 1
    found: dict[str, Any] = json.loads(text)
    return found
