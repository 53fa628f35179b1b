"""Reading the request body by ``wsgi.input`` (PEP 3333, "Input and Error Streams")."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from harness import Server
from wsgi_gate import Gate
from wsgi_loops import WSGI_LOOPS

LINES = b"first\nsecond\n\nlast without end"


@pytest.fixture(params=WSGI_LOOPS)
def server(request: pytest.FixtureRequest, shared: Callable[..., Server]) -> Server:
    return shared("wsgi_input:app", "--workers", "1", *request.param)


@pytest.fixture(params=WSGI_LOOPS)
def raw(request: pytest.FixtureRequest, shared: Callable[..., Server]) -> Server:
    """The same without wsgiref's validator, which forbids calls that PEP 3333 leaves open, such as read()."""
    return shared("wsgi_input:raw", "--workers", "1", *request.param)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


def ways(server: Server, body: bytes, *calls: str, expect: bool = False) -> Any:
    headers = {"Expect": "100-continue"} if expect else {}
    with server.connect() as client:
        target = "/ways?do=" + quote(",".join(calls))
        if expect:
            client.send_request("POST", target, {**headers, "Content-Length": str(len(body))})
            assert client.head().status == 100
            client.send(body)
            answer = client.answer()
        else:
            answer = client.request("POST", target, {"Content-Length": str(len(body))}, body)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


READS: list[tuple[tuple[str, ...], list[Any]]] = [
    (("read:5", "read:1", "read:3"), ["first", "\n", "sec"]),
    (("read:-1", "read:1", "read:-1"), [LINES.decode(), "", ""]),
    (("read:1000", "read:1000"), [LINES.decode(), ""]),
    (("read:0", "read:5"), ["", "first"]),
    (("readline", "readline", "readline", "readline", "readline"),
     ["first\n", "second\n", "\n", "last without end", ""]),
    (("readline:3", "readline:100", "readline:0"), ["fir", "st\n", ""]),
    (("readlines", "readlines"), [["first\n", "second\n", "\n", "last without end"], []]),
    (("iter", "iter", "read:1"), [["first\n", "second\n", "\n", "last without end"], [], ""]),
    (("read:6", "iter"), ["first\n", ["second\n", "\n", "last without end"]]),
    (("readline", "read:3", "readlines"), ["first\n", "sec", ["ond\n", "\n", "last without end"]]),
]  # fmt: skip


@pytest.mark.parametrize("streamed", [False, True], ids=["collected", "streamed"])
@pytest.mark.parametrize(("calls", "expected"), READS, ids=[",".join(calls) for calls, _ in READS])
def test_g10_every_way_of_reading(server: Server, calls: tuple[str, ...], expected: list[Any], streamed: bool) -> None:
    assert ways(server, LINES, *calls, expect=streamed) == expected


@pytest.mark.parametrize("streamed", [False, True], ids=["collected", "streamed"])
def test_g10_read_without_a_size(raw: Server, streamed: bool) -> None:
    assert ways(raw, LINES, "read", "read", expect=streamed) == [LINES.decode(), ""]


def test_g10_end_of_input_does_not_block(server: Server) -> None:
    for headers in ({}, {"Content-Length": "0"}):
        with server.connect() as client:
            answer = client.request("POST", "/ways?do=read:10,readline,readlines,iter,read:-1", headers)
            assert json.loads(answer.body) == ["", "", [], [], ""]


def test_g10_never_past_the_body(server: Server) -> None:
    """What follows on the connection is the next request, not more body."""
    with server.connect() as client:
        client.send(
            b"POST /ways?do=read:100,read:100 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
            b"POST /ways?do=read:100 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nde"
        )
        assert json.loads(client.answer().body) == ["abc", ""]
        assert json.loads(client.answer().body) == ["de"]


def test_g11_a_body_that_breaks_off_is_an_os_error(server: Server) -> None:
    """Only a body that streams (Expect) can break off under the application."""
    at = len(server.lines)
    with server.connect() as client:
        client.send_request("POST", "/short", {"Content-Length": "1000", "Expect": "100-continue"})
        assert client.head().status == 100
        client.send(b"half")
        server.wait_for("reading a body", after=at)
    server.wait_for("read raised ClientDisconnected, a ConnectionError: True", after=at)
    assert "read took half a body for a whole one" not in "\n".join(server.lines[at:])


def test_g11_a_broken_collected_body_never_reaches_the_application(server: Server) -> None:
    at = len(server.lines)
    with server.connect() as client:
        client.send_request("POST", "/short", {"Content-Length": "1000"}, b"half")
    assert server.get("/ignore").status == 200
    assert "reading a body" not in "\n".join(server.lines[at:])


def test_g12_chunked_bodies_are_decoded(server: Server) -> None:
    with server.connect() as client:
        client.send(b"POST /digest HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"3\r\nabc\r\nA;name=value\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n")
        seen = json.loads(client.answer().body)
        assert (seen["total"], seen["length"], seen["terminated"], seen["te"]) == (13, "13", True, None)
        assert client.request("GET", "/ignore").text == "not read"  # the trailer was eaten too


def test_g12_chunked_body_after_expect_has_a_length_too(server: Server) -> None:
    """Django takes a body without a length for empty, and "curl -T -" sends it so."""
    with server.connect() as client:
        client.send_request("POST", "/digest", {"Transfer-Encoding": "chunked", "Expect": "100-continue"})
        assert client.head().status == 100
        client.send(b"3\r\nabc\r\n0\r\n\r\n")
        seen = json.loads(client.answer().body)
    assert (seen["total"], seen["length"], seen["terminated"]) == (3, "3", True)


def test_g13_continue_comes_with_the_first_read_only(server: Server, gate: Gate) -> None:
    with server.connect() as client:
        client.send_request("POST", f"/slow?{gate}", {"Content-Length": "4", "Expect": "100-continue"})
        client.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)  # the application has not read yet
        client.sock.settimeout(20)
        gate.open()
        assert client.head().status == 100
        client.send(b"body")
        answer = client.answer()
        assert (answer.status, answer.body, answer.interim) == (200, b"body", [])


def test_g13_no_continue_for_an_application_that_does_not_read(server: Server) -> None:
    with server.connect() as client:
        client.send_request("POST", "/ignore", {"Content-Length": "4", "Expect": "100-continue"})
        answer = client.answer()
        assert (answer.status, answer.interim) == (200, [])
        assert answer.header("connection") == "close"
        client.send(b"GET ")  # a client that sends its four bytes all the same
        assert client.at_end()


def test_g13_partly_read_streamed_body_closes(server: Server) -> None:
    with server.connect() as client:
        client.send_request("POST", "/some?n=3", {"Content-Length": "50", "Expect": "100-continue"})
        assert client.head().status == 100
        client.send(b"abcGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.answer().text == "read abc"
        assert client.at_end()


def test_g13_unread_collected_body_is_not_the_next_request(server: Server) -> None:
    hidden = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
    with server.connect() as client:
        assert client.request("POST", "/ignore", body=hidden).text == "not read"
        assert client.request("GET", "/ways?do=read:1").status == 200
