"""Offloaded functions: names, bytes, what the control connection carries, and processes without a server."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from backline import ComputeBusy, OffloadError, aoffload, host, job, offload, offloading, wire
from backline.control import Control

PATIENCE = 20.0


class Clumsy(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def fail() -> None:
    raise ValueError("no ink")


def stumble() -> None:
    raise Clumsy("a", "b")


def leave() -> None:
    sys.exit(4)


def lock() -> Any:
    return threading.Lock()


def outcome_of(function: Any, *args: Any) -> tuple[int, Any]:
    outcome, data = job.carry_out(job.name_of(function), pickle.dumps((args, {})))
    return outcome, pickle.loads(data)


def test_names() -> None:
    assert job.name_of(os.path.join) == "posixpath:join"
    assert job.find("posixpath:join") is os.path.join
    assert job.name_of(Control.stacks) == "backline.control:Control.stacks"
    for function in (lambda: 1, threading.Lock().acquire, pytest):
        with pytest.raises(TypeError, match=r"offload expects a function that another process can import.*top level"):
            job.name_of(function)  # type: ignore[arg-type]

    def here() -> None:
        pass

    here.__module__ = "__main__"
    with pytest.raises(TypeError, match="one of the script itself"):
        job.name_of(here)


def test_outcomes() -> None:
    assert outcome_of(abs, -3) == (wire.OUTCOME_RETURNED, 3)
    outcome, (error, text) = outcome_of(fail)
    assert outcome == wire.OUTCOME_RAISED and isinstance(error, ValueError)
    assert 'raise ValueError("no ink")' in text and "carry_out" not in text
    for function, message in (
        (stumble, "Clumsy: ab"),
        (leave, "raised SystemExit: 4"),
        (lock, "the result of .*:lock cannot be pickled"),
    ):
        outcome, (error, _) = outcome_of(function)
        assert outcome == wire.OUTCOME_RAISED
        with pytest.raises(OffloadError, match=message):
            raise error


def test_a_function_of_a_module_that_is_gone() -> None:
    outcome, data = job.carry_out("nowhere.at_all:f", pickle.dumps(((), {})))
    assert outcome == wire.OUTCOME_RAISED and isinstance(pickle.loads(data)[0], ModuleNotFoundError)


class Server:
    """The other end of a control connection."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.conn = theirs
        self.control = Control(ours)
        self._decoder = wire.Decoder()
        self._ours = ours
        # Its thread ends the process when the connection does, so it ends with what follows instead.
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        decoder = wire.Decoder()
        with suppress(ConnectionResetError):  # the other end may close with questions unread
            while data := self._ours.recv(65536):
                for message in decoder.feed(data):
                    self.control.take(message)

    def asked(self) -> tuple[Any, ...]:
        while not (found := self._decoder.feed(self.conn.recv(65536))):
            pass
        [message] = found
        return message

    def settle(self, token: int, outcome: int, data: bytes = b"") -> None:
        self.conn.sendall(wire.encode([(wire.RESULT, token, outcome, data)]))

    def close(self) -> None:
        self.conn.close()
        self.thread.join(PATIENCE)
        self._ours.close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    monkeypatch.setattr(host, "settings", {"compute_queue_size": 5})
    monkeypatch.setattr(host, "control", server.control)
    yield server
    server.close()


def in_coroutine(*args: Any, **kwargs: Any) -> Any:
    return asyncio.run(aoffload(*args, **kwargs))


@pytest.mark.parametrize("ask", [offload, in_coroutine])
def test_the_question_and_its_answers(server: Server, ask: Any) -> None:
    with ThreadPoolExecutor(1) as caller:

        def result(outcome: int, data: bytes = b"") -> Any:
            waiting = caller.submit(ask, abs, -3, timeout=7)
            kind, token, function, arguments, timeout = server.asked()
            assert (kind, function, pickle.loads(arguments), timeout) == (
                wire.OFFLOAD,
                "builtins:abs",
                ((-3,), {}),
                7000,
            )
            server.settle(token + 1000, outcome, data)  # nobody's
            server.settle(token, outcome, data)
            return waiting.result(PATIENCE)

        assert result(wire.OUTCOME_RETURNED, pickle.dumps(3)) == 3
        with pytest.raises(ValueError, match="no ink") as caught:
            result(*job.carry_out(job.name_of(fail), pickle.dumps(((), {}))))
        assert 'raise ValueError("no ink")' in "".join(traceback.format_exception(caught.value))
        for outcome, error, message in (
            (wire.OUTCOME_TIMEOUT, TimeoutError, "builtins:abs had not returned 7 s after"),
            (wire.OUTCOME_BUSY, ComputeBusy, r"5 functions wait for a process already \(compute_queue_size\)"),
            (wire.OUTCOME_LOST, OffloadError, "the process that ran builtins:abs has ended"),
            (wire.OUTCOME_REFUSED, OffloadError, "the server is stopping"),
        ):
            with pytest.raises(error, match=message):
                result(outcome)
    assert not server.control._offloaded


def test_a_server_that_never_answers(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offloading, "GRACE", 0.0)
    for ask in (offload, in_coroutine):
        with pytest.raises(TimeoutError, match=r"0\.05 s"):
            ask(abs, -3, timeout=0.05)
    assert not server.control._offloaded


def test_what_is_refused_before_it_is_asked(server: Server) -> None:
    for timeout in (0, -1, 1e9, float("nan")):
        with pytest.raises(ValueError, match="offload's timeout is"):
            offload(abs, -3, timeout=timeout)
    with pytest.raises(ValueError, match=r"the arguments of builtins:len are 8,[0-9,]+ bytes; at most 8,388,608"):
        offload(len, bytes(wire.MAX_JOB))

    async def wrong() -> None:
        offload(abs, -3)

    with pytest.raises(RuntimeError, match=r"would stop the event loop.*await aoffload"):
        asyncio.run(wrong())


def test_in_a_process_that_computes_it_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "settings", {"worker_class": "compute"})
    assert offload(os.getpid) == os.getpid()
    assert in_coroutine(os.getpid) == os.getpid()


def test_without_a_server_it_has_processes_of_its_own() -> None:
    try:
        there = offload(os.getpid, timeout=PATIENCE)
        assert there != os.getpid()
        assert in_coroutine(os.getpid, timeout=PATIENCE) != os.getpid()
        with pytest.raises(FileNotFoundError) as caught:
            offload(os.stat, "/nowhere", timeout=PATIENCE)
        assert isinstance(caught.value.__cause__, job.RemoteTraceback)
        with pytest.raises(OffloadError, match="has ended"):
            offload(os._exit, 3, timeout=PATIENCE)
        with pytest.raises(TimeoutError):
            offload(wait_forever, timeout=1)
        assert offload(abs, -3, timeout=PATIENCE) == 3
    finally:
        if offloading._executor is not None:
            offloading._kill(offloading._executor)


def wait_forever() -> None:
    threading.Event().wait()
