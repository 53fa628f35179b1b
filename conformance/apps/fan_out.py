"""Requests that make several calls at once. The same pages for every loop: `app` is WSGI, `live` is ASGI."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from backline import Unfinished, agather, gather

PATIENCE = 20.0
entered = threading.Lock()
running = most = 0
gates: dict[str, threading.Event] = {}


def together(barrier: threading.Barrier, n: int) -> int:
    barrier.wait(PATIENCE)
    return n


def fail() -> None:
    raise ValueError("the service is down")


def count() -> None:
    """How many are here at once? Whoever comes waits a moment for others."""
    global running, most
    with entered:
        running += 1
        most = max(most, running)
    threading.Event().wait(0.02)
    with entered:
        running -= 1


def tree(depth: int) -> int:
    return 1 if depth == 0 else sum(gather(*[partial(tree, depth - 1)] * 2))


def calls(path: str, query: dict[str, list[str]]) -> list[Any]:
    if path == "/together":
        barrier = threading.Barrier(4)
        return [partial(together, barrier, n) for n in range(4)]
    if path == "/late":
        return [lambda: "done", gates.setdefault(query["gate"][0], threading.Event()).wait]
    if path == "/fails":
        return [lambda: "done", fail]
    if path == "/many":
        return [count] * 10
    if path == "/tree":
        return [partial(tree, 3)] * 2
    return []


def told(path: str, query: dict[str, list[str]], results: list[Any]) -> Any:
    if path == "/open":
        gates.pop(query["gate"][0]).set()
    return most if path == "/most" else [result if isinstance(result, int) else str(result) for result in results]


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path, query = environ["PATH_INFO"], parse_qs(environ["QUERY_STRING"])
    try:
        results = gather(*calls(path, query), timeout=0.3 if path == "/late" else PATIENCE)
    except Unfinished as unfinished:
        results = unfinished.results
    body = json.dumps(told(path, query, results)).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


async def live(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    path, query = scope["path"], parse_qs(scope["query_string"].decode())
    try:
        if path == "/wrong":
            gather(int)
        results = await agather(*calls(path, query), timeout=0.3 if path == "/late" else PATIENCE)
    except Unfinished as unfinished:
        results = unfinished.results
    body = json.dumps(told(path, query, results)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
