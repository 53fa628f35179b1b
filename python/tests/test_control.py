"""The stacks that a worker tells of itself, asked for over a real socket pair."""

from __future__ import annotations

import array
import asyncio
import os
import queue
import socket
import sys
import threading
from typing import Any

from backline import wire
from backline.control import BOOT, NONE, Control, coroutine_stack, thread_stack


def ask(conn: socket.socket, token: int, streams: list[int]) -> str:
    conn.sendall(wire.encode([(wire.STACKS, token, streams)]))
    decoder = wire.Decoder()
    while True:
        for message in decoder.feed(conn.recv(65536)):
            assert message[:2] == (wire.TRACE, token)
            text: str = message[2]
            return text


def wait_here(gate: threading.Event) -> None:
    gate.wait(10)


def test_thread_behind_a_stream(pair: tuple[Control, socket.socket]) -> None:
    control, conn = pair
    gate = threading.Event()
    busy = threading.Thread(target=wait_here, args=(gate,), name="busy")
    busy.start()
    try:
        assert busy.ident is not None
        control.running = {busy.ident: 7}
        text = ask(conn, 1, [7])
        assert text.startswith("thread busy:\n")
        assert "in wait_here\n    gate.wait(10)\n" in text
        assert ask(conn, 2, [8]) == "(it ended meanwhile)"
        everything = ask(conn, 3, [])
        assert "thread busy:" in everything and "thread MainThread:" in everything
        assert "backline-control" not in everything
    finally:
        gate.set()
        busy.join()


def test_what_is_no_thread(pair: tuple[Control, socket.socket]) -> None:
    control, conn = pair
    control.extra = {3: "task three", BOOT: "the lifespan"}.get
    assert ask(conn, 1, [3]) == "task three"
    assert ask(conn, 2, []).endswith("the lifespan")


def test_coroutine_down_to_its_last_await() -> None:
    async def outer() -> None:
        await middle()

    async def middle() -> None:
        async for _ in inner():
            pass

    async def inner() -> Any:
        await asyncio.get_running_loop().create_future()
        yield

    async def look() -> str:
        task = asyncio.create_task(outer())
        await asyncio.sleep(0)
        text = coroutine_stack(task.get_coro())
        task.cancel()
        return text

    text = asyncio.run(look())
    places = [text.index(f"in {name}") for name in ("outer", "middle")]
    assert places == sorted(places)
    if sys.version_info >= (3, 12):
        assert "in inner" in text  # before, async generators do not tell what they wait for


def test_own_frames_are_left_out() -> None:
    def application() -> str:
        return thread_stack(sys._getframe())

    text = application()
    assert "in application" in text
    assert "importlib" not in text


def give(conn: socket.socket, token: int, descriptor: int | None) -> None:
    given = [] if descriptor is None else [descriptor]
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", given))] if given else []
    conn.sendmsg([wire.encode([(wire.GIVEN, token, len(given))])], rights)


def test_connections_are_given_to_who_asked(pair: tuple[Control, socket.socket]) -> None:
    control, conn = pair
    got: queue.Queue[tuple[str, int]] = queue.Queue()
    one = control.claim(lambda descriptor: got.put(("one", descriptor)))
    two = control.claim(lambda descriptor: got.put(("two", descriptor)))
    near, far = socket.socketpair()
    with near, far:
        give(conn, two, near.fileno())
        give(conn, one, None)
        name, descriptor = got.get(timeout=10)
        assert got.get(timeout=10) == ("one", NONE)
        near.close()
        with socket.socket(fileno=descriptor) as given:
            assert name == "two"
            assert not os.get_inheritable(descriptor)
            given.sendall(b"here")
            assert far.recv(10) == b"here"
    assert not control.unclaim(one)


def test_connection_that_nobody_waits_for_is_closed(pair: tuple[Control, socket.socket]) -> None:
    control, conn = pair
    token = control.claim(lambda _: None)
    assert control.unclaim(token)
    near, far = socket.socketpair()
    with far:
        give(conn, token, near.fileno())
        near.close()
        far.settimeout(10)
        assert far.recv(1) == b""
