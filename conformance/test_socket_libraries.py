"""WSGI libraries that have WebSockets, unchanged: flask-sock (simple-websocket), flask-sockets, Flask-SocketIO."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import socketio
from authority import Authority
from authority import connect as connect_tls
from commands import ask as command
from harness import PATIENCE, Answer, Server, eventually
from http2 import Connection
from sockets import CLOSE, PING, PONG, TEXT, Frame, Socket, ask, connect, frame, refused
from websockets.sync import client
from wsgi_loops import GEVENT

Servers = Callable[..., Server]
APP = "socket_libraries:app"
LOOPS = [pytest.param(("--threads", "8"), id="threads"), pytest.param(GEVENT, id="gevent")]


@pytest.fixture(params=LOOPS)
def server(shared: Servers, request: pytest.FixtureRequest) -> Server:
    """Client's connections stay with the server; test_websocket_handover.py has those that do not."""
    return shared(APP, "--workers", "1", "--no-websocket-handover", *request.param)


@pytest.mark.parametrize("path", ["/sock", "/sockets", "/simple"])
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


def test_threads_that_write_at_once(server: Server) -> None:
    all_whole(server)


def all_whole(server: Server) -> None:
    """What several threads send at the same time comes one after the other."""
    with connect(server, "/together") as socket:
        came = [socket.message() for _ in range(12)]
        assert {len(each) for each in came} == {1_000_000}
        assert sorted((each[0], len(set(each))) for each in came) == [(n, 1) for n in range(4) for _ in range(3)]


def test_simple_websocket_ends(server: Server) -> None:
    mark = len(server.lines)
    with connect(server, "/simple", {"Sec-WebSocket-Protocol": "chat.v1, chat.v2"}) as socket:
        assert socket.subprotocol == "chat.v2"
        socket.frame(PING, b"still there?")
        assert socket.next_frame() == Frame(PONG, b"still there?", final=True)
        socket.send("leave")
        assert socket.closed() == (4003, "as asked")
    with connect(server, "/simple") as socket:
        assert socket.close(4321, "bye") == (4321, "")
    server.wait_for("simple ended 4321", after=mark)
    connect(server, "/simple").client.close()  # without a close frame
    server.wait_for("simple ended 100[56]", after=mark)


@pytest.mark.parametrize(("then", "code"), [("", 1000), ("close", 1000), ("raise", 1011), ("break", 1011)])
def test_bytes_of_a_raw_socket(server: Server, then: str, code: int) -> None:
    with connect(server, f"/written?then={then}") as socket:
        assert socket.answer.header("x-answer") == "42"
        assert socket.message() == "abc"
        assert socket.closed() == (code, "")


def test_raw_socket_that_has_to_be_real(server: Server) -> None:
    with connect(server, "/real") as socket:
        assert socket.message() == b"a"
        socket.send("hi")
        assert socket.closed() == (4005, "")


@pytest.mark.parametrize("path", ["/declined", "/declined?descriptor"])
def test_raw_socket_that_is_not_accepted(server: Server, path: str) -> None:
    answer = refused(server, path)
    assert (answer.status, answer.text) == (409, "declined")


# Here the client's connection is the server's whatever the setting says, so none of these is any different for the
# library.

WAYS = ["/sock", "/sockets", "/simple"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    cert, key = Authority(tmp_path_factory.mktemp("authority")).issue("localhost")
    return "--certfile", str(cert), "--keyfile", str(key)


@pytest.fixture(params=LOOPS)
def encrypted(shared: Servers, pair: tuple[str, ...], request: pytest.FixtureRequest) -> Server:
    return shared(APP, "--workers", "1", *request.param, *pair)


@pytest.mark.parametrize("path", WAYS)
def test_over_tls(encrypted: Server, path: str) -> None:
    with connect_tls(encrypted, "localhost") as connection:
        accept = ask(connection, path)
        assert connection.head().header("sec-websocket-accept") == accept
        socket = Socket(connection, Answer(101, "Switching Protocols", []))
        socket.send("hello")
        assert socket.message() == "hello"
        assert socket.close(4001) == (4001, "")


@pytest.mark.parametrize("path", WAYS)
def test_over_http2(encrypted: Server, path: str) -> None:
    with Connection(encrypted) as connection:
        fields = [("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat.v2")]
        stream = connection.open("CONNECT", path, fields, end=False, protocol="websocket")
        connection.until(lambda: stream.status)
        assert stream.status == 200
        assert stream.all("sec-websocket-protocol") == (["chat.v2"] if path == "/simple" else [])
        connection.send(stream, frame(TEXT, b"hello"))
        connection.until(lambda: stream.body == b"\x81\x05hello")
        connection.send(stream, frame(CLOSE, b"\x03\xe8"))
        assert connection.finish(stream).body == b"\x81\x05hello\x88\x02\x03\xe8"


# Socket.IO, by its own client. Flask-SocketIO uses simple-websocket under threads, and under gevent gevent-websocket's
# interface, because that package is installed.

PROCESSES = 4
# Fewer than a worker has threads. Should all of them come to one worker, where each has a thread for its long poll,
# what they post still finds one.
VISITORS = 6


@pytest.fixture(scope="module", params=LOOPS)
def site(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Four workers, which know nothing of each other's sessions. All of them are up; to wait until each has answered
    would take for ever on a busy machine, where one that is slow gets nothing while others are quick."""
    flags = ("--workers", str(PROCESSES), "--preload", *request.param)  # what it imports takes a while
    with Server(APP, *flags) as server:

        def all_are_up() -> bool:
            (pool,) = command(server, "ps")["pools"]
            return [worker["state"] for worker in pool["workers"]] == ["up"] * PROCESSES

        eventually(all_are_up, "all workers are up")
        yield server


class Visitor:
    """A client of Socket.IO that has been welcomed."""

    def __init__(self, server: Server, *transports: str) -> None:
        self.welcome: queue.Queue[Any] = queue.Queue()
        self.joined: queue.Queue[Any] = queue.Queue()
        self.client = socketio.Client(reconnection=False)
        self.client.on("welcome", self.welcome.put)
        self.client.on("joined", self.joined.put)
        self.client.connect(
            f"http://127.0.0.1:{server.port}", transports=list(transports) or None, wait_timeout=PATIENCE
        )
        self.process: int = self.welcome.get(timeout=PATIENCE)["pid"]

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()

    def ask(self, data: object) -> Any:
        return self.client.call("ask", data, timeout=PATIENCE)


@pytest.mark.parametrize(
    ("transports", "ends_with"),
    [(("polling",), "polling"), (("websocket",), "websocket"), ((), "websocket")],
    ids=["polling", "websocket", "upgrade"],
)
def test_socketio_with_four_workers(site: Server, transports: tuple[str, ...], ends_with: str) -> None:
    mark = len(site.log)
    with ExitStack() as stack:
        visitors = [stack.enter_context(Visitor(site, *transports)) for _ in range(VISITORS)]
        for each in visitors:
            for data in ("hello", b"\x00\xff" * 40_000, {"deep": ["\u00e5"]}):
                assert each.ask(data) == {"pid": each.process, "data": data}
            each.client.emit("join", "room")
            assert each.joined.get(timeout=PATIENCE) == "room"
            assert each.client.transport() == ends_with
    if ends_with == "websocket":  # this client may drop what it has not posted yet when it disconnects
        eventually(lambda: len(re.findall("disconnected .", site.log[mark:])) >= len(visitors), "all leave")
    assert "Invalid session" not in site.log[mark:], "every request came to the process that knows its session"


def test_socketio_sessions_are_spread(site: Server) -> None:
    """They begin wherever there is least to do, on a busy machine perhaps not in each of the four."""
    with ExitStack() as stack:
        visitors = [stack.enter_context(Visitor(site, "websocket")) for _ in range(12)]
        assert len({each.process for each in visitors}) > 1


@pytest.mark.parametrize("sticky", ["sid", "off"])
def test_setting_sticky(serve: Servers, sticky: str) -> None:
    """While a poll waits, its worker is not the one with least to do: what else belongs to the session goes astray."""
    server = serve(APP, "--workers", "2", "--preload", *GEVENT, "--sticky", sticky)
    path = "/socket.io/?EIO=4&transport=polling"
    sid = json.loads(server.get(path).text[1:])["sid"]

    def post() -> int:
        return server.request("POST", f"{path}&sid={sid}", {}, b'42["unknown"]').status

    with server.connect() as poll:
        poll.send_request("GET", f"{path}&sid={sid}")
        if sticky == "off":
            eventually(lambda: post() == 400, "another worker got it")
        else:
            assert {post() for _ in range(20)} == {200}


def test_session_of_a_dead_worker(serve: Servers) -> None:
    """The library answers what it answers to a session that it does not know, and the client can begin another."""
    server = serve(APP, "--workers", "2", "--preload", *GEVENT)
    with server.connect() as client:
        client.send_request("GET", "/socket.io/?EIO=4&transport=polling")
        sid = json.loads(client.answer().text[1:])["sid"]
        path = f"/socket.io/?EIO=4&transport=polling&sid={sid}"
        assert client.request("POST", path, {}, b"40").status == 200
        welcome = ""
        while '"pid"' not in welcome:
            welcome = client.request("GET", path).text
        process = int(re.findall(r'"pid":(\d+)', welcome)[0])
        os.kill(process, signal.SIGKILL)
        eventually(lambda: client.request("POST", path, {}, b"40").status == 400, "the session is unknown")
    with Visitor(server, "polling") as another:
        assert another.ask("well?")["pid"] == another.process


def test_socketio_on_gevent_in_a_worker_with_threads_is_advised(serve: Servers) -> None:
    server = serve("socketio_by_itself:app", "--workers", "1")
    server.wait_for(r"Socket\.IO runs on gevent here.* -k gevent, or make it SocketIO\(app, async_mode=.*threading")
    assert not serve("socketio_by_itself:app", "--workers", "1", *GEVENT).count("Socket.IO runs on")
