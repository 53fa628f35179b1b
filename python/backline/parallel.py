"""Several blocking calls at once inside one request: ``gather``, ``agather`` and ``spawn``.

    from backline import gather

    def view(request):
        bill, ads, films = gather(billing, ads_for_you, lambda: recommend(request.user), timeout=2)

The calls run on threads of one pool for the whole process, on greenlets under gevent. ``parallel_limit`` bounds how
many run at once. Those beyond wait, and calls of gather take turns: one with a thousand pieces does not make one with
two wait for all of them.

A piece may gather in turn. If those who hold all the threads waited for others to get one, nobody would ever go on. So
a caller inside a piece whose own pieces find no room gets a stand-in: one thread more, which runs them one after the
other while the caller waits. No more than ``parallel_limit`` run, then, and no more than that times the depth of the
calls exist. Running them on the caller's own thread would need none, but there the caller could not keep its deadline,
and would share its database transaction with them.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from functools import partial
from inspect import iscoroutinefunction
from itertools import count
from typing import Any, Final, Generic, TypeVar

from . import host

T = TypeVar("T")

_nested: ContextVar[bool] = ContextVar("backline_nested", default=False)  # whether the code runs inside a piece

IDLE: Final = 10.0  # seconds after which a thread without work ends
DEFAULT_LIMIT: Final = 64
GREENLETS: Final = 4  # calls for each request that a gevent worker may run: a greenlet takes some KB, a thread a stack
SPAWNED: Final = 10_000  # calls that may wait when one is spawned; who gathers waits, and so cannot queue without end


class Unfinished(TimeoutError):
    """The deadline came before all calls had ended. ``results`` has one entry for each call, in order: what it
    returned, the exception that it raised, or a TimeoutError if it had not ended."""

    def __init__(self, message: str, results: list[Any]) -> None:
        super().__init__(message)
        self.results = results


class Piece:
    """One call."""

    __slots__ = ("call", "context", "done", "error", "group", "value")

    def __init__(self, group: Group, call: Callable[[], Any]) -> None:
        self.group = group
        self.call: Callable[[], Any] | None = call
        self.context: Context | None = copy_context()  # one each: a context cannot be entered twice at once
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        call, context = self.call, self.context
        assert call is not None and context is not None
        self.call = self.context = None  # what the call holds on to is not kept for as long as its result
        context.run(_nested.set, True)
        try:
            self.value = context.run(call)
        except BaseException as error:  # the caller's to raise, whatever it is
            self.error = error


class Group:
    """The calls of one gather or spawn. The pool's lock guards it."""

    __slots__ = ("left", "pieces", "tell", "waiting")

    def __init__(self, calls: tuple[Callable[[], Any], ...], tell: Callable[[], object]) -> None:
        self.pieces = [Piece(self, call) for call in calls]
        self.waiting = deque(self.pieces)  # those that have not begun
        self.left = len(self.pieces)  # those that have not ended
        self.tell = tell  # called when all have ended


class Pool:
    """The threads of this process that run pieces, made when they are first needed."""

    def __init__(self, limit: int) -> None:
        self.process = os.getpid()
        self.limit = limit
        self.threads = 0  # without stand-ins
        self._free = 0  # of these, those that take a piece next: they wait for one, have been woken or are starting
        self._waiting = 0  # pieces of all groups that have not begun
        self._queue: deque[Group] = deque()  # groups with such pieces, the next one to be served first
        self._changed = threading.Condition(threading.Lock())
        self._start = _starter()

    def submit(self, group: Group, most: float = float("inf")) -> None:
        """Queue a group's pieces, unless ``most`` wait already."""
        with self._changed:
            if self._waiting >= most:
                raise RuntimeError(
                    f"{self._waiting} calls wait in this process already; wait for spawned ones with result() before "
                    f"you spawn more, or let more run at once (parallel_limit is {self.limit})"
                )
            self._queue.append(group)
            self._waiting += len(group.waiting)
            self._changed.notify(len(group.waiting))
            starting = max(0, min(self._waiting - self._free, self.limit - self.threads))
            self.threads += starting
            self._free += starting
            stand_in = _nested.get() and self._waiting > self._free
        try:
            for _ in range(starting):
                self._start(self._work)
                starting -= 1
            if stand_in:
                self._start(partial(self._stand_in, group))
        except RuntimeError:  # the system gives no more threads
            with self._changed:
                self.threads -= starting
                self._free -= starting
                enough = self.threads > 0 and not stand_in
            if not enough:
                self.withdraw(group)
                raise

    def withdraw(self, group: Group) -> None:
        """Forget the pieces that have not begun: nobody wants them any more."""
        with self._changed:
            if group.waiting:
                self._waiting -= len(group.waiting)
                group.waiting.clear()
                self._queue.remove(group)

    def _work(self) -> None:
        """What a thread does."""
        while True:
            with self._changed:
                found = self._changed.wait_for(lambda: self._queue, IDLE)
                self._free -= 1
                if not found:
                    self.threads -= 1
                    return
                piece = self._take(self._queue[0])
            self._run(piece, free=1)
            del piece  # or it would be kept while the thread waits

    def _stand_in(self, group: Group) -> None:
        """What a thread does in the place of one that waits for ``group``."""
        while True:
            with self._changed:
                if not group.waiting:
                    return
                piece = self._take(group)
            self._run(piece, free=0)

    def _take(self, group: Group) -> Piece:
        """The group's next piece; then others have their turn. The lock is held."""
        piece = group.waiting.popleft()
        self._waiting -= 1
        self._queue.remove(group)  # mostly the first
        if group.waiting:
            self._queue.append(group)
        return piece

    def _run(self, piece: Piece, free: int) -> None:
        piece.run()
        _close_connections()
        group = piece.group
        with self._changed:
            self._free += free
            piece.done = True
            group.left -= 1
            last = group.left == 0
        if last:
            group.tell()


def greenlets() -> bool:
    """Whether gevent has put greenlets in the place of threads; locks and thread-locals are then theirs, too."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched("threading")


def _starter() -> Callable[[Callable[[], None]], object]:
    if greenlets():
        spawn_greenlet: Callable[[Callable[[], None]], object] = sys.modules["gevent"].spawn
        return spawn_greenlet
    numbers = count(1)
    return lambda work: threading.Thread(target=work, name=f"parallel-{next(numbers)}", daemon=True).start()


def _close_connections() -> None:
    """Close what Django has opened for this thread: nobody else ever would, and the database has only so many."""
    database = sys.modules.get("django.db")
    if database is not None and sys.modules["django.conf"].settings.configured:
        try:
            database.connections.close_all()
        except Exception:  # of a connection that has broken; what the piece returned is not less true for it
            import traceback

            sys.stderr.write("a database connection of a parallel call could not be closed:\n")
            traceback.print_exc()


_pool: Pool | None = None
_making = threading.Lock()


def _shared() -> Pool:
    """The process's pool; a new one in a forked child, which has none of its parent's threads."""
    global _pool
    pool = _pool
    if pool is None or pool.process != os.getpid():
        with _making:
            if _pool is None or _pool.process != os.getpid():
                _pool = Pool(_limit())
            pool = _pool
    return pool


def _limit() -> int:
    settings = host.settings or {}
    limit: int = settings.get("parallel_limit", 0)
    if limit == 0 and greenlets():
        limit = GREENLETS * settings.get("worker_connections", 0)
    return limit or DEFAULT_LIMIT


def gather(*calls: Callable[[], Any], timeout: float | None = None, return_exceptions: bool = False) -> list[Any]:
    """Run blocking functions at once and return their results, in order.

    A failure is raised when the others have ended; with ``return_exceptions`` it stands among the results. After
    ``timeout`` seconds, what has not ended is given up: Unfinished is raised, which has the rest, or with
    ``return_exceptions`` a TimeoutError stands in its place. A call that was under way runs on, and nobody sees
    its result.
    """
    _check("gather", calls)
    not_on_a_loop("gather", "await agather(...)")
    ended = threading.Event()
    until = _until(timeout)
    pool, group = _shared(), Group(calls, ended.set)
    if calls:
        pool.submit(group)
        try:
            ended.wait(_left(until))
        finally:
            pool.withdraw(group)
    return _results(group, timeout, return_exceptions)


async def agather(
    *calls: Callable[[], Any], timeout: float | None = None, return_exceptions: bool = False
) -> list[Any]:
    """The same for coroutines: the blocking functions run on threads, the event loop goes on."""
    import asyncio

    _check("agather", calls)
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    until = _until(timeout)

    def finish() -> None:
        if not ended.done():
            ended.set_result(None)

    def tell() -> None:
        with suppress(RuntimeError):  # the loop has ended without waiting
            loop.call_soon_threadsafe(finish)

    pool, group = _shared(), Group(calls, tell)
    if calls:
        pool.submit(group)
        try:
            await asyncio.wait({ended}, timeout=_left(until))
        finally:
            pool.withdraw(group)
    return _results(group, timeout, return_exceptions)


def spawn(call: Callable[..., T], /, *args: Any, **kwargs: Any) -> Handle[T]:
    """Begin a blocking call and go on. It ends with the process at the latest, whoever waits for it."""
    _check("spawn", (call,))
    return Handle(partial(call, *args, **kwargs))


class Handle(Generic[T]):
    """A call that ``spawn`` has begun."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._ended = threading.Event()
        self._pool = _shared()
        self._group = Group((call,), self._ended.set)
        self._pool.submit(self._group, SPAWNED)

    def done(self) -> bool:
        """Whether the call has ended."""
        return self._ended.is_set()

    def result(self, timeout: float | None = None) -> T:
        """What the call returned or raised. A TimeoutError says that it goes on: ask again later."""
        if not self.done():
            not_on_a_loop("result", "await agather(...)")
        until = _until(timeout)
        if not self._ended.wait(_left(until)):
            raise TimeoutError(f"the call has not ended within {timeout:g} s; it goes on")
        piece = self._group.pieces[0]
        if piece.error is not None:
            raise piece.error
        value: T = piece.value
        return value


def _until(timeout: float | None) -> float:
    return float("inf") if timeout is None else time.monotonic() + timeout


def _left(until: float) -> float | None:
    return None if until == float("inf") else max(0.0, until - time.monotonic())


def _results(group: Group, timeout: float | None, return_exceptions: bool) -> list[Any]:
    """What has become of the calls, as the caller wants it."""
    finished = [piece.done for piece in group.pieces]  # looked at once: one more may end meanwhile
    results = [
        (piece.value if piece.error is None else piece.error)
        if done
        else TimeoutError(f"the call had not ended after {timeout:g} s")
        for piece, done in zip(group.pieces, finished, strict=True)
    ]
    if return_exceptions:
        return results
    failure = next(
        (piece.error for piece, done in zip(group.pieces, finished, strict=True) if done and piece.error), None
    )
    try:
        if not all(finished):
            late = finished.count(False)
            raise Unfinished(f"{late} of {len(finished)} calls had not ended after {timeout:g} s", results) from failure
        if failure is not None:
            raise failure
    finally:
        del failure  # its traceback refers to this frame
    return results


def _check(name: str, calls: tuple[Any, ...]) -> None:
    for number, call in enumerate(calls, 1):
        if not callable(call):
            raise TypeError(
                f"{name} expects functions and calls them itself; argument {number} is {call!r:.60}. "
                f"Write {name}(f) for {name}(f()), and {name}(lambda: f(x)) for {name}(f(x))"
            )
        if iscoroutinefunction(call):
            raise TypeError(
                f"{name} runs blocking functions; argument {number}, {call!r:.60}, is a coroutine function. "
                "asyncio.gather runs those"
            )


def not_on_a_loop(name: str, instead: str) -> None:
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        raise RuntimeError(
            f"{name} would stop the event loop, and with it every other request, until the calls have ended; "
            f"write `{instead}` in a coroutine"
        )
