"""A page that needs four other services, asked one after the other and all at once.

The services are stand-ins that sleep as long as real ones take; in an application they would be calls over HTTP or
queries. Both ways are the same blocking functions, called from an ordinary view.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

# Under this name for the tests, which do not want to wait.
sleep = time.sleep


def billing() -> dict[str, Any]:
    sleep(0.3)
    return {"owed": "12.40"}


def ads() -> list[str]:
    sleep(0.45)
    return ["Umbrellas", "Rain boots"]


def recommendations() -> list[str]:
    sleep(0.6)
    return ["Metropolis", "Sunrise", "The General"]


def metadata() -> dict[str, Any]:
    sleep(0.15)
    return {"language": "en", "member_since": 1927}


SERVICES = (billing, ads, recommendations, metadata)


class Visit(NamedTuple):
    """When a service was asked and when it had answered, in seconds since the first was asked; and by which thread."""

    name: str
    begun: float
    ended: float
    thread: str


def one_by_one() -> list[Visit]:
    watch = stopwatch()
    return [watch(service) for service in SERVICES]


def all_at_once() -> list[Visit]:
    # Here and not above, because the rest of the tour runs under any WSGI server.
    from backline import gather

    watch = stopwatch()
    return gather(*[lambda service=service: watch(service) for service in SERVICES], timeout=5)


def stopwatch() -> Callable[[Callable[[], object]], Visit]:
    started = time.monotonic()

    def watch(service: Callable[[], object]) -> Visit:
        begun = time.monotonic() - started
        service()
        return Visit(service.__name__, begun, time.monotonic() - started, threading.current_thread().name)

    return watch
