"""What the tests under load ask for: quick answers, slow ones, endless ones, and very long bodies."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Iterator
from typing import Any

GIBIBYTE = 1 << 30
BLOCK = 1 << 20


def spin() -> None:
    """What a bug in an application looks like to its worker."""
    print("spinning in", os.getpid(), flush=True)
    while True:
        pass


def wsgi(environ: dict[str, Any], start_response: Any) -> Any:
    path = environ["PATH_INFO"]
    if path == "/spin":
        spin()
    elif path == "/sleep":
        time.sleep(0.1)
    elif path == "/upload":
        return upload(environ, start_response)
    elif path == "/download":
        start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(GIBIBYTE))])
        return blocks(begun=time.monotonic())
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]


def block(number: int) -> bytes:
    """A mebibyte that no other number gives."""
    return number.to_bytes(8, "big") * (BLOCK // 8)


def blocks(begun: float) -> Iterator[bytes]:
    """A gibibyte. At its end it says how long this took of the worker's time."""
    for number in range(GIBIBYTE // BLOCK):
        yield block(number)
    print("busy", begun, time.monotonic(), flush=True)


def upload(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Says what came, and between which moments the worker was busy with it."""
    begun, length, digest = time.monotonic(), 0, hashlib.sha1(usedforsecurity=False)
    while piece := environ["wsgi.input"].read(BLOCK):
        length += len(piece)
        digest.update(piece)
    body = json.dumps({"length": length, "sha1": digest.hexdigest()}).encode()
    print("busy", begun, time.monotonic(), flush=True)
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    if scope["path"] == "/spin":
        spin()
    elif scope["path"] == "/sleep":
        await asyncio.sleep(0.1)
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"3")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok\n"})
