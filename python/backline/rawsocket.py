"""``environ["gunicorn.socket"]``: a socket for libraries that speak RFC 6455 themselves, simple-websocket above all.

Such a library believes that it speaks with its client. It does with ``Client``, which speaks the RFC a second time,
inside this process: the library's answer 101 accepts the handshake, its frames become messages for the server, and the
server's messages become frames. So the client's connection stays where limits, pings, compression, TLS, HTTP/2 and the
end of a deploy are dealt with (docs/decisions/0020-raw-sockets.md).

``send`` and ``recv`` need no socket for that. A library that wants more of it, a descriptor to wait for above all, gets
one end of a socket pair; two threads carry bytes between the other end and ``Client``, or greenlets, since under gevent
``threading`` and ``socket`` are gevent's: this is the one file of the package beside loops/ that does I/O.

Nothing is made, and the handshake stays an ordinary request, until the application touches the socket.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, Final

from . import frames, wire
from .errors import ClientDisconnected, report

if TYPE_CHECKING:
    from .handshake import Handshake

_HEAD: Final = 64 * 1024  # bytes of an answer's head
_MESSAGE: Final = 64 * 1024 * 1024  # bytes of a message: more than that does not fit into a packet to the server


class RawSocket:
    """What the library gets: a blocking socket, as far as it can tell."""

    def __init__(self, handshake: Handshake) -> None:
        self._handshake = handshake
        self._client: Client | None = None
        self._pair: Pair | None = None  # from then on it has all bytes, so that they stay in order

    def send(self, data: Any, flags: int = 0) -> int:
        """Send all of it. A library that expects that of a blocking socket would lose the rest under gevent."""
        if self._pair is not None:
            self._pair.theirs.sendall(data, flags)
        else:
            self._speak().take(data)
        return len(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        self.send(data, flags)

    def recv(self, size: int, flags: int = 0) -> bytes:
        if self._pair is None and not flags:
            return self._speak().give(size)
        return self._real().recv(size, flags)

    def shutdown(self, how: int) -> None:
        if self._pair is not None:
            self._pair.theirs.shutdown(how)
        elif how != socket.SHUT_RD:
            self._speak().end()

    def close(self) -> None:
        if self._pair is not None:
            self._pair.theirs.close()
        elif self._client is not None:
            self._client.end()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._real(), name)

    def _speak(self) -> Client:
        if self._client is None:
            self._client = Client(self._handshake)
        return self._client

    def _real(self) -> socket.socket:
        if self._pair is None:
            self._pair = Pair(self._speak())
        return self._pair.theirs

    def finish(self) -> None:
        """The application has returned: what it has written still leaves, and whoever still reads sees the end."""
        if self._pair is not None:
            self._pair.finish()
        if self._client is not None:
            self._client.end()


class Client:
    """The client that a library believes it speaks with."""

    def __init__(self, handshake: Handshake) -> None:
        link = handshake.runner.link
        self._handshake = handshake
        self._taking = link.lock()
        self._giving = link.lock()
        self._head: bytearray | None = bytearray()  # of the library's answer, until it is whole
        self._frames = frames.ServerFrames(_MESSAGE)
        self._opcode, self._parts = 0, bytearray()  # of a message in fragments
        self._rest = bytearray()  # what the library has not read yet
        self._ended = False  # nothing comes behind that

    # What the library writes.

    def take(self, data: Any) -> None:
        """Raises OSError where the socket is closed, as a socket does."""
        with self._taking:
            try:
                if self._head is not None:
                    data = self._begin(self._head, data)
                if data and self._handshake.accepted:
                    for frame in self._frames.feed(data):
                        self._handle(frame)
            except frames.Malformed as error:
                report(error, "reading what the application wrote to its WebSocket")
                self._handshake.close_socket(1011)

    def _begin(self, head: bytearray, data: Any) -> bytes:
        """The answer to the handshake; gives what came behind it. One that is not 101 goes nowhere: the application
        still answers its request."""
        head += data
        at = head.find(b"\r\n\r\n")
        if at < 0:
            if len(head) > _HEAD:
                raise frames.Malformed(f"no end of its head in the first {_HEAD} bytes of the handshake's answer")
            return b""
        self._head = None
        lines = head[:at].decode("latin-1").split("\r\n")
        if lines[0].split(" ")[1:2] == ["101"]:
            self._handshake.accept(*_fields(lines[1:]))
        return bytes(head[at + 4 :])

    def _handle(self, frame: frames.Frame) -> None:
        opcode, payload, final = frame
        if opcode == frames.PING:
            with self._giving:
                self._rest += frames.client_frame(frames.PONG, payload)
            self._handshake.wake()
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
            message = payload if opcode == frames.BINARY else payload.decode()
        except UnicodeDecodeError as error:
            raise frames.Malformed(f"text that is not UTF-8: {error}") from None
        self._handshake.send_message(message)

    # What it reads.

    def give(self, size: int) -> bytes:
        """Up to ``size`` bytes; waits for them; b"" at the end."""
        while True:
            with self._giving:
                if not self._rest:
                    self._fill()
                if self._rest:
                    data = bytes(self._rest[:size])
                    del self._rest[:size]
                    return data
                if self._ended:
                    return b""
            self._handshake.until(self._may_give)

    def _may_give(self) -> object:
        return self._rest or self._ended or self._handshake.waiting() or self._handshake.closed is not None

    def _fill(self) -> None:
        """Take the next message, or the end, if it is here."""
        handshake = self._handshake
        if self._ended or not (handshake.waiting() or handshake.closed is not None):
            return
        data = handshake.receive_message()
        if isinstance(data, str):
            self._rest += frames.client_frame(frames.TEXT, data.encode())
        elif data is not None:
            self._rest += frames.client_frame(frames.BINARY, data)
        else:
            self._ended = True
            code, reason = handshake.closed or (1006, "")
            if code != 1006:  # which stands for a connection that was lost without a close frame
                self._rest += frames.client_frame(frames.CLOSE, frames.close_payload(code, reason))

    def end(self) -> None:
        """The library has closed its socket, or the application has returned."""
        if self._handshake.accepted:
            self._handshake.end_socket()
        else:
            self._ended = True
            self._handshake.wake()


class Pair:
    """Two sockets, one for the library, and who carries bytes between the other one and the client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.theirs, self._ours = socket.socketpair()
        self._out = self._start(self._carry_out)
        self._in = self._start(self._carry_in)

    def _start(self, carry: Any) -> threading.Thread:
        thread = threading.Thread(target=carry, name="backline-socket", daemon=True)
        thread.start()
        return thread

    def _carry_out(self) -> None:
        try:
            while data := self._ours.recv(wire.MAX_PIECE):
                self._client.take(data)
        except OSError as error:
            # What the library writes to a closed WebSocket goes nowhere. A handshake that could not be accepted ends
            # with the request, and the library sees the end of its socket.
            _shut(self._ours, socket.SHUT_RDWR if not isinstance(error, ClientDisconnected) else socket.SHUT_RD)
        self._client.end()

    def _carry_in(self) -> None:
        with contextlib.suppress(OSError):  # the library has closed its socket
            while data := self._client.give(wire.MAX_PIECE):
                self._ours.sendall(data)
        _shut(self._ours, socket.SHUT_WR)

    def finish(self) -> None:
        _shut(self.theirs, socket.SHUT_WR)
        self._out.join()
        _shut(self._ours, socket.SHUT_RDWR)  # whoever waits for the library's socket sees the end
        self._in.join()
        self._ours.close()


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
