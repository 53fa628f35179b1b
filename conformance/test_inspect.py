"""What people are told of a running server: backline ps, stacks and profile, and how the commands find it."""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from commands import ask, backline, worker
from harness import APPS, ROOT, Client, Server, eventually

Serve = Callable[..., Server]

LOOPS = {
    "threads": ("stalls:wsgi", "--threads", "4"),
    "asyncio": ("stalls:asgi",),
    "gevent": ("stalls:wsgi", "-k", "gevent"),
}
UNITS = {"threads": "thread", "asyncio": "task", "gevent": "greenlet"}
WAITING = {"threads": "/block", "asyncio": "/wait", "gevent": "/block"}  # a request that waits and holds nobody up


@contextmanager
def waiting(serve: Serve, tmp_path: Path, loop: str, count: int = 2) -> Iterator[tuple[Server, list[Client]]]:
    """A server with requests in flight that wait."""
    gate = tmp_path / "gate"
    server = serve(*LOOPS[loop], "-w", "1", env={"GATE": str(gate)})
    clients = [server.connect() for _ in range(count)]
    for client in clients:
        client.send_request("GET", f"{WAITING[loop]}?secret=\x1b[2J".replace("\x1b", "%1b"))
    eventually(lambda: worker(server)["in_flight"] == count, "all requests")
    yield server, clients
    gate.touch()
    for client in clients:
        assert client.answer().status == 200
        client.close()
    eventually(lambda: worker(server)["served"] >= count, "all are served")


@pytest.mark.parametrize("loop", LOOPS)
def test_ps(serve: Serve, tmp_path: Path, loop: str) -> None:
    with waiting(serve, tmp_path, loop) as (server, _):
        said = worker(server)
        assert (said["name"], said["state"], said["loop"], said["served"]) == ("web.1", "up", loop, 0)
        assert said["memory"] > 1 << 20
        assert [request["state"] for request in said["requests"]] == ["running", "running"]
        assert said["requests"][0]["age"] >= said["requests"][1]["age"] > 0
        text = backline("ps", "--pid", str(server.process.pid)).out
        assert re.search(
            rf"pid {server.process.pid}, up, started .* in .*apps, on http://127.0.0.1:{server.port}", text
        )
        assert re.search(rf"web\.1 +{said['pid']} +up +{loop} +[\d.]+ s +[\d.]+ MiB +0 +2 of ", text)
        assert len(re.findall(rf"web\.1 +[\d.]+ s +running +GET +{WAITING[loop]}\?secret=%1b\[2J\n", text)) == 2
        one = backline("ps", "--pid", str(server.process.pid), "--requests", "1").out
        assert "and 1 more" in one


def test_ps_of_what_waits_for_a_worker(serve: Serve, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    server = serve("stalls:wsgi", "-w", "1", "--threads", "1", env={"GATE": str(gate)})
    with server.connect() as running, server.connect() as queued:
        running.send_request("GET", "/block/1")
        eventually(lambda: worker(server)["in_flight"] == 1, "the first request")
        queued.send_request("POST", "/block/2", {"Content-Length": "0"})
        eventually(lambda: ask(server, "ps")["pools"][0]["waiting"]["count"] == 1, "one that waits")
        text = backline("ps", "--pid", str(server.process.pid)).out
        assert re.search(r"queue +[\d.]+ s +waiting +POST +/block/2\n", text)
        assert re.search(r"1 request waits for a worker of the pool web, the oldest for [\d.]+ s", text)
        gate.touch()
        assert running.answer().status == queued.answer().status == 200


@pytest.mark.parametrize("loop", LOOPS)
def test_stacks(serve: Serve, tmp_path: Path, loop: str) -> None:
    with waiting(serve, tmp_path, loop) as (server, _):
        pid = str(server.process.pid)
        text = backline("stacks", "--pid", pid).out
        head, _, stack = text.partition(f"\n{UNITS[loop]} ")
        assert head.startswith(f"web.1, pid {worker(server)['pid']}")
        name = "in patient_call" if loop == "asyncio" else "in blocking_call"
        of_one = stack[: stack.index(name)]
        assert f"for GET {WAITING[loop]}?secret=%1b[2J, running, " in of_one
        assert "/backline/" not in of_one and "threading.py" not in of_one
        assert backline("stacks", "web.1", "--pid", pid).out.splitlines()[0] == head.splitlines()[0]
        wrong = backline("stacks", "web.7", "--pid", pid, status=2)
        assert 'there is no worker "web.7"' in wrong.err and "there is web.1" in wrong.err


def check_speedscope(file: dict[str, Any]) -> None:
    """By the rules of the format (speedscope's file-format-spec.ts)."""
    assert file["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = file["shared"]["frames"]
    for frame in frames:
        assert isinstance(frame["name"], str) and set(frame) <= {"name", "file", "line", "col"}
        assert isinstance(frame.get("file", ""), str) and isinstance(frame.get("line", 0), int)
    assert 0 <= file["activeProfileIndex"] < len(file["profiles"])
    assert set(file) <= {"$schema", "shared", "profiles", "name", "activeProfileIndex", "exporter"}
    for profile in file["profiles"]:
        assert set(profile) == {"type", "name", "unit", "startValue", "endValue", "samples", "weights"}
        assert (profile["type"], profile["unit"]) == ("sampled", "seconds")
        assert len(profile["samples"]) == len(profile["weights"])
        assert all(0 <= frame < len(frames) for sample in profile["samples"] for frame in sample)
        assert all(weight >= 0 for weight in profile["weights"])
        assert profile["endValue"] - profile["startValue"] == pytest.approx(sum(profile["weights"]))


@pytest.mark.parametrize("loop", LOOPS)
def test_profile(serve: Serve, tmp_path: Path, loop: str) -> None:
    with waiting(serve, tmp_path, loop) as (server, _), server.connect() as client:
        file = tmp_path / "out.json"
        client.send_request("GET", "/spin")
        said = backline("profile", "--pid", str(server.process.pid), "--seconds", "0.5", "-o", str(file)).out
        assert client.answer().status == 200
    assert re.search(r"web\.1: \d+ samples in [\d.]+ s, which took [\d.]+ % of a processor", said)
    assert f"Written to {file}: open https://www.speedscope.app" in said
    profile = json.loads(file.read_text())
    check_speedscope(profile)
    shown = profile["profiles"][profile["activeProfileIndex"]]
    names = [frame["name"] for frame in profile["shared"]["frames"]]
    busiest = max(zip(shown["weights"], shown["samples"], strict=True))[1]
    assert "burn" in names
    assert not {"_bootstrap", "serve", "run_forever"} & {names[frame] for frame in busiest}
    waits = "patient_call" if loop == "asyncio" else "blocking_call"
    assert any(waits == names[frame] for each in profile["profiles"] for one in each["samples"] for frame in one)


def test_profiles_that_cannot_be(serve: Serve, tmp_path: Path) -> None:
    server = serve("stalls:wsgi", "-w", "1")
    pid = str(server.process.pid)
    for words, want in {
        ("--seconds", "0"): "expected more than 0 and at most 10m",
        ("--rate", "5000"): "expected 1 to 1000",
        ("-o", "/no/such/folder/x"): "name another file with -o",
        ("web.9", "-o", str(tmp_path / "x")): "there is no worker",
    }.items():
        assert want in backline("profile", "--pid", pid, *words, status=2).err
    assert not (tmp_path / "x").exists(), "a file without a profile is left"


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for sockets: those of pytest may be too deep."""
    with tempfile.TemporaryDirectory(prefix="backline-") as folder:
        yield Path(folder)


def test_the_server_of_the_folder(serve: Serve, tmp_path: Path, short: Path) -> None:
    home = {"XDG_STATE_HOME": str(short)}
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    none = backline("ps", cwd=here, env=home, status=2)
    assert "no server runs that has a socket in" in none.err and "--socket" in none.err

    def one(folder: Path) -> Server:
        return serve("stalls:wsgi", "-w", "1", "--pythonpath", str(APPS), cwd=folder, env=home)

    def pid(folder: Path, *words: str, **options: Any) -> int:
        return int(json.loads(backline("ps", "--json", *words, cwd=folder, env={**home, **options}).out)["pid"])

    first = one(here)
    assert pid(here) == pid(there) == first.process.pid, "the only one there is"
    second = one(there)
    assert (pid(here), pid(there)) == (first.process.pid, second.process.pid)
    several = backline("ps", cwd=tmp_path, env=home, status=2).err
    assert (
        "2 servers of " in several and f"pid {first.process.pid}" in several and f"pid {second.process.pid}" in several
    )
    socket = re.findall(r"--socket (\S+)", several)[0]
    assert pid(tmp_path, "--socket", socket) in (first.process.pid, second.process.pid)
    assert pid(tmp_path, BACKLINE_SOCKET=socket) in (first.process.pid, second.process.pid)
    (tmp_path / "pid").write_text(f"{second.process.pid}\n")
    assert pid(here, "--pid", str(tmp_path / "pid")) == second.process.pid

    second.kill()  # which leaves its socket
    assert pid(there) == first.process.pid
    third = one(there)
    assert pid(there) == third.process.pid
    third.stop()
    first.stop()
    left = list((short / "backline" / "control").iterdir())
    assert left == [], "sockets are removed"


def test_a_socket_of_its_own(serve: Serve, short: Path) -> None:
    path = short / "own.sock"
    server = serve("stalls:wsgi", "-w", "1", "--control-socket", str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(backline("ps", "--json", "--socket", str(path)).out)["pid"] == server.process.pid
    server.stop()
    assert not path.exists()
    assert f"there is no socket {path}" in backline("ps", "--socket", str(path), status=2).err


def test_off(serve: Serve) -> None:
    server = serve("stalls:wsgi", "-w", "1", "--control-socket", "off")
    assert "no server with the process number" in backline("ps", "--pid", str(server.process.pid), status=2).err


def test_a_server_without_a_place_for_it_serves(serve: Serve) -> None:
    server = serve("stalls:wsgi", "-w", "1", "--control-socket", "/no/such/folder/x.sock")
    server.wait_for("backline ps, stacks and profile cannot reach this server")
    assert server.get("/").status == 200


def test_after_an_upgrade_the_new_process_answers(serve: Serve, short: Path) -> None:
    path = short / "up.sock"
    server = serve("stalls:wsgi", "-w", "1", "--control-socket", str(path))

    def pid() -> int:
        return int(json.loads(backline("ps", "--json", "--socket", str(path)).out)["pid"])

    old = pid()
    server.signal(signal.SIGUSR2)
    server.wait_for("upgrade: a new process serves")
    server.wait()
    new = pid()
    assert new != old == server.process.pid
    os.kill(new, signal.SIGTERM)
    eventually(lambda: not path.exists(), "the end of the new one")


def test_the_page_about_it(serve: Serve, tmp_path: Path) -> None:
    """docs/finding-what-blocks.md shows commands that work, and what they print."""
    page = (ROOT / "docs" / "finding-what-blocks.md").read_text(encoding="utf-8")
    commands = re.findall(r"\$ backline ([a-z]+(?: [^`\n]+)?)", page)
    assert len(commands) >= 5
    server = serve("stalls:wsgi", "-w", "1")
    printed = ""
    for command in commands:
        words = command.replace("--seconds 10", "--seconds 0.1").replace("out.json", str(tmp_path / "out.json")).split()
        printed += backline(*words, "--pid", str(server.process.pid)).out
    for line in ("WORKER", "Written to"):
        (shown,) = (each for each in page.splitlines() if each.startswith(line))
        (real,) = {" ".join(each.split()) for each in printed.splitlines() if each.startswith(line)}
        paths = r"/\S+/out\.json"
        assert re.sub(paths, "", " ".join(shown.split())) == re.sub(paths, "", real)
