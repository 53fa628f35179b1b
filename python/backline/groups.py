"""The groups of a WebSocket that the server itself delivers to, as the application's side counts them."""

from __future__ import annotations

import re
from typing import Any, Final

from .errors import TooManyGroups

GROUPS: Final = 100  # one socket is in at most so many, where the server says nothing else

_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{1,99}")


def check_group(name: Any) -> str:
    """Channels' rule for names, so that a group can be used from everywhere."""
    if not isinstance(name, str):
        raise TypeError(f"expected group as a str, got {type(name).__name__}")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"expected group as 1 to 99 ASCII letters, digits, hyphens, underscores and periods, got {name!r}"
        )
    return str.__str__(name)


def joined(groups: tuple[str, ...], name: str, most: int) -> tuple[str, ...]:
    """The groups with one more. A tuple: most sockets are in one or two, and a set takes 200 bytes."""
    if name in groups:
        return groups
    if len(groups) >= most:
        raise TooManyGroups(f"the WebSocket is in {most} groups already; discard one, or raise websocket_groups")
    return (*groups, name)


def left(groups: tuple[str, ...], name: str) -> tuple[str, ...]:
    """The groups without one."""
    return tuple(each for each in groups if each != name)
