"""What send() does with a correct answer (ASGI www 2.3): H22 to H30, H33, H34 of the checklist."""

from __future__ import annotations

import json
import time
import uuid

import pytest
from asgi_variants import LOOPS, VARIANTS, SharedServers, seen
from harness import Answer, Server


@pytest.fixture(params=VARIANTS, ids=str)
def server(shared: SharedServers, request: pytest.FixtureRequest) -> Server:
    return shared("asgi_answers:app", *request.param.flags)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/plain", 200, b"hello"),
        ("/no-headers", 200, b""),
        ("/enum", 201, b"x"),
        ("/chunks", 200, b"onetwothree"),
        ("/empty-last", 200, b"one"),
        ("/bytearray", 200, b"hello"),
        ("/memoryview", 200, b"hello"),
        ("/subclass", 200, b"hello"),
        ("/large", 200, bytes(range(256)) * 8192),
    ],
)
def test_h22_h26_answers_of_every_kind(server: Server, path: str, status: int, body: bytes) -> None:
    with server.connect() as client:
        for _ in range(2):  # the second time the header fields are known
            answer = client.request("GET", path)
            assert (answer.status, answer.body, answer.complete) == (status, body, True)


def test_a6_extra_keys_are_no_error(server: Server) -> None:
    assert server.get("/extra").text == "extra"


def test_h22_headers_are_any_iterable_of_pairs(server: Server) -> None:
    answer = server.get("/generator")
    assert (answer.header("x-a"), answer.header("x-b"), answer.text) == ("1", "2", "generated")


def test_h22_names_in_upper_case_are_understood(server: Server) -> None:
    answer = server.get("/upper")
    assert answer.all("content-length") == ["5"]
    assert (answer.header("content-type"), answer.header("transfer-encoding")) == ("text/html", None)


def gated(server: Server, events: str) -> tuple[str, str]:
    name = uuid.uuid4().hex
    return name, f"/gated?{name}={events}"


def step(server: Server, name: str) -> None:
    assert server.get(f"/step?{name}").text == "stepped"


def nothing_comes(client_sock_timeout: float, server: Server, target: str, name: str) -> None:
    """The first event of ``target`` alone brings no byte to the client; the second one does."""
    with server.connect() as client:
        client.send_request("GET", target)
        seen(server, name)
        client.sock.settimeout(client_sock_timeout)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)
        client.sock.settimeout(20)
        step(server, name)
        assert client.head().status == 200
        step(server, name)
        seen(server, name, 3)
        step(server, name)


def test_h23_the_start_alone_is_not_sent(server: Server) -> None:
    """An application that fails between start and body must still get its 500."""
    name, target = gated(server, "start,data,end")
    nothing_comes(0.1, server, target, name)


def test_h23_h26_an_empty_first_piece_sends_the_header_fields(server: Server) -> None:
    """Event streams open so: the browser fires "open" when the header fields come, long before the first event."""
    name, target = gated(server, "start,empty,end")
    nothing_comes(0.1, server, target, name)


def test_h26_each_piece_is_sent_at_once(server: Server) -> None:
    name, target = gated(server, "start,data,data,end")
    with server.connect() as client:
        client.send_request("GET", target)
        seen(server, name)
        step(server, name)
        client.head()
        chunks = client.chunks()
        assert next(chunks) == b"data"
        step(server, name)
        assert next(chunks) == b"data"
        step(server, name)
        assert list(chunks) == []
        step(server, name)


def test_h26_a_piece_leaves_before_the_application_computes_on(server: Server) -> None:
    with server.connect() as client:
        client.send_request("GET", "/computes")
        client.head()
        chunks = client.chunks()
        assert next(chunks) == b"before"
        came = time.monotonic()
        assert next(chunks) == b"after"
        assert time.monotonic() - came > 0.3


def test_h24_the_applications_transfer_encoding_is_ignored(server: Server) -> None:
    whole = server.get("/transfer")
    assert (whole.header("transfer-encoding"), whole.header("content-length"), whole.text) == (None, "5", "hello")
    pieces = server.get("/transfer-chunks")
    assert (pieces.all("transfer-encoding"), pieces.text) == (["chunked"], "hello")


def test_h24_fields_of_the_connection_are_the_servers(server: Server) -> None:
    answer = server.get("/hop")
    assert [answer.header(name) for name in ("upgrade", "keep-alive", "connection")] == [None, None, None]
    with server.connect() as client:
        assert client.request("GET", "/close").header("connection") == "close"
        assert client.at_end()


def test_h25_framing_without_content_length(server: Server) -> None:
    assert server.get("/plain").header("content-length") == "5"
    new = server.get("/chunks")
    assert (new.header("transfer-encoding"), new.header("content-length")) == ("chunked", None)
    with server.connect() as client:
        old = client.request("GET", "/chunks", version="1.0")
        assert (old.header("transfer-encoding"), old.header("connection"), old.text) == (None, "close", "onetwothree")
        assert client.at_end()


def test_h25_date_and_server_are_added_where_they_are_absent(server: Server) -> None:
    answer = server.get("/plain")
    assert len(answer.all("date")) == 1
    assert answer.all("server") == ["backline"]
    own = server.get("/date")
    assert (own.all("date"), own.all("server")) == (["mine"], ["mine"])


def test_h27_events_after_the_end_are_ignored(server: Server) -> None:
    with server.connect() as client:
        assert client.request("GET", "/after").text == "hello"
        assert client.request("GET", "/plain").text == "hello"
    assert "error while answering GET /after" not in server.log


@pytest.mark.parametrize(
    ("method", "path", "length"),
    [
        ("HEAD", "/plain", "5"),
        ("HEAD", "/head", "5"),
        ("HEAD", "/head-chunks", None),
        ("GET", "/204", None),
        ("GET", "/204-body", None),
        ("GET", "/304", "5"),
    ],
)
def test_h29_no_body_where_none_may_be(server: Server, method: str, path: str, length: str | None) -> None:
    with server.connect() as client:
        for _ in range(2):
            answer = client.request(method, path)
            assert (answer.header("content-length"), answer.header("transfer-encoding")) in (
                (length, None),
                (length, "chunked") if path == "/head-chunks" else (length, None),
            )
        assert client.request("GET", "/plain").text == "hello"  # no byte of a body came before it


@pytest.mark.parametrize("path", ["/too-long", "/too-long-chunks"])
def test_h30_more_than_content_length_is_not_sent(server: Server, path: str) -> None:
    lines = len(server.lines)
    with server.connect() as client:
        answer = client.request("GET", path)
        assert (answer.body, answer.complete) == (b"hello", True)
        assert client.at_end()
    server.wait_for(f"more body than its Content-Length.*{path}", after=lines)


@pytest.mark.parametrize("path", ["/too-short", "/too-short-chunks"])
def test_h30_less_than_content_length_cuts_the_connection(server: Server, path: str) -> None:
    lines = len(server.lines)
    with server.connect() as client:
        answer = client.request("GET", path)
        assert (answer.body, answer.complete) == (b"hel", False)
    server.wait_for(f"less body than its Content-Length.*{path}", after=lines)


def test_h33_order_and_duplicates_of_header_fields_stay(server: Server) -> None:
    answer = server.get("/cookies")
    assert answer.all("set-cookie") == ["a=1", "b=2", "a=3"]
    names = [name.lower() for name, _ in answer.headers]
    assert names[:4] == ["set-cookie", "x", "set-cookie", "set-cookie"]


def test_h33_a_thousand_fields_are_sent(server: Server) -> None:
    answer = server.get("/many-headers")
    assert [value for name, value in answer.headers if name.startswith("x-")] == ["v" * 50] * 1000


def test_h34_a_connection_serves_many_requests_of_every_kind(server: Server) -> None:
    with server.connect() as client:
        for _ in range(20):
            assert client.request("GET", "/plain").text == "hello"
            assert client.request("GET", "/chunks").text == "onetwothree"
            assert client.request("POST", "/echo", body=b"x" * 100_000).body == b"x" * 100_000
            assert client.request("HEAD", "/plain").status == 200


def test_h34_pipelined_answers_come_in_order(server: Server) -> None:
    paths = ["/chunks", "/plain", "/large", "/sized", "/204", "/plain"]
    with server.connect() as client:
        client.send(b"".join(b"GET %s HTTP/1.1\r\nHost: testserver\r\n\r\n" % path.encode() for path in paths))
        answers: list[Answer] = [client.answer() for _ in paths]
    assert [len(answer.body) for answer in answers] == [11, 5, 2 << 20, 5, 0, 5]


def test_h34_an_http_1_0_client_may_keep_its_connection(shared: SharedServers) -> None:
    server = shared("asgi_answers:app", *LOOPS[0].flags)
    with server.connect() as client:
        for _ in range(3):
            answer = client.request("GET", "/plain", {"Connection": "keep-alive"}, version="1.0")
            assert (answer.text, answer.header("connection")) == ("hello", "keep-alive")


def test_h26_work_after_the_answer_goes_on(server: Server) -> None:
    before = len(json.loads(server.get("/seen?background").body))
    with server.connect() as client:
        assert client.request("GET", "/background").text == "answered"
    assert seen(server, "background", before + 1)[-1] == "done"
