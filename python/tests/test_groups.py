"""Groups that the server delivers to, as the worker sees them. What the server does of it is in conformance/."""

from __future__ import annotations

from typing import Any

import pytest
from worker import ACCEPTED, Application, Worker, on_loop, opened

from backline import wire
from backline.errors import ClientDisconnected, TooManyGroups


def add(group: Any) -> dict[str, Any]:
    return {"type": "backline.group.add", "group": group}


def discard(group: Any) -> dict[str, Any]:
    return {"type": "backline.group.discard", "group": group}


@on_loop
async def test_a_socket_joins_and_leaves() -> None:
    worker, app = await opened()
    await app.send(add("room"))
    await app.send(discard("another"))
    await app.send(discard("room"))
    await app.send(discard("room"))
    assert await worker.heard() == [(wire.SOCKET_JOIN, 0, "room"), (wire.SOCKET_LEAVE, 0, "room")]


@on_loop
async def test_a_socket_joins_before_it_is_accepted() -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    await app.send(add("room"))
    await app.accept()
    assert await worker.heard() == [(wire.SOCKET_JOIN, 0, "room"), ACCEPTED]


@on_loop
@pytest.mark.parametrize(
    ("group", "error", "text"),
    [
        ("", ValueError, "1 to 99 ASCII letters"),
        ("a b", ValueError, "'a b'"),
        ("room\n", ValueError, "1 to 99"),
        ("caf\u00e9", ValueError, "1 to 99"),
        ("x" * 100, ValueError, "1 to 99"),
        (b"room", TypeError, "a str, got bytes"),
        (None, TypeError, "a str, got NoneType"),
    ],
)
async def test_names_are_checked(group: Any, error: type[Exception], text: str) -> None:
    worker, app = await opened()
    for message in (add(group), discard(group)):
        with pytest.raises(error, match=text):
            await app.send(message)
    await app.text("goes on")
    assert await worker.heard() == [(wire.SEND, 0, "goes on")]


@on_loop
async def test_a_message_without_a_group() -> None:
    _, app = await opened()
    with pytest.raises(KeyError, match="group"):
        await app.send({"type": "backline.group.add"})


@on_loop
async def test_a_socket_is_in_a_bounded_number_of_groups() -> None:
    worker, app = await opened(websocket_groups=2)
    for group in ("a", "b", "a"):
        await app.send(add(group))
    with pytest.raises(TooManyGroups, match="in 2 groups already; discard one, or raise websocket_groups"):
        await app.send(add("c"))
    await app.send(discard("a"))
    await app.send(add("c"))
    heard = await worker.heard()
    assert [message[0] for message in heard] == 3 * [wire.SOCKET_JOIN] + [wire.SOCKET_LEAVE, wire.SOCKET_JOIN]


@on_loop
async def test_a_socket_that_is_closed_joins_nothing() -> None:
    worker, app = await opened()
    await worker.tell((wire.CLOSED, 0, 1001, ""))
    with pytest.raises(ClientDisconnected):
        await app.send(add("room"))
    await app.send(discard("room"))
    assert await worker.heard() == []


@on_loop
async def test_a_socket_that_is_refused_joins_nothing() -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    await app.send({"type": "websocket.http.response.start", "status": 401, "headers": []})
    with pytest.raises(RuntimeError, match="was sent after websocket"):
        await app.send(add("room"))


@on_loop
async def test_a_socket_is_present_and_gets_what_it_missed() -> None:
    worker, app = await opened()
    await app.send({**add("room"), "user": "ann", "info": {"device": "phone"}, "since": "1f-9"})
    await app.send({**add("hall"), "user": "ann"})
    await app.send({**add("news"), "since": ""})
    room, hall, news = await worker.heard()
    assert room == (wire.SOCKET_ENTER, 0, "room", "ann", room[4], '{"device": "phone"}', "1f-9")
    assert len(room[4]) == 20, "a name of its own"
    assert hall == (wire.SOCKET_ENTER, 0, "hall", "ann", room[4], "", None), "one name for one socket"
    assert news == (wire.SOCKET_ENTER, 0, "news", None, "", "", "")


@on_loop
async def test_sockets_have_different_names() -> None:
    worker, app = await opened()
    await app.send({**add("room"), "user": "ann"})
    [first] = await worker.heard()
    await worker.connect(1)
    await app.accept()
    await app.send({**add("room"), "user": "ann"})
    _, second = await worker.heard()
    assert first[4] != second[4]


@on_loop
async def test_who_enters_before_accept_enters_behind_it() -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    await app.send({**add("room"), "user": "ann"})
    await app.send({**add("left"), "user": "ann", "since": "1f-9"})
    await app.send({**add("news"), "since": "1f-9"})
    await app.send({**add("room"), "user": "bob"})
    await app.send(discard("left"))
    await app.accept()
    heard = await worker.heard()
    before, after = heard[: heard.index(ACCEPTED)], heard[heard.index(ACCEPTED) + 1 :]
    # A member from then on, as without a user; one that asks for what it missed is none before it is told of that.
    assert before == [(wire.SOCKET_JOIN, 0, "room"), (wire.SOCKET_JOIN, 0, "room"), (wire.SOCKET_LEAVE, 0, "left")]
    assert [message[:4] for message in after] == [
        (wire.SOCKET_ENTER, 0, "news", None), (wire.SOCKET_ENTER, 0, "room", "bob"),
    ]  # fmt: skip


@on_loop
async def test_a_gap_is_told_in_its_place_and_once() -> None:
    worker, app = await opened()
    for group in ("room", "left"):
        await app.send({**add(group), "since": "1f-9"})
    await app.send(discard("left"))
    await app.send(add("plain"))
    gap = (wire.GAP, 0, "room")
    await worker.tell((wire.RECEIVE, 0, "a"), gap, gap, (wire.GAP, 0, "left"), (wire.GAP, 0, "plain"))
    await worker.tell(gap, (wire.RECEIVE, 0, "b"))
    told = {"type": "backline.group.gap", "group": "room"}
    received = [await app.receive() for _ in range(3)]
    assert [each.get("text", each) for each in received] == ["a", told, "b"]
    await worker.tell(gap)
    assert await app.receive() == told, "once while it waits"
    await worker.tell(gap, (wire.CLOSED, 0, 1000, ""))
    assert await app.receive() == told
    assert (await app.receive())["type"] == "websocket.disconnect"


@on_loop
@pytest.mark.parametrize(
    ("keys", "error", "text"),
    [
        ({"info": {}}, TypeError, "info is said of a user"),
        ({"user": ""}, TypeError, "1 to 255 bytes"),
        ({"user": "x" * 256}, TypeError, "1 to 255 bytes"),
        ({"user": 7}, TypeError, "expected user as a str"),
        ({"user": "ann", "info": "x" * 4095}, ValueError, "at most 4,096"),
        ({"user": "ann", "info": object()}, TypeError, "JSON"),
        ({"since": 7}, TypeError, "expected since as a str"),
    ],
)
async def test_what_is_said_of_who_enters_is_checked(keys: dict[str, Any], error: type[Exception], text: str) -> None:
    worker, app = await opened(websocket_groups=1)
    with pytest.raises(error, match=text):
        await app.send({**add("room"), **keys})
    await app.send(add("another"))
    assert await worker.heard() == [(wire.SOCKET_JOIN, 0, "another")], "a refused one takes no place"


@on_loop
@pytest.mark.parametrize("since", ["x" * 1025, "caf\u00e9"])
async def test_what_a_client_says_that_is_no_position_is_one_that_nobody_knows(since: str) -> None:
    worker, app = await opened()
    await app.send({**add("room"), "since": since})
    assert await worker.heard() == [(wire.SOCKET_ENTER, 0, "room", None, "", "", "?")]
