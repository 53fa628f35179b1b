"""The channels of this process and what the hub is told of them. No I/O: ``write`` is given what goes out, and whoever
reads gives what comes to ``take``. Any thread may call anything.

Messages for channels of this process wait here, so that each crosses once. What a coroutine waits for is only that
there is something: it takes the message itself, when it goes on, so that whoever is cancelled before has taken none.

What goes out is queued under the lock and written behind it, in the same order: two threads that change one group must
not tell the hub of it the other way round.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import count
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from . import wire
from .mailbox import Box, Group, Limits, layer_of, owner_of
from .parallel import greenlets
from .waiting import Waiter, native, wake_all

LOST: Final = 99  # a verdict of our own: the server went before it gave one
_LONGEST: Final = 2**31 - 1  # milliseconds of a message's expiry, which are 24 days
TELL: Final = 1.0  # seconds between lines in the log about channels that are full
SWEEP: Final = 15.0  # seconds between looks for what nobody has read in time

logger = logging.getLogger("backline.channels")


class Session:
    """``write`` sends messages, and may raise; it is called by one thread at a time."""

    def __init__(self, write: Callable[[list[wire.Outgoing]], None]) -> None:
        self.id = uuid4().hex
        self.answered: Callable[[], bool] = lambda: True  # whether the server reads what we send already
        self._write = write
        self._lock = native("allocate_lock")()
        self.writing = native("allocate_lock")()  # held while ``write`` is called
        self._outgoing: list[wire.Outgoing] = []
        self._tokens = count()
        self._asked: dict[int, Waiter | Group] = {}  # whom a verdict is for
        self._boxes: dict[str, Box] = {}
        self._groups: dict[str, Group] = {}
        self._of: dict[str, set[str]] = {}  # the groups of each channel of ours that is in any
        self._layers: dict[str, Limits] = {}
        self._swept, self._told = monotonic(), -TELL
        self._over: tuple[int, int, str] | None = None  # what take() has to tell of channels that are full
        self._present: dict[tuple[str, str, str], str] = {}  # who is in which group by which socket: the info

    def layer(self, **limits: Any) -> Limits:
        """The limits of one more layer."""
        with self._lock:
            made = Limits(f"{len(self._layers):x}", **limits)
            self._layers[made.number] = made
            return made

    # What people ask for. True: the waiter will be told.

    def send(self, waiter: Waiter, limits: Limits, channel: str, data: bytes) -> bool:
        """Put a message into a channel. ``waiter.verdict`` says what has become of it."""
        if owner_of(channel) != self.id:
            capacity, expiry = limits.capacity_of(channel), int(min(max(1, limits.expiry * 1000), _LONGEST))
            return self.ask(waiter, wire.CHANNEL_SEND, channel, data, capacity, expiry)
        with self._lock:
            waiter.verdict, waiter.number, woken = self._put(channel, data, monotonic())
        self._wake([woken] if woken else [])
        return False

    def publish(self, waiter: Waiter | None, group: str, data: str | bytes, kind: int = wire.PUBLISH) -> bool:
        """Send to a group, or with BROADCAST to its sockets; without a waiter nobody learns when it has gone."""
        return self.ask(waiter, kind, group, data)

    def items(self, waiter: Waiter | None, data: bytes) -> bool:
        """Publish for held answers."""
        return self.ask(waiter, wire.ITEMS, data)

    def flush(self, waiter: Waiter) -> bool:
        """Forget everything, everywhere."""
        with self._lock:
            self._forget()
        return self.ask(waiter, wire.FLUSH)

    def add(self, waiter: Waiter, group: str, channel: str) -> bool:
        """Put a channel into a group. When the waiter is told, or there is nothing to wait for, the hub knows."""
        if owner_of(channel) != self.id:
            return self.ask(waiter, wire.ENLIST, group, channel)
        with self._lock:
            members = self._enter(group, channel)
            waits = not members.joined and self.answered()
            if waits:
                members.waiting.append(waiter)
        try:
            self.send_queued()
        except BaseException:
            with self._lock:
                self._withdraw(group, channel)
            raise
        return waits

    def discard(self, waiter: Waiter, group: str, channel: str) -> bool:
        """Take a channel out of a group."""
        if owner_of(channel) != self.id:
            return self.ask(waiter, wire.STRIKE, group, channel)
        with self._lock:
            self._withdraw(group, channel)
        self.send_queued()
        return False

    def end(self, channel: str) -> None:
        """Nobody will receive from this channel of ours again."""
        with self._lock:
            for group in list(self._of.get(channel, ())):
                self._withdraw(group, channel)
            self._boxes.pop(channel, None)
        self.send_queued()

    def receive(self, waiter: Waiter, limits: Limits, channel: str) -> bytes | None:
        """The next message; None: the waiter is told when there may be one."""
        with self._lock:
            box = self._boxes.get(channel)
            if box is None:
                box = self._boxes[channel] = Box(limits, channel, owner_of(channel) == self.id)
            found = box.take(monotonic())
            if found is None:
                waiter.signalled = False
                box.waiters.append(waiter)
            self._settle(channel, box)
        try:
            self.send_queued()
        except BaseException:
            with self._lock:
                box.leave(waiter)
            raise
        return found

    def resumed(self, waiter: Waiter, channel: str, *, gave_up: bool) -> None:
        """A waiter goes on, to call ``receive`` again, or it gives up."""
        following: Waiter | None = None
        with self._lock:
            box = self._boxes.get(channel)
            if box is None:
                return
            box.leave(waiter)
            if gave_up:
                if waiter.signalled and box.items:
                    following = box.next()
                self._settle(channel, box)
        self._wake([following] if following else [])
        if gave_up:
            self.send_queued()

    def enter(self, who: tuple[str, str, str], info: str) -> None:
        """The server knows that a user is in a group by a socket; another connection has to say it anew."""
        with self._lock:
            self._present[who] = info

    def leave(self, who: tuple[str, str, str]) -> None:
        """He is not there any more."""
        with self._lock:
            self._present.pop(who, None)
        self.ask(None, wire.EXIT, *who)

    def ask(self, waiter: Waiter | None, kind: int, *fields: Any) -> bool:
        """Say something to the hub. Its verdict, or what recall.py asks for, is left with the waiter."""
        with self._lock:
            token = 0
            if waiter is not None and self.answered():
                token = self._token()
                self._asked[token] = waiter
            elif waiter is not None:
                waiter.verdict = wire.VERDICT_DONE  # for all that anybody can know
            self._outgoing.append((kind, token, *fields))
        self.send_queued()  # where that fails, lost() has been called
        return token != 0

    def _token(self) -> int:
        return 1 + next(self._tokens) % 0x7FFFFFFF

    def send_queued(self) -> None:
        """Write what is queued, in its order."""
        with self._lock:
            if not self._outgoing:
                return
        with self.writing:
            with self._lock:
                messages, self._outgoing = self._outgoing, []
            if messages:
                self._write(messages)

    # What the hub has for us. Called by the thread that reads.

    def take(self, messages: list[wire.Incoming]) -> None:
        """Do what they say, and then wake everybody whom that concerns, each loop once."""
        woken: list[Waiter] = []
        now = monotonic()
        with self._lock:
            for message in messages:
                self._obey(message, now, woken)
            if now - self._swept > SWEEP:
                self._sweep(now)
            over, self._over = self._over, None
        self._wake(woken)
        self.send_queued()
        # Without the lock, since handlers may send; not under gevent, whose locks are not for this thread.
        if over and now - self._told > TELL and not greenlets():
            self._told = now
            logger.info("%s of %s channels over capacity in group %s", *over)

    def _obey(self, message: wire.Incoming, now: float, woken: list[Waiter]) -> None:
        kind, token = message[0], message[1]
        if kind == wire.DELIVER:
            self._deliver(message[2], message[3], now, woken)
        elif kind == wire.VERDICT:
            self._decide(token, message[2], message[3], woken)
        elif kind == wire.CHANNEL_TAKE:
            self._take(token, message[2], message[3], now, woken)
        elif kind == wire.ENLISTED or kind == wire.STRUCK:
            (self._enter if kind == wire.ENLISTED else self._withdraw)(message[2], message[3])
            self._outgoing.append((wire.OUTCOME, token, wire.VERDICT_DONE, 0))
        elif kind == wire.RECALL or kind == wire.PRESENT:
            self._answer(token, message[2:], woken)
        elif kind == wire.FLUSHED:
            self._forget()

    def _deliver(self, group: str, data: bytes, now: float, woken: list[Waiter]) -> None:
        members = self._groups.get(group)
        if members is None:
            return  # it has left meanwhile
        self._overdue(group, members, now)
        full = 0
        for channel in members.channels:
            verdict, _, waiter = self._put(channel, data, now)
            if waiter is not None:
                woken.append(waiter)
            full += verdict == wire.VERDICT_FULL
        if full:
            self._outgoing.append((wire.DROPPED, full, group))
            self._over = (full, len(members.channels), group)

    def _put(self, channel: str, data: bytes, now: float) -> tuple[int, int, Waiter | None]:
        """Put a message into a channel of ours: the verdict, its number, and who has to be woken."""
        box = self._boxes.get(channel)
        if box is None:
            limits = self._layers.get(layer_of(channel))
            if limits is None:
                return wire.VERDICT_DONE, 0, None  # nobody here will ever read it
            box = self._boxes[channel] = Box(limits, channel, True)
        done = box.put(data, now)
        return (wire.VERDICT_DONE, 0, box.next()) if done else (wire.VERDICT_FULL, box.capacity, None)

    def _take(self, token: int, channel: str, data: bytes, now: float, woken: list[Waiter]) -> None:
        if owner_of(channel) == self.id:
            verdict, number, waiter = self._put(channel, data, now)
        else:
            verdict, number, waiter = wire.VERDICT_DONE, 0, None
            box = self._boxes.get(channel)
            if box is None:
                self._outgoing.append((wire.GIVE_BACK, 0, channel, data))
                return
            box.asked = max(0, box.asked - 1)
            box.put(data, now)
            waiter = box.next()
            self._settle(channel, box)
        if token:
            self._outgoing.append((wire.OUTCOME, token, verdict, number))
        if waiter is not None:
            woken.append(waiter)

    def _decide(self, token: int, verdict: int, number: int, woken: list[Waiter]) -> None:
        asked = self._asked.pop(token, None)
        if isinstance(asked, Group):
            woken += asked.answered()
        elif asked is not None:
            asked.verdict, asked.number = verdict, number
            woken.append(asked)

    def _answer(self, token: int, answer: tuple[Any, ...], woken: list[Waiter]) -> None:
        asked = self._asked.pop(token, None)
        if isinstance(asked, Waiter):
            asked.verdict, asked.answer = wire.VERDICT_DONE, answer
            woken.append(asked)

    # The rest is called with the lock.

    def _enter(self, group: str, channel: str) -> Group:
        members = self._groups.get(group)
        if members is None:
            members = self._groups[group] = Group()
            self._join(group, members)
        members.channels.pop(channel, None)  # so that the oldest stand first
        members.channels[channel] = monotonic()
        self._of.setdefault(channel, set()).add(group)
        return members

    def _join(self, group: str, members: Group) -> None:
        token = self._token()
        self._asked[token] = members
        self._outgoing.append((wire.JOIN, token, group))

    def _withdraw(self, group: str, channel: str) -> None:
        members = self._groups.get(group)
        if members is None or members.channels.pop(channel, None) is None:
            return
        groups = self._of[channel]
        groups.discard(group)
        if not groups:
            del self._of[channel]
        if not members.channels:
            del self._groups[group]
            self._outgoing.append((wire.LEAVE, 0, group))

    def _overdue(self, group: str, members: Group, now: float, *, each: bool = False) -> None:
        """End memberships that nobody has renewed in time."""
        for channel in members.overdue(self._layers, now, each):
            self._withdraw(group, channel)

    def _settle(self, channel: str, box: Box) -> None:
        """Tell the hub what a channel that nobody owns wants and does not want, and forget one that is idle."""
        if not box.owned:
            self._outgoing += box.changes(channel)
        if box.idle():
            self._boxes.pop(channel, None)

    def _sweep(self, now: float) -> None:
        """Forget messages and memberships that are over. What consumers that failed left behind would stay for ever."""
        self._swept = now
        for channel, box in list(self._boxes.items()):
            box.expire(now)
            if box.idle():
                del self._boxes[channel]
        for group, members in list(self._groups.items()):
            self._overdue(group, members, now, each=True)

    def _forget(self) -> None:
        self._groups.clear()
        self._of.clear()
        self._present.clear()
        for box in self._boxes.values():
            box.items.clear()

    def _wake(self, waiters: list[Waiter]) -> None:
        """Wake them; what was for those whose loops have ended is for the next."""
        gone = set(wake_all(waiters)) if waiters else None
        while gone:
            following: list[Waiter] = []
            with self._lock:
                for channel, box in list(self._boxes.items()):
                    lost = gone.intersection(box.waiters)
                    box.waiters = [each for each in box.waiters if each not in lost]
                    following += [each for _ in lost if box.items and (each := box.next()) is not None]
                    if lost:
                        self._settle(channel, box)
            gone = set(wake_all(following))

    # The connection.

    def resume(self) -> list[wire.Outgoing]:
        """What a new connection has to hear first: who we are, what we are in and what we wait for."""
        with self._lock:
            first: list[wire.Outgoing] = [(wire.ATTACH, self._token(), self.id)]
            # The others' JOIN is queued, and so is what the first connection is to read.
            first += [(wire.JOIN, 0, group) for group, members in self._groups.items() if members.joined]
            first += [(wire.ENTER, 0, *who, info) for who, info in self._present.items()]
            for channel, box in self._boxes.items():
                if not box.owned and (wanted := box.wanted()) > 0:
                    box.asked += wanted
                    first.append((wire.CHANNEL_READ, wanted, channel))
            return first

    def reconnect(self) -> None:
        """Have a connection opened, if there is none."""
        with self.writing:
            self._write([])

    def lost(self) -> bool:
        """The connection has ended. Those who asked are told; whether there are others, who wait for messages."""
        with self._lock:
            asked = list(self._asked.values())
            self._asked.clear()
            self._outgoing.clear()
            for box in self._boxes.values():
                box.asked = 0
            woken: list[Waiter] = []
            for each in asked:
                if isinstance(each, Group):
                    woken += each.answered()  # as the next connection says first
                else:
                    each.verdict = LOST
                    woken.append(each)
        self._wake(woken)
        return self.waited_for()

    def waited_for(self) -> bool:
        """Whether somebody would miss something without a connection."""
        with self._lock:
            return bool(self._groups or self._present) or any(box.waiters for box in self._boxes.values())
