"""Frames of a raw socket, against wsproto, which is what simple-websocket speaks."""

from __future__ import annotations

import pytest
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, Pong, TextMessage

from backline import frames

SIZES = (0, 1, 125, 126, 127, 65535, 65536, 200_000)


@pytest.mark.parametrize("size", SIZES)
def test_server_takes_what_is_sent(size: int) -> None:
    server = Connection(ConnectionType.SERVER)
    server.receive_data(frames.client_frame(frames.TEXT, b"t" * size) + frames.client_frame(frames.BINARY, b"b" * size))
    text, data = b"", b""
    for event in server.events():
        if isinstance(event, TextMessage):
            text += event.data.encode()
        elif isinstance(event, BytesMessage):
            data += event.data
    assert (text, data) == (b"t" * size, b"b" * size)


def test_control_frames() -> None:
    server = Connection(ConnectionType.SERVER)
    closing = frames.client_frame(frames.CLOSE, frames.close_payload(4000, "so"))
    server.receive_data(frames.client_frame(frames.PONG, b"p") + closing)
    pong, close = server.events()
    assert isinstance(pong, Pong)
    assert isinstance(close, CloseConnection)
    assert (bytes(pong.payload), close.code, close.reason) == (b"p", 4000, "so")
    assert frames.close_payload(1005, "") == b""


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_frames_of_a_server_in_pieces(step: int) -> None:
    server = Connection(ConnectionType.SERVER)
    sent = b"".join(server.send(Message(data=b"b" * size)) for size in SIZES if size < 1000)
    sent += server.send(Message(data="one", message_finished=False)) + server.send(Message(data="two"))
    sent += server.send(Ping(b"?")) + server.send(CloseConnection(1000, "bye"))
    parser = frames.ServerFrames(1000)
    got = [frame for at in range(0, len(sent), step) for frame in parser.feed(sent[at : at + step])]
    assert [len(each.payload) for each in got[:5]] == [0, 1, 125, 126, 127]
    assert got[5:] == [
        (frames.TEXT, b"one", False),
        (frames.CONTINUATION, b"two", True),
        (frames.PING, b"?", True),
        (frames.CLOSE, b"\x03\xe8bye", True),
    ]


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"\xc1\x00", "reserved bits"), (b"\x81\x80", "masked"), (b"\x82\x7e\x03\xe9", "1001 bytes")],
)
def test_what_no_server_may_send(data: bytes, why: str) -> None:
    with pytest.raises(frames.Malformed, match=why):
        frames.ServerFrames(1000).feed(data)
