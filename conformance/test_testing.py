"""backline.testing: applications of a test's own process behind a real server, and live server test cases."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness import BINARY, PATIENCE, ROOT, eventually
from interpreters import PROJECTS
from outside import channels, fresh, sockets, testing
from websockets.sync.client import connect

SITE = PROJECTS / "channels_site"


@pytest.fixture(autouse=True)
def binary(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    fresh()
    monkeypatch.setenv("BACKLINE", str(BINARY))
    yield
    fresh()


class Counter:
    """A WSGI application with a variable."""

    def __init__(self) -> None:
        self.visits = 0
        self.process = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.visits += 1
        self.process = os.getpid()
        body: bytes = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["PATH_INFO"].encode(), body]


class Sees:
    """An ASGI application of every kind, which notes what it sees."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope["type"])
        await getattr(self, scope["type"])(receive, send)

    async def lifespan(self, receive: Any, send: Any) -> None:
        for stage in ("startup", "shutdown"):
            self.seen.append((await receive())["type"])
            await send({"type": f"lifespan.{stage}.complete"})

    async def http(self, receive: Any, send: Any) -> None:
        await channels.agroup_send("seen", {"by": "the application"})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"seen"})

    async def websocket(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"]})
        self.seen.append(event["type"])


def test_wsgi() -> None:
    app = Counter()
    with testing.serve(app, threads=2, limit_request_body="1KiB") as server:
        assert httpx.post(server.url + "/here", content=b"body").text == "/herebody"
        assert (app.visits, app.process) == (1, os.getpid())
        refused = httpx.post(server.url, content=bytes(2000))
        assert (refused.status_code, app.visits) == (413, 1), "the edge refuses it"
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)
    workers = [each for each in threading.enumerate() if re.fullmatch(r"backline-(worker|testing|\d+)", each.name)]
    eventually(lambda: not any(each.is_alive() for each in workers), "its threads have ended")


def test_asgi() -> None:
    app = Sees()
    with testing.serve(app) as server:
        mine = channels.new_channel()
        channels.group_add("seen", mine)
        assert httpx.get(server.url).text == "seen"
        assert channels.receive(mine, timeout=PATIENCE) == {"by": "the application"}
        with connect(server.url.replace("http", "ws")) as socket:
            socket.send("hello")
            assert socket.recv(PATIENCE) == "hello"
        eventually(lambda: "websocket.disconnect" in app.seen, "the application hears that the client has gone")
    assert app.seen[:3] == ["lifespan", "lifespan.startup", "http"]
    assert app.seen[-2:] == ["websocket.disconnect", "lifespan.shutdown"]


def test_sockets() -> None:
    chat = sockets.Sockets()
    said: list[str] = []

    @chat.connect("/chat")
    def joined(socket: Any) -> None:
        socket.accept()

    @chat.receive
    def heard(socket: Any, text: str) -> None:
        said.append(text)
        socket.send(text.upper())

    with testing.serve(chat) as server, connect(server.url.replace("http", "ws") + "/chat") as socket:
        socket.send("hello")
        assert socket.recv(PATIENCE) == "HELLO"
        assert said == ["hello"]


def test_one_after_the_other() -> None:
    app = Counter()
    for n in range(1, 4):
        with testing.serve(app) as server:
            with pytest.raises(testing.CannotServe, match="stop it first"):
                testing.serve(app)
            httpx.get(server.url)
        assert app.visits == n


@pytest.mark.parametrize("app", [Counter(), Sees()], ids=["wsgi", "asgi"])
def test_a_server_that_crashes_leaves_the_test_alone(app: Any) -> None:
    with testing.serve(app) as server:
        httpx.get(server.url)
        os.kill(server.pid, signal.SIGKILL)
    with testing.serve(app) as server:
        assert httpx.get(server.url).status_code == 200


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(testing.CannotServe, match='unknown setting "threds"\n  did you mean threads'):
        testing.serve(Counter(), threds=2)
    with pytest.raises(TypeError, match="neither a WSGI nor an ASGI application"):
        testing.serve(lambda: None)

    async def fails(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "there is no database"})

    with pytest.raises(testing.CannotServe, match="did not start: there is no database"):
        testing.serve(fails)
    with testing.serve(Counter()) as server:
        assert httpx.get(server.url).status_code == 200


def test_errors_of_the_application(capfd: pytest.CaptureFixture[str]) -> None:
    def broken(environ: Any, start_response: Any) -> Any:
        raise ZeroDivisionError("in a test")

    with testing.serve(broken) as server:
        assert httpx.get(server.url).status_code == 500
    assert "ZeroDivisionError: in a test" in capfd.readouterr().err


def test_live_server_test_cases(tmp_path: Path) -> None:
    """A project with Django and Channels: its own test case, ours, and `manage.py test`."""
    environ = {
        **os.environ,
        "DATA": str(tmp_path),
        "PYTHONPATH": f"{ROOT / 'python'}:stand_in",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "manage.py", "test"]
    done = subprocess.run(
        command,
        cwd=SITE,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=3 * PATIENCE,
        check=False,
    )
    said = done.stdout.decode()
    assert done.returncode == 0 and "Ran 7 tests" in said, said
