"""How coroutines, threads and greenlets wait for what a native thread of ours tells them.

That thread may never touch what belongs to a loop or a hub: it calls ``wake_all``, which hands each loop all that it
has for it in one call.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio

SILENT: Final = 98  # a verdict of our own: nobody has given one within the time that people wait


def native(name: str) -> Any:
    """A function of the module ``_thread`` as it is without gevent, which may have replaced it already."""
    import _thread

    monkey = sys.modules.get("gevent.monkey")
    return getattr(_thread, name) if monkey is None else monkey.get_original("_thread", name)


class Waiter:
    """Somebody who waits. What came of it is in ``verdict`` and ``number``."""

    __slots__ = ("answer", "number", "signalled", "verdict")

    loop: Any = None  # the event loop that finish() has to be called on; None: any thread may

    def __init__(self) -> None:
        self.signalled = False  # by the mailbox it waits for
        self.verdict = -1
        self.number = 0
        self.answer: tuple[Any, ...] = ()  # to questions that have longer ones

    def finish(self) -> None:
        """Let it go on."""
        raise NotImplementedError


class TaskWaiter(Waiter):
    """A coroutine, which awaits ``future``."""

    __slots__ = ("future", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.loop = loop
        self.future: asyncio.Future[None] = loop.create_future()

    def finish(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class ThreadWaiter(Waiter):
    """A thread that calls ``wait``."""

    __slots__ = ("_event", "_wake")

    def __init__(self) -> None:
        super().__init__()
        self._event = threading.Event()
        self._wake: Callable[[], object] = self._event.set

    def finish(self) -> None:
        self._wake()

    def wait(self, limit: float | None) -> bool:
        """Whether it was told within so many seconds."""
        return self._event.wait(limit)

    def close(self) -> None:
        """It waits no more."""


def blocking_waiter(greenlets: bool) -> ThreadWaiter:
    """What the calling thread, or greenlet, can wait with."""
    return _greenlet_waiter() if greenlets else ThreadWaiter()


def _greenlet_waiter() -> ThreadWaiter:
    from gevent import get_hub

    class GreenletWaiter(ThreadWaiter):
        """A greenlet, whose hub takes nothing from native threads but this watcher's signal."""

        __slots__ = ("_watcher",)

        def __init__(self) -> None:
            super().__init__()
            self._watcher = get_hub().loop.async_()
            self._watcher.start(self._event.set)
            self._wake = self._watcher.send

        def close(self) -> None:
            self._watcher.stop()
            self._watcher.close()

    return GreenletWaiter()


def wake_all(waiters: Iterable[Waiter]) -> list[Waiter]:
    """Let them go on, with one call for each loop. Gives those whose loop is closed."""
    loops: dict[Any, list[Waiter]] = {}
    for each in waiters:
        if each.loop is None:
            each.finish()
        else:
            loops.setdefault(each.loop, []).append(each)
    gone: list[Waiter] = []
    for loop, some in loops.items():
        try:
            loop.call_soon_threadsafe(_finish, some)
        except RuntimeError:
            gone += some
    return gone


def _finish(waiters: list[Waiter]) -> None:
    for each in waiters:
        each.finish()
