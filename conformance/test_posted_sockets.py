"""WebSocket-over-HTTP: the server holds the sockets of an application that answers POSTs."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from authority import Authority
from harness import Server, eventually
from http2 import Connection
from processes import alive, children
from sockets import Socket, connect, frame
from test_realtime import admin_port, publish

Serve = Callable[..., Server]
KINDS = [("posted:wsgi", "-k", "threads"), ("posted:wsgi", "-k", "gevent"), ("posted:asgi", "-k", "asyncio")]


def said(socket: Socket, text: str) -> int:
    """The worker that has answered."""
    socket.send(text)
    echo, _, pid = str(socket.message()).rpartition(" by ")
    assert echo == text
    return int(pid)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind[-1])
def test_a_socket_outlives_its_workers(serve: Serve, kind: tuple[str, ...]) -> None:
    server = serve(*kind, "--workers", "1", "--websocket-over-http")
    with connect(server, "/") as socket:
        first = said(socket, "hello")
        said(socket, "grüße " * 10_000)
        server.signal(signal.SIGHUP)
        eventually(lambda: not (first in children(server) and alive(first)), "the worker has been replaced", 60)
        assert said(socket, "again") != first
        assert socket.close(4000, "bye") == (4000, "")


@pytest.mark.parametrize("app", ["posted:wsgi", "posted:asgi"])
def test_streams_of_http2(serve: Serve, tmp_path: Path, app: str) -> None:
    cert, key = Authority(tmp_path).issue("localhost")
    server = serve(app, "--workers", "1", "--websocket-over-http", "--certfile", str(cert), "--keyfile", str(key))
    with Connection(server) as connection:
        stream = connection.open("CONNECT", "/", [("sec-websocket-version", "13")], end=False, protocol="websocket")
        connection.until(lambda: stream.status)
        assert stream.status == 200
        connection.send(stream, frame(1, b"hello"))
        connection.until(lambda: b"hello by " in stream.body)
        connection.send(stream, frame(8, b"\x03\xe8"))
        assert connection.finish(stream).body.endswith(b"\x88\x02\x03\xe8")


def test_what_is_published_reaches_it(serve: Serve) -> None:
    server = serve("posted:wsgi", "--workers", "1", "--websocket-over-http", "--admin-bind", "127.0.0.1:0")
    with connect(server, "/") as socket:
        said(socket, "hello")
        item = {"channel": "all", "ws-message": {"content": "news"}}
        assert publish(admin_port(server), [item]).status == 200
        assert socket.message() == "news"
