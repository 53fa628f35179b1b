"""ASGI lifespan 2.0: one call of the application that lasts as long as the worker. Does no I/O; the loop makes the
futures and the task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import report


class LifespanFailed(Exception):
    """The application said startup.failed, or its lifespan is on and it raised."""

    def __init__(self, message: str, error: BaseException | None = None) -> None:
        super().__init__(message)
        self.error = error


class Lifespan:
    """Runs the lifespan of one application. ``mode`` is "auto", "on" or "off"."""

    def __init__(self, application: Any, mode: str, future: Callable[[], Any]) -> None:
        self._application = application
        self._mode = mode
        self._future = future
        self._started = future()
        self._stopped = future()
        self._stopping = False
        self._waiters: list[Any] = []  # receive() calls that wait for the shutdown, each on a future of its own
        self._asked = False  # the application has been told to start
        self.state: dict[str, Any] | None = {}  # None once it is known that the application has no lifespan

    async def run(self) -> None:
        """The call itself, as a task."""
        if self._mode == "off":
            self._unsupported()
            return
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        error: BaseException | None = None
        try:
            await self._application(scope, self._receive, self._send)
        except BaseException as raised:
            error = raised
        if self._started.done():
            self._ended(error)
        else:
            self._not_started(error)

    def _unsupported(self) -> None:
        self.state = None
        self._started.set_result(None)
        self._stopped.set_result(None)

    def _not_started(self, error: BaseException | None) -> None:
        """The application raised or returned before it had started: mostly, it does not know lifespans."""
        # sys.exit() while starting is meant, whatever the mode.
        if self._mode == "on" or not (error is None or isinstance(error, Exception)):
            what = "returned" if error is None else f"raised {type(error).__name__}"
            why = ", and --lifespan is on" if self._mode == "on" else ""
            self._started.set_exception(LifespanFailed(f"it {what} before lifespan.startup.complete{why}", error))
            self._stopped.set_result(None)
            return
        if error is not None and self._asked:
            # It took lifespan.startup, so it knows lifespans. The specification wants the server to go on without.
            report(error, "starting the application's lifespan, which goes on without (--lifespan on forbids that)")
        self._unsupported()

    def _ended(self, error: BaseException | None) -> None:
        """The application raised or returned after it had started, which it may, or had said that it cannot."""
        if self._stopped.done():
            return
        if error is not None and type(error).__name__ != "CancelledError":
            report(error, "running the application's lifespan")
        self._stopped.set_result(None)

    async def startup(self) -> None:
        """Wait for startup.complete. Raises LifespanFailed."""
        await self._started

    async def shutdown(self) -> None:
        """Ask for shutdown and wait for it. The caller limits the time."""
        self._stopping = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        await self._stopped

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "lifespan.startup"}
        while not self._stopping:
            future = self._future()
            self._waiters = [*(waiter for waiter in self._waiters if not waiter.done()), future]
            await future
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Any) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete" and not self._started.done():
            self._started.set_result(None)
        elif kind == "lifespan.startup.failed" and not self._started.done():
            self._started.set_exception(LifespanFailed(message.get("message", "") or "the application gave no reason"))
            self._stopped.set_result(None)
        elif kind == "lifespan.shutdown.complete" and self._may_stop():
            self._stopped.set_result(None)
        elif kind == "lifespan.shutdown.failed" and self._may_stop():
            report(RuntimeError(message.get("message", "")), "shutting the application's lifespan down")
            self._stopped.set_result(None)
        else:
            raise RuntimeError(f"ASGI: {kind!r} is not a message that a lifespan can send now")

    def _may_stop(self) -> bool:
        return bool(self._started.done() and not self._stopped.done())
