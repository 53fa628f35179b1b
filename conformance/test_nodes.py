"""Several servers as one: three real ones, of which one is killed and one is stopped for a while."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from harness import Server, eventually


def free_address() -> str:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{s.getsockname()[1]}"


@pytest.fixture
def nodes() -> Iterator[list[Server]]:
    addresses = [free_address() for _ in range(3)]
    peers = [flag for each in addresses for flag in ("--bus-peers", each)]
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                Server(
                    "layer_members:app", "--workers", "1", "--threads", "4", "--control-socket", "off",
                    "--bus", "embedded", "--bus-listen", each, *peers,
                    env={"BACKLINE_BUS_SECRET": "between us"},
                )
            )
            for each in addresses
        ]  # fmt: skip


def ask(server: Server, target: str) -> object:
    answer = server.get(f"/{target}")
    assert answer.status == 200, server.log
    return json.loads(answer.body)[1]


def hears(server: Server, text: str) -> None:
    message = ask(server, "receive/20/m")
    assert isinstance(message, dict) and message["text"] == text, (message, server.log)


def test_one_is_killed_and_one_is_stopped(nodes: list[Server]) -> None:
    first, second, third = nodes
    for each in nodes:
        each.wait_for("servers=3")
        ask(each, "join/room/m")
    ask(first, "say/room/hello")
    for each in nodes:
        hears(each, "hello")

    third.kill()
    second.signal(signal.SIGSTOP)
    try:
        ask(first, "say/room/alone")
        hears(first, "alone")
        eventually(lambda: first.log.count("a server is silent") == 2, "both are missed")
        ask(first, "say/room/still")
        hears(first, "still")
    finally:
        second.signal(signal.SIGCONT)
    hears(second, "alone")
    hears(second, "still")
    ask(second, "say/room/again")
    hears(first, "again")
    hears(second, "again")
    assert ask(second, "receive/0/m") is None  # nothing comes twice
