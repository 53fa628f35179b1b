"""How an ASGI application is called for an HTTP request (ASGI 3.0, HTTP 2.4). Does no I/O and imports no event loop: a
loop moves the messages and makes the futures that ``receive()`` and ``send()`` wait on.

Reading order: Runner.scope and Exchange.run are one request, then receive, then send.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from types import coroutine
from typing import Any, Final, Protocol

from . import begun, wire
from .begun import MASK, TAKEN
from .errors import ClientDisconnected, report
from .headers import Known, check_asgi


class Link(Protocol):
    """What a loop does for an exchange."""

    turn: int  # counts packets: what was emitted in this turn has not left yet

    def emit(self, message: wire.Outgoing) -> None:
        """Queue a message; it leaves when the loop has turned."""

    def forget(self, stream: int) -> None:
        """The exchange has ended; its stream's number may come again."""

    def future(self) -> Any:
        """An empty future of the running loop."""


class Runner:
    """Makes scopes for one application."""

    def __init__(self, application: Any, settings: dict[str, Any]) -> None:
        self.application = application
        self.state: dict[str, Any] | None = None  # the lifespan's, None where it is not supported
        self.known = Known()
        self.window: int = settings["asgi_window"]
        self.begun = begun.nowhere()
        self.link: Link
        self.around: Callable[[], Any] | None = None  # a context manager around every call
        host, port = settings["server"]
        self.asgi = {"version": "3.0", "spec_version": settings["asgi_spec_version"]}
        # With every key that a scope has, the ones that the server sends included: merging a request's entries in then
        # only overwrites, where inserting would make the dictionary grow, which takes as long as all the rest.
        self.base: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "scheme": settings["scheme"],
            "root_path": settings["root_path"],
            "query_string": b"",
            "server": (host, port),
            **dict.fromkeys(("asgi", "extensions", "method", "path", "raw_path", "client", "headers")),
        }

    def support(self, state: dict[str, Any] | None) -> None:
        """Give every scope a copy of the lifespan's state."""
        self.state = state
        if state is not None:
            self.base["state"] = None

    def scope(self, sent: dict[str, Any]) -> dict[str, Any]:
        """A fresh scope with what the server sent."""
        scope = self.base | sent
        scope["asgi"] = self.asgi.copy()
        scope["extensions"] = _EXTENSIONS.copy()
        if self.state is not None:
            scope["state"] = self.state.copy()
        return scope


_EXTENSIONS: Final[dict[str, dict[str, Any]]] = {"http.response.pathsend": {}, "http.response.early_hint": {}}

# How far an answer has come.
_NOTHING: Final = 0
_STARTED: Final = 1  # the application has given status and headers, which wait for the first piece of body
_FLOWING: Final = 2  # they have left
_CLOSING: Final = 3  # the last piece has been accepted, and waits with others for the client
_ENDED: Final = 4


class Exchange:
    """One request and its answer."""

    __slots__ = ("_backlog", "_body", "_credited", "_gone", "_headers", "_message", "_more", "_phase", "_runner",
                 "_scope", "_sent", "_status", "_taken", "_turn", "_waiters", "stream", "task")  # fmt: skip

    def __init__(self, runner: Runner, message: wire.Incoming) -> None:
        _, self.stream, sent, body, more = message
        self.task: Any = None
        self._runner = runner
        self._scope = runner.scope(sent)
        self._body: list[bytes] | None = [body] if body or not more else []  # None: the end has been delivered
        self._more = more
        self._taken = 0  # bytes of body delivered since the server was last asked for more
        self._phase = _NOTHING
        self._status = 0
        self._headers: Any = ()
        self._message: list[Any] | None = None  # the whole answer, if it was one message
        self._turn = 0
        self._backlog: deque[bytes | memoryview] | None = None  # accepted from the application, not yet sent
        self._sent = 0
        self._credited = runner.window
        self._gone = False
        self._waiters: list[Any] | None = None

    async def run(self) -> None:
        """Call the application and see that the server hears of the end."""
        runner = self._runner
        marks, at = runner.begun, self.stream & MASK
        if marks[at] == TAKEN and at == self.stream:
            self._phase = _ENDED
            self._end("another worker has it")
            runner.link.forget(self.stream)
            return
        marks[at] = 1
        try:
            if runner.around is None:
                await runner.application(self._scope, self.receive, self.send)
            else:
                with runner.around():
                    await runner.application(self._scope, self.receive, self.send)
        except ClientDisconnected:
            self._end("the client has gone")
        except BaseException as error:
            # SystemExit stays here too: sys.exit() in one request must not end the others of this worker.
            if not (self._gone and _comes_of_going(error)):
                report(error, f"answering {self._scope['method']} {self._scope['path']}")
            self._end(type(error).__name__)
        else:
            message = self._message
            if message is not None and self._turn == runner.link.turn:
                message[0] = wire.ANSWER  # it has not left yet, so it can be the last of its stream
            else:
                while self._phase == _CLOSING and not self._gone:
                    await self._wait()  # a send() that was cancelled has left the end of the answer behind
                if self._phase != _ENDED and not self._gone:
                    self._complain()
                self._end("no answer")
        runner.link.forget(self.stream)

    def _complain(self) -> None:
        what = "without a response" if self._phase != _FLOWING else "before its response was complete"
        error = RuntimeError(f"ASGI: the application returned {what}; expected http.response.start and a last body")
        report(error, f"answering {self._scope['method']} {self._scope['path']}")

    def _end(self, why: str) -> None:
        emit = self._runner.link.emit
        if self._phase == _ENDED:
            emit((wire.DONE, self.stream))
        else:
            self._phase = _ENDED
            emit((wire.ERROR, self.stream, why))

    # receive

    async def receive(self) -> dict[str, Any]:
        """ASGI www 2.3.1: the body in pieces as it comes, then http.disconnect, once there is one."""
        if self._more == wire.BODY_ON_READ and self._phase != _ENDED:
            self._more = wire.BODY_FOLLOWS
            self._runner.link.emit((wire.READ, self.stream, wire.WINDOW))
        while self._phase != _ENDED:
            if self._body:
                return self._piece()
            if self._gone:
                break
            await self._wait()
        return {"type": "http.disconnect"}

    def _piece(self) -> dict[str, Any]:
        assert self._body is not None
        if not self._more:
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._body = None
            return {"type": "http.request", "body": body, "more_body": False}
        body = self._body.pop(0)
        self._taken += len(body)
        if self._taken >= wire.WINDOW // 4:
            self._runner.link.emit((wire.READ, self.stream, self._taken))
            self._taken = 0
        return {"type": "http.request", "body": body, "more_body": True}

    # send

    async def send(self, message: Any) -> None:
        """ASGI www 2.3.2. Raises for what breaks the rules, OSError when the client has gone."""
        kind = message["type"]
        if self._gone:
            raise ClientDisconnected("the client has gone")
        if kind == "http.response.body":
            body, more = message.get("body", b""), message.get("more_body", False)
            if self._phase == _STARTED and not more and type(body) is bytes and len(body) <= wire.MAX_PIECE:
                self._answer(body)
            else:
                await self._send_body(body, more)
        elif kind == "http.response.start":
            self._start(message)
        elif kind == "http.response.early_hint":
            self._hint(message)
        elif kind == "http.response.pathsend":
            self._pathsend(message)
        else:
            raise RuntimeError(f"ASGI: {kind!r} is not a message of an HTTP response")

    def _answer(self, body: bytes) -> None:
        """The whole answer in one message, which is what nearly all of them are."""
        link = self._runner.link
        self._phase = _ENDED
        self._message = [wire.ANSWER_OPEN, self.stream, self._status, self._headers, body]
        self._turn = link.turn
        link.emit(self._message)
        if self._waiters:
            self._wake()

    def _start(self, message: Any) -> None:
        if self._phase >= _CLOSING:
            return
        if self._phase != _NOTHING:
            raise RuntimeError("ASGI: http.response.start was sent twice; expected http.response.body")
        status = message["status"]
        if type(status) is not int and (not isinstance(status, int) or isinstance(status, bool)):
            raise TypeError(f"ASGI: expected status as an int, got {status!r}")
        if not 100 <= status <= 999:
            raise ValueError(f"ASGI: expected a status between 100 and 999, got {status}")
        headers = message.get("headers", ())
        known = self._runner.known
        if type(headers) is not list or not known.holds(headers):
            headers = check_asgi(headers, known)
        self._status, self._headers = int(status), headers
        self._phase = _STARTED

    async def _send_body(self, body: Any, more: bool) -> None:
        if self._phase >= _CLOSING:
            return
        if self._phase == _NOTHING:
            raise RuntimeError("ASGI: http.response.body was sent before http.response.start")
        if type(body) is not bytes:
            if not isinstance(body, (bytes, bytearray, memoryview)):
                raise TypeError(f"ASGI: expected body as bytes, got {type(body).__name__}")
            body = bytes(body)
        # The message is accepted whole before anything waits: messages of several tasks do not mix, and cancelling a
        # send() that waits loses nothing.
        at = 0
        if self._backlog is None:
            self._backlog = deque()
        if self._phase == _STARTED:
            at = wire.MAX_PIECE
            self._runner.link.emit((wire.START, self.stream, self._status, self._headers, body[:at]))
            self._sent += min(len(body), at)
        if len(body) - at <= wire.MAX_PIECE:
            if at < len(body):
                self._backlog.append(body[at:])
        else:
            view = memoryview(body)  # cutting a large body up must not copy it
            self._backlog.extend(view[n : n + wire.MAX_PIECE] for n in range(at, len(body), wire.MAX_PIECE))
        self._phase = _FLOWING if more else _CLOSING
        self._pump()
        if more:
            # ASGI wants the data with the client's kernel when send() returns: an application may compute for a while
            # before it waits the next time. The loop writes when it turns.
            await _turn()
        await self._room(more)

    def _pump(self) -> None:
        """Send what the credit covers."""
        emit = self._runner.link.emit
        while self._backlog and self._sent < self._credited:
            piece = self._backlog.popleft()
            self._sent += len(piece)
            emit((wire.DATA, self.stream, piece))
        if self._phase == _CLOSING and not self._backlog:
            self._phase = _ENDED
            emit((wire.END, self.stream))
            self._wake()

    async def _room(self, more: bool) -> None:
        """Wait while the client has too much to read."""
        while (self._backlog or (more and self._sent >= self._credited)) and not self._gone:
            await self._wait()
        if self._gone:
            raise ClientDisconnected("the client has gone")

    def _hint(self, message: Any) -> None:
        if self._phase == _NOTHING:
            links = check_asgi([(b"link", link) for link in message["links"]], self._runner.known)
            self._runner.link.emit((wire.HINT, self.stream, links))

    def _pathsend(self, message: Any) -> None:
        if self._phase >= _CLOSING:
            return
        if self._phase != _STARTED:
            raise RuntimeError("ASGI: http.response.pathsend must follow http.response.start, with no body in between")
        path = message["path"]
        if not isinstance(path, str):
            raise TypeError(f"ASGI: expected path as a str, got {path!r}")
        if not os.path.isabs(path):  # the server opens it, and need not be in the worker's folder
            raise ValueError(f"ASGI: expected path as an absolute path, got {path!r}; pass os.path.abspath(path)")
        self._phase = _ENDED
        self._runner.link.emit((wire.FILE, self.stream, self._status, self._headers, os.fsencode(path)))
        self._wake()

    # What the loop calls.

    def take(self, message: wire.Incoming) -> None:
        """A message for this stream."""
        kind = message[0]
        if kind == wire.CREDIT:
            self._credited += message[2]
            self._pump()
        elif kind == wire.BODY:
            if self._body is not None:
                self._body.append(message[2])
            if not message[3]:
                self._more = wire.BODY_WHOLE
        else:
            self._gone = True
            if kind == wire.CANCEL and self.task is not None:
                self.task.cancel()
        self._wake()

    # Several tasks may wait in receive() and send() at once, each on a future of its own, so that cancelling one of
    # them takes nothing from the others.

    def _wait(self) -> Awaitable[None]:
        future = self._runner.link.future()
        # Without those that were cancelled: an application may poll receive() with a timeout for hours.
        self._waiters = [waiter for waiter in self._waiters or () if not waiter.done()]
        self._waiters.append(future)
        return future  # type: ignore[no-any-return]

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, None
        for future in waiters or ():
            if not future.done():
                future.set_result(None)


@coroutine
def _turn() -> Generator[None, None, None]:
    """Let the loop turn once. What asyncio.sleep(0) does, without importing asyncio."""
    yield


def _comes_of_going(error: BaseException) -> bool:
    """Whether an error that left the application only says that the client has gone: our own, the cancellation, or what
    a framework made of them (Starlette raises a ClientDisconnect of its own, anyio an ExceptionGroup)."""
    if isinstance(error, OSError) or type(error).__name__ == "CancelledError":
        return True
    parts = getattr(error, "exceptions", None)
    if isinstance(parts, tuple) and parts:
        return all(_comes_of_going(part) for part in parts)
    cause = error.__cause__ or error.__context__
    # Not of built-in errors: a TypeError while an OSError is handled is the application's mistake.
    return cause is not None and type(error).__module__ != "builtins" and _comes_of_going(cause)
