"""Reads request bodies in every way that PEP 3333 allows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any
from wsgiref.validate import validator

from wsgi_routes import Environ, Routes, argument, as_json, passed, text

routes = Routes()


@routes.at("/echo")
def echo(environ: Environ, start_response: Any) -> Iterable[bytes]:
    text(start_response, "200 OK", ("X-Length", environ.get("CONTENT_LENGTH", "none")))
    pieces = []
    while piece := environ["wsgi.input"].read(50_000):
        pieces.append(piece)
    return [b"".join(pieces)]


@routes.at("/digest")
def digest(environ: Environ, start_response: Any) -> Iterable[bytes]:
    total, sha = 0, hashlib.sha256()
    while piece := environ["wsgi.input"].read(100_000):
        total += len(piece)
        sha.update(piece)
    seen = {
        "length": environ.get("CONTENT_LENGTH"),
        "total": total,
        "sha256": sha.hexdigest(),
        "terminated": environ.get("wsgi.input_terminated"),
        "te": environ.get("HTTP_TRANSFER_ENCODING"),
    }
    return as_json(seen, start_response)


@routes.at("/ways")
def ways(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """The calls in ``do``, one after the other."""
    stream, seen = environ["wsgi.input"], []
    for call in argument(environ, "do").split(","):
        name, _, size = call.partition(":")
        if name == "iter":
            result: Any = list(stream)
        else:
            result = getattr(stream, name)(*([int(size)] if size else []))
        seen.append([line.decode() for line in result] if isinstance(result, list) else result.decode())
    return as_json(seen, start_response)


@routes.at("/ignore")
def ignore(environ: Environ, start_response: Any) -> Iterable[bytes]:
    text(start_response)
    return [b"not read"]


@routes.at("/some")
def some(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Read as many bytes as ``n`` says, and say which."""
    first = environ["wsgi.input"].read(int(argument(environ, "n")))
    text(start_response)
    return [b"read " + first]


@routes.at("/late")
def late(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Begin the answer, then read."""
    text(start_response)
    yield b"before "
    yield environ["wsgi.input"].read(100)


@routes.at("/slow")
def slow(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Read when told to."""
    passed(environ)
    text(start_response)
    return [environ["wsgi.input"].read(int(argument(environ, "n", "100")))]


@routes.at("/short")
def short(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Read a body that never becomes whole."""
    print("reading a body", flush=True)
    try:
        environ["wsgi.input"].read(1_000_000)
    except OSError as error:
        connection = isinstance(error, ConnectionError)
        print(f"read raised {type(error).__name__}, a ConnectionError: {connection}", flush=True)
        raise
    print("read took half a body for a whole one", flush=True)
    text(start_response)
    return [b""]


app = validator(routes)
raw = routes
