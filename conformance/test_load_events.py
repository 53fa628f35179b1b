"""Many sockets whose application is called with events: idle ones have no Python object, and nothing that happens to
workers ends one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from harness import Client, Server, eventually
from processes import alive, children, resident
from sockets import Socket, ask
from test_load_sockets import IDLE, KILOBYTE, LONG, OFFER, descriptors

pytestmark = [pytest.mark.load, pytest.mark.timeout(180)]

assert descriptors  # a fixture


def open_many(server: Server, number: int) -> list[Socket]:
    """As in test_load_sockets.py: with compression agreed on, and a message each way; all are in one group."""
    found: list[Socket] = []
    while len(found) < number:
        batch: list[Client] = [server.connect() for _ in range(min(500, number - len(found)))]
        for client in batch:
            ask(client, "/counted", OFFER)
        for client in batch:
            answer = client.head()
            assert answer.status == 101, (answer, server.log)
            found.append(Socket(client, answer))
            found[-1].send(LONG)
        for socket in found[-len(batch) :]:
            assert len(socket.next_frame().payload) < len(LONG) / 2, "it is not compressed"
    return found


def say(sockets: list[Socket], text: str, count: int) -> None:
    """Each is there, in order, and its state with it."""
    for socket in sockets:
        socket.send(text)
    for socket in sockets:
        assert socket.message() == f"{count} {text}"


def all_resident(server: Server) -> int:
    return resident(server.process.pid) + sum(resident(worker) for worker in children(server))


def test_15000_idle_sockets_are_cheap_and_outlive_workers(serve: Callable[..., Server], descriptors: None) -> None:
    server = serve("sockets_load:chat", "--workers", "2", "--websocket-ping-interval", "0")
    warm = open_many(server, 200)
    before = all_resident(server)
    sockets = open_many(server, IDLE - len(warm))
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
