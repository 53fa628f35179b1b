"""HTTP/2 frame by frame (RFC 9113), wrong ones too, for clients that attack."""

from __future__ import annotations

import threading
from collections.abc import Callable

from harness import PATIENCE, Client, Server

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 4, 5
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BATCH = 200  # frames in one write: a flood is not to be limited by its own system calls

# An answer's :status comes first and, for these, as an index of HPACK's static table (RFC 7541, appendix A).
STATUSES = {0x88: 200, 0x8C: 400, 0x8D: 404, 0x8E: 500}


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def setting(name: int, value: int) -> bytes:
    return frame(SETTINGS, payload=name.to_bytes(2, "big") + value.to_bytes(4, "big"))


def literal(name: bytes, value: bytes) -> bytes:
    """A field as it is, without Huffman's code or a table."""
    return b"\0" + _string(name) + _string(value)


def _string(data: bytes) -> bytes:
    assert len(data) < 127, "longer ones need another byte"
    return bytes([len(data)]) + data


def fields(*more: tuple[bytes, bytes], method: bytes = b"GET", path: bytes = b"/") -> bytes:
    """What the HEADERS of a request carry."""
    usual = ((b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", b"a"))
    return b"".join(literal(name, value) for name, value in (*usual, *more))


def request(
    stream: int, *more: tuple[bytes, bytes], end: bool = True, method: bytes = b"GET", path: bytes = b"/"
) -> bytes:
    flags = END_HEADERS | (END_STREAM if end else 0)
    return frame(HEADERS, flags, stream, fields(*more, method=method, path=path))


class Frames:
    """A connection that speaks HTTP/2 from its first byte."""

    def __init__(self, client: Client) -> None:
        self.client = client
        client.send(PREFACE + frame(SETTINGS))

    def outcome(self, stream: int) -> int | str:
        """What becomes of a request: a status, "reset", or "ended" with the whole connection."""
        while True:
            head, whole = self.client.read_exactly(9)
            if not whole:
                return "ended"
            size, kind, on = int.from_bytes(head[:3], "big"), head[3], int.from_bytes(head[5:], "big")
            payload, whole = self.client.read_exactly(size)
            if not whole or kind == GOAWAY:
                return "ended"
            if on == stream and kind == RST_STREAM:
                return "reset"
            if on == stream and kind == HEADERS:
                return STATUSES[payload[0]]

    def body(self, stream: int) -> bytes:
        """The rest of an answer's body."""
        whole = b""
        while True:
            head, _ = self.client.read_exactly(9)
            payload, complete = self.client.read_exactly(int.from_bytes(head[:3], "big"))
            assert complete, "the connection ended within an answer"
            if head[3] == DATA and int.from_bytes(head[5:], "big") == stream:
                whole += payload
                if head[4] & END_STREAM:
                    return whole

    def flood(self, frames: int, one: Callable[[int], bytes]) -> bool:
        """Send so many, or fewer if the server ends the connection before; tells whether it does at last."""
        drained = threading.Thread(target=self._drain, daemon=True)
        drained.start()
        try:
            for first in range(0, frames, BATCH):
                self.client.send(b"".join(one(n) for n in range(first, first + BATCH)))
        except (BrokenPipeError, ConnectionResetError):
            return True
        # net/http says GOAWAY first and gives a client a second to read it.
        drained.join(PATIENCE)
        ended = not drained.is_alive()
        self.client.close()
        return ended

    def _drain(self) -> None:
        try:
            while self.client.sock.recv(65536):
                pass
        except OSError:
            pass


def connect(server: Server) -> Frames:
    return Frames(server.connect())
