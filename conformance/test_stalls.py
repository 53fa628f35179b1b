"""Starvation, seen: a loop that does not turn and threads that are all busy are logged once, with the stack that holds
them, and counted."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import ask, worker
from harness import APPS, PATIENCE, Server, eventually

Serve = Callable[..., Server]

LOOP = "the event loop does not turn; this is what holds it"
BUSY = "requests wait, because all that the worker runs at once is busy; this is with what"
SYNC = "synchronous calls wait, because all threads for them are busy; this is with what"
HELD = "in blocking_call"
# Loops that one request can hold. Where time.sleep is made cooperative, it has to be another call.
LOOPS = {
    "uvloop": ("stalls:asgi",),
    "asyncio": ("stalls:asgi", "--pythonpath", str(APPS / "asgi_without_uvloop")),
}


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


def start(serve: Serve, gate: Path, app: str, *flags: str) -> Server:
    return serve(app, "-w", "1", *flags, env={"GATE": str(gate)})


def below(server: Server, message: str) -> list[str]:
    """The stack that was logged with a message: the indented lines that follow it."""
    lines = iter(server.lines)
    for line in lines:
        if message in line:
            break
    found = []
    for line in lines:
        if not line.startswith("    "):
            break
        found.append(line)
    return found


@pytest.mark.parametrize("loop", LOOPS)
def test_a_view_that_sleeps_for_a_second_is_logged_once(serve: Serve, gate: Path, loop: str) -> None:
    server = start(serve, gate, *LOOPS[loop])
    assert server.get("/sleep").status == 200
    line = server.wait_for(LOOP)
    assert "[web.1]" in line and "target=/sleep" in line and "method=GET" in line
    stack = below(server, LOOP)
    assert stack[-1].strip() == "time.sleep(1)"
    assert "in sleepy_view" in stack[-2]
    assert not any("/backline/" in each or "/asyncio/" in each for each in stack), stack
    assert server.get("/").status == 200
    assert server.count(LOOP) == 1
    assert worker(server)["stalls"] == {"loop": 1, "busy": 0}


def test_a_greenlet_that_computes(serve: Serve, gate: Path) -> None:
    """time.sleep is cooperative there; what computes is not."""
    server = start(serve, gate, "stalls:wsgi", "-k", "gevent")
    with server.connect() as other:
        other.send_request("GET", "/block")
        eventually(lambda: worker(server)["in_flight"] == 1, "one that waits, and holds nobody up")
        assert server.get("/spin").status == 200
        assert "target=/spin" in server.wait_for(LOOP)
        eventually(lambda: "in burn" in server.log, "the stack")
        gate.touch()
        assert other.answer().status == 200
    assert server.count(LOOP) == 1
    assert worker(server)["stalls"] == {"loop": 1, "busy": 0}


@pytest.mark.parametrize("path", ["/block", "/block-later"])
@pytest.mark.parametrize("loop", LOOPS)
def test_however_the_loop_came_to_be_held(serve: Serve, gate: Path, loop: str, path: str) -> None:
    server = start(serve, gate, *LOOPS[loop])
    with server.connect() as client:
        client.send_request("GET", path)
        assert f"target={path}" in server.wait_for(LOOP)
        eventually(lambda: HELD in server.log, "the stack")
        gate.touch()
        assert client.answer().status == 200


@pytest.mark.parametrize("loop", LOOPS)
def test_held_by_nobodys_request(serve: Serve, gate: Path, loop: str) -> None:
    """Nothing is in flight when it begins, so nothing tells the worker's watch; the next request does."""
    server = start(serve, gate, *LOOPS[loop])
    assert server.get("/background").status == 200
    with server.connect() as client:
        client.send_request("GET", "/")
        assert "target=" not in server.wait_for(LOOP)
        eventually(lambda: "in later" in server.log, "the stack")
        gate.touch()
        assert client.answer().status == 200


def test_threads_that_are_all_busy(serve: Serve, gate: Path) -> None:
    server = start(serve, gate, "stalls:wsgi", "--threads", "3", "--admin-bind", "127.0.0.1:0")
    clients = [server.connect() for _ in range(5)]
    for n, client in enumerate(clients):
        client.send_request("GET", f"/block/{n}")
    line = server.wait_for(BUSY)
    assert "[web.1]" in line and "running=3" in line and "waiting=2" in line
    eventually(lambda: HELD in server.log, "the stack")
    stack = below(server, BUSY)
    assert " and 2 more:" in stack[0], "threads that do the same are one"
    assert not any("/backline/" in each for each in stack), stack
    assert worker(server)["stalls"] == {"loop": 0, "busy": 1}
    metrics = scrape(server)
    assert 'backline_stalls_total{kind="busy",pool="web"} 1\n' in metrics
    assert 'backline_requests_in_flight{pool="web"} 3\n' in metrics
    gate.touch()
    for client in clients:
        assert client.answer().status == 200
        client.close()
    assert server.count(BUSY) == 1


def test_threads_for_synchronous_views_of_asgi(serve: Serve, gate: Path) -> None:
    """The server has no queue then: to it the worker runs five requests of a thousand."""
    server = start(serve, gate, "stalls:asgi", "--threads", "2")
    clients = [server.connect() for _ in range(5)]
    for client in clients:
        client.send_request("GET", "/sync")
    assert "waiting=3" in server.wait_for(SYNC)
    eventually(lambda: HELD in server.log, "the stack")
    assert " and 1 more:" in below(server, SYNC)[0]
    assert worker(server)["stalls"] == {"loop": 0, "busy": 1}
    gate.touch()
    for client in clients:
        assert client.answer().status == 200
        client.close()
    assert server.count(SYNC) == 1


def scrape(server: Server) -> str:
    """What Prometheus would read."""
    address = server.wait_for("health +/-/health on http://").rpartition("//")[2]
    with urllib.request.urlopen(f"http://{address}/-/metrics", timeout=PATIENCE) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return str(answer.read().decode())


def test_neither_with_0(serve: Serve, gate: Path) -> None:
    server = start(serve, gate, "stalls:asgi", "--loop-stall", "0", "--busy-stall", "0", "--worker-connections", "1")
    with server.connect() as client, server.connect() as other:
        client.send_request("GET", "/block")
        other.send_request("GET", "/")
        eventually(lambda: worker_waits(server) > 1.5, "a request that has waited for longer than both defaults")
        assert worker(server)["stalls"] == {"loop": 0, "busy": 0}
        gate.touch()
        assert client.answer().status == other.answer().status == 200
    assert server.count(LOOP) + server.count(BUSY) == 0


def worker_waits(server: Server) -> float:
    ((pool),) = ask(server, "ps")["pools"]
    return float(pool["waiting"]["oldest"])


def switches(pid: int) -> int:
    """How often the process's threads have waited, which counts each waking."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


@pytest.mark.parametrize("app", [("stalls:asgi",), ("stalls:wsgi",), ("stalls:wsgi", "-k", "gevent")])
def test_an_idle_worker_sleeps(serve: Serve, gate: Path, app: tuple[str, ...]) -> None:
    """No thread of it wakes while nothing is to be done; not at once, because the watch stays for a second."""
    server = start(serve, gate, *app)
    assert server.get("/").status == 200
    pid = worker(server)["pid"]
    seen = [(0.0, -1)]

    def still_for_a_while() -> bool:
        now = switches(pid)
        if now != seen[0][1]:
            seen[0] = (time.monotonic(), now)
        return time.monotonic() - seen[0][0] > 0.5

    eventually(still_for_a_while, "half a second without a waking")
