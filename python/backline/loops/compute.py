"""The ``compute`` loop: what other workers have offloaded runs here, one function at a time, on the main thread."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from .. import begun, wire
from ..control import Control
from ..job import carry_out


def run(
    conn: socket.socket,
    control: Control,
    application: Any,
    settings: dict[str, Any],
    announce: Callable[[dict[str, Any]], None],
) -> None:
    """Run jobs until told to stop. The application has been imported and is not called."""
    marks = begun.shared()
    running: dict[int, int] = {}
    control.running = running
    me = threading.get_ident()
    decoder = wire.Decoder()
    announce({"interface": "compute", "loop": "compute", "concurrency": 1})
    while True:
        data = conn.recv(65536)
        if not data:
            os._exit(1)  # the server has gone, and nobody will ever ask for anything again
        for message in decoder.feed(data):
            if message[0] == wire.STOP:
                return
            if message[0] == wire.JOB:
                _, stream, function, arguments = message
                running[me] = stream
                marks[stream & begun.MASK] = 1
                _refresh_connections()
                outcome, result = carry_out(function, arguments)
                _refresh_connections()
                running[me] = -1
                conn.sendall(wire.encode([(wire.RETURN, stream, outcome, result)]))


def _refresh_connections() -> None:
    """Close database connections of Django's that are too old, or broken, as it does itself around each request."""
    database = sys.modules.get("django.db")
    if database is not None:
        database.close_old_connections()
