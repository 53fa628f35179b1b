"""How an application of sockets is called on an event loop: coroutines are its tasks, plain functions have threads."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from typing import Any

from . import begun, slots, wire
from .asgi import Runner as Scopes
from .errors import report
from .events import NOT_HERE, Occasion, Runner, refresh_connections
from .interface import is_coroutine_callable
from .sockets import Sockets


class Events(Runner):
    """Calls one application. It shares link, marks and surroundings with the runner of requests."""

    def __init__(
        self, application: Sockets, settings: dict[str, Any], requests: Scopes, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(application, settings)
        self.requests = requests
        self.loop = loop
        threads = settings["threads"]
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix=slots.SYNC_THREAD)
        # What has not begun goes to another worker when this one dies, so no more is asked for than can begin.
        self.concurrency: int = settings["worker_connections"] if application.has_coroutines() else threads

    def occasion(self, message: wire.Incoming) -> AsyncOccasion:
        return AsyncOccasion(self, message)


class AsyncOccasion(Occasion):
    """One event on the event loop. It has what the loop knows of call.Call."""

    __slots__ = ("_events", "_message", "task")

    def __init__(self, events: Events, message: wire.Incoming) -> None:
        self.stream = message[1]
        self.task: Any = None
        self._events = events
        self._message = message

    def take(self, message: wire.Incoming) -> None:
        """A message for this stream. Clients come and go without this event's knowing."""
        if message[0] == wire.CANCEL:
            self.task.cancel()

    async def run(self) -> None:
        """Call the application and see that the server hears of the end."""
        events, link = self._events, self._events.requests.link
        events.requests.begun[self.stream & begun.MASK] = 1
        try:
            super().__init__(events, self._message, self._flush)
            await self._run()
            link.emit(self.answer())
        except BaseException as error:
            if not isinstance(error, asyncio.CancelledError):
                report(error, self.doing())
            link.emit((wire.ERROR, self.stream, type(error).__name__))
        link.forget(self.stream)

    def _flush(self, message: wire.Outgoing) -> None:
        """Send what a handler wants done before it returns, from whichever thread."""
        self._events.loop.call_soon_threadsafe(self._events.requests.link.emit, message)

    async def _run(self) -> None:
        handler, arguments, parameters = self.handler()
        if handler is None:
            return
        around = self._events.requests.around
        with around(slots.IDLE) if around is not None else nullcontext():
            call = partial(handler, self.socket, *arguments, **parameters)
            if is_coroutine_callable(handler):
                await call()
                return
            result = await self._events.loop.run_in_executor(
                self._events.threads, contextvars.copy_context().run, _in_thread, call
            )
            if hasattr(result, "__await__"):
                await result


def _in_thread(call: Any) -> Any:
    refresh_connections()
    try:
        return call()
    finally:
        refresh_connections()


async def not_here(scope: Any, receive: Any, send: Any) -> None:
    """The answer to a request that asks for no WebSocket (RFC 9110 15.5.22), as an application of ASGI."""
    headers = [(b"upgrade", b"websocket"), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 426, "headers": headers})
    await send({"type": "http.response.body", "body": NOT_HERE})
