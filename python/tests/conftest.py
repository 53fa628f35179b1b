"""What several files of tests start with."""

from __future__ import annotations

import atexit
import socket
from collections.abc import Iterator

import pytest

from backline.control import Control

PATIENCE = 20.0  # seconds for what comes at once on a machine that has nothing else to do

_ends: list[socket.socket] = []


@pytest.fixture
def pair() -> Iterator[tuple[Control, socket.socket]]:
    """A control connection that this process serves, and the server's end of it."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(PATIENCE)
    control = Control(ours)
    control.start()
    _ends.extend((ours, theirs))  # never closed: the thread would take that for the end of the server
    yield control, theirs


@atexit.register
def leave_open() -> None:
    """Without the warnings that sockets give which are open at the end."""
    for end in _ends:
        end.detach()
