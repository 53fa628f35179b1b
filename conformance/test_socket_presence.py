"""Sockets that the server holds: who is present by them, and what they get of what they missed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlencode

import pytest
from commands import ask as command
from harness import Server, eventually
from processes import children
from sockets import Socket, connect
from test_health import Operator, with_admin

Serve = Callable[..., Server]


def enter(server: Server, room: str = "room", **query: str) -> Socket:
    return connect(server, f"/room/{room}?{urlencode(query)}")


def ask(socket: Socket, text: str) -> Any:
    socket.send(text)
    return json.loads(socket.message())


def who(socket: Socket) -> dict[str, list[Any]]:
    """The infos of each user's sockets."""
    there = ask(socket, "who")
    assert there["users"] == len(there["who"])
    assert there["sockets"] == sum(len(each["sockets"]) for each in there["who"])
    return {each["user"]: list(each["sockets"].values()) for each in there["who"]}


@pytest.mark.parametrize("loop", ["threads", "gevent", "asyncio"])
def test_who_comes_back_gets_just_what_was_missed(serve: Serve, loop: str) -> None:
    server = serve("recovering:chat", "-k", loop, "-w", "2", "--history", "room=1000/1h")
    with enter(server) as other:
        with enter(server, since="") as socket:
            first = ask(socket, "say 1")
            assert first["text"] == "1" and next(iter(first)) == "__position__"
            assert json.loads(other.message()) == {"text": "1"}, "who has not asked for positions gets none"
        for n in range(2, 200):
            assert ask(other, f"say {n}") == {"text": str(n)}
        with enter(server, since=first["__position__"]) as socket:
            missed = [json.loads(socket.message()) for _ in range(2, 200)]
            assert [each["text"] for each in missed] == [str(n) for n in range(2, 200)]
            assert ask(socket, "say 200")["text"] == "200", "what is new comes after that, and nothing twice"
        with enter(server, since="") as socket:
            assert [json.loads(socket.message())["text"] for _ in range(200)] == [str(n) for n in range(1, 201)]


def test_nothing_is_missed_and_nothing_comes_twice_while_others_publish(serve: Serve) -> None:
    server = serve("recovering:chat", "-w", "2", "--history", "room=100000/1h")
    stop = Event()

    def publish() -> None:
        with enter(server) as socket:
            n = 0
            while not stop.is_set():
                n += 1
                ask(socket, f"say {n}")

    publisher = Thread(target=publish)
    publisher.start()
    try:
        got: list[int] = []
        last = ""
        for _ in range(20):
            with enter(server, since=last) as socket:
                for _ in range(10):
                    message = json.loads(socket.message())
                    got.append(int(message["text"]))
                    last = message["__position__"]
    finally:
        stop.set()
        publisher.join()
    assert got == list(range(1, 201))


def test_what_is_more_than_a_window_comes_whole(serve: Serve) -> None:
    server = serve("recovering:chat", "-w", "1", "--history", "room=1000/1h", "--websocket-window", "64K")
    with enter(server) as other:
        for n in range(40):
            assert ask(other, f"say {n} {'x' * 5_000}")["text"].startswith(str(n))
        with enter(server, since="") as socket:
            assert [json.loads(socket.message())["text"].split()[0] for _ in range(40)] == [str(n) for n in range(40)]
            assert ask(socket, "say new")["text"] == "new"


def test_who_comes_too_late_is_told(serve: Serve) -> None:
    server = serve("recovering:chat", "-w", "2", "--history", "room=3/1h")
    with enter(server, since="") as socket:
        first = ask(socket, "say 1")["__position__"]
        for n in range(2, 6):
            last = ask(socket, f"say {n}")["__position__"]
    for unknown in (first, "1-1", "nonsense", "ü", "x" * 100):
        with enter(server, since=unknown) as socket:
            assert json.loads(socket.message()) == {"gap": "room"}, unknown
            assert ask(socket, "say new")["text"] == "new", "and it is a member, which got no part of what it missed"
    with enter(server, "forgetful", since=last) as socket:
        assert json.loads(socket.message()) == {"gap": "forgetful"}, "a group that remembers nothing"
        assert ask(socket, "say new") == {"text": "new"}


def test_messages_that_are_no_objects_are_as_they_were_sent(serve: Serve) -> None:
    server = serve("recovering:chat", "-w", "1", "--history", "room=10/1h")
    with enter(server, since="") as socket:
        for text in ("plain", "[1]", '"{"', ""):
            socket.send(f"bare {text}")
            assert socket.message() == text
        for text in ("{}", " { } ", '\n{"a": {}}'):
            message = ask(socket, f"bare {text}")
            assert message.pop("__position__") and message == json.loads(text)


def test_presence_is_that_of_sockets_and_not_of_workers(serve: Serve) -> None:
    server = serve("recovering:chat", "-w", "2", "--presence-leave-delay", "60")
    with enter(server) as nobody, enter(server, user="ann", device="phone") as phone:
        with enter(server, user="ann", device="tab"), enter(server, user="bob"):
            everybody = {"ann": [{"device": "phone"}, {"device": "tab"}], "bob": [None]}
            assert who(nobody) == everybody
            for worker in children(server):
                os.kill(worker, signal.SIGKILL)
            assert who(nobody) == everybody, "no socket ends with its worker"
        eventually(lambda: who(nobody) == {"ann": [{"device": "phone"}]}, "those whose sockets have ended having left")
        ask(phone, "as carl")
        assert who(nobody) == {"carl": [None]}, "one socket is one user in a group"
        ask(phone, "leave")
        assert who(nobody) == {}
    assert server.get("/").status == 426


def test_flapping_is_hidden(serve: Serve) -> None:
    server = serve("recovering:chat", "-w", "2", "--presence-leave-delay", "60")
    with connect(server, "/watch/room") as watcher, enter(server) as nobody:
        for _ in range(5):
            with enter(server, user="ann", device="phone"):
                pass
        with enter(server, user="bob"):
            joined = [json.loads(watcher.message()) for _ in range(2)]
            assert [(each["type"], each["user"]) for each in joined] == [
                ("presence.join", "ann"), ("presence.join", "bob"),
            ], "ann came back four times, of which nobody hears"  # fmt: skip
        assert "ann" not in who(nobody), "who is asked knows that she is not there"


def test_watchers_hear_of_a_leave(serve: Serve) -> None:
    server = serve("recovering:chat", "-w", "1", "--presence-leave-delay", "0")
    with connect(server, "/watch/room") as watcher:
        with enter(server, user="ann", device="phone"):
            joined = json.loads(watcher.message())
        assert joined == {"type": "presence.join", "group": "room", "user": "ann", "info": {"device": "phone"}}
        assert json.loads(watcher.message()) == {**joined, "type": "presence.leave"}


def test_sockets_of_the_server_are_counted(serve: Serve, tmp_path: Path) -> None:
    operator = Operator(tmp_path / "admin.sock")
    server = serve("recovering:chat", "-w", "1", "-k", "threads", "--threads", "1", *with_admin(operator))

    def metrics() -> str:
        with operator.connect() as client:
            return client.request("GET", "/-/metrics").text

    with enter(server) as socket, enter(server):
        socket.send(f"wait {tmp_path}/go")
        assert socket.message() == "waiting"
        for _ in range(3):
            socket.send("pid")
        eventually(lambda: command(server, "ps")["sockets"]["waiting"] == 3, "three events waiting behind one")
        assert command(server, "ps")["sockets"] == {"held": 2, "waiting": 3, "lost": 0}
        for line in ("backline_sockets 2", "backline_socket_events_waiting 3", "backline_socket_messages_lost_total 0"):
            assert f"\n{line}\n" in metrics(), metrics()
        [worker] = children(server)
        os.kill(worker, signal.SIGKILL)
        assert len({socket.message() for _ in range(3)}) == 1
        assert command(server, "ps")["sockets"] == {"held": 2, "waiting": 0, "lost": 1}
    eventually(lambda: command(server, "ps")["sockets"]["held"] == 0, "none being held any more")
