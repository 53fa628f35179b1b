"""WebSockets for plain functions: the server holds the socket, and calls a function for each thing that happens to it.

    from backline.sockets import Sockets

    chat = Sockets()

    @chat.connect("/chat/<room>")
    def joined(socket, room):
        socket.accept()
        socket.join(f"chat-{room}")
        socket.state["room"] = room

    @chat.receive
    def said(socket, text):
        socket.group(f"chat-{socket.state['room']}").send(text)

Any worker may be called with any event; the events of one socket come one after the other. docs/sockets.md says more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar, overload

from . import groups, wire
from ._routes import Pattern
from .headers import Known, check_asgi, is_token
from .interface import is_coroutine_callable
from .occasion import Handshake, plain

F = TypeVar("F", bound=Callable[..., Any])

MAX_MESSAGE: Final = 16 * 1024 * 1024  # bytes of one message that an application sends
_ACTIONS: Final = 1000  # what one message to the server may hold (wire.MaxActions); then they leave early
_BYTES: Final = 1024 * 1024  # of what waits for the handler's end; then it leaves early

# What is done (wire.Do).
_ACCEPT, _SEND, _JOIN, _LEAVE, _PUBLISH, _CLOSE, _ENTER = range(7)

_known: Final = Known()


class Sockets:
    """An application of WebSockets, as `backline serve` takes it: ``--websocket mysite.live:chat``.

    Browsers send a site's cookies with a handshake that any other site's page has made, so one whose ``Origin`` is
    another host than it asks for is refused. ``origins`` are hosts that are let in besides, ``"*"`` is every one.
    """

    def __init__(self, *, origins: Iterable[str] = ()) -> None:
        self.origins = frozenset(origin.rpartition("//")[2].lower() for origin in origins)
        self._handlers: dict[str, list[tuple[Pattern | None, Callable[..., Any]]]] = {
            "connect": [],
            "receive": [],
            "disconnect": [],
            "gap": [],
        }

    @overload
    def connect(self, route: str, /) -> Callable[[F], F]: ...
    @overload
    def connect(self, handler: F, /) -> F: ...
    def connect(self, route: Any, /) -> Any:
        """Call a function with (socket) when a client asks for one. It accepts, or else the client is refused. With a
        route, "/chat/<room>", it is called for paths like that, with (socket, room)."""
        return self._register("connect", route)

    @overload
    def receive(self, route: str, /) -> Callable[[F], F]: ...
    @overload
    def receive(self, handler: F, /) -> F: ...
    def receive(self, route: Any, /) -> Any:
        """Call a function with (socket, data) for each message: str for text, bytes for binary."""
        return self._register("receive", route)

    @overload
    def disconnect(self, route: str, /) -> Callable[[F], F]: ...
    @overload
    def disconnect(self, handler: F, /) -> F: ...
    def disconnect(self, route: Any, /) -> Any:
        """Call a function with (socket, code) when a socket that was accepted has ended, however that came."""
        return self._register("disconnect", route)

    @overload
    def gap(self, route: str, /) -> Callable[[F], F]: ...
    @overload
    def gap(self, handler: F, /) -> F: ...
    def gap(self, route: Any, /) -> Any:
        """Call a function with (socket, group) when a socket has joined with a ``since`` from which on the server does
        not know everything any more: it has got nothing of what it missed, and has to load it anew."""
        return self._register("gap", route)

    def _register(self, event: str, route: Any) -> Any:
        if isinstance(route, str):
            pattern = Pattern(route)

            def remember(handler: F) -> F:
                self._handlers[event].append((pattern, handler))
                return handler

            return remember
        if not callable(route):
            raise TypeError(f"{event} expects a route such as '/chat/<room>', or a function, got {route!r:.80}")
        self._handlers[event].append((None, route))
        return route

    def find(self, event: str, path: str) -> tuple[Callable[..., Any] | None, dict[str, Any]]:
        """The function for an event of a socket with this path, and what it is called with besides: of those with a
        route the first that fits, else the first without one."""
        default = None
        for pattern, handler in self._handlers[event]:
            if pattern is None:
                default = default or handler
                continue
            parameters = pattern.match(path)
            if parameters is not None:
                return handler, parameters
        return default, {}

    def has_coroutines(self) -> bool:
        return any(is_coroutine_callable(handler) for each in self._handlers.values() for _, handler in each)

    def has_plain(self) -> bool:
        return any(not is_coroutine_callable(handler) for each in self._handlers.values() for _, handler in each)

    def lets_in(self, origin: str, host: str) -> bool:
        """Whether a page of this origin may have a socket."""
        theirs = origin.rpartition("//")[2].lower()
        return theirs == host.lower() or "*" in self.origins or theirs in self.origins


class Group:
    """Whoever has joined by this name."""

    __slots__ = ("_name", "_socket")

    def __init__(self, socket: Socket, name: str) -> None:
        self._socket = socket
        self._name = name

    def send(self, data: str | bytes, *, others: bool = False) -> None:
        """Send to every member; with ``others`` to all but this socket."""
        self._socket._do((_PUBLISH, self._name, _message(data), others), len(data))


class Socket(Handshake):
    """One client, while one event of it is dealt with. What is done happens when the handler returns, in order, or with
    flush(). Afterwards the object is of no use: the next event has one of its own, with the same ``state``."""

    # What the worker sets: see events.py.

    def _begin(self, connecting: bool) -> None:
        self._actions: list[tuple[Any, ...]] = []
        self._size = 0
        self._accepted = not connecting
        self._closed = False
        self._over = False

    @property
    def id(self) -> str:
        """A name for this socket: whoever knows it may send to it, as to a group. Asking for it makes it one."""
        self._do((_JOIN, self._id), 0, once=True)
        return self._id

    def accept(self, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Let the client in: only when it asks, and once."""
        if self._accepted or self._closed:
            raise RuntimeError("accept() was called for a socket that is accepted, or refused, already")
        if subprotocol is not None and not is_token(subprotocol):
            raise ValueError(f"expected subprotocol as a str such as 'chat.v1', got {subprotocol!r}")
        fields = check_asgi([(_latin1(name), _latin1(value)) for name, value in headers], _known)
        self._do((_ACCEPT, subprotocol, fields), 0, early=True)
        self._accepted = True

    def refuse(self, status: int = 403) -> None:
        """Turn the client away, with an HTTP status from 400 on. A handler that does nothing does this."""
        if self._accepted:
            raise RuntimeError("refuse() was called after accept(); close() ends a socket")
        if not 400 <= status <= 599:
            raise ValueError(f"expected status as a number from 400 to 599, got {status!r}")
        self._do((_CLOSE, status, ""), 0, early=True)
        self._closed = True

    def send(self, data: str | bytes) -> None:
        """Send a message to this client: str is text, bytes binary."""
        self._do((_SEND, _message(data)), len(data))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End the socket. What was sent before still arrives; what the client has sent is dropped."""
        if not (3000 <= code <= 4999 or (1000 <= code <= 1014 and not 1004 <= code <= 1006)):
            raise ValueError(f"expected code as one that may be sent (RFC 6455 7.4), such as 1000, got {code!r}")
        if len(reason.encode()) > 123:
            raise ValueError("expected a reason of at most 123 bytes (RFC 6455 5.5)")
        if not self._accepted:
            self.refuse()
        elif not self._closed:
            self._do((_CLOSE, code, reason), 0)
            self._closed = True

    def join(self, group: str, *, user: str | None = None, info: Any = None, since: str | None = None) -> None:
        """Get what is sent to the group. A socket leaves all its groups when it ends.

        ``user``: until then, or until leave(), ``channels.presence(group)`` has this user there, by the socket's id,
        with ``info``: anything that JSON has, of at most 4096 bytes. ``since``: the last ``"__position__"`` that the
        client saw; it gets what came after that first, or a ``gap`` handler is called. With "" it gets all that the
        group remembers. With either, each message that is a JSON object has its position in it."""
        if user is None and info is None and since is None:
            self._do((_JOIN, _name(group)), 0)
            return
        text = groups.about(user, info)
        self._do((_ENTER, _name(group), user, text, groups.position(since)), len(text))

    def leave(self, group: str) -> None:
        self._do((_LEAVE, _name(group)), 0)

    def group(self, name: str) -> Group:
        return Group(self, _name(name))

    def flush(self) -> None:
        """Do now what was asked for so far, and go on. If the handler fails afterwards, that has happened."""
        self._check()
        if self._actions:
            actions, self._actions, self._size = self._actions, [], 0
            self._flush(actions)

    def _do(self, action: tuple[Any, ...], size: int, *, early: bool = False, once: bool = False) -> None:
        self._check()
        if not self._accepted and not early:
            raise RuntimeError("the socket is not accepted yet: call socket.accept() first")
        if once and action in self._actions:
            return
        self._actions.append(action)
        self._size += size
        if len(self._actions) >= _ACTIONS or self._size >= _BYTES:
            self.flush()

    def _check(self) -> None:
        if self._over:
            raise RuntimeError(
                "the handler has returned, and its socket with it; elsewhere use backline.channels.group_broadcast()"
            )

    def _kept(self) -> bytes | None:
        """What has to go with the socket, whatever becomes of the handler that accepts it: its path."""
        return self._first_state() if self._scope is not None else None

    def _end(self) -> tuple[list[tuple[Any, ...]], bytes | None]:
        """What is left to do, and the state where it has changed."""
        state = self._changed_state()
        self._over = True
        return self._actions, state


def _message(data: Any) -> str | bytes:
    if isinstance(data, str):
        data = str.__str__(data)
        if not data.isascii():
            data.encode()  # raises for what has no UTF-8
    elif isinstance(data, (bytes, bytearray, memoryview)):
        data = bytes(data)
    else:
        raise TypeError(f"expected a message as str or bytes, got {type(data).__name__}; json.dumps() makes a str")
    if len(data) > MAX_MESSAGE:
        raise ValueError(f"a message of {len(data):,} is too long; at most {MAX_MESSAGE:,} can be sent at once")
    return data  # type: ignore[no-any-return]


def _name(group: Any) -> str:
    if not isinstance(group, str) or not 0 < len(group) < 100 or not group.isascii() or not group.isprintable():
        raise TypeError(f"expected a group's name as a str of 1 to 99 printable ASCII characters, got {group!r:.120}")
    return str.__str__(group)


def _latin1(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


__all__ = ["Group", "Socket", "Sockets", "plain", "wire"]
