"""One connection and many requests: keep-alive, pipelining, old clients, half-closing ones, odd segments."""

from __future__ import annotations

import random
import socket
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Client, Server
from wsgi_gate import Gate


@pytest.fixture
def server(shared: Callable[..., Server]) -> Server:
    return shared("wsgi_http:app", "--workers", "1", "--threads", "8")


@pytest.fixture
def raw(shared: Callable[..., Server]) -> Server:
    return shared("wsgi_http:raw", "--workers", "1", "--threads", "8")


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


def get(target: str = "/", *lines: str, version: str = "1.1") -> bytes:
    return "".join(f"{line}\r\n" for line in (f"GET {target} HTTP/{version}", "Host: h", *lines, "")).encode()


@pytest.mark.parametrize("connection", ["keep-alive", "Keep-Alive", "foo, keep-alive", "upgrade, keep-alive"])
def test_http_11_keeps_the_connection(server: Server, connection: str) -> None:
    with server.connect() as client:
        for _ in range(3):
            answer = client.request("GET", "/", {"Connection": connection})
            assert (answer.text, answer.header("connection")) == ("hello", None)


@pytest.mark.parametrize("connection", ["close", "Close", "foo, close", "keep-alive, close"])
def test_http_11_close(server: Server, connection: str) -> None:
    with server.connect() as client:
        answer = client.request("GET", "/", {"Connection": connection})
        assert (answer.text, answer.header("connection")) == ("hello", "close")
        assert client.at_end()


def test_http_10_closes(server: Server) -> None:
    with server.connect() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")  # no Host either
        answer = client.answer()
        assert (answer.text, answer.header("connection")) == ("hello", "close")
        assert client.at_end()


def test_http_10_keep_alive_when_asked(raw: Server) -> None:
    """Where the length is known, which wsgiref's validator hides."""
    with raw.connect() as client:
        for _ in range(3):
            client.send(get("/", "Connection: keep-alive", version="1.0"))
            answer = client.answer()
            assert (answer.text, answer.header("connection")) == ("hello", "keep-alive")
        client.send(get("/", version="1.0"))
        assert client.answer().header("connection") == "close"
        assert client.at_end()


def test_http_10_never_gets_chunks(server: Server) -> None:
    with server.connect() as client:
        client.send(get("/write", version="1.0"))
        answer = client.answer()
        assert (answer.text, answer.header("transfer-encoding")) == ("written twice and returned", None)


def test_http_12_is_11(server: Server) -> None:
    with server.connect() as client:
        client.send(get("/", version="1.2"))
        assert client.answer().text == "hello"
        assert client.request("GET", "/").text == "hello"


def test_http_application_may_close(server: Server) -> None:
    with server.connect() as client:
        answer = client.request("GET", "/fields")
        assert answer.header("connection") == "close"
        assert client.at_end()


def test_http_pipelined_answers_in_order(server: Server) -> None:
    with server.connect() as client:
        client.send(b"".join(get(f"/count?token=p{n}") for n in range(200)))
        assert [client.answer().text for _ in range(200)] == [f"p{n}" for n in range(200)]


def test_http_pipelined_with_bodies(server: Server) -> None:
    with server.connect() as client:
        for size in (0, 1, 3000, 70_000):
            client.send_request("POST", "/echo", {"Content-Length": str(size)}, b"b" * size)
            client.send(b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
        for size in (0, 1, 3000, 70_000):
            assert client.answer().body == b"b" * size
            assert client.answer().body == b"ab"


def test_http_pipelined_request_waits_for_the_answer_before_it(server: Server, gate: Gate) -> None:
    token = uuid.uuid4().hex
    with server.connect() as client:
        client.send(get(f"/steps?n=1&{gate}") + get(f"/count?token={token}"))
        assert client.head().status == 200
        assert server.get("/count?token=elsewhere").text == "elsewhere"  # there are free threads
        assert server.count(f"called {token}") == 0
        gate.open()
        assert list(client.chunks()) == [b"step 0"]
        assert client.answer().text == token


@pytest.mark.parametrize("bad", ["GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", "NONSENSE\r\n\r\n"])
def test_http_pipelined_request_after_a_wrong_one_is_not_executed(server: Server, bad: str) -> None:
    before, after, last = (uuid.uuid4().hex for _ in range(3))
    with server.connect() as client:
        client.send(get(f"/count?token={before}") + bad.encode() + get(f"/count?token={after}"))
        assert client.answer().text == before  # a valid request is answered, whatever follows it
        assert client.answer().status == 400
        assert client.at_end()
    assert server.get(f"/count?token={last}").text == last
    server.wait_for(f"called {last}")  # the log may be behind the answers
    assert (server.count(f"called {before}"), server.count(f"called {after}")) == (1, 0)


def test_http_pipelined_request_after_a_closing_one_is_not_executed(server: Server) -> None:
    token = uuid.uuid4().hex
    with server.connect() as client:
        client.send(get("/", "Connection: close") + get(f"/count?token={token}"))
        assert client.answer().text == "hello"
        assert client.at_end()
    assert server.get("/").status == 200
    assert server.count(f"called {token}") == 0


def test_http_wrong_request_after_head_is_answered_whole(server: Server) -> None:
    """The error's body must not be left out because the request before it was HEAD."""
    with server.connect() as client:
        assert client.request("HEAD", "/").status == 200
        client.send(b"NONSENSE\r\n\r\n")
        answer = client.answer()
        assert (answer.status, answer.complete) == (400, True)
        assert answer.body


def test_http_many_requests_on_one_connection(server: Server) -> None:
    with server.connect() as client:
        for n in range(2000):
            client.send(get(f"/count?token={n}"))
            assert client.answer().text == str(n)


def test_http_empty_lines_before_a_request(server: Server) -> None:
    with server.connect() as client:
        client.send(b"\r\n\r\n" + get())
        assert client.answer().text == "hello"
        client.send(b"\r\n" + get())
        assert client.answer().text == "hello"


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_http_small_segments(server: Server, size: int) -> None:
    stream = (
        get("/count?token=x", "Cookie: a=b")
        + b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nT: t\r\n\r\n"
        + b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345"
    )
    with server.connect() as client:
        for at in range(0, len(stream), size):
            client.send(stream[at : at + size])
        assert [client.answer().text for _ in range(3)] == ["x", "hello!", "12345"]


@pytest.mark.parametrize("seed", range(10))
def test_http_random_segments(server: Server, seed: int) -> None:
    """However TCP cuts a valid stream of requests, the answers are the same."""
    chance = random.Random(seed)
    stream = b""
    expected: list[bytes] = []
    for n in range(30):
        body = chance.randbytes(chance.choice([0, 1, 10, 300, 5000, 70_000]))
        if chance.random() < 0.4:
            stream, expected = stream + get(f"/count?token=t{n}"), [*expected, b"t%d" % n]
        elif chance.random() < 0.5:
            stream += b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            expected.append(body)
        else:
            stream += b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, chance)
            expected.append(body)
    with server.connect() as client:
        at = 0
        while at < len(stream):
            size = chance.choice([1, 5, 100, 1460, 20_000])
            client.send(stream[at : at + size])
            at += size
        assert [client.answer().body for _ in expected] == expected


def chunked(body: bytes, chance: random.Random) -> bytes:
    framed, at = b"", 0
    while at < len(body):
        size = chance.randint(1, 3000)
        piece = body[at : at + size]
        framed += b"%x\r\n" % len(piece) + piece + b"\r\n"
        at += size
    return framed + b"0\r\n\r\n"


def half_close(client: Client) -> None:
    client.sock.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_http_half_closing_client_gets_its_answer(server: Server, version: str) -> None:
    with server.connect() as client:
        client.send(get("/write", version=version))
        half_close(client)
        assert client.answer().text == "written twice and returned"
        assert client.at_end()


def test_http_half_closing_client_gets_a_slow_answer(server: Server, gate: Gate) -> None:
    with server.connect() as client:
        client.send(get(f"/steps?n=2&{gate}"))
        half_close(client)
        assert client.head().status == 200
        chunks = client.chunks()
        for n in range(2):
            assert next(chunks) == b"step %d" % n
            gate.open()
        assert list(chunks) == []
        assert client.at_end()


def test_http_half_closing_client_gets_all_its_answers(server: Server) -> None:
    with server.connect() as client:
        client.send(b"".join(get(f"/count?token=h{n}") for n in range(20)))
        half_close(client)
        assert [client.answer().text for _ in range(20)] == [f"h{n}" for n in range(20)]
        assert client.at_end()


def test_http_half_closed_upload(server: Server) -> None:
    with server.connect() as client:
        client.send_request("POST", "/echo", body=b"b" * 200_000)
        half_close(client)
        assert client.answer().body == b"b" * 200_000


def test_http_connection_that_says_nothing(server: Server) -> None:
    with server.connect() as client:
        half_close(client)
        assert client.at_end()


def test_http_half_a_head_then_the_end(server: Server) -> None:
    with server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: ")
        half_close(client)
        client.fill()
        assert b"200" not in client.buffer
