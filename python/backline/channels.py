"""Channels and groups without Django: messages between requests, workers, scripts and other processes of one server.

    from backline import channels

    channels.group_send("room", {"text": "hello"})          # from a view, a thread, a script
    await channels.agroup_send("room", {"text": "hello"})   # from a coroutine

    name = channels.new_channel()
    channels.group_add("room", name)
    message = channels.receive(name, timeout=30)            # {"text": "hello"}

A message is a dictionary of plain values. It is delivered at most once, within 60 s, and a channel holds 100 that
nobody has read. A worker reaches the server over the connection it has; any other process over the server's control
socket, which it finds when it runs in the same folder and as the same user, or by BACKLINE_SOCKET.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from . import connection, payload, wire
from .connection import NoRoom as NoRoom
from .connection import NoServer as NoServer
from .mailbox import Limits, new_name, owner_of
from .parallel import greenlets, not_on_a_loop
from .payload import MessageTooLarge as MessageTooLarge
from .recall import aenter as aenter
from .recall import ahistory as ahistory
from .recall import akeep as akeep
from .recall import apresence as apresence
from .recall import enter as enter
from .recall import history as history
from .recall import keep as keep
from .recall import leave as leave
from .recall import presence as presence
from .recall import watchers as watchers
from .session import LOST, Session
from .waiting import SILENT, TaskWaiter, Waiter, blocking_waiter

PATIENCE: Final = 10.0  # seconds for another process to take a message

_CHANNEL: Final = re.compile(r"[a-zA-Z\d\-_.]+(?:![\d\w\-_.]*)?")
_GROUP: Final = re.compile(r"[a-zA-Z\d\-_.]+")


class ChannelFull(Exception):
    """As many messages as may wait in the channel, and nobody reads them."""


class Endpoint:
    """Channels with limits of their own: ``capacity`` (100), ``channel_capacity`` (patterns of names and capacities,
    the first that fits decides), ``expiry`` and ``group_expiry`` (seconds: 60, 86,400). It works after a fork too."""

    def __init__(self, **limits: Any) -> None:
        self._options = limits
        self._session: Session | None = None
        self._limits = Limits("", **limits)  # before anything is sent, what is wrong with them

    def _here(self) -> tuple[Session, Limits]:
        session = connection.current()
        if session is not self._session:
            self._limits = session.layer(**self._options)
            self._session = session
        return session, self._limits

    def new_channel(self, prefix: str = "specific") -> str:
        """A channel of this process. It is a name and no more: what is never used costs nothing."""
        session, limits = self._here()
        return new_name(session.id, limits, prefix)

    def end(self, channel: str) -> None:
        """Forget a channel, and that it is in groups."""
        with suppress(NoServer):
            self._here()[0].end(channel)

    # For coroutines.

    async def asend(self, channel: str, message: dict[str, Any]) -> None:
        """Put a message into a channel. Raises ChannelFull, MessageTooLarge, NoServer."""
        data = payload.dump(message)
        session, limits = self._here()
        waiter = await self._task(lambda waiter: session.send(waiter, limits, channel, data), PATIENCE)
        _judge(waiter, channel, data)

    async def agroup_send(self, group: str, message: dict[str, Any]) -> None:
        """Send a message to every channel of a group. Those that are full lose it, which nobody is told."""
        data = payload.dump(message)
        session, _ = self._here()
        _judge(await self._task(lambda waiter: session.publish(waiter, group, data)), group, data)

    async def agroup_broadcast(self, group: str, data: str | bytes) -> None:
        """Send a WebSocket message to the sockets in a group that the server itself delivers to."""
        session, _ = self._here()
        if greenlets():
            session.publish(None, group, data, wire.BROADCAST)  # as above
            return
        _judge(await self._task(lambda waiter: session.publish(waiter, group, data, wire.BROADCAST)), group, data)

    async def agroup_add(self, group: str, channel: str) -> None:
        """Put a channel into a group, whoever has it."""
        session, _ = self._here()
        _judge(await self._task(lambda waiter: session.add(waiter, group, channel)), channel)

    async def agroup_discard(self, group: str, channel: str) -> None:
        """Take a channel out of a group; it need not be in it."""
        session, _ = self._here()
        _judge(await self._task(lambda waiter: session.discard(waiter, group, channel)), channel)

    async def aflush(self) -> None:
        """Forget every message and every membership, of all processes: for tests."""
        session, _ = self._here()
        _judge(await self._task(session.flush), "")

    async def areceive(self, channel: str) -> dict[str, Any]:
        """The next message. Whoever is cancelled has taken none."""
        session, limits = self._mine(channel)
        waiter = TaskWaiter(asyncio.get_running_loop())
        while True:
            found = session.receive(waiter, limits, channel)
            if found is not None:
                return payload.load(found)
            try:
                await waiter.future
            except BaseException:
                session.resumed(waiter, channel, gave_up=True)
                raise
            session.resumed(waiter, channel, gave_up=False)
            waiter.future = waiter.loop.create_future()

    async def _task(self, begin: Callable[[Waiter], bool], patience: float | None = None) -> Waiter:
        waiter = TaskWaiter(asyncio.get_running_loop())
        if begin(waiter):
            if patience is None:
                await waiter.future
            else:
                await asyncio.wait((waiter.future,), timeout=patience)
                if not waiter.future.done():
                    waiter.verdict = SILENT
        return waiter

    # For threads and greenlets.

    def send(self, channel: str, message: dict[str, Any]) -> None:
        """The same for synchronous code."""
        data = payload.dump(message)
        session, limits = self._here()
        _judge(self._thread("send", lambda waiter: session.send(waiter, limits, channel, data)), channel, data)

    def group_send(self, group: str, message: dict[str, Any]) -> None:
        """The same for synchronous code."""
        data = payload.dump(message)
        session, _ = self._here()
        _judge(self._thread("group_send", lambda waiter: session.publish(waiter, group, data)), group, data)

    def group_broadcast(self, group: str, data: str | bytes) -> None:
        """The same for synchronous code."""
        session, _ = self._here()
        _judge(
            self._thread("group_broadcast", lambda waiter: session.publish(waiter, group, data, wire.BROADCAST)),
            group,
            data,
        )

    def group_add(self, group: str, channel: str) -> None:
        """The same for synchronous code."""
        session, _ = self._here()
        _judge(self._thread("group_add", lambda waiter: session.add(waiter, group, channel)), channel)

    def group_discard(self, group: str, channel: str) -> None:
        """The same for synchronous code."""
        session, _ = self._here()
        _judge(self._thread("group_discard", lambda waiter: session.discard(waiter, group, channel)), channel)

    def receive(self, channel: str, timeout: float | None = None) -> dict[str, Any]:
        """The same for synchronous code; TimeoutError when none has come after ``timeout`` seconds."""
        from time import monotonic

        not_on_a_loop("receive", "await areceive(...)")
        session, limits = self._mine(channel)
        until = None if timeout is None else monotonic() + timeout
        while True:
            waiter = blocking_waiter(greenlets())
            gave_up = True
            try:
                found = session.receive(waiter, limits, channel)
                if found is not None:
                    return payload.load(found)
                gave_up = not waiter.wait(None if until is None else max(0.0, until - monotonic()))
            finally:
                waiter.close()
                session.resumed(waiter, channel, gave_up=gave_up)
            if gave_up:
                raise TimeoutError(f"no message has come to {channel} for {timeout} s")

    def _thread(self, name: str, begin: Callable[[Waiter], bool]) -> Waiter:
        not_on_a_loop(name, f"await a{name}(...)")
        waiter = blocking_waiter(greenlets())
        try:
            if begin(waiter) and not waiter.wait(PATIENCE):
                waiter.verdict = SILENT
        finally:
            waiter.close()
        return waiter

    def _mine(self, channel: str) -> tuple[Session, Limits]:
        session, limits = self._here()
        owner = owner_of(channel)
        if owner is not None and owner != session.id:
            raise AssertionError(f"{channel} is a channel of another process: only that one can receive from it")
        return session, limits

    def close(self) -> None:
        """End a connection that nobody needs: nothing that was sent or joined is forgotten."""
        connection.close()


def _judge(waiter: Waiter, name: str, data: str | bytes = b"") -> None:
    """Raise what the server, or the channel's process, has decided."""
    verdict = waiter.verdict
    if verdict == wire.VERDICT_FULL:
        raise ChannelFull(
            f"{name} is full: {waiter.number or 'too many'} messages wait in it and nobody reads them; "
            "try again later, or raise the capacity"
        )
    if verdict == wire.VERDICT_TOO_LARGE:
        raise payload.too_large(len(data), waiter.number)
    if verdict == wire.VERDICT_INVALID:
        raise TypeError(f"the message for {name} cannot be read by the process that it is for")
    if verdict == wire.VERDICT_AWAY:
        raise NoServer(
            f"{name} is not of this server, and the bus to the other servers is away, or has no room: nothing was "
            "sent; try again"
        )
    if verdict == wire.VERDICT_BEYOND_BUS:
        raise MessageTooLarge(
            f"the message for {name} is too long for the bus to the server that it belongs to, which takes at most "
            f"{waiter.number} bytes (half of bus_buffer): put what it carries into a file or a database, and send "
            "its name"
        )
    if verdict == SILENT:
        raise TimeoutError(
            f"nobody has answered about {name} for {PATIENCE:.0f} s: the server, or the process that has it, hangs or "
            "is overloaded (backline ps). What was asked for may have been done, or be done yet: look before you "
            "repeat it"
        )
    if verdict == LOST:
        raise NoServer(f"the server went while it was asked about {name}; try again when it runs")


_default: Final = Endpoint()


def socket_message(text: Any, data: Any) -> str | bytes:
    """The one of ``text`` and ``bytes`` that is not None, as it is sent."""
    if (text is None) == (data is None):
        raise TypeError(
            "group_broadcast() has "
            + ("neither text nor bytes" if text is None else "both text and bytes")
            + "; expected one"
        )
    if data is not None:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"expected bytes as bytes, got {type(data).__name__}")
        return bytes(data)
    if not isinstance(text, str):
        raise TypeError(f"expected text as a str, got {type(text).__name__}")
    text.encode()  # raises for what has no UTF-8
    return str.__str__(text)


def _name(name: str, rule: re.Pattern[str], what: str) -> None:
    if not isinstance(name, str) or len(name) >= 100 or rule.fullmatch(name) is None:
        raise TypeError(
            f"{name!r} is no name of a {what}: expected less than 100 letters, digits, hyphens, underscores and periods"
        )


def new_channel(prefix: str = "specific") -> str:
    """A name for a channel of this process, for ``receive``."""
    name = _default.new_channel(prefix)
    _name(name, _CHANNEL, "channel")
    return name


def send(channel: str, message: dict[str, Any]) -> None:
    """Put a message into a channel, which one reader gets. Raises ChannelFull, MessageTooLarge, NoServer."""
    _name(channel, _CHANNEL, "channel")
    _default.send(channel, message)


async def asend(channel: str, message: dict[str, Any]) -> None:
    """The same for coroutines."""
    _name(channel, _CHANNEL, "channel")
    await _default.asend(channel, message)


def receive(channel: str, timeout: float | None = None) -> dict[str, Any]:
    """The next message of a channel: of this process, or of anybody ("thumbs"). TimeoutError after ``timeout``."""
    _name(channel, _CHANNEL, "channel")
    return _default.receive(channel, timeout)


async def areceive(channel: str) -> dict[str, Any]:
    """The same for coroutines. Cancelling it loses nothing."""
    _name(channel, _CHANNEL, "channel")
    return await _default.areceive(channel)


def group_send(group: str, message: dict[str, Any]) -> None:
    """Send a message to every channel of a group. Raises MessageTooLarge, NoServer; never ChannelFull."""
    _name(group, _GROUP, "group")
    _default.group_send(group, message)


async def agroup_send(group: str, message: dict[str, Any]) -> None:
    """The same for coroutines."""
    _name(group, _GROUP, "group")
    await _default.agroup_send(group, message)


def group_broadcast(group: str, text: str | None = None, bytes: bytes | None = None) -> None:
    """Send one WebSocket message, ``text`` or ``bytes``, to every socket in the group: those that joined by
    backline.group.add, ``group_add(..., edge=True)`` of the channel layer, or ``group_add`` of wsgi.websocket. The
    server writes it: no worker is woken, and a client that is too slow loses it. Raises MessageTooLarge, NoServer."""
    _name(group, _GROUP, "group")
    _default.group_broadcast(group, socket_message(text, bytes))


async def agroup_broadcast(group: str, text: str | None = None, bytes: bytes | None = None) -> None:
    """The same for coroutines."""
    _name(group, _GROUP, "group")
    await _default.agroup_broadcast(group, socket_message(text, bytes))


def group_add(group: str, channel: str) -> None:
    """Put a channel into a group, until ``group_discard``, or until its process ends."""
    _name(group, _GROUP, "group")
    _name(channel, _CHANNEL, "channel")
    _default.group_add(group, channel)


async def agroup_add(group: str, channel: str) -> None:
    """The same for coroutines."""
    _name(group, _GROUP, "group")
    _name(channel, _CHANNEL, "channel")
    await _default.agroup_add(group, channel)


def group_discard(group: str, channel: str) -> None:
    """Take a channel out of a group; it need not be in it."""
    _name(group, _GROUP, "group")
    _name(channel, _CHANNEL, "channel")
    _default.group_discard(group, channel)


async def agroup_discard(group: str, channel: str) -> None:
    """The same for coroutines."""
    _name(group, _GROUP, "group")
    _name(channel, _CHANNEL, "channel")
    await _default.agroup_discard(group, channel)
