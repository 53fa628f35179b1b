"""Requests that have functions run in other processes. The same pages for every loop: `app` is WSGI, `live` is ASGI."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from backline import aoffload, offload


class Unfit(Exception):
    """Cannot be made again from its arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


def burn(seconds: str = "0.1") -> float:
    """Compute for so long, by this thread's own clock."""
    until = time.thread_time() + float(seconds)
    while time.thread_time() < until:
        sum(range(1000))
    return time.thread_time()


def who(**given: str) -> dict[str, Any]:
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    return {"process": os.getpid(), "given": given, "nice": nice, "settings": "DEPLOYED" in os.environ}


def fail(how: str) -> None:
    if how == "unfit":
        raise Unfit("one", "two")
    if how == "exit":
        sys.exit(3)
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("no ink")


def wait_at(gate: str) -> str:
    pipe = os.open(gate, os.O_RDONLY)
    os.read(pipe, 1)
    os.close(pipe)
    return "passed"


def large(size: str) -> bytes:
    return bytes(int(size))


def measure(data: bytes) -> int:
    return len(data)


def nested() -> Any:
    return offload(who, here="nested")["process"] == os.getpid()


def strange() -> Any:
    return open("/dev/null")


def call(path: str, query: dict[str, str]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    name = path.strip("/")
    if name == "send":
        return measure, (bytes(int(query["size"])),), {}
    if name == "lambda":
        return (lambda: 1), (), {}
    timeout = {"timeout": float(query.pop("within"))} if "within" in query else {}
    return globals()[name], (), {**query, **timeout}


def told(error: BaseException) -> dict[str, Any]:
    cause = "".join(traceback.format_exception(error)) if error.__cause__ else ""
    return {"error": type(error).__name__, "text": str(error), "cause": cause}


def encoded(value: Any) -> bytes:
    return json.dumps(len(value) if isinstance(value, bytes) else value).encode()


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path, query = environ["PATH_INFO"], dict(parse_qsl(environ["QUERY_STRING"]))
    try:
        if path == "/here":
            value: Any = burn(**query)
        elif path == "/quick":
            value = os.getpid()
        else:
            function, args, kwargs = call(path, query)
            value = offload(function, *args, **kwargs)
    except Exception as error:
        value = told(error)
    body = encoded(value)
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


async def live(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    path, query = scope["path"], dict(parse_qsl(scope["query_string"].decode()))
    try:
        if path == "/here":
            value: Any = burn(**query)
        elif path == "/quick":
            value = os.getpid()
        elif path == "/wrong":
            value = offload(who)
        else:
            function, args, kwargs = call(path, query)
            value = await aoffload(function, *args, **kwargs)
    except Exception as error:
        value = told(error)
    body = encoded(value)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
