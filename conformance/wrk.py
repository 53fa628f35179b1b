"""Runs wrk and reads what it found."""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from harness import PATIENCE, Server

SCRIPT = Path(__file__).with_name("wrk.lua")
CLIENTS = 64


@dataclass
class Load:
    """What the clients saw. Times are in milliseconds but for ``seconds``."""

    requests: int
    seconds: float
    connect: int
    read: int
    write: int
    timeout: int
    status: int
    p50: float
    p99: float
    longest: float
    refused: dict[str, int]  # statuses of 400 and more
    answered: dict[str, int]  # successes by the answer's header X-Pid, where it has one

    @property
    def errors(self) -> int:
        """Answers that were no success, did not come, or came in part."""
        return self.connect + self.read + self.write + self.timeout + self.status

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


class Wrk:
    """A wrk at work; ``result`` waits for its end."""

    def __init__(
        self,
        server: Server,
        target: str = "/",
        *,
        seconds: int,
        method: str = "GET",
        body: int = 0,
        clients: int = CLIENTS,
        patience: int = 10,
    ) -> None:
        self._seconds = seconds
        self._process = subprocess.Popen(
            ["wrk", "--threads", "2", "--connections", str(clients), "--duration", f"{seconds}s",
             "--timeout", f"{patience}s", "--script", str(SCRIPT), f"http://127.0.0.1:{server.port}{target}",
             "--", method, str(body)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def result(self) -> Load:
        output, _ = self._process.communicate(timeout=self._seconds + 2 * PATIENCE)
        lines = [line for line in output.splitlines() if line.startswith("{")]
        assert self._process.returncode == 0 and lines, f"wrk failed:\n{output}"
        return Load(**json.loads(lines[-1]))

    def stop(self) -> Load:
        """Have it end before its time; gives what it has found until now."""
        self._process.send_signal(signal.SIGINT)
        return self.result()

    def __enter__(self) -> Wrk:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.running:
            self._process.kill()
            self._process.communicate()


def load(server: Server, target: str = "/", **options: object) -> Load:
    """Run wrk to its end."""
    with Wrk(server, target, **options) as wrk:  # type: ignore[arg-type]
        return wrk.result()
