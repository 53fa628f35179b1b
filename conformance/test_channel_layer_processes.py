"""Channels and groups across processes: workers of every kind, scripts, forks, deaths and restarts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from databases import redis
from harness import APPS, PATIENCE, ROOT, STATE, Server, eventually, in_parallel
from outside import channels, connection, fresh, wire
from sockets import connect

SITE = {"Origin": "http://testserver"}
LAYER = {"LAYER": "backline.layer.BacklineChannelLayer"}


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """A server which this process, as a script, has channels of."""
    path = tmp_path / "s"
    monkeypatch.setenv("BACKLINE_SOCKET", str(path))
    with ExitStack() as stack:

        def begin(app: str = "layer_members:app", *flags: str, **kwargs: Any) -> Server:
            return stack.enter_context(Server(app, "--control-socket", str(path), *flags, **kwargs))

        yield begin
    fresh()  # the next test's server is another one


def ask(server: Server, target: str) -> tuple[int, Any]:
    answer = server.get(f"/{target}")
    assert answer.status == 200, server.log
    pid, value = json.loads(answer.body)
    return pid, value


def join_each(server: Server, group: str, workers: int) -> dict[int, str]:
    """A member in every worker."""
    found: dict[int, str] = {}

    def joined() -> bool:
        found.update(in_parallel(8, lambda n: ask(server, f"join/{group}/m{n}")))  # type: ignore[arg-type]
        return len(found) == workers

    eventually(joined, f"members in {workers} workers")
    return found


@pytest.mark.parametrize("kind", [("--threads", "4"), ("-k", "gevent"), ("--preload", "--threads", "4")], ids="-".join)
def test_groups_of_several_workers(start: Callable[..., Server], kind: tuple[str, ...]) -> None:
    server = start("layer_members:app", "--workers", "2", *kind)
    join_each(server, "room", 2)
    mine = channels.new_channel()
    channels.group_add("room", mine)
    for n, action in enumerate(("say", "django_says", "forked")):
        _, said = ask(server, f"{action}/room/{n}")
        assert said in ("said", 0), server.log
        assert channels.receive(mine, timeout=PATIENCE) == {"text": str(n)}
    in_parallel(8, lambda n: ask(server, f"django_says/room/{n}"))
    assert sorted(channels.receive(mine, timeout=PATIENCE)["text"] for _ in range(8)) == list("01234567")


def test_consumers_of_several_workers(start: Callable[..., Server]) -> None:
    server = start("asgi_channels:app", "--workers", "2", env=LAYER)
    with ExitStack() as stack:
        sockets = [stack.enter_context(connect(server, "/room/layer", SITE)) for _ in range(6)]
        sockets[0].send('{"text": "hello"}')
        assert [json.loads(each.message()) for each in sockets] == [{"text": "hello"}] * 6
        assert server.get("/announce/layer?text=from+a+view").text == "announced"
        channels.group_send("room-layer", {"type": "chat.message", "text": "from a script"})
        for text in ("from a view", "from a script"):
            assert [json.loads(each.message()) for each in sockets] == [{"text": text}] * 6


def test_a_consumer_that_fails_leaves_its_groups(start: Callable[..., Server]) -> None:
    server = start("asgi_channels:app", "--workers", "1", env=LAYER)

    def memberships() -> Any:
        return json.loads(server.get("/memberships").body)

    with connect(server, "/fails", SITE) as socket:
        assert memberships() == ["fragile"]
        socket.send("x")
        socket.closed()
        eventually(lambda: memberships() == [], "it has left the group")


def test_a_management_command_of_a_folder(start: Callable[..., Server], tmp_path: Path) -> None:
    """It finds the server of its folder without being told where its socket is."""
    server = start("layer_members:app", "--control-socket", "")
    _, name = ask(server, "join/room/x")
    code = (
        "from asgiref.sync import async_to_sync; from backline.layer import BacklineChannelLayer\n"
        "async_to_sync(BacklineChannelLayer().group_send)('room', {'text': 'command'})"
    )
    environ = {key: value for key, value in os.environ.items() if key != "BACKLINE_SOCKET"}
    environ |= {"PYTHONPATH": str(ROOT / "python"), "PYTHONDONTWRITEBYTECODE": "1", "XDG_STATE_HOME": STATE.name}
    subprocess.run([sys.executable, "-c", code], cwd=APPS, env=environ, check=True, timeout=PATIENCE)
    assert ask(server, f"receive/10/{name}")[1] == {"text": "command"}


def test_without_a_control_socket_workers_have_channels(start: Callable[..., Server]) -> None:
    server = start("layer_members:app", "--control-socket", "off", "--workers", "2")
    members = join_each(server, "room", 2)
    ask(server, "say/room/hello")
    for channel in members.values():
        assert ask_owner(server, channel) == {"text": "hello"}


def ask_owner(server: Server, channel: str) -> Any:
    """From the worker that has the channel: the other one answers 500. Several at once, so that both are asked."""

    def one(_: int) -> Any:
        answer = server.get(f"/receive/0.2/{channel}")
        return json.loads(answer.body)[1] if answer.status == 200 else None

    return eventually(lambda: next((each for each in in_parallel(6, one) if each), None), "the owner answers")


def test_memberships_end_with_a_killed_worker(start: Callable[..., Server]) -> None:
    server = start("layer_members:app", "--workers", "2", "--worker-class", "threads")
    members = join_each(server, "room", 2)
    victim, channel = next(iter(members.items()))
    os.kill(victim, signal.SIGKILL)
    server.wait_for("worker died")
    # Whoever sends to what has gone is told nothing, and does not wait.
    channels.send(channel, {"n": 1})
    channels.group_send("room", {"text": "still"})
    survivor = next(each for pid, each in members.items() if pid != victim)
    assert ask_owner(server, survivor) == {"text": "still"}
    channels.send(survivor, {"text": "direct"})
    assert ask_owner(server, survivor) == {"text": "direct"}


def test_at_most_once_under_kill(start: Callable[..., Server]) -> None:
    """Workers that take from one channel are killed one after the other; nothing comes twice."""
    server = start("layer_members:app", "--workers", "2", "--threads", "4")
    got: list[int] = []

    def consume(_: int) -> None:
        while True:
            try:
                answer = server.get("/receive/10/jobs")
            except OSError:
                continue
            if answer.status != 200:
                continue
            message = json.loads(answer.body)[1]
            if message is None or message["n"] < 0:
                return
            got.append(message["n"])

    def produce(_: int) -> None:
        for n in [*range(300), -1, -1, -1, -1]:
            eventually(lambda n=n: sent(n), "there is room")  # type: ignore[misc]
            if n in (100, 200):
                os.kill(ask(server, "join/x/y")[0], signal.SIGKILL)

    def sent(n: int) -> bool:
        try:
            channels.send("jobs", {"n": n})
        except channels.ChannelFull:
            return False
        return True

    in_parallel(5, lambda n: (produce if n == 4 else consume)(n))
    assert len(got) == len(set(got)), sorted(got)
    assert len(got) > 250


def test_a_script_goes_on_after_a_restart(start: Callable[..., Server]) -> None:
    server = start()
    name = channels.new_channel()
    channels.group_add("room", name)
    with pytest.raises(TimeoutError):
        channels.receive("thumbs", timeout=0.05)
    server.stop()
    with pytest.raises(ConnectionError):
        channels.group_send("room", {})
    server = start()

    def again() -> bool:
        ask(server, "say/room/hello")
        try:
            return bool(channels.receive(name, timeout=0.2))
        except TimeoutError:
            return False

    eventually(again, "the membership is back")
    channels.send("thumbs", {"n": 1})
    assert channels.receive("thumbs", timeout=PATIENCE) == {"n": 1}


def test_a_fork_has_channels_of_its_own(start: Callable[..., Server]) -> None:
    start()
    mine = channels.new_channel()
    channels.group_add("room", mine)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            theirs = channels.new_channel()
            channels.group_add("room", theirs)
            channels.group_send("room", {"other": theirs})
            assert channels.receive(theirs, timeout=PATIENCE) == {"other": theirs}
            assert theirs.split("!")[0] != mine.split("!")[0]
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert channels.receive(mine, timeout=PATIENCE)["other"] != mine
    channels.group_send("room", {"n": 1})
    assert channels.receive(mine, timeout=PATIENCE) == {"n": 1}


def test_threads_and_loops_at_once(start: Callable[..., Server]) -> None:
    start()
    names = [channels.new_channel() for _ in range(6)]
    for each in names:
        channels.group_add("room", each)

    def read(n: int) -> list[int]:
        async def all_of_them() -> list[int]:
            return [(await channels.areceive(names[n]))["n"] for _ in range(50)]

        if n == 6:
            for number in range(50):
                channels.group_send("room", {"n": number})
            return list(range(50))
        if n % 2:
            return asyncio.run(all_of_them())
        return [channels.receive(names[n], timeout=PATIENCE)["n"] for _ in range(50)]

    assert in_parallel(7, read) == [list(range(50))] * 7


def test_a_slow_process_is_dropped_for_and_counted(start: Callable[..., Server]) -> None:
    server = start("layer_members:app", "--channel-window", "64KiB")
    name = channels.new_channel()
    channels.group_add("room", name)
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(os.environ["BACKLINE_SOCKET"])
    with sock:
        sock.sendall(connection._REQUEST)
        sock.settimeout(PATIENCE)
        sock.sendall(wire.encode([(wire.ATTACH, 1, "slow"), (wire.JOIN, 2, "room")]))
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(1)
        decoder, told = wire.Decoder(), []
        while (wire.VERDICT, 2, wire.VERDICT_DONE, 0) not in told:
            told += decoder.feed(sock.recv(4096))
        # From now on it reads nothing, and the others lose nothing.
        for n in range(40):
            channels.group_send("room", {"n": n, "text": "x" * 50_000})
            assert channels.receive(name, timeout=PATIENCE)["n"] == n
    server.wait_for("messages to groups are dropped: a process does not read them")


def test_runworker(start: Callable[..., Server]) -> None:
    """Channels' own command, unchanged, beside the server: what was sent before it came is done too."""
    start()
    mine = channels.new_channel()
    channels.group_add("made", mine)
    for n in range(5):
        channels.send("thumbs", {"type": "make", "picture": n})
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", "import thumbs; thumbs.main()"]
    with subprocess.Popen(command, cwd=APPS, env=environ) as worker:
        try:
            made = [channels.receive(mine, timeout=PATIENCE) for _ in range(5)]
            channels.send("thumbs", {"type": "make", "picture": 5})
            made.append(channels.receive(mine, timeout=PATIENCE))
        finally:
            worker.terminate()
    assert sorted(each["thumb"] for each in made) == list(range(6))
    assert {each["pid"] for each in made} == {worker.pid}


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with redis() as port:
        yield f"redis://127.0.0.1:{port}/0"


@pytest.mark.parametrize(
    ("pool", "task"),
    # asgiref runs no event loops in greenlets that are beside each other, whatever the layer is.
    [("prefork", "announce"), ("threads", "announce"), ("solo", "announce"), ("gevent", "plainly")],
)
def test_a_task_of_celery(start: Callable[..., Server], broker: str, pool: str, task: str) -> None:
    """In a worker that the server knows nothing of: the channel layer was made before it forked."""
    start()
    mine = channels.new_channel()
    channels.group_add("room", mine)
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "PYTHONDONTWRITEBYTECODE": "1", "BROKER": broker}
    celery = [sys.executable, "-m", "celery", "-A", "celery_tasks"]
    flags = ["worker", "--pool", pool, "--concurrency", "2", "--loglevel", "WARNING", "--queues", pool]
    with subprocess.Popen([*celery, *flags], cwd=APPS, env=environ) as worker:
        try:
            calls = f"import celery_tasks as c; [c.{task}.apply_async(('room', n), queue={pool!r}) for n in range(4)]"
            subprocess.run([sys.executable, "-c", calls], cwd=APPS, env=environ, check=True, timeout=PATIENCE)
            found = [channels.receive(mine, timeout=2 * PATIENCE) for _ in range(4)]
        finally:
            worker.terminate()
    assert sorted(each["text"] for each in found) == list(range(4))
    if pool == "prefork":
        assert worker.pid not in {each["pid"] for each in found}
