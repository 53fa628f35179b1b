"""The gevent loop: what requests share, how many run, what becomes of those that are stuck."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import APPS, BINARY, PATIENCE, Client, Server, eventually
from interpreters import on_every_python
from wsgi_loops import GEVENT

Serve = Callable[..., Server]
APP = ("greenlets", "--workers", "1", *GEVENT)
ASLEEP = 5_000
MEGABYTE = 1_000_000


def pid_of(server: Server) -> int:
    return int(server.get("/").text)


@on_every_python
def test_requests_share_nothing(shared: Callable[..., Server], python: str) -> None:
    """Greenlet locals, context variables and what is set on the greenlet itself are a request's own."""
    server = shared(*APP, "--python", python)
    for n in range(3):
        assert json.loads(server.get(f"/leave/{n}").text) == [None, 0, None]
        server.wait_for(f"the local of {n} went")  # with the request, not with the garbage collector
        assert json.loads(server.get("/left").text) == [None, 0, None]
    with server.connect() as client:
        client.send(b"GET /leave/x HTTP/1.1\r\nHost: h\r\n\r\n" * 3)  # one after the other as fast as can be
        assert [json.loads(client.answer().text) for _ in range(3)] == [[None, 0, None]] * 3


def test_everything_is_patched_before_the_application_is_imported(shared: Callable[..., Server]) -> None:
    patched, threads = json.loads(shared(*APP).get("/threads").text)
    assert patched
    assert threads >= 1, "the control thread is nobody's business"


def test_forked_process_takes_no_requests(shared: Callable[..., Server]) -> None:
    server = shared(*APP)
    worker = pid_of(server)
    with server.connect() as client:
        client.send_request("GET", "/fork/0.5")
        answers = [pid_of(server) for _ in range(30)]
        assert client.answer().text == "7"
    assert answers == [worker] * 30


def test_timeout_that_outlives_its_request_hits_nobody(shared: Callable[..., Server]) -> None:
    server = shared(*APP)
    for _ in range(3):
        assert server.get("/alarm/0.1").text == "set"
        assert server.get("/nap/0.3").status == 200


@on_every_python
def test_stack_of_a_waiting_greenlet_and_its_end(serve: Serve, python: str) -> None:
    server = serve(*APP, "--timeout", "500ms", "--python", python)
    before = pid_of(server)
    assert server.get("/deep/30").status == 504
    server.wait_for("a request took too long.*target=/deep/30")
    server.wait_for("greenlet, waiting:")
    server.wait_for(r"greenlets\.py\", line \d+, in deep")
    server.wait_for(r"greenlets\.py\", line \d+, in nap")
    server.wait_for(r"    time\.sleep\(float\(argument\)\)")
    server.wait_for("deep was left")
    assert pid_of(server) == before, "a greenlet can be ended, so its worker stays"
    assert "backline/wsgi" not in server.log and "gevent/hub" not in server.log, "nobody else's frames"
    assert "GivenUp" not in server.log


def test_greenlet_that_will_not_end_costs_its_worker(serve: Serve) -> None:
    server = serve(*APP, "--timeout", "500ms")
    before = pid_of(server)
    assert server.get("/stubborn/30").status == 504
    server.wait_for("stubborn ignores GivenUp")
    server.wait_for("takes over .*reason=stuck")
    eventually(lambda: pid_of(server) != before, "another worker answers")


def test_stack_of_what_holds_the_hub_up(serve: Serve) -> None:
    server = serve(*APP, "--timeout", "500ms")
    before = pid_of(server)
    with server.connect() as waiting:
        waiting.send_request("GET", "/deep/30")
        server.wait_for("deep has begun")
        assert server.get("/spin").status == 504
        assert waiting.answer().status == 504
        server.wait_for("greenlet, running:")
        server.wait_for(r"greenlets\.py\", line \d+, in spin")
        server.wait_for("meanwhile the hub is held up by:")
        server.wait_for(r"greenlets\.py\", line \d+, in deep")
    server.wait_for("takes over .*reason=stuck")
    eventually(lambda: pid_of(server) != before, "another worker answers")


def test_dead_server_takes_a_held_up_hub_along(serve: Serve) -> None:
    server = serve(*APP, "--timeout", "0")
    worker = pid_of(server)
    with server.connect() as client:
        client.send_request("GET", "/spin")
        server.wait_for("spinning")
        server.kill()
    eventually(lambda: not Path(f"/proc/{worker}").exists(), "the worker ends itself")


def test_worker_connections_limit_the_greenlets(serve: Serve) -> None:
    server = serve(*APP, "--worker-connections", "3")
    clients = [server.connect() for _ in range(9)]
    began = time.monotonic()
    for client in clients:
        client.send_request("GET", "/nap/0.3")
    for client in clients:
        assert client.answer().status == 200
        client.close()
    assert time.monotonic() - began >= 0.9, "three at a time"


def test_limit_counts_only_what_runs(serve: Serve) -> None:
    """Quick requests are sent ahead of what the limit allows, and none of them is lost."""
    server = serve(*APP, "--worker-connections", "1")
    clients = [server.connect() for _ in range(32)]
    for n in range(20):
        for client in clients:
            client.send_request("GET", "/nap/0" if n % 2 else "/left")
        for client in clients:
            assert client.answer().status == 200
    for client in clients:
        client.close()


def test_reload_waits_for_greenlets(serve: Serve) -> None:
    server = serve(*APP)
    before = pid_of(server)
    with server.connect() as client:
        client.send_request("GET", "/nap/1")
        eventually(lambda: pid_of(server) == before, "the worker has begun")
        server.process.send_signal(1)
        eventually(lambda: pid_of(server) != before, "the new worker answers")
        assert client.answer().text == str(before)
    eventually(lambda: not Path(f"/proc/{before}").exists(), "the old worker ends")


@pytest.mark.parametrize("worker", [(), ("--max-requests", "5"), ("--preload",)])
def test_stops_with_requests_under_way(serve: Serve, worker: tuple[str, ...]) -> None:
    server = serve(*APP, *worker)
    with server.connect() as client:
        client.send_request("GET", "/nap/0.5")
        assert server.get("/").status == 200
        server.process.terminate()
        assert client.answer().status == 200
    assert server.wait() == 0


def test_django_closes_persistent_connections_with_their_greenlet(serve: Serve, tmp_path: Path) -> None:
    server = serve("greenlets_django", "--workers", "1", *GEVENT, env={"DATABASE": str(tmp_path / "db.sqlite3")})
    assert [server.get("/").text for _ in range(5)] == ["1"] * 5


@pytest.mark.load
def test_5000_requests_asleep_at_once_in_150_mb(serve: Serve) -> None:
    server = serve(*APP, "--worker-connections", str(ASLEEP), "--timeout", "120")
    worker = pid_of(server)
    clients: list[Client] = [server.connect() for _ in range(ASLEEP)]
    for client in clients:
        client.send_request("GET", f"/gather/{ASLEEP}")
    for client in clients:
        assert client.answer().text == str(ASLEEP)
        client.close()
    taken = peak(worker)
    assert taken < 150 * MEGABYTE, f"{taken / MEGABYTE:.0f} MB"


def peak(pid: int) -> int:
    """The most that a process has ever had in memory, in bytes."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


# Coming up.


def test_import_that_waits_for_ever_says_where(tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text("import time\n\ndef connect():\n    time.sleep(1000)\n\nconnect()\n")
    done = run("hanging", "--pythonpath", str(tmp_path), "--worker-boot-timeout", "12s")  # to import gevent, too
    assert done.returncode != 0
    assert "greenlet, waiting:" in done.stderr, done.stderr
    assert 'hanging.py", line 4, in connect' in done.stderr, done.stderr


# What is missing or wrong.


def test_without_gevent_the_worker_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "gevent.py").write_text("raise ModuleNotFoundError(\"No module named 'gevent'\")\n")
    done = run("greenlets", "--pythonpath", str(tmp_path))
    assert done.returncode == 3
    assert "the worker class gevent needs the package gevent" in done.stderr
    assert "-m pip install gevent" in done.stderr
    assert "Traceback" not in done.stderr


def test_asgi_application_is_told_apart() -> None:
    done = run("supervised_asgi")
    assert done.returncode != 0
    assert "ASGI" in done.stderr and "Traceback" not in done.stderr, done.stderr


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("BACKLINE_")}
    return subprocess.run(
        [str(BINARY), "serve", *arguments, "-b", "127.0.0.1:0", "-w", "1", *GEVENT, "--python", sys.executable],
        cwd=APPS, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
