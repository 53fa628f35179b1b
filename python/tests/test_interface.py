"""guess(): which interface a callable speaks, by the callables that people hand to servers."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Generator, Iterator
from typing import Any
from unittest.mock import MagicMock
from wsgiref.simple_server import demo_app
from wsgiref.validate import validator

import pytest

from backline.interface import guess, single

Function = Callable[..., Any]


def logged(function: Function) -> Function:
    """A decorator as people write them."""

    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


def pages(environ: Any, start_response: Any) -> Any: ...
async def live(scope: Any, receive: Any, send: Any) -> None: ...
def gives_coroutine(scope: Any, receive: Any, send: Any) -> Any:
    return live(scope, receive, send)


async def takes_all(*args: Any) -> None: ...
def anything(*args: Any) -> Any: ...
def three_pages(prefix: Any, environ: Any, start_response: Any) -> Any: ...
async def four_live(prefix: Any, scope: Any, receive: Any, send: Any) -> None: ...
def optional_pages(environ: Any, start_response: Any, extra: Any = None) -> Any: ...
def optional_live(scope: Any, receive: Any, send: Any = None) -> Any: ...
def optional(one: Any, two: Any, three: Any = None) -> Any: ...
def twice(scope: Any) -> Any: ...
def view(request: Any) -> Any: ...
async def coroutine_view(request: Any) -> Any: ...
def nothing() -> None: ...


@functools.wraps(live)
def pages_from_live(environ: Any, start_response: Any) -> Any: ...


class Pages:
    def __call__(self, environ: Any, start_response: Any) -> Any: ...

    @logged
    def run(self, environ: Any, start_response: Any) -> Any: ...


class Live:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    async def run(self, scope: Any, receive: Any, send: Any) -> None: ...


class Configurable(Live):
    def __init__(self, debug: bool = False, routes: Any = None, middleware: Any = None) -> None: ...


class LoggedLive:
    @logged
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class PrefixedLive:
    async def __call__(self, prefix: Any, scope: Any, receive: Any, send: Any) -> None: ...


class Endpoint:
    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def __await__(self) -> Generator[Any, Any, None]:
        yield


class AppClass:  # PEP 3333, "The Application/Framework Side", its second example
    def __init__(self, environ: Any, start_response: Any) -> None: ...

    def __iter__(self) -> Iterator[bytes]:
        return iter([])


class Consumer:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


class Uncallable:
    def __call__(self) -> None: ...


def marked(name: str, value: Any = True) -> Function:
    def app(*args: Any) -> Any: ...

    setattr(app, name, value)
    return app


def marked_coroutine() -> Function:
    def app(*args: Any) -> Any: ...

    if hasattr(inspect, "markcoroutinefunction"):
        inspect.markcoroutinefunction(app)
        return app
    app._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
    return app


def wrapping_itself() -> Function:
    def app(*args: Any) -> Any: ...

    app.__wrapped__ = app  # type: ignore[attr-defined]
    return app


WSGI, ASGI, BOTH, NEITHER = ("wsgi",), ("asgi",), ("wsgi", "asgi"), ()

CASES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "function": (pages, WSGI),
    "other names": (lambda one, two: [], WSGI),
    "object": (Pages(), WSGI),
    "partial": (functools.partial(three_pages, "x"), WSGI),
    "decorated": (logged(pages), WSGI),
    "decorated method": (Pages().run, WSGI),
    "partial of decorated": (functools.partial(logged(three_pages), "x"), WSGI),
    "class of two": (AppClass, WSGI),
    "environ and an optional third": (optional_pages, WSGI),
    "sync outside, async inside": (pages_from_live, WSGI),
    "wsgiref's demo": (demo_app, WSGI),
    "coroutine function": (live, ASGI),
    "coroutine function of anything": (takes_all, ASGI),
    "coroutine object": (Live(), ASGI),
    "coroutine method": (Live().run, ASGI),
    "coroutine partial": (functools.partial(four_live, "x"), ASGI),
    "partial of coroutine object": (functools.partial(PrefixedLive(), "x"), ASGI),
    "function of three": (gives_coroutine, ASGI),
    "scope and an optional third": (optional_live, ASGI),
    "decorated coroutine": (logged(live), ASGI),
    "decorated coroutine __call__": (LoggedLive(), ASGI),
    "awaitable class": (Endpoint, ASGI),
    "marked single": (marked("_asgi_single_callable"), ASGI),
    "marked coroutine": (marked_coroutine(), ASGI),
    "takes anything": (anything, BOTH),
    "takes two or three": (optional, BOTH),
    "wraps itself for ever": (wrapping_itself(), BOTH),
    "validator, which takes anything": (validator(demo_app), BOTH),
    "mock, which answers every question": (MagicMock(), BOTH),
    "no arguments": (nothing, NEITHER),
    "one argument": (view, NEITHER),
    "coroutine of one argument": (coroutine_view, NEITHER),
    "object of no arguments": (Uncallable(), NEITHER),
    "class of an application": (Live, NEITHER),
    "class with arguments": (Configurable, NEITHER),
    "class of a WSGI application": (Pages, NEITHER),
    "built-in class": (type, NEITHER),
}


@pytest.mark.parametrize(("application", "fits"), CASES.values(), ids=CASES)
def test_guess(application: Any, fits: tuple[str, ...]) -> None:
    found = guess(application)
    assert found.fits == fits, found.reason
    assert found.reason
    assert not found.double and not found.django


@pytest.mark.parametrize("application", [twice, Consumer, marked("_asgi_double_callable")])
def test_guess_double(application: Any) -> None:
    found = guess(application)
    assert found.fits == ("asgi",) and found.double, found.reason


def test_markers_that_are_false_mark_nothing() -> None:
    assert guess(marked("_asgi_double_callable", False)).fits == BOTH


def test_single_raises_what_the_application_raises() -> None:
    def application(scope: Any) -> Any:
        raise LookupError(scope["path"])

    with pytest.raises(LookupError, match="/x"):
        asyncio.run(single(application)({"path": "/x"}, None, None))  # type: ignore[arg-type]
