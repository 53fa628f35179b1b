"""Clients that read slowly or not at all: A10 and A11 of the checklist."""

from __future__ import annotations

import json
import threading
import uuid

import pytest
from asgi_variants import LOOPS, VARIANTS, SharedServers, seen
from harness import Server, eventually, in_parallel

# What may be under way between send() and a client that does not read: the window, what the worker's and the client's
# sockets hold (up to 6 MiB on the loopback interface, tcp_wmem and tcp_rmem), and one event.
KERNEL = 12 << 20


@pytest.fixture(params=VARIANTS, ids=str)
def server(shared: SharedServers, request: pytest.FixtureRequest) -> Server:
    return shared("asgi_streams:app", *request.param.flags)


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


def settled(server: Server, name: str) -> int:
    """How far the application has come once it comes no further."""
    pause = threading.Event()
    last = -1

    def same() -> bool:
        nonlocal last
        before, last = last, int(json.loads(server.get(f"/how-far?{name}").body))
        pause.wait(0.1)
        return before == last and last > 0

    eventually(same, "a stream that stands still")
    return last


@pytest.mark.parametrize("size", [1000, 65536, 400_000])
def test_a10_send_waits_for_a_client_that_does_not_read(server: Server, name: str, size: int) -> None:
    with server.connect() as client:
        client.send_request("GET", f"/endless?name={name}&size={size}")
        stood = settled(server, name)
        assert 200_000 < stood < KERNEL
        assert server.get("/finite?size=10&count=3").body == b"x" * 30  # others go on
        got = 0
        for chunk in (client.head() and client.chunks()) or ():
            assert chunk is not None
            got += len(chunk)
            if got > stood + 2_000_000:
                break
        assert int(json.loads(server.get(f"/how-far?{name}").body)) > stood  # it has gone on


@pytest.mark.parametrize("window", ["64KiB", "100KiB", "1MiB"])
def test_a10_every_window_lets_a_stream_through(shared: SharedServers, window: str) -> None:
    server = shared("asgi_streams:app", *LOOPS[0].flags, "--stream-window", window)
    answer = server.get("/finite?size=5000&count=1000")
    assert (len(answer.body), answer.complete) == (5_000_000, True)


@pytest.mark.parametrize(("size", "count"), [(1, 1000), (65536, 100), (65537, 100), (1_000_000, 8), (262144, 20)])
def test_a10_long_answers_arrive_whole(server: Server, size: int, count: int) -> None:
    answer = server.get(f"/finite?size={size}&count={count}")
    assert (len(answer.body), answer.complete) == (size * count, True)


def test_a10_one_event_larger_than_any_window_waits_and_arrives(server: Server, name: str) -> None:
    size = 32 << 20
    with server.connect() as client:
        client.send_request("GET", f"/one?name={name}&size={size}")
        seen(server, name)
        client.head()
        assert seen(server, name) == ["started"]
        assert sum(len(chunk or b"") for chunk in client.chunks()) == size
        assert seen(server, name, 2) == ["started", "sent"]


def test_a10_events_of_several_tasks_do_not_mix(server: Server) -> None:
    answer = server.get("/tasks")
    assert answer.complete
    body = answer.body
    assert (len(body), body[-3:]) == (12 * 300_000 + 3, b"end")
    for n in range(12):
        assert len(set(body[n * 300_000 : (n + 1) * 300_000])) == 1, n


def test_a11_a_cancelled_send_loses_nothing(server: Server, name: str) -> None:
    size = 8_000_000  # more than the kernel holds
    with server.connect() as client:
        client.send_request("GET", f"/cancelled-send?name={name}&size={size}")
        assert seen(server, name, 3) == ["cancelled"] * 3
        assert client.head().status == 200
        body = b"".join(chunk or b"<cut>" for chunk in client.chunks())
    assert body == b"a" * size + b"b" * size + b"c" * size


def test_a10_many_streams_at_once(server: Server) -> None:
    def one(n: int) -> None:
        answer = server.get(f"/finite?size={10_000 + n}&count=100")
        assert (len(answer.body), answer.complete) == ((10_000 + n) * 100, True)

    in_parallel(16, one)
