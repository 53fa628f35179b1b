"""Errors and how they are told: the application's traceback without a frame of ours."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

from .stacks import around, is_ours


class ClientDisconnected(ConnectionError):
    """The client has gone; nothing that is sent can reach it. An OSError, as ASGI 2.4 wants of ``send()``."""


class TooManyGroups(RuntimeError):
    """A WebSocket is in as many groups as it may be."""


def without_ours(tb: TracebackType | None) -> TracebackType | None:
    """The traceback from the application's first frame: without the worker's own, and those of the loop or pool of
    threads that it runs the application on."""
    while tb is not None and is_ours(tb.tb_frame.f_code):
        tb = tb.tb_next
    theirs = tb
    while theirs is not None and (is_ours(theirs.tb_frame.f_code) or around(theirs.tb_frame.f_code)):
        theirs = theirs.tb_next
    return theirs or tb  # where the library itself was called, and failed


def report(error: BaseException, doing: str) -> None:
    """Write the application's traceback to the log in one piece, so that other threads' lines do not mix with it."""
    own = without_ours(error.__traceback__)
    lines = traceback.format_exception(type(error), error, own)
    sys.stderr.write(f"error while {doing}\n" + "".join(lines))
    sys.stderr.flush()
