"""Sockets of ASGI applications that the server delivers to: who is present by them, and what they get of what they
missed. It is what test_socket_presence.py has of sockets that the server holds."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from authority import Authority
from harness import Server, eventually, within_a_second
from http2 import Connection
from sockets import CLOSE, Socket, connect, frame
from test_socket_presence import ask, who
from test_sockets_everywhere import stream_of

Serve = Callable[..., Server]

APPS = {
    "room": "entering:app", "early": "entering:app",
    "async": "entering_channels:app", "sync": "entering_channels:app",
}  # fmt: skip
everywhere = pytest.mark.parametrize("kind", APPS)


def started(serve: Serve, kind: str, *flags: str) -> Server:
    return serve(APPS[kind], "--workers", "2", *flags)


def enter(server: Server, kind: str, room: str = "room", **query: str) -> Socket:
    return connect(server, f"/{kind}/{room}?{urlencode(query)}")


def do(socket: Socket, text: str) -> str:
    socket.send(text)
    return str(socket.message())


@everywhere
def test_who_comes_back_gets_just_what_was_missed(serve: Serve, kind: str) -> None:
    server = started(serve, kind, "--history", "*room=1000/1h")
    with enter(server, kind) as other:
        with enter(server, kind, since="") as socket:
            first = ask(socket, "say 1")
            assert first["text"] == "1" and next(iter(first)) == "__position__"
            assert json.loads(other.message()) == {"text": "1"}, "who has not asked for positions gets none"
        for n in range(2, 100):
            assert ask(other, f"say {n}") == {"text": str(n)}
        with enter(server, kind, since=first["__position__"], user="ann") as socket:
            missed = [json.loads(socket.message()) for _ in range(2, 100)]
            assert [each["text"] for each in missed] == [str(n) for n in range(2, 100)]
            assert ask(socket, "say 100")["text"] == "100", "what is new comes after that, and nothing twice"
            assert who(socket) == {"ann": [None]}


@everywhere
def test_who_comes_too_late_is_told(serve: Serve, kind: str) -> None:
    server = started(serve, kind, "--history", "*room=3/1h")
    with enter(server, kind, since="") as socket:
        first = ask(socket, "say 1")["__position__"]
        for n in range(2, 6):
            last = ask(socket, f"say {n}")["__position__"]
    for unknown in (first, "1-1", "nonsense", "ü", "x" * 1025):
        with enter(server, kind, since=unknown) as socket:
            assert json.loads(socket.message()) == {"gap": "room"}, unknown
            assert ask(socket, "say new")["text"] == "new", "and it is a member, which got no part of what it missed"
    with enter(server, kind, "forgetful", since=last) as socket:
        assert json.loads(socket.message()) == {"gap": "forgetful"}, "a group that remembers nothing"
        assert ask(socket, "say new") == {"text": "new"}


@everywhere
def test_presence_ends_with_the_membership_the_socket_and_the_worker(serve: Serve, kind: str) -> None:
    server = started(serve, kind, "--presence-leave-delay", "60")
    with enter(server, kind) as nobody, enter(server, kind, user="ann", device="phone") as phone:
        with enter(server, kind, user="ann", device="tab"), enter(server, kind, user="bob"):
            eventually(
                lambda: who(nobody) == {"ann": [{"device": "phone"}, {"device": "tab"}], "bob": [None]}, "all listed"
            )
        eventually(lambda: who(nobody) == {"ann": [{"device": "phone"}]}, "those whose sockets have ended having left")
        do(phone, "as carl")
        assert who(nobody) == {"carl": [None]}, "one socket is one user in a group"
        do(phone, "leave")
        assert who(nobody) == {}
    gone_within_a_second(server, kind)


def gone_within_a_second(server: Server, kind: str) -> None:
    """A worker is killed: of its sockets none is listed a second later, of the other's each."""
    sockets: list[Socket] = []
    by: dict[str, list[int]] = {}

    def at_both() -> bool:
        socket = enter(server, kind, user=f"user{len(sockets)}")
        by.setdefault(do(socket, "pid"), []).append(len(sockets))
        sockets.append(socket)
        return len(by) == 2 and len(sockets) >= 4

    eventually(at_both, "sockets at both workers")
    (victim, lost), (_, left) = by.items()
    os.kill(int(victim), signal.SIGKILL)
    within_a_second(lambda: set(who(sockets[left[0]])) == {f"user{n}" for n in left}, "just those of the other worker")
    assert {sockets[n].next_frame().opcode for n in lost} == {CLOSE}


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_consumers_are_listed_by_their_channels(serve: Serve, kind: str) -> None:
    server = started(serve, kind)
    with enter(server, kind, user="ann") as one, enter(server, kind, user="ann") as two:
        names = {do(each, "channel") for each in (one, two)}
        there: Any = ask(one, "who")
        assert set(there["who"][0]["sockets"]) == names and len(names) == 2


def test_names_of_sockets_are_their_own(serve: Serve) -> None:
    server = started(serve, "room")
    sockets = [enter(server, "room", user="ann") for _ in range(5)]
    for each in sockets:
        do(each, "pid")  # it has entered by now
    there = ask(sockets[0], "who")
    assert (there["users"], there["sockets"], len(there["who"][0]["sockets"])) == (1, 5, 5)


@everywhere
def test_streams_of_http2(serve: Serve, tmp_path: Path, kind: str) -> None:
    cert, key = Authority(tmp_path).issue("localhost")
    server = started(serve, kind, "--certfile", str(cert), "--keyfile", str(key), "--history", "*room=3/1h")
    with Connection(server) as connection:
        stream = stream_of(connection, f"/{kind}/room?user=ann&since=1-1")
        connection.until(lambda: b'{"gap": "room"}' in stream.body)
        connection.send(stream, frame(1, b"who"))
        connection.until(lambda: b'"user": "ann"' in stream.body)
        connection.send(stream, frame(1, b"say hello"))
        connection.until(lambda: b'"text": "hello"}' in stream.body)
        assert b'{"__position__":"' in stream.body
        other = stream_of(connection, f"/{kind}/room?user=bob&since=")
        connection.until(lambda: b'"text": "hello"}' in other.body)
        connection.send(stream, frame(8, b"\x03\xe8"))
        connection.finish(stream)
        at = len(other.body)
        connection.send(other, frame(1, b"who"))
        connection.until(lambda: b'"users": ' in other.body[at:])
        assert b'"users": 1' in other.body[at:] and b"ann" not in other.body[at:]
