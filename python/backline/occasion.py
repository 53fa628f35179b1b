"""What a handler may know of its socket: who the client is, and what was left with the socket before."""

from __future__ import annotations

import marshal
from collections.abc import Callable
from functools import cached_property
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

# Version 2 has no references, and every Python 3 reads it: a socket outlives a reload with another interpreter.
_FORMAT: Final = 2
_DEPTH: Final = 16


class Handshake:
    """The scope of the client's handshake, which is there in the ``connect`` handler alone, and the state, which goes
    with the socket."""

    def __init__(self, scope: dict[str, Any] | None, path: str, state: Any, limit: int) -> None:
        self.path = path  # decoded, without the root path
        self.state: dict[str, Any] = state
        self._scope = scope
        self._limit = limit
        self._left = marshal.dumps(state, _FORMAT) if scope is None else b""
        self._id = ""
        self._flush: Callable[[list[tuple[Any, ...]]], None]

    @property
    def scope(self) -> dict[str, Any]:
        """The handshake, as ASGI has it."""
        if self._scope is None:
            raise RuntimeError(
                "the client's handshake (headers, cookies, session, user) is there in the connect handler alone; "
                "what later events need of it belongs into socket.state"
            )
        return self._scope

    @cached_property
    def headers(self) -> dict[str, str]:
        """By name in lower case; several of one name are joined by commas."""
        found: dict[str, str] = {}
        for name, value in self.scope["headers"]:
            key = name.decode("latin-1").lower()
            text = value.decode("latin-1")
            found[key] = f"{found[key]}{'; ' if key == 'cookie' else ','}{text}" if key in found else text
        return found

    @cached_property
    def cookies(self) -> dict[str, str]:
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(self.headers.get("cookie", ""))
        except CookieError:
            return {}
        return {name: morsel.value for name, morsel in jar.items()}

    @cached_property
    def query(self) -> dict[str, str]:
        """The query's parameters; of several of one name the last."""
        return dict(parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True))

    @cached_property
    def environ(self) -> dict[str, Any]:
        """The handshake, as WSGI has it: for what takes a request's environ, such as ``app.request_context()`` of
        Flask."""
        return environ_of(self.scope, self.headers)

    @cached_property
    def request(self) -> Any:
        """A Django request of the handshake, with ``session`` and ``user``; no middleware has seen it."""
        from .djangorequest import request

        return request(self.environ)

    @property
    def session(self) -> Any:
        """Django's session. What is changed in it is kept by its own save()."""
        return self.request.session

    @property
    def user(self) -> Any:
        """Django's user."""
        return self.request.user

    def _first_state(self) -> bytes:
        return marshal.dumps((self.path, {}), _FORMAT)

    def _changed_state(self) -> bytes | None:
        """What goes with the socket from now on; None where that is as it was."""
        state = plain(self.state, "socket.state")
        if not isinstance(state, dict):
            raise TypeError(f"expected socket.state as a dict, got {type(self.state).__name__}")
        kept = marshal.dumps(state, _FORMAT)
        if len(kept) > self._limit and state:
            raise ValueError(
                f"socket.state takes {len(kept):,} bytes, and at most {self._limit:,} (websocket_state) go with it; "
                "keep the rest in a database, and its key here"
            )
        return None if kept == self._left else marshal.dumps((self.path, state), _FORMAT)


def kept(state: bytes) -> tuple[str, dict[str, Any]]:
    """The path and the state that _changed_state wrote."""
    path, found = marshal.loads(state)
    return path, found


def plain(value: Any, where: str, depth: int = 0) -> Any:
    """The value, where it is one that any Python reads back: numbers, text, bytes, None, and lists, tuples and dicts of
    them."""
    if value is None or value is True or value is False or type(value) in (int, float, str, bytes):
        return value
    if depth >= _DEPTH:
        raise ValueError(f"{where} is nested deeper than {_DEPTH}")
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {key!r:.60}; expected a str")
        return {str.__str__(key): plain(item, f"{where}[{key!r:.60}]", depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [plain(item, f"{where}[{at}]", depth + 1) for at, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    kinds: tuple[Any, ...] = (str, bytes, int, float)
    for kind in kinds:
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(
        f"{where} is of the type {type(value).__name__}; expected None, a number, str, bytes, list, tuple or dict"
    )


def environ_of(scope: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """PEP 3333's environ of a handshake."""
    import io
    import sys

    root, path = scope["root_path"], scope["path"]
    host, port = scope["server"] or ("", None)
    client = scope["client"] or ("", 0)
    secure = scope["scheme"] == "wss"
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": root.encode().decode("latin-1"),
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1").removeprefix(root) if root else
        unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "RAW_URI": path,
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or (443 if secure else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if secure else "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }  # fmt: skip
    if secure:
        environ["HTTPS"] = "on"
    for name, value in headers.items():
        if name not in ("content-type", "content-length", "proxy"):
            environ["HTTP_" + name.upper().replace("-", "_")] = value
    return environ
