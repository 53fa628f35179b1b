"""What signals do: gunicorn's meanings, and no request is lost by those that need not lose one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Server, eventually
from processes import alive
from test_supervision import all_up, pid_of, pids
from wsgi_gate import Gate

Serve = Callable[..., Server]


def refused(server: Server) -> bool:
    try:
        server.connect().close()
    except ConnectionError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("app", ["supervised", "supervised_asgi"])
def test_running_requests_finish_and_new_ones_are_refused(
    serve: Serve, app: str, number: signal.Signals, tmp_path: Path
) -> None:
    server, gate = serve(app, "-w", "2"), Gate(tmp_path / "gate")
    workers = pids(server)
    with server.connect() as busy, server.connect() as idle:
        assert idle.request("GET", "/").status == 200
        busy.send_request("GET", f"/gate{gate.path}")
        eventually(lambda: server.get("/").status == 200, "the request before it is under way")
        server.signal(number)
        server.wait_for("stopping: requests that have begun may finish")
        assert idle.at_end(), "an idle connection is closed at once"
        eventually(lambda: refused(server), "new connections are refused")
        gate.open()
        answer = busy.answer()
        assert (answer.status, answer.complete) == (200, True)
        assert answer.header("connection") == "close"
    assert server.wait() == 0
    assert not any(map(alive, workers))
    assert server.lines[-2].endswith("info  stopped")


def test_lifespan_is_shut_down(serve: Serve) -> None:
    server = serve("supervised_asgi", "-w", "2", "--log-level", "debug")
    for worker in (r"\[web\.1\]", r"\[web\.2\]"):
        server.wait_for(f"{worker} lifespan started")
        server.wait_for(f"{worker} worker up")  # one that still boots would be killed
    assert server.stop() == 0
    for worker in (r"\[web\.1\]", r"\[web\.2\]"):
        server.wait_for(f"{worker} lifespan stopped")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_second_signal_stops_at_once(serve: Serve, number: signal.Signals) -> None:
    server = serve("supervised", "-w", "1")
    worker = pid_of(server)
    with server.connect() as busy:
        busy.send_request("GET", "/nap/60")
        eventually(lambda: server.get("/").status == 200, "the request before it is under way")
        server.signal(number)
        server.wait_for("stopping: ")
        if number == signal.SIGINT:
            assert "Ctrl-C again stops at once" in server.log
        server.signal(number)
        assert busy.at_end() or busy.answer().status in (502, 503)
    assert server.wait(5) == 0
    assert not alive(worker)
    server.wait_for("stopping at once")


def test_quit_stops_at_once(serve: Serve) -> None:
    server = serve("supervised", "-w", "1")
    with server.connect() as busy:
        busy.send_request("GET", "/nap/60")
        eventually(lambda: server.get("/").status == 200, "the request before it is under way")
        server.signal(signal.SIGQUIT)
        assert server.wait(5) == 0


@pytest.mark.parametrize("app", ["supervised", "supervised_asgi"])
def test_graceful_timeout_is_one_for_clients_and_workers(serve: Serve, app: str) -> None:
    server = serve(app, "-w", "1", "--graceful-timeout", "1s")
    with server.connect() as busy:
        busy.send_request("GET", "/nap/60")
        eventually(lambda: server.get("/").status == 200, "the request before it is under way")
        server.signal(signal.SIGTERM)
        # Well below twice the timeout with what killing takes.
        assert server.wait(6) == 0
    server.wait_for("some requests did not end in time")
    if app == "supervised_asgi":
        assert "lifespan stopped" in server.log


def test_stop_before_the_first_worker_is_up(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text("print('importing', flush=True)\nimport time\ntime.sleep(1000)\n")
    server = serve("hanging", "-w", "2", cwd=tmp_path, wait=False)
    server.wait_for("importing")
    server.signal(signal.SIGTERM)
    assert server.wait(5) == 0


def test_signals_before_the_first_worker_is_up_do_not_stop(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "gated.py").write_text(
        "import os, time\n"
        "print('importing', flush=True)\n"
        "while not os.path.exists('go'):\n"
        "    time.sleep(0.01)\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [b'gated']\n"
    )
    server = serve("gated", "-w", "1", cwd=tmp_path, wait=False)
    server.wait_for("importing")
    for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGUSR1):
        server.signal(number)
    server.wait_for("scale pool=web from=1 to=2")
    (tmp_path / "go").touch()
    server.ready()
    assert server.get("/").text == "gated"


def test_ttin_and_ttou(serve: Serve) -> None:
    server = serve("supervised", "-w", "1")
    assert len(pids(server)) == 1
    server.signal(signal.SIGTTIN)
    server.wait_for(r"\[web\.2\] worker up")
    assert len(pids(server)) == 2
    server.signal(signal.SIGTTOU)
    server.wait_for(r"\[web\.2\] worker ended .*reason=scaled status=\"exit status 0\"")
    assert len(pids(server)) == 1
    server.signal(signal.SIGTTOU)
    server.wait_for("scale pool=web from=1 to=1")
    assert server.get("/").status == 200, "one worker always stays"


def test_fewer_workers_lose_no_request(serve: Serve) -> None:
    server = serve("supervised", "-w", "4", "--threads", "1", "--log-level", "debug")
    all_up(server, 4)
    stop = threading.Event()
    statuses: list[int] = []

    def client() -> None:
        with server.connect() as connection:
            while not stop.is_set():
                statuses.append(connection.request("GET", "/nap/0.02").status)

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for left in (3, 2, 1):  # one by one, because equal signals that wait are one
        server.signal(signal.SIGTTOU)
        server.wait_for(f"scale pool=web from={left + 1} to={left}")
    eventually(lambda: server.count("worker ended") == 3, "three workers end")
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}


def test_usr1_opens_the_logs_again(serve: Serve, tmp_path: Path) -> None:
    access, own = tmp_path / "access.log", tmp_path / "server.log"
    server = serve("supervised", "-w", "1", "--access-logfile", str(access), "--log-file", str(own))
    server.get("/before")
    eventually(lambda: "GET /before" in access.read_text(), "the first line")
    access.rename(tmp_path / "access.1")
    own.rename(tmp_path / "server.1")
    server.signal(signal.SIGUSR1)
    eventually(lambda: own.exists() and "logs are open again" in own.read_text(), "new files")
    server.get("/after")
    eventually(lambda: "GET /after" in access.read_text(), "the second line")
    assert "GET /before" not in access.read_text()
    assert "GET /after" not in (tmp_path / "access.1").read_text()


def test_ctrl_c_in_a_terminal_reaches_only_the_server(serve: Serve) -> None:
    server = serve("supervised", "-w", "1")
    worker = pid_of(server)
    assert os.getpgid(worker) != os.getpgid(server.process.pid), "a terminal signals the foreground group"
    os.kill(worker, signal.SIGINT)
    assert pid_of(server) == worker
