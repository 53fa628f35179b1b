"""What a WSGI application reads its request's body from (PEP 3333, "Input and Error Streams")."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Protocol


class Body(Protocol):
    """A request whose body comes in pieces: wsgi.Request."""

    def read_body(self, size: int) -> bytes:
        """Up to ``size`` bytes; waits for them; b"" at the end."""


class EmptyInput:
    """``wsgi.input`` of a request without a body. One object serves all of them, so it cannot be closed or filled."""

    def read(self, size: int = -1, /) -> bytes:
        return b""

    def readline(self, size: int = -1, /) -> bytes:
        return b""

    def readlines(self, hint: int = -1, /) -> list[bytes]:
        return []

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


class StreamedInput(io.RawIOBase):
    """The body of a request as it comes, for io.BufferedReader to read lines and pieces from."""

    def __init__(self, request: Body) -> None:
        self._request = request

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        piece = self._request.read_body(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
