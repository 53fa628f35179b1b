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
