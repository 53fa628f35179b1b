"""gather and agather inside requests, in every loop."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness import Server, in_parallel

LIMIT = 6
LOOPS = ["threads", "gevent", "asyncio"]


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    loop = request.param
    app = "fan_out:live" if loop == "asyncio" else "fan_out:app"
    with Server(app, "-k", loop, "--workers", "1", "--threads", "8", "--parallel-limit", str(LIMIT)) as running:
        yield running


def ask(server: Server, target: str) -> Any:
    answer = server.get(target)
    assert answer.status == 200, server.log
    return json.loads(answer.text)


def test_four_calls_run_at_once(server: Server) -> None:
    assert ask(server, "/together") == [0, 1, 2, 3]


def test_many_requests_with_many_calls_keep_to_the_limit(server: Server) -> None:
    assert in_parallel(8, lambda _: ask(server, "/many")) == [["None"] * 10] * 8
    assert 1 < ask(server, "/most") <= LIMIT


def test_many_requests_with_nested_calls_end(server: Server) -> None:
    assert in_parallel(8, lambda _: ask(server, "/tree")) == [[8, 8]] * 8


def test_a_late_call_leaves_the_others_results(server: Server) -> None:
    assert ask(server, "/late?gate=one") == ["done", "the call had not ended after 0.3 s"]
    assert ask(server, "/open?gate=one") == []


def test_a_failure_is_the_requests(server: Server) -> None:
    assert server.get("/fails").status == 500
    server.wait_for("ValueError: the service is down")


def test_gather_on_the_event_loop_says_what_to_write(serve: Callable[..., Server]) -> None:
    server = serve("fan_out:live", "--workers", "1")
    assert server.get("/wrong").status == 500
    server.wait_for(r"RuntimeError: gather would stop the event loop.*`await agather\(\.\.\.\)`")
