"""HTTP/2 from outside: what applications see, what clients get, and that one stream is no other's business."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import json
import signal
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from authority import Authority, connect
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from harness import Answer, Client, Server, eventually, in_parallel
from http2 import Connection, Stream
from sockets import frame

ASGI, WSGI = "asgi_http2:app", "wsgi_input:app"
Start = Callable[..., Server]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    cert, key = Authority(tmp_path_factory.mktemp("authority")).issue("localhost")
    return "--certfile", str(cert), "--keyfile", str(key)


@pytest.fixture
def asgi(shared: Start, pair: tuple[str, ...]) -> Iterator[Connection]:
    with Connection(shared(ASGI, "--workers", "1", *pair)) as connection:
        yield connection


@pytest.fixture
def wsgi(shared: Start, pair: tuple[str, ...]) -> Iterator[Connection]:
    with Connection(shared(WSGI, *pair)) as connection:
        yield connection


def scope_of(connection: Connection, path: str, *headers: tuple[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = ast.literal_eval(connection.request("GET", path, list(headers)).text)
    return found


def test_h2_h10_h11_the_scope(asgi: Connection) -> None:
    scope = scope_of(asgi, "/a%20b%2f?x=%41", ("cookie", "a=1"), ("x-b", "2"), ("cookie", "b=2"), ("x_c", "3"))
    assert scope["type"] == "http"
    assert scope["http_version"] == "2"
    assert scope["scheme"] == "https"
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b/", b"/a%20b%2f", b"x=%41")
    headers = [tuple(pair) for pair in scope["headers"]]
    assert headers == [(b"host", b"testserver"), (b"cookie", b"a=1; b=2"), (b"x-b", b"2")]
    assert scope["extensions"]["tls"]["tls_version"] == 0x0304


def test_the_environ(shared: Start, pair: tuple[str, ...]) -> None:
    with Connection(shared("wsgi_environ:app", *pair)) as connection:
        answer = connection.request("GET", "/a%20b?x=1", [("cookie", "a=1"), ("cookie", "b=2"), ("x_y", "no")])
        environ = {key: value for key, (_, value) in json.loads(answer.body).items()}
    assert environ["SERVER_PROTOCOL"] == "HTTP/2"
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTP_HOST"] == "testserver"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["PATH_INFO"] == "/a b"
    assert not [name for name in environ if "X_Y" in name or ":" in name]


def test_pieces_go_both_ways_as_they_come(asgi: Connection) -> None:
    stream = asgi.open("POST", "/shout", end=False)
    for piece in (b"one ", b"two ", b"three"):
        asgi.send(stream, piece)
        asgi.until(lambda piece=piece: stream.body.endswith(piece.upper()))  # type: ignore[misc]
    asgi.send(stream, b"", end=True)
    assert asgi.finish(stream).body == b"ONE TWO THREE"


@pytest.mark.parametrize("known", [True, False])
def test_large_uploads(wsgi: Connection, asgi: Connection, known: bool) -> None:
    body = bytes(range(256)) * 40_000
    headers = [("content-length", str(len(body)))] if known else []
    want = hashlib.sha256(body).hexdigest()
    seen = json.loads(wsgi.request("POST", "/digest", headers, body).body)
    assert (seen["sha256"], seen["length"]) == (want, str(len(body)))
    assert asgi.request("POST", "/digest", headers, body).text == want


def test_a_hundred_requests_at_once(asgi: Connection) -> None:
    streams = [asgi.open("POST", "/digest", end=False) for _ in range(100)]
    for number, stream in enumerate(streams):
        asgi.send(stream, b"%d" % number, end=True)
    for number, stream in enumerate(streams):
        assert asgi.finish(stream).text == hashlib.sha256(b"%d" % number).hexdigest()


def test_a_hundred_streams_at_most(asgi: Connection) -> None:
    """Clients are told so, and one that opens more all the same is refused the stream and nothing else."""
    assert asgi.get("/pid").status == 200
    assert asgi.h2.remote_settings.max_concurrent_streams == 100
    streams = [asgi.open("POST", "/digest", end=False) for _ in range(100)]
    asgi.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 1000  # the library would not open another one
    asgi.h2.remote_settings.acknowledge()
    beyond = asgi.open("GET", "/pid")
    asgi.until(lambda: beyond.ended)
    assert beyond.reset in (ErrorCodes.PROTOCOL_ERROR, ErrorCodes.REFUSED_STREAM)  # RFC 9113 5.1.2
    for stream in streams:
        asgi.send(stream, b"", end=True)
        assert asgi.finish(stream).status == 200


def test_a_stream_that_is_not_taken_holds_up_no_other(shared: Start, pair: tuple[str, ...]) -> None:
    """Each of them would fill the connection's window if streams had none of their own."""
    with Connection(shared(ASGI, "--workers", "1", *pair), window=16384) as connection:
        held = [connection.open("GET", "/endless") for _ in range(3)]
        connection.until(lambda: all(len(stream.body) == 16384 for stream in held))
        assert connection.get("/pid").status == 200
        connection.take(held[0])
        connection.until(lambda: len(held[0].body) > 16384)


def test_a_body_that_is_not_read_holds_up_no_other(asgi: Connection) -> None:
    streams = [asgi.open("POST", f"/ignore?{id(asgi)}", end=False) for _ in range(3)]
    for stream in streams:
        asgi.send(stream, b"x" * 300_000)
    assert asgi.request("POST", "/digest", [], b"x" * 100_000).status == 200
    assert asgi.get(f"/open?{id(asgi)}").text == "opened"
    for stream in streams:
        assert asgi.finish(stream).text == "at last"


def test_a_reset_is_a_disconnect(asgi: Connection) -> None:
    name = f"watch{id(asgi)}"
    stream = asgi.open("GET", f"/watch?{name}")

    def notes() -> object:
        return json.loads(asgi.get(f"/seen?{name}").body)

    eventually(lambda: notes() == ["waiting"], "the application waits")
    asgi.reset(stream)
    eventually(lambda: notes() == ["waiting", "http.disconnect"], "it is told")


def test_an_answer_that_fails_is_reset(asgi: Connection) -> None:
    stream = asgi.finish(asgi.open("GET", "/fails"))
    assert (stream.status, stream.body, stream.reset) == (200, b"some", 2)
    assert asgi.get("/pid").status == 200


def test_early_hints(asgi: Connection) -> None:
    stream = asgi.get("/hints")
    assert [dict(head) for head in stream.interim] == [{":status": "103", "link": "</a.css>; rel=preload"}]
    assert stream.text == "hinted"


def test_heads_that_are_no_use(asgi: Connection) -> None:
    assert asgi.get("/" + "x" * 9000).status == 414
    assert asgi.request("GET", "/", [("x", "y" * 66_000)]).status == 431
    assert asgi.request("GET", "/", [("x", "y")] * 101).status == 431
    assert asgi.request("POST", "/", [("content-length", str(2 << 30))], b"x").status == 413
    assert asgi.get("/pid").status == 200


def test_w28_websocket_over_a_stream(asgi: Connection) -> None:
    stream = asgi.open("CONNECT", "/echo", [("sec-websocket-version", "13")], end=False, protocol="websocket")
    asgi.until(lambda: stream.status)
    assert (stream.status, stream.all("x-version")) == (200, ["2"])
    asgi.send(stream, frame(1, b"hello"))
    asgi.until(lambda: stream.body == b"\x81\x05hello")
    assert asgi.get("/pid").status == 200
    asgi.send(stream, frame(8, b"\x03\xe8"))
    assert asgi.finish(stream).body == b"\x81\x05hello\x88\x02\x03\xe8"


def web_socket(connection: Connection, path: str, *headers: tuple[str, str]) -> Stream:
    more = [("sec-websocket-version", "13"), *headers]
    stream = connection.open("CONNECT", path, more, end=False, protocol="websocket")
    connection.until(lambda: stream.status)
    assert stream.status == 200
    return stream


def test_w01_w28_the_scope_over_a_stream(shared: Start, pair: tuple[str, ...]) -> None:
    with Connection(shared("asgi_websocket:app", "--workers", "1", *pair)) as connection:
        stream = web_socket(connection, "/scope?a=%20", ("sec-websocket-protocol", "v1, v2"), ("cookie", "a=1"))
        connection.until(lambda: stream.ended or stream.body.endswith(b"\x88\x02\x03\xe8"))  # it closes after that
        size = int.from_bytes(stream.body[2:4], "big")
        scope = ast.literal_eval(stream.body[4 : 4 + size].decode())
    assert (scope["type"], scope["http_version"], scope["scheme"]) == ("websocket", "2", "wss")
    assert (scope["path"], scope["query_string"], scope["subprotocols"]) == ("/scope", b"a=%20", ["v1", "v2"])
    assert {(b"host", b"testserver"), (b"cookie", b"a=1")} <= {tuple(pair) for pair in scope["headers"]}
    assert scope["extensions"]["tls"]["tls_version"] == 0x0304
    assert scope["client"][0] == "127.0.0.1"


def test_w26_w28_a_reload_closes_it_with_1012_and_leaves_the_connection(serve: Start, pair: tuple[str, ...]) -> None:
    server = serve("asgi_websocket:app", "--workers", "1", "--websocket-drain", "0", *pair)
    with Connection(server) as connection:
        stream = web_socket(connection, "/echo")
        server.signal(signal.SIGHUP)
        connection.until(lambda: stream.body)
        assert stream.body == b"\x88\x02" + (1012).to_bytes(2, "big")
        connection.send(stream, frame(8, (1012).to_bytes(2, "big")))
        connection.finish(stream)
        again = web_socket(connection, "/echo")
        connection.send(again, frame(1, b"hello"))
        connection.until(lambda: again.body == b"\x81\x05hello")


def test_a_client_of_somebody_elses(shared: Start, pair: tuple[str, ...]) -> None:
    server = shared(ASGI, "--workers", "1", *pair)

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(http2=True, verify=False, base_url=f"https://127.0.0.1:{server.port}") as client:
            return await asyncio.gather(*(client.post("/digest", content=b"%d" % n) for n in range(20)))

    for number, answer in enumerate(asyncio.run(ask())):
        assert (answer.http_version, answer.text) == ("HTTP/2", hashlib.sha256(b"%d" % number).hexdigest())


def test_switched_off_it_is_not_offered(serve: Start, pair: tuple[str, ...]) -> None:
    server = serve(ASGI, "--no-http2", *pair)
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        connect(server, "localhost", alpn="h2")
    with connect(server, "localhost", alpn="http/1.1") as client:
        assert client.request("GET", "/pid").status == 200


def test_without_tls(serve: Start) -> None:
    server = serve(ASGI, "--http2-cleartext", "--workers", "1")
    with Connection(server, tls=False) as connection:
        scope = scope_of(connection, "/")
        assert (scope["http_version"], scope["scheme"], scope["client"][0]) == ("2", "http", "127.0.0.1")
    assert server.get("/pid").status == 200


def test_without_tls_only_when_asked_for(shared: Start) -> None:
    with shared(ASGI, "--workers", "1").connect() as client:
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert client.answer().status == 505


@pytest.mark.parametrize("tls", [True, False])
def test_term_ends_requests_that_have_begun_and_says_so(serve: Start, pair: tuple[str, ...], tls: bool) -> None:
    server = serve(ASGI, "--workers", "1", *(pair if tls else ("--http2-cleartext",)))
    with Connection(server, tls=tls) as connection, Connection(server, tls=tls) as idle:
        stream = connection.open("POST", "/shout", end=False)
        connection.send(stream, b"before ")
        connection.until(lambda: stream.body == b"BEFORE ")
        assert idle.get("/pid").status == 200
        server.signal(signal.SIGTERM)
        connection.until(lambda: connection.leaving)
        connection.send(stream, b"and after", end=True)
        assert connection.finish(stream).body == b"BEFORE AND AFTER"
        assert connection.at_end()
        assert idle.at_end()
        assert idle.leaving
    assert server.wait() == 0


def test_hup_loses_no_request_and_no_connection(serve: Start, pair: tuple[str, ...]) -> None:
    server = serve(ASGI, "--workers", "2", *pair)
    pids: set[int] = set()
    stop = threading.Event()

    def ask(_: int) -> int:
        count = 0
        with Connection(server) as connection:
            while not stop.is_set():
                streams = [connection.open("GET", "/pid") for _ in range(20)]
                for stream in streams:
                    answer = connection.finish(stream)
                    assert (answer.status, answer.reset) == (200, None)
                    pids.add(json.loads(answer.body))
                    count += 1
            assert not connection.leaving
        return count

    def reload(_: int) -> int:
        try:
            eventually(lambda: len(pids) == 2, "both workers answer")
            server.signal(signal.SIGHUP)
            eventually(lambda: len(pids) == 4, "the new workers answer")
        finally:
            stop.set()
        return 1

    counts = in_parallel(3, lambda n: reload(n) if n == 0 else ask(n))
    assert all(counts)


def test_the_access_log(serve: Start, pair: tuple[str, ...], tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    server = serve(ASGI, "--workers", "1", "--access-logfile", str(log), *pair)
    with Connection(server) as connection:
        connection.get("/pid")
    eventually(lambda: '"GET /pid HTTP/2" 200' in log.read_text(), "the request is written down")


def test_http1_goes_on_beside_it(shared: Start, pair: tuple[str, ...]) -> None:
    server = shared(ASGI, "--workers", "1", *pair)
    with connect(server, "localhost", alpn="http/1.1") as client:
        answer: Answer = client.request("GET", "/")
        assert ast.literal_eval(answer.text)["http_version"] == "1.1"
        assert isinstance(client, Client)
