"""A WSGI application that does what its tests ask for by the path: wait, hang, print, die, grow."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., object]
gates: dict[str, threading.Event] = {}
ballast: list[bytes] = []


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    name, _, argument = environ["PATH_INFO"].strip("/").partition("/")
    answer = VIEWS.get(name, who)(argument, environ)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return answer if not isinstance(answer, str) else [answer.encode()]


def who(argument: str, environ: Environ) -> str:
    return str(os.getpid())


def nap(argument: str, environ: Environ) -> str:
    time.sleep(float(argument))
    return str(os.getpid())


def gate(argument: str, environ: Environ) -> str:
    with open(f"/{argument}", "rb") as pipe:  # as wsgi_gate.Gate has it
        pipe.read(1)
    return str(os.getpid())


def spin(argument: str, environ: Environ) -> str:
    while True:
        pass


def say(argument: str, environ: Environ) -> str:
    print(argument)
    print(f"{argument} on stderr", file=sys.stderr)
    print(f"{argument} on wsgi.errors", file=environ["wsgi.errors"])
    return "said"


def fail(argument: str, environ: Environ) -> str:
    raise RuntimeError(argument)


def leave(argument: str, environ: Environ) -> str:
    sys.exit(int(argument))


def vanish(argument: str, environ: Environ) -> str:
    os._exit(int(argument))


def grow(argument: str, environ: Environ) -> str:
    ballast.append(b"x" * (int(argument) << 20))
    return str(os.getpid())


def lines(argument: str, environ: Environ) -> Iterator[bytes]:
    """One line at once, the next after the pause that the path names."""
    yield b"first\n"
    time.sleep(float(argument))
    yield b"second\n"


def surroundings(argument: str, environ: Environ) -> str:
    return json.dumps(
        {
            "cwd": os.getcwd(),
            "environ": dict(os.environ),
            "path": sys.path,
            "script_name": environ["SCRIPT_NAME"],
            "threads": environ["wsgi.multithread"],
            "pid": os.getpid(),
            "parent": os.getppid(),
        }
    )


VIEWS: dict[str, Callable[[str, Environ], Any]] = {
    "nap": nap,
    "gate": gate,
    "spin": spin,
    "say": say,
    "fail": fail,
    "leave": leave,
    "vanish": vanish,
    "grow": grow,
    "lines": lines,
    "surroundings": surroundings,
}


def create_app(name: str = "factory") -> Callable[..., Iterable[bytes]]:
    """A factory: its applications say their name."""

    def made(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [name.encode()]

    return made
