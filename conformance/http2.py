"""An HTTP/2 client for the tests: many requests on one connection, and nothing is taken before a test wants it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
from h2.connection import ConnectionInputs, ConnectionState
from harness import PATIENCE, Server


@dataclass
class Stream:
    """What has come of one answer."""

    number: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    interim: list[list[tuple[str, str]]] = field(default_factory=list)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None
    unacknowledged: int = 0  # bytes of the body that the server may not replace yet

    @property
    def status(self) -> int:
        return int(dict(self.headers).get(":status", 0))

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def text(self) -> str:
        return self.body.decode()


def pairs(headers: Any) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers or []]


class Connection:
    """A connection. ``taking`` says whether the server learns at once that bytes of an answer have been taken."""

    def __init__(self, server: Server, *, tls: bool = True, window: int | None = None) -> None:
        self.sock: socket.socket = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols(["h2", "http/1.1"])
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
            assert isinstance(self.sock, ssl.SSLSocket)
            assert self.sock.selected_alpn_protocol() == "h2"
        self.scheme = "https" if tls else "http"
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="latin-1"))
        # Requests that have begun end after GOAWAY (RFC 9113 6.8), but the library would not hear of them.
        machine, goes_on = self.h2.state_machine, (None, ConnectionState.CLIENT_OPEN)
        machine._transitions = {
            **machine._transitions,
            (ConnectionState.CLIENT_OPEN, ConnectionInputs.RECV_GOAWAY): goes_on,
        }
        self.h2.initiate_connection()
        if window is not None:
            self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.taking = window is None
        self.streams: dict[int, Stream] = {}
        self.leaving = False  # GOAWAY has come
        self.closed = False
        self.flush()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def flush(self) -> None:
        self.sock.sendall(self.h2.data_to_send())

    def open(
        self, method: str, path: str, headers: list[tuple[str, str]] | None = None, *, end: bool = True, **pseudo: str
    ) -> Stream:
        """Begin a request."""
        head = [(":method", method), (":scheme", self.scheme), (":path", path), (":authority", "testserver")]
        head += [(f":{name}", value) for name, value in pseudo.items()]
        stream = Stream(self.h2.get_next_available_stream_id())
        self.streams[stream.number] = stream
        self.h2.send_headers(stream.number, head + (headers or []), end_stream=end)
        self.flush()
        return stream

    def send(self, stream: Stream, data: bytes, *, end: bool = False) -> None:
        """Send body, as fast as the server takes it. An answer that ends before ends this too."""
        rest = memoryview(data)
        while rest and not stream.ended:
            room = min(len(rest), self.h2.local_flow_control_window(stream.number), self.h2.max_outbound_frame_size)
            if room == 0:
                self.receive()
                continue
            self.h2.send_data(stream.number, bytes(rest[:room]))
            rest = rest[room:]
            self.flush()
        if end and not stream.ended:
            self.h2.end_stream(stream.number)
            self.flush()

    def reset(self, stream: Stream) -> None:
        self.h2.reset_stream(stream.number, 8)
        self.flush()

    def take(self, stream: Stream) -> None:
        """Tell the server that what has come of an answer has been taken."""
        if stream.unacknowledged:
            self.h2.acknowledge_received_data(stream.unacknowledged, stream.number)
            stream.unacknowledged = 0
            self.flush()

    def receive(self) -> None:
        """Take in what the server has sent, and wait for some."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            raise ConnectionError("the server has closed the connection")
        for event in self.h2.receive_data(data):
            self.handle(event)
        self.flush()

    def handle(self, event: Any) -> None:
        stream = self.streams.get(getattr(event, "stream_id", 0) or 0)
        if isinstance(event, h2.events.ConnectionTerminated):
            self.leaving = True
        elif stream is None:
            return
        elif isinstance(event, h2.events.ResponseReceived):
            stream.headers = pairs(event.headers)
        elif isinstance(event, h2.events.InformationalResponseReceived):
            stream.interim.append(pairs(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data or b""
            stream.unacknowledged += event.flow_controlled_length or 0
            if self.taking:
                self.take(stream)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.ended, stream.reset = True, int(event.error_code or 0)

    def until(self, ready: Callable[[], object]) -> None:
        while not ready():
            self.receive()

    def finish(self, stream: Stream) -> Stream:
        """The whole answer."""
        self.until(lambda: stream.ended)
        return stream

    def request(
        self, method: str, path: str, headers: list[tuple[str, str]] | None = None, body: bytes = b""
    ) -> Stream:
        stream = self.open(method, path, headers, end=not body)
        if body:
            self.send(stream, body, end=True)
        return self.finish(stream)

    def get(self, path: str) -> Stream:
        return self.request("GET", path)

    def at_end(self) -> bool:
        """Whether the server ends the connection, after whatever else it has to say."""
        try:
            while True:
                self.receive()
        except ConnectionError:
            return True
