"""How an application of sockets is called with their events (docs/protocol.md, "Events"). Knows nothing of threads or
sockets: a loop moves the messages.

Reading order: Occasion is one event, from message to answer; Runner.serve runs one that waits in its own thread or
greenlet, AsyncOccasion one on an event loop.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Final

from . import begun, wire
from .asgi import Runner as Scopes
from .errors import report
from .occasion import kept
from .sockets import Socket, Sockets

_CONNECT: Final = 0
_DISCONNECT: Final = 2
_EVENTS: Final = ("connect", "receive", "disconnect", "gap")

_TELL: Final = 60.0  # seconds between two lines about handlers that do not decide

NOT_HERE: Final = b"Here are WebSockets and nothing else.\n"


class Runner:
    """Calls one application. The loop sets ``link`` and ``begun``."""

    def __init__(self, application: Sockets, settings: dict[str, Any]) -> None:
        self.application = application
        self.link: Any
        self.begun = begun.nowhere()
        self.given_up: type[BaseException] | tuple[()] = ()  # what the loop ends an event with, where it can
        self.limit: int = settings.get("websocket_state", 4096)
        self.undecided = float("-inf")  # when a handler that neither accepts nor refuses was last told of
        self.scope = Scopes(None, settings).scope
        self.run: Callable[[Awaitable[Any]], Any] = _on_own_loop

    def serve(self, message: wire.Incoming) -> None:
        """Run one event to its end."""
        stream = message[1]
        if message[0] == wire.REQUEST:
            self.link.emit(not_here(stream))
            return
        self.begun[stream & begun.MASK] = 1
        occasion = Occasion(self, message, self.flush)
        try:
            refresh_connections()
            result = occasion.call()
            if hasattr(result, "__await__"):
                self.run(result)
            self.link.emit(occasion.answer())
        except BaseException as error:
            if not isinstance(error, self.given_up):
                report(error, occasion.doing())
            self.link.emit((wire.ERROR, stream, type(error).__name__))
            if isinstance(error, KeyboardInterrupt):
                raise
        finally:
            refresh_connections()

    def flush(self, message: wire.Outgoing) -> None:
        """Send what a handler wants done before it returns."""
        self.link.emit(message)
        self.link.flush()


class Occasion:
    """One event of a socket."""

    __slots__ = ("_call", "_event", "_runner", "_scope", "socket", "stream")

    def __init__(self, runner: Runner, message: wire.Incoming, flush: Callable[[wire.Outgoing], None]) -> None:
        _, self.stream, event, name, state, data = message
        self._runner = runner
        self._event = event
        self._scope: dict[str, Any] | None = None
        if event == _CONNECT:
            scope = self._scope = runner.scope(data)
            path, found = scope["path"].removeprefix(scope["root_path"]), dict[str, Any]()
        else:
            path, found = kept(state) if state else ("", {})
        self.socket = Socket(self._scope, path, found, runner.limit)
        self.socket._id = name
        self.socket._begin(connecting=event == _CONNECT)
        stream = self.stream
        self.socket._flush = lambda actions: flush((wire.ACT, stream, actions, self.socket._kept()))
        self._call = data

    def handler(self) -> tuple[Callable[..., Any] | None, tuple[Any, ...], dict[str, Any]]:
        """What is to be called, and with what; None where nobody wants to know."""
        application = self._runner.application
        handler, parameters = application.find(_EVENTS[self._event], self.socket.path)
        if self._event == _CONNECT:
            origin = self.socket.headers.get("origin")
            if origin and not application.lets_in(origin, self.socket.headers.get("host", "")):
                sys.stderr.write(
                    f"a WebSocket from a page of {origin} is refused; if it may have one: Sockets(origins=[...])\n"
                )
                self.socket.refuse(403)
                return None, (), {}
            if handler is None:
                self.socket.refuse(404)
            return handler, (), parameters
        return handler, (self._call[0] if self._event == _DISCONNECT else self._call,), parameters

    def call(self) -> Any:
        handler, arguments, parameters = self.handler()
        return None if handler is None else handler(self.socket, *arguments, **parameters)

    def answer(self) -> wire.Outgoing:
        if self._event == _CONNECT and not self.socket._accepted and not self.socket._closed:
            self._tell_undecided()
        actions, state = self.socket._end()
        return (wire.ACTED, self.stream, actions, state)

    def _tell_undecided(self) -> None:
        """Say, once a minute, that a client got 403 because nobody decided: else nothing would."""
        now = monotonic()
        if now - self._runner.undecided >= _TELL:
            self._runner.undecided = now
            sys.stderr.write(
                f"the connect handler of the WebSocket {self.socket.path} has called neither accept() nor refuse(): "
                "the client gets 403; call one of them\n"
            )

    def doing(self) -> str:
        return f"handling the event {_EVENTS[self._event]!r} of the WebSocket {self.socket.path}"


def not_here(stream: int) -> wire.Outgoing:
    """The answer to a request that asks for no WebSocket (RFC 9110 15.5.22)."""
    headers = [("Upgrade", "websocket"), ("Content-Type", "text/plain")]
    return (wire.ANSWER, stream, 426, headers, NOT_HERE)


_loops: Final = threading.local()


def _on_own_loop(result: Any) -> Any:
    """Run a coroutine in a thread that has no event loop: on one that it keeps."""
    import asyncio

    loop = getattr(_loops, "loop", None)
    if loop is None:
        loop = _loops.loop = asyncio.new_event_loop()
    return loop.run_until_complete(result)


def failure_of(run: Callable[[Any], object], result: Any) -> BaseException | None:
    """What running it raised; for gevent's pool, which writes what is raised there to the log by itself."""
    try:
        run(result)
    except BaseException as error:
        return error
    return None


def refresh_connections() -> None:
    """Close database connections of Django's that are too old, or broken, as it does itself around each request."""
    database, configuration = sys.modules.get("django.db"), sys.modules.get("django.conf")
    # Without settings, which are read when they are first needed, there are no connections.
    if database is not None and configuration is not None and configuration.settings.configured:
        database.close_old_connections()
