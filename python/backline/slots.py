"""Threads for the synchronous parts of ASGI applications.

asgiref gives every request a new thread of its own for these (``sync_to_async``), which costs about 0.3 ms and makes
persistent database connections useless, or one thread for all of them. Here each request borrows one of a few threads
that stay: its synchronous code runs on one thread, as Django needs it, and requests run beside each other.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any


class Slots:
    """At most ``count`` threads, made when they are first needed."""

    def __init__(self, count: int) -> None:
        self._free: list[ThreadPoolExecutor] = []
        self._left = count
        self._waiting: deque[Slot] = deque()
        self._lock = threading.Lock()  # work is submitted by the loop and, by nested calls, from the threads

    def take(self, slot: Slot) -> ThreadPoolExecutor | None:
        """A thread for ``slot``, or None: it gets one when another slot is given back."""
        with self._lock:
            if self._free:
                return self._free.pop()
            if self._left > 0:
                self._left -= 1
                return ThreadPoolExecutor(1, thread_name_prefix="backline-sync")
            self._waiting.append(slot)
            return None

    def give_back(self, executor: ThreadPoolExecutor) -> None:
        with self._lock:
            while self._waiting:
                slot = self._waiting.popleft()
                if slot.adopt(executor):
                    return
            self._free.append(executor)


class Slot(Executor):
    """One request's thread, taken with its first piece of synchronous work."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._executor: ThreadPoolExecutor | None = None
        self._parked: list[tuple[Future[Any], Callable[[], Any]]] = []
        self._asked = False
        self._closed = False
        self._lock = threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        with self._lock:
            if self._executor is None and not self._asked:
                self._asked = True
                self._executor = self._slots.take(self)
            if self._executor is not None:
                return self._executor.submit(fn, *args, **kwargs)
            future: Future[Any] = Future()
            self._parked.append((future, lambda: fn(*args, **kwargs)))
            return future

    def adopt(self, executor: ThreadPoolExecutor) -> bool:
        """A thread has become free. False when nobody needs it any more."""
        with self._lock:
            if self._closed:
                return False
            self._executor = executor
            for future, work in self._parked:
                executor.submit(_carry_out, future, work)
            self._parked.clear()
            return True

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """The request has ended. asgiref calls this on executors of its own; the thread outlives it here."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            executor, self._executor = self._executor, None
        if executor is not None:
            self._slots.give_back(executor)


def _carry_out(future: Future[Any], work: Callable[[], Any]) -> None:
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)


def around(slots: Slots) -> Callable[[], Any] | None:
    """A context manager for every call of an application that uses asgiref, None for one that does not.

    asgiref's ThreadSensitiveContext takes an executor since 3.13; Django's own inner context then does nothing.
    """
    asgiref = sys.modules.get("asgiref.sync")
    context = getattr(asgiref, "ThreadSensitiveContext", None)
    if context is None:
        return None
    try:
        context(executor=Slot(slots))
    except TypeError:
        return None
    return lambda: _Around(context, slots)


class _Around:
    __slots__ = ("_context", "_slot")

    def __init__(self, context: Any, slots: Slots) -> None:
        self._slot = Slot(slots)
        self._context = context(executor=self._slot)

    async def __aenter__(self) -> None:
        await self._context.__aenter__()

    async def __aexit__(self, *exc: Any) -> None:
        try:
            await self._context.__aexit__(*exc)
        finally:
            self._slot.shutdown()
