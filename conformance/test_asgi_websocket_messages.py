"""WebSocket messages both ways, and who waits for whom: W9 to W13, W19 to W21, W25 and A11 of the checklist."""

from __future__ import annotations

import json
import re
import threading
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from asgi_variants import LOOPS, VARIANTS, SharedServers, seen
from harness import Server, eventually, in_parallel
from sockets import BINARY, CONTINUATION, PING, PONG, TEXT, connect, frame

KERNEL = 12 << 20  # bytes that may be under way, see test_asgi_backpressure.py


@pytest.fixture(params=VARIANTS, ids=str)
def server(shared: SharedServers, request: pytest.FixtureRequest) -> Server:
    return shared("asgi_websocket:app", *request.param.flags)


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


# To the application


def test_w09_w11_one_of_text_and_bytes(server: Server, name: str) -> None:
    with connect(server, f"/events?name={name}") as socket:
        for data in ("text", b"bytes", "", b"", "\0 é \N{GRINNING FACE}", b"\x00\xff"):
            socket.send(data)
            key = "text" if isinstance(data, str) else "bytes"
            assert socket.message() == repr({"type": "websocket.receive", key: data})


@pytest.mark.parametrize("size", [125, 126, 65535, 65536, 65537, 300_000, 5_000_000])
@pytest.mark.parametrize("unit", [b"x", "x", "\N{GRINNING FACE}"], ids=["bytes", "ascii", "wide"])
def test_w09_w20_messages_of_every_size_there_and_back(server: Server, size: int, unit: str | bytes) -> None:
    data = unit * (size // len(unit.encode() if isinstance(unit, str) else unit))
    with connect(server, "/echo") as socket:
        socket.send(data)
        assert socket.message() == data


def test_w09_text_that_is_not_utf8_closes_with_1007(server: Server, name: str) -> None:
    with connect(server, f"/events?name={name}") as socket:
        socket.frame(TEXT, b"caf\xe9")
        assert socket.closed()[0] == 1007
    assert seen(server, name)[0]["code"] == 1007


def test_w20_fragments_are_put_together(server: Server) -> None:
    with connect(server, "/echo") as socket:
        socket.frame(TEXT, b"Gr", final=False)
        socket.frame(PING, b"between")
        socket.frame(CONTINUATION, "ü".encode()[:1], final=False)
        socket.frame(CONTINUATION, "ü".encode()[1:] + "ße".encode())
        pong = socket.next_frame()
        assert (pong.opcode, pong.payload) == (PONG, b"between")
        assert socket.message() == "Grüße"


OFFER = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
SENTENCE = " ".join(f"{n} times {n * n} is not {n * n * n}." for n in range(200))


def inflated(payload: bytes, bits: int) -> bytes:
    """By little and little: zlib looks beyond the window in what it has given in the same call."""
    inflater, text, rest = zlib.decompressobj(-bits), b"", payload + b"\0\0\xff\xff"
    while rest:
        text += inflater.decompress(rest, 16)
        rest = inflater.unconsumed_tail
    return text + inflater.flush()


def compressed(server: Server, text: str) -> tuple[str | None, int | None]:
    """What a client is granted that could compress, and the length of the frame in which ``text`` comes back; None
    where it comes as it is."""
    with connect(server, "/echo", OFFER) as socket:
        granted = socket.answer.header("sec-websocket-extensions")
        bits = re.search(r"server_max_window_bits=(\d+)", granted or "")
        for _ in range(2):  # with a context, the second one would be shorter and could not be read alone
            socket.send(text)
            payload = socket.next_frame().payload
            if payload == text.encode():
                return granted, None
            assert inflated(payload, int(bits.group(1)) if bits else 15) == text.encode()
        return granted, len(payload)


def test_w20_compression_and_its_settings(shared: SharedServers) -> None:
    def server(*flags: str) -> Server:
        return shared("asgi_websocket:app", *LOOPS[0].flags, *flags)

    plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    granted, usual = compressed(server(), SENTENCE)
    assert granted == plain
    assert usual and usual < len(SENTENCE) / 2
    assert compressed(server(), "x" * 127) == (plain, None)
    assert compressed(server("--websocket-compression-min-size", "1000"), "x" * 999) == (plain, None)
    assert compressed(server("--no-websocket-compression"), SENTENCE) == (None, None)
    _, best = compressed(server("--websocket-compression-level", "9"), SENTENCE)
    assert best and best < usual
    granted, small = compressed(server("--websocket-compression-window", "9"), SENTENCE)
    assert granted == f"{plain}; server_max_window_bits=9"
    assert small and small < len(SENTENCE) / 2


def test_w25_messages_keep_their_order(server: Server) -> None:
    with connect(server, "/echo") as socket:
        socket.client.send(b"".join(frame(TEXT, b"%d" % n) for n in range(1000)))
        assert [socket.message() for _ in range(1000)] == [str(n) for n in range(1000)]


def test_w25_a_receive_that_is_cancelled_loses_nothing(server: Server) -> None:
    with connect(server, "/polls") as socket:
        assert socket.message() == "polling"
        for n in range(200):
            socket.send(str(n))
        assert [socket.message() for _ in range(200)] == [str(n) for n in range(200)]


def test_w25_a_client_waits_for_an_application_that_does_not_receive(server: Server, name: str) -> None:
    piece, most = b"x" * 60_000, 2 * KERNEL
    sent = 0
    with connect(server, f"/unread?name={name}") as socket:
        seen(server, name)
        socket.client.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while sent < most:
                socket.frame(BINARY, piece)
                sent += len(piece)
        assert sent < most, "all of it was taken"


def test_w25_what_waited_arrives_when_the_application_receives(server: Server, name: str) -> None:
    count = 300
    with connect(server, f"/unread?name={name}") as socket:
        seen(server, name)
        writer = threading.Thread(target=socket.client.send, args=(frame(BINARY, b"x" * 60_000) * count,))
        writer.start()
        server.get(f"/open?{name}")
        writer.join(60)
        assert not writer.is_alive()
        socket.send(b"last")
        assert socket.message() == str(60_000 * count + 4)


# From the application


@pytest.mark.parametrize(
    ("what", "sent"),
    [
        ("text", "t"), ("bytes", b"b"), ("text-and-none", "t"), ("none-and-bytes", b"b"), ("empty-text", ""),
        ("empty-bytes", b""), ("buffer", b"b"), ("odd", "\0 \N{GRINNING FACE}"),
    ],
)  # fmt: skip
def test_w10_w11_send_with_either_key_and_empty(server: Server, what: str, sent: str | bytes) -> None:
    with connect(server, f"/sends?what={what}") as socket:
        assert socket.message() == sent


@pytest.mark.parametrize(
    ("what", "raised"),
    [
        ("both", "ValueError"), ("neither", "ValueError"), ("nones", "ValueError"), ("text-bytes", "TypeError"),
        ("bytes-str", "TypeError"), ("surrogate", "UnicodeEncodeError"), ("unknown", "RuntimeError"),
        ("http", "RuntimeError"), ("accept-twice", "RuntimeError"), ("code", "ValueError"),
    ],
)  # fmt: skip
def test_w13_a_wrong_event_is_an_error_of_send_and_the_socket_lives(server: Server, what: str, raised: str) -> None:
    with connect(server, f"/wrong?what={what}") as socket:
        assert socket.message() == raised
        assert socket.closed() == (1000, "")


def settled(server: Server, name: str) -> int:
    """How many messages the application has sent once it sends no more."""
    pause = threading.Event()
    while True:
        before = len(json.loads(server.get(f"/seen?{name}").body))
        pause.wait(0.3)
        if before and len(json.loads(server.get(f"/seen?{name}").body)) == before:
            return before


@pytest.mark.parametrize("kind", ["text", "bytes"])
def test_w25_send_waits_for_a_client_that_does_not_read(server: Server, name: str, kind: str) -> None:
    size = 50_000
    count = 3 * KERNEL // size
    with connect(server, f"/floods?name={name}&size={size}&count={count}&{kind}=1") as socket:
        stood = settled(server, name)
        assert stood < count - 10
        for _ in range(count):
            assert len(socket.message()) == size
        assert socket.closed() == (1000, "")


@pytest.mark.parametrize(("flags", "least", "most"), [((), 64, 700), (("--websocket-window", "2MiB"), 1900, 3500)])
def test_w25_what_may_wait_is_the_window(
    serve: Callable[..., Server], tmp_path: Path, name: str, flags: tuple[str, ...], least: int, most: int
) -> None:
    """Over a Unix socket, of which the kernel keeps some 200 KiB: of TCP's it may be as many MiB."""
    server = serve("asgi_websocket:app", *LOOPS[0].flags, *flags, bind=f"unix:{tmp_path / 'socket'}")
    with connect(server, f"/floods?name={name}&size=1000&count=100000"):
        seen(server, name, least)
        assert settled(server, name) <= most


def test_w25_a_long_message_waits_in_the_middle(server: Server, name: str) -> None:
    size = 3 * KERNEL
    with connect(server, f"/floods?name={name}&size={size}&count=1") as socket:
        pause = threading.Event()
        pause.wait(0.3)
        assert json.loads(server.get(f"/seen?{name}").body) == []
        assert socket.message() == b"x" * size
    seen(server, name)


def test_w25_a_send_that_waits_raises_when_the_client_goes(server: Server, name: str) -> None:
    lines = len(server.lines)
    with connect(server, f"/floods?name={name}&size=50000&count=100000"):
        settled(server, name)
    eventually(lambda: "gone" in json.loads(server.get(f"/seen?{name}").body), "the OSError")
    assert "error while" not in "\n".join(server.lines[lines:])


def test_w25_a11_messages_of_several_tasks_do_not_mix_and_cancelling_loses_nothing(server: Server) -> None:
    with connect(server, "/tasks") as socket:
        for n in range(12):
            assert socket.message() == bytes([n]) * 300_000
        assert socket.message() == "end"


def test_w25_what_is_sent_leaves_before_the_application_computes(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "seen"
    with connect(server, f"/computes?file={file}") as socket:
        assert socket.message() == "begun"
        file.touch()
        assert socket.message() == "done"


def test_w25_many_sockets_at_once(server: Server) -> None:
    def one(n: int) -> None:
        with connect(server, "/echo") as socket:
            for k in range(20):
                socket.send(f"{n}.{k}")
                assert socket.message() == f"{n}.{k}"

    in_parallel(32, one)


# What the server does by itself


def test_w19_pings_are_answered(server: Server) -> None:
    with connect(server, "/echo") as socket:
        for payload in (b"", b"x" * 125):
            socket.frame(PING, payload)
            got = socket.next_frame()
            assert (got.opcode, got.payload) == (PONG, payload)
        socket.frame(PONG, b"unasked")
        socket.send("still there")
        assert socket.message() == "still there"


def test_w19_a_client_that_answers_no_ping_is_a_lost_one(shared: SharedServers, name: str) -> None:
    flags = ("--websocket-ping-interval", "1", "--websocket-ping-timeout", "1")
    server = shared("asgi_websocket:app", *LOOPS[0].flags, *flags)
    with connect(server, f"/echo?name={name}") as socket:
        assert socket.next_frame().opcode == PING
        assert seen(server, name) == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


def test_w19_a_client_that_answers_stays(shared: SharedServers, name: str) -> None:
    flags = ("--websocket-ping-interval", "1", "--websocket-ping-timeout", "1")
    server = shared("asgi_websocket:app", *LOOPS[0].flags, *flags)
    with connect(server, f"/echo?name={name}") as socket:
        for _ in range(2):
            ping = socket.next_frame()
            assert ping.opcode == PING
            socket.frame(PONG, ping.payload)
        socket.send("here")
        assert socket.message() == "here"


@pytest.mark.parametrize("fragments", [1, 3])
def test_w21_a_message_that_is_too_long_closes_with_1009(shared: SharedServers, name: str, fragments: int) -> None:
    server = shared("asgi_websocket:app", *LOOPS[0].flags, "--websocket-max-message", "100KiB")
    with connect(server, f"/echo?name={name}") as socket:
        socket.send(b"x" * 100 * 1024)
        assert len(socket.message()) == 100 * 1024
        for n in range(fragments):
            last = n == fragments - 1
            socket.frame(CONTINUATION if n else BINARY, b"x" * (120_000 // fragments), final=last)
        assert socket.closed()[0] == 1009
    assert seen(server, name)[0]["code"] == 1009


BROKEN = {
    "not masked": b"\x81\x05hello",
    "no such opcode": frame(3, b""),
    "continues nothing": frame(CONTINUATION, b"x"),
    "a control frame that is too long": frame(PING, b"x" * 126),
    "a control frame in fragments": frame(PING, b"", final=False),
    "reserved bits": b"\xf1\x80\0\0\0\0",
}


@pytest.mark.parametrize("broken", BROKEN)
def test_w23_a_client_that_breaks_the_protocol_is_closed_and_the_application_told(
    server: Server, name: str, broken: str
) -> None:
    with connect(server, f"/echo?name={name}") as socket:
        socket.client.send(BROKEN[broken])
        assert socket.closed()[0] == 1002
    assert seen(server, name)[0]["code"] == 1002
