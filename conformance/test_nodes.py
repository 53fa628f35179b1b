"""Several servers as one: three real ones, of which one is killed and one is stopped for a while."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import pytest
from authority import Authority
from harness import PATIENCE, Server, eventually
from ports import free_port
from sockets import Socket
from test_socket_presence import enter


def free_address() -> str:
    return f"127.0.0.1:{free_port()}"


Nodes = Callable[..., list[Server]]


@pytest.fixture
def start() -> Iterator[Nodes]:
    """Starts servers that are one, with one address and set of flags for each."""
    with ExitStack() as stack:

        def started(app: str, addresses: list[str], *flags: str) -> list[Server]:
            peers = [flag for each in addresses for flag in ("--bus-peers", each)]
            return [
                stack.enter_context(
                    Server(
                        app, "--workers", "1", "--threads", "4", "--control-socket", "off",
                        "--bus", "embedded", "--bus-listen", each, *peers, *flags,
                        env={"BACKLINE_BUS_SECRET": "between us"},
                    )
                )
                for each in addresses
            ]  # fmt: skip

        yield started


@pytest.fixture
def nodes(start: Nodes) -> list[Server]:
    return start("layer_members:app", [free_address() for _ in range(3)])


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


def do(server: Server, path: str, **query: str) -> Any:
    answer = server.get(f"/{path}?{urlencode(query)}")
    assert answer.status == 200, server.log
    return json.loads(answer.text)["did"]


def texts(history: Any) -> list[str]:
    return [message["text"] for _, message in history["messages"]]


def arrives(server: Server, text: str) -> None:
    eventually(lambda: texts(do(server, "history"))[-1:] == [text], f"{text} has come")


def test_a_client_of_one_server_gets_from_another_what_it_missed(start: Nodes) -> None:
    addresses = [free_address() for _ in range(3)]
    servers = start("remembering:app", addresses, "--history", "room=100/1h")
    for each in servers:
        each.wait_for("servers=3")
        do(each, "history")

    def position() -> str:
        return str(do(servers[0], "history")["position"])

    for n, each in enumerate(servers):
        do(each, "send", text=str(n))
    eventually(lambda: len(do(servers[0], "history")["messages"]) == 3, "all messages at the first server")
    eventually(lambda: "." in position(), "positions that others understand")
    last = position()
    missed = ["3", "4", "5"]
    for text, each in zip(missed, servers, strict=True):
        do(each, "send", text=text)
        arrives(servers[0], text)
    for each in servers:
        found = do(each, "history", after=last)
        assert texts(found) == missed and found["complete"], (found, each.log)
        again = do(each, "history", after=found["position"])
        assert texts(again) == [] and again["complete"], again
        assert not do(each, "history", after=last.partition(".")[0] + ".1-1")["complete"] or each is servers[0]

    servers[0].kill()
    servers[1].kill()
    eventually(lambda: servers[2].log.count("a server is silent") == 2, "both are missed")
    (fresh,) = start("remembering:app", addresses[:1], "--history", "room=100/1h", "--bus-peers", addresses[2])
    found = do(fresh, "history", after=last)
    assert texts(found) == missed and found["complete"], (found, fresh.log)


def test_servers_of_one_authority_hear_each_other_and_nobody_else(start: Nodes, tmp_path: Path) -> None:
    """With certificates, a server that has none, and one that has another authority's, are kept out."""
    ours, theirs = Authority(tmp_path), Authority(tmp_path / "theirs")
    theirs.folder.mkdir()
    addresses = [free_address() for _ in range(4)]

    def flags(authority: Authority, root: Path) -> list[str]:
        both = authority.folder / "both.pem"  # the certificate and its key, as bus_cert wants them
        both.write_bytes(b"".join(each.read_bytes() for each in authority.issue("127.0.0.1")))
        return ["--bus-ca", str(root), "--bus-cert", str(both)]

    members = start("layer_members:app", addresses[:2], *flags(ours, ours.root))
    peers = [flag for each in addresses[:2] for flag in ("--bus-peers", each)]
    strangers = start("layer_members:app", addresses[2:3], *flags(theirs, ours.root), *peers)
    strangers += start("layer_members:app", addresses[3:], *peers)
    for each in members:
        each.wait_for("servers=2")
    for each in (*members, *strangers):
        ask(each, "join/room/m")
    ask(members[0], "say/room/secret")
    for each in members:
        hears(each, "secret")
    for each in strangers:
        assert ask(each, "receive/2/m") is None
        assert "a server is on the bus" not in each.log
    for each in members:
        assert "servers=3" not in each.log


@pytest.mark.parametrize("app", ["recovering:chat", "entering:app"])
def test_a_socket_gets_from_another_server_what_it_missed(start: Nodes, app: str) -> None:
    """Sockets, of plain functions and of ASGI, come back to a server that has never heard of their group."""
    addresses = [free_address() for _ in range(2)]
    first, second = start(app, addresses, "--history", "room=100/1h")
    for each in (first, second):
        each.wait_for("servers=2")
    with enter(first, since="") as here:
        seen = say(here, "0")
        while "." not in seen["__position__"]:  # until it is one that other servers understand
            seen = say(here, "1")
        for text in ("2", "3"):
            say(here, text)
        with enter(second, since=seen["__position__"]) as there:
            assert [json.loads(there.message())["text"] for _ in range(2)] == ["2", "3"]
            assert say(there, "4")["text"] == json.loads(here.message())["text"] == "4"
    (third,) = start(app, [free_address()], "--history", "room=100/1h", "--bus-peers", addresses[1])
    third.wait_for("servers=3")
    with enter(third, since=seen["__position__"]) as there:
        assert [json.loads(there.message())["text"] for _ in range(3)] == ["2", "3", "4"]
    with enter(third, since="1f-9.1-1") as there:
        assert json.loads(there.message()) == {"gap": "room"}


def say(socket: Socket, text: str) -> dict[str, str]:
    socket.send(f"say {text}")
    message: dict[str, str] = json.loads(socket.message())
    assert message["text"] == text
    return message


def test_a_server_that_is_upgraded_is_on_the_bus_again(start: Nodes) -> None:
    first, second = start("layer_members:app", [free_address() for _ in range(2)])
    for each in (first, second):
        each.wait_for("servers=2")
    first.signal(signal.SIGUSR2)
    first.wait_for("a new process serves")
    eventually(lambda: second.log.count("a server is on the bus") == 2, "the new process is on the bus")
    for each in (first, second):
        ask(each, "join/room/m")
    ask(second, "say/room/hello")
    for each in (first, second):
        hears(each, "hello")


def test_who_is_present_on_one_server_is_on_all_until_it_dies(start: Nodes) -> None:
    first, second = start("remembering:app", [free_address() for _ in range(2)], "--presence-leave-delay", "0")
    for each in (first, second):
        each.wait_for("servers=2")
    do(first, "enter", user="ann", socket="a")
    do(second, "enter", user="bob", socket="b")

    def users(server: Server) -> list[str]:
        return sorted(each["user"] for each in do(server, "presence")["who"])

    eventually(lambda: users(first) == users(second) == ["ann", "bob"], "both see both")
    first.kill()
    eventually(lambda: users(second) == ["bob"], "whoever was on a server that died has gone")
    do(second, "leave", user="bob", socket="b")
    assert users(second) == []


def test_a_message_of_a_named_channel_has_one_reader_of_all_servers(start: Nodes) -> None:
    servers = start("layer_members:app", [free_address() for _ in range(2)])
    for each in servers:
        each.wait_for("servers=2")
    got: list[str] = []

    def read(server: Server) -> None:
        while True:
            message = ask(server, "receive/1/thumbs.a")
            if not isinstance(message, dict):
                if len(got) >= 40:
                    return
                continue
            got.append(str(message["text"]))

    readers = [Thread(target=read, args=(each,)) for each in servers]
    for reader in readers:
        reader.start()
    for n in range(40):
        ask(servers[n % 2], f"put/thumbs.a/{n}")
    for reader in readers:
        reader.join(PATIENCE)
    assert sorted(got, key=int) == [str(n) for n in range(40)]


def test_a_named_channel_is_in_a_group_once_on_all_servers(start: Nodes) -> None:
    servers = start("layer_members:app", [free_address() for _ in range(2)])
    for each in servers:
        each.wait_for("servers=2")
    for each in servers:
        ask(each, "enlist/room/thumbs.b")

    def told(server: Server, text: str) -> list[str]:
        """What the channel has got once what is sent to it behind a message to its group has come."""
        ask(server, f"say/room/{text}")
        ask(server, f"put/thumbs.b/end-of-{text}")
        got = [""]
        while got[-1] != f"end-of-{text}":
            message = ask(servers[0], "receive/20/thumbs.b")
            assert isinstance(message, dict), server.log
            got.append(str(message["text"]))
        return got[1:-1]

    for n, each in enumerate(servers):
        assert told(each, f"by-{n}") == [f"by-{n}"]
    for each in servers:  # what the other one might have given it too is there by now
        ask(each, "put/thumbs.b/last")
    assert [ask(servers[0], "receive/20/thumbs.b") for _ in servers] == [{"text": "last"}] * 2
    assert ask(servers[0], "receive/0/thumbs.b") is None
    ask(servers[1], "strike/room/thumbs.b")
    for n, each in enumerate(servers):
        eventually(lambda n=n, each=each: told(each, f"gone-{n}") == [], "it is out of the group on both")  # type: ignore[misc]
