"""How a WSGI application is called (PEP 3333). Knows nothing of threads or sockets: a loop moves the messages.

Reading order: Runner.serve is one request from message to answer, Request is its state.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Sized
from typing import Any, Final, Protocol

from . import begun, wire
from ._types import ExcInfo, WSGIApplication
from .errors import ClientDisconnected, report
from .files import FileWrapper, locate
from .headers import Known, check_status, check_wsgi
from .interface import is_sockets
from .wsgiinput import EmptyInput, StreamedInput


class Link(Protocol):
    """What a loop does for a request."""

    def emit(self, message: wire.Outgoing) -> None:
        """Queue a message; it leaves with the next packet."""

    def flush(self) -> None:
        """Send what is queued now."""

    def open(self, request: Request) -> None:
        """From now on the request gets the messages for its stream."""

    def forget(self, request: Request) -> None:
        """Undo open."""

    def poll(self, request: Request) -> None:
        """Take what has come for the request without waiting."""

    def wait(self, request: Request) -> None:
        """Wait until something has come for the request."""

    # For requests that become WebSockets.

    def keep(self, request: Request) -> None:
        """The request keeps its thread or greenlet from now on, and does not count among those that run. Raises
        handshake.TooManySockets where there are as many of them as may be."""

    def call(self, do: Callable[[], object]) -> None:
        """Have it called where the loop runs, from a thread of which that knows nothing."""

    def event(self) -> Any:
        """An event to wait for, of the loop's kind."""

    def lock(self) -> Any:
        """A lock of the loop's kind."""

    def rest(self, waiter: Any) -> None:
        """Wait until ``waiter.signal`` is set, for however long, and clear it. Others see to it that messages come."""


# The environ of every request begins with these; the server sends what differs.
_CONSTANTS: Final[dict[str, Any]] = {
    "wsgi.version": (1, 0),
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
    "wsgi.file_wrapper": FileWrapper,
    "SERVER_SOFTWARE": "backline",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "QUERY_STRING": "",
}

_HANDSHAKE: Final = "wsgi.websocket_version"  # in the environ of what may become a WebSocket (handshake.py)
# Why requests end without an answer though their application has not failed.
EXCUSES: Final = ("the client has gone", "the application keeps the connection")

_ALWAYS: Final = ("REQUEST_METHOD", "PATH_INFO", "RAW_URI", "REQUEST_URI", "REMOTE_ADDR", "wsgi.early_hints")


class Runner:
    """Calls one application. ``settings`` are the welcome's; the loop sets ``link`` and ``begun``."""

    def __init__(self, application: WSGIApplication, settings: dict[str, Any], *, multithread: bool) -> None:
        self.application = application
        self.link: Link
        self.known = Known()
        self.window: int = settings["wsgi_window"]
        self.websocket_window: int = settings.get("websocket_window", 65536)
        self.websocket_groups: int = settings.get("websocket_groups", 100)
        self.roots: list[str] = settings.get("sendfile_roots", [])
        self.begun = begun.nowhere()
        self.given_up: type[BaseException] | tuple[()] = ()  # what the loop ends a request with, where it can
        host, port = settings["server"]
        self.base = {
            **_CONSTANTS,
            "wsgi.url_scheme": settings["scheme"],
            "wsgi.multithread": multithread,
            "wsgi.multiprocess": settings["workers"] > 1,
            "wsgi.errors": sys.stderr,
            "wsgi.input": EmptyInput(),
            "SCRIPT_NAME": settings["root_path"],
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            # Keys that every request brings: overwriting them does not make the dictionary grow, inserting would.
            **dict.fromkeys(_ALWAYS),
        }

    def serve(self, message: wire.Incoming) -> None:
        """Run one request to its end."""
        _, stream, environ, body, more = message
        environ = self.base | environ
        request = Request(self, stream) if _HANDSHAKE not in environ else self.handshake(stream, environ)
        if body:
            environ["wsgi.input"] = io.BytesIO(body)
        elif more:
            request.expect_body(more)
            environ["wsgi.input"] = io.BufferedReader(StreamedInput(request), wire.MAX_PIECE)
        environ["REQUEST_URI"] = environ["RAW_URI"]
        environ["wsgi.early_hints"] = request.early_hints
        if environ["wsgi.url_scheme"] == "https":
            environ["HTTPS"] = "on"
        self.begun[stream & begun.MASK] = 1
        try:
            self.call(request, environ)
        except ClientDisconnected:
            request.fail(EXCUSES[0])
        except StopIteration:
            # What gunicorn takes for "the connection is mine now": no answer, and no error either.
            request.ended = request.ended or not request.answered
            request.fail(EXCUSES[1])
        except BaseException as error:
            if not (isinstance(error, self.given_up) or request.excuses(error)):  # a stack that is in the log already
                report(error, f"answering {environ['REQUEST_METHOD']} {environ['RAW_URI']}")
            request.fail(type(error).__name__)
            if isinstance(error, KeyboardInterrupt):
                raise

    def handshake(self, stream: int, environ: dict[str, Any]) -> Request:
        """A request that may become a WebSocket; most workers never see one."""
        from .handshake import Handshake

        return Handshake(self, stream, environ)

    def call(self, request: Request, environ: dict[str, Any]) -> None:
        """The application's part: call it, send what it returns, and close that, whatever happens (PEP 3333)."""
        iterable = self.application(environ, request.start_response)
        close = getattr(iterable, "close", None)
        if close is None:
            request.respond(iterable, wire.ANSWER)
        else:
            try:
                request.respond(iterable, wire.ANSWER_OPEN)
                self.link.flush()  # the client need not wait for what an application does after its answer
            finally:
                close()
        if request.open:
            request.done()


def runner_for(application: Any, settings: dict[str, Any], *, multithread: bool) -> Any:
    """What calls the application: a Runner, or that of events where it is one of sockets."""
    if is_sockets(application):
        from .events import Runner as Events

        return Events(application, settings)
    return Runner(application, settings, multithread=multithread)


class Request:
    """One request: its answer as far as it has come, and its body."""

    # Set by the few requests that need them; setting all of these for every request costs as much as calling it.
    headers: list[tuple[str, str]]
    ended = False  # nothing more of the answer comes
    sent = 0  # body bytes sent; written by the request's own thread only
    gone = False  # the client has gone
    more = wire.BODY_WHOLE
    body_left = 0  # bytes taken by the application since the server was last asked for more
    signal: Any = None  # the loop's, to wake who waits; None until the loop has opened the request

    def __init__(self, runner: Runner, stream: int) -> None:
        self.runner = runner
        self.stream = stream
        self.status: str | None = None
        self.answered = False  # the answer has begun to leave
        self.open = True  # the server waits for a last message of this stream
        self.credited = runner.window  # body bytes allowed; written by whoever reads the socket
        self.body: list[bytes] = []

    # What the application calls.

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /) -> Any:
        if exc_info is not None:
            try:
                if self.answered:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.status is not None:
            raise AssertionError("start_response was called a second time without exc_info (PEP 3333)")
        known = self.runner.known
        if type(status) is not str or status not in known.fields:
            check_status(status)
            known.remember(status)
        if type(headers) is list and known.holds(headers):
            self.headers = headers[:]  # the application may go on changing its own
        else:
            self.headers = check_wsgi(headers, known)
        self.status = status
        return self.write

    def write(self, data: bytes) -> None:
        """PEP 3333's write callable: what it is given leaves at once."""
        self.send(data)

    def early_hints(self, headers: Iterable[tuple[str, str]]) -> None:
        """``environ["wsgi.early_hints"]``: 103 before the answer, as gunicorn has it."""
        if not self.answered:
            fields = check_wsgi(headers, self.runner.known)
            self.runner.link.emit((wire.HINT, self.stream, fields))
            self.runner.link.flush()

    # The answer.

    def respond(self, iterable: Iterable[bytes], whole: int) -> None:
        """Send what the application returned: each piece leaves before the next is asked for. ``whole`` is the kind of
        message that carries a whole answer."""
        body = None
        if type(iterable) is FileWrapper and self.send_file(iterable.filelike):
            return
        if isinstance(iterable, (list, tuple)):  # first, because asking an abstract class costs more than all the rest
            body = iterable[0] if len(iterable) == 1 else b"".join(iterable)
        elif isinstance(iterable, Sized) and len(iterable) == 1:
            body = next(iter(iterable), b"")
        if body is not None:
            if self.answer_whole(_as_bytes(body), whole):
                return
            iterable = (body,)
        for data in iterable:
            if data:
                self.send(data)
        if not self.answered:
            self.answer(b"", whole)
        elif not self.ended:
            self.ended = True
            self.runner.link.emit((wire.END, self.stream))

    def answer(self, body: bytes, kind: int) -> None:
        """The whole answer in one message."""
        if self.status is None:
            raise AssertionError("the application returned without calling start_response (PEP 3333)")
        self.answered = self.ended = True
        if kind == wire.ANSWER:
            self._close()
        self.runner.link.emit((kind, self.stream, self.status, self.headers, body))

    def answer_whole(self, body: bytes, kind: int) -> bool:
        """Answer with a body whose length is known, unless it has to leave in pieces; then at least say how long it is
        (PEP 3333, "Handling the Content-Length Header")."""
        if self.answered:
            return False  # by write(), from inside the iterable
        if len(body) <= wire.MAX_PIECE:
            self.answer(body, kind)
            return True
        if not any(name.lower() == "content-length" for name, _ in self.headers):
            self.headers.append(("Content-Length", str(len(body))))
        return False

    def send_file(self, filelike: Any) -> bool:
        """Have the server send the file, from where it stands on. False where it has to be read here. Waits until the
        server has opened it: the application may remove it when it is closed."""
        runner = self.runner
        where = None if self.answered or self.status is None else locate(filelike, runner.roots)
        if where is None:
            return False
        self.answered = self.ended = True
        credited = self.credited
        runner.link.open(self)
        runner.link.emit((wire.FILE, self.stream, self.status, self.headers, *where, -1))
        while self.credited == credited and not self.gone:
            runner.link.wait(self)
        return True

    def send(self, data: bytes) -> None:
        """A piece of the answer, in pieces the server takes, waiting while the client is too far behind."""
        link = self.runner.link
        data = _as_bytes(data)
        if not self.answered:
            if self.status is None:
                raise AssertionError("the application sent a body before calling start_response (PEP 3333)")
            link.open(self)
        for at in range(0, len(data), wire.MAX_PIECE):
            piece = data[at : at + wire.MAX_PIECE]
            while self.sent >= self.credited and not self.gone:
                link.wait(self)
            if self.gone:
                raise ClientDisconnected("the client has gone")
            if self.answered:
                link.emit((wire.DATA, self.stream, piece))
            else:
                self.answered = True
                link.emit((wire.START, self.stream, self.status, self.headers, piece))
            self.sent += len(piece)
            link.flush()
        link.poll(self)

    def done(self) -> None:
        """The application has returned."""
        self._close()
        self.runner.link.emit((wire.DONE, self.stream))

    def fail(self, why: str) -> None:
        """The application failed, or nobody waits for it."""
        if self.open and self.ended:
            self.done()
        elif self.open:
            self.ended = True
            self._close()
            self.runner.link.emit((wire.ERROR, self.stream, why))

    def excuses(self, error: BaseException) -> bool:
        """Whether an error of the application's is nothing to tell anybody about."""
        return False

    def _close(self) -> None:
        """The stream's last message comes next. From then on its number may come again, for another request."""
        self.open = False
        if self.signal is not None:
            self.runner.link.forget(self)

    # The body.

    def expect_body(self, more: int) -> None:
        self.more = more
        self.runner.link.open(self)

    def read_body(self, size: int) -> bytes:
        """Up to ``size`` bytes of the body; waits for them; b"" at the end."""
        link = self.runner.link
        if self.more == wire.BODY_ON_READ:
            self.more = wire.BODY_FOLLOWS
            link.emit((wire.READ, self.stream, wire.WINDOW))
            link.flush()
        while not self.body:
            if self.more == wire.BODY_WHOLE:
                return b""
            if self.gone:
                raise ClientDisconnected("the client went away in the middle of its request's body")
            link.wait(self)
        piece = self.body[0]
        if len(piece) <= size:
            del self.body[0]
        else:
            piece, self.body[0] = piece[:size], piece[size:]
        self.body_left += len(piece)
        if self.body_left >= wire.WINDOW // 4 and self.more:
            link.emit((wire.READ, self.stream, self.body_left))
            link.flush()
            self.body_left = 0
        return piece

    def take(self, message: wire.Incoming) -> None:
        """A message for this stream. Called by whoever reads the socket."""
        kind = message[0]
        if kind == wire.CREDIT:
            self.credited += message[2]
        elif kind == wire.BODY:
            self.body.append(message[2])
            if not message[3]:
                self.more = wire.BODY_WHOLE
        else:
            self.gone = True


def _as_bytes(data: object) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"a WSGI application's body must be bytes (PEP 3333), got {type(data).__name__}: {data!r:.60}")
