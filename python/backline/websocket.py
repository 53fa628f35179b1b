"""How an ASGI application is called for a WebSocket (ASGI 3.0, WebSocket 2.5). Does no I/O and imports no event loop.

The server speaks RFC 6455: here are whole messages, their order, and how many may be under way. An idle socket costs
what its application's task and scope cost; what a socket needs only at times is made at those times.

Reading order: receive, then send, then take.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NoReturn

from . import groups, slots, wire
from .asgi import Exchange, Runner
from .call import Call, turn
from .errors import ClientDisconnected
from .headers import check_asgi, is_token

# How far a socket has come.
_CONNECTING: Final = 0  # the handshake is held open
_OPEN: Final = 1
_DENIED: Final = 2  # the application answers the handshake as it would a request
_CLOSED: Final = 3  # by the application
_ENDED: Final = 4  # the application has returned

_Told = tuple[str, ...]  # what receive() gives that is no message of the client's: a type, and perhaps a group

_CONNECT: Final[_Told] = ("websocket.connect",)
_GAP: Final = "backline.group.gap"

# RFC 6455 7.1.5 and 7.1.7: what is told where no close frame came.
_LOST: Final = (1006, "")

_TEXT_PIECE: Final = wire.MAX_PIECE // 4  # code points: whatever they are, their UTF-8 is no longer than MAX_PIECE


class WebSocket(Call):
    """One WebSocket, from the handshake to the end of the application's call."""

    IDLE = slots.SOCKET_IDLE
    __slots__ = (
        "_backlog",
        "_closed",
        "_credit",
        "_denial",
        "_entries",
        "_groups",
        "_next",
        "_parts",
        "_phase",
        "_rest",
        "_taken",
    )

    def __init__(self, runner: Runner, message: wire.Incoming) -> None:
        Call.__init__(self, runner, message[1], message[2])
        self._phase = _CONNECTING
        self._closed: tuple[int, str] | None = None  # code and reason, once it is closed from either side
        self._denial: Exchange | None = None
        # What receive() gives next, and what comes after it: most sockets never have two messages that wait.
        self._next: str | bytes | _Told | None = _CONNECT
        self._rest: deque[str | bytes | _Told] | None = None
        self._parts: list[str | bytes] | None = None  # a long message that is still coming
        self._taken = 0  # units received since the server was last told
        self._credit = runner.websocket_window  # units that may be sent
        # Accepted from the application and not yet sent, never empty. There is something only while there is no credit.
        self._backlog: deque[wire.Outgoing] | None = None
        self._groups: tuple[str, ...] = ()  # that the server delivers to
        self._entries: groups.Entries | None = None

    # receive

    async def receive(self) -> dict[str, Any]:
        """ASGI www, WebSocket: the events connect, then receive, then disconnect as often as it is asked for.

        Of bytes and text only the one that is there is in the event, as with uvicorn and daphne: applications look with
        ``in`` as well as with ``get``.
        """
        while True:
            data = self._next
            if data is not None:
                self._next = None if self._rest is None else self._shift(self._rest)
                if type(data) is tuple:
                    return dict(zip(("type", "group"), data, strict=False))
                self._count(len(data) + wire.MESSAGE_COST)
                if type(data) is str:
                    return {"type": "websocket.receive", "text": data}
                return {"type": "websocket.receive", "bytes": data}
            if self._closed is not None:
                code, reason = self._closed
                return {"type": "websocket.disconnect", "code": code, "reason": reason}
            await self._wait()

    def _shift(self, rest: deque[str | bytes | _Told]) -> str | bytes | _Told:
        data = rest.popleft()
        if not rest:
            self._rest = None
        return data

    def _count(self, units: int) -> None:
        """Tell the server that there is room again: not for each message, which would be a packet each."""
        self._taken += units
        if self._taken >= wire.WINDOW // 4:
            self._runner.link.emit((wire.READ, self.stream, self._taken))
            self._taken = 0

    # send

    async def send(self, message: Any) -> None:
        """ASGI www, WebSocket: accept, send, close. Raises for what breaks the rules, OSError once it is closed."""
        kind = message["type"]
        if kind == "websocket.send":
            if self._phase != _OPEN or self._gone:
                self._refuse(kind)
            data = _content(message)
            if self._credit > 0 and len(data) <= _TEXT_PIECE:
                self._credit -= len(data) + wire.MESSAGE_COST
                self._runner.link.emit((wire.SEND, self.stream, data))
            else:
                self._send_long(data)
        elif kind == "websocket.close":
            self._close(message)
        elif kind == "websocket.accept":
            self._accept(message)
        elif kind in ("websocket.http.response.start", "websocket.http.response.body"):
            await self._deny(kind, message)
            return
        elif kind == "backline.group.add":
            self.join(message["group"], message.get("user"), message.get("info"), message.get("since"))
        elif kind == "backline.group.discard":
            self.part(message["group"])
            return
        else:
            raise RuntimeError(f"ASGI: {kind!r} is not a message of a WebSocket")
        # An application may compute for a while before it waits the next time, a language model between two words for
        # example, and what it has sent must not wait for that. The loop writes when it turns.
        await turn()
        while self._credit <= 0 and self._phase == _OPEN:
            if self._gone:
                raise ClientDisconnected("the WebSocket is closed")
            await self._wait()

    def _refuse(self, kind: str) -> NoReturn:
        if self._gone or self._closed is not None:
            raise ClientDisconnected("the WebSocket is closed")
        if self._phase == _CONNECTING:
            raise RuntimeError(f"ASGI: {kind} was sent before websocket.accept")
        if self._phase == _DENIED:
            raise RuntimeError(f"ASGI: {kind} was sent after websocket.http.response.start; expected its body")
        raise RuntimeError(f"ASGI: {kind} was sent after websocket.accept")

    def _accept(self, message: Any) -> None:
        if self._phase != _CONNECTING or self._gone:
            self._refuse("websocket.accept")
        subprotocol = message.get("subprotocol") or None
        if subprotocol is not None and not is_token(subprotocol):
            raise ValueError(f"ASGI: expected subprotocol as a str such as 'chat.v1', got {subprotocol!r}")
        headers = check_asgi(message.get("headers") or (), self._runner.known)
        if any(name.lower() == b"sec-websocket-protocol" for name, _ in headers):
            raise ValueError("ASGI: websocket.accept must not have the header sec-websocket-protocol; use subprotocol")
        self._phase = _OPEN
        self._runner.link.emit((wire.ACCEPT, self.stream, subprotocol, headers))
        for entry in self._entries.release() if self._entries is not None else ():
            self._runner.link.emit(entry)

    def join(
        self, name: Any, user: Any = None, info: Any = None, since: Any = None, *, socket: str = "", told: str = ""
    ) -> None:
        """The extension backline.groups: the server writes to the client what is broadcast to this group, from now on,
        or from websocket.accept on. ``user`` is then present there, by a ``socket`` of this name. With ``since`` the
        client gets what came after that position first, or receive() gives a gap in the group, called ``told``."""
        name, info, since = groups.check_group(name), groups.about(user, info), groups.position(since)
        if self._phase not in (_CONNECTING, _OPEN) or self._gone:
            self._refuse("backline.group.add")
        self._groups = groups.joined(self._groups, name, self._runner.websocket_groups)
        if since is None and (user is None or self._phase == _CONNECTING):
            self._runner.link.emit((wire.SOCKET_JOIN, self.stream, name))
        if since is None and user is None:
            return
        if self._entries is None:
            self._entries = groups.Entries()
        entry = self._entries.enter(self.stream, name, told or name, (user, socket, info), since)
        if self._phase == _OPEN:
            self._runner.link.emit(entry)
        else:
            self._entries.hold(entry)  # nobody is there yet to whom anything could be written

    def part(self, name: Any) -> None:
        """No longer. No error where it is not in the group, or closed: it is as the application wants it."""
        name = groups.check_group(name)
        if name in self._groups and not self._gone and self._phase in (_CONNECTING, _OPEN):
            self._groups = groups.left(self._groups, name)
            if self._entries is not None:
                self._entries.leave(name)
            self._runner.link.emit((wire.SOCKET_LEAVE, self.stream, name))

    def _send_long(self, data: str | bytes) -> None:
        """Send what may have to wait. It is accepted whole before anything does: the messages of several tasks do not
        mix, and cancelling a send() loses nothing."""
        if self._backlog is None:
            self._backlog = deque()
        most = wire.MAX_PIECE if isinstance(data, bytes) or data.isascii() else _TEXT_PIECE
        last = max(len(data) - 1, 0) // most * most
        view: Any = data if isinstance(data, str) else memoryview(data)  # cutting a large message up must not copy it
        for at in range(0, last, most):
            self._backlog.append((wire.SEND_PART, self.stream, view[at : at + most]))
        self._backlog.append((wire.SEND, self.stream, view[last:]))
        self._pump(self._backlog)

    def _pump(self, backlog: deque[wire.Outgoing]) -> None:
        """Send what the credit covers, and the close behind it."""
        emit = self._runner.link.emit
        while backlog and self._credit > 0:
            message = backlog.popleft()
            self._credit -= len(message[2]) + wire.MESSAGE_COST
            emit(message)
        if not backlog:
            self._backlog = None
            if self._phase == _CLOSED and self._closed is not None:
                emit((wire.CLOSE, self.stream, *self._closed))

    def _close(self, message: Any) -> None:
        if self._gone or self._closed is not None:
            return  # no error: it is as the application wants it
        if self._phase == _DENIED:
            self._refuse("websocket.close")
        if self._phase == _CONNECTING:
            # The client gets a 403, which has neither. They are not even looked at: FastAPI's reason is a list here.
            self._shut(1000, "")
            return
        code, reason = message.get("code"), message.get("reason") or ""
        if code is None:
            code = 1000
        if not isinstance(code, int) or not _may_be_sent(code):
            raise ValueError(f"ASGI: expected code as one that may be sent (RFC 6455 7.4), such as 1000, got {code!r}")
        if not isinstance(reason, str):
            raise TypeError(f"ASGI: expected reason as a str, got {reason!r}")
        reason.encode()  # raises for what has no UTF-8
        self._shut(int(code), reason)

    def _shut(self, code: int, reason: str) -> None:
        # A client sees of a handshake that was refused as much as of a connection that was lost.
        self._closed = _LOST if self._phase == _CONNECTING else (code, reason)
        self._phase = _CLOSED
        if self._backlog is None:
            self._runner.link.emit((wire.CLOSE, self.stream, code, reason))
        self._wake()

    async def _deny(self, kind: str, message: Any) -> None:
        """The extension websocket.http.response: an answer like that to a request."""
        denial = self._denial
        if kind == "websocket.http.response.start":
            if self._phase != _CONNECTING or self._gone:
                self._refuse(kind)
            denial = Exchange(self._runner, (wire.REQUEST, self.stream, {}, b"", wire.BODY_WHOLE))
        elif denial is None:
            if self._phase == _CONNECTING:
                raise RuntimeError(f"ASGI: {kind} was sent before websocket.http.response.start")
            self._refuse(kind)
        await denial.send({**message, "type": kind.removeprefix("websocket.")})
        self._denial, self._phase = denial, _DENIED
        if kind == "websocket.http.response.body" and not message.get("more_body", False):
            self._closed = _LOST
            self._wake()

    # What Call.run() asks.

    def doing(self) -> str:
        return f"serving the WebSocket {self._scope['path']}"

    def is_over(self) -> bool:
        return self._gone or self._closed is not None

    def ends_at_once(self) -> bool:
        return self._denial is not None and self._denial.ends_at_once()

    async def finish(self) -> None:
        if self._denial is not None:
            await self._denial.finish()
            return
        while self._backlog is not None and not self._gone:
            await self._wait()  # a send() that was cancelled has left the end of its message behind
        if self._phase == _CONNECTING and not self._gone:
            raise RuntimeError("ASGI: the application returned without websocket.accept or websocket.close")
        if self._phase == _OPEN and not self._gone:
            self._shut(1000, "")

    def end(self, why: str) -> None:
        emit = self._runner.link.emit
        if self._denial is not None:
            self._denial.end(why)
        elif self._gone or (self._phase == _CLOSED and self._backlog is None):
            emit((wire.DONE, self.stream))
        else:
            emit((wire.ERROR, self.stream, why))
        # Tasks that outlive the call must not speak for the next one of this stream.
        self._phase, self._gone = _ENDED, True
        self._next = self._rest = self._backlog = None
        self._closed = self._closed or _LOST
        self._wake()

    # What the loop calls.

    def take(self, message: wire.Incoming) -> None:
        kind = message[0]
        if kind == wire.RECEIVE:
            self._arrive(message[2])
            return
        if self._denial is not None:
            self._denial.take(message)
        if kind == wire.CREDIT:
            waited = self._credit <= 0
            self._credit += message[2]
            if self._backlog is not None:
                self._pump(self._backlog)
            if waited:
                self._wake()
        elif kind == wire.PART:
            if self._parts is None:
                self._parts = []
            self._parts.append(message[2])
            self._count(len(message[2]))  # at once: a message may be larger than the window
        elif kind == wire.GAP:
            self._miss(message[2])
        else:
            if self._closed is None:
                self._closed = (message[2], message[3] or "") if kind == wire.CLOSED else _LOST
            self._backlog = self._parts = None
            self._leave(kind == wire.CANCEL)

    def _arrive(self, data: Any) -> None:
        if self._parts is not None:
            self._taken -= sum(map(len, self._parts))  # receive() counts the whole message, and these are counted
            data = data[:0].join((*self._parts, data))
            self._parts = None
        self._put(data)

    def _miss(self, name: str) -> None:
        """Something of a group is missing: that is told once, while it waits."""
        told = self._entries and self._entries.gap(name)
        if told and (_GAP, told) not in (self._next, *(self._rest or ())):
            self._put((_GAP, told))

    def _put(self, data: str | bytes | _Told) -> None:
        if self._phase != _OPEN:
            return  # the application has closed it meanwhile
        if self._next is None:
            self._next = data
            self._wake()
        elif self._rest is None:
            self._rest = deque((data,))
        else:
            self._rest.append(data)


def _content(message: Any) -> str | bytes:
    """The one of ``text`` and ``bytes`` that is not None."""
    text, data = message.get("text"), message.get("bytes")
    if data is None:
        if type(text) is not str:
            if text is None:
                raise ValueError("ASGI: websocket.send has neither text nor bytes; expected one of them")
            if not isinstance(text, str):
                raise TypeError(f"ASGI: expected text as a str, got {type(text).__name__}")
            text = str.__str__(text)
        if not text.isascii():
            text.encode()  # raises for what has no UTF-8, which would end the worker's connection
        return text
    if text is not None:
        raise ValueError("ASGI: websocket.send has both text and bytes; expected one of them")
    if type(data) is not bytes:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"ASGI: expected bytes as bytes, got {type(data).__name__}")
        data = bytes(data)
    return data


def _may_be_sent(code: int) -> bool:
    """RFC 6455 7.4: 1004 to 1006 and 1015 stand for closes without a frame, others are not defined."""
    return 3000 <= code <= 4999 or (1000 <= code <= 1014 and not 1004 <= code <= 1006)
