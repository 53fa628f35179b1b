"""Starlette as it is deployed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from harness import PATIENCE, Server, eventually
from interpreters import PROJECTS, on_every_python

pytestmark = on_every_python

FILE = bytes(range(256)) * 8192  # 2 MiB


@pytest.fixture(scope="module")
def data(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("service")
    (folder / "data.bin").write_bytes(FILE)
    return folder


@pytest.fixture(scope="module")
def server(python: str, data: Path) -> Iterator[Server]:
    flags = ("--workers", "1", "--lifespan", "on")
    with Server(
        "service:app", *flags, python=python, cwd=PROJECTS / "starlette_app", env={"DATA": str(data)}
    ) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def mark() -> str:
    return f"mark-{os.urandom(4).hex()}"


def test_lifespan_state(client: httpx.Client, data: Path) -> None:
    assert (data / "started").exists()
    first, second = (client.get("/state").json() for _ in range(2))
    assert first["greeting"] == second["greeting"] == "set up by the lifespan"
    assert second["hits"] == first["hits"] + 1  # a copy for each request, of the same objects


def test_lifespan_shutdown(python: str, tmp_path: Path) -> None:
    environ = {"DATA": str(tmp_path)}
    with Server("service:app", "--workers", "1", python=python, cwd=PROJECTS / "starlette_app", env=environ) as server:
        assert server.stop() == 0
    assert (tmp_path / "stopped").exists()


def test_background_tasks_run_after_the_answer(client: httpx.Client, data: Path, mark: str) -> None:
    answer = client.post(f"/background/{mark}")
    assert (answer.status_code, answer.text) == (202, "accepted\n")
    eventually((data / f"{mark}.begun").exists, "the first task")
    assert client.get("/state").status_code == 200  # the same connection is free for the next request
    (data / f"{mark}.answered").touch()
    eventually((data / f"{mark}.done").exists, "the second task")


def test_streaming_response(client: httpx.Client) -> None:
    with client.stream("GET", "/stream", params={"n": 1000}) as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.read().decode() == "".join(f"piece {n}\n" for n in range(1000))


def test_file_response(client: httpx.Client) -> None:
    assert "http.response.pathsend" in client.get("/extensions").json()
    answer = client.get("/file")
    assert answer.status_code == 200 and answer.content == FILE
    assert answer.headers["content-length"] == str(len(FILE))
    assert answer.headers["content-disposition"] == 'attachment; filename="daten.bin"'
    part = client.get("/file", headers={"Range": "bytes=256-511"})
    assert (part.status_code, part.content) == (206, bytes(range(256)))
    head = client.head("/file")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(FILE)))


def test_disconnect_is_seen(server: Server, data: Path, mark: str) -> None:
    with server.connect() as client:
        client.send_request("GET", f"/disconnect/{mark}")
        eventually((data / f"{mark}.begun").exists, "the request's arrival")
    eventually((data / f"{mark}.disconnected").exists, "the application to see that its client has gone")


def test_disconnect_ends_a_stream(server: Server, data: Path, mark: str) -> None:
    with server.connect() as client:
        client.send_request("GET", f"/endless/{mark}")
        assert client.head().status == 200
        assert next(client.chunks()) == b"tick\n"
    eventually((data / f"{mark}.closed").exists, "the stream's generator to be closed")


def test_streamed_body(client: httpx.Client) -> None:
    pieces = (b"x" * 10_000 for _ in range(200))
    assert client.post("/body", content=pieces).json() == {"bytes": 2_000_000}


def test_form(client: httpx.Client) -> None:
    answer = client.post("/form", data={"note": "é"}, files={"file": ("big.bin", bytes(3_000_000))})
    assert answer.json() == {"name": "big.bin", "bytes": 3_000_000, "note": "é"}


def test_errors(client: httpx.Client) -> None:
    answer = client.get("/fail")
    assert (answer.status_code, answer.json()) == (418, {"error": "this route always fails"})
    assert client.get("/nothing").status_code == 404
    assert client.get("/form").status_code == 405
