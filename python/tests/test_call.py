"""What requests and WebSockets have in common: how a call begins, is given up, and ends."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from worker import Worker, on_loop

from backline import wire
from backline.begun import TAKEN

KINDS = ("get", "connect")  # a request, a WebSocket's handshake


async def open_call(worker: Worker, kind: str, stream: int = 0) -> list[Any]:
    return await (worker.get(stream) if kind == "get" else worker.connect(stream))


class Waits:
    """Waits for ever, and counts how often it was called and cancelled."""

    def __init__(self) -> None:
        self.calls = self.cancelled = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


@on_loop
@pytest.mark.parametrize("kind", KINDS)
async def test_what_has_begun_is_marked_and_what_is_taken_is_skipped(kind: str) -> None:
    app = Waits()
    worker = Worker(app)
    worker.runner.begun[7] = TAKEN
    assert await open_call(worker, kind, 7) == [(wire.DONE, 7)]
    assert (app.calls, worker.connection.calls) == (0, {})
    assert await open_call(worker, kind, 8) == []
    assert (app.calls, worker.runner.begun[8]) == (1, 1)


@on_loop
@pytest.mark.parametrize("kind", KINDS)
async def test_cancel_in_the_packet_of_the_request(kind: str) -> None:
    """The task may not have had its first step: then cancelling it would run no line of ours."""
    app = Waits()
    worker = Worker(app)
    scope: dict[str, Any] = {"path": "/", "raw_path": b"/", "client": None, "headers": []}
    scope |= {"method": "GET"} if kind == "get" else {"type": "websocket"}
    (end,) = await worker.tell((wire.REQUEST, 0, scope, b"", 0), (wire.CANCEL, 0))
    assert end[0] in (wire.DONE, wire.ERROR)
    assert worker.connection.calls == {}
    if sys.version_info < (3, 12):  # later ones begin within the packet
        assert (app.calls, end) == (0, (wire.DONE, 0))


@on_loop
@pytest.mark.parametrize("kind", KINDS)
async def test_a_disconnect_does_not_cancel(kind: str) -> None:
    app = Waits()
    worker = Worker(app)
    await open_call(worker, kind)
    assert await worker.tell((wire.DISCONNECT, 0)) == []
    assert (app.calls, app.cancelled) == (1, 0)
    (end,) = await worker.tell((wire.CANCEL, 0))
    assert end[0] in (wire.DONE, wire.ERROR)
    assert app.cancelled == 1


@on_loop
async def test_cancel_while_the_end_of_an_answer_waits() -> None:
    """The application has returned, and what it left behind is given up with it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        sending = asyncio.ensure_future(send({"type": "http.response.body", "body": b"x" * 500_000}))
        await asyncio.sleep(0)
        sending.cancel()

    worker = Worker(app)
    assert [message[0] for message in await worker.get()] == [wire.START]
    (end,) = await worker.tell((wire.CANCEL, 0))
    assert end[0] == wire.ERROR
    assert worker.connection.calls == {}


@on_loop
async def test_an_application_that_gives_up_ends_every_call_once(capsys: pytest.CaptureFixture[str]) -> None:
    worker = Worker(Waits())
    for stream in range(4):
        await open_call(worker, KINDS[stream % 2], stream)
    worker.connection.give_up()
    assert sorted(message[1] for message in await worker.heard()) == [0, 1, 2, 3]
    assert worker.connection.calls == {}
    assert capsys.readouterr().err == ""
