"""The client's own connection, for libraries that speak RFC 6455 themselves, where the server gives it away.

The descriptor comes from the server (handshake.take_over), which does not read from it any more. Libraries read from it
with a thread of their own, which may still be busy when the application has returned. So it is not closed under that
thread, which might find another client's connection behind the same number, nor before it has said its last word:
simple-websocket tells the application that its client has closed before it answers the client.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any, Final

LAST_WORD: Final = 1.0  # seconds that a library's thread has to notice the end, and to close


class ClientSocket:
    """A socket whose descriptor is closed when nobody is using it."""

    def __init__(self, descriptor: int) -> None:
        self.socket = socket.socket(fileno=descriptor)
        # The server's end of it did not block, and that is a property of both.
        self.socket.settimeout(socket.getdefaulttimeout())
        self._users: list[None] = []  # one for each call that is under way
        self._sending = threading.Lock()
        self._reader = 0  # the thread, or greenlet, that has read last
        self._ended = False  # by the library, or for good
        self._finishing: threading.Event | None = None

    # Whoever uses it is in the list before he looks whether it has ended, and close() says so before it looks at the
    # list: one of the two sees the other.

    def recv(self, size: int, flags: int = 0) -> bytes:
        self._reader = threading.get_ident()
        self._users.append(None)
        try:
            return b"" if self._ended else self.socket.recv(size, flags)
        finally:
            self._leave()

    def send(self, data: Any, flags: int = 0) -> int:
        """Send all of it before anybody else sends: pings of a library's thread must not get into its messages."""
        self._users.append(None)
        try:
            with self._sending:
                if self._ended:
                    raise BrokenPipeError("the client's connection has been closed")
                self.socket.sendall(data, flags)
                return len(data)
        finally:
            self._leave()

    def _leave(self) -> None:
        self._users.pop()
        if self._ended and not self._users:
            self.socket.close()

    def shutdown(self, how: int) -> None:
        """Whoever waits for what ends sees the end."""
        # Of gevent's sockets the one inside: their own shutdown() throws errors at who waits.
        with contextlib.suppress(OSError):  # the client has gone, or it is closed
            getattr(self.socket, "_sock", self.socket).shutdown(how)

    def close(self) -> None:
        self._ended = True
        self.shutdown(socket.SHUT_RDWR)
        if not self._users:
            self.socket.close()
        if self._finishing is not None:
            self._finishing.set()

    def finish(self) -> None:
        """The application has returned. The library's thread, if there is one, reads the end from now on."""
        self._finishing = threading.Event()
        if not self._ended and self._reader not in (0, threading.get_ident()):
            self.shutdown(socket.SHUT_RD)
            self._finishing.wait(LAST_WORD)
        self.close()
