"""What receive() gives (ASGI www 2.2): H16 to H21, A10 and A11 of the checklist."""

from __future__ import annotations

import json
import select
import uuid
from typing import Any

import pytest
from asgi_variants import LOOPS, VARIANTS, SharedServers, seen
from harness import Client, Server, eventually

CHUNKED = b"POST %s HTTP/1.1\r\nHost: testserver\r\nTransfer-Encoding: chunked\r\n\r\n"
SIZED = b"POST %s HTTP/1.1\r\nHost: testserver\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(params=VARIANTS, ids=str)
def server(shared: SharedServers, request: pytest.FixtureRequest) -> Server:
    return shared("asgi_events:app", *request.param.flags)


@pytest.fixture
def name() -> str:
    """A name for notes that no other test uses, since tests share servers."""
    return uuid.uuid4().hex


def body_of(server: Server, request: bytes) -> dict[str, Any]:
    with server.connect() as client:
        client.send(request)
        found: dict[str, Any] = json.loads(client.answer().body)
        return found


def open_gate(server: Server, name: str) -> None:
    assert server.get(f"/open?{name}").text == "opened"


def test_h16_h19_no_body_is_one_empty_event(server: Server) -> None:
    found = body_of(server, b"GET /body HTTP/1.1\r\nHost: testserver\r\n\r\n")
    assert found == {"body": "", "sizes": [0], "more": [False], "types": ["bytesbool"]}


def test_h16_h19_a_small_body_is_one_event(server: Server) -> None:
    found = body_of(server, SIZED % (b"/body", 5) + b"hello")
    assert found == {"body": "hello", "sizes": [5], "more": [False], "types": ["bytesbool"]}


@pytest.mark.parametrize("size", [65536, 65537, 300_000, 5_000_000])
def test_h16_h19_large_bodies_arrive_whole_with_one_last_event(server: Server, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    data = data[:size]
    found = body_of(server, SIZED % (b"/body", size) + data)
    assert found["body"] == f"{size} {sum(data)}"
    assert found["more"].count(False) == 1
    assert found["more"][-1] is False
    assert found["types"] == ["bytesbool"]


def test_h17_chunked_bodies_arrive_decoded_and_without_trailers(server: Server) -> None:
    data = b"5\r\nhello\r\n3;x=y\r\n, w\r\n4\r\norld\r\n0\r\nX-Trailer: 1\r\n\r\n"
    assert body_of(server, CHUNKED % b"/body" + data)["body"] == "hello, world"
    with server.connect() as client:
        for n in range(len(data)):  # byte by byte
            client.send((CHUNKED % b"/body" if n == 0 else b"") + data[n : n + 1])
        assert json.loads(client.answer().body)["body"] == "hello, world"
        assert json.loads(client.request("POST", "/body", body=b"next").body)["body"] == "next"


def test_h18_the_body_is_streamed_as_it_comes(server: Server, name: str) -> None:
    with server.connect() as client:
        client.send(CHUNKED % f"/upload?{name}".encode() + b"5\r\nfirst\r\n")
        assert seen(server, name) == [{"type": "http.request", "body": "first", "more_body": True}]
        open_gate(server, name)
        client.send(b"6\r\nsecond\r\n")
        assert seen(server, name, 2)[1] == {"type": "http.request", "body": "second", "more_body": True}
        client.send(b"0\r\n\r\n")
        assert seen(server, name, 3)[2] == {"type": "http.request", "body": "", "more_body": False}
        assert client.answer().text == "complete"


def test_h18_an_application_that_does_not_read_stops_the_client(shared: SharedServers) -> None:
    """The server keeps at most a window of an upload, so the client's kernel fills and its send() does not go on."""
    server = shared("asgi_events:app", *LOOPS[0].flags)
    total = 64 << 20
    with server.connect() as client:
        client.send(SIZED % (b"/slow", total) + b"x")
        seen(server, "slow")
        client.sock.setblocking(False)
        sent = 1 + fill(client, total - 1)
        assert sent < 16 << 20
        client.sock.settimeout(20)
        open_gate(server, "slow")
        client.send(b"x" * (total - sent))
        assert client.answer().text == str(total - 1)  # the handler leaves its first event out


def fill(client: Client, most: int) -> int:
    """Send until nothing has gone for a while; how much went."""
    sent, piece = 0, b"x" * 65536
    while sent < most and select.select([], [client.sock], [], 0.5)[1]:
        sent += client.sock.send(piece[: most - sent])
    return sent


def test_h18_continue_is_sent_when_the_application_reads(server: Server) -> None:
    before = len(json.loads(server.get("/seen?expect").body))
    with server.connect() as client:
        client.send(SIZED[:-2] % (b"/expect", 5) + b"Expect: 100-continue\r\n\r\n")
        seen(server, "expect", before + 1)
        if before == 0:
            client.sock.settimeout(0.1)
            with pytest.raises(TimeoutError):
                client.sock.recv(1)
            client.sock.settimeout(20)
        open_gate(server, "expect")
        assert client.head().status == 100
        client.send(b"hello")
        assert client.answer().text == "hello"


def test_h18_no_continue_when_the_application_answers_without_reading(server: Server) -> None:
    with server.connect() as client:
        client.send(SIZED[:-2] % (b"/lazy", 5) + b"Expect: 100-continue\r\n\r\n")
        answer = client.answer()
        assert (answer.interim, answer.text) == ([], "not read")
        assert client.at_end()  # whether the client sends its body now cannot be known


def test_h19_after_the_body_receive_waits(server: Server) -> None:
    assert json.loads(server.request("POST", "/blocks", body=b"x").body) is None


def test_h21_after_the_answer_receive_gives_disconnect_every_time(server: Server) -> None:
    before = len(json.loads(server.get("/seen?after").body))
    with server.connect() as client:
        client.request("POST", "/blocks", body=b"x")
        assert seen(server, "after", before + 1)[-1] == [{"type": "http.disconnect"}] * 3


def test_h21_a_receive_that_waits_ends_with_the_answer(server: Server) -> None:
    before = len(json.loads(server.get("/seen?listener").body))
    with server.connect() as client:
        assert client.request("GET", "/waits").text == "answered"
        assert seen(server, "listener", before + 1)[-1] == {"type": "http.disconnect"}


def test_h21_after_an_early_answer_the_rest_of_the_body_is_not_waited_for(server: Server) -> None:
    before = len(json.loads(server.get("/seen?early").body))
    with server.connect() as client:
        client.send(SIZED % (b"/early", 1000) + b"only a part")
        answer = client.answer()
        assert (answer.text, answer.header("connection")) == ("early", "close")
        assert seen(server, "early", before + 1)[-1] == ["http.disconnect"] * 3
        client.send(b"GET /seen?early HTTP/1.1\r\nHost: testserver\r\n\r\n")
        assert client.at_end()  # what comes now is body to the client, and must be nobody's request


@pytest.mark.parametrize("head", [SIZED[:-2] % (b"/upload?%s", 1000) + b"\r\n", CHUNKED])
def test_h20_a_client_gone_during_its_upload_is_a_disconnect(server: Server, name: str, head: bytes) -> None:
    first = b"5\r\nfirst\r\n" if b"chunked" in head else b"first"
    with server.connect() as client:
        client.send((head.replace(b"/upload?%s", b"%s") % f"/upload?{name}".encode()) + first)
        assert seen(server, name)[0]["more_body"] is True
    open_gate(server, name)
    assert seen(server, name, 2)[1:] == [{"type": "http.disconnect"}]


def test_h20_half_a_body_is_never_taken_for_a_whole_one(server: Server, name: str) -> None:
    with server.connect() as client:
        client.send(CHUNKED % f"/upload?{name}".encode() + b"5\r\nfirst\r\n")
        seen(server, name)
        client.send(b"5\r\nsec")
    open_gate(server, name)
    eventually(lambda: seen(server, name)[-1] == {"type": "http.disconnect"}, "a disconnect")
    assert all(event.get("more_body", True) for event in seen(server, name))


def test_h20_a_broken_chunk_is_a_disconnect(server: Server, name: str) -> None:
    with server.connect() as client:
        client.send(CHUNKED % f"/upload?{name}".encode() + b"5\r\nfirst\r\n")
        seen(server, name)
        open_gate(server, name)
        client.send(b"nonsense\r\n")
        assert client.answer().status == 400
        assert seen(server, name, 2)[-1] == {"type": "http.disconnect"}


def test_a11_a_cancelled_receive_loses_nothing(server: Server) -> None:
    before = len(json.loads(server.get("/seen?cancels").body))
    with server.connect() as client:
        client.send(CHUNKED % b"/cancelled" + b"3\r\none\r\n")
        seen(server, "cancels", before + 1)
        client.send(b"3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n")
        found = json.loads(client.answer().body)
    assert found["body"] == "onetwothree"
    assert found["cancels"] >= 5


def test_a10_several_tasks_receive_at_once(server: Server) -> None:
    before = len(json.loads(server.get("/seen?parallel").body))
    size = 1_000_000
    with server.connect() as client:
        client.send(SIZED % (b"/parallel?%d" % size, size))
        seen(server, "parallel", before + 1)
        client.send(b"x" * size)
        found = json.loads(client.answer().body)
        assert found["total"] == size
        assert found["waiting"] == 3  # they wait for the disconnect, which the answer is
        assert seen(server, "parallel", before + 2)[-1] == "all ended"
