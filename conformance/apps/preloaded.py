"""A WSGI application that tells what it has inherited, by the path."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterable
from typing import Any

IMPORTED_BY = os.getpid()


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/vanish":
        os._exit(5)
    if environ["PATH_INFO"] == "/say":
        print("a word")
        print("a word aside", file=sys.stderr)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(facts()).encode()]


def kind(descriptor: str) -> str:
    """What a descriptor is, if it is one of those that a fork should not copy."""
    try:
        name = os.readlink(f"/proc/self/fd/{descriptor}").partition(":")[0]
    except FileNotFoundError:
        return ""  # that of the folder itself
    return name if name in ("socket", "pipe", "anon_inode") else ""


def facts() -> dict[str, Any]:
    """What two processes should and should not have in common."""
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "group": os.getpgid(0),
        "imported_by": IMPORTED_BY,
        "random": random.random(),
        "open": sorted(filter(None, map(kind, os.listdir("/proc/self/fd")))),
        "cwd": os.getcwd(),
        "colour": os.environ.get("COLOUR"),
        "workers": os.environ.get("BACKLINE_WORKERS"),
    }
