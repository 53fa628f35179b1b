"""The ``asyncio`` loop: an ASGI request runs as a task on the one event loop, uvloop's where it is installed."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

from .. import begun, host, wire
from ..asgi import Exchange, Runner
from ..call import Call
from ..consumers import work_off
from ..control import BOOT, Control, coroutine_stack, thread_stack
from ..interface import is_sockets
from ..lifespan import Lifespan
from ..slots import SYNC_THREAD, Slots, around
from ..stacks import thread_names
from ..watchdog import Nothing, Watch
from ..websocket import WebSocket

LIFESPAN_STOP = 8.0  # seconds for an application to shut down; then the server sends SIGTERM, after 10 s


class Connection(asyncio.Protocol):
    """The connection to the server. It implements call.Link and stacks.Loop."""

    def __init__(self, runner: Runner, loop: asyncio.AbstractEventLoop) -> None:
        self.turn = 0
        self.calls: dict[int, Call] = {}
        self.stopped = loop.create_future()
        self._runner = runner
        self._loop = loop
        self._decoder = wire.Decoder()
        self._out: list[wire.Outgoing] = []
        self._scheduled = False
        self._transport: asyncio.Transport
        # A task of its own for every request, so that current_task(), timeouts and task groups work in the application
        # from its first line. With eager_start an application that never waits costs no turn of the loop.
        eager: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}
        self._start: Callable[[Any], asyncio.Task[None]] = partial(asyncio.Task, loop=loop, **eager)
        self.future = loop.create_future
        self.lifespan: asyncio.Task[None] | None = None
        self.thread = threading.get_ident()
        self.watch: Watch | Nothing = Nothing()
        self._pokes = 0
        self.events: Any = None  # what calls an application of sockets

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's does not inherit from asyncio.Transport

    def data_received(self, data: bytes) -> None:
        if not self.watch.armed:
            self.watch.arm()
        runner, calls, start = self._runner, self.calls, self._start
        for message in self._decoder.feed(data):
            if message[0] == wire.REQUEST:
                call = (WebSocket if "type" in message[2] else Exchange)(runner, message)
                calls[message[1]] = call
                call.task = start(call.run())
            elif message[0] == wire.STOP:
                self.stop()
            else:
                known = calls.get(message[1])
                if known is not None:
                    known.take(message)
                elif message[0] == wire.EVENT:
                    calls[message[1]] = call = self.events.occasion(message)
                    call.task = start(call.run())
        if not self._scheduled:
            # A sign of life is due even when nothing is answered yet: it tells that the loop turns.
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.stopped.done():
            host.server_gone()
            self.stop()

    def close(self) -> None:
        self._transport.close()

    # call.Link

    def emit(self, message: wire.Outgoing) -> None:
        self._out.append(message)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def forget(self, stream: int) -> None:
        self.calls.pop(stream, None)

    def _flush(self) -> None:
        self._scheduled = False
        self.turn += 1
        out, self._out = self._out, []
        self._transport.write(wire.encode(out or [(wire.ALIVE, 0)]))

    # stacks.Loop

    def turns(self) -> int:
        return self.turn + self._pokes

    def poke(self) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._poked)

    def _poked(self) -> None:
        self._pokes += 1

    def requests(self) -> dict[int, Any]:
        return {stream: call.task for stream, call in self.calls.copy().items()}

    # The end.

    def stop(self) -> None:
        """The server has no more requests, or no more patience: it sends SIGTERM when some have not ended in time."""
        if not self.stopped.done():
            self.stopped.set_result(None)

    def give_up(self) -> None:
        """Cancel what still runs: it has had its time."""
        for call in list(self.calls.values()):
            call.take((wire.CANCEL, call.stream))

    def stack(self, stream: int) -> str | None:
        """Where the task behind a stream waits, and for whom it may. Called from the control thread."""
        call = self.calls.get(stream)
        task = self.lifespan if stream == BOOT else call.task if call is not None else None
        if task is None:
            return None
        coroutine: Any = task.get_coro()
        frames = sys._current_frames()
        loop = frames.get(self.thread)
        busy = thread_stack(loop) if loop is not None and not _idle(loop) else ""
        if getattr(coroutine, "cr_running", False):
            return f"task, running:\n{busy}"
        found = [f"task, waiting:\n{coroutine_stack(coroutine)}"]
        if busy:
            found.append(f"meanwhile the event loop runs:\n{busy}")
        for ident, name in thread_names().items():
            frame = frames.get(ident)
            if name.startswith(SYNC_THREAD) and frame is not None and not _idle(frame):
                found.append(f"thread {name}:\n{thread_stack(frame)}")
        return "".join(found)


def _idle(frame: FrameType) -> bool:
    """Whether a thread waits for work: the loop's in the selector, or in uvloop, which has no frames of its own; a sync
    thread in its executor."""
    module = frame.f_globals.get("__name__", "")
    return module in ("selectors", "asyncio.runners", "concurrent.futures.thread", Slots.__module__, __name__)


def _on_sigterm(loop: asyncio.AbstractEventLoop, do: Callable[[], object] | None) -> None:
    if host.embedded:
        return  # only the main thread may
    if do is None:
        loop.remove_signal_handler(signal.SIGTERM)
    else:
        loop.add_signal_handler(signal.SIGTERM, do)


async def _serve(
    conn: socket.socket,
    control: Control,
    application: Any,
    settings: dict[str, Any],
    announce: Callable[[dict[str, Any]], None],
) -> None:
    loop = asyncio.get_running_loop()
    sockets, concurrency = application if is_sockets(application) else None, settings["worker_connections"]
    if sockets is not None:
        from ..asyncevents import Events, not_here

        application, settings = not_here, {**settings, "lifespan": "off"}
    runner = Runner(application, settings)
    runner.link = connection = Connection(runner, loop)
    runner.begun = begun.shared()
    if sockets is not None:
        connection.events = Events(sockets, settings, runner, loop)
        concurrency = connection.events.concurrency
    control.extra = connection.stack
    connection.watch = control.watch(connection, settings.get("loop_stall", 0))
    lifespan = Lifespan(application, settings["lifespan"], loop.create_future)
    connection.lifespan = task = loop.create_task(lifespan.run())
    await lifespan.startup()
    runner.support(lifespan.state)
    slots = Slots(settings["threads"], loop)
    slots.stall, slots.tell = settings.get("busy_stall", 0) / 1000, partial(control.tell_crowd, SYNC_THREAD)
    runner.around = around(slots)
    announce({"loop": "asyncio", "event_loop": True, "concurrency": concurrency})
    _on_sigterm(loop, connection.stop)
    await loop.create_connection(lambda: connection, sock=conn)
    await work_off(runner, control, settings, connection.stopped)
    connection.give_up()
    try:
        await asyncio.wait_for(lifespan.shutdown(), LIFESPAN_STOP)
    except asyncio.TimeoutError:
        sys.stderr.write(f"the application's lifespan did not shut down within {LIFESPAN_STOP:g} s\n")
    _on_sigterm(loop, None)  # the next one ends the process, whatever still runs
    task.cancel()
    connection.close()


def run(
    conn: socket.socket,
    control: Control,
    application: Any,
    settings: dict[str, Any],
    announce: Callable[[dict[str, Any]], None],
) -> None:
    """Serve ``application`` until told to stop."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(conn, control, application, settings, announce))
        return
    if sys.version_info >= (3, 11):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(conn, control, application, settings, announce))
    else:
        uvloop.install()
        asyncio.run(_serve(conn, control, application, settings, announce))
