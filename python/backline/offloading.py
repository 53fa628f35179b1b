"""Functions that compute, run in other processes: ``offload`` and ``aoffload``.

    from backline import offload

    def thumbnail(request):
        picture = offload(shrink, request.FILES["picture"].read(), width=200, timeout=10)

A function that computes holds the interpreter's lock, and with it every other request of its worker. The server has a
pool of processes for such functions (``--compute-workers``), where they queue. The question and its result travel on
the control connection, whose thread takes the result while everything else in this process may be waiting for one.

Arguments and results are pickled. pickle runs what it reads, so it is only ever read by processes of the application
that wrote it; the server passes it on unread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

from . import host, wire
from .job import Job, OffloadError, carry_out, name_of
from .parallel import greenlets, not_on_a_loop

T = TypeVar("T")

LONGEST: Final = 24 * 3600.0  # seconds
GRACE: Final = 15.0  # beyond the timeout, which is the server's to keep: only where that has broken


class ComputeBusy(OffloadError):
    """As many functions as may (compute_queue_size) wait for a process already."""


def offload(function: Callable[..., T], /, *args: Any, timeout: float = 30.0, **kwargs: Any) -> T:
    """Run an importable function in another process, and wait for its result.

    Raises what the function raised, with its traceback as ``__cause__``; TimeoutError when it has not returned
    ``timeout`` seconds from now, waiting included: its process is killed; ComputeBusy when too many wait; OffloadError
    when its process has died under it. Inside such a process, and so from an offloaded function, it just calls.
    """
    job = Job(name_of(function), args, kwargs, _checked(timeout))
    result: T
    if host.control is None:
        result = _without_server(function, job)
        return result
    not_on_a_loop("offload", "await aoffload(...)")
    waiting = _greenlet_waiting() if greenlets() else _Waiting()
    token = host.control.offload(job.function, job.pickled(), job.milliseconds, waiting.settle)
    try:
        waiting.wait(timeout + GRACE)
    finally:
        host.control.forget(token)
        waiting.close()
    result = _result(job, waiting.outcome, waiting.data)
    return result


async def aoffload(function: Callable[..., T], /, *args: Any, timeout: float = 30.0, **kwargs: Any) -> T:
    """The same for coroutines. A function whose waiting task is cancelled runs on; its result is dropped."""
    import asyncio

    job = Job(name_of(function), args, kwargs, _checked(timeout))
    loop = asyncio.get_running_loop()
    if host.control is None:
        return await loop.run_in_executor(None, partial(offload, function, *args, timeout=timeout, **kwargs))
    settled: asyncio.Future[tuple[int, bytes]] = loop.create_future()

    def finish(outcome: int, data: bytes) -> None:
        if not settled.done():
            settled.set_result((outcome, data))

    def settle(outcome: int, data: bytes) -> None:
        with suppress(RuntimeError):  # the loop has ended without waiting
            loop.call_soon_threadsafe(finish, outcome, data)

    token = host.control.offload(job.function, job.pickled(), job.milliseconds, settle)
    try:
        await asyncio.wait({settled}, timeout=timeout + GRACE)
    finally:
        host.control.forget(token)
    outcome, data = settled.result() if settled.done() else (wire.OUTCOME_TIMEOUT, b"")
    result: T = _result(job, outcome, data)
    return result


class _Waiting:
    """A thread that waits for its result."""

    outcome, data = wire.OUTCOME_TIMEOUT, b""

    def __init__(self) -> None:
        self._settled = threading.Event()
        self._wake: Callable[[], object] = self._settled.set

    def settle(self, outcome: int, data: bytes) -> None:
        """Called on the control connection's thread."""
        self.outcome, self.data = outcome, data
        self._wake()

    def wait(self, limit: float) -> None:
        self._settled.wait(limit)

    def close(self) -> None:
        pass


def _greenlet_waiting() -> _Waiting:
    from gevent import get_hub

    class GreenletWaiting(_Waiting):
        """A greenlet that does. The control connection's thread is a real one, from which a hub takes nothing but this
        watcher's signal."""

        def __init__(self) -> None:
            super().__init__()
            self._watcher = get_hub().loop.async_()
            self._watcher.start(self._settled.set)
            self._wake = self._watcher.send

        def close(self) -> None:
            self._watcher.stop()
            self._watcher.close()

    return GreenletWaiting()


def _checked(timeout: float) -> float:
    if not 0 < timeout <= LONGEST:
        raise ValueError(f"offload's timeout is {timeout!r}; expected seconds, more than 0 and at most {LONGEST:g}")
    return timeout


def _result(job: Job, outcome: int, data: bytes) -> Any:
    """What the caller gets."""
    if outcome in (wire.OUTCOME_RETURNED, wire.OUTCOME_RAISED):
        return job.result(outcome, data)
    if outcome == wire.OUTCOME_TIMEOUT:
        raise TimeoutError(f"{job.function} had not returned {job.timeout:g} s after it was offloaded")
    if outcome == wire.OUTCOME_BUSY:
        limit = (host.settings or {}).get("compute_queue_size")
        raise ComputeBusy(
            f"{job.function} cannot be offloaded: {limit} functions wait for a process already (compute_queue_size); "
            "try again later, or serve with more --compute-workers"
        )
    if outcome == wire.OUTCOME_LOST:
        raise OffloadError(f"the process that ran {job.function} has ended; the server's log says how")
    raise OffloadError(f"{job.function} cannot be offloaded: the server is stopping")


# Without a server.

_local = threading.Lock()
_executor: Any = None


def _without_server(function: Callable[..., Any], job: Job) -> Any:
    """In a process that computes already, call; in a script or a test, use a process of our own."""
    if host.settings is not None:
        return function(*job.args, **job.kwargs)
    from concurrent.futures import TimeoutError as TooLate
    from concurrent.futures.process import BrokenProcessPool

    executor = _processes()
    try:
        outcome, data = executor.submit(carry_out, job.function, job.pickled()).result(job.timeout)
    except TooLate:
        _kill(executor)
        outcome, data = wire.OUTCOME_TIMEOUT, b""
    except BrokenProcessPool:
        _kill(executor)
        outcome, data = wire.OUTCOME_LOST, b""
    return _result(job, outcome, data)


def _processes() -> Any:
    global _executor
    with _local:
        if _executor is None:
            from concurrent.futures import ProcessPoolExecutor
            from multiprocessing import get_context

            # Spawned: forking a process with threads copies locks that nobody will ever give back.
            _executor = ProcessPoolExecutor(os.cpu_count(), get_context("spawn"))
        return _executor


def _kill(executor: Any) -> None:
    """End the processes, of which one is stuck. The next call makes new ones."""
    global _executor
    with _local:
        if _executor is executor:
            _executor = None
    for process in list((executor._processes or {}).values()):
        process.kill()
    executor.shutdown(wait=False, cancel_futures=True)
