"""Flask 3 as it is deployed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from harness import PATIENCE, Server, eventually
from interpreters import PROJECTS, on_every_python

pytestmark = on_every_python


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="module")
def server(python: str, data: Path) -> Iterator[Server]:
    with Server("shop:app", python=python, cwd=PROJECTS / "flask_app", env={"DATA": str(data)}) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=PATIENCE) as client:
        yield client


def test_route_with_query(client: httpx.Client, server: Server) -> None:
    answer = client.get("/hello/J%C3%B6rg", params={"a": ["1", "zwei & drei"]})
    assert answer.json() == {
        "hello": "Jörg", "query": {"a": ["1", "zwei & drei"]}, "client": "127.0.0.1",
        "url": f"http://127.0.0.1:{server.port}/hello/Jörg?a=1&a=zwei+%26+drei",
    }  # fmt: skip


def test_session(client: httpx.Client) -> None:
    for item in ("tea", "Käse"):
        answer = client.post("/cart", data={"item": item})
        assert (answer.status_code, answer.headers["location"]) == (302, "/cart")
    assert client.get("/cart").json() == ["tea", "Käse"]
    client.cookies.clear()
    assert client.get("/cart").json() == []


def test_json(client: httpx.Client) -> None:
    assert client.post("/json", json={"a": [1, None, "ü"]}).json() == {"a": [1, None, "ü"]}
    assert client.post("/json", content=b"no json", headers={"Content-Type": "application/json"}).status_code == 400


def test_chunked_upload(client: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for n in range(100):
            yield b'{"n": %d, ' % n if n == 0 else b'"n%d": %d, ' % (n, n)
        yield b'"end": true}'

    answer = client.post("/json", content=pieces(), headers={"Content-Type": "application/json"})
    assert answer.json()["n99"] == 99 and answer.json()["end"] is True


def test_file_upload(client: httpx.Client) -> None:
    content = os.urandom(3_000_000)
    answer = client.post("/upload", data={"note": "é"}, files={"file": ("big.bin", content)})
    assert answer.json() == {"name": "big.bin", "sha1": hashlib.sha1(content).hexdigest(), "note": "é"}


def test_streaming(client: httpx.Client) -> None:
    with client.stream("GET", "/stream", params={"n": 500}) as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.read().decode() == "".join(f"piece {n} of /stream\n" for n in range(500))


def test_call_on_close(client: httpx.Client, data: Path, python: str) -> None:
    mark = f"mark-{os.urandom(4).hex()}"
    assert client.get(f"/afterwards/{mark}").text == f"{mark} will be written\n"
    eventually((data / mark).exists, "the callback to run")


def test_error_handlers(client: httpx.Client) -> None:
    answer = client.get("/nothing")
    assert (answer.status_code, answer.json()) == (404, {"error": "not found", "path": "/nothing"})
    answer = client.get("/fail")
    assert (answer.status_code, answer.json()) == (500, {"error": "division by zero"})
    assert client.get("/teapot").status_code == 418
    assert client.delete("/cart").status_code == 405
