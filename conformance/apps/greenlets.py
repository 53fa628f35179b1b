"""A WSGI application for gevent that shows what requests share, and that is stuck in several ways."""

from __future__ import annotations

import contextvars
import json
import os
import threading
import time
from collections.abc import Iterable
from typing import Any

import gevent
from gevent import monkey

variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
local = threading.local()
asleep: list[int] = []
everybody = threading.Event()
patched = monkey.is_module_patched("socket") and monkey.is_module_patched("threading")


class Watched:
    """Says when it goes."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __del__(self) -> None:
        print(f"{self.name} went", flush=True)


def left() -> str:
    """What an earlier request has left here, which must be nothing."""
    return json.dumps([getattr(local, "value", None), variable.get(), getattr(gevent.getcurrent(), "value", None)])


def leave(argument: str) -> str:
    """Leave something behind in every place where that can be done."""
    found = left()
    local.value, gevent.getcurrent().value = 1, 2
    local.watched = Watched(f"the local of {argument}")
    variable.set(3)
    threading.current_thread()
    return found


def alarm(argument: str) -> str:
    """A timeout that is not cancelled, and hits whoever runs on this greenlet."""
    gevent.Timeout(float(argument)).start()
    return "set"


def nap(argument: str) -> str:
    time.sleep(float(argument))
    return str(os.getpid())


def gather(argument: str) -> str:
    """Sleep until as many requests do."""
    asleep.append(1)
    if len(asleep) == int(argument):
        everybody.set()
    assert everybody.wait(60)
    return str(len(asleep))


def deep(argument: str) -> str:
    print("deep has begun", flush=True)
    try:
        return nap(argument)
    finally:
        print("deep was left", flush=True)


def stubborn(argument: str) -> str:
    while True:
        try:
            time.sleep(float(argument))
        except BaseException as error:
            print(f"stubborn ignores {type(error).__name__}", flush=True)


def fork(argument: str) -> str:
    """A process that has a hub of its own, which turns while it naps."""
    child = os.fork()
    if child == 0:
        time.sleep(float(argument))
        os._exit(7)
    return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def spin(argument: str) -> str:
    print("spinning", flush=True)
    while True:
        pass


def threads(argument: str) -> str:
    """Whether everything was patched when this module was imported, and how many threads threading knows."""
    return json.dumps([patched, len(threading.enumerate())])


def who(argument: str) -> str:
    return str(os.getpid())


VIEWS = {
    "left": lambda _: left(), "leave": leave, "alarm": alarm, "nap": nap, "deep": deep, "stubborn": stubborn,
    "spin": spin, "threads": threads, "gather": gather, "fork": fork,
}  # fmt: skip


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    name, _, argument = environ["PATH_INFO"].strip("/").partition("/")
    answer = VIEWS.get(name, who)(argument)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.encode()]
