"""RFC 6455 as the two ends of a raw socket need it (rawsocket.py): a client's frames out, a server's in. Sans-IO.

Without extensions, since none are agreed on here. Masking protects caches on the way to a server, of which there are
none inside a process: the mask is zero, which leaves every byte as it is.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

_NO_MASK: Final = bytes(4)


class Malformed(ValueError):
    """What came is no frame that a server may send."""


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    final: bool


def client_frame(opcode: int, payload: bytes) -> bytes:
    """A whole message, or a control frame, as a client sends it."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size <= 0xFFFF:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    return b"".join((head, _NO_MASK, payload))


def close_payload(code: int, reason: str) -> bytes:
    return b"" if code == 1005 else struct.pack("!H", code) + reason.encode()[:123]


class ServerFrames:
    """Bytes that a server has written, as frames. A frame is given once it is whole."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        self._rest += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        rest = self._rest
        if len(rest) < 2:
            return None
        first, size, at = rest[0], rest[1], 2
        if first & 0x70:
            raise Malformed("a frame with reserved bits, though no extension was agreed on")
        if size & 0x80:
            raise Malformed("a masked frame, which only clients send")
        if size >= 126:
            at = 4 if size == 126 else 10
            if len(rest) < at:
                return None
            size = int.from_bytes(rest[2:at], "big")
        if size > self._most:
            raise Malformed(f"a frame of {size} bytes, where at most {self._most} are taken")
        if len(rest) < at + size:
            return None
        payload = bytes(memoryview(rest)[at : at + size])
        del rest[: at + size]
        return Frame(first & 0x0F, payload, bool(first & 0x80))
