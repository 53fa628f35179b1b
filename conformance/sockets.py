"""A WebSocket client for the tests: frames as they are told (RFC 6455), wrong ones too."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from dataclasses import dataclass

from harness import Answer, Client, Server

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Frame:
    opcode: int
    payload: bytes
    final: bool


def frame(opcode: int, payload: bytes, *, final: bool = True, mask: bytes | None = None) -> bytes:
    """A client's frame, as it goes over the wire."""
    mask = os.urandom(4) if mask is None else mask
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    else:
        length = b"\xfe" + struct.pack(">H", size) if size <= 0xFFFF else b"\xff" + struct.pack(">Q", size)
    return bytes([(0x80 if final else 0) | opcode]) + length + mask + masked(payload, mask)


def masked(payload: bytes, mask: bytes) -> bytes:
    whole = mask * (len(payload) // 4 + 1)
    return (int.from_bytes(payload, "big") ^ int.from_bytes(whole[: len(payload)], "big")).to_bytes(len(payload), "big")


class Socket:
    """An accepted WebSocket."""

    def __init__(self, client: Client, answer: Answer) -> None:
        self.client = client
        self.answer = answer  # to the handshake

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    @property
    def subprotocol(self) -> str | None:
        return self.answer.header("sec-websocket-protocol")

    def send(self, data: str | bytes) -> None:
        """A message in one frame."""
        self.frame(TEXT if isinstance(data, str) else BINARY, data.encode() if isinstance(data, str) else data)

    def frame(self, opcode: int, payload: bytes = b"", *, final: bool = True, mask: bytes | None = None) -> None:
        self.client.send(frame(opcode, payload, final=final, mask=mask))

    def close(self, code: int | None = 1000, reason: str = "") -> tuple[int | None, str]:
        """The closing handshake, begun by this side; gives what the other side answers."""
        self.frame(CLOSE, b"" if code is None else struct.pack(">H", code) + reason.encode())
        return self.closed()

    def next_frame(self) -> Frame:
        head = self._exactly(2)
        assert not head[1] & 0x80, "a server's frames are not masked"
        size = head[1] & 0x7F
        if size >= 126:
            size = int.from_bytes(self._exactly(2 if size == 126 else 8), "big")
        return Frame(head[0] & 0x0F, self._exactly(size), bool(head[0] & 0x80))

    def message(self) -> str | bytes:
        """The next message, put together; pings are answered."""
        kind, parts = 0, []
        while True:
            got = self.next_frame()
            if got.opcode == PING:
                self.frame(PONG, got.payload)
                continue
            assert got.opcode in (CONTINUATION, TEXT, BINARY), got
            kind = kind or got.opcode
            parts.append(got.payload)
            if got.final:
                whole = b"".join(parts)
                return whole.decode() if kind == TEXT else whole

    def closed(self) -> tuple[int | None, str]:
        """Code and reason of the close frame, which must be the next and the last."""
        got = self.next_frame()
        assert got.opcode == CLOSE, got
        return (int.from_bytes(got.payload[:2], "big"), got.payload[2:].decode()) if got.payload else (None, "")

    def _exactly(self, size: int) -> bytes:
        data, whole = self.client.read_exactly(size)
        assert whole, f"the server closed in the middle of a frame: {data!r}"
        return data


def ask(client: Client, target: str, headers: dict[str, str] | None = None) -> str:
    """Send a handshake; gives the Sec-WebSocket-Accept that belongs to it."""
    key = base64.b64encode(os.urandom(16))
    fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    client.send_request("GET", target, {**fields, "Sec-WebSocket-Key": key.decode(), **(headers or {})})
    return base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()


def connect(server: Server, target: str, headers: dict[str, str] | None = None) -> Socket:
    """A socket that the application accepts."""
    client = server.connect()
    expected = ask(client, target, headers)
    answer = client.head()
    assert answer.status == 101, (answer, server.log)
    assert answer.header("sec-websocket-accept") == expected
    return Socket(client, answer)


def refused(server: Server, target: str, headers: dict[str, str] | None = None) -> Answer:
    """The answer to a handshake that is not accepted."""
    with server.connect() as client:
        ask(client, target, headers)
        return client.answer()
