"""What was sent to groups, and who is there. People use it from ``backline.channels``.

    found = channels.history("chat.1", after=last)    # last: a position that an earlier history had
    for position, message in found.messages: ...
    if not found.complete: ...                        # what came after ``last`` is not known any more: load it anew

    channels.enter("chat.1", user="ann", socket=self.channel_name, info={"device": "phone"})
    channels.presence("chat.1").users                 # how many are there
    channels.leave("chat.1", user="ann", socket=self.channel_name)

A group remembers what ``--history`` says of its name, or ``keep`` of it; messages of such a group have their position
under "__position__". Whoever is in the group ``watchers(group)`` gets a message {"type": "presence.join", "group": ...,
"user": ..., "info": "<JSON>"} when a user comes, and "presence.leave" when his last socket has been gone for
``--presence-leave-delay``.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from . import connection, payload, wire
from .parallel import greenlets, not_on_a_loop
from .session import LOST
from .waiting import TaskWaiter, Waiter, blocking_waiter

PATIENCE: Final = 10.0  # seconds for the server to answer
LONGEST: Final = 255  # bytes of the name of a user, or of a socket
_POSITION: Final = 1024  # of what a client says that it saw last; with the most servers a position has 933

_GROUP: Final = re.compile(r"[a-zA-Z\d\-_.]+")


@dataclass(frozen=True, slots=True)
class History:
    """``messages`` are pairs of a position and a message, the oldest first. ``complete``: nothing is missing among
    them. ``position`` is where the history ends, to ask for what follows; empty where the group remembers nothing."""

    messages: list[tuple[str, dict[str, Any]]]
    complete: bool
    position: str

    def is_new(self, message: dict[str, Any]) -> bool:
        """Whether a message that a channel got is of after this history. A channel may get a message that was sent
        before it came to the group, where the process was there already, and that is on its way."""
        # Behind the first full stop is the same for other servers; both texts are of this one.
        epoch, _, offset = str(message.get("__position__", "")).partition(".")[0].partition("-")
        known, _, last = self.position.partition(".")[0].partition("-")
        return epoch != known or not known or int(offset) > int(last)


@dataclass(frozen=True, slots=True)
class Present:
    """A user who is there, since when (Unix time), and by which sockets, each with its info."""

    user: str
    since: float
    sockets: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Presence:
    """How many users and sockets are there; ``who`` has at most as many users as were asked for."""

    users: int
    sockets: int
    who: list[Present]


_Question = tuple[Any, ...]


def watchers(group: str) -> str:
    """The group that is told who comes to this one and who leaves."""
    return f"{group}.presence"


def history(group: str, after: str | None = "") -> History:
    """What was sent to a group after a position; everything that it remembers where there is none."""
    return _history(_thread("history", (wire.HISTORY, _group(group), _position(after))))


async def ahistory(group: str, after: str | None = "") -> History:
    """The same for coroutines."""
    return _history(await _task((wire.HISTORY, _group(group), _position(after))))


def keep(group: str, messages: int, seconds: int) -> None:
    """Have a group remember its last messages, from now on and for so long."""
    _thread("keep", (wire.KEEP, _group(group), _natural(messages), _natural(seconds)))


async def akeep(group: str, messages: int, seconds: int) -> None:
    """The same for coroutines."""
    await _task((wire.KEEP, _group(group), _natural(messages), _natural(seconds)))


def enter(group: str, user: str, socket: str, info: Any = None) -> None:
    """A user is in a group by a socket, until ``leave``, or until this process ends. info is anything that JSON has."""
    _thread("enter", _entry(group, user, socket, info))


async def aenter(group: str, user: str, socket: str, info: Any = None) -> None:
    """The same for coroutines."""
    await _task(_entry(group, user, socket, info))


def leave(group: str, user: str, socket: str) -> None:
    """The user is not there any more by this socket. It waits for nothing, so coroutines may call it too."""
    connection.current().leave(_seat(group, user, socket))


def presence(group: str, limit: int = 1000) -> Presence:
    """Who is in a group; ``limit`` bounds the list, and 0 does not."""
    return _presence(_thread("presence", (wire.PRESENCE, _group(group), _natural(limit))))


async def apresence(group: str, limit: int = 1000) -> Presence:
    """The same for coroutines."""
    return _presence(await _task((wire.PRESENCE, _group(group), _natural(limit))))


def _group(name: str) -> str:
    if not isinstance(name, str) or len(name) >= 100 or _GROUP.fullmatch(name) is None:
        raise TypeError(
            f"{name!r} is no name of a group: expected less than 100 letters, digits, hyphens, underscores and periods"
        )
    return name


def _natural(number: int) -> int:
    if not isinstance(number, int) or not 0 <= number < 2**31:
        raise ValueError(f"{number!r:.80} is no count; expected 0 to {2**31 - 1}")
    return number


def _entry(group: str, user: str, socket: str, info: Any) -> _Question:
    text = "" if info is None else json.dumps(info, allow_nan=False)
    return (wire.ENTER, *_seat(group, user, socket), text)


def _seat(group: str, user: str, socket: str) -> tuple[str, str, str]:
    return _group(group), _plain("user", user), _plain("socket", socket)


def _plain(what: str, name: str) -> str:
    if not isinstance(name, str) or not 0 < len(name.encode()) <= LONGEST:
        raise TypeError(f"expected {what} as a str of 1 to {LONGEST} bytes, got {name!r:.120}")
    return str.__str__(name)


def _position(text: str | None) -> str:
    """A position as a client has said it: what is none becomes one that nobody knows."""
    if text is None:
        return ""
    if not isinstance(text, str):
        raise TypeError(f"expected after as a position, which is a str, got {text!r:.120}")
    return str.__str__(text) if len(text) <= _POSITION and text.isascii() else "?"


def _history(answer: tuple[Any, ...]) -> History:
    complete, position, messages = answer
    return History([(at, payload.load(data)) for at, data in messages], bool(complete), position)


def _presence(answer: tuple[Any, ...]) -> Presence:
    users, sockets, who = answer
    return Presence(
        users, sockets,
        [
            Present(user, since / 1000, {socket: json.loads(info) if info else None for socket, info in seats})
            for user, since, seats in who
        ],
    )  # fmt: skip


def _thread(name: str, question: _Question) -> tuple[Any, ...]:
    not_on_a_loop(name, f"await a{name}(...)")
    waiter = blocking_waiter(greenlets())
    try:
        if connection.current().ask(waiter, *question):
            waiter.wait(PATIENCE)
    finally:
        waiter.close()
    return _judge(waiter, question)


async def _task(question: _Question) -> tuple[Any, ...]:
    waiter = TaskWaiter(asyncio.get_running_loop())
    if connection.current().ask(waiter, *question):
        await asyncio.wait((waiter.future,), timeout=PATIENCE)
    return _judge(waiter, question)


def _judge(waiter: Waiter, question: _Question) -> tuple[Any, ...]:
    group = question[1]
    if waiter.verdict == LOST:
        raise connection.NoServer(f"the server went while it was asked about {group}; try again when it runs")
    if waiter.verdict == wire.VERDICT_FULL:
        raise connection.NoRoom(f"as many sockets are present in groups as may be (presence_sockets): {group}")
    if waiter.verdict == wire.VERDICT_INVALID:
        raise ValueError(f"the info is too long to be told to everybody in {group}: at most 4096 bytes of JSON")
    if waiter.verdict < 0:
        raise TimeoutError(f"the server has not answered about {group} for {PATIENCE:.0f} s")
    if question[0] == wire.ENTER:
        connection.current().enter(question[1:4], question[4])
    elif question[0] != wire.KEEP and not waiter.answer:
        raise connection.NoServer(f"the server answers nothing about {group} until the application is imported")
    return waiter.answer
