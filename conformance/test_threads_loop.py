"""The threads loop: quick requests stay on one thread, and nothing waits behind a slow one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import PATIENCE, Client, Server, in_parallel
from wsgi_gate import Gate

APP = "wsgi_waits:app"


def quick(client: Client, count: int) -> list[str]:
    """The threads that answered."""
    return [client.request("GET", "/").text for _ in range(count)]


def until_one_thread_answers(client: Client) -> None:
    """A busy machine can make a quick request look slow; then the others take turns for a second."""
    deadline = time.monotonic() + PATIENCE
    while len(set(quick(client, 100))) > 1:
        assert time.monotonic() < deadline, "requests are quick, but go round the threads"


def test_quick_requests_wake_no_other_thread(serve: Callable[..., Server]) -> None:
    server = serve(APP, "--workers", "1", "--threads", "8")
    with server.connect() as client:
        until_one_thread_answers(client)


@pytest.mark.parametrize("threads", [2, 8])
def test_requests_behind_a_slow_one_go_to_other_threads(
    serve: Callable[..., Server], tmp_path: Path, threads: int
) -> None:
    server = serve(APP, "--workers", "1", "--threads", str(threads))
    gates = [Gate(tmp_path / str(n)) for n in range(threads - 1)]
    with server.connect() as other:
        slow = []
        for gate in gates:  # all threads but one, one after the other: each has just been the leader
            quick(other, 50)
            client = server.connect()
            client.send_request("GET", f"/?{gate}")
            slow.append(client)
            quick(other, 50)
        for gate, client in zip(gates, slow, strict=True):
            gate.open()
            assert client.answer().status == 200
            client.close()


def test_requests_that_block_shortly_run_beside_each_other(serve: Callable[..., Server]) -> None:
    server = serve(APP, "--workers", "1", "--threads", "8")

    names: set[str] = set()

    def work(_: int) -> None:
        with server.connect() as client:
            names.update(client.request("GET", "/nap").text for _ in range(100))

    in_parallel(8, work)
    assert len(names) == 8, names  # each nap is over before the pulse could see it


def test_an_answer_does_not_wait_behind_a_slow_request_of_the_only_thread(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(APP, "--workers", "1", "--threads", "1")
    gate = Gate(tmp_path / "gate")
    with server.connect() as first, server.connect() as second, server.connect() as third:
        quick(first, 300)  # fast enough for the server to send requests ahead
        first.send_request("GET", "/")
        second.send_request("GET", f"/?{gate}")
        third.send_request("GET", "/")
        assert first.answer().status == 200  # though the thread may have taken the second before this had left
        gate.open()
        assert second.answer().status == 200
        assert third.answer().status == 200


def test_after_slow_requests_one_thread_leads_again(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(APP, "--workers", "1", "--threads", "4")
    gate = Gate(tmp_path / "gate")
    with server.connect() as client, server.connect() as other:
        other.send_request("GET", f"/?{gate}")
        quick(client, 10)
        gate.open()
        assert other.answer().status == 200
        until_one_thread_answers(client)
