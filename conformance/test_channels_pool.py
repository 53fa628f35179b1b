"""Pools that work channels off: applications called as `manage.py runworker` does, under supervision."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from harness import APPS, BINARY, PATIENCE, Server, eventually
from outside import channels, fresh

SITE = """
pythonpath = [APPS]
workers = 1

[pool.thumbs]
app = "works_off:app"
channels = ["thumbs", "thumbs.*"]
"""


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """A server of a folder, which this process, as a script, has channels of."""
    path = tmp_path / "s"
    monkeypatch.setenv("BACKLINE_SOCKET", str(path))
    with ExitStack() as stack:

        def begin(more: str = "", *flags: str, site: str = SITE) -> Server:
            folder(tmp_path, site + more)
            return stack.enter_context(Server("wsgi_http:app", "--control-socket", str(path), *flags, cwd=tmp_path))

        yield begin
    fresh()  # the next test's server is another one


def folder(path: Path, text: str) -> None:
    (path / "backline.toml").write_text(text.replace("APPS", json.dumps(str(APPS))))


class Made:
    """What the workers say that they have made."""

    def __init__(self) -> None:
        self._channel = channels.new_channel()
        channels.group_add("made", self._channel)

    def next(self) -> dict[str, Any]:
        return channels.receive(self._channel, timeout=PATIENCE)

    def several(self, count: int) -> list[dict[str, Any]]:
        return [self.next() for _ in range(count)]


def send(channel: str, n: int = 0, kind: str = "make", **more: Any) -> None:
    channels.send(channel, {"type": kind, "n": n, **more})


def command(folder: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [BINARY, *arguments], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_messages_are_worked_off(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start()
    assert re.search(r"thumbs +works_off:app \(ASGI.*1 worker, for the channels thumbs, thumbs\.\*", server.log)
    assert "no route leads to a pool" not in server.log
    made = Made()
    for n, name in enumerate(("thumbs", "thumbs", "thumbs.big", "thumbs.small", "thumbs.big")):
        send(name, n)
    done = sorted(made.several(5), key=lambda each: int(each["n"]))
    assert [each["channel"] for each in done] == ["thumbs", "thumbs", "thumbs.big", "thumbs.small", "thumbs.big"]
    # One instance for each channel, which stays.
    assert [each["count"] for each in done] == [1, 2, 1, 1, 2]
    assert server.get("/").status == 200, "the other pool answers"
    status, listing = command(tmp_path, "ps", "--socket", str(tmp_path / "s"))
    assert status == 0 and "the pool thumbs works the channels thumbs, thumbs.* off" in listing, listing
    assert re.search(r"thumbs\.1 +\d+ +up +asyncio", listing), listing
    assert server.stop() == 0
    assert "lost" not in server.log


def test_what_waited_before_is_worked_off(start: Callable[..., Server], tmp_path: Path) -> None:
    """Messages that were sent while no worker was up, and by name as well as by pattern."""
    server = start("worker_connections = 1\n")
    made = Made()
    send("thumbs.a", 0, "hold", until="go")
    assert made.next()["holds"]
    for n in range(1, 7):
        send(f"thumbs.{'bcd'[n % 3]}", n)
    send("thumbs", 7)
    assert made.next()["n"] == 7, "a channel by name has places of its own"
    os.kill(worker(server, tmp_path), signal.SIGKILL)
    # The one that was worked on has gone with the worker; what it had no place for had never left the server.
    assert sorted(each["n"] for each in made.several(6)) == [1, 2, 3, 4, 5, 6]
    send("thumbs.a", 8)
    assert made.next()["n"] == 8


def worker(server: Server, folder: Path) -> int:
    status, listing = command(folder, "ps", "--json", "--socket", str(folder / "s"))
    assert status == 0, listing
    pools = {each["name"]: each for each in json.loads(listing)["pools"]}
    assert pools["thumbs"]["channels"] == ["thumbs", "thumbs.*"]
    return int(pools["thumbs"]["workers"][0]["pid"])


def test_workers_share(start: Callable[..., Server]) -> None:
    start("workers = 2\n")
    made = Made()

    def both() -> bool:
        for n in range(20):
            send(f"thumbs.{n}", n)
        return len({each["pid"] for each in made.several(20)}) == 2

    eventually(both, "both workers work")


def test_failures_concern_one_instance(start: Callable[..., Server]) -> None:
    server = start()
    made = Made()
    send("thumbs.a", 0)
    assert made.next()["count"] == 1
    for n, kind in enumerate(("fail", "make", "end", "make", "send", "make")):
        send("thumbs.a", n, kind)
    assert [(each["n"], each["count"]) for each in made.several(3)] == [(1, 1), (3, 1), (5, 1)]
    assert server.wait_for("error while working the channel thumbs.a off")
    assert server.wait_for("ZeroDivisionError: while a message was worked off")
    assert server.wait_for("RuntimeError: ASGI: .*has no client")
    assert "worker died" not in server.log and "worker ended" not in server.log


def test_instances_are_bounded(start: Callable[..., Server]) -> None:
    start("preload = true\n")
    made = Made()
    for n in range(1001):
        send(f"thumbs.{n}", n)
        assert made.next()["count"] == 1
    send("thumbs.1000", 0)
    send("thumbs.0", 0)
    again = {each["channel"]: each["count"] for each in made.several(2)}
    assert again == {"thumbs.1000": 2, "thumbs.0": 1}, "the one that has been idle longest has ended"


def test_reload_finishes_and_hands_on(start: Callable[..., Server]) -> None:
    server = start()
    made = Made()
    send("thumbs.slow", 0, "hold", until="go")
    old = made.next()["pid"]
    for n in (1, 2, 3):
        send("thumbs.slow", n)  # they wait in the worker behind that one
    server.signal(signal.SIGHUP)
    # The new worker gets them, while the old one finishes what it has begun.
    passed = made.several(3)
    assert sorted(each["n"] for each in passed) == [1, 2, 3]
    assert old not in {each["pid"] for each in passed}
    send("go")
    last = made.next()
    assert (last["n"], last["pid"]) == (0, old)
    server.wait_for("worker ended .*reason=reloaded")
    assert "lost" not in server.log


def test_what_takes_too_long_is_lost(start: Callable[..., Server]) -> None:
    server = start('graceful_timeout = "100ms"\n')
    made = Made()
    send("thumbs", 0, "hold", until="never")
    assert made.next()["holds"]
    assert server.stop() == 0
    assert "messages of channels are worked on after the graceful timeout; 1 are lost" in server.log


def test_consumers_of_channels(start: Callable[..., Server]) -> None:
    """A Django project with Channels: the pool of --channels runs the application of --websocket."""
    server = start("", "--websocket", "thumbs:app", "--channels", "thumbs", site="pythonpath = [APPS]\nworkers = 1\n")
    assert re.search(r"channels +thumbs:app .*for the channels thumbs\n", server.log), server.log
    made = Made()
    for n in range(5):
        channels.send("thumbs", {"type": "make", "picture": n})
    assert [each["thumb"] for each in made.several(5)] == [0, 1, 2, 3, 4]
    channels.send("thumbs", {"type": "unknown"})
    server.wait_for("No handler for message type unknown")
    channels.send("thumbs", {"type": "make", "picture": 5})
    assert made.next()["thumb"] == 5


@pytest.mark.parametrize(
    ("site", "status", "says"),
    [
        (SITE, 0, "works_off:app starts"),
        (
            SITE + '[[route]]\npath = "/t"\npool = "thumbs"\n',
            2,
            "the pool thumbs has messages of channels, which no route leads to",
        ),
        (SITE.replace("works_off:app", "layer_members:app"), 3, "ASGI"),
        (SITE.replace('"thumbs", ', '"a!b", '), 2, '"a!b" is no name of a channel'),
        (SITE.replace("works_off:app", "asgi_channels:app"), 0, 'its ProtocolTypeRouter has no entry "channel"'),
    ],
)
def test_check(tmp_path: Path, site: str, status: int, says: str) -> None:
    folder(tmp_path, site)
    got, output = command(tmp_path, "check", "wsgi_http:app", "--python", sys.executable)
    assert (got, says in output) == (status, True), output
