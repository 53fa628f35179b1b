"""A WebSocket's call as the worker sees it: scope, handshake, denial and end (W1 to W8, W14 to W18, W22 to W24 of the
checklist), without a server. What the server does of it is in conformance/."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from worker import ACCEPTED, Application, Receive, Send, Worker, on_loop, opened, waiting

from backline import wire
from backline.errors import ClientDisconnected

DONE = (wire.DONE, 0)


# The scope


@on_loop
async def test_w01_scope() -> None:
    app = Application()
    worker = Worker(app, root_path="/site")
    await worker.connect(query_string=b"a=1")
    assert app.scopes == [
        {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/ws",
            "raw_path": b"/ws",
            "query_string": b"a=1",
            "root_path": "/site",
            "headers": [(b"host", b"testserver")],
            "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", 8000),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}, "backline.groups": {}},
        }
    ]


@on_loop
@pytest.mark.parametrize(("scheme", "sent", "told"), [("https", {}, "wss"), ("http", {"scheme": "wss"}, "wss")])
async def test_w01_scheme(scheme: str, sent: dict[str, Any], told: str) -> None:
    app = Application()
    await Worker(app, scheme=scheme).connect(**sent)
    assert app.scopes[0]["scheme"] == told


@on_loop
async def test_w01_an_older_version_is_told_where_it_is_asked_for() -> None:
    app = Application()
    await Worker(app, asgi_spec_version="2.3").connect()
    assert app.scopes[0]["asgi"]["spec_version"] == "2.3"


@on_loop
async def test_w01_what_the_server_says_of_tls_is_added() -> None:
    app = Application()
    await Worker(app).connect(extensions={"tls": {"tls_version": 0x0304}})
    assert app.scopes[0]["extensions"] == {
        "websocket.http.response": {},
        "backline.groups": {},
        "tls": {"tls_version": 0x0304},
    }


@on_loop
async def test_w01_a_request_beside_it_keeps_its_own_scope() -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    await worker.get(1, extensions={"tls": {"tls_version": 0x0304}})
    socket, request = app.scopes
    assert (request["type"], request["scheme"], request["method"]) == ("http", "http", "GET")
    assert "subprotocols" not in request and "method" not in socket
    assert request["asgi"]["spec_version"] == "2.4"
    assert request["extensions"]["tls"] == {"tls_version": 0x0304} and "http.response.pathsend" in request["extensions"]


@on_loop
async def test_w01_scopes_share_nothing_that_can_change() -> None:
    app = Application()
    worker = Worker(app)
    worker.runner.support({"pool": "one"})
    for stream in (0, 1):
        await worker.connect(stream)
        for key in ("asgi", "extensions", "state"):
            assert "spoilt" not in app.scopes[stream][key]
            app.scopes[stream][key]["spoilt"] = {}
        for key in ("headers", "subprotocols"):
            assert (b"spoilt", b"") not in app.scopes[stream][key]
            app.scopes[stream][key].append((b"spoilt", b""))
    assert app.scopes[0]["state"]["pool"] == app.scopes[1]["state"]["pool"] == "one"


@on_loop
async def test_w01_fields_that_repeat_are_kept_once() -> None:
    app = Application()
    worker = Worker(app)
    for stream in (0, 1):
        headers = [(b"origin", b"https://a.example"), (b"cookie", b"id=1"), (b"x-trace", b"%d" % stream)]
        await worker.connect(stream, headers=headers)
        assert app.scopes[stream]["headers"] == headers
    first, second = (scope["headers"] for scope in app.scopes)
    assert first[0] is second[0]
    assert first[1] is not second[1]


@on_loop
async def test_w02_subprotocols() -> None:
    app = Application()
    await Worker(app).connect(subprotocols=["v2.chat", "v1.chat"])
    assert app.scopes[0]["subprotocols"] == ["v2.chat", "v1.chat"]


# The handshake


@on_loop
async def test_w03_connect_comes_first_and_nothing_until_the_answer() -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    assert await app.receive() == {"type": "websocket.connect"}
    second = waiting(app.receive())
    assert await worker.heard() == []
    assert not second.done()
    await app.send({"type": "websocket.accept"})
    await worker.tell((wire.RECEIVE, 0, "first"))
    assert await second == {"type": "websocket.receive", "text": "first"}


@on_loop
async def test_w03_accepting_before_connect_was_received_loses_no_event() -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    await app.send({"type": "websocket.accept"})
    assert await worker.tell((wire.RECEIVE, 0, "early")) == [ACCEPTED]
    assert await app.receive() == {"type": "websocket.connect"}
    assert await app.receive() == {"type": "websocket.receive", "text": "early"}


@on_loop
@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({}, (None, [])),
        ({"subprotocol": None, "headers": None}, (None, [])),
        ({"subprotocol": "", "headers": []}, (None, [])),
        ({"subprotocol": "v1.chat"}, ("v1.chat", [])),
        ({"headers": [[b"X-One", b"1"], (b"x-one", b"2")]}, (None, [(b"X-One", b"1"), (b"x-one", b"2")])),
        ({"headers": iter([(b"set-cookie", b"a=b")]), "extra": 1}, (None, [(b"set-cookie", b"a=b")])),
    ],
)
async def test_w04_w05_accept(fields: dict[str, Any], sent: tuple[Any, Any]) -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    await app.accept(**fields)
    assert await worker.heard() == [(wire.ACCEPT, 0, *sent)]


@on_loop
@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"subprotocol": "a\r\nb"}, ValueError, "expected subprotocol as a str such as 'chat.v1'"),
        ({"subprotocol": b"v1"}, ValueError, "expected subprotocol as a str"),
        ({"headers": [(b"Sec-WebSocket-Protocol", b"v1")]}, ValueError, "use subprotocol"),
        ({"headers": [("x", "y")]}, TypeError, "expected header names and values as bytes"),
        ({"headers": [(b"x", b"a\r\nb: c")]}, ValueError, "control character"),
    ],
)
async def test_w04_w05_a_wrong_accept_leaves_the_handshake_open(
    fields: dict[str, Any], error: type[Exception], said: str
) -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    with pytest.raises(error, match=said):
        await app.accept(**fields)
    assert await worker.heard() == []
    await app.send({"type": "websocket.accept"})
    assert await worker.heard() == [ACCEPTED]


@on_loop
@pytest.mark.parametrize("fields", [{}, {"code": 4401, "reason": "who are you"}, {"code": 1006, "reason": ["FastAPI"]}])
async def test_w06_close_before_accept(fields: dict[str, Any]) -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    await app.receive()
    await app.send({"type": "websocket.close", **fields})
    assert await worker.heard() == [(wire.CLOSE, 0, 1000, "")]
    assert await app.receive() == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    with pytest.raises(ClientDisconnected):
        await app.send({"type": "websocket.accept"})
    app.ends.set_result(None)
    assert await worker.heard() == [DONE]


@on_loop
async def test_w07_returning_before_accept(capsys: pytest.CaptureFixture[str]) -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    app.ends.set_result(None)
    assert await worker.heard() == [(wire.ERROR, 0, "RuntimeError")]
    said = capsys.readouterr().err
    assert "serving the WebSocket /ws" in said and "returned without websocket.accept" in said


@on_loop
async def test_w07_raising_before_accept(capsys: pytest.CaptureFixture[str]) -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    app.ends.set_exception(ZeroDivisionError("no reason"))
    assert await worker.heard() == [(wire.ERROR, 0, "ZeroDivisionError")]
    assert "ZeroDivisionError: no reason" in capsys.readouterr().err


@on_loop
@pytest.mark.parametrize("kind", [wire.DISCONNECT, wire.CANCEL])
async def test_w08_the_server_gives_the_handshake_up(kind: int, capsys: pytest.CaptureFixture[str]) -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    await app.receive()
    next_event = waiting(app.receive())
    heard = await worker.tell((kind, 0))
    assert await next_event == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    with pytest.raises(ClientDisconnected):
        await app.send({"type": "websocket.accept"})
    if kind == wire.DISCONNECT:
        assert heard == []
        app.ends.set_result(None)
        heard = await worker.heard()
    assert heard == [DONE]
    assert capsys.readouterr().err == ""


# The end


@on_loop
@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({}, 1000, ""),
        ({"code": None, "reason": None}, 1000, ""),
        ({"code": 1001}, 1001, ""),
        ({"code": 1014, "reason": "gateway"}, 1014, "gateway"),
        ({"code": 3000, "reason": "Grüße"}, 3000, "Grüße"),
        ({"code": 4999}, 4999, ""),
    ],
)
async def test_w14_w15_w18_close_and_the_disconnect_that_follows(
    fields: dict[str, Any], code: int, reason: str
) -> None:
    worker, app = await opened()
    receiving = waiting(app.receive())
    await worker.heard()
    await app.send({"type": "websocket.close", **fields})
    assert await worker.heard() == [(wire.CLOSE, 0, code, reason)]
    disconnect = {"type": "websocket.disconnect", "code": code, "reason": reason}
    assert await receiving == disconnect
    # What the client did meanwhile changes nothing.
    assert await worker.tell((wire.RECEIVE, 0, "too late"), (wire.CREDIT, 0, 1), (wire.CLOSED, 0, 1005, "")) == []
    assert await app.receive() == await app.receive() == disconnect
    app.ends.set_result(None)
    assert await worker.heard() == [DONE]
    assert not worker.connection.calls


@on_loop
@pytest.mark.parametrize(
    ("code", "reason", "told"), [(1001, "bye", "bye"), (1005, "", ""), (1006, None, ""), (4000, "Grüße", "Grüße")]
)
async def test_w16_w17_disconnect(code: int, reason: str | None, told: str) -> None:
    worker, app = await opened()
    receiving = waiting(app.receive())
    await worker.heard()
    assert await worker.tell((wire.CLOSED, 0, code, reason)) == []
    assert await receiving == {"type": "websocket.disconnect", "code": code, "reason": told}
    assert (await app.receive())["code"] == code
    app.ends.set_result(None)
    assert await worker.heard() == [DONE]


@on_loop
async def test_w16_what_came_before_the_close_can_still_be_received() -> None:
    worker, app = await opened()
    await worker.tell((wire.RECEIVE, 0, "1"), (wire.RECEIVE, 0, "2"), (wire.CLOSED, 0, 1000, ""))
    assert [(await app.receive()).get("text") for _ in range(3)] == ["1", "2", None]


@on_loop
@pytest.mark.parametrize("event", [{"type": "websocket.accept"}, {"type": "websocket.send", "text": "t"}])
async def test_w16_what_has_left_is_no_error_when_the_client_goes_at_that_moment(event: dict[str, Any]) -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    if event["type"] == "websocket.send":
        await app.accept()
    write = worker.write

    def answer_at_once(data: Any) -> None:
        write(data)
        worker.connection.data_received(wire.encode([(wire.CLOSED, 0, 1001, "")]))

    worker.write = answer_at_once  # type: ignore[method-assign]
    await app.send(event)
    while (told := await app.receive())["type"] == "websocket.connect":
        pass
    assert told == {"type": "websocket.disconnect", "code": 1001, "reason": ""}


@on_loop
async def test_w23_returning_after_accept_closes() -> None:
    worker, app = await opened()
    app.ends.set_result(None)
    assert await worker.heard() == [(wire.CLOSE, 0, 1000, ""), DONE]


@on_loop
@pytest.mark.parametrize("error", [ZeroDivisionError("broken"), SystemExit(1), OSError("another connection")])
async def test_w23_raising_after_accept(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    worker, app = await opened()
    app.ends.set_exception(error)
    assert await worker.heard() == [(wire.ERROR, 0, type(error).__name__)]
    assert type(error).__name__ in capsys.readouterr().err


class WebSocketDisconnect(Exception):
    """As Starlette raises it, from receive() without any cause."""


@on_loop
@pytest.mark.parametrize(
    ("error", "logged"),
    [(WebSocketDisconnect(1001), False), (ConnectionResetError(), False), (TypeError("a mistake"), True)],
)
async def test_w23_raising_after_the_disconnect(
    error: Exception, logged: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    worker, app = await opened()
    await worker.tell((wire.CLOSED, 0, 1001, ""))
    app.ends.set_exception(error)
    assert await worker.heard() == [DONE]
    assert (type(error).__name__ in capsys.readouterr().err) is logged


@on_loop
@pytest.mark.parametrize("by", ["client", "application"])
async def test_w24_send_after_close(by: str, capsys: pytest.CaptureFixture[str]) -> None:
    worker, app = await opened()
    if by == "client":
        await worker.tell((wire.CLOSED, 0, 1001, ""))
    else:
        await app.send({"type": "websocket.close"})
    await worker.heard()
    for event in ({"type": "websocket.send", "text": "t"}, {"type": "websocket.accept"}):
        with pytest.raises(OSError, match="closed"):
            await app.send(event)
    await app.send({"type": "websocket.close", "code": 1001})  # what is closed already is as it is wanted
    with pytest.raises(OSError) as raised:
        await app.text("t")
    app.ends.set_exception(raised.value)
    assert await worker.heard() == [DONE]
    assert capsys.readouterr().err == ""


# A denial response


@on_loop
async def test_w22_denial_in_one_message() -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    await app.receive()
    await app.send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"www-authenticate", b"x")]})
    assert await worker.heard() == []
    await app.send({"type": "websocket.http.response.body", "body": b"who?"})
    assert await worker.heard() == [(wire.ANSWER_OPEN, 0, 401, [(b"www-authenticate", b"x")], b"who?")]
    assert await app.receive() == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    with pytest.raises(OSError):
        await app.text("no")
    await app.send({"type": "websocket.close"})
    app.ends.set_result(None)
    assert await worker.heard() == [DONE]


@on_loop
async def test_w22_denial_that_is_the_last_thing_done() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
        await send({"type": "websocket.http.response.body"})

    assert await Worker(app).connect() == [(wire.ANSWER, 0, 404, [], b"")]


@on_loop
async def test_w22_denial_in_pieces_waits_for_credit() -> None:
    app = Application()
    worker = Worker(app, asgi_window=100)
    await worker.connect()
    await app.send({"type": "websocket.http.response.start", "status": 503, "headers": []})
    first = waiting(app.send({"type": "websocket.http.response.body", "body": b"x" * 100, "more_body": True}))
    assert await worker.heard() == [(wire.START, 0, 503, [], b"x" * 100)]
    assert not first.done()
    await worker.tell((wire.CREDIT, 0, 100))
    assert first.done()
    await app.send({"type": "websocket.http.response.body", "body": b"end"})
    assert await worker.heard() == [(wire.DATA, 0, b"end"), (wire.END, 0)]
    app.ends.set_result(None)
    assert await worker.heard() == [DONE]


@on_loop
async def test_w22_a_wrong_denial_leaves_the_handshake_open() -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    with pytest.raises(TypeError, match="expected status as an int"):
        await app.send({"type": "websocket.http.response.start", "status": "403"})
    await app.accept()
    assert await worker.heard() == [ACCEPTED]


@on_loop
@pytest.mark.parametrize("kind", ["websocket.accept", "websocket.send", "websocket.close"])
async def test_w22_nothing_else_during_a_denial(kind: str) -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    await app.send({"type": "websocket.http.response.start", "status": 403})
    with pytest.raises(RuntimeError, match="expected its body"):
        await app.send({"type": kind, "text": "t"})


@on_loop
async def test_w22_a_denial_that_is_not_finished(capsys: pytest.CaptureFixture[str]) -> None:
    app = Application()
    worker = Worker(app)
    await worker.connect()
    await app.send({"type": "websocket.http.response.start", "status": 403})
    app.ends.set_result(None)
    assert await worker.heard() == [(wire.ERROR, 0, "RuntimeError")]
    assert "returned without a response" in capsys.readouterr().err


@on_loop
async def test_w22_a_client_that_goes_during_a_denial(capsys: pytest.CaptureFixture[str]) -> None:
    app = Application()
    worker = Worker(app, asgi_window=100)
    await worker.connect()
    await app.send({"type": "websocket.http.response.start", "status": 403})
    body = waiting(app.send({"type": "websocket.http.response.body", "body": b"x" * 200, "more_body": True}))
    await worker.heard()
    await worker.tell((wire.DISCONNECT, 0))
    with pytest.raises(ClientDisconnected):
        await body
    assert (await app.receive())["type"] == "websocket.connect"
    assert (await app.receive())["type"] == "websocket.disconnect"
    app.ends.set_result(None)
    await worker.heard()
    assert capsys.readouterr().err == ""


# Cancelling, and what outlives the call


@on_loop
async def test_cancel_ends_the_call_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    worker, _ = await opened()
    assert await worker.tell((wire.CANCEL, 0)) == [DONE]
    assert not worker.connection.calls
    assert capsys.readouterr().err == ""


@on_loop
async def test_cancel_while_the_end_of_a_message_waits() -> None:
    worker, app = await opened(websocket_window=100)
    sending = waiting(app.text("x" * 200_000))
    await worker.heard()
    sending.cancel()
    app.ends.set_result(None)
    assert await worker.heard() == []
    assert await worker.tell((wire.CANCEL, 0)) == [DONE]
    assert not worker.connection.calls


@on_loop
async def test_tasks_that_outlive_the_call_do_not_speak_for_the_next() -> None:
    worker, app = await opened(websocket_window=100)
    receive, send = app.receive, app.send
    waits = waiting(receive())
    await worker.tell(*((wire.RECEIVE, 0, "x" * 60_000) for _ in range(3)))
    await waits
    app.ends.set_result(None)
    await worker.heard()
    await worker.connect()  # the same number again
    await app.accept()
    await worker.heard()
    assert [(await receive())["type"] for _ in range(3)] == ["websocket.disconnect"] * 3
    with pytest.raises(ClientDisconnected):
        await send({"type": "websocket.send", "text": "from the past"})
    await send({"type": "websocket.close"})
    assert await worker.heard() == []


@on_loop
async def test_the_stack_of_a_socket_that_waits() -> None:
    worker, _ = await opened()
    stack = worker.connection.stack(0)
    assert stack is not None
    assert "task, waiting" in stack and "await self.ends" in stack


@on_loop
async def test_nothing_of_a_socket_is_left_behind() -> None:
    async def echo(scope: Any, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "websocket.connect":
                await send({"type": "websocket.accept"})
            elif event["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": event["text"]})
            else:
                return

    worker = Worker(echo)
    await worker.connect()
    gc.collect()
    before = len(gc.get_objects())
    gc.disable()
    try:
        for stream in range(1, 200):
            await worker.connect(stream)
            assert await worker.tell((wire.RECEIVE, stream, "x")) == [(wire.SEND, stream, "x")]
            assert await worker.tell((wire.CLOSED, stream, 1000, "")) == [(wire.DONE, stream)]
        left = len(gc.get_objects()) - before
    finally:
        gc.enable()
    assert left < 100, "a socket that has ended is freed without the collector"
