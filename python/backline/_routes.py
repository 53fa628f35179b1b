"""Routes of sockets: "/chat/<room>"."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

# What a parameter matches, and what is made of it.
_KINDS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "str": ("[^/]+", str),
    "int": ("[0-9]+", int),
    "path": (".+", str),
    "slug": ("[-a-zA-Z0-9_]+", str),
    "uuid": ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", UUID),
}


class Pattern:
    """A path with parameters, as Django and Flask write them: ``<room>``, ``<int:number>``, ``<path:rest>``."""

    __slots__ = ("_convert", "_expression")

    def __init__(self, route: str) -> None:
        if not route.startswith("/"):
            raise ValueError(f"expected a route that begins with a slash, such as '/chat/<room>', got {route!r}")
        self._convert: dict[str, Callable[[str], Any]] = {}
        parts = re.split("<([^<>]*)>", route)
        expression = re.escape(parts[0])
        for parameter, text in zip(parts[1::2], parts[2::2], strict=True):
            kind, colon, name = parameter.rpartition(":")
            if (colon and kind not in _KINDS) or not name.isidentifier() or name in self._convert:
                raise ValueError(f"<{parameter}> in {route!r} is no parameter; expected <name>, or one of "
                                 f"{', '.join(_KINDS)} before it, as in <int:name>, each name once")  # fmt: skip
            matched, self._convert[name] = _KINDS[kind or "str"]
            expression += f"(?P<{name}>{matched}){re.escape(text)}"
        self._expression = re.compile(expression)

    def match(self, path: str) -> dict[str, Any] | None:
        """The parameters; None where the path is another one."""
        found = self._expression.fullmatch(path)
        if found is None:
            return None
        return {name: self._convert[name](text) for name, text in found.groupdict().items()}
