"""Groups that remember what was sent to them, and who is there, for all workers of a server."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Generator
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlencode

import pytest
from harness import PATIENCE, Server, eventually, within_a_second
from sockets import connect
from test_health import Operator, with_admin

Serve = Callable[..., Server]
Heard = Generator[tuple[str, str], None, None]


def ask(server: Server, path: str, **query: str) -> Any:
    return said(server, path, **query)["did"]


def said(server: Server, path: str, **query: str) -> Any:
    answer = server.get(f"{path}?{urlencode(query)}")
    assert answer.status == 200, server.log
    return json.loads(answer.text)


def texts(history: Any) -> list[str]:
    return [message["text"] for _, message in history["messages"]]


@pytest.mark.parametrize("loop", ["threads", "gevent"])
def test_who_was_away_gets_what_was_missed_or_hears_that_it_cannot(serve: Serve, loop: str) -> None:
    server = serve("remembering:app", "-k", loop, "-w", "2", "--history", "chat.*=3/1h")
    assert ask(server, "/history", group="chat.1") == {"messages": [], "complete": False, "position": ""}
    ask(server, "/send", group="chat.1", text="1")
    first = ask(server, "/history", group="chat.1")
    assert texts(first) == ["1"] and first["complete"]
    for text in "234":
        ask(server, "/send", group="chat.1", text=text)
        ask(server, "/send", group="other", text=text)
    missed = ask(server, "/history", group="chat.1", after=first["position"])
    assert texts(missed) == ["2", "3", "4"] and missed["complete"]
    assert missed["messages"][-1][0] == missed["position"]
    later = ask(server, "/history", group="chat.1", after=missed["messages"][1][0])
    assert texts(later) == ["4"] and later["complete"]
    ask(server, "/send", group="chat.1", text="5")
    gap = ask(server, "/history", group="chat.1", after=first["position"])
    assert texts(gap) == [] and not gap["complete"], "never a part of what was missed"
    assert texts(ask(server, "/history", group="chat.1")) == ["3", "4", "5"]
    for unknown in ("1-1", "nonsense"):
        assert not ask(server, "/history", group="chat.1", after=unknown)["complete"]
    assert ask(server, "/history", group="other")["messages"] == []
    ask(server, "/keep", group="other", messages="2", seconds="60")
    ask(server, "/send", group="other", text="kept")
    assert texts(ask(server, "/history", group="other")) == ["kept"]


def test_presence_is_right_a_second_after_a_crash(serve: Serve) -> None:
    server = serve("remembering:app", "-w", "2", "--presence-leave-delay", "60")
    by = {socket: said(server, "/enter", user="ann", socket=socket)["pid"] for socket in ("phone", "tab")}
    by["desk"] = said(server, "/enter", user="bob", socket="desk")["pid"]
    there = ask(server, "/presence")
    assert [each["user"] for each in there["who"]] == ["ann", "bob"]
    assert there["who"][0]["sockets"] == {"phone": {"device": "phone"}, "tab": {"device": "tab"}}
    assert (there["users"], there["sockets"]) == (2, 3)
    ask(server, "/leave", user="ann", socket="nowhere")
    victim = by["phone"]
    left = sorted(socket for socket, pid in by.items() if pid != victim)
    os.kill(victim, signal.SIGKILL)
    within_a_second(lambda: sockets(server, left), "only those of the other worker being there")


def sockets(server: Server, want: list[str]) -> bool:
    """Whether just these are there."""
    there = ask(server, "/presence")
    return there["sockets"] == len(want) and sorted(each for user in there["who"] for each in user["sockets"]) == want


def test_watchers_are_told_and_messages_have_positions(serve: Serve) -> None:
    server = serve("remembering:live", "-w", "2", "--presence-leave-delay", "0")
    answer = json.loads(server.get("/").text)
    joined, left, message = answer["told"]
    assert joined == {"type": "presence.join", "group": "room", "user": "ann", "info": "null"}
    assert left == {**joined, "type": "presence.leave"}
    assert answer["there"] == {"users": 0, "sockets": 0, "who": []}
    assert message["text"] == "end" and message["__position__"] == answer["then"]["position"]
    assert answer["then"]["messages"] == [[message["__position__"], {"text": "end"}]]


def test_the_hub_is_counted(serve: Serve, tmp_path: Path) -> None:
    operator = Operator(tmp_path / "admin.sock")
    server = serve("remembering:app", "-w", "1", "--history", "*=10/1h", *with_admin(operator))
    ask(server, "/send", text="1")
    ask(server, "/enter", user="ann", socket="1")

    def scrape() -> str:
        with operator.connect() as client:
            return client.request("GET", "/-/metrics").text

    # Whoever watches is told of an arrival a moment later; that is a publication, to a group that then is one too.
    eventually(lambda: "\nbackline_group_publications_total 2\n" in scrape(), "the news of an arrival")
    text = scrape()
    for line in (
        "backline_histories 2", "backline_present_sockets 1",
        "backline_channel_processes 1", "backline_groups 2", "backline_group_members 0",
    ):  # fmt: skip
        assert f"\n{line}\n" in text, text


MESSAGES = 120


def socket_from(server: Server, last: str) -> Heard:
    with connect(server, f"/?{urlencode({'after': last})}") as socket:
        while True:
            position, _, text = str(socket.message()).partition(" ")
            yield position, text


def events_from(server: Server, last: str) -> Heard:
    with server.connect() as client:
        client.send_request("GET", "/", {"Last-Event-ID": last} if last else {})
        client.head()
        buffer = b""
        for chunk in client.chunks():
            buffer += chunk or b""
            while b"\n\n" in buffer:
                event, buffer = buffer.split(b"\n\n", 1)
                first, _, second = event.decode().partition("\n")
                yield (first[4:], second[6:]) if second else ("", first[2:])


@pytest.mark.parametrize("client", [socket_from, events_from])
def test_a_client_that_comes_back_misses_nothing(serve: Serve, client: Callable[[Server, str], Heard]) -> None:
    server = serve("remembering:resuming", "-w", "2", "--history", "room=1000/1h")
    got: list[str] = []
    last, ready = "", Event()

    def publish() -> None:
        assert ready.wait(PATIENCE)
        for n in range(MESSAGES):
            assert server.get(f"/send?text={n}").status == 204

    publisher = Thread(target=publish)
    publisher.start()
    while len(got) < MESSAGES:
        before = len(got)
        for position, text in client(server, last):
            if not position:
                assert text == "ready", f"after {got}: {text}"
                ready.set()
                continue
            last = position
            got.append(text)
            if len(got) == MESSAGES or len(got) >= before + 7:
                break  # the connection is lost, while others send
    publisher.join()
    assert got == [str(n) for n in range(MESSAGES)]


def test_a_client_that_comes_back_too_late_is_told(serve: Serve) -> None:
    server = serve("remembering:resuming", "-w", "1", "--history", "room=2/1h")
    first = socket_from(server, "")
    assert next(first) == ("", "ready")
    assert server.get("/send?text=0").status == 204
    position, _ = next(first)
    first.close()
    for n in range(1, 4):
        server.get(f"/send?text={n}")
    late = socket_from(server, position)
    assert next(late) == ("", "lost")
    late.close()
