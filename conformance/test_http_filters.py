"""Filters that ask the application about each publication: GRIP's http-check and http-modify."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable

import pytest
from harness import Answer, Client, Server, eventually
from sockets import connect
from test_realtime import admin_port, publish, waiting

Serve = Callable[..., Server]
KEY = "backline=changeme"


@pytest.fixture(params=["threads", "gevent"])
def server(serve: Serve, request: pytest.FixtureRequest) -> Server:
    flags = ("--workers", "1", "-k", request.param, "--admin-bind", "127.0.0.1:0", "--websocket-over-http")
    threads = ("--threads", "4") if request.param == "threads" else ()
    return serve("filters_wsgi", *flags, *threads)


def streams(server: Server, *targets: str) -> list[Client]:
    """Clients whose streams have begun. The one worker's answers are taken in order: behind another one they listen."""
    clients = [waiting(server, target) for target in targets]
    for client in clients:
        client.head()
        assert next(client.chunks()) == b"open\n"
    server.get("/")
    return clients


def line(client: Client) -> bytes:
    chunk = next(client.chunks())
    assert chunk is not None
    return chunk


def asked(server: Server) -> list[list[str]]:
    said: list[list[str]] = json.loads(server.get("/").text)[1]
    return said


def say(server: Server, text: str, channel: str = "room", **meta: str) -> None:
    formats = {name: {"content": text} for name in ("http-stream", "ws-message")}
    item = {"channel": channel, "meta": meta, "http-response": {"body": text}, **formats}
    assert publish(admin_port(server), [item]).status == 200


def test_streams(server: Server) -> None:
    one, same, other = streams(
        server, "/stream?http-modify=one", "/stream?http-modify=same", "/stream?http-check=other"
    )
    say(server, "first\n")
    assert (line(one), line(same), line(other)) == (b"first\n for one", b"first\n", b"first\n")
    say(server, "second\n", **{"for": "other"})
    say(server, "third\n", "other")
    assert line(other) == b"second\n"
    assert [line(client) for client in (one, same, other)] == [b"third\n"] * 3
    found = {user: (text, names) for user, text, names in asked(server)[:3]}
    assert {user: text for user, (text, _) in found.items()} == {"one": "first\n", "same": "first\n", "other": ""}
    names = ["CONTENT_LENGTH", "HTTP_HOST", "HTTP_PUB_META", "HTTP_SUB_META"]
    assert all([name for name in each if name != "CONTENT_TYPE"] == names for _, each in found.values())


def test_long_polls(server: Server) -> None:
    polls = [waiting(server, f"/response?http-check={user}") for user in ("one", "other", "broken")]
    eventually(lambda: held(server) == 3, "all are held")
    server.get("/")
    say(server, "for other", **{"for": "other"})
    assert polls[1].answer().text == "for other"
    say(server, "for one", **{"for": "one"})
    assert polls[0].answer().text == "for one"
    server.wait_for("answered with 500")
    assert held(server) == 1


def held(server: Server) -> int:
    with Client(socket.create_connection(("127.0.0.1", admin_port(server)), timeout=20)) as client:
        answer: Answer = client.request("GET", "/-/metrics")
    (found,) = [text for text in answer.text.splitlines() if text.startswith("backline_holds ")]
    return int(found.split()[1])


def test_nobody_waits_for_another_ones_filter(server: Server) -> None:
    slow, one, plain = streams(server, "/stream?http-check=slow", "/stream?http-modify=one", "/stream?var-subst=plain")
    say(server, "first\n")
    assert line(one) == b"first\n for one"
    assert line(plain) == b"first\n"
    say(server, "second\n", "other")
    assert (line(one), line(plain)) == (b"second\n", b"second\n")
    assert server.get("/release").status == 200
    assert (line(slow), line(slow)) == (b"first\n", b"second\n")


def test_sockets(server: Server) -> None:
    with connect(server, "/socket?one=http-modify") as one, connect(server, "/socket?slow=http-check") as slow:
        assert one.message() == slow.message() == "ready"
        say(server, "first")
        say(server, "second", **{"for": "two"})
        say(server, "third", "other")
        say(server, "fourth")
        assert [one.message() for _ in range(3)] == ["first for one", "third", "fourth for one"]
        assert server.get("/release").status == 200
        assert [slow.message() for _ in range(3)] == ["first", "third", "fourth"]


def test_other_servers_are_not_asked(server: Server) -> None:
    elsewhere = "/stream?http-check=x&http://127.0.0.1:1/filter"
    own, other = streams(server, "/stream?http-modify=own&http://testserver/filter", elsewhere)
    say(server, "first\n")
    assert line(own) == b"first\n for own"
    server.wait_for("leads to another server")
    say(server, "second\n", "other")
    assert line(other) == b"second\n"
    assert [user for user, _, _ in asked(server)] == ["own"]


def test_they_take_too_long(serve: Serve) -> None:
    server = serve("filters_wsgi", "--threads", "2", "--admin-bind", "127.0.0.1:0", "--filter-timeout", "1")
    (slow,) = streams(server, "/stream?http-check=slow")
    say(server, "first\n")
    server.wait_for("filter_timeout")
    say(server, "second\n", "other")
    assert line(slow) == b"second\n"
    server.get("/release")


def test_applications_know_and_requests_are_signed(serve: Serve) -> None:
    server = serve("filters_wsgi", "--admin-bind", "127.0.0.1:0", "--grip-key", KEY)
    feature = json.loads(server.get("/").text)[0]
    assert feature.endswith("filter:var-subst, filter:http-check, filter:http-modify")
    (one,) = streams(server, "/stream?http-modify=one")
    item = {"channel": "room", "http-stream": {"content": "first\n"}}
    key = base64.b64encode(KEY.replace("=", ":").encode()).decode()
    assert publish(admin_port(server), [item], f"Basic {key}").status == 200
    assert line(one) == b"first\n for one"
    ((_, _, names),) = asked(server)
    assert {"HTTP_GRIP_SIG", "HTTP_GRIP_FEATURE"} <= set(names)
