"""WebSockets and deploys: they stay with the process that they are connected to, and leave it a few at a time."""

from __future__ import annotations

import os
import re
import signal
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness import Server, eventually
from processes import alive, children
from sockets import CLOSE, Socket, connect
from test_supervision import pid_of

Serve = Callable[..., Server]
SERVICE_RESTART, GOING_AWAY = 1012, 1001


def process(socket: Socket) -> int:
    """The process that answers a socket's messages."""
    socket.send("which?")
    return int(socket.message())


def leaves(socket: Socket) -> int | None:
    """The code with which the server closes, to which the client agrees."""
    code, _ = socket.closed()
    socket.frame(CLOSE, struct.pack(">H", code))
    assert socket.client.at_end()
    socket.client.close()
    return code


def reload(server: Server) -> None:
    seen = len(server.lines)
    server.signal(signal.SIGHUP)
    server.wait_for("reload complete", after=seen)


def test_a_reload_leaves_sockets_alone(serve: Serve) -> None:
    server = serve("asgi_pids:app", "-w", "1")
    old = pid_of(server)
    with connect(server, "/") as socket, connect(server, "/") as other:
        assert process(socket) == process(other) == old
        reload(server)
        new = pid_of(server)
        assert new != old
        with connect(server, "/") as later:
            assert process(later) == new, "new sockets go to the new worker"
        assert process(socket) == process(other) == old
        other.close()
        assert process(socket) == old
        socket.close()
        eventually(lambda: not alive(old), "the old worker ends with its last socket")
    assert server.count(r"worker keeps its WebSockets .*sockets=2 at_most=5m0s") == 1
    server.wait_for(r"worker ended .*reason=reloaded status=\"exit status 0\"")


def test_in_the_end_they_are_closed_a_few_at_a_time(serve: Serve) -> None:
    drain = 6
    server = serve("asgi_pids:app", "-w", "1", "--websocket-drain", str(drain))
    with ExitStack() as stack:
        sockets = [stack.enter_context(connect(server, "/")) for _ in range(10)]
        old = process(sockets[0])
        begun = time.monotonic()
        reload(server)
        assert sockets[0].closed() == (SERVICE_RESTART, ""), "the oldest goes first"
        assert time.monotonic() - begun > 0.75 * drain, "for three quarters of the time nobody has to go"
        assert process(sockets[-1]) == old, "the newest is still there"
        with connect(server, "/") as again:
            assert process(again) != old, "whoever comes again is served by the new code"
        for socket in sockets[1:]:
            assert socket.closed() == (SERVICE_RESTART, "")
    eventually(lambda: not alive(old), "the end of the old worker")


@pytest.mark.parametrize("flags", [("--websocket-drain", "0"), ("--reload",)], ids=lambda flags: flags[0])
def test_they_can_be_made_to_hurry(serve: Serve, flags: tuple[str, ...]) -> None:
    server = serve("asgi_pids:app", "-w", "1", *flags)
    with connect(server, "/") as socket:
        old = process(socket)
        reload(server)
        assert socket.closed() == (SERVICE_RESTART, "")
    eventually(lambda: not alive(old), "the end of the old worker")


@pytest.mark.parametrize("reloaded", [False, True])
def test_a_stop_does_not_wait_for_them(serve: Serve, reloaded: bool) -> None:
    server = serve("asgi_pids:app", "-w", "2")
    with connect(server, "/") as socket:
        assert process(socket)
        if reloaded:
            reload(server)
        server.signal(signal.SIGTERM)
        assert leaves(socket) == GOING_AWAY
        assert server.wait() == 0
    assert server.count("SIGTERM|SIGKILL") == 0, "no worker had to be forced"


def test_max_requests_leaves_them_alone_too(serve: Serve) -> None:
    server = serve("asgi_pids:app", "-w", "1", "--max-requests", "5")
    with connect(server, "/") as socket:
        old = process(socket)
        for _ in range(4):
            assert server.get("/").status == 200
        eventually(lambda: pid_of(server) != old, "another worker")
        assert process(socket) == old


def test_reloads_cannot_pile_processes_up(serve: Serve) -> None:
    server = serve("asgi_pids:app", "-w", "1")
    with ExitStack() as stack:
        sockets = []
        for _ in range(5):
            sockets.append(stack.enter_context(connect(server, "/")))
            assert process(sockets[-1])
            reload(server)
            assert len(children(server)) <= 5, "one that serves, two that linger, one that hurries, one that boots"
        for socket in sockets[:3]:
            assert socket.closed() == (SERVICE_RESTART, "")
        for socket in sockets[3:]:
            assert process(socket)
    assert server.count("too many old workers are left for their WebSockets") == 3


def test_the_death_of_a_worker_that_lingers(serve: Serve) -> None:
    server = serve("asgi_pids:app", "-w", "1")
    with connect(server, "/") as socket:
        old = process(socket)
        reload(server)
        os.kill(old, signal.SIGKILL)
        code, _ = socket.closed()
        assert code == SERVICE_RESTART or code == 1011
    server.wait_for(r"worker ended .*reason=reloaded")
    assert server.get("/").status == 200


@pytest.mark.parametrize("apps", [("asgi_pids:app",), ("supervised", "--websocket", "asgi_pids:app")], ids=len)
def test_an_upgrade_leaves_them_with_the_old_process(serve: Serve, tmp_path: Path, apps: tuple[str, ...]) -> None:
    pid = tmp_path / "pid"
    server = serve(*apps, "-w", "1", "--pid", str(pid), "--websocket-drain", "4", "--graceful-timeout", "2")
    try:
        with connect(server, "/") as socket, server.connect() as busy:
            old = process(socket)
            assert busy.request("GET", "/").status == 200
            server.signal(signal.SIGUSR2)
            # Asked all the time: it would be closed as idle at once, had the new process taken long to come up.
            eventually(lambda: busy.request("GET", "/").header("connection") == "close", "the old one's last answer")
            line = server.wait_for("upgrade: a new process serves")
            found = re.search(r"new_pid=(\d+)", line)
            assert found and pid.read_text().strip() == found.group(1)
            assert process(socket) == old
            with connect(server, "/") as other:
                assert process(other) not in (old, server.process.pid)
                assert leaves(socket) == SERVICE_RESTART
                assert server.wait() == 0
                assert process(other), "those of the new process are not concerned"
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)
