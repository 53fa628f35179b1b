"""backline.sockets without a server: routes, state, what is done, and what is refused."""

from __future__ import annotations

import asyncio
import marshal
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from backline import wire
from backline._routes import Pattern
from backline.events import Runner
from backline.occasion import plain
from backline.sockets import Socket, Sockets

SETTINGS: dict[str, Any] = {
    "asgi_window": 65536, "asgi_spec_version": "2.4", "scheme": "http", "root_path": "", "server": ["testserver", 80],
    "websocket_state": 100,
}  # fmt: skip
SCOPE: dict[str, Any] = {
    "type": "websocket", "path": "/chat/a b", "raw_path": b"/chat/a%20b", "client": ("127.0.0.1", 5),
    "headers": [(b"host", b"h"), (b"cookie", b"a=b"), (b"cookie", b"c=d")], "query_string": b"x=1&x=2",
}  # fmt: skip


class Link:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def emit(self, message: wire.Outgoing) -> None:
        self.sent.append(message)

    def flush(self) -> None:
        pass


class Server:
    """The server's part: it remembers state."""

    def __init__(self, application: Sockets, **settings: Any) -> None:
        self.runner = Runner(application, {**SETTINGS, **settings})
        self.runner.link = self.link = Link()
        self.state = b""

    def event(self, what: int, data: Any) -> list[Any]:
        """What is sent in answer to an event."""
        self.link.sent.clear()
        self.runner.serve((wire.EVENT, 7, what, "ID", self.state, data))
        for message in self.link.sent:
            assert message[1] == 7
            if message[0] in (wire.ACT, wire.ACTED) and message[3] is not None:
                self.state = message[3]
        return list(self.link.sent)

    def connect(self, **scope: Any) -> list[Any]:
        return self.event(0, {**SCOPE, **scope})


@pytest.mark.parametrize(
    ("route", "path", "found"),
    [
        ("/a", "/a", {}),
        ("/a", "/a/", None),
        ("/<x>", "/b", {"x": "b"}),
        ("/<x>", "/b/c", None),
        ("/<int:n>/<path:rest>", "/12/b/c", {"n": 12, "rest": "b/c"}),
        ("/<int:n>", "/x", None),
        ("/<slug:s>.json", "/a-1.json", {"s": "a-1"}),
        ("/<slug:s>.json", "/a-1xjson", None),
        ("/<uuid:u>", "/" + "0" * 8 + "-0000-0000-0000-" + "0" * 12, {"u": UUID(int=0)}),
    ],
)
def test_routes(route: str, path: str, found: dict[str, Any] | None) -> None:
    assert Pattern(route).match(path) == found


@pytest.mark.parametrize("route", ["a", "/<x>/<x>", "/<float:x>", "/<>", "/<1>"])
def test_routes_that_are_none(route: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Pattern(route)


def test_a_conversation() -> None:
    chat = Sockets()
    seen: list[Any] = []

    @chat.connect("/chat/<room>")
    def joined(socket: Socket, room: str) -> None:
        socket.accept("v1", [("X-A", "b")])
        socket.join(room[:1])
        socket.state["room"] = room
        seen.append((socket.cookies, socket.query, socket.environ["PATH_INFO"], socket.environ["HTTP_COOKIE"]))

    @chat.receive
    def said(socket: Socket, data: str | bytes) -> None:
        socket.send(data)
        socket.flush()
        socket.group("g").send(socket.state["room"], others=True)
        socket.leave("g")
        socket.close(4000, "bye")

    @chat.disconnect("/chat/<room>")
    def left(socket: Socket, code: int, room: str) -> None:
        seen.append((code, room, socket.state))

    server = Server(chat)
    [acted] = server.connect()
    assert acted[:3] == (wire.ACTED, 7, [(0, "v1", [(b"X-A", b"b")]), (2, "a")])
    assert seen == [({"a": "b", "c": "d"}, {"x": "2"}, "/chat/a b", "a=b; c=d")]
    act, acted = server.event(1, "text")
    assert act == (wire.ACT, 7, [(1, "text")], None)
    assert acted == (wire.ACTED, 7, [(4, "g", "a b", True), (3, "g"), (5, 4000, "bye")], None), "the state is as it was"
    assert server.event(2, (1006, "")) == [(wire.ACTED, 7, [], None)]
    assert seen[1:] == [(1006, "a b", {"room": "a b"})]


def handled(handler: Callable[[Socket], object], **scope: Any) -> Any:
    chat = Sockets(origins=["https://friend"])
    chat.connect(handler)
    [answer] = Server(chat).connect(**scope)
    return answer


def accepted_then(do: Callable[[Any], Any]) -> Callable[[Socket], Any]:
    def handler(socket: Socket) -> Any:
        socket.accept()
        return do(socket)

    return handler


@pytest.mark.parametrize(
    "handler",
    [
        lambda socket: socket.send("before it is accepted"),
        accepted_then(lambda socket: socket.accept()),
        accepted_then(lambda socket: socket.refuse()),
        lambda socket: socket.accept("no token"),
        lambda socket: socket.accept(headers=[("a b", "c")]),
        lambda socket: socket.refuse(200),
        accepted_then(lambda socket: socket.send(object())),
        accepted_then(lambda socket: socket.send("\ud800")),
        accepted_then(lambda socket: socket.join("")),
        accepted_then(lambda socket: socket.join("ü")),
        accepted_then(lambda socket: socket.close(1005)),
        accepted_then(lambda socket: socket.close(1000, "x" * 124)),
        accepted_then(lambda socket: socket.state.update(a=object())),
        accepted_then(lambda socket: socket.state.update({1: 2})),
        accepted_then(lambda socket: socket.state.update(a="x" * 200)),
        accepted_then(lambda socket: socket.__setattr__("state", [])),
    ],
)
def test_mistakes_fail_the_handler(handler: Callable[[Socket], object], capsys: pytest.CaptureFixture[str]) -> None:
    kind, stream, name = handled(handler)
    assert (kind, stream) == (wire.ERROR, 7)
    assert name in ("RuntimeError", "ValueError", "TypeError", "UnicodeEncodeError")
    assert "error while handling the event 'connect' of the WebSocket /chat/a b" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("origin", "accepted"),
    [
        (b"http://h", True),
        (b"https://FRIEND", True),
        (b"https://other", False),
        (b"null", False),
        (b"http://h.evil", False),
    ],
)
def test_origins(origin: bytes, accepted: bool) -> None:
    answer = handled(lambda socket: socket.accept(), headers=[(b"host", b"h"), (b"origin", origin)])
    assert answer[2] == [(0, None, [])] if accepted else [(5, 403, "")]
    assert bool(answer[2][0][0]) != accepted


def test_what_nobody_wants_to_know() -> None:
    assert handled(lambda socket: None)[:3] == (wire.ACTED, 7, [])
    [answer] = Server(Sockets()).connect()
    assert answer[2] == [(5, 404, "")]
    assert Server(Sockets()).event(1, "text")[0][2] == []


def test_very_much_leaves_early() -> None:
    chat = Sockets()

    @chat.receive
    def said(socket: Socket, data: str) -> None:
        for n in range(2100):
            socket.send(str(n))

    sent = Server(chat).event(1, "")
    assert [message[0] for message in sent] == [wire.ACT, wire.ACT, wire.ACTED]
    assert [action[1] for message in sent for action in message[2]] == [str(n) for n in range(2100)]


def test_an_id_is_a_group_once() -> None:
    def joined(socket: Socket) -> None:
        socket.accept()
        socket.send(socket.id)
        assert socket.id == "ID"

    answer = handled(joined)
    assert answer[2] == [(0, None, []), (2, "ID"), (1, "ID")]


def test_a_coroutine_has_a_loop_of_its_own() -> None:
    chat = Sockets()

    @chat.connect
    async def joined(socket: Socket) -> None:
        await asyncio.sleep(0)
        socket.accept()

    assert (chat.has_coroutines(), chat.has_plain()) == (True, False)
    [answer] = Server(chat).connect()
    assert answer[2] == [(0, None, [])]


def test_a_flush_on_connect_keeps_the_path() -> None:
    chat = Sockets()

    @chat.connect
    def joined(socket: Socket) -> None:
        socket.accept()
        socket.flush()
        raise LookupError

    server = Server(chat)
    assert [message[0] for message in server.connect()] == [wire.ACT, wire.ERROR]
    assert marshal.loads(server.state) == ("/chat/a b", {})


def test_requests_are_told_what_is_here() -> None:
    server = Server(Sockets())
    server.runner.serve((wire.REQUEST, 3, {}, b"", 0))
    [(kind, stream, status, _, _)] = server.link.sent
    assert (kind, stream, status) == (wire.ANSWER, 3, 426)


def test_plain_values() -> None:
    class Text(str):
        pass

    value = {"a": [1, 2.5, None, True, (b"b", Text("t"))]}
    assert plain(value, "it") == value
    assert type(plain(Text("t"), "it")) is str
    deep: Any = []
    for _ in range(20):
        deep = [deep]
    with pytest.raises(ValueError, match="nested deeper"):
        plain(deep, "it")


def test_what_is_no_handler() -> None:
    with pytest.raises(TypeError, match="expects a route"):
        Sockets().connect(42)  # type: ignore[call-overload]


def test_who_enters_a_group_and_what_was_missed() -> None:
    chat = Sockets()
    gaps: list[Any] = []

    @chat.connect
    def joined(socket: Socket) -> None:
        socket.accept()
        socket.join("a", user="ann", info={"device": "phone"})
        socket.join("b", since="1f-9")
        socket.join("c", user="bob", since="")
        socket.join("d", since="ü" * 10)
        socket.join("e", since="1" * 1025)

    @chat.gap
    def missed(socket: Socket, group: str) -> None:
        gaps.append((socket.path, group))

    server = Server(chat)
    [acted] = server.connect()
    assert acted[2][1:] == [
        (6, "a", "ann", '{"device": "phone"}', None),
        (6, "b", None, "", "1f-9"),
        (6, "c", "bob", "", ""),
        (6, "d", None, "", "?"),
        (6, "e", None, "", "?"),
    ]
    [acted] = server.event(3, "b")
    assert gaps == [("/chat/a b", "b")] and acted[:3] == (wire.ACTED, 7, [])


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"info": 1}, TypeError),
        ({"user": ""}, TypeError),
        ({"user": 5}, TypeError),
        ({"user": "ü" * 128}, TypeError),
        ({"user": "ann", "info": "x" * 4095}, ValueError),
        ({"user": "ann", "info": object()}, TypeError),
        ({"since": 5}, TypeError),
    ],
)
def test_wrong_ways_to_enter(how: dict[str, Any], error: type[Exception]) -> None:
    chat = Sockets()
    raised: list[Any] = []

    @chat.connect
    def joined(socket: Socket) -> None:
        socket.accept()
        try:
            socket.join("a", **how)
        except Exception as caught:
            raised.append(type(caught))

    [acted] = Server(chat).connect()
    assert raised == [error]
    assert len(acted[2]) == 1, "nothing is done but what was done before"


def test_a_connect_handler_that_does_not_decide_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Once a minute, and not one that refuses or fails."""
    chat = Sockets()

    @chat.connect("/<what>")
    def joined(socket: Socket, what: str) -> None:
        if what == "refuses":
            socket.refuse(401)
        elif what == "accepts":
            socket.accept()

    server = Server(chat)
    for what in ("refuses", "accepts"):
        server.connect(path=f"/{what}")
    server.connect(path="/unknown/route")
    assert capsys.readouterr().err == ""
    for _ in range(2):
        [acted] = server.connect(path="/forgets")
        assert acted[2] == []
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("the connect handler of the WebSocket /forgets has called neither")
