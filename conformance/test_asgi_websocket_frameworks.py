"""WebSockets of Starlette and FastAPI, unchanged, and a client that is not ours."""

from __future__ import annotations

import json
import uuid
from contextlib import ExitStack
from socket import SHUT_RDWR
from typing import Any
from urllib.parse import urlencode

import pytest
from asgi_variants import VARIANTS, SharedServers, seen
from harness import PATIENCE, Server, eventually, in_parallel
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect


@pytest.fixture(params=VARIANTS, ids=str)
def server(shared: SharedServers, request: pytest.FixtureRequest) -> Server:
    return shared("asgi_websocket_starlette:app", *request.param.flags)


@pytest.fixture(params=VARIANTS, ids=str)
def api(shared: SharedServers, request: pytest.FixtureRequest) -> Server:
    return shared("asgi_websocket_starlette:api", *request.param.flags)


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


def open_socket(server: Server, path: str, options: dict[str, Any] | None = None, **query: str) -> ClientConnection:
    uri = f"ws://127.0.0.1:{server.port}{path}?{urlencode(query)}"
    socket: ClientConnection = connect(
        uri, open_timeout=PATIENCE, close_timeout=PATIENCE, proxy=None, **(options or {})
    )
    return socket


def refusal(server: Server, path: str, **query: str) -> Any:
    with pytest.raises(InvalidStatus) as raised:
        open_socket(server, path, None, **query)
    return raised.value.response


def code_of(socket: ClientConnection) -> tuple[int, str]:
    """How the other side closes."""
    with pytest.raises(ConnectionClosed) as raised:
        socket.recv(PATIENCE)
    assert raised.value.rcvd is not None
    return raised.value.rcvd.code, raised.value.rcvd.reason


def quiet(server: Server, lines: int) -> bool:
    server.get("/seen")
    return "error while" not in "\n".join(server.lines[lines:])


@pytest.mark.parametrize("compression", ["deflate", None])
@pytest.mark.parametrize(
    ("path", "data"), [("/text", "Grüße"), ("/bytes", b"\0\xff"), ("/json", '{"a":[1,"é"]}'), ("/text", "x" * 300_000)]
)
def test_starlette_endpoints(server: Server, name: str, compression: str | None, path: str, data: str | bytes) -> None:
    with open_socket(server, path, {"compression": compression}, name=name) as socket:
        socket.send(data)
        assert socket.recv(PATIENCE) == data
        socket.close(1001, "away")
    assert seen(server, name) == [1001]


@pytest.mark.parametrize(("path", "data"), [("/text", b"bytes"), ("/bytes", "text"), ("/json", "{")])
def test_starlette_endpoints_tell_the_kinds_of_messages_apart(
    server: Server, name: str, path: str, data: str | bytes
) -> None:
    lines = len(server.lines)
    with open_socket(server, path, name=name) as socket:
        socket.send(data)
        assert code_of(socket)[0] == 1003
    server.wait_for("RuntimeError: (Expected|Malformed)", after=lines)


def test_starlette_iterates_with_subprotocol_and_state(server: Server, name: str) -> None:
    lines = len(server.lines)
    with open_socket(server, "/iterates", {"subprotocols": ["v1", "v2"]}, name=name) as socket:
        assert socket.subprotocol == "v1"
        assert socket.response is not None and socket.response.headers["x-app"] == "yes"
        socket.send("[1]")
        assert json.loads(socket.recv(PATIENCE)) == {"pool": "of the lifespan", "value": [1]}
    assert seen(server, name) == ["ended"]
    assert quiet(server, lines)


def test_starlette_denial_responses(server: Server) -> None:
    lines = len(server.lines)
    response = refusal(server, "/denied")
    assert (response.status_code, response.headers["x-why"], response.body) == (401, "no ticket", b"no entry")
    response = refusal(server, "/raises-http")
    assert (response.status_code, response.body) == (402, b"pay first")
    assert refusal(server, "/nowhere").status_code in (403, 404)
    assert quiet(server, lines)


def test_starlette_closes(server: Server) -> None:
    with open_socket(server, "/closes") as socket:
        assert code_of(socket) == (4001, "bye")
    lines = len(server.lines)
    with open_socket(server, "/broken") as socket:
        assert code_of(socket)[0] == 1011
    server.wait_for("ZeroDivisionError: in an endpoint", after=lines)


def test_starlette_a_stream_ends_when_its_client_goes_and_nothing_is_logged(server: Server, name: str) -> None:
    lines = len(server.lines)
    with open_socket(server, "/streams", name=name) as socket:
        socket.recv(PATIENCE)
        socket.socket.shutdown(SHUT_RDWR)  # no closing handshake
        assert seen(server, name) == ["ended"]
    assert quiet(server, lines)


def test_starlette_one_for_all(server: Server) -> None:
    with ExitStack() as stack:
        sockets = [stack.enter_context(open_socket(server, "/broadcasts")) for _ in range(10)]
        for n, socket in enumerate(sockets):
            socket.send(str(n))
            assert [each.recv(PATIENCE) for each in sockets] == [str(n)] * 10


def test_fastapi_parameters(api: Server) -> None:
    lines = len(api.lines)
    with open_socket(api, "/items/7", q="tea") as socket:
        for text in ("one", "two"):
            socket.send(text)
            assert socket.recv(PATIENCE) == f"7 tea {text}"
    assert refusal(api, "/items/seven", q="tea").status_code == 403
    assert refusal(api, "/items/7", q="t").status_code == 403
    # The handler ends by WebSocketDisconnect, as the first example of FastAPI's documentation does.
    assert quiet(api, lines)


def test_fastapi_dependencies(api: Server, name: str) -> None:
    with open_socket(api, "/depends", name=name) as socket:
        assert json.loads(socket.recv(PATIENCE)) == ["resource", "sync"]
        socket.close(3000, "later")
    found = eventually(
        lambda: (notes := json.loads(api.get(f"/seen?name={name}").body)) and len(notes) == 3 and notes, "three notes"
    )
    assert found == ["opened", [3000, "later"], "closed"]


def test_fastapi_exceptions_close(api: Server) -> None:
    with open_socket(api, "/policy") as socket:
        assert code_of(socket) == (1008, "not like this")


def test_many_clients_of_another_library(server: Server, name: str) -> None:
    def one(n: int) -> None:
        with open_socket(server, "/text", name=f"{name}-{n}") as socket:
            for k in range(20):
                socket.send(f"{n} " * k)
                assert socket.recv(PATIENCE) == f"{n} " * k

    in_parallel(16, one)
