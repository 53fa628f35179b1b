"""WSGI libraries that have WebSockets, unchanged: flask-sock (simple-websocket), flask-sockets, Flask-SocketIO."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from harness import Server
from sockets import connect
from websockets.sync import client
from wsgi_loops import GEVENT

Servers = Callable[..., Server]
APP = "socket_libraries:app"
LOOPS = [pytest.param(("--threads", "8"), id="threads"), pytest.param(GEVENT, id="gevent")]


@pytest.fixture(params=LOOPS)
def server(shared: Servers, request: pytest.FixtureRequest) -> Server:
    return shared(APP, "--workers", "1", *request.param)


@pytest.mark.parametrize("path", ["/sock", "/sockets"])
def test_messages_come_back(server: Server, path: str) -> None:
    with client.connect(f"ws://127.0.0.1:{server.port}{path}", max_size=None) as socket:
        assert [type(each).__name__ for each in socket.protocol.extensions] == ["PerMessageDeflate"], "with the server"
        for message in ("hello", b"\x00\xff", "", "\u00e5" * 30_000, b"z" * 1_000_000, os.urandom(300_000)):
            socket.send(message)
            assert socket.recv(10) == message
        socket.close(4001, "bye")
        assert socket.close_code == 4001


def test_flask_sock_ends(server: Server) -> None:
    with connect(server, "/sock") as socket:
        socket.send("leave")
        assert socket.closed() == (1000, "")
    with connect(server, "/sock") as socket:
        socket.send("close")
        assert socket.closed() == (4002, "as you wish")
    with connect(server, "/sock") as socket:
        socket.send("fail")
        assert socket.closed()[0] == 1011
    server.wait_for("LookupError: in flask-sock")
