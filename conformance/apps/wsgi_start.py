"""Calls start_response rightly and wrongly."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

from wsgi_routes import Environ, Routes, argument, text
from wsgi_wrong import FORGIVEN, PLAIN, WRONG

routes = Routes()


@routes.at("/good")
def good(environ: Environ, start_response: Any) -> Iterable[bytes]:
    own = [("X-One", "1"), ("X-One", "2"), ("x-low", "a b")]
    write = start_response("201 Made Here", [("Content-Type", "text/plain"), *own])
    assert callable(write)
    return [b"good"]


@routes.at("/wrong")
def wrong(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """The error must come out of the call itself, where the application can be blamed; then it may start over."""
    status, headers, expected = WRONG[argument(environ, "what")]
    try:
        start_response(status, headers)
    except expected as error:
        text(start_response)
        return [f"{type(error).__name__}: {error}".encode()]
    text(start_response, "500 Internal Server Error")
    return [b"accepted"]


@routes.at("/raised")
def raised(environ: Environ, start_response: Any) -> Iterable[bytes]:
    status, headers, _ = WRONG[argument(environ, "what")]
    start_response(status, headers)
    return [b"accepted"]


@routes.at("/forgiven")
def forgiven(environ: Environ, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", FORGIVEN[argument(environ, "what")])
    return [b"forgiven"]


@routes.at("/keywords")
def keywords(environ: Environ, start_response: Any) -> Iterable[bytes]:
    try:
        start_response(status="200 OK", response_headers=PLAIN)
    except TypeError:
        text(start_response)
        return [b"positional only"]
    return [b"accepted"]


@routes.at("/twice")
def twice(environ: Environ, start_response: Any) -> Iterable[bytes]:
    text(start_response)
    try:
        text(start_response)
    except AssertionError as error:
        return [f"AssertionError: {error}".encode()]
    return [b"accepted"]


@routes.at("/replaced")
def replaced(environ: Environ, start_response: Any) -> Iterable[bytes]:
    text(start_response, "200 OK", ("X-First", "1"))
    try:
        raise KeyError("late")
    except KeyError:
        start_response("503 Sorry", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"instead"]


@routes.at("/reraised")
def reraised(environ: Environ, start_response: Any) -> Iterable[bytes]:
    text(start_response)
    yield b"part"
    try:
        raise KeyError("too late")
    except KeyError:
        start_response("503 Sorry", [("Content-Type", "text/plain")], sys.exc_info())
    yield b"never"


class Mark(Exception):
    """An exception whose life can be watched."""


@routes.at("/reference")
def reference(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """start_response must not keep exc_info: its traceback would keep every frame alive."""
    text(start_response)

    def fail() -> weakref.ref[Mark]:
        try:
            raise Mark
        except Mark as mark:
            start_response("503 Sorry", PLAIN, sys.exc_info())
            return weakref.ref(mark)

    kept = fail()
    gc.collect()
    return [b"dropped" if kept() is None else b"kept"]


@routes.at("/none")
def none(environ: Environ, start_response: Any) -> Iterable[bytes]:
    return [b"without start_response"]


@routes.at("/generator")
def generator(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """start_response is called when the first piece is asked for."""
    text(start_response, "202 Accepted")
    yield b""
    yield b"lazily"


class Lazy:
    """No generator, and yet start_response is called with the first piece, which PEP 3333 allows of any iterable."""

    def __init__(self, start_response: Any) -> None:
        self.start_response = start_response
        self.pieces = iter((b"", b"laz", b"ily"))

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.start_response is not None:
            text(self.start_response, "202 Accepted")
            self.start_response = None
        return next(self.pieces)


@routes.at("/lazy")
def lazy(environ: Environ, start_response: Any) -> Iterable[bytes]:
    return Lazy(start_response)


class Looked:
    """Says whether it was advanced; start_response is never called for it."""

    advanced = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        Looked.advanced += 1
        return b"unstarted"


@routes.at("/unstarted")
def unstarted(environ: Environ, start_response: Any) -> Iterable[bytes]:
    if argument(environ, "advanced"):
        text(start_response)
        return [str(Looked.advanced).encode()]
    Looked.advanced = 0
    return Looked()


@routes.at("/changed")
def changed(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """The list that was given may change afterwards without effect."""
    headers = [("Content-Type", "text/plain"), ("X-Kept", "1")]
    start_response("200 OK", headers)
    headers.clear()
    headers.append(("X-Injected", "1\r\n"))
    return [b"copied"]


@routes.at("/fails")
def fails(environ: Environ, start_response: Any) -> Iterable[bytes]:
    text(start_response)
    raise RuntimeError("the application has a bug")


@routes.at("/fails-late")
def fails_late(environ: Environ, start_response: Any) -> Iterable[bytes]:
    text(start_response)
    yield b"some of it"
    raise RuntimeError("the application has a late bug")


@routes.at("/fails-first")
def fails_first(environ: Environ, start_response: Any) -> Iterable[bytes]:
    text(start_response)
    yield b""
    raise RuntimeError("the application has a bug at its first step")


@routes.at("/exits")
def exits(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """SystemExit in a view must not take the worker down with it."""
    sys.exit(7)


@routes.at("/took")
def took(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """gunicorn's sign for "the socket is mine now"."""
    raise StopIteration


def arguments(*args: Any, **kwargs: Any) -> Iterable[bytes]:
    """Exactly two, positional; the names are nobody's business."""
    _, start_response = args
    text(start_response)
    return [f"{len(args)} {len(kwargs)}".encode()]


app = validator(routes)
raw = routes
