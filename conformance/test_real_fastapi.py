"""FastAPI as it is deployed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from harness import PATIENCE, Server, eventually, in_parallel
from interpreters import PROJECTS, on_every_python

pytestmark = on_every_python


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def server(python: str, data: Path) -> Iterator[Server]:
    environ = {"DATA": str(data)}
    with Server("api:app", "--workers", "1", python=python, cwd=PROJECTS / "fastapi_app", env=environ) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def mark() -> str:
    return f"mark-{os.urandom(4).hex()}"


def test_pydantic_body(client: httpx.Client) -> None:
    answer = client.post("/items", json={"name": "tea", "price": 100, "tags": ["grün"]})
    assert (answer.status_code, answer.json()) == (201, {"name": "TEA", "total": 119.0, "tags": ["grün"]})


def test_validation_errors(client: httpx.Client) -> None:
    answer = client.post("/items", json={"name": "x", "price": -1})
    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["detail"]] == [["body", "name"], ["body", "price"]]
    assert client.post("/items", content=b"{", headers={"Content-Type": "application/json"}).status_code == 422
    assert client.get("/search", params={"q": "a", "limit": 11}).status_code == 422
    assert client.get("/search", params={"q": "ä b"}).json() == {"q": "ä b", "limit": 5}


@pytest.mark.parametrize("fails", [False, True])
def test_dependency_with_yield(client: httpx.Client, data: Path, mark: str, fails: bool) -> None:
    answer = client.get(f"/dependency/{mark}", params={"fail": fails})
    if fails:
        assert (answer.status_code, answer.json()) == (409, {"detail": "after the resource was opened"})
    else:
        assert answer.json() == {"held": f"resource of {mark}", "closed": False}
    assert (data / f"{mark}.opened").exists()
    eventually((data / f"{mark}.closed").exists, "the resource to be closed")


def test_sync_endpoints_run_beside_each_other(server: Server) -> None:
    for answer in in_parallel(4, lambda _: server.get("/together").body):
        assert answer == b'{"thread":true}'


def test_upload_file(client: httpx.Client) -> None:
    content = os.urandom(3_000_000)
    answer = client.post("/upload", data={"note": "é"}, files={"file": ("big.bin", content)})
    expected = {"name": "big.bin", "size": len(content), "sha1": hashlib.sha1(content).hexdigest(), "note": "é"}
    assert answer.json() == expected
    assert client.post("/upload", data={"note": "no file"}).status_code == 422


def test_background_task(client: httpx.Client, data: Path, mark: str) -> None:
    assert client.post(f"/background/{mark}").json() == {"accepted": mark}
    eventually((data / f"{mark}.written").exists, "the task to run")


def test_sync_generator_streams(client: httpx.Client) -> None:
    with client.stream("GET", "/stream", params={"n": 300}) as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.read().decode() == "".join(f"piece {n}\n" for n in range(300))


def test_documentation_pages(client: httpx.Client) -> None:
    assert "/items" in client.get("/openapi.json").json()["paths"]
    assert "swagger" in client.get("/docs").text


def test_failing_route_is_500_and_logged(client: httpx.Client, server: Server) -> None:
    after = len(server.lines)
    assert client.get("/fail").status_code == 500
    server.wait_for("RuntimeError: this route always fails", after=after)
