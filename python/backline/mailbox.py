"""The channels of one process, as values: buffers, who waits for them, and what bounds them. No I/O and no lock:
session.py has both."""

from __future__ import annotations

import fnmatch
import re
from collections import deque
from collections.abc import Mapping
from typing import Final
from uuid import uuid4

from . import wire
from .waiting import Waiter

CAPACITY: Final = 100
EXPIRY: Final = 60.0
GROUP_EXPIRY: Final = 86400.0

Patterns = Mapping[str | re.Pattern[str], int]


class Limits:
    """How much may wait in which channel, and for how long; those of one layer, which numbers its channels."""

    __slots__ = ("_found", "_patterns", "capacity", "expiry", "group_expiry", "number")

    def __init__(
        self,
        number: str,
        capacity: int = CAPACITY,
        channel_capacity: Patterns | None = None,
        expiry: float = EXPIRY,
        group_expiry: float = GROUP_EXPIRY,
    ) -> None:
        self.number = number
        self.capacity = _count("capacity", capacity)
        self.expiry = _seconds("expiry", expiry)
        self.group_expiry = _seconds("group_expiry", group_expiry)
        self._patterns = [
            (re.compile(fnmatch.translate(each)) if isinstance(each, str) else each, _count("channel_capacity", most))
            for each, most in (channel_capacity or {}).items()
        ]

    def capacity_of(self, channel: str) -> int:
        """The first pattern that the whole name matches decides."""
        for pattern, most in self._patterns:
            if pattern.match(channel):
                return most
        return self.capacity


def _count(name: str, value: int) -> int:
    """What the server would not understand must not reach it: it could only be silent about it."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
        raise TypeError(f"expected {name} as a whole number from 1 to {2**31 - 1}, got {value!r:.80}")
    return value


def _seconds(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise TypeError(f"expected {name} as a number of seconds, got {value!r:.80}")
    return value


class Box:
    """One channel: what waits in it, or who waits for it."""

    __slots__ = ("asked", "capacity", "items", "limits", "owned", "waiters")

    def __init__(self, limits: Limits, channel: str, owned: bool) -> None:
        self.limits = limits
        self.owned = owned  # by this process; otherwise what comes is what it has asked for
        self.capacity = limits.capacity_of(channel)
        self.items: deque[tuple[float, bytes]] = deque()  # until when, and what
        self.waiters: list[Waiter] = []
        self.asked = 0  # messages that the hub has yet to give

    def put(self, data: bytes, now: float) -> bool:
        """Whether there was room. It may have taken the place of a message whose time is over."""
        if self.owned and len(self.items) >= self.capacity:
            self.expire(now)
            if len(self.items) >= self.capacity:
                return False
        self.items.append((now + self.limits.expiry, data))
        return True

    def take(self, now: float) -> bytes | None:
        """The next message."""
        while self.items:
            until, data = self.items.popleft()
            if until >= now:
                return data
        return None

    def expire(self, now: float) -> None:
        """Forget what nobody has read in time."""
        while self.items and self.items[0][0] < now:
            self.items.popleft()

    def next(self) -> Waiter | None:
        """Who has waited longest and has not been told that there is something."""
        for each in self.waiters:
            if not each.signalled:
                each.signalled = True
                return each
        return None

    def leave(self, waiter: Waiter) -> None:
        """It waits no more."""
        if waiter in self.waiters:
            self.waiters.remove(waiter)

    def surplus(self) -> list[bytes]:
        """Messages of a channel that nobody owns and that nobody waits for here, the newest first: others may."""
        found = []
        while not self.owned and len(self.items) > len(self.waiters):
            found.append(self.items.pop()[1])
        return found

    def wanted(self) -> int:
        """How many more messages the hub should give; negative for fewer."""
        return len(self.waiters) - len(self.items) - self.asked

    def changes(self, channel: str) -> list[wire.Outgoing]:
        """What the hub has to know, of a channel that nobody owns."""
        # The newest goes back first, and each in front of the ones before: then they stand as they stood.
        told: list[wire.Outgoing] = [(wire.GIVE_BACK, 0, channel, data) for data in self.surplus()]
        wanted = self.wanted()
        self.asked += wanted
        if wanted > 0:
            told.append((wire.CHANNEL_READ, wanted, channel))
        elif wanted < 0:
            told.append((wire.CHANNEL_UNREAD, -wanted, channel))
        return told

    def idle(self) -> bool:
        """Whether nothing would be lost without it."""
        return not self.items and not self.waiters and not self.asked


def new_name(process: str, limits: Limits, prefix: str = "specific") -> str:
    """A channel that nobody has had. It has the process, so that the server knows where it is, and the layer."""
    return f"{prefix}.{process}!{limits.number}-{uuid4().hex[:20]}"


def layer_of(channel: str) -> str:
    """The number of the layer that made it."""
    return channel.partition("!")[2].partition("-")[0]


def owner_of(channel: str) -> str | None:
    """The process that has it; None: nobody has."""
    before, mark, _ = channel.partition("!")
    return before.rpartition(".")[2] if mark else None


class Group:
    """The channels of this process in one group, and since when."""

    __slots__ = ("channels", "joined", "waiting")

    def __init__(self) -> None:
        self.channels: dict[str, float] = {}
        self.joined = False  # as the hub has said
        self.waiting: list[Waiter] = []  # until it says so

    def answered(self) -> list[Waiter]:
        """The hub knows of it: those who waited for that."""
        self.joined = True
        waiting, self.waiting = self.waiting, []
        return waiting

    def overdue(self, layers: Mapping[str, Limits], now: float, each: bool) -> list[str]:
        """The channels whose membership nobody has renewed in time: those that stand first, the oldest ones, or with
        ``each`` all, where layers with other limits stand between them."""
        found = []
        for channel, since in self.channels.items():
            limits = layers.get(layer_of(channel))
            if limits is not None and now - since > limits.group_expiry:
                found.append(channel)
            elif not each:
                break
        return found
