"""``environ["gunicorn.socket"]``: a socket for libraries that speak RFC 6455 themselves, simple-websocket above all.

When the library sends its answer, 101, the server is asked for the client's connection, and gives it away where there
is nothing between the two (clientsocket.py): then the library speaks with its client.

Elsewhere (TLS, HTTP/2 and 3, ``websocket_handover`` off) it only believes so. It does with ``Client``, which speaks the
RFC a second time, inside this process: the answer 101 accepts the handshake, the library's frames become messages for
the server, and the server's messages become frames (docs/decisions/0020-raw-sockets.md).

``send`` and ``recv`` need no socket for that. A library that wants more of it, a descriptor to wait for above all, gets
one end of a socket pair; two threads carry bytes between the other end and ``Client``, or greenlets, since under gevent
``threading`` and ``socket`` are gevent's: beside loops/ and clientsocket.py, this is the one file that does I/O.

Nothing is made, and the handshake stays an ordinary request, until the application touches the socket.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from . import frames, wire
from .clientsocket import ClientSocket
from .control import NONE
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
        self._given: ClientSocket | None = None  # the client's own connection
        self._sending = threading.Lock()  # what two threads send goes into the pair one after the other
        self._pair: Pair | None = None  # from then on it has all bytes, so that they stay in order

    def send(self, data: Any, flags: int = 0) -> int:
        """Send all of it. A library that expects that of a blocking socket would lose the rest under gevent."""
        if self._given is None and self._pair is None and self._speak().take(data, self._take_over):
            return len(data)
        if self._given is not None:
            return self._given.send(data, flags)
        with self._sending:
            self._real().sendall(data, flags)
        return len(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        self.send(data, flags)

    def recv(self, size: int, flags: int = 0) -> bytes:
        if self._given is None and self._pair is None and not flags:
            data = self._speak().give(size)
            if data is not None:
                return data
        if self._given is not None:
            return self._given.recv(size, flags)
        return self._real().recv(size, flags)

    def shutdown(self, how: int) -> None:
        if self._given is not None:
            self._given.shutdown(how)
        elif self._pair is not None:
            self._pair.theirs.shutdown(how)
        elif how != socket.SHUT_RD:
            self._speak().end()

    def close(self) -> None:
        if self._given is not None:
            self._given.close()
        elif self._pair is not None:
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
        if self._given is not None:
            return self._given.socket
        if self._pair is None:
            self._pair = Pair(self._speak())
        return self._pair.theirs

    def _take_over(self, answer: bytes) -> bool:
        """Take the client's connection from the server, and answer its handshake. False where it is not to be had."""
        descriptor = NONE if self._pair is not None else self._handshake.take_over()
        if descriptor == NONE:
            return False
        given = ClientSocket(descriptor)
        with contextlib.suppress(OSError):  # who has gone is missed by the library's next call
            given.send(answer)
        self._given = given
        # Straight to it, from here on: a message is little more work than the calls that it takes.
        vars(self).update(recv=given.recv, send=given.send)
        if self._handshake.closed is not None:
            self.interrupt()  # it was over before it could be
        return True

    def interrupt(self) -> None:
        """The server has closed the WebSocket, by whichever side."""
        if self._given is not None:
            self._given.shutdown(socket.SHUT_RDWR)

    def finish(self) -> None:
        """The application has returned: what it has written still leaves, and whoever still reads sees the end."""
        if self._given is not None:
            self._given.finish()
            return
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
        self.over = False  # there is no need for it any more: the library has the client itself

    # What the library writes.

    def take(self, data: Any, take_over: Callable[[bytes], bool]) -> bool:
        """Raises OSError where the socket is closed, as a socket does. False where it is not for us any more."""
        with self._taking:
            if self.over:
                return False
            try:
                if self._head is not None:
                    data = self._begin(self._head, data, take_over)
                if data and self._handshake.accepted:
                    for frame in self._frames.feed(data):
                        self._handle(frame)
            except frames.Malformed as error:
                report(error, "reading what the application wrote to its WebSocket")
                self._handshake.close_socket(1011)
            return True

    def _begin(self, head: bytearray, data: Any, take_over: Callable[[bytes], bool]) -> bytes:
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
            if take_over(bytes(head)):
                self.over = True
                self._handshake.wake()
                return b""
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

    def give(self, size: int) -> bytes | None:
        """Up to ``size`` bytes; waits for them; b"" at the end. None where they do not come here."""
        while not self.over:
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
        return None

    def _may_give(self) -> object:
        return self.over or self._rest or self._ended or self._handshake.waiting() or self._handshake.closed is not None

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
                self._client.take(data, lambda _: False)
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
