"""A worker that is no Python: examples/go-worker, a Go program written from docs/protocol.md, in a pool of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import BINARY, PATIENCE, ROOT, Server, eventually
from processes import alive

SETTINGS = """
app = "shouting:app"
pythonpath = ["{apps}"]
workers = 1

[pool.go]
command = {command}

[[route]]
path = "/go/"
pool = "go"
"""


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("go") / "go-worker"
    subprocess.run(["go", "build", "-o", path, "."], cwd=ROOT / "examples" / "go-worker", check=True)
    return path


@pytest.fixture
def server(program: Path, serve: Callable[..., Server], tmp_path: Path) -> Server:
    (tmp_path / "go-worker").symlink_to(program)
    write(tmp_path, '["./go-worker"]')
    return serve("shouting:app", cwd=tmp_path)


def write(folder: Path, command: str) -> None:
    apps = ROOT / "conformance" / "apps"
    (folder / "backline.toml").write_text(SETTINGS.format(apps=apps, command=command))


def test_requests_by_route(server: Server) -> None:
    server.wait_for("  go +go-worker .*, for /go$")
    assert server.get("/go/hello/you").text == "Hello you\n"
    assert server.get("/go/").status == 404
    assert server.request("POST", "/", {}, b"hm").text == "HM by go", "Python has the others"


@pytest.mark.parametrize("expect", [{}, {"Expect": "100-continue"}], ids=["sent", "asked for"])
def test_bodies(server: Server, expect: dict[str, str]) -> None:
    for size in (0, 1, 100_000, 1_000_000):
        answer = server.request("POST", "/go/hello/you", expect if size else {}, b"x" * size)
        assert answer.text == f"Hello you, that was {size} bytes\n"


def test_a_channel(server: Server) -> None:
    for text in ("to the left", "\u00e5 and \u4e16\u754c", ""):
        assert server.request("POST", "/", {}, text.encode()).text == f"{text.upper()} by go"


def test_a_reload_and_a_death(server: Server) -> None:
    server.signal(signal.SIGHUP)
    server.wait_for(r"reload complete pool=go")
    pid = int(server.wait_for(r"\[go\.2\] worker up, takes over pid=(\d+)").rsplit("pid=", 1)[1].split()[0])
    assert server.get("/go/hello/you").status == 200
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid), "its end")
    assert server.get("/go/hello/you").status == 200, "by the next one"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            '["./nothing"]',
            r"find the workers' program: .*/nothing: no such file or directory\n  command names",
        ),
        ('["nothing-like-it"]', r"find the workers' program: .*nothing-like-it.* not found in \$PATH"),
        (
            '["true"]',
            r"ended before it said hello: exit status 0\n  expected a program that speaks the worker",
        ),
        ('["true"]\npreload = true', r"preload the application: true is no Python application\n  leave preload out"),
    ],
)
def test_programs_that_do_not_serve(tmp_path: Path, command: str, expected: str) -> None:
    write(tmp_path, command)
    done = subprocess.run(
        [BINARY, "check"], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode != 0
    assert re.search(expected, done.stderr), done.stderr
