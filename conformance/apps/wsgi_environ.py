"""Shows what an application sees of its request."""

from __future__ import annotations

from typing import Any
from wsgiref.validate import validator

from wsgi_routes import Environ, Routes, as_json, text

routes = Routes()


def describe(environ: Environ, start_response: Any) -> list[bytes]:
    """Every entry with its type; what is no JSON by its attributes."""
    seen = {key: [type(value).__name__, value if _plain(value) else repr(value)] for key, value in environ.items()}
    start_response("200 OK", [("Content-Type", "application/json"), ("X-Type", type(environ).__name__)])
    import json

    return [json.dumps(seen).encode()]


def _plain(value: object) -> bool:
    return isinstance(value, (str, bool, int, tuple))


@routes.at("/spoil")
def spoil(environ: Environ, start_response: Any) -> list[bytes]:
    """Change everything that could be shared with another request."""
    environ.pop("QUERY_STRING")
    environ["HTTP_X_LEAKED"] = environ["leaked"] = "yes"
    environ["wsgi.url_scheme"] = "gopher"
    environ["SERVER_NAME"] = "elsewhere"
    text(start_response)
    return [b"spoiled"]


@routes.at("/identity")
def identity(environ: Environ, start_response: Any) -> list[bytes]:
    first = environ.setdefault("test.visits", [])
    first.append(1)
    return as_json(len(first), start_response)


@routes.at("/errors")
def errors(environ: Environ, start_response: Any) -> list[bytes]:
    stream = environ["wsgi.errors"]
    stream.write("one line by write\n")
    stream.writelines(["a line ", "by writelines\n", "größer als ASCII\n"])
    stream.flush()
    text(start_response)
    return [b"written"]


def front(environ: Environ, start_response: Any) -> Any:
    return (routes if environ["PATH_INFO"] in routes.handlers else describe)(environ, start_response)


app = validator(front)
raw = front
