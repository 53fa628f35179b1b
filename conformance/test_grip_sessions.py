"""GRIP's sessions: the server remembers what each client has seen."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from harness import Client, Server, eventually
from test_realtime import admin_port, publish

IN_SESSION = json.dumps({"session": {"id": "s-1"}})


@pytest.fixture(params=["grip_sessions", "grip_sessions:asgi"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(request.param, "--workers", "1", "--threads", "1", "--admin-bind", "127.0.0.1:0") as server:
        yield server


def post(client: Client, path: str, body: str) -> None:
    client.send_request("POST", path, body=body.encode())


def asked(server: Server, path: str, body: str) -> str:
    with server.connect() as client:
        post(client, path, body)
        return client.answer().text


def metrics(server: Server) -> str:
    with Client(socket.create_connection(("127.0.0.1", admin_port(server)), timeout=20)) as client:
        return client.request("GET", "/-/metrics").text


def say(server: Server, id: str) -> None:
    item = {"channel": "news", "id": id, "formats": {"http-response": {"body": id}}}
    assert publish(admin_port(server), [item]).status == 200


def test_a_client_goes_on_where_it_was(server: Server) -> None:
    assert asked(server, "/poll/look", IN_SESSION) == ""
    server.get("/open")
    assert asked(server, "/poll/look", IN_SESSION) == "news; last-id=1"
    with server.connect() as client:
        post(client, "/poll", IN_SESSION)
        eventually(lambda: "backline_holds 1" in metrics(server), "the poll is held")
        say(server, "2")
        assert client.answer().text == "2"
    assert asked(server, "/poll/look", IN_SESSION) == "news; last-id=2"
    say(server, "3")  # nobody waited
    assert asked(server, "/poll/look", IN_SESSION) == "news; last-id=2"
    assert asked(server, "/form", "data=%7B%22id%22%3A%22s-1%22%7D") == "news; last-id=2"


def test_who_is_in_no_session_is_told_nothing(server: Server) -> None:
    server.get("/open")
    another = json.dumps({"session": {"id": "s-2"}})
    for path, body in ("/other", IN_SESSION), ("/poll/look", another), ("/poll/look", "{"), ("/form", IN_SESSION):
        assert asked(server, path, body) == ""
