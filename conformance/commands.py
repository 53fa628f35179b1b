"""The commands that speak with a running server: backline ps, stacks and profile."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from harness import APPS, BINARY, PATIENCE, STATE, Server


class Done:
    """How a command ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


def backline(*words: str, cwd: Path = APPS, env: dict[str, str] | None = None, status: int | None = 0) -> Done:
    """Run one command as the server's user would, in its folder. ``status`` is what it has to end with."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("BACKLINE_")}
    done = subprocess.run(
        [str(BINARY), *words],
        cwd=cwd,
        env={**environ, "XDG_STATE_HOME": STATE.name, **(env or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert status is None or done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
    return Done(done.returncode, done.stdout, done.stderr)


def ask(server: Server, command: str, *words: str) -> Any:
    """What a command says of this server, as JSON."""
    return json.loads(backline(command, *words, "--json", "--pid", str(server.process.pid)).out)


def worker(server: Server) -> dict[str, Any]:
    """The only worker, as backline ps --json has it."""
    ((found,),) = [pool["workers"] for pool in ask(server, "ps")["pools"]]
    assert isinstance(found, dict)
    return found
