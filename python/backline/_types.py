"""The shapes of WSGI (PEP 3333) and ASGI 3 as types. Nothing here runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from types import TracebackType
from typing import Any, Literal, Protocol, TypeAlias

Interface: TypeAlias = Literal["wsgi", "asgi"]

ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]

# PEP 3333 wants exactly dict, no subclass: applications may rely on it.
Environ: TypeAlias = dict[str, Any]
Write: TypeAlias = Callable[[bytes], object]


class StartResponse(Protocol):
    """PEP 3333 "The start_response() Callable": positional only, the third argument optional."""

    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /) -> Write: ...


WSGIApplication: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

ASGIApplication: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
# ASGI 2 called twice: once with the scope, and what came back with receive and send.
ASGI2Application: TypeAlias = Callable[[Scope], Callable[[Receive, Send], Awaitable[None]]]
