"""Connections that the server hands over: packets and descriptors brought together, and one call of the application's
function. Knows no event loop; loops/connections.py moves the bytes."""

from __future__ import annotations

import array
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from . import wire
from .errors import report

CLOSE_ON_EXEC: Final = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # macOS has none


def descriptors(ancillary: Iterable[tuple[int, int, bytes]]) -> Iterator[int]:
    """The descriptors in what recvmsg() gives beside the bytes."""
    for level, kind, packed in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found = array.array("i")
            found.frombytes(packed[: len(packed) - len(packed) % found.itemsize])
            yield from found


class Inbox:
    """What the server sends. Descriptors come in the order of the packets that they belong to, and never after the last
    byte of theirs."""

    def __init__(self) -> None:
        self.stopping = False
        self._decoder = wire.Decoder()
        self._descriptors: deque[int] = deque()

    def feed(self, data: bytes, came: Iterable[int]) -> Iterator[tuple[int, Any, int]]:
        """The connections that are complete with this: stream, the client's address, descriptor."""
        self._descriptors.extend(came)
        for message in self._decoder.feed(data):
            if message[0] == wire.CONNECT:
                yield message[1], message[2], self._descriptors.popleft()
            elif message[0] == wire.STOP:
                self.stopping = True


def serve(handle: Callable[[socket.socket, Any], object], address: Any, descriptor: int) -> None:
    """Call the application's function with a connection, and close that when it has returned, as gevent's StreamServer
    does."""
    connection = socket.socket(fileno=descriptor)
    try:
        # The server's end of it does not block, and that is a property of both.
        connection.settimeout(socket.getdefaulttimeout())
        handle(connection, address)
    except BaseException as error:
        # SystemExit stays here too: sys.exit() for one client must not end the others of this worker.
        if type(error).__name__ != "GreenletExit":
            report(error, f"serving the connection from {address[0]}, port {address[1]}")
    finally:
        connection.close()
