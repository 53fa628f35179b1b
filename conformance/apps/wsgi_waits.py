"""Answers at once, or when a test opens a gate (a named pipe)."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    gate = parse_qs(environ["QUERY_STRING"]).get("gate")
    if gate:
        pipe = os.open(gate[0], os.O_RDONLY)
        os.read(pipe, 1)
        os.close(pipe)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [threading.current_thread().name.encode()]
