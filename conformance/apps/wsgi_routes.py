"""A table of small WSGI applications by path, for the other modules here."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

Environ = dict[str, Any]
Handler = Callable[[Environ, Any], Iterable[bytes]]


class Routes:
    """Chooses by PATH_INFO; an unknown path is 404."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}

    def at(self, path: str) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.handlers[path] = handler
            return handler

        return register

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        handler = self.handlers.get(environ["PATH_INFO"])
        if handler is None:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"no such route"]
        return handler(environ, start_response)


def as_json(value: object, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(value).encode()]


def text(start_response: Any, status: str = "200 OK", *headers: tuple[str, str]) -> Any:
    """Start an answer of plain text; gives what start_response gave."""
    return start_response(status, [("Content-Type", "text/plain"), *headers])


def argument(environ: Environ, name: str, default: str = "") -> str:
    return parse_qs(environ["QUERY_STRING"]).get(name, [default])[0]


def passed(environ: Environ) -> None:
    """Wait until the test lets the application go on: it writes to the named pipe ``gate`` for every step."""
    # Opened for writing too, so that its end is not taken for a step while the test still has it open.
    gate = os.open(argument(environ, "gate"), os.O_RDWR)
    try:
        os.read(gate, 1)
    finally:
        os.close(gate)


class Closing:
    """An iterable that says on standard output when it is closed, and on which thread."""

    def __init__(self, chunks: Iterable[bytes], environ: Environ) -> None:
        self.chunks = iter(chunks)
        self.token = argument(environ, "token", "-")
        self.thread = threading.get_ident()

    def __iter__(self) -> Closing:
        return self

    def __next__(self) -> bytes:
        return next(self.chunks)

    def close(self) -> None:
        where = "same" if self.thread == threading.get_ident() else "other"
        print(f"closed {self.token} on the {where} thread", flush=True)
