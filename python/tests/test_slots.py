"""Who gets which thread for synchronous code, and when."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from backline.slots import SOCKET_IDLE, Slot, Slots

PATIENCE = 20


class Clock:
    """Notes what is to be called later."""

    def __init__(self) -> None:
        self.later: list[Callable[..., Any]] = []

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any) -> None:
        callback(*args)

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> None:
        self.later.append(callback)


def run(slot: Slot) -> int:
    thread: int = slot.submit(threading.get_ident).result(PATIENCE)
    return thread


def test_a_call_keeps_its_thread() -> None:
    slots = Slots(2, Clock())
    first, second = Slot(slots), Slot(slots)
    assert run(first) == run(first) != run(second)
    for slot in (first, second):
        slot.shutdown()


def test_an_idle_requests_thread_changes_hands_when_the_clock_says_so() -> None:
    clock = Clock()
    slots = Slots(1, clock)
    idle, other = Slot(slots), Slot(slots)
    thread = run(idle)
    waiting = other.submit(threading.get_ident)
    assert not waiting.done() and len(clock.later) == 1
    idle.used = 0.0  # long ago
    clock.later.pop()()
    assert waiting.result(PATIENCE) == thread
    for slot in (idle, other):
        slot.shutdown()


def test_work_that_waits_long_is_told_once() -> None:
    clock, told = Clock(), []
    slots = Slots(1, clock)
    slots.stall, slots.tell = 1.0, lambda waiting, seconds: told.append((waiting, seconds))
    gate = threading.Event()
    busy, first, second = Slot(slots), Slot(slots), Slot(slots)
    running = busy.submit(gate.wait, PATIENCE)
    waiting = [first.submit(int), second.submit(int)]
    clock.later.pop()()
    assert told == [], "it has not waited for long"
    slots._since -= 1.0
    clock.later.pop()()
    clock.later.pop()()
    assert len(told) == 1, "once for the whole episode"
    assert told[0][0] == 2
    assert told[0][1] >= 1.0
    gate.set()
    assert running.result(PATIENCE)
    for slot in (busy, first, second):
        slot.shutdown()
    for each in waiting:
        each.result(PATIENCE)
    clock.later.pop()()
    assert not clock.later, "nobody waits any more"


def test_an_idle_sockets_thread_changes_hands_at_once() -> None:
    clock = Clock()
    slots = Slots(1, clock)
    sockets = [Slot(slots, SOCKET_IDLE) for _ in range(3)]
    assert len({run(slot) for slot in sockets}) == 1
    assert not clock.later
    for slot in sockets:
        slot.shutdown()


def test_a_busy_sockets_thread_changes_hands_when_it_is_done() -> None:
    clock = Clock()
    slots = Slots(1, clock)
    busy, other = Slot(slots, SOCKET_IDLE), Slot(slots, SOCKET_IDLE)
    go = threading.Event()
    first = busy.submit(go.wait, PATIENCE)
    second = other.submit(threading.get_ident)
    assert not second.done()
    go.set()
    assert first.result(PATIENCE) and second.result(PATIENCE)
    for slot in (busy, other):
        slot.shutdown()
