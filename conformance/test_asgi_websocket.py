"""WebSockets from the handshake to the first message: W1 to W8, W12, W22 and W27 of the checklist."""

from __future__ import annotations

import ast
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgi_variants import LOOPS, VARIANTS, SharedServers, seen
from harness import Server, in_parallel
from sockets import ask, connect, refused


@pytest.fixture(params=VARIANTS, ids=str)
def server(shared: SharedServers, request: pytest.FixtureRequest) -> Server:
    return shared("asgi_websocket:app", *request.param.flags)


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


def scope(server: Server, target: str = "/scope", headers: dict[str, str] | None = None) -> dict[str, Any]:
    with connect(server, target, headers) as socket:
        text = socket.message()
    found: dict[str, Any] = ast.literal_eval(str(text))
    return found


def test_w01_the_scope(server: Server) -> None:
    with connect(server, "/scope?a=%20&b") as socket:
        mine = socket.client.sock.getsockname()
        found = ast.literal_eval(str(socket.message()))
    headers = [tuple(pair) for pair in found.pop("headers")]
    assert (b"host", b"testserver") in headers
    assert {b"upgrade", b"connection", b"sec-websocket-key", b"sec-websocket-version"} <= {pair[0] for pair in headers}
    assert found == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/scope",
        "raw_path": b"/scope",
        "query_string": b"a=%20&b",
        "root_path": "",
        "client": tuple(mine),
        "server": ("127.0.0.1", server.port),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}, "backline.groups": {}},
    }


def test_w01_paths_are_decoded_as_for_requests(server: Server) -> None:
    found = scope(server, "/caf%C3%A9/a%2Fb?q=%FF")
    assert (found["path"], found["raw_path"]) == ("/café/a/b", b"/caf%C3%A9/a%2Fb")
    assert found["query_string"] == b"q=%FF"


def test_w01_root_path(shared: SharedServers) -> None:
    server = shared("asgi_websocket:app", *LOOPS[0].flags, "--root-path", "/site")
    found = scope(server, "/a")
    assert (found["root_path"], found["path"]) == ("/site", "/site/a")


def test_w01_over_a_unix_socket(serve: Callable[..., Server], tmp_path: Path) -> None:
    path = tmp_path / "socket"
    server = serve("asgi_websocket:app", *LOOPS[0].flags, bind=f"unix:{path}")
    found = scope(server)
    assert (found["client"], tuple(found["server"])) == (None, (str(path), None))


def test_w01_an_older_version_can_be_told(shared: SharedServers) -> None:
    server = shared("asgi_websocket:app", *LOOPS[0].flags, "--asgi-spec-version", "2.3")
    assert scope(server)["asgi"]["spec_version"] == "2.3"


def test_w01_a_spoilt_scope_is_spoilt_for_its_own_call_only(server: Server) -> None:
    for _ in range(3):
        with connect(server, "/mutate") as socket:
            assert "spoilt" not in str(socket.message())


@pytest.mark.parametrize(
    ("offered", "told"),
    [(["a"], ["a"]), (["v2.chat, v1.chat"], ["v2.chat", "v1.chat"]), (["a,b ,  c"], ["a", "b", "c"])],
)
def test_w02_subprotocols_in_the_clients_order(server: Server, offered: list[str], told: list[str]) -> None:
    found = scope(server, headers={"Sec-WebSocket-Protocol": offered[0]})
    assert found["subprotocols"] == told


def test_w03_the_handshake_is_held_open_until_the_application_accepts(server: Server, name: str) -> None:
    with server.connect() as client:
        ask(client, f"/held?name={name}")
        assert seen(server, name) == ["websocket.connect"]
        client.sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.fill()  # not a byte of an answer
        client.sock.settimeout(20)
        server.get(f"/open?{name}")
        assert client.head().status == 101


def test_w04_w05_accept_with_subprotocol_and_headers(server: Server) -> None:
    with connect(server, "/accepts?x-one=1&x-two=b", {"Sec-WebSocket-Protocol": "v2, v1"}) as socket:
        assert socket.subprotocol == "v1"
        assert (socket.answer.header("x-one"), socket.answer.header("x-two")) == ("1", "b")
        assert socket.message() == "accepted"
    with connect(server, "/accepts") as socket:
        assert socket.subprotocol is None
        assert socket.message() == "accepted"


def test_w05_a_wrong_header_is_an_error_of_send(server: Server) -> None:
    with connect(server, "/early?what=protocol-header", {"Sec-WebSocket-Protocol": "v1"}) as socket:
        assert (socket.subprotocol, socket.message()) == (None, "ValueError")


def test_w06_close_before_accept_is_403(server: Server, name: str) -> None:
    lines = len(server.lines)
    answer = refused(server, f"/refuses?name={name}")
    assert (answer.status, answer.complete) == (403, True)
    assert seen(server, name, 2) == [
        {"type": "websocket.disconnect", "code": 1006, "reason": ""},
        "ClientDisconnected",
    ]
    assert "error while" not in "\n".join(server.lines[lines:])


@pytest.mark.parametrize("how", ["return", "raise"])
def test_w07_an_application_that_ends_before_it_accepts_is_500(server: Server, how: str) -> None:
    lines = len(server.lines)
    answer = refused(server, f"/ends?when=before&how={how}")
    assert (answer.status, answer.complete) == (500, True)
    said = "ZeroDivisionError: in a WebSocket" if how == "raise" else "returned without websocket.accept"
    server.wait_for("error while serving the WebSocket /ends", after=lines)
    server.wait_for(said, after=lines)


def test_w08_a_client_that_goes_during_the_handshake_is_a_disconnect(server: Server, name: str) -> None:
    with server.connect() as client:
        ask(client, f"/held?name={name}")
        seen(server, name)
    assert seen(server, name, 2)[1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


def test_w08_an_application_that_does_not_answer_is_given_up(shared: SharedServers, name: str) -> None:
    server = shared("asgi_websocket:app", *LOOPS[0].flags, "--timeout", "1")
    assert refused(server, f"/held?name={name}").status == 504
    with connect(server, "/echo") as socket:
        socket.send("the worker lives")
        assert socket.message() == "the worker lives"


def test_w12_send_before_accept_is_an_error_of_send(server: Server) -> None:
    with connect(server, "/early?what=send") as socket:
        assert socket.message() == "RuntimeError"


@pytest.mark.parametrize("pieces", [0, 1, 20])
def test_w22_a_denial_response(server: Server, name: str, pieces: int) -> None:
    answer = refused(server, f"/denies?name={name}&pieces={pieces}")
    assert (answer.status, answer.header("www-authenticate"), answer.complete) == (401, "Basic", True)
    assert answer.body == b"x" * 50_000 * pieces + b"no entry"
    assert seen(server, name)[0]["type"] == "websocket.disconnect"


def test_w27_the_origin_is_passed_on_and_not_judged(server: Server) -> None:
    found = scope(server, headers={"Origin": "https://evil.example"})
    assert (b"origin", b"https://evil.example") in [tuple(pair) for pair in found["headers"]]


def test_http_beside_it_goes_on(server: Server) -> None:
    def one(n: int) -> None:
        if n % 2:
            assert server.get("/seen?nothing").body == b"[]"
        else:
            with connect(server, "/echo") as socket:
                for text in ("one", "two"):
                    socket.send(text)
                    assert socket.message() == text

    in_parallel(16, one)
