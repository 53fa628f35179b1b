"""Threads for the synchronous parts of ASGI applications.

asgiref gives every request a new thread of its own for these (``sync_to_async``), which costs about 0.3 ms and makes
persistent database connections useless, or one thread for all of them. Here each request borrows one of a few threads
that stay: its synchronous code runs on one thread, as Django needs it, and requests run beside each other.

A request that then waits for long, such as an event stream, must not keep its thread from the others: while requests
wait for a thread, one that has not been used for IDLE seconds changes hands. A WebSocket mostly waits, so its thread
changes hands as soon as somebody wants it. All bookkeeping is under the one lock of
Slots, because work is submitted by the loop and, through nested calls, by the threads themselves.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from time import monotonic
from typing import Any, Final, Protocol

SYNC_THREAD: Final = "backline-sync"  # how their names begin
IDLE: Final = 0.25  # seconds; a request's pieces of synchronous work mostly follow each other within a millisecond
SOCKET_IDLE: Final = 0.0


class Clock(Protocol):
    """The part of an event loop that is needed."""

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any) -> Any:
        """Run ``callback`` on the loop."""

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Any:
        """Run ``callback`` after ``delay`` seconds."""


class Thread:
    """Does one piece of work after the other. A ThreadPoolExecutor of one thread does that too, and makes a future for
    each piece beside the one that its caller has, with a lock of its own: 10 us of what a Channels message takes."""

    def __init__(self, number: int) -> None:
        self.put = (queue := SimpleQueue[Callable[[], None]]()).put
        threading.Thread(target=self._run, args=(queue,), name=f"{SYNC_THREAD}_{number}", daemon=True).start()

    @staticmethod
    def _run(queue: SimpleQueue[Callable[[], None]]) -> None:
        while True:
            queue.get()()


class Slots:
    """At most ``count`` threads, made when they are first needed."""

    def __init__(self, count: int, clock: Clock) -> None:
        self.lock = threading.Lock()
        self._free: list[Thread] = []
        self._count = self._left = count
        self._holders: dict[Slot, None] = {}  # in the order in which they got their thread
        self._waiting: dict[Slot, None] = {}
        self._clock = clock
        self._looking = False
        self._since = 0.0  # when work began to wait
        self._told = False
        # Told once when work has waited for so many seconds, until none waits any more; never with 0.
        self.stall = 0.0
        self.tell: Callable[[int, float], None] = lambda waiting, seconds: None

    # All of these are called with the lock held.

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for a thread."""
        return bool(self._waiting)

    def take(self, slot: Slot) -> None:
        """Give ``slot`` a thread, now or when there is one."""
        if self._free:
            self._lend(slot, self._free.pop())
        elif self._left > 0:
            self._left -= 1
            self._lend(slot, Thread(self._count - self._left))
        elif idle := next((each for each in self._holders if not each.idle and not each.running), None):
            self._waiting[slot] = None
            self.give_back(idle)
        else:
            self._waiting[slot] = None
            if not self._looking:
                self._looking, self._since, self._told = True, monotonic(), False
                self._clock.call_soon_threadsafe(self._clock.call_later, IDLE, self._look)

    def give_back(self, slot: Slot) -> None:
        """Take the thread of ``slot``, which has no work left, for others."""
        executor = slot.executor
        if executor is None:
            return
        slot.executor = None
        del self._holders[slot]
        if self._waiting:
            first = next(iter(self._waiting))
            del self._waiting[first]
            self._lend(first, executor)
        else:
            self._free.append(executor)

    def _lend(self, slot: Slot, executor: Thread) -> None:
        self._holders[slot] = None
        slot.executor = executor
        slot.start()

    def _look(self) -> None:
        """Take threads from those who do not use them, as many as are waited for."""
        with self.lock:
            now = monotonic()
            for slot in [slot for slot in self._holders if not slot.running and slot.used + slot.idle <= now]:
                if self._waiting:
                    self.give_back(slot)
            self._looking = bool(self._waiting)
            if self._looking:
                self._clock.call_later(IDLE, self._look)
                if 0 < self.stall <= now - self._since and not self._told:
                    self._told = True
                    self.tell(len(self._waiting), now - self._since)


class Slot(Executor):
    """One request's thread, taken with its first piece of synchronous work."""

    def __init__(self, slots: Slots, idle: float = IDLE) -> None:
        self.idle = idle  # seconds without work after which the thread may go to who waits for one
        self.executor: Thread | None = None
        self.running = 0  # pieces of work that the thread has been given and not finished
        self.used = 0.0
        self._slots = slots
        # A list, because an empty deque takes 0.7 KB, which a WebSocket would have for as long as it lasts.
        self._parked: list[tuple[Future[Any], Callable[[], Any]]] = []
        self._closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``fn`` on the request's thread. Work of a task that outlives the request gets a thread each time."""
        future: Future[Any] = Future()
        with self._slots.lock:
            self._parked.append((future, partial(fn, *args, **kwargs)))
            if self.executor is not None:
                self.start()
            elif len(self._parked) == 1:
                self._slots.take(self)
        return future

    def start(self) -> None:
        """Hand what waits to the thread. The lock is held."""
        assert self.executor is not None
        while self._parked:
            self.running += 1
            self.executor.put(partial(self._carry_out, *self._parked.pop(0)))

    def _carry_out(self, future: Future[Any], work: Callable[[], Any]) -> None:
        if future.set_running_or_notify_cancel():
            try:
                result = work()
            except BaseException as error:
                self._finished()
                future.set_exception(error)
            else:
                self._finished()
                future.set_result(result)
        else:
            self._finished()

    def _finished(self) -> None:
        with self._slots.lock:
            self.running -= 1
            self.used = monotonic()
            if not self.running and (self._closed or (not self.idle and self._slots.wanted)):
                self._slots.give_back(self)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """The request has ended. asgiref calls this on executors of its own; the thread outlives it here."""
        with self._slots.lock:
            self._closed = True
            if not self.running:
                self._slots.give_back(self)


def around(slots: Slots) -> Callable[[float], Any] | None:
    """A context manager for every call of an application that uses asgiref, None for one that does not. It is made
    with how long the call keeps an idle thread.

    asgiref has a public way since 3.13, ThreadSensitiveContext(executor=...). It makes synchronous calls of tasks that
    outlive the request fail, which work under every other server, and older versions do not have it: hence the two
    attributes that all versions since 3.3 have.
    """
    asgiref = sys.modules.get("asgiref.sync")
    make = getattr(asgiref, "ThreadSensitiveContext", None)
    calls = getattr(asgiref, "SyncToAsync", None)
    current = getattr(calls, "thread_sensitive_context", None)
    executors = getattr(calls, "context_to_thread_executor", None)
    if make is None or current is None or executors is None:
        return None
    return lambda idle: _Around(Slot(slots, idle), make(), current, executors)


class _Around:
    __slots__ = ("_context", "_current", "_slot", "_token")

    def __init__(self, slot: Slot, context: Any, current: Any, executors: Any) -> None:
        self._slot = slot
        self._context = context
        self._current = current
        executors[context] = self._slot  # held weakly: it goes with the last task that can use it

    def __enter__(self) -> None:
        self._token = self._current.set(self._context)

    def __exit__(self, *exc: object) -> None:
        self._current.reset(self._token)
        self._slot.shutdown()
