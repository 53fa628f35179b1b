"""The groups of a WebSocket that the server itself delivers to, as the application's side counts them."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Final

from . import wire
from .errors import TooManyGroups

GROUPS: Final = 100  # one socket is in at most so many, where the server says nothing else

_INFO: Final = 4096  # bytes of JSON about one who is present (channel.MaxInfo)
_USER: Final = 255  # bytes of the name of one who is
_POSITION: Final = 1024  # of what a client says that it saw last; with the most servers a position has 933

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


def about(user: Any, info: Any) -> str:
    """What is said of a user who is present, as JSON."""
    if user is None:
        if info is not None:
            raise TypeError("info is said of a user: expected user as well")
        return ""
    if not isinstance(user, str) or not 0 < len(user.encode()) <= _USER:
        raise TypeError(f"expected user as a str of 1 to {_USER} bytes, got {user!r:.120}")
    text = "" if info is None else json.dumps(info)
    if len(text) > _INFO:
        raise ValueError(f"an info of {len(text):,} bytes is too long to be told to everybody; at most {_INFO:,} are")
    return text


def position(since: Any) -> str | None:
    """The last position that a client saw. It is the client's word: what is none is one that nobody knows."""
    if since is None:
        return None
    if not isinstance(since, str):
        raise TypeError(f"expected since as a str, a position, or None, got {type(since).__name__}")
    return str.__str__(since) if len(since) <= _POSITION and since.isascii() else "?"


class Entries:
    """The groups that a socket has entered, and not only joined: it is present there, or asked for what it missed."""

    __slots__ = ("_asked", "_held", "_socket")

    def __init__(self) -> None:
        self._socket = ""
        self._asked: dict[str, str] = {}  # those of which it is told when something is missing, and by which name
        # What the server is told when the socket is accepted. Of a group there are two at most: a later user takes the
        # place of an earlier one, and not that of a question.
        self._held: dict[tuple[str, bool], wire.Outgoing] = {}

    def enter(self, stream: int, name: str, told: str, who: tuple[Any, str, str], since: str | None) -> wire.Outgoing:
        """The message. ``told``: the group as the application knows it; ``who``: user, socket, info."""
        user, socket, info = who
        if user is not None and not socket:
            socket = self._socket = self._socket or os.urandom(10).hex()
        if since is not None:
            self._asked[name] = told
        user = None if user is None else str.__str__(user)
        return (wire.SOCKET_ENTER, stream, name, user, socket, info, since)

    def hold(self, message: wire.Outgoing) -> None:
        """Keep a message until the socket is accepted."""
        key = (message[2], message[6] is None)
        self._held.pop(key, None)
        self._held[key] = message

    def release(self) -> list[wire.Outgoing]:
        """The messages that were kept, in order."""
        held, self._held = list(self._held.values()), {}
        return held

    def leave(self, name: str) -> None:
        self._asked.pop(name, None)
        self._held = {key: message for key, message in self._held.items() if key[0] != name}

    def gap(self, name: str) -> str | None:
        """What a group in which something is missing is called; None where nobody wants to know any more."""
        return self._asked.get(name)
