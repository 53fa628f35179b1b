"""``environ["wsgi.websocket"]``: a WebSocket as gevent-websocket has it, for applications written for that package.

The handshake is accepted when the application first uses it. Applications of gevent-websocket find it accepted and
cannot tell the difference; others, which do not look, answer the request as they would any other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from .errors import ClientDisconnected

if TYPE_CHECKING:
    from .handshake import Handshake

_CLOSED: Final = "Connection is already closed"
_DEAD: Final = "Socket is dead"


class WebSocketError(OSError):
    """gevent-websocket's error, where that package is not installed. Where it is imported, its own is raised."""


class WebSocket:
    """The messages of one client."""

    def __init__(self, handshake: Handshake, environ: dict[str, Any]) -> None:
        self._handshake = handshake
        self._told = False  # the application has seen that it is closed
        self.environ = environ

    @property
    def path(self) -> str | None:
        return self.environ.get("PATH_INFO")

    @property
    def origin(self) -> str | None:
        return self.environ.get("HTTP_ORIGIN")

    @property
    def protocol(self) -> str | None:
        """The subprotocols that the client offers, as it wrote them."""
        return self.environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL")

    @property
    def version(self) -> str | None:
        return self.environ.get("HTTP_SEC_WEBSOCKET_VERSION")

    @property
    def closed(self) -> bool:
        """Whether it is closed, from whichever side, and nothing is left to be received."""
        self._begin()
        return self._handshake.closed is not None and (self._told or not self._handshake.waiting())

    def accept(self, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Accept the handshake with a subprotocol or header fields, which gevent-websocket has no way to do."""
        self._handshake.accept(subprotocol, headers)

    def receive(self) -> str | bytearray | None:
        """The next message, a str or a bytearray; waits for it. None when the socket has been closed; then an error."""
        self._begin()
        if self._told:
            raise _error(_CLOSED)
        data = self._handshake.receive_message()
        if data is None:
            self._told = True
        return bytearray(data) if isinstance(data, bytes) else data

    def send(self, message: Any, binary: bool | None = None) -> None:
        """Send a str as text and anything else as bytes, unless ``binary`` says otherwise."""
        self._begin()
        if binary is None:
            binary = not isinstance(message, str)
        if not binary and not isinstance(message, str):
            message = bytes(message).decode() if isinstance(message, (bytes, bytearray, memoryview)) else str(message)
        elif binary:
            message = message.encode() if isinstance(message, str) else bytes(message)
        if self._told or self._handshake.closed is not None:
            raise _error(_CLOSED)
        try:
            self._handshake.send_message(message)
        except OSError as error:
            raise _error(_DEAD) from error

    def close(self, code: int = 1000, message: Any = b"") -> None:
        """Close the socket; no error where it is closed already."""
        self._begin()
        reason = bytes(message).decode() if isinstance(message, (bytes, bytearray)) else str(message or "")
        self._told = True
        self._handshake.close_socket(code, reason)

    def group_add(self, group: str) -> None:
        """Have the server write to the client what is broadcast to this group, without this worker; which
        gevent-websocket has no way to do. It ends with the socket, or with ``group_discard``."""
        self._begin()
        if self._told:
            raise _error(_CLOSED)
        try:
            self._handshake.join(group)
        except ClientDisconnected as error:
            raise _error(_DEAD) from error

    def group_discard(self, group: str) -> None:
        """No longer; no error where the socket is not in the group."""
        self._handshake.part(group)

    def _begin(self) -> None:
        handshake = self._handshake
        if not handshake.accepted and handshake.open and not handshake.answered:
            handshake.accept()


def _error(text: str) -> OSError:
    theirs = getattr(sys.modules.get("geventwebsocket.exceptions"), "WebSocketError", WebSocketError)
    error: OSError = theirs(text)
    return error
