"""What runs and what waits in this process: the frames of threads, tasks and greenlets, without those around them that
are nobody's concern. Nothing here waits, and nothing is kept: a frame holds its local variables.
"""

from __future__ import annotations

import gc
import importlib
import linecache
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate, chain, repeat, starmap
from operator import itemgetter
from types import CodeType, FrameType
from typing import Any, Final, Protocol
from weakref import WeakSet

_OURS: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
_IMPORTS: Final = ("<frozen importlib", os.path.join(os.path.dirname(importlib.__file__), ""))
_LIBRARY: Final = os.path.dirname(threading.__file__)
# What calls an application's code from a loop, a pool or a new thread. In the middle of a stack it may be the
# application's own doing, so only the outermost frames are left out.
_AROUND: Final = (
    os.path.join(_LIBRARY, "asyncio", ""),
    os.path.join(_LIBRARY, "concurrent", "futures", ""),
    os.path.join(_LIBRARY, "selectors.py"),
    threading.__file__,
    os.path.join("site-packages", "gevent", ""),
)
_AWAITED: Final = ("cr_await", "gi_yieldfrom", "ag_await")  # where a coroutine keeps what it waits for
_FRAMES: Final = ("cr_frame", "gi_frame", "ag_frame")
# Modules in which a thread's innermost frame is when its loop waits for something to happen. uvloop has no frames.
_WAITING: Final = ("selectors", "asyncio.runners", "gevent.hub")
# Before 3.12 the garbage collector may run, and with it anybody's Python, wherever an object is made.
_COLLECTS_ANYWHERE: Final = sys.version_info < (3, 12)
DEEPEST: Final = 200  # frames of one stack; of an endless recursion these are enough
MOST: Final = 10_000  # tasks and greenlets that are looked at
DISTINCT: Final = 200  # different stacks that are told
NAMED: Final = 20  # threads, tasks or requests that are named for one stack

Line = tuple[CodeType, int]  # and the number of the line in its file


class Loop(Protocol):
    """What a loop gives, so that others can see whether it turns and what it runs. All of it is asked from another
    thread, and answers without waiting for the loop."""

    thread: int  # which runs it

    def turns(self) -> int:
        """A number that has grown if the loop has turned since; it need not grow with each turn, see poke."""

    def poke(self) -> None:
        """See to it that turns() grows when the loop turns."""

    def requests(self) -> Mapping[int, Any]:
        """The task or greenlet of each stream; None for one that is just begun."""


def frames_of(thread: int) -> list[FrameType]:
    """A thread's frames, innermost first."""
    return _walk(map(itemgetter(thread), starmap(sys._current_frames, ((),))))


def frames_of_greenlet(greenlet: Any) -> list[FrameType]:
    """The frames of a greenlet that waits, innermost first."""
    return _walk(chain((greenlet,), ("gr_frame",)))[1:]


def _walk(first: Iterable[Any]) -> list[FrameType]:
    """What ``first`` gives, and f_back of it, and so on.

    All of that in C, without a line of Python in between, because there the interpreter's lock may change hands. When
    the thread goes on to another greenlet meanwhile, the frames of the one that it has left lead into memory that
    belongs to others (greenlet makes them whole for who asks for gr_frame, until it runs again).
    """
    found: deque[Any] = deque()
    collects = _COLLECTS_ANYWHERE and "greenlet" in sys.modules and gc.isenabled()
    if collects:
        gc.disable()
    try:
        found.extend(accumulate(chain(first, repeat("f_back", DEEPEST - 1)), getattr))
    except (AttributeError, KeyError):
        pass  # behind the outermost frame; the thread has ended
    finally:
        if collects:
            gc.enable()
    return [each for each in found if each is not None]


def lines_of(frames: Iterable[FrameType]) -> list[Line]:
    """A stack, given innermost first, innermost last."""
    found = [(frame.f_code, frame.f_lineno or frame.f_code.co_firstlineno) for frame in frames]
    found.reverse()
    return found


def awaited_by(coroutine: Any) -> list[Line]:
    """The stack of a coroutine that waits: asyncio's own Task.get_stack() ends where the first await is."""
    found: list[Line] = []
    while coroutine is not None and len(found) < DEEPEST:
        frame = next(filter(None, (getattr(coroutine, name, None) for name in _FRAMES)), None)
        if frame is not None:
            found.append((frame.f_code, frame.f_lineno or frame.f_code.co_firstlineno))
        coroutine = next(filter(None, (getattr(coroutine, name, None) for name in _AWAITED)), None)
    return found


def theirs(lines: list[Line]) -> list[Line]:
    """What is left without our frames, those of the import system, and those around the application."""
    first = next((n for n, (code, _) in enumerate(lines) if is_ours(code)), 0)
    own = [line for line in lines[first:] if not (is_ours(line[0]) or is_import(line[0]))]
    start = next((n for n, (code, _) in enumerate(own) if not around(code)), len(own))
    return own[start:]


def around(code: CodeType) -> bool:
    """Whether it belongs to what calls applications' code."""
    return code.co_filename.startswith(_AROUND[:-1]) or _AROUND[-1] in code.co_filename


def is_ours(code: CodeType) -> bool:
    """Whether it belongs to this package."""
    return code.co_filename.startswith(_OURS)


def is_import(code: CodeType) -> bool:
    """Whether it belongs to the import system, which nobody wants to see."""
    return code.co_filename.startswith(_IMPORTS)


def thread_names(loop: Loop | None = None) -> dict[int, str]:
    """The names of threads. Without the lock that threading.enumerate() takes: gevent replaces it by one that may make
    the calling thread switch greenlets. gevent's main thread goes by another number there."""
    names = {ident: thread.name for ident, thread in _copied(getattr(threading, "_active", {}).items())}
    if loop is not None:
        names.setdefault(loop.thread, "MainThread")
    return names


def text_of(lines: list[Line]) -> str:
    """As a traceback has it."""
    parts = []
    for code, number in lines:
        parts.append(f'  File "{code.co_filename}", line {number}, in {code.co_name}\n')
        source = linecache.getline(code.co_filename, number).strip()
        if source:
            parts.append(f"    {source}\n")
    return "".join(parts)


def waits(frame: FrameType) -> bool:
    """Whether a loop's thread waits for something to happen."""
    return frame.f_globals.get("__name__", "") in _WAITING


def unit_runs(unit: Any) -> bool:
    """Whether a task or greenlet runs at this moment."""
    if unit is None:
        return True  # a task that is begun at once is known when its first part has ended
    if hasattr(unit, "get_coro"):
        return bool(getattr(unit.get_coro(), "cr_running", False))
    return bool(unit) and unit.gr_frame is None


def unit_lines(unit: Any) -> list[Line]:
    """The stack of a task or greenlet that waits."""
    return awaited_by(unit.get_coro()) if hasattr(unit, "get_coro") else lines_of(frames_of_greenlet(unit))


def running_stream(loop: Loop) -> int | None:
    """The stream whose task or greenlet has the loop."""
    for stream, unit in list(loop.requests().items()):
        if unit_runs(unit):
            return stream
    return None


class Everything:
    """Collects all stacks, those that are the same as one."""

    def __init__(self, running: Mapping[int, int], loop: Loop | None, hidden: Iterable[int]) -> None:
        self.found: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.more = 0
        self._running = running
        self._loop = loop
        self._hidden = set(hidden)

    def collect(self) -> dict[str, Any]:
        """All there is, to be written as JSON."""
        self._threads()
        streams = {id(unit): stream for stream, unit in self._requests().items() if unit is not None}
        for kind, units in (("task", _tasks()), ("greenlet", _greenlets())):
            for n, unit in enumerate(units):
                if n >= MOST:
                    self.more += 1
                elif not unit_runs(unit):  # its thread shows where one that runs is
                    lines = theirs(unit_lines(unit))
                    if lines:  # or it is one of ours
                        self._add(kind, _name(unit), streams.get(id(unit)), lines, _note(unit))
        return {"stacks": list(self.found.values()), "more": self.more}

    def _requests(self) -> Mapping[int, Any]:
        return {} if self._loop is None else dict(self._loop.requests())

    def _threads(self) -> None:
        names = thread_names(self._loop)
        for ident in sys._current_frames():
            frames = frames_of(ident)
            if ident in self._hidden or not frames:
                continue
            name = names.get(ident) or str(ident)
            stream = self._running.get(ident, -1)
            note = ""
            if self._loop is not None and ident == self._loop.thread:
                note = "runs the event loop"
                current = running_stream(self._loop)
                stream = -1 if current is None else current
            lines = lines_of(frames)
            own = [] if waits(frames[0]) else theirs(lines)
            if not own and (note or any(is_ours(code) for code, _ in lines)):
                note = (note + ", " if note else "") + "waits for work"
            self._add("thread", name, stream, own, note)

    def _add(self, kind: str, name: str, stream: int | None, lines: list[Line], note: str) -> None:
        text = text_of(lines)
        entry = self.found.get((kind, note, text))
        if entry is None:
            if len(self.found) >= DISTINCT:
                self.more += 1
                return
            entry = self.found[kind, note, text] = {
                "kind": kind,
                "note": note,
                "text": text,
                "count": 0,
                "names": [],
                "streams": [],
            }
        entry["count"] += 1
        if len(entry["names"]) < NAMED:
            entry["names"].append(name)
        if stream is not None and stream >= 0 and len(entry["streams"]) < NAMED:
            entry["streams"].append(stream)


def _tasks() -> Iterator[Any]:
    """Every task of every loop. asyncio is asked only where it is in use."""
    tasks = sys.modules.get("asyncio.tasks")
    if tasks is None:
        return
    eager = getattr(tasks, "_eager_tasks", ())
    known = getattr(tasks, "_scheduled_tasks", None)
    if known is None:
        known = getattr(tasks, "_all_tasks", ())
    for task in (*_copied(known), *_copied(eager)):
        if not task.done():
            yield task


def _copied(tasks: Any) -> list[Any]:
    """A list of what other threads add to meanwhile."""
    for _ in range(100):
        try:
            return list(tasks)
        except RuntimeError:
            continue
    return []


_frozen: WeakSet[Any] = WeakSet()  # greenlets that the garbage collector does not tell of any more


def remember_greenlets() -> None:
    """Before gc.freeze(), behind which they cannot be found."""
    for each in _greenlets():
        _frozen.add(each)


def _greenlets() -> Iterator[Any]:
    greenlet = getattr(sys.modules.get("greenlet"), "greenlet", None)
    if greenlet is None:
        return
    seen: set[int] = set()
    for each in (*_copied(_frozen), *gc.get_objects()):
        # Not isinstance(), which asks for __class__, at which a lazy object becomes what it stands for: a query, say.
        if issubclass(type(each), greenlet) and each and id(each) not in seen:
            seen.add(id(each))
            yield each


def _name(unit: Any) -> str:
    named: Callable[[], str] | None = getattr(unit, "get_name", None)
    return named() if named is not None else str(getattr(unit, "name", "") or type(unit).__name__)


def _note(unit: Any) -> str:
    """What a task waits for, if that is another one."""
    waiter: Any = getattr(unit, "_fut_waiter", None)
    return f"awaits the task {waiter.get_name()}" if hasattr(waiter, "get_name") else ""
