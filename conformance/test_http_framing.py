"""Requests that break HTTP's rules, and those that can be read in two ways: 400, closed, nothing executed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness import Answer, Server

HOST = "Host: h\r\n"
NEXT = "GET /count?token=smuggled HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture
def server(shared: Callable[..., Server]) -> Server:
    return shared("wsgi_http:app", "--workers", "1", "--threads", "8")


def refused(server: Server, request: str, *statuses: int) -> Answer:
    """The one answer to ``request``, after which the connection ends."""
    with server.connect() as client:
        client.send(request.encode("latin-1"))
        answer = client.answer()
        assert answer.status in (statuses or (400,)), answer
        assert answer.complete
        assert answer.header("connection") == "close"
        assert client.at_end()
    assert server.count("called smuggled") == 0
    return answer


REQUEST_LINES = {
    "no version": "GET /",
    "two words more": "GET / HTTP/1.1 x",
    "two spaces": "GET  / HTTP/1.1",
    "tab": "GET\t/ HTTP/1.1",
    "leading space": " GET / HTTP/1.1",
    "trailing space": "GET / HTTP/1.1 ",
    "no slash": "GET x HTTP/1.1",
    "asterisk with GET": "GET * HTTP/1.1",
    "fragment": "GET /#a HTTP/1.1",
    "space in the target": "GET /a b HTTP/1.1",
    "control byte": "GET /\x01 HTTP/1.1",
    "NUL": "GET /\x00 HTTP/1.1",
    "not ASCII": "GET /\xe9 HTTP/1.1",
    "method of other signs": "GE(T / HTTP/1.1",
    "lower case version": "GET / http/1.1",
    "long version": "GET / HTTP/1.10",
    "version without a dot": "GET / HTTP/11",
    "another protocol": "GET / ICY/1.1",
    "userinfo": "GET http://user@h/ HTTP/1.1",
    "other scheme": "GET ftp://h/ HTTP/1.1",
}


@pytest.mark.parametrize("line", REQUEST_LINES.values(), ids=REQUEST_LINES)
def test_http_malformed_request_line(server: Server, line: str) -> None:
    refused(server, f"{line}\r\n{HOST}\r\n{NEXT}")


@pytest.mark.parametrize(("line", "status"), [
    ("GET / HTTP/2.0", 505), ("GET / HTTP/0.9", 505), ("CONNECT h:80 HTTP/1.1", 501), ("A" * 40 + " / HTTP/1.1", 501),
])  # fmt: skip
def test_http_what_is_not_served(server: Server, line: str, status: int) -> None:
    refused(server, f"{line}\r\n{HOST}\r\n{NEXT}", status)


def test_http_tls_on_a_plain_port(server: Server) -> None:
    with server.connect() as client:
        client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert client.answer().status == 400
        assert client.at_end()


FIELDS = {
    "space before the colon": "X : y\r\n",
    "no colon": "nonsense\r\n",
    "empty name": ": y\r\n",
    "space in the name": "X Y: z\r\n",
    "name of other signs": "X(: z\r\n",
    "name that is not ASCII": "X\xe9: z\r\n",
    "NUL in a value": "X: a\x00b\r\n",
    "CR in a value": "X: a\rb\r\n",
    "control byte in a value": "X: a\x01b\r\n",
    "DEL in a value": "X: a\x7fb\r\n",
    "folded line": "X: a\r\n b\r\n",
    "folded by a tab": "X: a\r\n\tb\r\n",
    "first line folded": " X: a\r\n",
    "bare LF": "X: a\n",
    "two CR": "X: a\r\r\n",
    "two hosts": "Host: other\r\n",
    "two equal hosts": "Host: h\r\n",
}


@pytest.mark.parametrize("lines", FIELDS.values(), ids=FIELDS)
def test_http_malformed_field(server: Server, lines: str) -> None:
    first = "" if lines.startswith((" ", "\t")) else HOST
    refused(server, f"GET / HTTP/1.1\r\n{first}{lines}\r\n{NEXT}")


@pytest.mark.parametrize("host", [None, "a b", "a/b", "u@h", "h:x", "a,b"])
def test_http_host_is_needed_and_valid(server: Server, host: str | None) -> None:
    line = "" if host is None else f"Host: {host}\r\n"
    refused(server, f"GET / HTTP/1.1\r\n{line}\r\n{NEXT}")


def test_http_absolute_target_must_fit_host(server: Server) -> None:
    refused(server, f"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n{NEXT}")
    assert server.get("http://testserver/").text == "hello"


def test_http_bare_lf_lines(server: Server) -> None:
    refused(server, f"GET / HTTP/1.1\nHost: h\n\n{NEXT}")
    refused(server, f"GET / HTTP/1.1\r\nHost: h\r\n\n{NEXT}")


AMBIGUOUS = {
    "length and chunked": "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "chunked and length": "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "two lengths": "Content-Length: 5\r\nContent-Length: 6\r\n",
    "two equal lengths": "Content-Length: 5\r\nContent-Length: 5\r\n",
    "list of lengths": "Content-Length: 5, 5\r\n",
    "signed length": "Content-Length: +5\r\n",
    "negative length": "Content-Length: -5\r\n",
    "length with an underscore": "Content-Length: 1_0\r\n",
    "hexadecimal length": "Content-Length: 0x5\r\n",
    "empty length": "Content-Length: \r\n",
    "length with a fraction": "Content-Length: 5.0\r\n",
    "length of many digits": "Content-Length: 99999999999999999999\r\n",
    "length and a space": "Content-Length: 5 5\r\n",
    "length in other digits": "Content-Length: \xb2\r\n",
    "length with a vertical tab": "Content-Length: \x0b5\r\n",
    "length with a no-break space": "Content-Length: \xa05\r\n",
    "two encodings": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "list of encodings": "Transfer-Encoding: chunked, chunked\r\n",
    "identity": "Transfer-Encoding: identity\r\n",
    "identity then chunked": "Transfer-Encoding: identity, chunked\r\n",
    "gzip": "Transfer-Encoding: gzip, chunked\r\n",
    "unknown encoding": "Transfer-Encoding: xchunked\r\n",
    "comma first": "Transfer-Encoding: ,chunked\r\n",
    "comma last": "Transfer-Encoding: chunked,\r\n",
    "empty encoding": "Transfer-Encoding:\r\n",
    "quoted": 'Transfer-Encoding: "chunked"\r\n',
    "parameter": "Transfer-Encoding: chunked;q=1\r\n",
    "space before the colon": "Transfer-Encoding : chunked\r\n",
    "no-break space": "Transfer-Encoding: \xa0chunked\r\n",
    "vertical tab": "Transfer-Encoding: \x0bchunked\r\n",
    "folded": "Transfer-Encoding:\r\n chunked\r\n",
    "NUL": "Transfer-Encoding: chunked\x00\r\n",
}


@pytest.mark.parametrize("fields", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_http_ambiguous_length(server: Server, fields: str) -> None:
    for method in ("POST", "GET"):
        # 501 is what RFC 9112 6.1 asks for where the coding itself is unknown.
        refused(server, f"{method} /echo HTTP/1.1\r\n{HOST}{fields}\r\n0\r\n\r\n{NEXT}", 400, 501)


def test_http_chunked_on_http_10(server: Server) -> None:
    refused(server, f"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{NEXT}")


def test_http_te_that_is_not_framing(server: Server) -> None:
    """Names that only look like a framing field are no framing, for us or for whoever is in front."""
    with server.connect() as client:
        client.send(f"GET / HTTP/1.1\r\n{HOST}Transfer_Encoding: chunked\r\nContent_Length: 9\r\n\r\n".encode())
        assert client.answer().text == "hello"
        assert client.request("GET", "/").text == "hello"


CHUNKS = {
    "no digits": "\r\nabc\r\n0\r\n\r\n",
    "letters": "g\r\nabc\r\n0\r\n\r\n",
    "prefix 0x": "0x3\r\nabc\r\n0\r\n\r\n",
    "sign": "+3\r\nabc\r\n0\r\n\r\n",
    "negative": "-3\r\nabc\r\n0\r\n\r\n",
    "underscore": "0_3\r\nabc\r\n0\r\n\r\n",
    "leading space": " 3\r\nabc\r\n0\r\n\r\n",
    "trailing space": "3 \r\nabc\r\n0\r\n\r\n",
    "trailing tab": "3\t\r\nabc\r\n0\r\n\r\n",
    "bare LF after the size": "3\nabc\r\n0\r\n\r\n",
    "bare CR after the size": "3\rxabc\r\n0\r\n\r\n",
    "bare LF after the data": "3\r\nabc\n0\r\n\r\n",
    "too much data": "3\r\nabcd\r\n0\r\n\r\n",
    "no line end after the data": "3\r\nabc0\r\n\r\n",
    "size of many digits": "ffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "extension with LF": "3;a=\nb\r\nabc\r\n0\r\n\r\n",
    "extension with a control byte": "3;a=\x01\r\nabc\r\n0\r\n\r\n",
    "endless extensions": "3;" + "a" * 20_000 + "\r\nabc\r\n0\r\n\r\n",
    "bare LF at the end": "3\r\nabc\r\n0\r\n\n",
    "malformed trailer": "3\r\nabc\r\n0\r\nX y\r\n\r\n",
    "endless trailers": "3\r\nabc\r\n0\r\n" + "X: y\r\n" * 20_000 + "\r\n",
}


@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS)
def test_http_malformed_chunks(server: Server, body: str) -> None:
    with server.connect() as client:
        client.send(f"POST /echo HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{body}{NEXT}".encode("latin-1"))
        answer = client.answer()
        assert answer.status in (400, 431), answer
        assert answer.header("connection") == "close"
        assert client.at_end()
    assert server.count("called smuggled") == 0


def with_trailer(name: str) -> str:
    head = f"POST /echo HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n"
    return f"{head}3\r\nabc\r\n0\r\n{name}: 100\r\n\r\n"


@pytest.mark.parametrize("name", ["X-Trailer", "Cookie", "Content-Type"])
def test_http_trailers_are_dropped(server: Server, name: str) -> None:
    with server.connect() as client:
        client.send(with_trailer(name).encode())
        assert client.answer().body == b"abc"
        assert client.request("GET", "/").text == "hello"


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "Host"])
def test_http_trailers_that_frame_or_route_are_refused(server: Server, name: str) -> None:
    refused(server, with_trailer(name) + NEXT)


def test_http_body_of_a_get_is_no_request(server: Server) -> None:
    with server.connect() as client:
        client.send(f"GET / HTTP/1.1\r\n{HOST}Content-Length: {len(NEXT)}\r\n\r\n{NEXT}".encode())
        assert client.answer().text == "hello"
        assert client.request("GET", "/method").text == "GET"
    assert server.count("called smuggled") == 0


def test_http_without_length_there_is_no_body(server: Server) -> None:
    with server.connect() as client:
        client.send(f"POST /echo HTTP/1.1\r\n{HOST}\r\nGET /method HTTP/1.1\r\n{HOST}\r\n".encode())
        assert client.answer().body == b""
        assert client.answer().text == "GET"


def test_http_error_pages_have_one_form(server: Server) -> None:
    answer = refused(server, f"GET / HTTP/1.1\r\n{HOST}Content-Length: x\r\n\r\n")
    assert answer.reason == "Bad Request"
    assert answer.header("content-type") == "text/plain; charset=utf-8"
    assert answer.header("content-length") == str(len(answer.body))
    assert answer.header("date")
    assert answer.header("server") == "backline"
    assert answer.text.startswith("This request cannot be served: ")
    assert answer.text.endswith(".\n")
