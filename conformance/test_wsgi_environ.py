"""What a WSGI application is told of its request (PEP 3333, "environ Variables")."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from harness import Answer, Server
from wsgi_loops import GEVENT, WSGI_LOOPS


@pytest.fixture(params=WSGI_LOOPS)
def server(request: pytest.FixtureRequest, shared: Callable[..., Server]) -> Server:
    return shared("wsgi_environ:app", "--workers", "1", *request.param)


def environ_of(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    return {key: value for key, (_, value) in json.loads(answer.body).items()}


def raw_request(server: Server, *lines: str) -> dict[str, Any]:
    with server.connect() as client:
        client.send("".join(line + "\r\n" for line in (*lines, "Host: h", "")).encode("latin-1"))
        return environ_of(client.answer())


def test_g1_environ_is_exactly_a_dict(server: Server) -> None:
    assert server.get("/").header("x-type") == "dict"


def test_g2_variables_are_latin1_strings(server: Server) -> None:
    with server.connect() as client:
        client.send(b"GET /%ff%C3%A9?q=%ff HTTP/1.1\r\nHost: h\r\nX-Bytes: \xe9\xff\r\n\r\n")
        typed = json.loads(client.answer().body)
    for key, (kind, value) in typed.items():
        if "." not in key:
            assert kind == "str", key
            assert value.encode("latin-1") is not None
    assert typed["HTTP_X_BYTES"][1] == "\xe9\xff"
    assert typed["PATH_INFO"][1] == "/\xff\xc3\xa9"


def test_g3_required_variables(server: Server) -> None:
    environ = raw_request(server, "GET /a HTTP/1.1")
    assert environ["REQUEST_METHOD"] == "GET"
    assert environ["SERVER_NAME"] == "127.0.0.1"
    assert environ["SERVER_PORT"] == str(server.port)
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert environ["wsgi.version"] == [1, 0]
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.multiprocess"] is False  # one worker
    assert environ["wsgi.run_once"] is False
    assert {"wsgi.input", "wsgi.errors", "SCRIPT_NAME", "PATH_INFO"} <= set(environ)


@pytest.mark.parametrize(
    ("flags", "multithread"),
    [
        (("--threads", "8"), True),
        (("--threads", "1"), False),
        (GEVENT, True),
        ((*GEVENT, "--worker-connections", "1"), False),
    ],
    ids=["threads8", "threads1", "gevent", "gevent1"],
)
def test_g3_multithread_is_the_truth(shared: Callable[..., Server], flags: tuple[str, ...], multithread: bool) -> None:
    server = shared("wsgi_environ:app", "--workers", "1", *flags)
    assert environ_of(server.get("/a"))["wsgi.multithread"] is multithread


def test_g3_multiprocess_with_two_workers(serve: Callable[..., Server]) -> None:
    environ = environ_of(serve("wsgi_environ:app", "--workers", "2").get("/a"))
    assert environ["wsgi.multiprocess"] is True


def test_g3_protocol_of_an_old_client(server: Server) -> None:
    assert raw_request(server, "GET / HTTP/1.0")["SERVER_PROTOCOL"] == "HTTP/1.0"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "X-odd.method"])
def test_g3_method_as_sent(server: Server, method: str) -> None:
    assert raw_request(server, f"{method} /m HTTP/1.1", "Content-Length: 0")["REQUEST_METHOD"] == method


@pytest.mark.parametrize(("target", "query"), [("/", ""), ("/?", ""), ("/?a=%20b&c", "a=%20b&c"), ("/?a?b", "a?b")])
def test_g4_query_string_is_always_there(server: Server, target: str, query: str) -> None:
    assert raw_request(server, f"GET {target} HTTP/1.1")["QUERY_STRING"] == query


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/a%20b", "/a b"),
        ("/caf%C3%A9", "/caf\xc3\xa9"),
        ("/a%2Fb", "/a/b"),
        ("/100%", "/100%"),
        ("/%zz", "/%zz"),
        ("//double", "//double"),
        ("/a;b=c", "/a;b=c"),
        ("/../up", "/../up"),
        ("http://h/absolute?x", "/absolute"),
        ("http://h", "/"),
        ("http://h?x", "/"),
    ],
)
def test_g5_path_is_decoded_bytes_as_latin1(server: Server, target: str, path: str) -> None:
    environ = raw_request(server, f"GET {target} HTTP/1.1")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", path)


def test_g5_options_asterisk_has_no_path(server: Server) -> None:
    environ = raw_request(server, "OPTIONS * HTTP/1.1")
    assert (environ["PATH_INFO"], environ["REQUEST_URI"]) == ("", "*")


@pytest.mark.parametrize(
    ("target", "script", "path"),
    [
        ("/shop/cart", "/shop", "/cart"),
        ("/shop", "/shop", ""),
        ("/shop/", "/shop", "/"),
        ("/shopping", "/shop", "/shopping"),
    ],
)
def test_g5_root_path(shared: Callable[..., Server], target: str, script: str, path: str) -> None:
    server = shared("wsgi_environ:app", "--workers", "1", "--root-path", "/shop")
    environ = raw_request(server, f"GET {target} HTTP/1.1")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script, path)


def test_g5_root_path_of_a_slash_is_none(serve: Callable[..., Server]) -> None:
    environ = environ_of(serve("wsgi_environ:app", "--workers", "1", "--root-path", "/").get("/a"))
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", "/a")


def test_g6_content_fields_have_no_prefix(server: Server) -> None:
    sent = environ_of(server.request("POST", "/", {"Content-Type": "text/x"}, b"body"))
    assert (sent["CONTENT_TYPE"], sent["CONTENT_LENGTH"]) == ("text/x", "4")
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & set(sent)
    assert not {"CONTENT_TYPE", "CONTENT_LENGTH"} & set(environ_of(server.get("/")))


def test_g6_content_length_of_an_empty_body(server: Server) -> None:
    assert raw_request(server, "POST / HTTP/1.1", "Content-Length: 0")["CONTENT_LENGTH"] == "0"


def test_g7_duplicates_are_joined(server: Server) -> None:
    environ = raw_request(
        server, "GET / HTTP/1.1", "X-Two: a", "Cookie: a=1", "x-two: b", "Cookie: b=2", "X-TWO:  c ", "X-Empty:"
    )
    assert environ["HTTP_X_TWO"] == "a,b,c"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_X_EMPTY"] == ""


def test_g7_names_with_an_underscore_are_dropped(server: Server) -> None:
    environ = raw_request(server, "GET / HTTP/1.1", "X_Forwarded_User: root", "X-Real: 1", "CONTENT_LENGTH: 5", "_: x")
    assert environ["HTTP_X_REAL"] == "1"
    assert not {"HTTP_X_FORWARDED_USER", "CONTENT_LENGTH", "HTTP_CONTENT_LENGTH", "HTTP__"} & set(environ)


def test_g7_proxy_variable_cannot_be_confused_with_a_setting(server: Server) -> None:
    """A "Proxy" field becomes HTTP_PROXY, which is what httpoxy exploited: it must stay inside the environ."""
    environ = raw_request(server, "GET / HTTP/1.1", "Proxy: http://evil")
    assert environ.get("HTTP_PROXY") in (None, "http://evil")
    assert environ["SERVER_NAME"] == "127.0.0.1"


def test_g8_peer_and_uri(server: Server) -> None:
    with server.connect() as client:
        port = client.sock.getsockname()[1]
        environ = environ_of(client.request("GET", "/a%20b?c=%20"))
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("127.0.0.1", str(port))
    assert environ["RAW_URI"] == environ["REQUEST_URI"] == "/a%20b?c=%20"
    assert environ["SERVER_SOFTWARE"].startswith("backline")
    assert "HTTPS" not in environ  # only there, and "on", where the scheme is https


def test_g8_forwarded_fields_of_strangers_change_nothing(server: Server) -> None:
    environ = raw_request(server, "GET / HTTP/1.1", "Content-Type: a/b", "X-Script: /evil", "X-Path-Info: /evil")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"], environ["wsgi.url_scheme"]) == ("", "/", "http")


def test_g9_upgrade_fields_stay(server: Server) -> None:
    environ = raw_request(
        server, "GET / HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: k", "TE: trailers"
    )
    assert environ["HTTP_CONNECTION"] == "Upgrade"
    assert environ["HTTP_UPGRADE"] == "websocket"
    assert environ["HTTP_SEC_WEBSOCKET_KEY"] == "k"


def test_g12_transfer_encoding_is_not_shown(server: Server) -> None:
    with server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        environ = environ_of(client.answer())
    assert environ["wsgi.input_terminated"] is True
    assert environ["CONTENT_LENGTH"] == "3"
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_g14_errors_is_a_text_stream_that_reaches_the_log(server: Server) -> None:
    assert server.get("/errors").text == "written"
    server.wait_for("one line by write")
    server.wait_for("a line by writelines")
    server.wait_for("größer als ASCII")


def test_g35_no_state_leaks_through_environ(server: Server) -> None:
    with server.connect() as client:
        assert client.request("GET", "/spoil", {"X-Only-First": "1"}).text == "spoiled"
        environ = environ_of(client.request("GET", "/after"))
    assert not {"HTTP_X_LEAKED", "leaked", "HTTP_X_ONLY_FIRST"} & set(environ)
    assert (environ["QUERY_STRING"], environ["wsgi.url_scheme"], environ["SERVER_NAME"]) == ("", "http", "127.0.0.1")
    assert [json.loads(server.get("/identity").body) for _ in range(3)] == [1, 1, 1]
