"""WebSockets for WSGI code, by wsgi.websocket: under threads and gevent, with fewer threads than sockets."""

from __future__ import annotations

import ast
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Server, eventually
from sockets import CLOSE, ask, connect, refused
from wsgi_loops import WSGI_LOOPS

Servers = Callable[..., Server]
APP = "wsgi_sockets:app"


@pytest.fixture(params=WSGI_LOOPS)
def flags(request: pytest.FixtureRequest) -> tuple[str, ...]:
    found: tuple[str, ...] = request.param
    return found


@pytest.fixture
def server(shared: Servers, flags: tuple[str, ...]) -> Server:
    return shared(APP, "--workers", "1", *flags)


def test_messages_come_back_as_they_are(server: Server) -> None:
    with connect(server, "/echo") as socket:
        for message in ("hello", b"\x00\xff", "", b"", "sm\u00f6rg\u00e5s \U0001f600" * 30_000, b"z" * 1_000_000):
            socket.send(message)
            assert socket.message() == message
        assert socket.close(4001, "bye") == (4001, "")
    server.wait_for("echo ended True")


def test_environ_is_that_of_a_request(server: Server) -> None:
    offer = {
        "Origin": "http://here",
        "Sec-WebSocket-Protocol": "a, b",
        "Sec-WebSocket-Extensions": "permessage-deflate",
    }
    with connect(server, "/about?a=1", offer) as socket:
        assert "deflate" in str(socket.answer.header("sec-websocket-extensions")), "the server's own business"
        assert socket.subprotocol is None
        assert ast.literal_eval(str(socket.message())) == ["http", "GET", "/about", "a=1", None]
        assert ast.literal_eval(str(socket.message())) == ["/about", "http://here", "a, b", "13", False]
        socket.message()
        assert socket.closed() == (1000, ""), "the application has returned"


def test_what_an_application_does_not_touch_is_a_request(server: Server) -> None:
    with server.connect() as client:
        for _ in range(2):
            ask(client, "/page")
            answer = client.answer()
            assert (answer.status, answer.text.split(" ")[2]) == (200, "websocket")
        client.send_request("GET", "/page")
        assert client.answer().text.endswith("None"), "the connection goes on"


def test_ends(server: Server) -> None:
    with connect(server, "/close?4321-so%20it%20is") as socket:
        assert socket.closed() == (4321, "so%20it%20is")
    with connect(server, "/fail") as socket:
        assert socket.message() == "soon"
        assert socket.closed() == (1011, "")
    server.wait_for("LookupError: on purpose")
    assert refused(server, "/refuse").status == 500
    with connect(server, "/late") as socket:
        socket.send("late")
        assert socket.message() == "late"
        assert socket.closed() == (1000, "")


def test_subprotocol_and_fields_of_an_explicit_accept(server: Server) -> None:
    with connect(server, "/chosen", {"Sec-WebSocket-Protocol": "chat.v1, chat.v2"}) as socket:
        assert (socket.subprotocol, socket.answer.header("x-answer")) == ("chat.v2", "42")
        assert socket.message() == "chosen"


def test_another_request_sends_from_several_threads(server: Server) -> None:
    with connect(server, "/named?it") as named:
        with connect(server, "/tell?it") as teller:
            teller.send("#" * 200_000)
            got = sorted(str(named.message()) for _ in range(5))
            assert got == [str(n) * 200_000 for n in range(5)], "whole messages, in any order"
            assert teller.message() == "told"
        named.client.close()  # without a close frame
        server.wait_for("left it")


def test_sockets_take_no_threads_from_requests(server: Server) -> None:
    """Twenty sockets, with one thread or eight; then the threads are as few as before."""
    before = int(server.get("/page").text.split(" ")[1])
    sockets = [connect(server, "/echo") for _ in range(20)]
    for n, socket in enumerate(sockets):
        socket.send(str(n))
    assert [socket.message() for socket in sockets] == [str(n) for n in range(20)]
    assert server.get("/page").status == 200
    for socket in sockets:
        assert socket.close() == (1000, "")
        socket.client.close()
    # One more than before, if the main thread was a socket's: it has nothing to do any more, but cannot end.
    eventually(lambda: int(server.get("/page").text.split(" ")[1]) <= before + 1, "threads end with their sockets")


def test_slow_client_makes_send_wait(server: Server) -> None:
    mark = len(server.lines)
    with connect(server, "/flood") as socket:
        socket.send("go")
        server.wait_for("flooding", after=mark)
        assert server.get("/page").status == 200, "nobody else waits"
    server.wait_for("flood ended: WebSocketError", after=mark)


def test_number_of_sockets_is_bounded(serve: Servers, flags: tuple[str, ...]) -> None:
    server = serve(APP, "--workers", "1", *flags, "--worker-connections", "3")
    sockets = [connect(server, "/echo") for _ in range(3)]
    answer = refused(server, "/echo")
    assert (answer.status, answer.header("retry-after")) == (503, "1")
    assert sockets[0].close() == (1000, "")

    def again() -> bool:
        with server.connect() as client:
            ask(client, "/echo")
            return client.head().status == 101

    eventually(again, "there is room again")
    assert server.get("/page").status == 200
    for socket in sockets[1:]:
        socket.client.close()


def test_stopping_and_reloading(serve: Servers, flags: tuple[str, ...], tmp_path: Path) -> None:
    server = serve(APP, "--workers", "1", *flags, "--websocket-drain", "1s")
    with connect(server, "/echo") as socket, connect(server, "/named?x") as silent:
        server.signal(signal.SIGHUP)
        for each in (socket, silent):
            assert each.closed() == (1012, "")
            each.frame(CLOSE, b"\x03\xf4")
    server.wait_for("left x")
    with connect(server, "/echo") as socket:
        server.signal(signal.SIGTERM)
        assert socket.closed()[0] == 1001
    assert server.wait() == 0
    assert "Traceback" not in server.log
