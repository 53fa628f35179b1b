"""Samples what this process does: a thread of its own looks at the frames of the others so many times a second.

It needs the interpreter's lock for each look, so it takes care to be short: a stack that has been seen is one look into
a dictionary for each frame, no text is made and no line is computed before the end. Threads are looked at every time,
and what waits (tasks, greenlets) as long as all looking together stays below BUDGET, and once at the end in any case:
a profile without them would say that nothing waited.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from time import monotonic, sleep, thread_time
from types import CodeType
from typing import Any, Final

from .stacks import Loop, around, frames_of, is_import, is_ours, thread_names, unit_lines, unit_runs, waits

BUDGET: Final = 0.03  # of a processor
MOST_WAITING: Final = 200  # tasks or greenlets that one look takes in
MOST_SAMPLES: Final = 1_000_000  # of all lanes; what is more would not fit a packet, nor a browser
_IDLE: Final = "(waits for work)"
_OURS, _IMPORT, _AROUND, _THEIRS = range(4)


class Lane:
    """What was seen of one thread, or of all that waits."""

    __slots__ = ("last", "name", "stacks", "stood", "weights")

    def __init__(self, name: str) -> None:
        self.name = name
        self.stacks: list[int] = []
        self.weights: list[float] = []
        self.last: tuple[int, ...] = ()  # of the frame that was innermost at the last look, to know it again
        self.stood = 0  # its stack

    def add(self, stack: int, weight: float) -> None:
        if self.stacks and self.stacks[-1] == stack:
            self.weights[-1] += weight
        else:
            self.stacks.append(stack)
            self.weights.append(weight)


class Profile:
    """One profile under way."""

    def __init__(self, seconds: float, rate: int, running: Mapping[int, int], loop: Loop | None) -> None:
        self._seconds = seconds
        self._pause = 1 / rate
        self._running = running
        self._loop = loop
        self._kinds: dict[CodeType, int] = {}
        self._frames: dict[CodeType, int] = {}  # to their index
        self._stacks: dict[tuple[int, ...], int] = {(): 0}
        self._lanes: dict[int, Lane] = {}
        self._waiting: Lane | None = None
        self._left = MOST_SAMPLES
        self.cancelled = False

    def run(self, hidden: set[int]) -> dict[str, Any]:
        """Sample, on the calling thread, and give what is to be written as JSON."""
        began, began_cost, samples, note = monotonic(), thread_time(), 0, ""
        last = last_waiting = due = began
        names = thread_names(self._loop)
        while True:
            now = monotonic()
            cost, elapsed = thread_time() - began_cost, now - began
            self._look(now - last, names, hidden)
            if self._loop is not None and (cost <= BUDGET * elapsed or elapsed >= self._seconds):
                self._look_at_waiting(self._loop, now - last_waiting)
                last_waiting = now
            last = now
            samples += 1
            if self._left <= 0:
                note = f"ended early, after {MOST_SAMPLES} samples: ask for fewer seconds or a lower rate"
            if self.cancelled or note or elapsed >= self._seconds:
                break  # after a look, so that the weights are all of the time
            # After a look that took long, wait longer: the profile gets coarser, the application not slower.
            due = max(due + self._pause, began + min(1.0 + last - began, (thread_time() - began_cost) / BUDGET))
            sleep(max(0.0, min(due, began + self._seconds) - monotonic()))
        return self._result(samples, thread_time() - began_cost, monotonic() - began, note)

    def _look(self, weight: float, names: dict[int, str], hidden: set[int]) -> None:
        for ident, frame in sys._current_frames().items():
            if ident in hidden:
                continue
            lane = self._lanes.get(ident)
            if lane is None:
                lane = self._lanes[ident] = Lane(names.get(ident) or f"thread {ident}")
            # A thread that has not moved has the stack that it had. Frames are not kept for that: they would keep the
            # application's variables.
            mark = (id(frame), frame.f_lasti)
            if mark != lane.last:
                lane.last, lane.stood = mark, self._stack_of(ident)
            lane.add(lane.stood, weight)
            self._left -= 1

    def _look_at_waiting(self, loop: Loop, weight: float) -> None:
        for unit in list(loop.requests().values())[:MOST_WAITING]:
            if unit_runs(unit):
                continue
            if self._waiting is None:
                kind = "tasks" if hasattr(unit, "get_coro") else "greenlets"
                self._waiting = Lane(f"requests whose {kind} wait (all together)")
            codes = [code for code, _ in unit_lines(unit)]
            codes.reverse()
            self._waiting.add(self._stack(codes), weight)
            self._left -= 1

    def _stack_of(self, thread: int) -> int:
        frames = frames_of(thread)
        return 0 if frames and waits(frames[0]) else self._stack([frame.f_code for frame in frames])

    def _stack(self, codes: list[CodeType]) -> int:
        """The number of a stack, given innermost first: as stacks.theirs has it."""
        kinds, begun = self._kinds, None
        kept: list[CodeType] = []
        for code in codes:
            kind = kinds.get(code)
            if kind is None:
                kind = kinds[code] = _kind(code)
            if kind == _OURS:
                begun = len(kept)  # what comes now calls the application
            elif kind != _IMPORT:
                kept.append(code)
        if begun is not None:
            del kept[begun:]
        while kept and kinds[kept[-1]] == _AROUND:
            kept.pop()
        frames = self._frames
        key = tuple([frames.setdefault(code, len(frames)) for code in reversed(kept)])
        return self._stacks.setdefault(key, len(self._stacks))

    def _result(self, samples: int, cost: float, seconds: float, note: str) -> dict[str, Any]:
        frames = [
            {"name": getattr(code, "co_qualname", code.co_name), "file": code.co_filename, "line": code.co_firstlineno}
            for code in self._frames
        ]
        idle = len(frames)
        frames.append({"name": _IDLE})
        stacks = [list(stack) or [idle] for stack in self._stacks]
        lanes = list(self._lanes.values())
        if self._waiting is not None:
            lanes.append(self._waiting)
        return {
            "frames": frames,
            "stacks": stacks,
            "threads": [
                {"name": lane.name, "stacks": lane.stacks, "weights": lane.weights}
                for lane in lanes
                if any(lane.stacks)  # a thread that never did anything is left out
            ],
            "samples": samples,
            "cost": cost,
            "seconds": seconds,
            "note": note,
        }


def _kind(code: CodeType) -> int:
    if is_ours(code):
        return _OURS
    if is_import(code):
        return _IMPORT
    return _AROUND if around(code) else _THEIRS
