"""environ["gunicorn.socket"] that is the client's own connection, given to the worker by the server."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from commands import ask as command
from commands import worker
from harness import Server, eventually, in_parallel
from interpreters import on_every_python
from processes import alive
from sockets import PING, PONG, TEXT, Frame, Socket, ask, connect, frame, refused
from test_socket_libraries import all_whole
from websockets.sync import client
from wsgi_loops import GEVENT

Servers = Callable[..., Server]
APP = "socket_libraries:app"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
LOOPS = [pytest.param(("--threads", "8"), id="threads"), pytest.param(GEVENT, id="gevent")]


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> tuple[str, ...]:
    found: tuple[str, ...] = request.param
    return found


@pytest.fixture
def server(shared: Servers, loop: tuple[str, ...]) -> Server:
    return shared(APP, "--workers", "1", *loop)


def descriptors(pid: int) -> dict[str, str]:
    """What a process has open."""
    found = {}
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it has been closed meanwhile
            found[each.name] = os.readlink(each)
    return found


def holders(server: Server, socket: Socket, pid: int) -> list[str]:
    """Who has the server's end of a client's connection open: the server, the worker."""
    port = socket.client.sock.getsockname()[1]
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = f":{server.port:04X}", f":{port:04X}"
    (inode,) = [row[9] for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1])]
    processes = {"server": server.process.pid, "worker": pid}
    return [name for name, each in processes.items() if f"socket:[{inode}]" in descriptors(each).values()]


@pytest.mark.parametrize("path", ["/sock", "/simple"])
def test_messages_come_back(server: Server, path: str) -> None:
    with client.connect(f"ws://127.0.0.1:{server.port}{path}", max_size=None) as socket:
        assert not socket.protocol.extensions, "the server cannot compress what it does not see"
        for message in ("hello", b"\x00\xff", "", "\u00e5" * 30_000, b"z" * 1_000_000, os.urandom(300_000)):
            socket.send(message)
            assert socket.recv(10) == message
        socket.close(4001, "bye")
        assert socket.close_code == 4001


def test_threads_that_write_at_once(server: Server) -> None:
    all_whole(server)


def test_connection_is_the_workers_alone(server: Server) -> None:
    pid = int(server.get("/").text)
    with connect(server, "/sock") as socket:
        socket.send("who")
        assert socket.message() == str(pid)
        assert holders(server, socket, pid) == ["worker"]
    with connect(server, "/sockets") as socket:
        assert holders(server, socket, pid) == ["server"], "wsgi.websocket needs no descriptor"


@on_every_python
def test_on_every_python(shared: Servers, loop: tuple[str, ...], python: str) -> None:
    server = shared(APP, "--workers", "1", *loop, "--python", python)
    pid = int(server.get("/").text)
    with connect(server, "/simple") as socket:
        socket.send("hi")
        assert socket.message() == "hi"
        assert holders(server, socket, pid) == ["worker"]


def test_library_speaks_for_itself(server: Server) -> None:
    mark = len(server.lines)
    with connect(server, "/simple", {"Sec-WebSocket-Protocol": "chat.v1, chat.v2"}) as socket:
        assert socket.subprotocol == "chat.v2"
        socket.frame(PING, b"still there?")
        assert socket.next_frame() == Frame(PONG, b"still there?", final=True)
        socket.send("leave")
        assert socket.closed() == (4003, "as asked")
    with connect(server, "/simple") as socket:
        assert socket.close(4321, "bye") == (4321, "bye"), "the library gives the reason back, too"
    server.wait_for("simple ended 4321", after=mark)
    connect(server, "/simple").client.close()  # without a close frame
    server.wait_for("simple ended 100[56]", after=mark)
    assert "Traceback" not in "\n".join(server.lines[mark:])


def test_application_that_fails_ends_its_own_connection(server: Server) -> None:
    with connect(server, "/sock") as other, connect(server, "/sock") as socket:
        socket.send("fail")
        assert not socket.client.fill(), "the end, and nothing before it: the library has said nothing"
        server.wait_for("LookupError: in flask-sock")
        other.send("well?")
        assert other.message() == "well?"


@pytest.mark.parametrize("path", ["/declined", "/declined?descriptor"])
def test_answer_that_is_not_101_leaves_the_request_what_it_was(server: Server, path: str) -> None:
    answer = refused(server, path)
    assert (answer.status, answer.text) == (409, "declined")
    with server.connect() as connection:
        ask(connection, path)
        assert connection.answer().status == 409
        assert connection.request("GET", "/").status == 200, "and its connection goes on"


def test_socket_that_is_wanted_before_it_is_accepted(server: Server) -> None:
    """It cannot be the client's: that would still be waiting for an answer."""
    with connect(server, "/real") as socket:
        assert socket.message() == b"a"
        socket.send("hi")
        assert socket.closed() == (4005, "")


def test_nothing_is_lost_of_a_client_that_does_not_wait(server: Server) -> None:
    """With the head, the server has read the frame already, and keeps the connection. Right behind it, whoever reads
    next finds it."""
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    head = "".join(f"{name}: {value}\r\n" for name, value in {**upgrade, "Sec-WebSocket-Key": KEY}.items())
    request = f"GET /simple HTTP/1.1\r\nHost: testserver\r\n{head}\r\n".encode()
    hello = frame(TEXT, b"hello")

    def talk(n: int) -> None:
        for _ in range(10):
            with server.connect() as connection:
                for piece in [request + hello] if n % 2 else [request, hello[:3], hello[3:]]:
                    connection.send(piece)
                socket = Socket(connection, connection.head())
                assert socket.message() == "hello"
                assert socket.close(4001) == (4001, "")

    in_parallel(4, talk)


def test_no_descriptor_is_left_behind(serve: Servers, loop: tuple[str, ...]) -> None:
    server = serve(APP, "--workers", "1", *loop)
    pid = int(server.get("/").text)

    def count() -> list[int]:
        return [
            sum(each.startswith("socket:") for each in descriptors(process).values())
            for process in (server.process.pid, pid)
        ]

    def round_of_sockets() -> None:
        with ExitStack() as stack:
            opened = [stack.enter_context(connect(server, "/simple")) for _ in range(20)]
            for socket in opened:
                socket.send("hi")
                assert socket.message() == "hi"
            for n, socket in enumerate(opened):
                if n % 3 == 0:
                    socket.send("leave")
                    assert socket.closed() == (4003, "as asked")
                elif n % 3 == 1:
                    assert socket.close(1000) == (1000, "")
            connect(server, "/sock").send("fail")

    round_of_sockets()
    eventually(lambda: worker(server)["sockets"] == 0, "the first ones have ended")
    before = count()
    for _ in range(3):
        round_of_sockets()
    eventually(lambda: worker(server)["sockets"] == 0, "all have ended")
    # Not more, that is: what had asked for the number of sockets may have been among the first.
    eventually(lambda: all(now <= then for now, then in zip(count(), before, strict=True)), f"no more than {before}")


def test_unix_socket(serve: Servers, loop: tuple[str, ...], tmp_path: Path) -> None:
    server = serve(APP, "--workers", "1", *loop, bind=f"unix:{tmp_path}/s")
    with connect(server, "/simple") as socket:
        socket.send("hi")
        assert socket.message() == "hi"
        assert server.get("/").status == 200


# What the server still knows of them


def test_listed_counted_and_logged(serve: Servers, loop: tuple[str, ...]) -> None:
    server = serve(APP, "--workers", "1", *loop, "--worker-connections", "2", "--access-log")
    with connect(server, "/simple?first") as one, connect(server, "/simple") as two:
        for each in (one, two):
            each.send("hi")
            assert each.message() == "hi"
        told = worker(server)
        assert (told["sockets"], told["in_flight"]) == (2, 0)
        assert [(each["state"], each["target"]) for each in told["requests"]][:1] == [("websocket", "/simple?first")]
        (stacks,) = command(server, "stacks", told["name"])
        assert any("simple" in str(each) for each in stacks["stacks"])
        answer = refused(server, "/simple")
        assert (answer.status, answer.header("retry-after")) == (503, "1")
        assert server.count('"GET /simple?first') == 0, "it has not ended"
        one.send("leave")
        one.closed()
    server.wait_for(r'"GET /simple\?first HTTP/1.1" 101 ')
    server.wait_for('"GET /simple HTTP/1.1" 101 ')
    server.wait_for('"GET /simple HTTP/1.1" 503 ')


def ended(socket: Socket) -> bool:
    """Whether the connection ends. Pings of the library's may come before that."""
    while socket.client.fill():
        pass
    return True


def test_death_of_a_worker_ends_its_connections(serve: Servers, loop: tuple[str, ...]) -> None:
    server = serve(APP, "--workers", "1", *loop, "--access-log")
    with connect(server, "/sock") as socket:
        socket.send("who")
        pid = int(str(socket.message()))
        os.kill(pid, signal.SIGKILL)
        assert ended(socket)
        server.wait_for('"GET /sock HTTP/1.1" 101 ')
    eventually(lambda: server.get("/").text not in ("", str(pid)), "a new worker")


def test_reloading_lets_them_stay_and_then_ends_them(serve: Servers, loop: tuple[str, ...]) -> None:
    server = serve(APP, "--workers", "1", *loop, "--websocket-drain", "2s")
    with connect(server, "/simple") as socket:
        socket.send("hi")
        assert socket.message() == "hi"
        old = worker(server)["pid"]
        server.signal(signal.SIGHUP)
        eventually(lambda: int(server.get("/").text) != old, "a new worker")
        assert alive(old)
        assert ended(socket)
        eventually(lambda: not alive(old), "the old one's end")
    assert "Traceback" not in server.log


def test_stopping_ends_them(serve: Servers, loop: tuple[str, ...]) -> None:
    server = serve(APP, "--workers", "1", *loop, "--access-log")
    with connect(server, "/simple") as socket, connect(server, "/sock") as pinged:
        for each in (socket, pinged):
            each.send("hi")
            assert each.message() == "hi"
        server.signal(signal.SIGTERM)
        assert ended(socket)
        assert ended(pinged)
    assert server.wait() == 0
    assert server.count(" 101 ") == 2
    assert "Traceback" not in server.log
