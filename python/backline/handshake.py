"""A WSGI request that its client wants to become a WebSocket. It is a request like any other until the application
accepts: by ``wsgi.websocket`` (geventsocket.py) or by ``gunicorn.socket`` (rawsocket.py), which both end up here.

The server speaks RFC 6455 with the client; here are whole messages. Does no I/O: a loop moves them, and makes the locks
and events by which several threads or greenlets of one application share a socket.

Reading order: accept, then receive_message, send_message, take.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from . import groups, host, wire
from .control import NONE
from .errors import ClientDisconnected
from .headers import check_wsgi, is_token
from .wsgi import EXCUSES, Request, Runner

LOST: Final = (1006, "")  # RFC 6455 7.1.5: what is told where no close frame came
_TEXT_PIECE: Final = wire.MAX_PIECE // 4  # code points: whatever they are, their UTF-8 is no longer than MAX_PIECE


class TooManySockets(OSError):
    """The worker has as many WebSockets as it may have."""


class Waiter:
    """Somebody who waits for something to happen to a socket."""

    __slots__ = ("signal",)

    def __init__(self, signal: Any) -> None:
        self.signal = signal


class Handshake(Request):
    """One such request, and the WebSocket that it becomes."""

    def __init__(self, runner: Runner, stream: int, environ: dict[str, Any]) -> None:
        from .geventsocket import WebSocket
        from .rawsocket import RawSocket

        Request.__init__(self, runner, stream)
        self.credited = runner.websocket_window  # units that may be sent
        self.accepted = False
        self.given = False  # the connection itself is here, and the server knows nothing of what passes over it
        self.closed: tuple[int, str] | None = None  # code and reason, once it is closed from either side
        self.refused: TooManySockets | None = None
        self._messages: deque[str | bytes] = deque()
        self._groups: tuple[str, ...] = ()  # that the server delivers to
        self._parts: list[str | bytes] = []  # of a long message that is still coming
        self._kept = False
        self._failed = False  # the application has raised, while the socket was open
        self._taken = 0  # units received since the server was last told
        self._waiters: list[Waiter] = []
        self._lock = runner.link.lock()  # held while a message is queued: none may follow the stream's last one
        self._sending = runner.link.lock()  # held for a whole message: pieces of two do not mix
        # Compression, the one extension there is, is between the client and the server: who speaks RFC 6455 with the
        # raw socket must not agree on it a second time.
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        environ["wsgi.websocket"] = WebSocket(self, environ)
        environ["gunicorn.socket"] = self._raw = RawSocket(self)

    def accept(self, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Make the request a WebSocket. Raises OSError where that cannot be any more, or not yet another one."""
        link = self.runner.link
        if subprotocol is not None and not is_token(subprotocol):
            raise ValueError(f"expected subprotocol as a str such as 'chat.v1', got {subprotocol!r}")
        fields = check_wsgi(headers, self.runner.known)
        with self._lock:
            self._keep()
            # What the application returns from now on goes nowhere, as if it were answered to its end.
            self.accepted = self.answered = self.ended = True
            link.emit((wire.ACCEPT, self.stream, subprotocol, fields))
        link.flush()

    def take_over(self) -> int:
        """Make the request a WebSocket by taking the client's connection from the server: its descriptor. NONE where
        the server keeps it; then the request still has to be accepted. Raises as accept does."""
        if host.control is None:
            return NONE
        link = self.runner.link
        given: list[int] = []

        def take(descriptor: int) -> None:
            given.append(descriptor)
            link.call(self.wake)

        with self._lock:
            self._keep()
            token = host.control.claim(take)
            link.emit((wire.TAKE, self.stream, token))
        link.flush()
        self.until(lambda: given or self.gone or self.closed)
        if not given and host.control.unclaim(token):
            raise ClientDisconnected("the client went away before its WebSocket's handshake was answered")
        self.until(lambda: given)  # for as long as the other thread takes to call
        if given[0] != NONE:
            self.given = self.accepted = self.answered = self.ended = True
        return given[0]

    def _keep(self) -> None:
        """Keep the thread or greenlet that this runs on, and get messages from now on."""
        if self.accepted or self.answered or not self.open:
            raise ClientDisconnected("the WebSocket's handshake has been answered already")
        if self._kept:
            return
        try:
            self.runner.link.keep(self)
        except TooManySockets as error:
            self.refused = error
            raise
        self._kept = True
        self.runner.link.open(self)

    # What its client sends.

    def receive_message(self) -> str | bytes | None:
        """The next message; waits for it. None once the socket is closed and all that came before has been received."""
        self.until(lambda: self._messages or self.closed)
        try:
            data = self._messages.popleft()
        except IndexError:
            return None
        self._count(len(data) + wire.MESSAGE_COST)
        return data

    def waiting(self) -> bool:
        """Whether messages are here that have not been received."""
        return bool(self._messages)

    def _count(self, units: int) -> None:
        """Tell the server that there is room again: not for each message, which would be a packet each."""
        link = self.runner.link
        with self._lock:
            self._taken += units
            if self._taken < wire.WINDOW // 4 or not self.open:
                return
            link.emit((wire.READ, self.stream, self._taken))
            self._taken = 0
        link.flush()

    # What the application sends.

    def send_message(self, data: str | bytes) -> None:
        """Send a message whole, waiting while the client is too far behind. Raises OSError once it is closed."""
        if isinstance(data, str) and not data.isascii():
            data.encode()  # raises for what has no UTF-8, which would end the worker's connection
        with self._sending:
            for kind, piece in _pieces(data):
                self.until(lambda: self.sent < self.credited or self.closed)
                with self._lock:
                    if self.closed is not None or not self.open:
                        raise ClientDisconnected("the WebSocket is closed")
                    self.sent += len(piece) + wire.MESSAGE_COST
                    self.runner.link.emit((kind, self.stream, piece))
                self.runner.link.flush()

    def close_socket(self, code: int = 1000, reason: str = "") -> None:
        """Close it. What was closed before stays as it is."""
        link = self.runner.link
        with self._lock:
            if self.closed is not None or not self.open:
                return
            self.closed = (code, reason)
            link.emit((wire.CLOSE, self.stream, code, reason))
        link.flush()
        self.wake()

    def join(self, name: str) -> None:
        """Have the server write to the client what is broadcast to this group."""
        name = groups.check_group(name)
        link = self.runner.link
        with self._lock:
            if self.closed is not None or not self.open:
                raise ClientDisconnected("the WebSocket is closed")
            self._groups = groups.joined(self._groups, name, self.runner.websocket_groups)
            link.emit((wire.SOCKET_JOIN, self.stream, name))
        link.flush()

    def part(self, name: str) -> None:
        """No longer."""
        name = groups.check_group(name)
        link = self.runner.link
        with self._lock:
            if name not in self._groups or self.closed is not None or not self.open:
                return
            self._groups = groups.left(self._groups, name)
            link.emit((wire.SOCKET_LEAVE, self.stream, name))
        link.flush()

    def end_socket(self) -> None:
        """Close it because the application, or the library that has the raw socket, has ended without doing so.
        Frameworks make an answer of what their application raises: it is all that is seen of a failure."""
        failed = self._failed or (self.status is not None and self.status.startswith("5"))
        self.close_socket(1011 if failed else 1000)

    # Whoever waits looks at what he waits for after each wake-up, and is in the list before he looks: so it does not
    # matter which of several threads a wake-up finds.

    def until(self, over: Callable[[], object]) -> None:
        if over():
            return
        waiter = Waiter(self.runner.link.event())
        self._waiters.append(waiter)
        try:
            while not over():
                self.runner.link.rest(waiter)
        finally:
            self._waiters.remove(waiter)

    def wake(self) -> None:
        for waiter in self._waiters[:]:
            waiter.signal.set()

    # What a request does, once it is a WebSocket.

    def send(self, data: bytes) -> None:
        """Drop what comes after the handshake: there is no answer that it could belong to."""
        if not self.accepted:
            Request.send(self, data)

    def respond(self, iterable: Iterable[bytes], whole: int) -> None:
        if self.accepted:
            for _ in iterable:
                pass  # an application may do its work in there
        elif self.refused is not None and not self.answered and str(self.status).startswith("5"):
            self._refuse(wire.ANSWER_OPEN)  # a framework has made an answer of what accept() raised
        else:
            Request.respond(self, iterable, whole)

    def _refuse(self, kind: int) -> None:
        self.status = "503 Service Unavailable"
        self.headers = [("Content-Type", "text/plain"), ("Retry-After", "1")]
        self.answer(b"The server has too many WebSockets. Try again in a moment.\n", kind)

    def done(self) -> None:
        self._raw.finish()
        if self.accepted:
            self.end_socket()
            with self._lock:
                self.closed = self.closed or LOST  # threads that outlive the request must not speak for the next one
                Request.done(self)
            self.wake()
        else:
            Request.done(self)

    def fail(self, why: str) -> None:
        self._failed = self.closed is None and why not in EXCUSES
        self._raw.finish()
        if self.refused is not None and not self.answered:
            self._refuse(wire.ANSWER)
        elif not (self.accepted and self._failed):
            Request.fail(self, why)
        else:
            with self._lock:
                self.closed = self.closed or (1011, "")
                self._close()
                self.runner.link.emit((wire.ERROR, self.stream, why))
            self.wake()

    def excuses(self, error: BaseException) -> bool:
        """Whether an error only says that the socket is closed: libraries have errors of their own for that."""
        if error is self.refused:
            return True
        over = isinstance(error, OSError) or type(error).__name__ == "ConnectionClosed"
        return over and (self.given or self.closed is not None)

    # What the loop calls.

    def take(self, message: wire.Incoming) -> None:
        kind = message[0]
        if kind == wire.RECEIVE:
            data = message[2]
            if self._parts:
                with self._lock:
                    self._taken -= sum(map(len, self._parts))  # the whole message is counted when it is received
                data = data[:0].join((*self._parts, data))
                self._parts = []
            if self.closed is None:
                self._messages.append(data)
        elif kind == wire.PART:
            self._parts.append(message[2])
            self._count(len(message[2]))  # at once: a message may be larger than the window
            return
        elif kind == wire.CREDIT:
            Request.take(self, message)
        else:
            self.gone = True
            if self.closed is None:
                self.closed = (message[2], message[3] or "") if kind == wire.CLOSED else LOST
            self._raw.interrupt()
        self.wake()


def _pieces(data: str | bytes) -> Iterator[tuple[int, Any]]:
    """A message as the server takes it: what is longer than a piece comes in several, text cut between characters."""
    most = wire.MAX_PIECE if isinstance(data, bytes) or data.isascii() else _TEXT_PIECE
    last = max(len(data) - 1, 0) // most * most
    view: Any = data if isinstance(data, str) else memoryview(data)  # cutting a large message up must not copy it
    for at in range(0, last, most):
        yield wire.SEND_PART, view[at : at + most]
    yield wire.SEND, view[last:]
