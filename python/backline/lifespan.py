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
        self._stop = future()
        self._asked = False
        self.state: dict[str, Any] | None = {}  # None once it is known that the application has no lifespan

    async def run(self) -> None:
        """The call itself, as a task."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._application(scope, self._receive, self._send)
        except BaseException as error:
            self._ended(error)
            if not isinstance(error, Exception) and type(error).__name__ != "CancelledError":
                raise
        else:
            self._ended(None)

    def _ended(self, error: BaseException | None) -> None:
        """The application raised or returned: before it has started, that means it does not know lifespans."""
        if not self._started.done():
            if self._mode == "on":
                what = "raised" if error is not None else "returned"
                self._started.set_exception(
                    LifespanFailed(f"the application {what} before lifespan.startup.complete, and --lifespan is on", error)
                )
            else:
                self.state = None
                self._started.set_result(None)
        elif error is not None and not self._stopped.done() and type(error).__name__ != "CancelledError":
            report(error, "running the application's lifespan")
        if not self._stopped.done():
            self._stopped.set_result(None)

    async def startup(self) -> None:
        """Wait for startup.complete. Raises LifespanFailed."""
        await self._started

    async def shutdown(self) -> None:
        """Ask for shutdown and wait for it. The caller limits the time."""
        if not self._stop.done():
            self._stop.set_result(None)
        if self.state is not None:
            await self._stopped

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "lifespan.startup"}
        await self._stop
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Any) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete" and not self._started.done():
            self._started.set_result(None)
        elif kind == "lifespan.startup.failed" and not self._started.done():
            self._started.set_exception(LifespanFailed(message.get("message", "") or "the application gave no reason"))
        elif kind == "lifespan.shutdown.complete" and self._started.done():
            if not self._stopped.done():
                self._stopped.set_result(None)
        elif kind == "lifespan.shutdown.failed" and self._started.done():
            report(RuntimeError(message.get("message", "")), "shutting the application's lifespan down")
            if not self._stopped.done():
                self._stopped.set_result(None)
        else:
            raise RuntimeError(f"ASGI: {kind!r} is not a message that a lifespan can send now")
