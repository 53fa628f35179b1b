"""What the tests of ASGI run over: each interpreter of BACKLINE_PYTHONS, with uvloop and with asyncio's own loop."""

from __future__ import annotations

import ast
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness import APPS, Server, eventually

SharedServers = Callable[..., Server]


@dataclass(frozen=True)
class Variant:
    """One interpreter and one event loop."""

    python: str
    uvloop: bool

    def __str__(self) -> str:
        number = PYTHONS.index(self.python)
        return f"python{number}-{'uvloop' if self.uvloop else 'asyncio'}"

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags that make a server of it. One worker, so that what an application remembers is in one place."""
        hide = () if self.uvloop else ("--pythonpath", str(APPS / "asgi_without_uvloop"))
        return ("--workers", "1", "--python", self.python, *hide)


PYTHONS = [python for python in os.environ.get("BACKLINE_PYTHONS", sys.executable).split(":") if python]
VARIANTS = [Variant(python, uvloop) for python in PYTHONS for uvloop in (True, False)]
# For what does not depend on the interpreter, or takes long.
LOOPS = VARIANTS[:2]


def seen(server: Server, name: str, count: int = 1) -> list[Any]:
    """What the application has noted under ``name``, once there are ``count`` notes."""

    def enough() -> list[Any]:
        notes: list[Any] = json.loads(server.get(f"/seen?{name}").body)
        return notes if len(notes) >= count else []

    found = eventually(enough, f"{count} notes of the application under {name!r}")
    assert isinstance(found, list)
    return found


def scope_of(server: Server, request: bytes) -> dict[str, Any]:
    """What an application that answers with repr(scope) was told of this request, given as it goes over the wire."""
    with server.connect() as client:
        client.send(request)
        answer = client.answer()
    assert answer.status == 200, answer
    found: dict[str, Any] = ast.literal_eval(answer.text)
    return found
