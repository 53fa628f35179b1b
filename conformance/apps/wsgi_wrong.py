"""What may not be given to start_response: for the application that does it and for the tests that expect the error."""

from __future__ import annotations

from typing import Any

HOP_BY_HOP = (
    "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailers", "Transfer-Encoding", "Upgrade",
)  # fmt: skip
PLAIN = [("Content-Type", "text/plain")]

# What may not be given to start_response, and the error that has to come out of it.
WRONG: dict[str, tuple[Any, Any, type[Exception]]] = {
    "status-bytes": (b"200 OK", PLAIN, TypeError),
    "status-number": (200, PLAIN, TypeError),
    "status-word": ("OK", PLAIN, ValueError),
    "status-newline": ("200 OK\r\nX-Injected: 1", PLAIN, ValueError),
    "status-lf": ("200 OK\n", PLAIN, ValueError),
    "status-short": ("20 OK", PLAIN, ValueError),
    "status-interim": ("100 Continue", PLAIN, ValueError),
    "too-many": ("200 OK", [("X", "y")] * 1001, ValueError),
    "too-large": ("200 OK", [("X", "y" * 140_000)], ValueError),
    "headers-dict": ("200 OK", {"Content-Type": "text/plain"}, TypeError),
    "header-three": ("200 OK", [("A", "b", "c")], TypeError),
    "header-bytes": ("200 OK", [(b"A", b"b")], TypeError),
    "header-number": ("200 OK", [("Content-Length", 5)], TypeError),
    "name-newline": ("200 OK", [("X\r\nY", "1")], ValueError),
    "name-space": ("200 OK", [("X Y", "1")], ValueError),
    "name-colon": ("200 OK", [("X:", "1")], ValueError),
    "name-empty": ("200 OK", [("", "1")], ValueError),
    "name-unicode": ("200 OK", [("X-é", "1")], ValueError),
    "value-crlf": ("200 OK", [("X", "1\r\nSet-Cookie: a=b")], ValueError),
    "value-lf": ("200 OK", [("X", "1\n")], ValueError),
    "value-cr": ("200 OK", [("X", "1\r2")], ValueError),
    "value-nul": ("200 OK", [("X", "1\x00")], ValueError),
    "value-unicode": ("200 OK", [("X", "€")], ValueError),
}

# What PEP 3333 forbids but every other server takes.
FORGIVEN: dict[str, Any] = {
    "tuple": tuple(PLAIN),
    "list": [["Content-Type", "text/plain"]],
    **{name.lower(): [*PLAIN, (name, "x")] for name in HOP_BY_HOP},
}
