"""What a forked worker inherits from its template, and what must not be shared between two processes."""

from __future__ import annotations

import sys
import threading
import warnings

# By name: gevent exchanges it by one that runs its event loop in the child, which renew() does in its own time.
from os import fork as _fork


def settle() -> list[str]:
    """Bring the application to where it can be forked. What could not be done is told, for the log."""
    django = sys.modules.get("django.apps")
    if django is None or not django.apps.ready:
        return []
    notes = []
    for what, step in (("load Django's pages", _load_pages), ("close Django's connections", _close_connections)):
        try:
            step()
        except Exception as exc:  # the application's: it fails again, and is reported whole, where it is really used
            notes.append(f"cannot {what} before the workers are forked: {type(exc).__name__}: {exc}")
    return notes


def _load_pages() -> None:
    # Django imports views and template tags with the first request: each worker would have its own copy of most of the
    # project.
    from django.template import engines
    from django.urls import get_resolver

    engines.all()
    get_resolver().url_patterns  # noqa: B018 # reading it imports


def _close_connections() -> None:
    # What an import has read from the database left a connection, and two processes would talk into each other's words
    # on it. Closed here and not in the worker: there, closing would say goodbye in everybody's name.
    from django.core.cache import close_caches
    from django.db import connections

    connections.close_all()
    close_caches()


def lost_threads() -> list[str]:
    """The threads that the application's import has started. A fork does not copy them, nor what they hold."""
    native = sys._current_frames()  # greenlets in the place of threads are copied, and not in here
    lost = [each for each in threading.enumerate() if each is not threading.main_thread() and each.ident in native]
    if not lost:
        return []
    names = ", ".join(f"{thread.name} ({_origin(thread)})" for thread in lost)
    count = "a thread" if len(lost) == 1 else f"{len(lost)} threads"
    return [
        f"importing the application started {count} that no worker will have: {names}; start what is needed with the "
        "first request, or in os.register_at_fork(after_in_child=...)"
    ]


def _origin(thread: threading.Thread) -> str:
    """Whose thread it is: the function that it runs, or its class."""
    target = getattr(thread, "_target", None)
    if target is None:
        return f"{type(thread).__module__}.{type(thread).__qualname__}"
    name = getattr(target, "__qualname__", type(target).__qualname__)
    return f"{getattr(target, '__module__', None) or '?'}.{name}"


def fork() -> int:
    """os.fork(), without Python's own warning of threads: lost_threads() has told of them, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return _fork()


def renew() -> None:
    """In a forked worker: what would otherwise be the same in all of them."""
    gevent = sys.modules.get("gevent")
    if gevent is not None:
        gevent.reinit()  # its event loop has the parent's descriptors
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()  # Python's own random does that by itself
