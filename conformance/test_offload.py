"""offload and aoffload inside requests, in every loop."""

from __future__ import annotations

import json
import os
import platform
import re
import select
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import PATIENCE, Server, eventually, in_parallel
from processes import children
from wsgi_gate import Gate

LOOPS = ["threads", "gevent", "asyncio"]


def flags(loop: str) -> tuple[str, ...]:
    app = "offloading:live" if loop == "asyncio" else "offloading:app"
    return app, "-k", loop, "--workers", "1", "--threads", "8"


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(*flags(request.param), "--compute-workers", "2", "--env", "DEPLOYED=1") as running:
        yield running


def ask(server: Server, target: str) -> Any:
    answer = server.get(target)
    assert answer.status == 200, server.log
    return json.loads(answer.text)


def test_a_function_runs_in_another_process_of_lower_priority(server: Server) -> None:
    own = ask(server, "/quick")
    there = ask(server, "/who?a=b")
    assert there["process"] != own
    assert there["given"] == {"a": "b"} and there["nice"] == 10 and there["settings"] is True


def slice_of(pid: int) -> int:
    """How long the kernel lets a process keep its processor, in nanoseconds."""
    found = re.search(r"^se\.slice +: +(\d+)$", Path(f"/proc/{pid}/sched").read_text(), re.MULTILINE)
    assert found
    return int(found.group(1))


def test_a_process_that_computes_gives_way_at_once(server: Server) -> None:
    kernel = tuple(int(part) for part in platform.release().split(".")[:2])
    if kernel < (6, 12) or not Path("/proc/self/sched").exists():
        pytest.skip("this kernel takes no slices, or does not tell them")
    assert slice_of(ask(server, "/who")["process"]) == 100_000
    assert slice_of(ask(server, "/quick")) == slice_of(os.getpid())


def test_what_it_raises_comes_back_with_its_traceback(server: Server) -> None:
    told = ask(server, "/fail?how=plainly")
    assert (told["error"], told["text"]) == ("ValueError", "no ink")
    assert 'raise ValueError("no ink")' in told["cause"] and "RemoteTraceback" in told["cause"]


@pytest.mark.parametrize(
    ("target", "error", "text"),
    [
        ("/fail?how=unfit", "OffloadError", "Unfit: one and two"),
        ("/fail?how=exit", "OffloadError", "offloading:fail raised SystemExit: 3"),
        ("/strange", "OffloadError", "the result of offloading:strange cannot be pickled"),
        ("/large?size=9000000", "OffloadError", "the result of offloading:large is 9,000,0"),
        ("/send?size=9000000", "ValueError", "the arguments of offloading:measure are 9,000,0"),
        ("/lambda", "TypeError", "is not found as offloading:call.<locals>.<lambda>"),
    ],
)
def test_what_cannot_cross_says_why(server: Server, target: str, error: str, text: str) -> None:
    told = ask(server, target)
    assert told["error"] == error and text in told["text"]


def test_megabytes_cross_both_ways(server: Server) -> None:
    assert ask(server, "/send?size=8000000") == 8_000_000
    assert ask(server, "/large?size=8000000") == 8_000_000


def test_an_offloaded_function_that_offloads_calls(server: Server) -> None:
    assert ask(server, "/nested") is True


def test_more_requests_than_threads_and_processes(server: Server) -> None:
    assert {type(each) for each in in_parallel(20, lambda _: ask(server, "/burn?seconds=0.01"))} == {float}


def test_a_function_that_takes_too_long_is_ended_with_its_process(server: Server, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    told = ask(server, f"/wait_at?{gate}&within=0.5")
    assert told["error"] == "TimeoutError" and "wait_at had not returned 0.5 s after" in told["text"]
    server.wait_for("an offloaded function took too long")
    assert "os.open(gate, os.O_RDONLY)" in server.log, "the log says where it was"
    server.wait_for("worker died pid=.* reason=timeout")
    assert ask(server, "/who")["nice"] == 10


def test_a_function_whose_process_dies_is_lost_and_others_go_on(server: Server) -> None:
    told = ask(server, "/fail?how=die")
    assert told["error"] == "OffloadError" and "the process that ran offloading:fail has ended" in told["text"]
    assert ask(server, "/who")["nice"] == 10


@pytest.mark.parametrize("loop", LOOPS)
def test_the_queue_is_bounded_and_its_place_is_given_back(
    serve: Callable[..., Server], tmp_path: Path, loop: str
) -> None:
    server = serve(*flags(loop), "--compute-workers", "1", "--compute-queue-size", "1")
    assert len(children(server)) == 1, "a process for jobs that nobody wants yet"
    ask(server, "/who")  # the process is up
    gates = [Gate(tmp_path / str(n)) for n in range(3)]
    clients = [server.connect() for _ in gates]
    for client, gate in zip(clients, gates, strict=True):
        client.send_request("GET", f"/wait_at?{gate}")
    # One of them runs and one waits, so only the third is answered while the gates are closed.
    [answered], _, _ = select.select([client.sock for client in clients], [], [], PATIENCE)
    refused = next(client for client in clients if client.sock is answered)
    told = json.loads(refused.answer().text)
    assert told["error"] == "ComputeBusy"
    assert "1 functions wait for a process already (compute_queue_size)" in told["text"]
    others = [(client, gate) for client, gate in zip(clients, gates, strict=True) if client is not refused]
    in_parallel(2, lambda n: others[n][1].open())
    for client, _ in others:
        assert client.answer().text == '"passed"'
    for client in clients:
        client.close()
    assert ask(server, "/who")["nice"] == 10
    assert server.stop() == 0, server.log


def test_processes_are_replaced_after_max_requests_and_a_reload(serve: Callable[..., Server]) -> None:
    server = serve(*flags("threads"), "--compute-workers", "1", "--max-requests", "3")
    seen = [ask(server, "/who")["process"] for _ in range(3)]
    eventually(lambda: ask(server, "/who")["process"] != seen[0], "the process is replaced")
    server = serve(*flags("threads"), "--compute-workers", "1")
    before = ask(server, "/who")["process"]
    server.signal(signal.SIGHUP)
    server.wait_for("reload complete pool=compute")
    assert ask(server, "/who")["process"] != before


def test_offload_on_the_event_loop_says_what_to_write(serve: Callable[..., Server]) -> None:
    server = serve(*flags("asyncio"))
    assert "would stop the event loop" in ask(server, "/wrong")["text"]
