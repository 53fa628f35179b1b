"""A worker that is stuck in Python code for good: those who are served by the other one should not notice.

The one that is stuck gets a processor of its own, and everybody else, load included, shares one before and after. Else
it is the kernel that is measured: whoever wakes up where somebody keeps the processor busy waits for its tick, up to
4 ms, whatever the server does (on two processors p99 goes from 1.3 to 4.4 ms, for a program that has nothing to do with
the server too). Apart it goes from 1.7 to 1.6 ms, so the factor is stricter than the three that are promised.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import Client, Server, eventually
from processes import children, pin
from wrk import load
from wsgi_loops import GEVENT

pytestmark = [pytest.mark.load, pytest.mark.timeout(120)]

FACTOR = 2.0
TRIES = 3
SECONDS = 8


@contextmanager
def one_processor(server: Server) -> Iterator[set[int]]:
    """Has the server, its workers and the load that this process makes share a processor; gives the others."""
    mine = os.sched_getaffinity(0)
    shared = {min(mine)}
    for pid in (server.process.pid, *children(server)):
        pin(pid, shared)
    os.sched_setaffinity(0, shared)
    try:
        yield mine - shared or shared
    finally:
        os.sched_setaffinity(0, mine)


def ratio(serve: Callable[..., Server], app: str, flags: tuple[str, ...]) -> tuple[float, str]:
    """p99 with a stuck worker divided by p99 without, on the same server."""
    server = serve(app, "--workers", "2", "--timeout", "300", *flags)
    with one_processor(server) as others, server.connect() as stuck:
        load(server, seconds=1)
        healthy = load(server, seconds=SECONDS)
        stuck.send_request("GET", "/spin")
        (pid,) = re.findall(r"spinning in (\d+)", server.wait_for("spinning in"))
        pin(int(pid), others)
        troubled = load(server, seconds=SECONDS)
    server.kill()
    assert healthy.errors == troubled.errors == 0, (healthy, troubled)
    return troubled.p99 / healthy.p99, f"{healthy.p99:.2f} ms -> {troubled.p99:.2f} ms"


@pytest.mark.parametrize(
    ("app", "flags"),
    [
        pytest.param("under_load:wsgi", ("--threads", "1"), id="threads-1"),
        pytest.param("under_load:wsgi", ("--threads", "8"), id="threads-8"),
        pytest.param("under_load:wsgi", GEVENT, id="gevent"),
        pytest.param("under_load:asgi", (), id="asyncio"),
    ],
)
def test_stuck_worker_leaves_others_p99_within_3_x(
    serve: Callable[..., Server], app: str, flags: tuple[str, ...]
) -> None:
    seen: list[tuple[float, str]] = []
    # The machine may have something else to do during one of the two loads: the best of three tries counts.
    while len(seen) < TRIES and (not seen or min(seen)[0] > FACTOR):
        seen.append(ratio(serve, app, flags))
    assert min(seen)[0] <= FACTOR, seen


@pytest.mark.parametrize(
    ("app", "flags"),
    [pytest.param("under_load:asgi", (), id="asyncio"), pytest.param("under_load:wsgi", GEVENT, id="gevent")],
)
def test_stuck_loop_gives_back_what_it_has_not_begun(
    serve: Callable[..., Server], app: str, flags: tuple[str, ...]
) -> None:
    """Until it is known that a loop does not turn, requests are sent to it. Another worker answers them."""
    server = serve(app, "--workers", "2", "--timeout", "300", *flags)
    clients: list[Client] = [server.connect() for _ in range(64)]
    with server.connect() as stuck:
        stuck.send_request("GET", "/spin")
        server.wait_for("spinning in")
        for client in clients:
            client.send_request("GET", "/")
        for client in clients:
            assert client.answer().status == 200
            client.close()


@pytest.mark.parametrize(
    ("app", "flags"),
    [pytest.param("counted:asgi", (), id="asyncio"), pytest.param("counted:wsgi", GEVENT, id="gevent")],
)
def test_what_was_given_back_is_not_run_when_the_loop_turns_again(
    serve: Callable[..., Server], tmp_path: Path, app: str, flags: tuple[str, ...]
) -> None:
    server = serve(app, "--workers", "2", *flags, env={"COUNTS": str(tmp_path)})

    def entered() -> int:
        return sum(n for file in tmp_path.iterdir() for (n,) in struct.iter_unpack("=Q", file.read_bytes()))

    clients: list[Client] = [server.connect() for _ in range(64)]
    with server.connect() as napping:
        napping.send_request("GET", "/nap")
        eventually(entered, "the nap")
        for client in clients:
            client.send_request("GET", "/")
        for client in (*clients, napping):
            assert client.answer().status == 200
            client.close()
    assert entered() == 65
