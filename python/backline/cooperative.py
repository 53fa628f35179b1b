"""What makes synchronous code cooperative under gevent, before the application is imported; and where greenlets stand.

gevent replaces what blocks in the standard library. psycopg2 waits in C and asks for a function that waits instead,
which it gets as soon as it is imported. psycopg 3, PyMySQL, redis-py and urllib3 wait in Python, so nothing has to be
done for them.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, Final

import gevent
from gevent import monkey
from greenlet import greenlet

from .control import BOOT, Control, thread_stack

HUB_PATIENCE: Final = 0.5  # seconds for the hub to answer; it turns within microseconds or is held up
MANY: Final = 100  # greenlets that are listed when all are asked for
_GEVENT: Final = os.path.join(os.path.dirname(os.path.abspath(gevent.__file__)), "")

# What waits for another thread must not wait for another greenlet.
_allocate_lock: Final = monkey.get_original("_thread", "allocate_lock")


def patch(control: Control) -> None:
    """Patch the process, and let the control thread tell where greenlets wait."""
    monkey.patch_all()
    for name, then in (("psycopg2.extensions", _have_psycopg2_wait), ("asyncio", _have_loops_in_greenlets)):
        already = sys.modules.get(name)  # by sitecustomize, or a .pth file
        if already is not None:
            then(already)
        else:
            sys.meta_path.insert(0, WhenImported(name, then))
    control.extra = Stacks({}).of


# psycopg2


class WhenImported(importlib.abc.MetaPathFinder):
    """Calls ``then`` with the module ``name`` when that has been imported, whoever imports it."""

    def __init__(self, name: str, then: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._then = then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find the module as the others do, and have its loader call ``then``."""
        if fullname != self._name or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                self._then(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _have_psycopg2_wait(extensions: Any) -> None:
    """Give psycopg2 (its module of this name) the function that it waits with."""

    def wait(connection: Any) -> None:
        while True:
            state = connection.poll()
            if state == extensions.POLL_OK:
                return
            if state == extensions.POLL_READ:
                gevent.socket.wait_read(connection.fileno())
            elif state == extensions.POLL_WRITE:
                gevent.socket.wait_write(connection.fileno())
            else:
                raise extensions.OperationalError(f"psycopg2 is in the state {state}, which nothing is known of")

    extensions.set_wait_callback(wait)


def _have_loops_in_greenlets(asyncio: Any) -> None:
    """Let each greenlet run an event loop. asyncio knows of one a thread, in C, where it cannot see greenlets: the
    second async_to_sync that runs in a worker at the same time would find the first one's. Its functions in Python ask
    threading.local, which is a greenlet's here."""
    import threading

    class Running(threading.local):
        loop_pid = (None, None)

    events = asyncio.events
    events._running_loop = Running()
    for name in ("_get_running_loop", "_set_running_loop", "get_running_loop", "get_event_loop"):
        inner = getattr(events, f"_py_{name}", None)
        if inner is not None:
            setattr(events, name, inner)
            setattr(asyncio, name, inner)


def close_django_connections() -> None:
    """At the end of a request. They are greenlet locals, so the next request has its own: whatever CONN_MAX_AGE says,
    nobody would ever use these again, and the database would have them until the garbage collector comes by."""
    database = sys.modules.get("django.db")
    if database is not None and sys.modules["django.conf"].settings.configured:
        database.connections.close_all()


# Stacks


class Stacks:
    """Where greenlets stand, told to the control thread.

    The hub looks, because a greenlet's frames may only be walked while it does not run. When the hub does not turn,
    one greenlet holds it up and the others go on waiting, so then the control thread may look by itself.
    """

    def __init__(self, running: Mapping[int, greenlet]) -> None:
        """Made by the main greenlet, of which it tells where no stream is ``running``."""
        self._running = running
        self._main = gevent.getcurrent()
        self._thread = monkey.get_original("_thread", "get_ident")()
        self._asked: deque[tuple[int, list[str | None], Any]] = deque()
        # Without a reference, so that an application whose import waits for ever is told so by gevent.
        self._watcher = gevent.get_hub().loop.async_(ref=False)
        self._watcher.start(self._tell)

    def of(self, stream: int) -> str | None:
        """The stack behind a stream, for BOOT those of all. Called from the control thread."""
        answer: list[str | None] = []
        if not self._asked:
            done = _allocate_lock()
            done.acquire()
            self._asked.append((stream, answer, done))
            self._watcher.send()
            if done.acquire(timeout=HUB_PATIENCE):
                return answer[0]
        return self._look(stream, held_up=True)

    def _tell(self) -> None:
        while self._asked:
            stream, answer, done = self._asked.popleft()
            answer.append(self._look(stream, held_up=False))
            done.release()

    def _look(self, stream: int, *, held_up: bool) -> str | None:
        if stream == BOOT:
            all_of_them = [*list(self._running.values())[:MANY]] or [self._main]
        else:
            known = self._running.get(stream)
            if known is None:
                return None
            all_of_them = [known]
        found, busy = [], held_up
        for each in all_of_them:
            frame = each.gr_frame  # None while it runs
            if frame is not None:
                found.append(f"greenlet, waiting:\n{thread_stack(frame, _GEVENT)}")
            elif held_up:
                busy = False
                found.append(f"greenlet, running:\n{self._thread_stack()}")
        if busy:
            found.append(f"meanwhile the hub is held up by:\n{self._thread_stack()}")
        return "".join(found) or None

    def _thread_stack(self) -> str:
        frame = sys._current_frames().get(self._thread)
        return thread_stack(frame, _GEVENT) if frame is not None else ""
