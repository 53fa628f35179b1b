"""Requests that hold up others, for what the server says about them. Each waits for a file to appear, so that a test
decides when it ends."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async

GATE = Path(os.environ.get("GATE", "/nonexistent"))


def blocking_call() -> None:
    """What somebody forgot to await."""
    while not GATE.exists():
        time.sleep(0.01)


def burn(seconds: float) -> int:
    """Computes."""
    until, turns = time.thread_time() + seconds, 0
    while time.thread_time() < until:
        turns += 1
    return turns


async def patient_call() -> None:
    while not GATE.exists():
        await asyncio.sleep(0.01)


async def forgetful_view() -> None:
    blocking_call()


async def sleepy_view() -> None:
    time.sleep(1)


async def patient_view() -> None:
    await patient_call()


def threads_view() -> None:
    blocking_call()


async def later() -> None:
    """Blocks when nothing is in flight any more."""
    await asyncio.sleep(0)
    blocking_call()


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    path = environ["PATH_INFO"]
    if path.startswith("/block"):
        threads_view()
    elif path == "/spin":
        burn(0.8)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    path = scope["path"]
    if path == "/block":
        await forgetful_view()
    elif path == "/block-later":
        await asyncio.sleep(0.05)
        await forgetful_view()
    elif path == "/wait":
        await patient_view()
    elif path == "/background":
        asyncio.get_running_loop().create_task(later())
    elif path == "/sync":
        await sync_to_async(threads_view)()
    elif path == "/sleep":
        await sleepy_view()
    elif path == "/spin":
        burn(0.8)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"ok\n"})
