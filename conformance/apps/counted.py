"""Applications that count, where kill -9 cannot reach, the requests that have entered them, and sign their answers.

Each process has a file, named by its number, in the folder COUNTS. Each thread has a number there that only it writes,
so no lock is needed and what the file says of a process that was killed is exact.
"""

from __future__ import annotations

import asyncio
import itertools
import mmap
import os
import threading
import time
from typing import Any

SLOTS = 256  # under gevent each request counts as a thread


class Count:
    """The entries of this process."""

    def __init__(self) -> None:
        path = os.path.join(os.environ["COUNTS"], str(os.getpid()))
        with open(path, "w+b") as file:
            file.truncate(SLOTS * 8)
            self._numbers = memoryview(mmap.mmap(file.fileno(), SLOTS * 8)).cast("Q")
        self._slots = itertools.count()
        self._own = threading.local()

    def enter(self) -> None:
        try:
            slot: int = self._own.slot
        except AttributeError:
            slot = self._own.slot = next(self._slots)
        self._numbers[slot] += 1


count = Count()
pid = str(os.getpid())


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    count.enter()
    body = environ["wsgi.input"].read()
    assert environ["REQUEST_METHOD"] != "POST" or body == 100 * b"x", body
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.005)
    elif environ["PATH_INFO"] == "/nap":
        until = time.monotonic() + 0.5  # what computes keeps a hub from turning
        while time.monotonic() < until:
            pass
    start_response("200 OK", [("content-type", "text/plain"), ("content-length", "3"), ("x-pid", pid)])
    return [b"ok\n"]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    count.enter()
    message = await receive()
    assert scope["method"] != "POST" or message["body"] == 100 * b"x", message
    if scope["path"] == "/slow":
        await asyncio.sleep(0.005)
    elif scope["path"] == "/nap":
        time.sleep(0.5)  # a mistake that many make: the loop does not turn meanwhile
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"3"), (b"x-pid", pid.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok\n"})
