"""gather, agather and spawn: at once, in order, bounded, and never for longer than asked."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backline import Handle, Unfinished, agather, gather, host, parallel, spawn

PATIENCE = 20.0

# gather and agather behave alike; each test that is given one of them runs with both.
Gather = Callable[..., list[Any]]


def in_coroutine(*calls: Callable[[], Any], **options: Any) -> list[Any]:
    return asyncio.run(agather(*calls, **options))


@pytest.fixture(params=[gather, in_coroutine], ids=["gather", "agather"])
def either(request: pytest.FixtureRequest) -> Gather:
    found: Gather = request.param
    return found


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Gives the process a pool of its own with so many threads."""

    def of(count: int) -> None:
        monkeypatch.setattr(host, "settings", {"parallel_limit": count})
        monkeypatch.setattr(parallel, "_pool", None)

    yield of


def fail(message: str) -> None:
    raise ValueError(message)


def test_results_come_in_order_from_calls_that_run_at_once(either: Gather) -> None:
    barrier = threading.Barrier(4)

    def one(n: int) -> int:
        barrier.wait(PATIENCE)  # which only opens when all four are here
        return n

    assert either(*[partial(one, n) for n in range(4)]) == [0, 1, 2, 3]


def test_nothing_to_do(either: Gather) -> None:
    assert either() == []


def test_a_failure_is_raised_when_the_others_have_ended(either: Gather) -> None:
    failed, ended = threading.Event(), threading.Event()

    def first() -> None:
        failed.set()
        fail("first")

    def second() -> None:
        failed.wait(PATIENCE)
        ended.set()

    with pytest.raises(ValueError, match="first") as caught:
        either(first, second, partial(fail, "third"))
    assert ended.is_set()
    assert caught.traceback[-1].name == "fail", "the traceback leads to where it failed"


def test_failures_among_the_results(either: Gather) -> None:
    one, two, three = either(lambda: 1, partial(fail, "no"), sys.exit, return_exceptions=True)
    assert one == 1
    assert isinstance(two, ValueError)
    assert isinstance(three, SystemExit)


def test_at_the_deadline_what_is_done_is_kept(either: Gather) -> None:
    never = threading.Event()
    with pytest.raises(Unfinished, match=r"1 of 3 calls had not ended after 0\.2 s") as caught:
        either(lambda: 1, never.wait, partial(fail, "no"), timeout=0.2)
    done, late, failed = caught.value.results
    assert done == 1
    assert isinstance(late, TimeoutError) and "0.2 s" in str(late)
    assert isinstance(failed, ValueError) and caught.value.__cause__ is failed
    never.set()


def test_at_the_deadline_with_exceptions_among_the_results(either: Gather) -> None:
    never = threading.Event()
    done, late = either(lambda: 1, never.wait, timeout=0.2, return_exceptions=True)
    assert done == 1
    assert isinstance(late, TimeoutError)
    never.set()


def test_what_has_not_begun_at_the_deadline_never_begins(either: Gather, limit: Callable[[int], None]) -> None:
    limit(1)
    never = threading.Event()
    begun: list[int] = []
    with pytest.raises(Unfinished):
        either(never.wait, partial(begun.append, 1), timeout=0.05)
    never.set()
    assert either(lambda: 2, timeout=PATIENCE) == [2]  # by the same thread, which had nothing else to do before
    assert begun == []


colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour")


def test_context_variables_are_copied_to_each_call(either: Gather) -> None:
    def paint(own: str) -> str:
        before = colour.get()
        colour.set(own)
        return before

    colour.set("blue")
    assert either(partial(paint, "red"), partial(paint, "green")) == ["blue", "blue"]
    assert colour.get() == "blue"


def test_no_more_than_the_limit_run_at_once(either: Gather, limit: Callable[[int], None]) -> None:
    limit(3)
    running, most = set(), []

    def one() -> None:
        running.add(threading.get_ident())
        most.append(len(running))
        with pytest.raises(threading.BrokenBarrierError):
            barrier.wait(0.05)  # as many as are let in meet here; one more would open it
        running.discard(threading.get_ident())

    barrier = threading.Barrier(4)
    either(*[one for _ in range(9)])
    assert max(most) <= 3


def test_nested_calls_do_not_wait_for_each_other(either: Gather, limit: Callable[[int], None]) -> None:
    limit(2)

    def tree(depth: int) -> int:
        return 1 if depth == 0 else sum(either(*[partial(tree, depth - 1)] * 3, timeout=PATIENCE))

    assert either(*[partial(tree, 3)] * 3, timeout=PATIENCE) == [27, 27, 27]
    assert parallel._shared().threads <= 2


def test_a_nested_deadline_is_kept_without_room(either: Gather, limit: Callable[[int], None]) -> None:
    limit(1)
    never = threading.Event()

    def inner() -> list[Any]:
        try:
            return either(partial(never.wait, PATIENCE), timeout=0.05)
        except Unfinished as unfinished:
            return unfinished.results

    [[late]] = either(inner, timeout=PATIENCE / 2)
    assert isinstance(late, TimeoutError)
    never.set()


def test_nested_spawns_do_not_wait_for_each_other(limit: Callable[[int], None]) -> None:
    limit(1)
    assert gather(lambda: spawn(lambda: 1).result(PATIENCE) + 1, timeout=PATIENCE) == [2]


def test_calls_of_gather_take_turns(limit: Callable[[int], None]) -> None:
    limit(1)
    order: list[str] = []
    gate = threading.Event()
    first = spawn(gate.wait, PATIENCE)  # holds the only thread until all have queued
    pool = parallel._shared()
    with ThreadPoolExecutor(2) as callers:
        many = callers.submit(gather, *[partial(order.append, "many")] * 4)
        until(lambda: len(pool._queue) == 1 and pool._waiting == 4)
        few = callers.submit(gather, *[partial(order.append, "few")] * 2)
        until(lambda: pool._waiting == 6)
        gate.set()
        many.result(PATIENCE)
        few.result(PATIENCE)
    assert first.result(PATIENCE)
    assert order == ["many", "few", "many", "few", "many", "many"]


def until(condition: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + PATIENCE, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.001)


def test_threads_are_used_again_and_end_when_idle(
    limit: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "IDLE", 0.2)
    limit(8)
    pool = parallel._shared()
    for _ in range(50):
        gather(int, int)
    assert pool.threads == 2
    until(lambda: pool.threads == 0)
    assert gather(int) == [0]


def test_on_an_event_loop_the_error_says_what_to_write() -> None:
    async def wrong() -> None:
        gather(int)

    with pytest.raises(RuntimeError, match=r"would stop the event loop.*await agather\(\.\.\.\)"):
        asyncio.run(wrong())

    async def waits() -> None:
        gate = threading.Event()
        handle = spawn(gate.wait, PATIENCE)
        try:
            handle.result()
        finally:
            gate.set()

    with pytest.raises(RuntimeError, match="would stop the event loop"):
        asyncio.run(waits())


def test_an_event_loop_goes_on_meanwhile() -> None:
    async def both() -> list[Any]:
        go = threading.Event()
        task = asyncio.ensure_future(agather(partial(go.wait, PATIENCE)))
        await asyncio.sleep(0)
        go.set()  # which only a loop that turns can do
        return await task

    assert asyncio.run(both()) == [True]


def test_a_cancelled_agather_gives_up_what_has_not_begun(limit: Callable[[int], None]) -> None:
    limit(1)
    gate = threading.Event()
    begun: list[int] = []

    async def cancelled() -> None:
        task = asyncio.ensure_future(agather(partial(gate.wait, PATIENCE), partial(begun.append, 1)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    gate.set()
    assert gather(int) == [0]
    assert begun == []


@pytest.mark.parametrize("call", [gather, spawn])
def test_what_is_no_function_is_refused(call: Callable[..., Any]) -> None:
    async def coroutine() -> None:
        pass

    with pytest.raises(TypeError, match=rf"expects functions .*argument 1 is 5.*{call.__name__}\(lambda: f\(x\)\)"):
        call(5)
    with pytest.raises(TypeError, match=r"is a coroutine function.*asyncio\.gather"):
        call(coroutine)


def test_spawn() -> None:
    gate = threading.Event()
    handle = spawn(gate.wait, timeout=PATIENCE)
    assert not handle.done()
    with pytest.raises(TimeoutError, match=r"not ended within 0\.05 s; it goes on"):
        handle.result(0.05)
    gate.set()
    assert handle.result(PATIENCE) is True
    assert handle.done() and handle.result() is True
    with pytest.raises(ValueError, match="no"):
        spawn(fail, "no").result(PATIENCE)


def test_spawn_is_refused_when_too_many_wait(limit: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    limit(1)
    monkeypatch.setattr(parallel, "SPAWNED", 3)
    gate = threading.Event()
    handles: list[Handle[bool]] = [spawn(gate.wait, PATIENCE)]
    until(lambda: parallel._shared()._waiting == 0)
    handles += [spawn(gate.wait, PATIENCE) for _ in range(3)]
    with pytest.raises(RuntimeError, match=r"3 calls wait in this process already.*parallel_limit is 1"):
        spawn(gate.wait, PATIENCE)
    gate.set()
    assert all(handle.result(PATIENCE) for handle in handles)


DJANGO = """
import django
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": %r}})
django.setup()
from django.db import connection, connections
from backline import gather, parallel
opened, nested = [], []
def query():
    connection.ensure_connection()
    opened.append(connections["default"])
    return connection.connection is not None
def outer():
    connection.ensure_connection()
    gather(query)  # there is one thread, so this runs on a stand-in, and has a connection of its own
    opened.append(connections["default"])
    return connection.connection is not None
connection.ensure_connection()
parallel._pool = parallel.Pool(1)
assert gather(query, query, query, outer) == [True] * 4
assert len(opened) == 5 and all(each.connection is None for each in opened), "left open"
assert connection.connection is not None, "the caller's own is not ours to close"
connection.close()
"""


def test_djangos_connections_are_closed_where_they_were_opened(tmp_path: Path) -> None:
    run_alone(DJANGO % str(tmp_path / "db.sqlite3"))


FORKED = """
import os
from backline import gather
assert gather(int, int) == [0, 0]
child = os.fork()
if child == 0:
    os._exit(0 if gather(int, int, timeout=20) == [0, 0] else 1)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_process_has_a_pool_of_its_own() -> None:
    run_alone(FORKED, "-Wignore::DeprecationWarning")  # from 3.12 on it warns of forks with threads about


LAZY = """
import sys, backline
assert not {"backline.parallel", "threading", "asyncio"} & {*sys.modules}
assert {"gather", "spawn", "agather"} <= {*dir(backline)}
try:
    backline.gathr
except AttributeError as error:
    assert str(error) == "module 'backline' has no attribute 'gathr'"
from backline import gather
assert "asyncio" not in sys.modules
"""


def test_the_package_imports_nothing_before_it_is_asked() -> None:
    run_alone(LAZY, "-S")


def run_alone(script: str, *flags: str) -> None:
    """In a process of its own, because what it sets up stays."""
    here = Path(parallel.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-Werror", *flags, "-c", script], cwd=here, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
