"""Synchronous code that waits, for databases and other services, 200 requests at once in one worker process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import databases
import pytest
from harness import PATIENCE, Client, Server
from wsgi_loops import GEVENT

pytestmark = pytest.mark.load

REQUESTS = 200
LIMIT = 1.5  # seconds for all of them, when each waits one
TRIES = 6

LOOPS = [pytest.param(GEVENT, id="gevent"), pytest.param(("--threads", str(REQUESTS)), id="threads200")]
WAYS = {
    "psycopg2": "POSTGRES", "psycopg": "POSTGRES", "pymysql": "MARIADB", "redis": "REDIS", "requests": "UPSTREAM",
    "http.client": "UPSTREAM", "sleep": "",
}  # fmt: skip


class Upstream:
    """An HTTP server that answers after as many seconds as the path says."""

    def __init__(self) -> None:
        self.port = 0
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._started.wait(PATIENCE)

    async def _run(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=2 * REQUESTS)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._ended.wait()
        server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(float(head.split()[1][1:]))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
        except asyncio.IncompleteReadError:
            writer.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(PATIENCE)


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    server = Upstream()
    yield str(server.port)
    server.stop()


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with databases.postgres() as dsn:
        yield dsn


@pytest.fixture(scope="module")
def mariadb() -> Iterator[str]:
    with databases.mariadb() as port:
        yield str(port)


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with databases.redis() as port:
        yield str(port)


def all_at_once(clients: list[Client], target: str) -> float:
    """How long it takes until all have their answers."""
    began = time.monotonic()
    for client in clients:
        client.send_request("GET", target)
    for client in clients:
        answer = client.answer()
        assert (answer.status, answer.text) == (200, target.split("/")[1]), answer
    return time.monotonic() - began


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("flags", LOOPS)
def test_200_requests_wait_a_second_at_the_same_time(
    serve: Callable[..., Server], request: pytest.FixtureRequest, flags: tuple[str, ...], way: str
) -> None:
    service = WAYS[way]
    env = {service: request.getfixturevalue(service.lower())} if service else {}
    server = serve("waits", "--workers", "1", *flags, env=env)
    clients = [server.connect() for _ in range(REQUESTS)]
    all_at_once(clients, f"/{way}/0.3")  # opens the connections
    taken: list[float] = []
    while not taken or (min(taken) > LIMIT and len(taken) < TRIES):  # the machine may have something else to do
        taken.append(all_at_once(clients, f"/{way}/1"))
    for client in clients:
        client.close()
    assert 1 <= min(taken) <= LIMIT, taken


def test_sqlite_in_threads_of_gevent_keeps_nobody_waiting(serve: Callable[..., Server]) -> None:
    server = serve("waits", "--workers", "1", *GEVENT)
    with server.connect() as slow:
        slow.send_request("GET", "/sqlite/1")
        began = time.monotonic()
        for _ in range(20):
            assert server.get("/sleep/0.001").status == 200
        assert time.monotonic() - began < 1
        assert slow.answer().status == 200
