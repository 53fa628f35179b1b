"""Many WebSockets: idle ones cost little, and one that does not read harms nobody."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
from crowds import LONG, OFFER, allow, open_many
from harness import Server, eventually
from processes import children, resident
from sockets import Socket, connect

pytestmark = [pytest.mark.load, pytest.mark.timeout(180)]

IDLE = 15_000
SLOW = 50
MESSAGE = 50_000  # bytes, as in apps/asgi_sockets.py
KILOBYTE = 1000
UVICORN = 20 * KILOBYTE  # what it takes for one of them; benchmarks/ measures it anew


def test_15000_idle_sockets_are_cheap(serve: Callable[..., Server]) -> None:
    allow(IDLE + 1_000)
    server = serve("asgi_sockets:app", "--workers", "1")
    warm = open_many(server, 100, "/echo", OFFER, LONG)
    [worker] = children(server)
    edge_before, worker_before = resident(server.process.pid), resident(worker)
    # Each is idle as one that was busy before: with compression agreed on, and a message compressed.
    sockets = open_many(server, IDLE - len(warm), "/echo", OFFER, LONG)
    try:
        edge = (resident(server.process.pid) - edge_before) / len(sockets)
        both = edge + (resident(worker) - worker_before) / len(sockets)
        print(f"{edge / KILOBYTE:.1f} KB at the edge, {both / KILOBYTE:.1f} KB with the worker")
        assert edge <= 6 * KILOBYTE, f"{edge / KILOBYTE:.1f} KB at the edge for each"
        assert both <= 0.7 * UVICORN, f"{both / KILOBYTE:.1f} KB in both processes for each"
        for socket in sockets[::100]:
            socket.send("still there?")
        for socket in sockets[::100]:
            assert socket.message() == "still there?"
    finally:
        for socket in [*warm, *sockets]:
            socket.client.close()


def trips(socket: Socket, number: int) -> float:
    """The median time there and back, in seconds."""
    times = []
    for _ in range(number):
        begun = time.monotonic()
        socket.send("hello")
        assert socket.message() == "hello"
        times.append(time.monotonic() - begun)
    return statistics.median(times)


def test_slow_readers_take_no_memory_and_delay_nobody(serve: Callable[..., Server]) -> None:
    server = serve("asgi_sockets:app", "--workers", "1", "--websocket-write-timeout", "120s")
    with connect(server, "/echo") as socket:
        alone = trips(socket, 200)
        before = resident(server.process.pid)
        slow = [connect(server, "/flood") for _ in range(SLOW)]
        last = ""

        def stands_still() -> bool:
            nonlocal last
            seen, last = last, server.get("/").text
            trips(socket, 20)
            return seen == last and seen != "0"

        eventually(stands_still, "the applications of the slow readers wait", timeout=60)
        grown = resident(server.process.pid) - before
        # A window and a message may wait for each. A buffer that grows has room for twice as much, and the garbage
        # collector lets as much again lie about.
        most = 4 * SLOW * (64 * 1024 + MESSAGE)
        assert grown < most, f"{grown / KILOBYTE:.0f} KB for {SLOW} slow readers"
        beside = trips(socket, 200)
        assert resident(server.process.pid) - before < most, "it goes on growing"
        assert beside < max(3 * alone, 0.02), (
            f"{beside * 1000:.2f} ms beside slow readers, {alone * 1000:.2f} ms without"
        )
        for each in slow:
            each.client.close()
