"""How an ASGI application is called for an HTTP request (ASGI 3.0, HTTP 2.4). Does no I/O and imports no event loop.

Reading order: Runner.scope and Call.run (call.py) are one request, then receive, then send.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from . import begun, groups, wire
from .call import Call, Link, turn
from .errors import ClientDisconnected
from .headers import Known, Repeated, check_asgi


class Runner:
    """Makes scopes for one application."""

    def __init__(self, application: Any, settings: dict[str, Any]) -> None:
        self.application = application
        self.state: dict[str, Any] | None = None  # the lifespan's, None where it is not supported
        self.known = Known()
        self._repeated = Repeated()
        self.window: int = settings["asgi_window"]
        self.websocket_window: int = settings.get("websocket_window", 64 * 1024)
        self.websocket_groups: int = settings.get("websocket_groups", groups.GROUPS)
        self.begun = begun.nowhere()
        self.link: Link
        self.around: Callable[[float], Any] | None = None  # a context manager around every call
        version = settings["asgi_spec_version"]
        # With every key that a scope has, the ones that the server sends included: merging a request's entries in then
        # only overwrites, where inserting would make the dictionary grow, which takes as long as all the rest.
        always = {
            "type": "http",
            "http_version": "1.1",
            "scheme": settings["scheme"],
            "root_path": settings["root_path"],
            "query_string": b"",
            "server": tuple(settings["server"]),
            **dict.fromkeys(("asgi", "extensions", "path", "raw_path", "client", "headers")),
        }
        self._http = _Kind({**always, "method": None}, version, _EXTENSIONS)
        # 2.5, that a disconnect has a reason, is for WebSockets only; what is to be told an older version is told it.
        self._websocket = _Kind(
            {**always, "type": "websocket", "scheme": _SCHEMES[settings["scheme"]], "subprotocols": None},
            "2.5" if version == "2.4" else version,
            _WEBSOCKET_EXTENSIONS,
        )

    def support(self, state: dict[str, Any] | None) -> None:
        """Give every scope a copy of the lifespan's state."""
        self.state = state
        if state is not None:
            self._http.base["state"] = self._websocket.base["state"] = None

    def scope(self, sent: dict[str, Any]) -> dict[str, Any]:
        """A fresh scope with what the server sent."""
        if "type" in sent:  # only a WebSocket's says so
            kind = self._websocket
            if "subprotocols" not in sent:
                sent["subprotocols"] = []
            self._repeated.share(sent["headers"])
        else:
            kind = self._http
        scope = kind.base | sent
        scope["asgi"] = kind.asgi.copy()
        scope["extensions"] = kind.extensions | sent["extensions"] if "extensions" in sent else kind.extensions.copy()
        if self.state is not None:
            scope["state"] = self.state.copy()
        return scope


class _Kind:
    """What the scopes of one kind begin with."""

    __slots__ = ("asgi", "base", "extensions")

    def __init__(self, base: dict[str, Any], version: str, extensions: dict[str, dict[str, Any]]) -> None:
        self.base = base
        self.asgi = {"version": "3.0", "spec_version": version}
        self.extensions = extensions


_SCHEMES: Final = {"http": "ws", "https": "wss"}
_EXTENSIONS: Final[dict[str, dict[str, Any]]] = {"http.response.pathsend": {}, "http.response.early_hint": {}}
_WEBSOCKET_EXTENSIONS: Final[dict[str, dict[str, Any]]] = {"websocket.http.response": {}, "backline.groups": {}}

# How far an answer has come.
_NOTHING: Final = 0
_STARTED: Final = 1  # the application has given status and headers, which wait for the first piece of body
_FLOWING: Final = 2  # they have left
_CLOSING: Final = 3  # the last piece has been accepted, and waits with others for the client
_ENDED: Final = 4


class Exchange(Call):
    """One request and its answer."""

    __slots__ = ("_backlog", "_body", "_credited", "_headers", "_message", "_more", "_phase", "_sent", "_status",
                 "_taken", "_turn")  # fmt: skip

    def __init__(self, runner: Runner, message: wire.Incoming) -> None:
        _, stream, sent, body, more = message
        Call.__init__(self, runner, stream, sent)
        self._body: list[bytes] | None = [body] if body or not more else []  # None: the end has been delivered
        self._more = more
        self._taken = 0  # bytes of body delivered since the server was last asked for more
        self._phase = _NOTHING
        self._status: int  # given together with the headers
        self._headers: Any
        self._message: list[Any] | None = None  # the whole answer, if it was one message
        self._turn: int  # when that was emitted
        self._backlog: deque[bytes | memoryview] | None = None  # accepted from the application, not yet sent
        self._sent = 0
        self._credited = runner.window

    # What Call.run() asks.

    def doing(self) -> str:
        return f"answering {self._scope['method']} {self._scope['path']}"

    def ends_at_once(self) -> bool:
        if self._message is None or self._turn != self._runner.link.turn:
            return False
        self._message[0] = wire.ANSWER
        return True

    async def finish(self) -> None:
        while self._phase == _CLOSING and not self._gone:
            await self._wait()  # a send() that was cancelled has left the end of the answer behind
        if self._phase != _ENDED and not self._gone:
            what = "without a response" if self._phase != _FLOWING else "before its response was complete"
            raise RuntimeError(f"ASGI: the application returned {what}; expected http.response.start and a last body")

    def end(self, why: str) -> None:
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
            await self._pathsend(message)
        else:
            raise RuntimeError(f"ASGI: {kind!r} is not a message of an HTTP response")

    def _answer(self, body: bytes) -> None:
        """The whole answer in one message, which is what nearly all of them are."""
        link = self._runner.link
        self._phase = _ENDED
        self._message = [wire.ANSWER_OPEN, self.stream, self._status, self._headers, body]
        self._turn = link.turn
        link.emit(self._message)
        if self._waiting is not None:
            self._wake()

    def _start(self, message: Any) -> None:
        if self._phase >= _CLOSING:
            return
        if self._phase != _NOTHING:
            raise RuntimeError("ASGI: http.response.start was sent twice; expected http.response.body")
        status = message["status"]
        if type(status) is not int and (not isinstance(status, int) or isinstance(status, bool)):
            raise TypeError(f"ASGI: expected status as an int, got {status!r}")
        if not 200 <= status <= 999:  # after 1xx a client waits on, and takes the next answer for this one
            raise ValueError(f"ASGI: expected a status between 200 and 999, got {status}")
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
            await turn()
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

    async def _pathsend(self, message: Any) -> None:
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
        self._runner.link.emit((wire.FILE, self.stream, self._status, self._headers, os.fsencode(path), 0, -1))
        self._wake()
        credited = self._credited
        while self._credited == credited and not self._gone:
            await self._wait()  # until the server has opened it: the application may go on to remove it

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
            self._leave(kind == wire.CANCEL)
            return
        self._wake()
