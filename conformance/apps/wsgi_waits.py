"""Answers at once, after a nap, or when a test opens a gate (a named pipe)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    gate = parse_qs(environ["QUERY_STRING"]).get("gate")
    if gate:
        pipe = os.open(gate[0], os.O_RDONLY)
        os.read(pipe, 1)
        os.close(pipe)
    if environ["PATH_INFO"] == "/nap":
        time.sleep(0.001)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [threading.current_thread().name.encode()]
