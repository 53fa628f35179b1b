"""backline.sockets: plain functions in any worker are called with what happens to WebSockets that the server holds."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import ask as command
from harness import Answer, Server, eventually, in_parallel
from processes import children
from sockets import CLOSE, Socket, connect, refused

CLASSES = ("threads", "gevent", "asyncio")


@pytest.fixture(scope="module", params=CLASSES)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server("sockets_app:chat", "--workers", "2", "-k", request.param) as server:
        yield server
        server.kill()


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    with Server("sockets_app:chat", "--workers", "1", "--threads", "4", "--access-logfile", "-") as server:
        yield server
        server.kill()


def ask(socket: Socket, text: str) -> str | bytes:
    socket.send(text)
    return socket.message()


def ended(socket: Socket) -> int | None:
    """The code with which the server closes; its frame is answered."""
    code, _ = socket.closed()
    socket.frame(CLOSE, (code or 1000).to_bytes(2, "big"))
    return code


def test_events_of_a_socket_come_in_order(server: Server) -> None:
    def talk(_: int) -> None:
        with connect(server, "/count", {"Sec-WebSocket-Protocol": "counted"}) as socket:
            assert (socket.subprotocol, socket.answer.header("x-a")) == ("counted", "b")
            for n in range(100):
                socket.send(f"n{n}")
            for n in range(100):
                count, _worker, text = str(socket.message()).split()
                assert (count, text) == (str(n + 1), f"n{n}"), "a message was overtaken, or its state lost"
            assert socket.close() == (1000, "")

    in_parallel(10, talk)


def test_any_worker_has_any_event(server: Server, tmp_path: Path) -> None:
    def worker() -> str:
        return str(ask(socket, "a")).split()[1]

    with connect(server, "/count") as socket, connect(server, "/does") as one, connect(server, "/does") as two:
        first = str(ask(one, f"wait {tmp_path}/one")).split()[1]
        eventually(lambda: worker() != first, "messages go to the other one, which is up and has less to do")
        second = worker()
        assert ask(two, f"wait {tmp_path}/two") == f"waiting {second}"
        (tmp_path / "one").touch()
        assert str(one.message()).startswith("did wait")
        eventually(lambda: worker() == first, "to the first one, as soon as it is known to be free again")
        (tmp_path / "two").touch()
        assert str(two.message()).startswith("did wait")


def test_messages_of_every_kind_and_length(server: Server) -> None:
    with connect(server, "/echo") as socket:
        for data in ("", "grün", b"", b"\x00\xff", "x" * 70_000, b"y" * 1_000_000, "ü" * 100_000):
            socket.send(data)
            assert socket.message() == data


def test_groups(server: Server) -> None:
    with connect(server, "/chat/a") as one, connect(server, "/chat/a") as two, connect(server, "/chat/b") as other:
        assert ask(one, "hello") == "hello" == two.message()
        one.send("psst, not me")
        assert two.message() == "psst, not me"
        assert ask(one, "and me") == "and me" == two.message()
        two.send("leave")
        assert one.message() == "leave"
        assert ask(one, "alone") == "alone"
        assert ask(other, "here") == "here", "groups of other names get nothing of it"
        two.send("still a client")
        assert one.message() == "still a client"


def test_parameters_cookies_and_query(server: Server) -> None:
    with connect(server, "/item/41/a/b%20c?q=1&q=2", {"Cookie": "a=b; c=d"}) as socket:
        assert socket.message() == "42 a/b c b 2 /item/41/a/b c"


@pytest.mark.parametrize(
    ("target", "status"),
    [("/refused?status=401", 401), ("/refused?status=404", 404), ("/silent", 403), ("/nowhere", 404),
     ("/early", 500), ("/raises", 500), ("/refused?status=200", 500), ("/item/x/y", 404)],
)  # fmt: skip
def test_who_is_not_accepted_gets_an_answer(server: Server, target: str, status: int) -> None:
    assert refused(server, target).status == status


def test_what_is_no_websocket_is_told_so(server: Server) -> None:
    with server.connect() as client:
        assert client.request("POST", "/echo", body=b"x" * 100_000).status == 426
    assert server.get("/echo").status == 426


def test_pages_of_other_origins_are_refused(plain: Server) -> None:
    assert refused(plain, "/echo", {"Origin": "https://elsewhere.example"}).status == 403
    plain.wait_for(r"a WebSocket from a page of https://elsewhere.example is refused; if .*origins=")
    for origin in ("http://testserver", "https://friends.example"):
        with connect(plain, "/echo", {"Origin": origin}) as socket:
            assert ask(socket, "hi") == "hi"


def files_of_traceback(lines: list[str]) -> list[str]:
    """The names of the files that a traceback in the log leads through."""
    return [Path(name).name for line in lines for name in re.findall(r'File "(.+)", line', line)]


def test_a_handler_that_fails_closes_its_socket(server: Server) -> None:
    with connect(server, "/does") as socket:
        seen = len(server.lines)
        socket.send("raise of course")
        socket.send("this is dropped")
        assert ended(socket) == 1011
        server.wait_for("LookupError: of course", after=seen)
        server.wait_for(r"error while handling the event 'receive' of the WebSocket /does", after=seen)
        server.wait_for(r"left /does with 1011: \['begun'\]", after=seen)
        assert files_of_traceback(server.lines[seen:]) == ["sockets_app.py"]
    assert refused(server, "/raises").status == 500
    with connect(server, "/raises?accepted=1") as socket:
        assert ended(socket) == 1011
        server.wait_for("left /raises with 1011", after=seen)


def test_state_is_small_and_plain(server: Server) -> None:
    with connect(server, "/does") as socket:
        assert ask(socket, "state 3000") == "did state: ['begun', 'more']"
        seen = len(server.lines)
        socket.send("state 5000")
        assert ended(socket) == 1011
        server.wait_for(r"socket.state takes 5,\d+ bytes, and at most 4,096 \(websocket_state\)", after=seen)
    with connect(server, "/does") as socket:
        socket.send("object")
        assert ended(socket) == 1011
        server.wait_for(r"socket.state\['object'\] is of the type module; expected None, a number", after=seen)


def test_the_application_closes(server: Server) -> None:
    with connect(server, "/does") as socket:
        seen = len(server.lines)
        socket.send("close 4001")
        assert socket.closed() == (4001, "as asked")
        socket.frame(CLOSE, (4001).to_bytes(2, "big"))
        server.wait_for("left /does with 4001", after=seen)


def test_the_client_is_lost(server: Server) -> None:
    socket = connect(server, "/count")
    seen = len(server.lines)
    socket.send("said before it went")
    socket.client.close()
    server.wait_for(r"left /count with 1006: \['count'\]", after=seen)


def test_a_socket_is_of_no_use_after_its_handler(plain: Server) -> None:
    with connect(plain, "/does") as socket:
        assert ask(socket, "keep") == "did keep: ['begun']"
        socket.send("kept")
        assert ended(socket) == 1011
        plain.wait_for("the handler has returned, and its socket with it")


def test_the_handshake_is_known_on_connect_alone(plain: Server) -> None:
    with connect(plain, "/does") as socket:
        socket.send("headers")
        assert ended(socket) == 1011
        plain.wait_for("is there in the connect handler alone")


def test_more_than_goes_into_one_answer(server: Server) -> None:
    with connect(server, "/does") as socket:
        socket.send("many 2500")
        assert [socket.message() for _ in range(2500)] == [str(n) for n in range(2500)]


def test_a_socket_that_is_named(server: Server) -> None:
    with connect(server, "/does") as one, connect(server, "/does") as two:
        name = str(ask(one, "id"))
        assert re.fullmatch("[A-Z2-7]{20}", name)
        two.send(f"to {name} for you alone")
        assert one.message() == "for you alone"


def test_what_is_flushed_is_done_before_the_handler_returns(server: Server, tmp_path: Path) -> None:
    with connect(server, "/does") as socket:
        assert str(ask(socket, f"wait {tmp_path}/go")).startswith("waiting")
        (tmp_path / "go").touch()
        assert str(socket.message()).startswith("did wait")


def test_a_client_that_goes_before_it_is_accepted(plain: Server, tmp_path: Path) -> None:
    seen = len(plain.lines)
    client = plain.connect()
    fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    client.send_request(
        "GET", f"/slow?until={tmp_path}/go", {**fields, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    )
    client.close()
    plain.wait_for(r'"GET /slow', after=seen)  # the server knows it
    (tmp_path / "go").touch()
    plain.wait_for("left /slow with 1006", after=seen)


def test_a_client_that_is_faster_than_its_handler_is_not_read(plain: Server, tmp_path: Path) -> None:
    with connect(plain, "/does") as socket:
        assert str(ask(socket, f"wait {tmp_path}/go")).startswith("waiting")
        socket.client.sock.settimeout(1.0)
        sent = 0
        with pytest.raises(TimeoutError):
            for _ in range(64):
                socket.send("x" * 999_999)
                sent += 1
        assert sent < 20, "what fits into the sockets' buffers and a queue"
        (tmp_path / "go").touch()
        socket.client.sock.settimeout(20.0)
        assert str(socket.message()).startswith("did wait")
        for _ in range(sent):
            assert str(socket.message()).startswith("did xxx")


def test_the_access_log_has_a_line_for_a_socket(plain: Server) -> None:
    seen = len(plain.lines)
    with connect(plain, "/echo?for=log") as socket:
        assert ask(socket, "a") == "a"
        assert not [line for line in plain.lines[seen:] if "for=log" in line]
        socket.close()
        plain.wait_for('"GET /echo.for=log HTTP/1.1" 101 ', after=seen)


@pytest.mark.parametrize("flags", [(), ("-k", "threads"), ("-k", "gevent")], ids=str)
def test_coroutines(serve: Callable[..., Server], flags: tuple[str, ...]) -> None:
    server = serve("sockets_async:chat", "--workers", "1", *flags)

    def talk(_: int) -> None:
        with connect(server, "/echo") as socket:
            for n in range(5):
                socket.send(f"n{n}")
            for n in range(5):
                assert socket.message() == f"first n{n}"
                assert str(socket.message()).endswith(f" n{n}")
            assert socket.close() == (1000, "")

    in_parallel(10, talk)
    with connect(server, "/plain") as socket:
        assert ask(socket, "a") == "first a"
        assert str(socket.message()).startswith("11 ")
    with connect(server, "/echo") as socket:
        seen = len(server.lines)
        socket.send("raise")
        assert ended(socket) == 1011
        server.wait_for("LookupError: of course", after=seen)
        assert files_of_traceback(server.lines[seen:]) == ["sockets_async.py"]


# What happens to workers.


def crowd(server: Server, number: int) -> list[Socket]:
    return [connect(server, "/count") for _ in range(number)]


def still_there(sockets: list[Socket]) -> int:
    """Say one more thing on each; gives how many messages were lost before."""
    for socket in sockets:
        socket.send("last")
    lost = 0
    for socket in sockets:
        texts: list[str] = []
        while not texts or texts[-1] != "last":
            texts.append(str(socket.message()).split()[2])
        lost += SAID - (len(texts) - 1)
        assert texts[:-1] == sorted(set(texts[:-1])), "in order, and none twice"
    return lost


SAID = 4
TALKING = 500


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_kill_9_of_every_worker_loses_no_socket(serve: Callable[..., Server], kind: str) -> None:
    server = serve("sockets_app:chat", "--workers", "2", "--threads", "4", "-k", kind)
    sockets = crowd(server, TALKING)
    try:
        for n in range(SAID):
            for socket in sockets:
                socket.send(f"{n}")
            if n == 1:
                for worker in children(server):
                    os.kill(worker, signal.SIGKILL)
        lost = still_there(sockets)
        assert lost <= 2 * 4, "more than were in a handler's hands"
        assert not lost or server.count("a worker ended in the middle of a WebSocket's message"), server.log
    finally:
        for socket in sockets:
            socket.client.close()


def test_hup_while_sockets_talk(serve: Callable[..., Server]) -> None:
    server = serve("sockets_app:chat", "--workers", "2")
    before = set(children(server))
    sockets = crowd(server, 50)
    try:
        for n in range(SAID):
            for socket in sockets:
                socket.send(f"{n}")
            if n == 1:
                server.signal(signal.SIGHUP)
        assert still_there(sockets) == 0
        eventually(lambda: not before & set(children(server)), "the old workers end, though the sockets are there")
        [socket, *_] = sockets
        assert str(ask(socket, "new")).startswith(f"{SAID + 2} ")
    finally:
        for socket in sockets:
            socket.client.close()


@pytest.mark.parametrize("again", [False, True])
def test_a_worker_that_dies_in_a_handler(serve: Callable[..., Server], again: bool, tmp_path: Path) -> None:
    server = serve("sockets_app:chat", "--workers", "1", *(["--websocket-redeliver"] if again else []))
    with connect(server, "/does") as socket:
        socket.send(f"die {tmp_path}/begun")
        assert ask(socket, "state 1") == "did state: ['begun', 'more']"
        server.wait_for(r"a worker ended in the middle of a WebSocket's message, which is lost.*target=/does")
    assert (tmp_path / "begun").read_text().count("begun") == (2 if again else 1)


def test_a_stop_tells_clients_and_applications(serve: Callable[..., Server]) -> None:
    server = serve("sockets_app:chat", "--workers", "1")
    sockets = crowd(server, 3)
    server.signal(signal.SIGTERM)
    for socket in sockets:
        assert ended(socket) == 1001
    assert server.wait() == 0
    assert server.count(r"left /count with 1001: \['count'\]") == 3, server.log


def test_an_upgrade_leaves_sockets_with_the_old_process(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("sockets_app:chat", "--workers", "1", "--websocket-drain", "2s", "--pid", str(tmp_path / "pid"))
    with connect(server, "/count") as socket:
        server.signal(signal.SIGUSR2)
        server.wait_for("upgrade: a new process serves")
        assert str(ask(socket, "a")).startswith("1 "), "its workers stay as long as it has sockets"
        assert ended(socket) == 1012
        server.wait_for("left /count with 1012")
        assert server.wait() == 0
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)


def test_ps_counts_none_at_the_workers(serve: Callable[..., Server]) -> None:
    server = serve("sockets_app:chat", "--workers", "1")
    with connect(server, "/count") as socket:
        assert str(ask(socket, "a")).startswith("1 ")
        [pool] = command(server, "ps")["pools"]
        [worker] = pool["workers"]
        assert (worker["interface"], worker["sockets"], worker["in_flight"]) == ("sockets", 0, 0)


# Beside an application.


def test_beside_wsgi(serve: Callable[..., Server]) -> None:
    server = serve("wsgi_http:app", "--websocket", "sockets_app:chat", "--websocket-workers", "2")
    assert server.get("/").status == 200
    with connect(server, "/chat/a") as socket:
        assert ask(socket, "hi") == "hi"


def test_a_pool_of_its_own(serve: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "backline.toml").write_text(
        'app = "wsgi_http:app"\nworkers = 1\n'
        '[pool.chat]\napp = "sockets_app:chat"\nworkers = 2\nworker_class = "gevent"\n'
        '[[route]]\npath = "/chat"\nprotocol = "websocket"\npool = "chat"\n'
    )
    server = serve("wsgi_http:app", "--config", str(tmp_path / "backline.toml"))
    assert server.get("/chat/a").status == 404, "a page, or none, of the other application"
    with connect(server, "/chat/a") as socket:
        assert ask(socket, "hi") == "hi"


def cookies(answer: Answer) -> dict[str, str]:
    return {"Cookie": "; ".join(each.split(";")[0] for each in answer.all("set-cookie"))}


@pytest.mark.parametrize("kind", CLASSES)
def test_djangos_session_and_user(serve: Callable[..., Server], kind: str, tmp_path: Path) -> None:
    (tmp_path / "backline.toml").write_text(f'[pool.live]\nworker_class = "{kind}"\n')
    flags = ("--workers", "1", "--websocket", "sockets_django:chat", "--config", str(tmp_path / "backline.toml"))
    server = serve("sockets_django:application", *flags, env={"DATABASE": str(tmp_path / "site.sqlite3")})
    known = cookies(server.get("/login"))
    with connect(server, "/me", known) as socket:
        assert socket.message() == "ada green /me"
        assert ask(socket, "hello") == "ada: hello"
    assert refused(server, "/me").status == 401


def test_flasks_session(serve: Callable[..., Server]) -> None:
    server = serve("sockets_flask:app", "--workers", "1", "--websocket", "sockets_flask:chat")
    known = cookies(server.get("/login"))
    with connect(server, "/me?q=1", known) as socket:
        assert socket.message() == "ada /me 1"
        server.get("/broadcast")
        assert socket.message() == "from a view"
    assert refused(server, "/me?q=1").status == 401
