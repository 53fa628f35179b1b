"""``environ["gunicorn.socket"]``: a socket for libraries that speak RFC 6455 themselves, simple-websocket above all.

What such a library gets is one end of a socket pair. At the other end the RFC is spoken a second time, inside this
process: its answer 101 accepts the handshake, its frames become messages for the server, and the server's messages
become frames. So the client's connection stays where limits, pings, compression, TLS, HTTP/2 and the end of a deploy
are dealt with (docs/decisions/0020-raw-sockets.md). Two threads carry the bytes, or greenlets, since under gevent
``threading`` and ``socket`` are gevent's: this is the one file of the package beside loops/ that does I/O.

Nothing is made, and the handshake stays an ordinary request, until the application touches the socket.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, Final

from . import frames, wire
from .errors import report

if TYPE_CHECKING:
    from .handshake import Handshake

_HEAD: Final = 64 * 1024  # bytes of an answer's head
_MESSAGE: Final = 64 * 1024 * 1024  # bytes of a message: more than that does not fit into a packet to the server


class RawSocket:
    """Stands for the library's end of the pair, which is made at first use."""

    def __init__(self, handshake: Handshake) -> None:
        self._handshake = handshake
        self._bridge: Bridge | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._pair().theirs, name)

    def send(self, data: bytes, flags: int = 0) -> int:
        """Send all of it. A library that expects that of a blocking socket would lose the rest under gevent."""
        self._pair().theirs.sendall(data, flags)
        return len(data)

    def _pair(self) -> Bridge:
        if self._bridge is None:
            self._bridge = Bridge(self._handshake)
        return self._bridge

    def finish(self) -> None:
        """The application has returned: what it has written still leaves."""
        if self._bridge is not None:
            self._bridge.finish()


class Bridge:
    """The pair, and who carries what between it and the handshake."""

    def __init__(self, handshake: Handshake) -> None:
        self._handshake = handshake
        self.theirs, self._ours = socket.socketpair()
        self._writing = threading.Lock()
        self._from = self._start(self._carry_out)
        self._to: threading.Thread | None = None
        self._opcode, self._parts = 0, bytearray()  # of a message in fragments

    def _start(self, carry: Any) -> threading.Thread:
        thread = threading.Thread(target=self._guard, args=(carry,), name="backline-socket", daemon=True)
        thread.start()
        return thread

    def _guard(self, carry: Any) -> None:
        try:
            carry()
        except frames.Malformed as error:
            report(error, "reading what the application wrote to its WebSocket")
            self._handshake.close_socket(1011)
        except OSError:
            pass  # one of the two sides has closed
        finally:
            if carry == self._carry_out:
                self._handshake.end_socket()

    def finish(self) -> None:
        _shut(self.theirs, socket.SHUT_WR)
        self._from.join()
        _shut(self._ours, socket.SHUT_RDWR)  # whoever waits for the library's socket sees the end
        self._ours.close()

    # From the library.

    def _carry_out(self) -> None:
        if not (rest := self._answer()):
            return
        parser = frames.ServerFrames(_MESSAGE)
        data = rest[1]
        while True:
            for frame in parser.feed(data):
                self._handle(frame)
            data = self._ours.recv(wire.MAX_PIECE)
            if not data:
                return

    def _answer(self) -> tuple[bool, bytes] | None:
        """Read the answer to the handshake; what came behind it. None where it is none that accepts."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self._ours.recv(wire.MAX_PIECE)
            if not more:
                return None
            data += more
            if len(data) > _HEAD:
                raise frames.Malformed(f"no end of its head in the first {_HEAD} bytes of the handshake's answer")
        head, rest = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        if lines[0].split(" ")[1:2] != ["101"]:
            return None  # the application still answers the request itself
        subprotocol, headers = _fields(lines[1:])
        self._handshake.accept(subprotocol, headers)
        self._to = self._start(self._carry_in)
        return True, rest

    def _handle(self, frame: frames.Frame) -> None:
        opcode, payload, final = frame
        if opcode == frames.PING:
            self._write(frames.client_frame(frames.PONG, payload))
        elif opcode == frames.CLOSE:
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1000
            self._handshake.close_socket(code, payload[2:].decode(errors="replace"))
        elif opcode == frames.CONTINUATION or not final:
            self._opcode = opcode or self._opcode
            self._parts += payload
            if len(self._parts) > _MESSAGE:
                raise frames.Malformed(f"a message of more than {_MESSAGE} bytes")
            if final:
                whole, self._parts = bytes(self._parts), bytearray()
                self._send(self._opcode, whole)
        elif opcode in (frames.TEXT, frames.BINARY):
            self._send(opcode, payload)
        elif opcode != frames.PONG:
            raise frames.Malformed(f"a frame of the kind {opcode}, which RFC 6455 does not define")

    def _send(self, opcode: int, payload: bytes) -> None:
        try:
            self._handshake.send_message(payload if opcode == frames.BINARY else payload.decode())
        except UnicodeDecodeError as error:
            raise frames.Malformed(f"text that is not UTF-8: {error}") from None

    # To the library.

    def _carry_in(self) -> None:
        while (data := self._handshake.receive_message()) is not None:
            opcode = frames.TEXT if isinstance(data, str) else frames.BINARY
            self._write(frames.client_frame(opcode, data.encode() if isinstance(data, str) else data))
        code, reason = self._handshake.closed or (1006, "")
        if code != 1006:  # which stands for a connection that was lost without a close frame
            self._write(frames.client_frame(frames.CLOSE, frames.close_payload(code, reason)))
        _shut(self._ours, socket.SHUT_WR)

    def _write(self, data: bytes) -> None:
        with self._writing:
            self._ours.sendall(data)


def _fields(lines: list[str]) -> tuple[str | None, list[tuple[str, str]]]:
    """The subprotocol of an answer, and those of its header fields that are not the handshake's own."""
    subprotocol, headers = None, []
    for line in lines:
        name, _, value = line.partition(":")
        lower, value = name.lower(), value.strip()
        if lower == "sec-websocket-protocol":
            subprotocol = value or None
        elif lower not in ("upgrade", "connection") and not lower.startswith("sec-websocket-"):
            headers.append((name, value))
    return subprotocol, headers


def _shut(sock: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):  # it is closed
        sock.shutdown(how)
