"""--compress: answers of the application, compressed for clients that accept it."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Answer, Server

TEXT = b"".join(b"<tr><td>%d</td></tr>\n" % (n * 7919) for n in range(3000))  # as the application makes it
GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture(params=["wsgi", "asgi"])
def server(shared: Callable[..., Server], request: pytest.FixtureRequest) -> Server:
    return shared(f"compressed:{request.param}", "--compress", "--compress-level", "fast")


def gunzip(data: bytes) -> bytes:
    decoder = zlib.decompressobj(wbits=31)
    text = decoder.decompress(data)
    assert decoder.eof and not decoder.unused_data
    return text


def is_compressed(answer: Answer) -> bool:
    if answer.header("content-encoding") != "gzip":
        return False
    assert answer.complete and gunzip(answer.body) == TEXT and len(answer.body) < len(TEXT) / 2
    return True


def test_answers_are_compressed_and_the_connection_goes_on(server: Server) -> None:
    with server.connect() as client:
        for _ in range(2):
            for target in ("/plain", "/sized", "/stream", "/tagged"):
                answer = client.request("GET", target, GZIP)
                assert is_compressed(answer), target
                assert "Accept-Encoding" in (answer.header("vary") or "")
                assert client.request("GET", target).body == TEXT


def test_the_fields_say_so(server: Server) -> None:
    answer = server.get("/tagged", **GZIP)
    assert (answer.header("etag"), answer.header("vary")) == ('W/"x"', "Cookie, Accept-Encoding")
    assert answer.header("accept-ranges") is None
    plain = server.get("/tagged")
    assert (plain.header("etag"), plain.header("vary")) == ('"x"', "Cookie, Accept-Encoding")


@pytest.mark.parametrize("target", ["/short", "/encoded", "/kept", "/image", "/part"])
def test_what_stays_as_it_is(server: Server, target: str) -> None:
    answer = server.get(target, **GZIP)
    assert answer.body == (b"short" if target == "/short" else TEXT)
    assert answer.header("content-encoding") == ("x-own" if target == "/encoded" else None)
    assert answer.header("vary") is None


def test_codings_by_preference(server: Server) -> None:
    for accept, coding in {
        "gzip, deflate, br, zstd": "zstd",
        "gzip, br": "gzip",
        "br": "br",
        "br, gzip;q=0.1": "br",
        "gzip;q=0": None,
        "deflate": None,
    }.items():
        answer = server.get("/plain", **{"Accept-Encoding": accept})
        assert answer.header("content-encoding") == coding
        assert (answer.body == TEXT) == (coding is None)


def test_head(server: Server) -> None:
    with server.connect() as client:
        answer = client.request("HEAD", "/sized", GZIP)
        assert (answer.header("content-encoding"), answer.header("content-length")) == ("gzip", None)
        assert is_compressed(client.request("GET", "/plain", GZIP))


def test_an_old_client(server: Server) -> None:
    for target in ("/plain", "/stream"):
        with server.connect() as client:
            assert is_compressed(client.request("GET", target, GZIP, version="1.0"))


def test_off_by_default(shared: Callable[..., Server]) -> None:
    answer = shared("compressed:wsgi").get("/plain", **GZIP)
    assert (answer.body, answer.header("content-encoding"), answer.header("vary")) == (TEXT, None, None)


@pytest.mark.parametrize(("target", "types"), [("/steps", "text/*"), ("/events", "text/event-stream")])
def test_each_piece_arrives_when_it_is_sent(
    serve: Callable[..., Server], tmp_path: Path, target: str, types: str
) -> None:
    server = serve("compressed:asgi", "--compress", "--compress-types", types)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    opened = os.open(gate, os.O_RDWR)
    decoder = zlib.decompressobj(wbits=31)
    with server.connect() as client:
        client.send_request("GET", f"{target}?{gate}", GZIP)
        os.write(opened, b"1")  # ASGI has the head wait for the first piece
        assert client.head().header("content-encoding") == "gzip"
        chunks, text = client.chunks(), b""
        for n in range(10):
            while not text.endswith(b"data: %d\n\n" % n):
                text += decoder.decompress(next(chunks) or b"")
            os.write(opened, b"1")
        assert decoder.decompress(b"".join(chunk or b"" for chunk in chunks)) == b"" and decoder.eof
    os.close(opened)


def test_event_streams_are_left_alone_unless_they_are_named(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("compressed:asgi", "--compress")
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    opened = os.open(gate, os.O_RDWR)
    os.write(opened, b"1" * 10)
    answer = server.get(f"/events?{gate}", **GZIP)
    assert answer.header("content-encoding") is None and answer.body.endswith(b"data: 9\n\n")
    os.close(opened)
