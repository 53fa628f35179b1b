"""The address for operators: health is answered whatever the workers do."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import APPS, Client, Server, eventually
from processes import alive
from test_supervision import pid_of
from wsgi_gate import Gate

Serve = Callable[..., Server]


class Operator:
    """Who asks on the admin address, which is a Unix socket here: it is known before the server has said anything."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def connect(self) -> Client:
        server = object.__new__(Server)
        server.path = str(self.path)
        return server.connect()

    def ask(self, path: str = "/-/health") -> tuple[int, dict[str, Any]]:
        with self.connect() as client:
            answer = client.request("GET", path)
            return answer.status, json.loads(answer.body)

    def until(self, check: Callable[[int, dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Ask until an answer is as it should be; gives what it says."""
        said: dict[str, Any] = {}

        def as_expected() -> bool:
            status, health = self.ask()
            said.clear()
            said.update(health)
            return check(status, health)

        eventually(as_expected, what)
        return said


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "admin.sock")


def with_admin(operator: Operator) -> tuple[str, str]:
    return "--admin-bind", f"unix:{operator.path}"


def test_a_server_that_serves(serve: Serve, operator: Operator) -> None:
    server = serve("supervised", "-w", "2", *with_admin(operator))
    health = operator.until(lambda _, health: health["workers"]["serving"] == 2, "two workers")
    assert operator.ask()[0] == 200
    assert (health["live"], health["ready"], health["pid"]) == (True, True, server.process.pid)
    assert health["requests"] == {"running": 0, "waiting": 0}
    assert "reason" not in health
    assert server.count(f"health +/-/health on unix:{operator.path}") == 1
    assert server.get("/-/health").text != "", "on the address for clients it is the application's path"
    assert server.stop() == 0
    assert not operator.path.exists()


def test_a_tcp_address(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "--admin-bind", "127.0.0.1:0")
    line = server.wait_for("health +/-/health on http://")
    server.port = int(line.rpartition(":")[2])
    assert server.get("/-/health/live").status == 200
    assert server.get("/elsewhere").status == 404


def test_while_every_worker_is_busy(serve: Serve, operator: Operator) -> None:
    server = serve("supervised", "-w", "1", "--threads", "1", "--queue-size", "2", *with_admin(operator))
    clients = [server.connect() for _ in range(3)]
    for client in clients:
        client.send_request("POST", "/nap/60")
    busy = {"running": 1, "waiting": 2}
    eventually(lambda: operator.ask()[1]["requests"] == busy, "one request runs and two wait")
    assert server.get("/").status == 503, "not a place in the queue is left"
    for path in ("/-/health", "/-/health/live", "/-/health/ready"):
        assert operator.ask(path)[0] == 200
    for client in clients:
        client.close()


def test_before_the_first_worker_is_up(serve: Serve, operator: Operator, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import os, time\nwhile not os.path.exists('gate'):\n    time.sleep(0.01)\nfrom supervised import application\n"
    )
    server = serve("slow", "-w", "1", "--pythonpath", str(APPS), *with_admin(operator), cwd=tmp_path, wait=False)
    eventually(operator.path.exists, "the address")
    status, health = operator.ask()
    assert (status, health["ready"], health["live"]) == (503, False, True)
    assert health["reason"] == "the server starts: no worker has come up yet"
    assert operator.ask("/-/health/ready")[0] == 503
    assert operator.ask("/-/health/live")[0] == 200
    (tmp_path / "gate").touch()
    server.ready()
    eventually(lambda: operator.ask()[0] == 200, "ready")


def test_while_no_worker_is_up(serve: Serve, operator: Operator, tmp_path: Path) -> None:
    (tmp_path / "brittle.py").write_text("from supervised import application\n")
    server = serve("brittle", "-w", "1", "--pythonpath", str(APPS), *with_admin(operator), cwd=tmp_path)
    worker = pid_of(server)
    (tmp_path / "brittle.py").write_text("spoilt\n")
    with server.connect() as client:
        client.send_request("GET", "/vanish/1")
        eventually(lambda: not alive(worker), "the end of the only worker")
    health = operator.until(lambda status, _: status == 503, "not ready")
    assert (health["live"], health["ready"]) == (True, False)
    assert health["reason"].startswith("no worker is up; ")
    (tmp_path / "brittle.py").write_text("from supervised import application  # again\n")
    eventually(lambda: operator.ask()[0] == 200, "ready again")


def test_while_the_server_stops(serve: Serve, operator: Operator, tmp_path: Path) -> None:
    server, gate = serve("supervised", "-w", "1", *with_admin(operator)), Gate(tmp_path / "gate")
    with server.connect() as busy:
        busy.send_request("GET", f"/gate{gate.path}")
        eventually(lambda: operator.ask()[1]["requests"]["running"] == 1, "the request is under way")
        server.signal(signal.SIGTERM)
        server.wait_for("stopping")
        eventually(lambda: operator.ask()[0] == 503, "not ready")
        assert operator.ask("/-/health/live")[0] == 200
        assert operator.ask()[1]["reason"] == "the server stops"
        gate.open()
        assert busy.answer().status == 200
    assert server.wait() == 0


def test_what_is_no_question_about_health(serve: Serve, operator: Operator) -> None:
    serve("supervised", "-w", "1", *with_admin(operator))
    with operator.connect() as client:
        answer = client.request("GET", "/")
        assert (answer.status, answer.text) == (
            404,
            "There is /-/health, /-/health/live, /-/health/ready and /-/metrics.\n",
        )
        answer = client.request("DELETE", "/-/health")
        assert (answer.status, answer.header("allow")) == (405, "GET, HEAD")
        answer = client.request("HEAD", "/-/health")
        assert (answer.status, answer.body) == (200, b"")
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": 22 * "A" + "==",
        }
        assert client.request("GET", "/-/health", upgrade).status == 200, "there are no sockets here"
        assert client.request("GET", "/-/health", {"X": 9000 * "x"}).status == 431
        assert client.at_end()
    with operator.connect() as client:
        assert client.request("POST", "/-/health", body=100 * b"x").status == 405
        assert client.request("POST", "/publish/", body=(1 << 20) * b"x" + b"x").status == 413
    with operator.connect() as client:
        client.send(b"nonsense\r\n\r\n")
        assert client.answer().status == 400


def test_the_address_must_be_its_own(serve: Serve) -> None:
    server = serve("supervised", "--admin-bind", "127.0.0.1:4000", bind="127.0.0.1:4000", wait=False)
    assert server.wait() == 2
    server.wait_for("bind and admin_bind both are 127.0.0.1:4000")
