"""Sockets of plain functions on every Python, from a template process, and over HTTP/2."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from authority import Authority
from harness import Server, eventually
from http2 import Connection, Stream
from interpreters import on_every_python
from processes import forked, template
from sockets import Socket, connect, frame

Serve = Callable[..., Server]


def talk(server: Server) -> None:
    with connect(server, "/chat/one") as one, connect(server, "/chat/one") as two:
        one.send("hello")
        assert (one.message(), two.message()) == ("hello", "hello")
        two.send("psst")
        assert one.message() == "psst"
        one.send("bye")
        assert (one.message(), two.message()) == ("bye", "bye")


@on_every_python
@pytest.mark.parametrize("kind", ["threads", "gevent", "asyncio"])
def test_a_chat(serve: Serve, python: str, kind: str) -> None:
    talk(serve("sockets_app:chat", "--workers", "2", "-k", kind, python=python))


def count(socket: Socket, text: str) -> int:
    socket.send(text)
    number, _worker, said = str(socket.message()).split()
    assert said == text
    return int(number)


@pytest.mark.parametrize("kind", ["threads", "gevent"])
def test_workers_from_a_template(serve: Serve, kind: str) -> None:
    """A socket stays, with its state, while the processes that were forked for it die and are forked anew."""
    server = serve("sockets_app:chat", "--workers", "2", "-k", kind, "--preload")
    talk(server)
    with connect(server, "/count") as socket:
        assert count(socket, "a") == 1
        old = forked(template(server))
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        assert count(socket, "b") == 2
        eventually(lambda: len(forked(template(server)) - old) == 2, "two other workers")
        assert count(socket, "c") == 3


def stream_of(connection: Connection, path: str) -> Stream:
    stream = connection.open("CONNECT", path, [("sec-websocket-version", "13")], end=False, protocol="websocket")
    connection.until(lambda: stream.status)
    return stream


def test_streams_of_http2(serve: Serve, tmp_path: Path) -> None:
    cert, key = Authority(tmp_path).issue("localhost")
    server = serve("sockets_app:chat", "--workers", "2", "--certfile", str(cert), "--keyfile", str(key))
    with Connection(server) as connection:
        one, two = stream_of(connection, "/chat/two"), stream_of(connection, "/chat/two")
        assert (one.status, two.status) == (200, 200)
        connection.send(one, frame(1, b"hello"))
        for each in (one, two):
            connection.until(lambda each=each: each.body == b"\x81\x05hello")  # type: ignore[misc]
        assert stream_of(connection, "/nowhere").status == 404
        connection.send(two, frame(8, b"\x03\xe8"))
        assert connection.finish(two).body.endswith(b"\x88\x02\x03\xe8")
        connection.send(one, frame(1, b"alone"))
        connection.until(lambda: one.body.endswith(b"\x81\x05alone"))
