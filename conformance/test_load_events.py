"""Many sockets whose application is called with events: idle ones have no Python object, and nothing that happens to
workers ends one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from crowds import LONG, OFFER, allow, open_many
from harness import Server, eventually
from processes import alive, children, resident
from sockets import Socket
from test_load_sockets import IDLE, KILOBYTE

pytestmark = [pytest.mark.load, pytest.mark.timeout(180)]


def say(sockets: list[Socket], text: str, count: int) -> None:
    """Each is there, in order, and its state with it."""
    for socket in sockets:
        socket.send(text)
    for socket in sockets:
        assert socket.message() == f"{count} {text}"


def all_resident(server: Server) -> int:
    return resident(server.process.pid) + sum(resident(worker) for worker in children(server))


def test_15000_idle_sockets_are_cheap_and_outlive_workers(serve: Callable[..., Server]) -> None:
    allow(IDLE + 1_000)
    server = serve("sockets_load:chat", "--workers", "2", "--websocket-ping-interval", "0")
    warm = open_many(server, 200, "/counted", OFFER, LONG)
    before = all_resident(server)
    sockets = open_many(server, IDLE - len(warm), "/counted", OFFER, LONG)
    try:
        each = (all_resident(server) - before) / len(sockets)
        print(f"{each / KILOBYTE:.2f} KB for each in all processes")
        assert each <= 5 * KILOBYTE, f"{each / KILOBYTE:.2f} KB for each in all processes"
        old = children(server)
        for worker in old:
            os.kill(worker, signal.SIGKILL)
        say(sockets, "after kill -9", 2)
        second = children(server)
        server.signal(signal.SIGHUP)
        eventually(
            lambda: not [pid for pid in second if pid in children(server) and alive(pid)], "all are replaced", 60
        )
        say(sockets, "after HUP", 3)
    finally:
        for socket in [*warm, *sockets]:
            socket.client.close()
