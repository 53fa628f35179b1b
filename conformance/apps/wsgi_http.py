"""Everything that the tests of HTTP itself ask for, as one application."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from wsgiref.validate import validator

import wsgi_answer
import wsgi_input
from wsgi_routes import Environ, Routes, argument, text

routes = Routes()
routes.handlers |= wsgi_answer.routes.handlers | wsgi_input.routes.handlers


@routes.at("/count")
def count(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Says in the log that it was called: a request that must not be executed leaves no line."""
    print(f"called {argument(environ, 'token')}", flush=True)
    text(start_response)
    return [argument(environ, "token").encode()]


@routes.at("/method")
def method(environ: Environ, start_response: Any) -> Iterable[bytes]:
    text(start_response)
    return [environ["REQUEST_METHOD"].encode()]


app = validator(routes)
raw = routes
