"""The watch over a real event loop, on a real thread: what it reports, and what it leaves alone."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from backline import wire
from backline.control import Control
from backline.loops.asyncio import Connection
from backline.watchdog import QUIET, Nothing, Watch

THRESHOLD = 50  # milliseconds
PATIENCE = 20.0


class Told:
    """The server's end of a control connection."""

    def __init__(self, conn: socket.socket) -> None:
        self.conn = conn
        self._decoder = wire.Decoder()
        self.messages: list[wire.Incoming] = []

    def next(self) -> wire.Incoming:
        while not self.messages:
            self.messages += self._decoder.feed(self.conn.recv(65536))
        return self.messages.pop(0)

    def nothing(self) -> bool:
        self.conn.setblocking(False)
        try:
            self.messages += self._decoder.feed(self.conn.recv(65536))
        except BlockingIOError:
            pass
        finally:
            self.conn.settimeout(PATIENCE)
        return not self.messages


@pytest.fixture
def told(pair: tuple[Control, socket.socket]) -> tuple[Control, Told]:
    control, theirs = pair
    return control, Told(theirs)


class Runner:
    """What a connection needs of asgi.Runner."""

    around = None


def run(control: Control, work: Callable[[Connection, Watch], Coroutine[Any, Any, None]], threshold: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        connection = Connection(Runner(), loop)  # type: ignore[arg-type]
        watch = control.watch(connection, threshold)
        assert isinstance(watch, Watch)
        connection.watch = watch
        await work(connection, watch)

    asyncio.run(main())


async def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def blocks_for(event: threading.Event) -> None:
    event.wait(PATIENCE)


def test_a_loop_that_is_held_is_told_once(told: tuple[Control, Told]) -> None:
    control, server = told
    heard: list[wire.Incoming] = []

    async def work(connection: Connection, watch: Watch) -> None:
        for _ in range(2):
            end = threading.Event()

            def listen(end: threading.Event = end) -> None:
                heard.append(server.next())
                end.set()

            threading.Thread(target=listen).start()
            watch.arm()
            blocks_for(end)
            assert server.nothing()
            turns = connection.turns()
            await until(lambda turns=turns: connection.turns() != turns)  # type: ignore[misc]

    run(control, work, THRESHOLD)
    assert len(heard) == 2, "each episode is told"
    for kind, stream, milliseconds, text in heard:
        assert (kind, stream) == (wire.STALL, wire.NO_STREAM)
        assert milliseconds >= THRESHOLD
        assert "in blocks_for\n    event.wait(PATIENCE)\n" in text


def test_the_server_may_ask_for_it(told: tuple[Control, Told]) -> None:
    control, server = told

    async def work(connection: Connection, watch: Watch) -> None:
        server.conn.sendall(wire.encode([(wire.WATCH, 0)]))
        heard = threading.Event()

        def listen() -> None:
            server.next()
            heard.set()

        threading.Thread(target=listen).start()
        blocks_for(heard)
        assert heard.is_set()

    run(control, work, THRESHOLD)


def test_a_loop_that_waits_is_left_alone_and_not_watched_for_long(told: tuple[Control, Told]) -> None:
    control, server = told

    async def work(connection: Connection, watch: Watch) -> None:
        watch.arm()
        gate = asyncio.Event()
        asyncio.get_running_loop().call_later(QUIET + 10 * THRESHOLD / 1000, gate.set)
        await gate.wait()  # no turn meanwhile
        assert connection.turns() == 0, "it was woken"
        await until(lambda: not watch.armed)
        assert server.nothing()

    run(control, work, THRESHOLD)


def test_a_busy_loop_that_turns_is_not_told(told: tuple[Control, Told]) -> None:
    control, server = told

    async def work(connection: Connection, watch: Watch) -> None:
        watch.arm()
        until = time.monotonic() + 8 * THRESHOLD / 1000
        while time.monotonic() < until:
            time.sleep(0.02)  # seen in here it is asked to turn
            await asyncio.sleep(0)
        assert connection.turns() > 0, "it was asked to turn"

    run(control, work, THRESHOLD)
    assert server.nothing()


def test_off(told: tuple[Control, Told]) -> None:
    control, _ = told

    async def main() -> None:
        connection = Connection(Runner(), asyncio.get_running_loop())  # type: ignore[arg-type]
        assert isinstance(control.watch(connection, 0), Nothing)

    asyncio.run(main())
