"""Ten thousand clients that wait while one thread works, and polls that race with what is published."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable

import pytest
from harness import Server, eventually
from processes import resident

pytestmark = [pytest.mark.load, pytest.mark.timeout(300)]

HOLDS = 10_000
CLIENTS, ROUNDS = 500, 200


class Poller(asyncio.Protocol):
    """One kept-alive connection on which polls follow each other."""

    def __init__(self) -> None:
        self.buffer = b""
        self.answered: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found or self.answered is None:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) >= length:
            self.buffer = body[length:]
            self.answered.set_result(body[:length])

    def connection_lost(self, error: Exception | None) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_exception(error or ConnectionError("the server closed"))

    def ask(self, target: str) -> asyncio.Future[bytes]:
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())  # type: ignore[attr-defined]
        return self.answered


async def connect(server: Server, count: int) -> list[Poller]:
    loop, found = asyncio.get_running_loop(), []
    for _ in range(count):
        found.append((await loop.create_connection(Poller, "127.0.0.1", server.port))[1])
    return found


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 240))


def test_ten_thousand_polls_and_one_thread(capsys: pytest.CaptureFixture[str]) -> None:
    with Server("realtime_wsgi", "--workers", "1", "--threads", "1") as server:
        server.get("/poll?group=warm&after=-1")

        async def work() -> None:
            polls = await connect(server, HOLDS)
            before = resident(server.process.pid)
            answers: list[asyncio.Future[bytes]] = []
            publisher = (await connect(server, 1))[0]
            for some in range(0, HOLDS, 500):  # of more the queue would refuse some
                answers += [poll.ask("/poll?group=crowd&timeout=200") for poll in polls[some : some + 500]]
                await asyncio.sleep(0)
                await publisher.ask("/")  # the one thread answers this after them
            each = (resident(server.process.pid) - before) / HOLDS
            assert not any(answer.done() for answer in answers)
            started = time.monotonic()
            await publisher.ask("/say?group=crowd")
            bodies = await asyncio.gather(*answers)
            elapsed = time.monotonic() - started
            assert set(bodies) == {b"1"}
            with capsys.disabled():
                print(f"\n{HOLDS} answered in {elapsed:.3f} s; a hold takes {each:.0f} bytes beside its connection")
            assert elapsed < 1.0
            assert each < 15_000
            for poll in [*polls, publisher]:
                poll.transport.close()

        run(work)
        eventually(lambda: server.get("/").status == 200, "it serves as before")


def test_no_publication_is_missed_by_polls_that_arrive_meanwhile(capsys: pytest.CaptureFixture[str]) -> None:
    with Server("realtime_wsgi", "--workers", "1", "--threads", "4") as server:
        early = itertools.count()

        async def until_told(poll: Poller, seen: int) -> None:
            """As a client does: poll until there is news. One that were missed would let this wait for 25 s."""
            while (await poll.ask(f"/poll?group=race&after={seen}")) == b"nothing":
                next(early)

        async def work() -> None:
            polls = await connect(server, CLIENTS)
            publisher = (await connect(server, 1))[0]
            for seen in range(ROUNDS):
                started = time.monotonic()
                first, second = polls[: seen * CLIENTS // ROUNDS], polls[seen * CLIENTS // ROUNDS :]
                told = [asyncio.ensure_future(until_told(poll, seen)) for poll in first]
                await asyncio.sleep(0)  # lets those write
                said = publisher.ask("/say?group=race")
                told += [asyncio.ensure_future(until_told(poll, seen)) for poll in second]
                await asyncio.gather(said, *told)
                assert time.monotonic() - started < 20, f"a poll of round {seen} heard nothing"
            for poll in [*polls, publisher]:
                poll.transport.close()

        run(work)
        with capsys.disabled():
            print(f"\n{CLIENTS * ROUNDS} polls, of which {next(early)} were told to ask again")
