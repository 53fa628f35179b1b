"""How what a WSGI application returns becomes an answer (PEP 3333, "Buffering and Streaming")."""

from __future__ import annotations

import socket
import struct
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Client, Server, eventually
from wsgi_gate import Gate
from wsgi_loops import WSGI_LOOPS


@pytest.fixture(params=WSGI_LOOPS)
def server(request: pytest.FixtureRequest, shared: Callable[..., Server]) -> Server:
    return shared("wsgi_answer:app", "--workers", "1", *request.param)


@pytest.fixture(params=WSGI_LOOPS)
def raw(request: pytest.FixtureRequest, shared: Callable[..., Server]) -> Server:
    """Without wsgiref's validator, which hides the iterable's own shape."""
    return shared("wsgi_answer:raw", "--workers", "1", *request.param)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


def silent(client: Client, seconds: float = 0.3) -> bool:
    """Whether nothing comes for a moment."""
    client.sock.settimeout(seconds)
    try:
        return not client.buffer and client.sock.recv(1, socket.MSG_PEEK) is None
    except TimeoutError:
        return True
    finally:
        client.sock.settimeout(20)


def reset(client: Client) -> None:
    """Close as a killed client does: with RST."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def closed_once(server: Server, token: str) -> None:
    server.wait_for(f"closed {token} on the same thread")
    assert server.get("/").status == 200
    assert server.count(f"closed {token}") == 1


def test_g19_the_head_waits_for_the_first_nonempty_piece(server: Server, gate: Gate) -> None:
    with server.connect() as client:
        client.send_request("GET", f"/empty-first?{gate}")
        assert silent(client)
        gate.open()
        assert client.head().status == 200
        assert list(client.chunks()) == [b"a", b"b"]


def test_g20_write_sends_at_once_and_before_the_iterable(server: Server, gate: Gate) -> None:
    with server.connect() as client:
        client.send_request("GET", f"/write?{gate}")
        assert client.head().status == 200
        chunks = client.chunks()
        assert next(chunks) == b"written "
        gate.open()
        assert b"".join(chunk or b"" for chunk in chunks) == b"twice and returned"


def test_g23_each_piece_arrives_before_the_next_is_made(server: Server, gate: Gate) -> None:
    with server.connect() as client:
        client.send_request("GET", f"/steps?n=5&{gate}")
        assert client.head().status == 200
        chunks = client.chunks()
        for n in range(5):
            assert next(chunks) == b"step %d" % n
            gate.open()
        assert list(chunks) == []


def test_g23_empty_pieces_emit_nothing(server: Server, gate: Gate) -> None:
    with server.connect() as client:
        client.send_request("GET", f"/empty-first?{gate}")
        gate.open()
        assert client.head().status == 200
        assert client.read_until(b"0\r\n\r\n") == b"1\r\na\r\n1\r\nb\r\n"


@pytest.mark.parametrize(("target", "body"), [
    ("/list?n=1", b"piece"), ("/list?n=0", b""), ("/list?n=3", b"piecepiecepiece"), ("/tuple", b"tuple"),
    ("/sized", b"one item"), ("/bytearray?one=1", b"array"), ("/list?n=30000", b"piece" * 30000),
])  # fmt: skip
def test_g24_content_length_where_it_is_known(raw: Server, target: str, body: bytes) -> None:
    answer = raw.get(target)
    assert answer.header("content-length") == str(len(body))
    assert answer.header("transfer-encoding") is None
    assert answer.body == body


def test_g24_chunked_where_it_is_not(server: Server) -> None:
    with server.connect() as client:
        answer = client.request("GET", "/large?n=2")
        assert (answer.header("transfer-encoding"), answer.header("content-length")) == ("chunked", None)
        assert len(answer.body) == 2 * 16384
        client.send_request("GET", "/large?n=2", {"Connection": "keep-alive"}, version="1.0")
        answer = client.answer()
        assert answer.header("transfer-encoding") is None
        assert answer.header("connection") == "close"  # an HTTP/1.0 client knows the end by the end of the connection
        assert len(answer.body) == 2 * 16384


@pytest.mark.parametrize("path", ["/length", "/length-list"])
def test_g25_never_more_than_content_length(raw: Server, path: str) -> None:
    with raw.connect() as client:
        answer = client.request("GET", f"{path}?promise=5&n=9")
        assert (answer.body, answer.complete) == (b"xxxxx", True)
        assert client.at_end()


@pytest.mark.parametrize("path", ["/length", "/length-list"])
def test_g25_less_than_content_length_closes(raw: Server, path: str) -> None:
    with raw.connect() as client:
        answer = client.request("GET", f"{path}?promise=9&n=6")
        assert (answer.body, answer.complete) == (b"xxxxxx", False)
        assert client.at_end()


def test_g25_exactly_content_length_keeps_the_connection(server: Server) -> None:
    with server.connect() as client:
        for _ in range(3):
            assert client.request("GET", "/length?promise=10&n=10").body == b"x" * 10


@pytest.mark.parametrize("target", ["/", "/large?n=3", "/length?promise=10&n=10", "/list?n=0", "/write"])
def test_g26_head_runs_the_application_and_drops_the_body(raw: Server, target: str) -> None:
    with raw.connect() as client:
        whole = client.request("GET", target)
        head = client.request("HEAD", target)
        assert head.status == 200
        assert head.body == b""
        if head.header("content-length") is not None:
            assert head.header("content-length") == whole.header("content-length")
        assert client.request("GET", "/").text == "hello"  # nothing of a body was left on the connection


@pytest.mark.parametrize("code", ["204", "304"])
@pytest.mark.parametrize("how", ["list", "none", "generator"])
def test_g27_statuses_without_a_body(raw: Server, code: str, how: str) -> None:
    with raw.connect() as client:
        answer = client.request("GET", f"/status?code={code}&how={how}")
        assert (answer.status, answer.header("x-code")) == (int(code), code)
        assert answer.header("transfer-encoding") is None
        assert client.request("GET", "/").text == "hello"


def test_g27_content_length_is_dropped_from_204_and_kept_in_304(raw: Server) -> None:
    assert raw.get("/status?code=204&how=none&length=1").header("content-length") is None
    assert raw.get("/status?code=304&how=none&length=1").header("content-length") == "4"


@pytest.mark.parametrize(("how", "status"), [
    ("ends", 200), ("fails-first", 500), ("fails-late", 200), ("str", 200), ("unstarted", 500),
])  # fmt: skip
def test_g28_close_is_called_once_whatever_happens(raw: Server, token: str, how: str, status: int) -> None:
    answer = raw.get(f"/closing?how={how}&token={token}")
    assert answer.status == status
    assert answer.complete is (how in ("ends", "fails-first", "unstarted"))
    closed_once(raw, token)


def test_g28_close_is_called_for_head_and_too_long_bodies(raw: Server, token: str) -> None:
    raw.request("HEAD", f"/closing?how=ends&token={token}")
    closed_once(raw, token)
    raw.get(f"/length?promise=1&n=9&token={token}x")
    closed_once(raw, token + "x")


@pytest.mark.parametrize("goodbye", [reset, Client.close])
def test_g28_close_is_called_once_when_the_client_goes(
    raw: Server, token: str, goodbye: Callable[[Client], None]
) -> None:
    with raw.connect() as client:
        client.send_request("GET", f"/endless?token={token}")
        client.read_until(b"xxxx")
        goodbye(client)
    closed_once(raw, token)


def test_g28_close_is_called_when_the_client_goes_while_the_application_waits(
    raw: Server, token: str, gate: Gate
) -> None:
    with raw.connect() as client:
        client.send_request("GET", f"/steps?n=1000&token={token}&{gate}")
        client.read_until(b"step 0")
    # The first write after the client has gone still succeeds, so the application may come to the gate once more.
    eventually(lambda: raw.count(f"closed {token}") or (gate.pass_one() and None), "the iterable is closed")
    closed_once(raw, token)


def test_g30_file_wrapper_sends_from_where_the_file_stands(server: Server, token: str) -> None:
    whole = b"0123456789" * 20_000
    for how in ("disk", "memory"):
        answer = server.get(f"/file?how={how}&at=17&token={token}{how}")
        assert answer.body == whole[17:]
        server.wait_for(f"file {token}{how} closed")
    assert server.count(f"file {token}disk closed") == 1


def test_g30_a_wrapper_that_was_wrapped_is_iterated(server: Server, token: str) -> None:
    assert server.get(f"/file?how=upper&token={token}").body == b"z123456789" * 20_000


def test_g32_early_hints(server: Server) -> None:
    with server.connect() as client:
        answer = client.request("GET", "/hints")
        hints = [(hint.status, hint.header("link")) for hint in answer.interim]
        assert hints == [(103, "</style.css>; rel=preload; as=style")]
        assert (answer.status, answer.text) == (200, "hinted")
        client.send_request("GET", "/hints", version="1.0")
        assert client.head().status == 200  # an HTTP/1.0 client would take 103 for the answer


def test_g33_bytes_like_pieces(raw: Server) -> None:
    assert raw.get("/bytearray").body == b"array view"
    assert raw.get("/bytearray?one=1").body == b"array"


def test_g33_text_is_refused(raw: Server) -> None:
    at = len(raw.lines)
    assert raw.get("/str").status == 500
    raw.wait_for("TypeError: .*bytes", after=at)


def test_g36_limits_are_answered_before_the_application(server: Server) -> None:
    assert server.get("/" + "a" * 8192).status == 414
    assert server.get("/", **{"X-Long": "a" * 65536}).status == 431


@pytest.mark.parametrize("goodbye", [reset, Client.close])
def test_g37_write_raises_an_os_error_when_the_client_has_gone(raw: Server, goodbye: Callable[[Client], None]) -> None:
    at = len(raw.lines)
    with raw.connect() as client:
        client.send_request("GET", "/endless-write")
        client.read_until(b"xxxx")
        goodbye(client)
    raw.wait_for("write raised ClientDisconnected, an OSError", after=at)
    assert "Traceback" not in "\n".join(raw.lines[at:])  # a client that leaves is no error


def test_fields_that_repeat_and_odd_values(raw: Server) -> None:
    answer = raw.get("/cookies")
    assert answer.all("set-cookie") == ["a=1", "b=2"]
    assert (answer.header("x-empty"), answer.header("x-latin")) == ("", "größe")


def test_g28_validator_never_complains(server: Server) -> None:
    """wsgiref says on standard error when an iterator was thrown away without being closed."""
    for target in ("/", "/large?n=3", "/write", "/list?n=2", "/hints"):
        assert server.get(target).status == 200
    assert server.count("without being closed") == 0
