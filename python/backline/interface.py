"""Which interface a callable speaks, and ASGI 2 applications, the kind that has to be called twice.

Nothing is called and no framework is imported to find out: what counts are markers, the base classes, whether calling
gives a coroutine, and how many arguments fit. asyncio is not imported either, because under gevent this runs before
everything is patched.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import MethodType
from typing import Any

from ._types import ASGI2Application, ASGIApplication, Interface, Receive, Scope, Send

_DJANGO: dict[str, Interface] = {
    "django.core.handlers.asgi.ASGIHandler": "asgi",
    "django.core.handlers.wsgi.WSGIHandler": "wsgi",
}

# Wrappers around wrappers end somewhere; an object whose __wrapped__ makes a new object each time does not.
_MAX_LAYERS = 32


@dataclass(frozen=True, slots=True)
class Guess:
    """What a callable seems to be: the interfaces it fits, none, one, or both where nothing tells them apart."""

    fits: tuple[Interface, ...]
    reason: str  # continues "... because"
    double: bool = False  # ASGI 2: call single() on it
    django: bool = False  # Django's own handler or a subclass


def guess(application: Any) -> Guess:
    """Find out which interface ``application`` speaks, looking through functools.partial and ``__wrapped__``.

    The outermost layer that takes definite arguments decides, since that is the one a server calls.
    """
    first: Guess | None = None
    for layer in _layers(application):
        found = _guess_layer(layer)
        if len(found.fits) < 2:
            return found
        first = first or found
    assert first is not None, "the application itself is always a layer"
    return first


def single(application: ASGI2Application) -> ASGIApplication:
    """Make an ASGI 2 application callable as ASGI 3: the scope first, then receive and send to what came back."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await application(scope)(receive, send)

    return call


def _layers(application: Any) -> Iterator[Any]:
    for _ in range(_MAX_LAYERS):
        yield application
        application = _wrapped(application)
        if application is None:
            return


def _wrapped(layer: Any) -> Any:
    """Give what functools.wraps left in ``__wrapped__``, with the arguments that this layer already bound."""
    if isinstance(layer, functools.partial):
        inner = _wrapped(layer.func)
        return inner and functools.partial(inner, *layer.args, **layer.keywords)
    if inspect.ismethod(layer):
        inner = vars(layer.__func__).get("__wrapped__")
        return inner and MethodType(inner, layer.__self__)
    # Read from the object's own dictionary: proxies and mocks answer every getattr, with themselves or worse.
    inner = getattr(layer, "__dict__", {}).get("__wrapped__")
    if inner is None:
        inner = getattr(getattr(type(layer), "__call__", None), "__dict__", {}).get("__wrapped__")
        return inner and MethodType(inner, layer)
    return inner


def _guess_layer(layer: Any) -> Guess:
    # The markers of asgiref.compatibility, with which an application says itself what it is.
    if getattr(layer, "_asgi_single_callable", None) is True:
        return Guess(("asgi",), "it is marked as an ASGI 3 callable")
    if getattr(layer, "_asgi_double_callable", None) is True:
        return Guess(("asgi",), "it is marked as an ASGI 2 callable", double=True)
    for base in type(layer).__mro__:
        interface = _DJANGO.get(f"{base.__module__}.{base.__qualname__}")
        if interface:
            return Guess((interface,), f"it is Django's {base.__qualname__}", django=True)
    if inspect.isclass(layer):
        return _guess_class(layer)
    try:
        # Not following __wrapped__: what counts is what can be passed to this layer.
        signature = inspect.signature(layer, follow_wrapped=False)
    except (TypeError, ValueError):
        return Guess(("wsgi", "asgi"), "its arguments cannot be inspected")
    if is_coroutine_callable(layer):
        if _accepts(signature, 3):
            return Guess(("asgi",), "calling it gives a coroutine")
        return Guess(
            (), f"it is a coroutine function of {_shown(signature)}, where ASGI calls with (scope, receive, send)"
        )
    return _guess_signature(signature)


def _guess_class(layer: type) -> Guess:
    """Tell by what the constructor takes, since constructing is the first call.

    asgiref takes every class for ASGI 2. PEP 3333 has classes of (environ, start_response) as applications too, and
    Starlette's endpoints are classes of (scope, receive, send) whose instances are awaited.
    """
    neither = Guess((), f"it is the class {layer.__qualname__}, not an instance of it")
    try:
        constructor = inspect.signature(layer)
    except (TypeError, ValueError):
        return neither
    if hasattr(layer, "__await__") and _accepts(constructor, 3):
        return Guess(("asgi",), "it is a class of (scope, receive, send) whose instances are awaitable")
    call: Any = getattr(layer, "__call__", None)
    # Three with self. A class whose instances take (scope, receive, send) is a framework's, named without calling it.
    if _accepts(constructor, 1) and is_coroutine_callable(call) and _accepts(inspect.signature(call), 3):
        return Guess(("asgi",), "it is a class of (scope) whose instances take (receive, send)", double=True)
    if _accepts(constructor, 2) and hasattr(layer, "__iter__"):
        return Guess(("wsgi",), "it is a class of (environ, start_response) whose instances are iterable")
    return neither


def _guess_signature(signature: inspect.Signature) -> Guess:
    parameters = [item for item in signature.parameters.values() if item.kind in _POSITIONAL]
    first = parameters[0].name if parameters else ""
    two, three = _accepts(signature, 2), _accepts(signature, 3)
    if (two or three) and first in _FIRST_NAMES:
        return Guess((_FIRST_NAMES[first],), f"its first argument is called {first}")
    if two and three:
        return Guess(("wsgi", "asgi"), f"its arguments {_shown(signature)} fit both")
    if three:
        return Guess(("asgi",), "it takes three arguments, as (scope, receive, send)")
    if two:
        return Guess(("wsgi",), "it takes two arguments, as (environ, start_response)")
    if _accepts(signature, 1) and first == "scope":
        # Only by this name: a function of one argument may be anything, a view for example.
        return Guess(("asgi",), "it takes the scope alone, as ASGI 2 applications do", double=True)
    return Guess((), f"its arguments are {_shown(signature)}, where WSGI calls with two and ASGI with three")


def is_sockets(application: Any) -> bool:
    """Whether it is a Sockets object, which is no callable and fits every worker class."""
    module = sys.modules.get("backline.sockets")  # whoever has made one has imported it
    return module is not None and isinstance(application, module.Sockets)


def refuses_connections(function: Any) -> str:
    """Why a callable cannot be called with (socket, address); empty where it can, or where nobody can tell."""
    if is_coroutine_callable(function):
        return "calling it gives a coroutine, and connections have threads or greenlets: it has to be a plain def"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ""
    parameters = [item for item in signature.parameters.values() if item.kind in _POSITIONAL]
    first = _FIRST_NAMES.get(parameters[0].name) if parameters else None
    if first:
        return f"its first argument is called {parameters[0].name}, so it is a {first.upper()} application"
    if not _accepts(signature, 2):
        return f"its arguments are {_shown(signature)}, where a connection comes as (socket, address)"
    return ""


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_FIRST_NAMES: dict[str, Interface] = {"environ": "wsgi", "env": "wsgi", "scope": "asgi"}


def _accepts(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _shown(signature: inspect.Signature) -> str:
    bare = [item.replace(annotation=inspect.Parameter.empty) for item in signature.parameters.values()]
    return str(inspect.Signature(bare))


def is_coroutine_callable(function: Any) -> bool:
    """Whether calling gives a coroutine: of functions, methods, partials, marked functions, objects with __call__."""
    while isinstance(function, functools.partial):
        function = function.func
    # asgiref and asyncio mark sync functions that return coroutines, up to 3.11 with asyncio's own object. Whoever
    # has marked something has imported asyncio, so there is no need to.
    marker = getattr(sys.modules.get("asyncio.coroutines"), "_is_coroutine", None)
    for candidate in (function, getattr(type(function), "__call__", None)):
        if inspect.iscoroutinefunction(candidate):
            return True
        if marker is not None and getattr(candidate, "_is_coroutine", None) is marker:
            return True
    return False
