"""WebSocket messages as the worker sees them, and who waits for whom (W9 to W13 and W25 of the checklist)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from worker import ACCEPTED, Application, Worker, on_loop, opened, waiting

from backline import wire
from backline.errors import ClientDisconnected

DONE = (wire.DONE, 0)
COST = wire.MESSAGE_COST


# Messages to the application


@on_loop
@pytest.mark.parametrize("data", ["", "text", "\N{GRINNING FACE} \0", b"", b"bytes \xff"])
async def test_w09_w11_messages_arrive_as_they_are(data: str | bytes) -> None:
    worker, app = await opened()
    await worker.tell((wire.RECEIVE, 0, data))
    key = "text" if isinstance(data, str) else "bytes"
    assert await app.receive() == {"type": "websocket.receive", key: data}


@on_loop
async def test_w09_long_messages_come_in_parts() -> None:
    worker, app = await opened()
    await worker.tell((wire.PART, 0, "one "), (wire.PART, 0, "two "), (wire.RECEIVE, 0, "three"))
    await worker.tell((wire.PART, 0, b"1"), (wire.RECEIVE, 0, b""), (wire.RECEIVE, 0, "next"))
    events = [await app.receive() for _ in range(3)]
    assert events == [
        {"type": "websocket.receive", "text": "one two three"},
        {"type": "websocket.receive", "bytes": b"1"},
        {"type": "websocket.receive", "text": "next"},
    ]


@on_loop
async def test_w25_messages_keep_their_order_and_go_to_one_reader_each() -> None:
    worker, app = await opened()
    readers = [waiting(app.receive()) for _ in range(3)]
    await worker.heard()
    sent = [f"message {n}" for n in range(10)]
    await worker.tell(*((wire.RECEIVE, 0, text) for text in sent))
    events = [await reader for reader in readers] + [await app.receive() for _ in range(7)]
    assert [event["text"] for event in events] == sent
    last = waiting(app.receive())
    await worker.heard()
    assert not last.done()
    last.cancel()


@on_loop
async def test_w25_a_cancelled_receive_loses_nothing() -> None:
    worker, app = await opened()
    for n in range(3):
        polling = waiting(app.receive())
        await worker.heard()
        # Cancelled in the very turn in which the message comes.
        worker.connection.data_received(wire.encode([(wire.RECEIVE, 0, str(n))]))
        polling.cancel()
        await worker.heard()
        assert polling.cancelled()
        assert (await app.receive())["text"] == str(n)


@on_loop
async def test_w25_polling_receive_for_hours_keeps_nothing() -> None:
    worker, app = await opened()
    call = worker.connection.calls[0]
    held = waiting(app.receive())
    for _ in range(100):
        polling = waiting(app.receive())
        await asyncio.sleep(0)
        polling.cancel()
        await asyncio.sleep(0)
    assert len(call._waiting) <= 2
    await worker.tell((wire.RECEIVE, 0, "after all"))
    assert (await held)["text"] == "after all"


@on_loop
async def test_w25_the_server_is_told_of_room_now_and_then() -> None:
    worker, app = await opened()
    told: list[tuple[int, ...]] = []
    size, count = 1000, 300
    for _ in range(count):
        told += await worker.tell((wire.RECEIVE, 0, "x" * size))
        await app.receive()
    told += await worker.heard()
    assert {message[:2] for message in told} == {(wire.READ, 0)}
    assert 2 <= len(told) <= 10
    unsaid = count * (size + COST) - sum(message[2] for message in told)
    assert 0 <= unsaid < wire.WINDOW // 4


@on_loop
async def test_w25_what_the_application_has_not_received_is_not_room() -> None:
    worker, app = await opened()
    assert await worker.tell(*((wire.RECEIVE, 0, "x" * 60_000) for _ in range(4))) == []
    await app.receive()
    assert await worker.heard() == []
    await app.receive()
    assert await worker.heard() == [(wire.READ, 0, 2 * (60_000 + COST))]


@on_loop
async def test_w25_a_message_larger_than_the_window_makes_its_own_room() -> None:
    worker, app = await opened()
    piece = b"x" * wire.MAX_PIECE
    told = []
    for _ in range(16):
        told += await worker.tell((wire.PART, 0, piece))
    assert sum(message[2] for message in told) == 16 * wire.MAX_PIECE  # what a message costs besides, its end brings
    await worker.tell((wire.RECEIVE, 0, b"end"))
    assert (await app.receive())["bytes"] == piece * 16 + b"end"
    # Later messages tell the rest, and nothing is told twice.
    for _ in range(100):
        told += await worker.tell((wire.PART, 0, piece), (wire.RECEIVE, 0, b"end"))
        await app.receive()
    told += await worker.heard()
    whole = 16 * wire.MAX_PIECE + 3 + COST + 100 * (wire.MAX_PIECE + 3 + COST)
    assert 0 <= whole - sum(message[2] for message in told) < wire.WINDOW // 4


# Messages from the application


class Text(str):
    """What Django's SafeString is."""


@on_loop
@pytest.mark.parametrize(
    ("fields", "data"),
    [
        ({"text": "t"}, "t"),
        ({"bytes": b"b"}, b"b"),
        ({"text": "t", "bytes": None}, "t"),
        ({"text": None, "bytes": b"b"}, b"b"),
        ({"text": ""}, ""),
        ({"bytes": b""}, b""),
        ({"text": "", "bytes": None}, ""),
        ({"text": "\0 \N{GRINNING FACE}"}, "\0 \N{GRINNING FACE}"),
        ({"text": Text("safe")}, "safe"),
        ({"bytes": bytearray(b"b")}, b"b"),
        ({"bytes": memoryview(b"b")}, b"b"),
    ],
)
async def test_w10_w11_send(fields: dict[str, Any], data: str | bytes) -> None:
    worker, app = await opened()
    await app.send({"type": "websocket.send", **fields})
    ((kind, stream, sent),) = await worker.heard()
    assert (kind, stream, type(sent), sent) == (wire.SEND, 0, type(data), data)


@on_loop
@pytest.mark.parametrize("kind", ["websocket.send", "websocket.http.response.body"])
async def test_w12_send_before_accept(kind: str) -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    before = "accept" if kind == "websocket.send" else "http.response.start"
    with pytest.raises(RuntimeError, match=f"ASGI: {kind} was sent before websocket.{before}"):
        await app.send({"type": kind, "text": "t"})
    await app.accept()
    assert await worker.heard() == [ACCEPTED]


@on_loop
@pytest.mark.parametrize(
    ("event", "error", "said"),
    [
        ({"text": "t", "bytes": b"b"}, ValueError, "has both text and bytes"),
        ({"text": "", "bytes": b""}, ValueError, "has both text and bytes"),
        ({}, ValueError, "has neither text nor bytes"),
        ({"text": None, "bytes": None}, ValueError, "has neither text nor bytes"),
        ({"text": b"t"}, TypeError, "expected text as a str, got bytes"),
        ({"bytes": "b"}, TypeError, "expected bytes as bytes, got str"),
        ({"text": "\ud800"}, UnicodeEncodeError, "surrogates not allowed"),
        ({"type": "websocket.accept"}, RuntimeError, "websocket.accept was sent after websocket.accept"),
        ({"type": "websocket.http.response.start", "status": 200}, RuntimeError, "sent after websocket.accept"),
        ({"type": "http.response.start"}, RuntimeError, "'http.response.start' is not a message of a WebSocket"),
        ({"type": "websocket.close", "code": 1005}, ValueError, "may be sent .RFC 6455 7.4."),
        ({"type": "websocket.close", "code": 99}, ValueError, "may be sent"),
        ({"type": "websocket.close", "code": 2000}, ValueError, "may be sent"),
        ({"type": "websocket.close", "code": "1000"}, ValueError, "may be sent"),
        ({"type": "websocket.close", "reason": b"r"}, TypeError, "expected reason as a str"),
        ({"type": "websocket.close", "reason": "\udfff"}, UnicodeEncodeError, "surrogates"),
    ],
)
async def test_w13_a_wrong_event_is_an_error_of_send_and_the_socket_lives(
    event: dict[str, Any], error: type[Exception], said: str
) -> None:
    worker, app = await opened()
    with pytest.raises(error, match=said):
        await app.send({"type": "websocket.send", **event})
    await app.text("goes on")
    assert await worker.heard() == [(wire.SEND, 0, "goes on")]


# Backpressure


@on_loop
async def test_w25_send_waits_for_credit() -> None:
    worker, app = await opened(websocket_window=1000)
    sending = waiting(app.text("x" * 2000))
    assert await worker.heard() == [(wire.SEND, 0, "x" * 2000)]
    assert not sending.done()
    assert await worker.tell((wire.CREDIT, 0, 1064)) == []
    assert not sending.done()
    await worker.tell((wire.CREDIT, 0, 1000))
    assert sending.done()


@on_loop
async def test_w25_small_messages_cost_too() -> None:
    worker, app = await opened(websocket_window=10 * COST)
    for _ in range(9):
        await asyncio.wait_for(app.text(""), 5)
    tenth = waiting(app.text(""))
    assert len(await worker.heard()) == 10
    assert not tenth.done()
    eleventh = waiting(app.text("eleven"))
    assert await worker.heard() == []
    assert await worker.tell((wire.CREDIT, 0, COST)) == [(wire.SEND, 0, "eleven")]
    await worker.tell((wire.CREDIT, 0, 2 * COST))
    assert tenth.done() and eleventh.done()


def joined(messages: list[Any]) -> list[tuple[int, int, Any]]:
    """Pieces put together, each with how many there were and the longest's bytes."""
    whole, parts = [], []
    for kind, _, data in messages:
        parts.append(data)
        if kind == wire.SEND:
            longest = max(len(part.encode() if isinstance(part, str) else part) for part in parts)
            whole.append((len(parts), longest, data[:0].join(parts)))
            parts = []
    assert not parts
    return whole


@on_loop
@pytest.mark.parametrize(
    ("data", "pieces"),
    [
        (b"x" * wire.MAX_PIECE, 1),
        (b"x" * (wire.MAX_PIECE + 1), 2),
        (b"x" * (3 * wire.MAX_PIECE), 3),
        ("x" * wire.MAX_PIECE, 1),
        ("x" * (wire.MAX_PIECE + 1), 2),
        ("\N{GRINNING FACE}" * 16384, 1),
        ("\N{GRINNING FACE}" * 16385, 2),
        ("ü" * 100_000, 7),
    ],
)
async def test_w25_long_messages_go_in_pieces(data: str | bytes, pieces: int) -> None:
    worker, app = await opened(websocket_window=1 << 20)
    key = "text" if isinstance(data, str) else "bytes"
    await app.send({"type": "websocket.send", key: data})
    ((count, longest, sent),) = joined(await worker.heard())
    assert (count, type(sent), sent) == (pieces, type(data), data)
    assert longest <= wire.MAX_PIECE


@on_loop
async def test_w25_pieces_go_as_credit_allows_and_messages_of_several_tasks_do_not_mix() -> None:
    worker, app = await opened(websocket_window=wire.MAX_PIECE)
    sent = [bytes([n]) * (3 * wire.MAX_PIECE) for n in range(4)]
    tasks = [waiting(app.send({"type": "websocket.send", "bytes": data})) for data in sent]
    heard = await worker.heard()
    assert [message[0] for message in heard] == [wire.SEND_PART]
    while not all(task.done() for task in tasks):
        more = await worker.tell((wire.CREDIT, 0, wire.MAX_PIECE + COST))
        assert len(more) <= 1
        heard += more
    assert [data for _, _, data in joined(heard)] == sent


@on_loop
async def test_w25_a_cancelled_send_leaves_no_half_message() -> None:
    worker, app = await opened(websocket_window=wire.MAX_PIECE)
    long = b"x" * (3 * wire.MAX_PIECE)
    sending = waiting(app.send({"type": "websocket.send", "bytes": long}))
    heard = await worker.heard()
    sending.cancel()
    await worker.heard()
    assert sending.cancelled()
    after = waiting(app.text("after"))
    await worker.heard()
    after.cancel()
    app.ends.set_result(None)  # the call waits for what it has accepted, the close too
    for _ in range(4):
        heard += await worker.tell((wire.CREDIT, 0, wire.MAX_PIECE + COST))
    assert heard[-2:] == [(wire.CLOSE, 0, 1000, ""), DONE]
    assert [data for _, _, data in joined(heard[:-2])] == [long, "after"]


@on_loop
async def test_w25_close_goes_behind_what_was_sent() -> None:
    worker, app = await opened(websocket_window=wire.MAX_PIECE)
    sending = waiting(app.send({"type": "websocket.send", "bytes": b"x" * (2 * wire.MAX_PIECE)}))
    heard = await worker.heard()
    closing = waiting(app.send({"type": "websocket.close"}))
    assert await worker.heard() == []
    heard += await worker.tell((wire.CREDIT, 0, 2 * wire.MAX_PIECE))
    assert [message[0] for message in heard] == [wire.SEND_PART, wire.SEND, wire.CLOSE]
    await sending
    await closing
    assert await worker.tell((wire.CREDIT, 0, wire.MAX_PIECE)) == []


@on_loop
@pytest.mark.parametrize("long", [True, False])
async def test_w24_w25_a_send_that_waits_raises_when_the_client_goes(long: bool) -> None:
    worker, app = await opened(websocket_window=100)
    sending = waiting(app.text("x" * (200_000 if long else 200)))
    await worker.heard()
    assert await worker.tell((wire.CLOSED, 0, 1006, "")) == []
    with pytest.raises(ClientDisconnected):
        await sending
    app.ends.set_result(None)
    assert await worker.heard() == [DONE]


@on_loop
async def test_w25_what_is_sent_has_left_when_send_returns() -> None:
    """An application may compute for long before it waits again."""
    worker, app = await opened()
    worker.packets.clear()
    await app.text("first")
    assert [message for packet in worker.packets for message in packet] == [(wire.SEND, 0, "first")]
