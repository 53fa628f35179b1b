"""Many connections: idle ones cost little and are in nobody's way, busy ones get what the threads can give."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from crowds import allow
from harness import Client, Server
from processes import resident
from wrk import load
from wsgi_loops import GEVENT

pytestmark = [pytest.mark.load, pytest.mark.timeout(120)]

IDLE = 5_000
MEGABYTE = 1_000_000


def ask(client: Client) -> None:
    answer = client.request("GET", "/")
    assert (answer.status, answer.body) == (200, b"ok\n"), answer


@pytest.mark.parametrize("app", ["under_load:wsgi", "under_load:asgi"])
def test_5000_idle_connections_are_cheap_and_limit_nobody(serve: Callable[..., Server], app: str) -> None:
    allow(2 * IDLE)
    server = serve(app, "--workers", "1")
    load(server, seconds=1)  # what the first requests allocate for good
    before = resident(server.process.pid)
    clients = [server.connect() for _ in range(IDLE)]
    try:
        for client in clients:
            ask(client)
        grown = resident(server.process.pid) - before
        assert grown < 25 * MEGABYTE, f"{grown / MEGABYTE:.1f} MB"
        busy = load(server, seconds=2)
        assert busy.errors == 0 and busy.rate > 1_000, busy
        for client in clients:
            ask(client)
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize("flags", [("--threads", "64"), GEVENT], ids=["threads", "gevent"])
def test_64_requests_sleep_at_once(serve: Callable[..., Server], flags: tuple[str, ...]) -> None:
    """The ideal is 640 requests/s; the exact figure is the benchmark's business."""
    server = serve("under_load:wsgi", "--workers", "1", *flags)
    rate = max(load(server, "/sleep", seconds=3).rate for _ in range(2))
    assert rate > 500, rate
