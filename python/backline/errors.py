"""Errors and how they are told: the application's traceback without a frame of ours."""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType

_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep


class ClientDisconnected(ConnectionError):
    """The client has gone; nothing that is sent can reach it. An OSError, as ASGI 2.4 wants of ``send()``."""


class TooManyGroups(RuntimeError):
    """A WebSocket is in as many groups as it may be."""


def without_ours(tb: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame that is not the worker's own."""
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith(_OURS):
        tb = tb.tb_next
    return tb


def report(error: BaseException, doing: str) -> None:
    """Write the application's traceback to the log in one piece, so that other threads' lines do not mix with it."""
    own = without_ours(error.__traceback__)
    lines = traceback.format_exception(type(error), error, own)
    sys.stderr.write(f"error while {doing}\n" + "".join(lines))
    sys.stderr.flush()
