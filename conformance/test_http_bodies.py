"""Request bodies: intact at every size, collected before a worker is asked, and what the edge writes of its own."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable

import pytest
from harness import Client, Server, in_parallel

SIZES = [0, 1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20]


@pytest.fixture
def server(shared: Callable[..., Server]) -> Server:
    return shared("wsgi_http:app", "--workers", "1", "--threads", "8")


@pytest.fixture
def one(shared: Callable[..., Server]) -> Server:
    """One worker with one thread: whoever holds it holds everybody up."""
    return shared("wsgi_http:raw", "--workers", "1", "--threads", "1")


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def send_chunked(client: Client, body: bytes, target: str = "/echo", piece: int = 50_000) -> None:
    client.send(f"POST {target} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    for at in range(0, len(body), piece):
        part = body[at : at + piece]
        client.send(b"%x\r\n" % len(part) + part + b"\r\n")
    client.send(b"0\r\n\r\n")


@pytest.mark.parametrize("size", SIZES)
def test_http_echo_with_content_length(server: Server, size: int) -> None:
    body = content(size)
    with server.connect() as client:
        for _ in range(2):  # the second shows that the first left nothing behind
            answer = client.request("POST", "/echo", {"Content-Length": str(size)}, body)
            assert answer.body == body
            assert answer.header("x-length") == str(size)


@pytest.mark.parametrize("size", SIZES)
def test_http_echo_chunked_gets_a_content_length(server: Server, size: int) -> None:
    body = content(size)
    with server.connect() as client:
        for piece in (50_000, 1 << 20):
            send_chunked(client, body, piece=piece)
            answer = client.answer()
            assert answer.body == body
            assert answer.header("x-length") == str(size)


@pytest.mark.parametrize("size", SIZES[1:])
def test_http_echo_after_expect(server: Server, size: int) -> None:
    body = content(size)
    with server.connect() as client:
        client.send_request("POST", "/echo", {"Content-Length": str(size), "Expect": "100-continue"})
        assert client.head().status == 100
        client.send(body)
        assert client.answer().body == body
        client.send_request("POST", "/echo", {"Transfer-Encoding": "chunked", "Expect": "100-continue"})
        assert client.head().status == 100
        client.send(b"%x\r\n" % size + body + b"\r\n0\r\n\r\n")
        answer = client.answer()
        assert (answer.body, answer.header("x-length")) == (body, str(size))
        assert client.request("GET", "/").text == "hello"


def test_http_expect_with_the_body_already_there(server: Server) -> None:
    """A client that does not wait needs no 100 (RFC 9110 10.1.1)."""
    with server.connect() as client:
        client.send_request("POST", "/echo", {"Expect": "100-continue"}, b"at once")
        answer = client.answer()
        assert answer.body == b"at once"
        assert client.request("GET", "/").text == "hello"


def test_http_expect_without_a_body(server: Server) -> None:
    with server.connect() as client:
        answer = client.request("GET", "/", {"Expect": "100-continue"})
        assert (answer.text, answer.interim) == ("hello", [])
        client.send(b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab")
        assert client.head().status == 200  # 1xx is not for HTTP/1.0


def test_http_unknown_expectation(server: Server) -> None:
    with server.connect() as client:
        answer = client.request("POST", "/echo", {"Expect": "miracles"}, b"x")
        assert answer.status in (200, 417)


def test_http_slow_upload_holds_no_worker(one: Server) -> None:
    body = content(200_000)
    with one.connect() as slow, one.connect() as chunked, one.connect() as asking:
        slow.send_request("POST", "/echo", {"Content-Length": str(len(body))}, body[:100_000])
        chunked.send_request("POST", "/echo", {"Transfer-Encoding": "chunked"}, b"3\r\nabc\r\n5\r\nde")
        asking.send_request("POST", "/echo", {"Transfer-Encoding": "chunked", "Expect": "100-continue"})
        assert asking.head().status == 100
        asking.send(b"3\r\nabc\r\n5\r\nde")
        for _ in range(20):
            assert one.get("/").text == "hello"
        slow.send(body[100_000:])
        assert slow.answer().body == body
        for client in (chunked, asking):
            client.send(b"fgh\r\n0\r\n\r\n")
            assert client.answer().body == b"abcdefgh"


def test_http_uploads_at_once(one: Server) -> None:
    def upload(n: int) -> bool:
        body = content(300_000 + n)
        with one.connect() as client:
            send_chunked(client, body, "/digest", 7000)
            seen = json.loads(client.answer().body)
        return (seen["sha256"], seen["length"]) == (hashlib.sha256(body).hexdigest(), str(len(body)))

    assert all(in_parallel(20, upload))


def test_http_abandoned_upload_reaches_nobody(one: Server) -> None:
    at = len(one.lines)
    for _ in range(20):
        with one.connect() as client:
            client.send_request("POST", "/short", {"Content-Length": "100000"}, b"x" * 50_000)
    assert one.get("/").text == "hello"
    assert "reading a body" not in "\n".join(one.lines[at:])


DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")


def test_http_date_and_server(one: Server) -> None:
    answer = one.get("/")
    assert DATE.fullmatch(answer.header("date") or "")
    assert answer.header("server") == "backline"
    answer = one.get("/fields")
    assert answer.all("date") == ["Thu, 01 Jan 1970 00:00:00 GMT"]
    assert answer.all("server") == ["mine"]


def test_http_date_and_server_can_be_left_out(serve: Callable[..., Server]) -> None:
    answer = serve("wsgi_http:app", "--workers", "1", "--no-server-header", "--no-date-header").get("/")
    assert (answer.header("date"), answer.header("server")) == (None, None)


def test_http_head_has_the_length_of_get(one: Server) -> None:
    assert one.request("HEAD", "/").header("content-length") == "5"
    assert one.request("HEAD", "/write").header("transfer-encoding") in (None, "chunked")
    with one.connect() as client:
        for target in ("/", "/write", "/large?n=5", "/missing", "/length?promise=4&n=4"):
            client.send_request("HEAD", target)
            assert client.answer("HEAD").status in (200, 404)
        assert client.request("GET", "/").text == "hello"
