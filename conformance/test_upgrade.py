"""USR2: a new process of the same command line takes the sockets over, and nobody who connects or asks notices."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from authority import Authority
from authority import connect as secure
from harness import APPS, BINARY, PATIENCE, Client, Server, eventually
from processes import alive
from test_supervision import all_up, pids
from wsgi_gate import Gate

Serve = Callable[..., Server]
SERVES = r"upgrade: a new process serves, this one ends .*new_pid=(\d+)"


class Upgradable:
    """A server, and whatever process serves in its place later."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder

    @property
    def pid(self) -> int:
        """The process that serves now, as those who send signals know it."""
        return int((self.folder / "pid").read_text())

    def upgrade(self) -> int:
        """One whole upgrade; gives the process that serves from then on."""
        old, seen = self.pid, len(self.server.lines)
        os.kill(old, signal.SIGUSR2)
        found = re.search(SERVES, self.server.wait_for(SERVES, after=seen))
        assert found
        assert self.pid == int(found.group(1)) != old
        eventually(lambda: not alive(old), "the end of the old process")
        return self.pid

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        eventually(lambda: not (self.folder / "pid").exists(), "the pid file is gone")


@pytest.fixture
def upgradable(serve: Serve, tmp_path: Path) -> Iterator[Callable[..., Upgradable]]:
    """``upgradable("module:app", ...)``; the last process of it is killed after the test."""
    folders: list[Path] = []

    def start(app: str, *flags: str, **options: object) -> Upgradable:
        folder = tmp_path / f"run{len(folders)}"
        folder.mkdir()
        folders.append(folder)
        return Upgradable(serve(app, "--pid", str(folder / "pid"), *flags, **options), folder)

    yield start
    for folder in folders:
        if (folder / "pid").exists() and alive(pid := int((folder / "pid").read_text())):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def load(connect: Callable[[], Client]) -> Iterator[list[str]]:
    """Clients that ask all the time, each in its own way. Their answers, none of which may be missing."""
    answers: list[str] = []
    failures: list[BaseException] = []
    stop = threading.Event()

    def ask(client: Client) -> bool:
        answer = client.request("GET", "/")
        assert (answer.status, answer.complete) == (200, True), answer
        answers.append(answer.text)
        return answer.header("connection") != "close"

    def keep(pause: float) -> None:
        """Ask over one connection until an answer says that it is the last one."""
        while not stop.is_set():
            with connect() as client:
                while ask(client) and not stop.wait(pause):
                    pass

    def renew(pause: float) -> None:
        """Ask over a new connection each time."""
        while not stop.wait(pause):
            with connect() as client:
                ask(client)

    def run(behave: Callable[[float], None], pause: float) -> None:
        try:
            behave(pause)
        except BaseException as error:
            failures.append(error)

    kinds = [(keep, 0.0), (keep, 0.0), (keep, 0.02), (keep, 0.4), (renew, 0.0), (renew, 0.0), (renew, 0.05)]
    threads = [threading.Thread(target=run, args=kind, daemon=True) for kind in kinds]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: len(answers) > len(kinds), "the first answers")
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert not failures, failures


@pytest.mark.parametrize("app", ["supervised", "supervised_asgi"])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_nobody_notices(upgradable: Callable[..., Upgradable], tmp_path: Path, app: str, kind: str) -> None:
    bind = "127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path}/app.sock"
    up = upgradable(app, "-w", "2", "--bind", "127.0.0.1:0", bind=bind)
    processes = [up.pid]
    with load(up.server.connect) as answers:
        for _ in range(4):
            processes.append(up.upgrade())
            eventually(partial(more_than, answers, len(answers) + 20), "answers of the new process")
    assert len(set(processes)) == 5
    assert up.server.wait() == 0, "the first process ended well"
    assert len(set(answers)) > 4, "several generations of workers answered"
    up.stop()
    if kind == "unix":
        assert not (tmp_path / "app.sock").exists(), "the last process removes the path"


def test_nobody_notices_over_tls(upgradable: Callable[..., Upgradable], tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    cert, key = ours.issue("site", "site.example")
    up = upgradable("supervised", "-w", "2", "--certfile", str(cert), "--keyfile", str(key))
    root = ours.root
    with load(lambda: secure(up.server, "site.example", trust=root)) as answers:
        for _ in range(2):
            up.upgrade()
            eventually(partial(more_than, answers, len(answers) + 20), "answers of the new process")
    assert up.server.wait() == 0


def test_http3_moves_when_its_port_is_free(upgradable: Callable[..., Upgradable], tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    cert, key = ours.issue("site", "site.example")
    up = upgradable("supervised", "-w", "1", "--certfile", str(cert), "--keyfile", str(key), "--http3")

    def told() -> str | None:
        with secure(up.server, "site.example", trust=ours.root) as client:
            return client.request("GET", "/").header("alt-svc")

    before = told()
    assert before == f'h3=":{up.server.port}"; ma=86400'
    for _ in range(2):
        up.upgrade()
        eventually(lambda: told() == before, "the new process tells of HTTP/3")


def more_than(answers: list[str], count: int) -> bool:
    return len(answers) > count


def test_a_request_ends_where_it_began(upgradable: Callable[..., Upgradable], tmp_path: Path) -> None:
    up, gate = upgradable("supervised", "-w", "1"), Gate(tmp_path / "gate")
    old = up.pid
    (worker,) = pids(up.server)
    with up.server.connect() as busy:
        busy.send_request("GET", f"/gate{gate.path}")
        eventually(lambda: up.server.get("/").status == 200, "the request before it is under way")
        os.kill(old, signal.SIGUSR2)
        up.server.wait_for(SERVES)
        assert int(up.server.get("/").text) != worker, "new requests go to the new process"
        gate.open()
        answer = busy.answer()
        assert (answer.text, answer.header("connection")) == (str(worker), "close")
    assert up.server.wait() == 0
    assert not alive(worker)


def test_a_request_beyond_the_graceful_timeout_is_cut(upgradable: Callable[..., Upgradable]) -> None:
    up = upgradable("supervised", "-w", "1", "--graceful-timeout", "1")
    with up.server.connect() as busy:
        busy.send_request("GET", "/nap/60")
        eventually(lambda: up.server.get("/").status == 200, "the request before it is under way")
        os.kill(up.pid, signal.SIGUSR2)
        up.server.wait_for("some requests did not end in time; their connections are cut")
        assert busy.at_end()
    assert up.server.wait() == 0
    assert up.server.get("/").status == 200


def test_an_idle_connection_has_one_more_request(upgradable: Callable[..., Upgradable]) -> None:
    up = upgradable("supervised", "-w", "1")
    with up.server.connect() as lively, up.server.connect() as idle, up.server.connect() as fresh:
        worker = lively.request("GET", "/").text
        assert idle.request("GET", "/").text == worker
        os.kill(up.pid, signal.SIGUSR2)
        up.server.wait_for(SERVES)
        answer = lively.request("GET", "/")
        assert (answer.status, answer.header("connection")) == (200, "close")
        assert idle.at_end(), "one that has nothing to ask is closed after a while"
        assert fresh.at_end()
    assert up.server.wait() == 0


def test_the_new_version_is_what_the_path_names_now(upgradable: Callable[..., Upgradable], tmp_path: Path) -> None:
    releases = {name: tmp_path / name for name in ("one", "two")}
    for folder in releases.values():
        folder.mkdir()
        shutil.copy(BINARY, folder / "backline")
        (folder / "versioned.py").write_text(
            f"def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{folder.name}']\n"
        )
    current = tmp_path / "current"
    current.symlink_to(releases["one"])
    up = upgradable("versioned", "-w", "1", binary="./backline", cwd=current, env={"PWD": str(current)})
    assert up.server.get("/").text == "one"
    current.unlink()
    current.symlink_to(releases["two"])
    pid = up.upgrade()
    assert up.server.get("/").text == "two"
    assert os.readlink(f"/proc/{pid}/exe") == str(releases["two"] / "backline")
    (releases["two"] / "newer").write_bytes(BINARY.read_bytes())
    (releases["two"] / "newer").chmod(0o755)
    (releases["two"] / "newer").rename(releases["two"] / "backline")
    pid = up.upgrade()
    assert os.readlink(f"/proc/{pid}/exe") == str(releases["two"] / "backline"), "not the file that was replaced"


NEW = r"upgrade abandoned: the new process does not come up, this one goes on"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("code", r"NameError: name 'spoilt' is not defined"),
        ("settings", r"backline\.toml"),
        ("absent", r"no such file or directory"),
        ("text", r"exec format error"),
        ("ends", r"gave up before it served \(exit status 7\)"),
    ],
)
def test_what_does_not_come_up_changes_nothing(
    upgradable: Callable[..., Upgradable], tmp_path: Path, spoil: str, said: str
) -> None:
    binary = tmp_path / "backline"
    shutil.copy(BINARY, binary)
    shutil.copy(APPS / "supervised.py", tmp_path)
    up = upgradable("supervised", "-w", "2", "--log-level", "debug", binary=binary, cwd=tmp_path)
    workers, pid = all_up(up.server, 2), up.pid
    with load(up.server.connect):
        if spoil == "code":
            (tmp_path / "supervised.py").write_text("spoilt\n")
        elif spoil == "settings":
            (tmp_path / "backline.toml").write_text("worker = 3\n")
        else:
            binary.unlink()
            if text := {"text": "not a program", "ends": "#!/bin/sh\nexit 7\n"}.get(spoil):
                binary.write_text(text)
                binary.chmod(0o755)
        os.kill(pid, signal.SIGUSR2)
        line = up.server.wait_for(NEW)
        up.server.wait_for(said)
        assert " error " in line
        assert (up.pid, pids(up.server)) == (pid, workers)
        for name in ("backline.toml", "backline"):
            (tmp_path / name).unlink(missing_ok=True)
        shutil.copy(BINARY, binary)
        shutil.copy(APPS / "supervised.py", tmp_path)
        assert up.upgrade() != pid, "once it is mended, it comes up"


def test_what_the_settings_name_now_is_listened_on(upgradable: Callable[..., Upgradable], tmp_path: Path) -> None:
    settings = tmp_path / "backline.toml"
    kept, dropped, added = (tmp_path / f"{name}.sock" for name in ("kept", "dropped", "added"))
    settings.write_text(f'bind = ["unix:{kept}", "unix:{dropped}"]\n')
    shutil.copy(APPS / "supervised.py", tmp_path)
    up = upgradable("supervised", "-w", "1", bind="", wait=False, cwd=tmp_path)
    up.server.wait_for("ready in")
    up.server.path = str(dropped)
    assert up.server.get("/").status == 200
    settings.write_text(f'bind = ["unix:{kept}", "unix:{added}"]\n')
    up.upgrade()
    assert not dropped.exists()
    for path in (kept, added):
        up.server.path = str(path)
        assert up.server.get("/").status == 200


def test_an_upgrade_during_an_upgrade(upgradable: Callable[..., Upgradable], tmp_path: Path) -> None:
    up = slow_to_come_up(upgradable, tmp_path)
    os.kill(up.pid, signal.SIGUSR2)
    up.server.wait_for("upgrade: a new process comes up")
    os.kill(up.pid, signal.SIGUSR2)
    up.server.wait_for("an upgrade is under way already")
    (tmp_path / "gate").touch()
    up.server.wait_for(SERVES)
    assert up.server.wait() == 0
    assert up.server.count("a new process comes up") == 1


def test_a_stop_ends_the_new_process_too(upgradable: Callable[..., Upgradable], tmp_path: Path) -> None:
    up = slow_to_come_up(upgradable, tmp_path)
    os.kill(up.pid, signal.SIGUSR2)
    worker = int(up.server.get("/").text)
    eventually(lambda: len(pids(up.server)) == 2, "the new process beside the worker")
    (new,) = pids(up.server) - {worker}
    assert up.server.stop() == 0
    assert not alive(new)
    assert not (up.folder / "pid").exists()


def slow_to_come_up(upgradable: Callable[..., Upgradable], tmp_path: Path) -> Upgradable:
    """A server whose workers, but for its first ones, come up once the file ``gate`` is there."""
    (tmp_path / "slow.py").write_text(
        "import os, time\n"
        "if os.path.exists('first'):\n"
        "    while not os.path.exists('gate'):\n"
        "        time.sleep(0.01)\n"
        "open('first', 'w').close()\n"
        "from supervised import application\n"
    )
    return upgradable("slow", "-w", "1", "--pythonpath", str(APPS), cwd=tmp_path)


def test_signals_to_a_process_that_has_handed_over(upgradable: Callable[..., Upgradable]) -> None:
    up = upgradable("supervised", "-w", "1")
    with up.server.connect() as busy:
        busy.send_request("GET", "/nap/60")
        eventually(lambda: up.server.get("/").status == 200, "the request before it is under way")
        up.server.signal(signal.SIGUSR2)
        up.server.wait_for(SERVES)
        seen = len(up.server.lines)
        for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGTTIN):
            up.server.signal(number)
            up.server.wait_for("another process serves in the place of this one: send it the signal", after=seen)
            seen = len(up.server.lines)
        up.server.signal(signal.SIGQUIT)
        assert up.server.wait() == 0
    assert up.server.get("/").status == 200, "the new process is not concerned"


def test_every_pool_is_upgraded(upgradable: Callable[..., Upgradable], tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "backline.toml").write_text(
        f'pythonpath = ["{APPS}"]\nworkers = 1\n[pool.reports]\n[[route]]\npath = "/reports"\npool = "reports"\n'
    )
    here = upgradable("supervised", cwd=site)
    before = {path: here.server.get(path).text for path in ("/", "/reports")}
    here.upgrade()
    after = {path: here.server.get(path).text for path in ("/", "/reports")}
    assert len({*before.values(), *after.values()}) == 4
    here.stop()
