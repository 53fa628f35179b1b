"""How WebSockets end: W14 to W18, W23, W24 and W26 of the checklist."""

from __future__ import annotations

import signal
import struct
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from asgi_variants import LOOPS, VARIANTS, SharedServers, seen
from harness import Server
from sockets import CLOSE, connect


@pytest.fixture(params=VARIANTS, ids=str)
def server(shared: SharedServers, request: pytest.FixtureRequest) -> Server:
    return shared("asgi_websocket:app", *request.param.flags)


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


def disconnect(code: int, reason: str = "") -> dict[str, Any]:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({}, 1000, ""),
        ({"code": "1001"}, 1001, ""),
        ({"code": "4999", "reason": "Grüße"}, 4999, "Grüße"),
        ({"code": "3000", "reason": "x" * 123}, 3000, "x" * 123),
    ],
)
def test_w14_w15_w18_w24_the_application_closes(
    server: Server, name: str, fields: dict[str, str], code: int, reason: str
) -> None:
    lines = len(server.lines)
    with connect(server, f"/closes?{urlencode({'name': name, **fields})}") as socket:
        assert socket.closed() == (code, reason)
        socket.frame(CLOSE, struct.pack(">H", code))
        assert socket.client.at_end()
    assert seen(server, name, 2) == [[disconnect(code, reason)] * 2, "ClientDisconnected"]
    assert "error while" not in "\n".join(server.lines[lines:])


def test_w15_a_reason_that_is_too_long_is_cut_between_characters(server: Server, name: str) -> None:
    with connect(server, f"/closes?{urlencode({'name': name, 'reason': 'ü' * 100})}") as socket:
        assert socket.closed() == (1000, "ü" * 61)


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "away"), (4000, "Grüße"), (3999, "x" * 123)])
def test_w16_w17_the_client_closes(server: Server, name: str, code: int, reason: str) -> None:
    with connect(server, f"/echo?name={name}") as socket:
        assert socket.close(code, reason)[0] == code
        assert socket.client.at_end()
    assert seen(server, name) == [disconnect(code, reason)]


def test_w16_1005_when_no_code_was_sent(server: Server, name: str) -> None:
    with connect(server, f"/echo?name={name}") as socket:
        socket.close(None)
    assert seen(server, name) == [disconnect(1005)]


def test_w16_w23_1006_when_the_connection_is_lost(server: Server, name: str) -> None:
    with connect(server, f"/echo?name={name}"):
        pass
    assert seen(server, name) == [disconnect(1006)]


def test_w16_what_came_before_the_close_is_received_first(server: Server, name: str) -> None:
    with connect(server, f"/events?name={name}&quiet") as socket:
        for text in ("1", "2", "3"):
            socket.send(text)
        socket.frame(CLOSE, struct.pack(">H", 1000))
        assert [event.get("text") for event in seen(server, name, 4)] == ["1", "2", "3", None]


def test_w23_an_application_that_raises_closes_with_1011(server: Server) -> None:
    lines = len(server.lines)
    with connect(server, "/ends?when=after&how=raise") as socket:
        assert socket.closed()[0] == 1011
    server.wait_for("error while serving the WebSocket /ends", after=lines)
    server.wait_for("ZeroDivisionError: in a WebSocket", after=lines)


def test_w23_an_application_that_returns_closes_with_1000(server: Server) -> None:
    with connect(server, "/ends?when=after&how=return") as socket:
        assert socket.closed() == (1000, "")


def test_w24_send_after_the_client_has_gone_raises_an_oserror_that_is_not_logged(server: Server, name: str) -> None:
    lines = len(server.lines)
    with connect(server, f"/watches?name={name}") as socket:
        assert socket.message() == "watching"
        socket.close(1001)
    assert seen(server, name, 2) == [disconnect(1001), "ClientDisconnected"]
    with connect(server, "/echo") as socket:
        socket.send("next")
        assert socket.message() == "next"
    assert "error while" not in "\n".join(server.lines[lines:])


def test_w26_a_server_that_stops_closes_with_1001(serve: Callable[..., Server]) -> None:
    server = serve("asgi_websocket:app", *LOOPS[0].flags)
    with connect(server, "/echo") as socket:
        socket.send("here")
        assert socket.message() == "here"
        server.signal(signal.SIGTERM)
        assert socket.closed()[0] == 1001
        socket.frame(CLOSE, struct.pack(">H", 1001))
        assert server.wait() == 0
    assert "error while" not in server.log


def test_w26_a_reload_closes_with_1012_when_sockets_may_not_stay(serve: Callable[..., Server]) -> None:
    server = serve("asgi_websocket:app", *LOOPS[0].flags, "--websocket-drain", "0")
    with connect(server, "/echo") as socket:
        server.signal(signal.SIGHUP)
        assert socket.closed()[0] == 1012
    with connect(server, "/echo") as socket:
        socket.send("the new worker")
        assert socket.message() == "the new worker"


def test_w26_a_reload_leaves_sockets_where_they_are(serve: Callable[..., Server]) -> None:
    server = serve("asgi_websocket:app", *LOOPS[0].flags)
    with connect(server, "/echo") as old:
        server.signal(signal.SIGHUP)
        server.wait_for("reload complete")
        with connect(server, "/echo") as new:
            for socket in (old, new):
                socket.send("still served")
                assert socket.message() == "still served"
            old.close()
