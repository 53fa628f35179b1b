"""Answers on their way to clients that are slow, that go away, and that are many."""

from __future__ import annotations

import os
import socket
import struct
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from harness import PATIENCE, Client, Server, eventually, in_parallel
from wsgi_gate import Gate

BLOCK = 16384  # bytes of one piece of /large


@pytest.fixture
def one(shared: Callable[..., Server]) -> Server:
    """One worker with one thread: whoever holds it holds everybody up."""
    return shared("wsgi_http:raw", "--workers", "1", "--threads", "1")


@pytest.fixture
def small(shared: Callable[..., Server]) -> Server:
    """Little room for what a client has not taken yet."""
    return shared(
        "wsgi_http:raw", "--workers", "1", "--threads", "1", "--answer-memory", "64KiB", "--answer-file", "1MiB",
        "--write-timeout", "3s",
    )  # fmt: skip


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


def connect_narrow(server: Server) -> Client:
    """A client whose kernel takes little that it has not read."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.settimeout(PATIENCE)
    sock.connect(("127.0.0.1", server.port))
    return Client(sock)


def descriptors(server: Server) -> list[str]:
    """What the server's open descriptors are."""
    found = []
    for link in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(link))
    return found


def sockets(server: Server) -> int:
    return sum(1 for name in descriptors(server) if name.startswith("socket:"))


def opened_in(server: Server, folder: Path) -> int:
    return sum(1 for name in descriptors(server) if name.startswith(str(folder)))


def blocks(n: int) -> bytes:
    return b"".join(b"%08d" % k * (BLOCK // 8) for k in range(n))


def reset(client: Client) -> None:
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_http_event_stream(one: Server, gate: Gate) -> None:
    with one.connect() as client:
        client.send_request("GET", f"/steps?n=3&{gate}")
        assert client.head().header("transfer-encoding") == "chunked"
        chunks = client.chunks()
        for n in range(3):
            assert next(chunks) == b"step %d" % n  # the next is not even made before the gate opens
            gate.open()
        assert list(chunks) == []
        assert client.request("GET", "/").text == "hello"


def test_http_slow_reader_holds_no_worker(one: Server, token: str) -> None:
    with connect_narrow(one) as slow:
        slow.send_request("GET", f"/large?n=500&token={token}")
        one.wait_for(f"all {token} made")  # 8 MB: memory, then a temporary file
        for _ in range(20):
            assert one.get("/").text == "hello"
        assert slow.answer().body == blocks(500)


def test_http_several_slow_readers(one: Server) -> None:
    slow = [connect_narrow(one) for _ in range(10)]
    for client in slow:
        client.send_request("GET", "/large?n=150")
    assert one.get("/").text == "hello"
    assert all(in_parallel(10, lambda n: slow[n].answer().body == blocks(150)))
    for client in slow:
        client.close()


def test_http_answer_beyond_all_limits_makes_the_worker_wait(small: Server, token: str) -> None:
    with connect_narrow(small) as slow:
        slow.send_request("GET", f"/large?n=1500&token={token}")  # 24 MB with room for some 5
        head = slow.head()
        assert head.status == 200
        chunks, received = slow.chunks(), b""
        while len(received) < 1_000_000:
            received += next(chunks) or b""
        assert small.count(f"all {token} made") == 0  # it waits
        received += b"".join(chunk or b"<cut>" for chunk in chunks)
        assert received == blocks(1500)
    small.wait_for(f"all {token} made")
    assert small.count(f"closed {token}") == 1


def test_http_pipelined_large_answers(small: Server) -> None:
    with connect_narrow(small) as slow:
        for _ in range(4):
            slow.send_request("GET", "/large?n=200")
        for _ in range(4):
            assert slow.answer().body == blocks(200)


def test_http_client_that_takes_nothing_is_cut(small: Server, token: str) -> None:
    with connect_narrow(small) as stuck:
        stuck.send_request("GET", f"/endless?token={token}")
        small.wait_for(f"closed {token}")  # --write-timeout 3s: the worker is free again
        assert small.get("/").text == "hello"


@pytest.mark.parametrize("goodbye", [reset, Client.close], ids=["reset", "close"])
@pytest.mark.parametrize("target", ["/endless", "/large?n=2000"])
def test_http_client_that_goes_in_the_middle(
    small: Server, token: str, goodbye: Callable[[Client], None], target: str
) -> None:
    with connect_narrow(small) as client:
        client.send_request("GET", f"{target}{'&' if '?' in target else '?'}token={token}")
        client.read_until(b"\r\n\r\n")
        goodbye(client)
    small.wait_for(f"closed {token} on the same thread")
    assert small.get("/").text == "hello"
    assert small.count(f"closed {token}") == 1


def test_http_clients_that_reset_at_any_moment(one: Server) -> None:
    for n in range(60):
        client = one.connect()
        client.send_request("GET", f"/large?n={n % 7 + 1}")
        if n % 3:
            client.sock.settimeout(1)
            client.fill()
        reset(client)
    with one.connect() as client:
        assert client.request("GET", "/large?n=5").body == blocks(5)


def test_http_one_client_resets_while_others_go_on(one: Server) -> None:
    def work(n: int) -> bool:
        with one.connect() as client:
            if n % 2:
                client.send_request("GET", "/large?n=50")
                client.fill()
                reset(client)
                return True
            return all(client.request("GET", "/large?n=9").body == blocks(9) for _ in range(10))

    assert all(in_parallel(16, work))


def test_http_two_hundred_connections_at_once(one: Server) -> None:
    clients = [one.connect() for _ in range(200)]

    def work(n: int) -> bool:
        for k in range(5):
            answer = clients[n].request("GET", f"/count?token=c{n}x{k}")
            if answer.text != f"c{n}x{k}":
                return False
        return True

    assert all(in_parallel(200, work))
    for client in clients:
        client.close()


def test_http_two_hundred_requests_before_any_is_read(one: Server) -> None:
    clients = [one.connect() for _ in range(200)]
    for n, client in enumerate(clients):
        client.send_request("GET", f"/count?token=n{n}")
    assert [client.answer().text for client in clients] == [f"n{n}" for n in range(200)]
    for client in clients:
        client.close()


def test_http_waiting_requests_of_clients_that_left_are_not_run(one: Server, gate: Gate, token: str) -> None:
    """The one thread is busy, so they wait in the server's queue; nobody would read their answers."""
    with one.connect() as busy:
        busy.send_request("GET", f"/steps?n=1&{gate}")
        assert busy.head().status == 200
        before = sockets(one)
        with ExitStack() as leaving:
            for _ in range(10):
                client = leaving.enter_context(one.connect())
                client.send_request("POST", f"/count?token={token}", body=b"x")
            eventually(lambda: sockets(one) == before + 10, "the server has let them in")
        eventually(lambda: sockets(one) == before, "the server has seen them leave")
        gate.open()
        assert list(busy.chunks()) == [b"step 0"]
    assert one.get("/").text == "hello"
    assert one.count(f"called {token}") == 0


def test_http_temporary_files_have_no_name(serve: Callable[..., Server], tmp_path: Path, token: str) -> None:
    server = serve("wsgi_http:raw", "--workers", "1", "--threads", "1", "--temp-dir", str(tmp_path))
    with connect_narrow(server) as slow:
        slow.send_request("GET", f"/large?n=500&token={token}")
        server.wait_for(f"all {token} made")
        body = b"b" * (3 << 20)
        assert server.request("POST", "/echo", body=body).body == body
        assert list(tmp_path.iterdir()) == []
        eventually(lambda: opened_in(server, tmp_path) == 1, "only the slow client's answer has a file")
        assert slow.answer().body == blocks(500)
    eventually(lambda: opened_in(server, tmp_path) == 0, "the file is closed")
