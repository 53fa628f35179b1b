"""Django Channels, unchanged: consumers of every kind, sessions, groups in memory."""

from __future__ import annotations

import json
import uuid
from contextlib import ExitStack

import pytest
from asgi_variants import VARIANTS, SharedServers, seen
from harness import Server, in_parallel
from sockets import Socket, connect, refused

THREADS = 4
SITE = {"Origin": "http://testserver"}  # what AllowedHostsOriginValidator asks for


@pytest.fixture(params=VARIANTS, ids=str)
def server(shared: SharedServers, request: pytest.FixtureRequest) -> Server:
    return shared("asgi_channels:app", *request.param.flags, "--threads", str(THREADS))


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


def open_socket(server: Server, target: str, **headers: str) -> Socket:
    return connect(server, target, {**SITE, **headers})


def quiet(server: Server, lines: int) -> bool:
    server.get("/seen?")
    return "error while" not in "\n".join(server.lines[lines:])


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_echo(server: Server, name: str, kind: str) -> None:
    lines = len(server.lines)
    with open_socket(server, f"/{kind}/{name}") as socket:
        for data in ("text", b"bytes", "", "Grüße", b"x" * 200_000):
            socket.send(data)
            assert socket.message() == data
        assert socket.close(1001)[0] == 1001
    assert seen(server, name) == [1001]
    assert quiet(server, lines)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_client_that_vanishes_is_a_disconnect(server: Server, name: str, kind: str) -> None:
    lines = len(server.lines)
    with open_socket(server, f"/{kind}/{name}"):
        pass
    assert seen(server, name) == [1006]
    assert quiet(server, lines)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_json(server: Server, kind: str) -> None:
    with open_socket(server, f"/{kind}-json") as socket:
        socket.send('{"a": [1, "é"]}')
        assert json.loads(socket.message()) == {"got": {"a": [1, "é"]}}


def test_groups_of_the_layer_in_memory(server: Server, name: str) -> None:
    lines = len(server.lines)
    with ExitStack() as stack:
        sockets = [stack.enter_context(open_socket(server, f"/room/{name}")) for _ in range(5)]
        other = stack.enter_context(open_socket(server, f"/room/{name}-other"))
        sockets[0].send('{"text": "hello"}')
        assert [json.loads(socket.message()) for socket in sockets] == [{"text": "hello"}] * 5
        assert server.get(f"/announce/{name}-other?text=from+a+view").text == "announced"
        assert json.loads(other.message()) == {"text": "from a view"}
        for socket in sockets:
            socket.close()
    assert seen(server, f"room-{name}", 5) == [1000] * 5
    assert quiet(server, lines)


def test_sessions_and_users(server: Server, name: str) -> None:
    assert refused(server, "/who", SITE).status == 403
    cookies = server.get(f"/enter/{name}").all("set-cookie")
    session = next(cookie.split(";")[0] for cookie in cookies if cookie.startswith("sessionid="))
    with open_socket(server, "/who", Cookie=session) as socket:
        assert str(socket.message()).startswith(f"{name} of ")


def test_origins_are_the_applications_to_judge(server: Server) -> None:
    assert refused(server, "/async/x", {"Origin": "https://evil.example"}).status == 403


def test_subprotocol_and_close_with_a_reason(server: Server) -> None:
    with open_socket(server, "/chooses", **{"Sec-WebSocket-Protocol": "v1, v2"}) as socket:
        assert socket.subprotocol == "v2"
        socket.send("enough?")
        assert socket.closed() == (4001, "enough")


def test_no_route_is_500_with_its_reason_in_the_log(server: Server) -> None:
    lines = len(server.lines)
    assert refused(server, "/nowhere", SITE).status == 500
    server.wait_for("No route found for path 'nowhere'", after=lines)


def test_a_consumer_that_raises_closes_with_1011(server: Server) -> None:
    lines = len(server.lines)
    with open_socket(server, "/broken") as socket:
        socket.send("x")
        assert socket.closed()[0] == 1011
    server.wait_for("ZeroDivisionError: in a consumer", after=lines)


def test_sync_consumers_run_beside_each_other(server: Server, name: str) -> None:
    with open_socket(server, "/meets") as one, open_socket(server, "/meets") as other:
        for n in range(3):
            one.send(f"{name}-{n}")
            other.send(f"{name}-{n}")
            assert (one.message(), other.message()) == ("met", "met")


def test_more_sync_consumers_than_threads(server: Server) -> None:
    """They stay connected, and take turns on the threads."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(open_socket(server, "/slow")) for _ in range(3 * THREADS)]

        def one(n: int) -> object:
            sockets[n].send("0.01")
            return sockets[n].message()

        for _ in range(2):
            names = in_parallel(len(sockets), one)
            assert all(str(thread).startswith("backline-sync") for thread in names), names
            assert len(set(names)) <= THREADS
