"""Groups of WebSockets that the server itself delivers to: the ASGI extension backline.groups (X8), wsgi.websocket, and
the channel layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from harness import Server, eventually
from processes import children, kill
from sockets import CLOSE, Socket, connect, refused

LOOPS = {"asyncio": "edge_groups:app", "threads": "edge_groups:site", "gevent": "edge_groups:site"}


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    flags = ("-k", request.param, "--workers", "2", "--websocket-groups", "3")
    with Server(LOOPS[request.param], *flags) as running:
        yield running


@pytest.fixture(scope="module")
def consumers() -> Iterator[Server]:
    with Server("edge_groups_channels:app", "--workers", "2") as running:
        yield running


def order(socket: Socket, text: str, told: str | None = None) -> None:
    socket.send(text)
    assert socket.message() == (told or text.partition(" ")[0])


def broadcast(server: Server, group: str, query: str) -> None:
    answer = server.get(f"/broadcast/{group}?{query}")
    assert (answer.status, answer.text) == (200, "done"), server.log


def test_x8_everybody_gets_it_whatever_their_worker(server: Server) -> None:
    with ExitStack() as stack:
        deflate = {"Sec-WebSocket-Extensions": "permessage-deflate"}
        sockets = [stack.enter_context(connect(server, "/")) for _ in range(6)]
        packed = stack.enter_context(connect(server, "/", deflate))
        for socket in sockets:
            order(socket, "discard nothing")  # it is a member by now
        packed.send("discard nothing")
        packed.next_frame()
        broadcast(server, "all", "text=caf%C3%A9")
        broadcast(server, "all", "bytes=00ff")
        broadcast(server, "all", "text=")
        broadcast(server, "all", "text=x&repeat=5000")
        for socket in sockets:
            assert [socket.message() for _ in range(4)] == ["café", b"\x00\xff", "", "x" * 5000]
        assert [len(packed.next_frame().payload) < 100 for _ in range(4)] == [True] * 4


def test_x8_members_come_and_go(server: Server) -> None:
    with connect(server, "/") as one, connect(server, "/") as two:
        for socket in (one, two):
            order(socket, "add room")
        order(one, "add room")
        order(one, "discard room")
        order(one, "discard room")
        broadcast(server, "room", "text=to+the+second")
        broadcast(server, "all", "text=to+both")
        assert one.message() == "to both"
        assert [two.message(), two.message()] == ["to the second", "to both"]


def test_x8_what_is_wrong_raises_in_the_application(server: Server) -> None:
    with connect(server, "/") as socket:
        for group in ("a b", "", "x" * 100):
            socket.send(f"add {group}")
            assert "ValueError: expected group as 1 to 99" in str(socket.message())
        order(socket, "add b")
        order(socket, "add c")
        socket.send("add d")
        assert "TooManyGroups: the WebSocket is in 3 groups already" in str(socket.message())
        order(socket, "discard b")
        order(socket, "add d")
        broadcast(server, "d", "text=goes+on")
        assert socket.message() == "goes on"


@pytest.mark.parametrize(
    ("query", "what"), [("", "neither text nor bytes"), ("text=a&bytes=00", "both text and bytes")]
)
def test_x8_what_cannot_be_broadcast(server: Server, query: str, what: str) -> None:
    assert server.get(f"/broadcast/all?{query}").status == 500
    server.wait_for("TypeError: group_broadcast.. has " + what)


def test_x8_a_socket_that_has_ended_is_in_no_group(server: Server) -> None:
    with connect(server, "/") as socket:
        order(socket, "add over")
        socket.send("end")
        assert socket.next_frame().opcode == CLOSE
        broadcast(server, "over", "text=nobody")
        socket.frame(CLOSE, b"\x03\xe8")
        assert socket.client.at_end()


def test_x8_a_socket_that_is_refused_is_in_no_group(serve: Callable[..., Server]) -> None:
    server = serve("edge_groups:app", "--workers", "1")
    assert refused(server, "/denied").status == 403
    broadcast(server, "all", "text=nobody")


def test_x8_a_worker_that_died_takes_its_sockets_along(serve: Callable[..., Server]) -> None:
    server = serve("edge_groups:app", "--workers", "1")
    with connect(server, "/") as socket:
        [worker] = children(server)
        kill(worker)
        assert socket.next_frame().opcode == CLOSE
        eventually(lambda: server.get("/hello").status == 200, "there is another worker")
        broadcast(server, "all", "text=nobody")
        with connect(server, "/") as another:
            order(another, "discard nothing")
            broadcast(server, "all", "text=somebody")
            assert another.message() == "somebody"


@pytest.mark.parametrize("path", ["/async", "/sync"])
def test_consumers_are_delivered_to_without_being_woken(consumers: Server, path: str) -> None:
    server = consumers
    with connect(server, path) as one, connect(server, path) as two:
        for socket in (one, two):
            order(socket, "add room")
        order(one, "discard room")
        broadcast(server, "room", "text=to+the+second")
        broadcast(server, "all", "text=to+both")
        assert server.get("/send/all?text=for+consumers").status == 200  # none of them is in the group as a consumer
        assert server.get("/send/woken?text=woken").status == 200
        assert [one.message(), one.message()] == ["to both", "woken"]
        assert [two.message() for _ in range(3)] == ["to the second", "to both", "woken"]
        assert server.get("/wrong/all").status == 500
        server.wait_for("ValueError: specific.* is not the channel of a WebSocket's consumer")
