"""Started by systemd, or by something that does what systemd does: its sockets, and what it is told."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import HERE, PATIENCE, Client, Server, eventually
from processes import children

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")

Serve = Callable[..., Server]
APP = "supervised"


def tcp() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


def activated(serve: Serve, sockets: dict[str, socket.socket], *flags: str, **more: Any) -> Server:
    """A server that gets ``sockets``, by their names."""
    given = ",".join(f"{sock.fileno()}:{name}" for name, sock in sockets.items())
    launcher = [sys.executable, str(HERE / "activate.py"), given]
    numbers = [sock.fileno() for sock in sockets.values()]
    more.setdefault("bind", "")
    return serve(APP, "-w", "1", *flags, launcher=launcher, pass_fds=numbers, **more)


def answer_at(address: object, path: str = "/") -> str:
    sock = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    sock.connect(address)  # type: ignore[arg-type]
    with Client(sock) as client:
        answer = client.request("GET", path)
    assert answer.status == 200
    return answer.text


def descriptors(pid: int) -> set[str]:
    """What a process has open."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(os.readlink(entry))
        except FileNotFoundError:  # closed meanwhile
            continue
    return found


def test_sockets_of_systemd(serve: Serve, tmp_path: Path) -> None:
    first, second = tcp(), socket.socket(socket.AF_UNIX)
    second.bind(str(tmp_path / "site.sock"))
    second.listen()
    with first, second:
        server = activated(serve, {"site.socket": first, "": second})
        assert answer_at(first.getsockname()) == answer_at(str(tmp_path / "site.sock"))
        inodes = {f"socket:[{os.fstat(sock.fileno()).st_ino}]" for sock in (first, second)}
    (worker,) = children(server)
    assert inodes <= descriptors(server.process.pid)
    assert not inodes & descriptors(worker), "the worker could listen in the server's place"
    seen = json.loads(server.get("/surroundings").text)["environ"]
    assert not [name for name in seen if name.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_"))]
    assert server.stop() == 0
    assert (tmp_path / "site.sock").exists()  # it is systemd's


def test_sockets_with_a_meaning(serve: Serve) -> None:
    site, health = tcp(), tcp()
    with site, health:
        server = activated(serve, {"site": site, "admin": health})
        assert answer_at(site.getsockname())
        assert "ready" in answer_at(health.getsockname(), "/-/health").lower()
    assert server.stop() == 0


def test_bind_is_stronger(serve: Serve) -> None:
    with tcp() as sock:
        server = activated(serve, {"site": sock}, bind="127.0.0.1:0")
        assert server.port != sock.getsockname()[1]
        assert server.get("/").status == 200
    server.wait_for("systemd's sockets are not used.*flag --bind.*--bind fd://3")


def test_socket_by_its_number(serve: Serve) -> None:
    with tcp() as sock:
        activated(serve, {"site": sock}, bind="fd://3")
        assert answer_at(sock.getsockname())


def test_sockets_of_another_process(serve: Serve) -> None:
    """A shell in between has inherited the variables; the sockets were meant for it."""
    server = serve(APP, "-w", "1", env={"LISTEN_PID": "1", "LISTEN_FDS": "1"})
    assert server.get("/").status == 200


class Manager:
    """systemd's end of NOTIFY_SOCKET. It also hears who speaks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.sock.bind("\0" + name[1:] if name.startswith("@") else name)
        self.sock.settimeout(PATIENCE)

    def hear(self) -> tuple[dict[str, str], int]:
        """The next message, and the process that sent it."""
        data, ancillary, _, _ = self.sock.recvmsg(4096, socket.CMSG_SPACE(struct.calcsize("3i")))
        ((_, _, credentials),) = ancillary
        pid, _, _ = struct.unpack("3i", credentials)
        return dict(line.split("=", 1) for line in data.decode().split("\n")), pid

    def hears(self, wanted: str) -> tuple[dict[str, str], int]:
        """The next message with ``wanted``; those of the watchdog come in between."""
        while True:
            message, pid = self.hear()
            if wanted in message:
                return message, pid
            assert "WATCHDOG" in message, f"expected {wanted}, heard {message}"


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = str(tmp_path / "n") if request.param == "path" else f"@backline-{os.getpid()}-{tmp_path.name}"
    heard = Manager(name)
    yield heard
    heard.sock.close()


def test_what_systemd_is_told(serve: Serve, manager: Manager) -> None:
    server = serve(APP, "-w", "2", env={"NOTIFY_SOCKET": manager.name})
    ready, pid = manager.hears("READY")
    assert pid == server.process.pid
    assert ready == {
        "READY": "1",
        "STATUS": f"2 workers serve supervised:application on http://127.0.0.1:{server.port}",
    }
    for _ in range(2):
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        server.signal(signal.SIGHUP)
        reloading, _ = manager.hears("RELOADING")
        assert before <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert manager.hears("READY")[0] == ready
    server.signal(signal.SIGTERM)
    assert manager.hears("STOPPING")[0]["STOPPING"] == "1"
    assert server.wait() == 0


def test_status_tells_of_every_pool(serve: Serve, tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    (tmp_path / "backline.toml").write_text(
        f'pythonpath = ["{HERE / "apps"}"]\nworkers = 1\n[pool.reports]\nworkers = 2\n'
        '[[route]]\npath = "/reports"\npool = "reports"\n'
    )
    server = serve(APP, env={"NOTIFY_SOCKET": manager.name}, cwd=tmp_path)
    told = manager.hears("READY")[0]["STATUS"]
    assert told == f"1 worker serve supervised:application on http://127.0.0.1:{server.port}; reports: 2 workers"


def test_a_reload_that_fails_is_over_as_well(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "mysite.py").write_text("from supervised import application\n")
    manager = Manager(str(tmp_path / "n"))
    environ = {"NOTIFY_SOCKET": manager.name}
    server = serve("mysite", "-w", "1", "--pythonpath", str(HERE / "apps"), cwd=tmp_path, env=environ)
    manager.hears("READY")
    (tmp_path / "mysite.py").write_text("raise ZeroDivisionError\n")
    server.signal(signal.SIGHUP)
    manager.hears("RELOADING")
    assert "abandoned" in manager.hears("READY")[0]["STATUS"]
    assert server.get("/").status == 200
    manager.sock.close()


def test_watchdog(serve: Serve, tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "n"))
    environ = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "200000"}
    server = activated(serve, {}, bind="127.0.0.1:0", env=environ)
    manager.hears("READY")
    for _ in range(5):
        message, pid = manager.hear()
        assert (message, pid) == ({"WATCHDOG": "1"}, server.process.pid)
    assert "watchdog" not in server.log
    manager.sock.close()


def test_nobody_listens(serve: Serve, tmp_path: Path) -> None:
    server = serve(APP, "-w", "1", env={"NOTIFY_SOCKET": str(tmp_path / "gone")}, wait=False)
    server.wait_for("NOTIFY_SOCKET=.*/gone cannot be connected to")
    assert server.wait() == 2


def test_upgrade(serve: Serve, tmp_path: Path) -> None:
    """The new process is the service: with the same sockets, and watched."""
    manager = Manager(str(tmp_path / "n"))
    with tcp() as sock:
        environ = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "200000"}
        server = activated(serve, {"site": sock}, env=environ)
        manager.hears("READY")
        server.signal(signal.SIGUSR2)
        successor = 0
        while not successor:
            message, pid = manager.hear()
            assert "STOPPING" not in message, message
            if "MAINPID" in message:
                assert pid == server.process.pid
                successor = int(message["MAINPID"])
        try:
            server.wait()
            eventually(lambda: manager.hear() == ({"WATCHDOG": "1"}, successor), "the new process is alive")
            assert answer_at(sock.getsockname())
        finally:
            os.kill(successor, signal.SIGTERM)
        assert re.search("STOPPING", str(manager.hears("STOPPING")[0]))
    manager.sock.close()
