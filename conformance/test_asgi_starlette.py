"""Starlette, unchanged, with and without BaseHTTPMiddleware, which runs the application beside its own tasks."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import pytest
from asgi_variants import LOOPS, VARIANTS, SharedServers, seen
from harness import APPS, Server

CASES = [(variant, app) for variant in VARIANTS for app in ("app", "wrapped")]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def server(shared: SharedServers, request: pytest.FixtureRequest) -> Server:
    variant, app = request.param
    return shared(f"asgi_starlette:{app}", *variant.flags)


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


def test_h14_the_lifespans_state(server: Server) -> None:
    assert server.get("/state").text == "of the lifespan"


def test_h16_h19_bodies_and_is_disconnected(server: Server) -> None:
    for size in (0, 10, 1_000_000):
        answer = server.request("POST", "/echo", body=b"x" * size)
        assert json.loads(answer.body) == {"length": size, "disconnected": False}


def test_sync_endpoints(server: Server) -> None:
    assert server.get("/sync").text == "from a thread"


def test_x1_files(server: Server) -> None:
    content = (APPS / "asgi_starlette.py").read_bytes()
    with server.connect() as client:
        answer = client.request("GET", "/file")
        assert (answer.body, answer.header("content-length")) == (content, str(len(content)))
        assert client.request("HEAD", "/file").header("content-length") == str(len(content))
        part = client.request("GET", "/file", {"Range": "bytes=10-19"})
        assert (part.status, part.body) == (206, content[10:20])


def test_h31_a_stream_ends_when_its_client_goes_and_nothing_is_logged(server: Server, name: str) -> None:
    lines = len(server.lines)
    with server.connect() as client:
        client.send_request("GET", f"/stream/{name}")
        client.head()
        seen(server, name)
    assert seen(server, name, 2) == ["began", "ended"]
    assert server.get("/sync").status == 200
    assert not [line for line in server.lines[lines:] if "error while" in line], server.log


def test_h31_the_same_for_applications_that_are_told_2_3(shared: SharedServers, name: str) -> None:
    server = shared("asgi_starlette:app", *LOOPS[0].flags, "--asgi-spec-version", "2.3")
    with server.connect() as client:
        client.send_request("GET", f"/stream/{name}")
        client.head()
        seen(server, name)
    assert seen(server, name, 2) == ["began", "ended"]
    assert "error while" not in server.log


def test_background_tasks(server: Server, name: str) -> None:
    assert server.get(f"/background/{name}").text == "answered"
    assert seen(server, name) == ["ran"]


def test_a8_errors(server: Server) -> None:
    lines = len(server.lines)
    with server.connect() as client:
        assert client.request("GET", "/broken").status == 500
        assert client.request("GET", "/sync").status == 200
    server.wait_for("ZeroDivisionError: in an endpoint", after=lines)


def test_l4_a_lifespan_that_raises_ends_with_its_traceback_once(serve: Callable[..., Server]) -> None:
    server = serve("asgi_starlette:cannot_start", *LOOPS[0].flags, wait=False)
    assert server.wait() == 3
    server.wait_for("<end of output>")
    assert server.count("RuntimeError: no database") == 1
