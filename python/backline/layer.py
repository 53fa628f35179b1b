"""A channel layer for Django Channels that needs no other server: groups and channels of every process of one Backline.

    CHANNEL_LAYERS = {"default": {"BACKEND": "backline.layer.BacklineChannelLayer"}}

It works in workers of any kind and number, and in management commands, scripts and `runworker`, which reach the server
over its control socket. How, is in channels.py; here are the words and the rules of Channels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from channels.exceptions import ChannelFull, MessageTooLarge
from channels.layers import BaseChannelLayer

from . import channels as plain
from .call import Call
from .consumers import Instance
from .groups import check_group
from .mailbox import CAPACITY, EXPIRY, GROUP_EXPIRY, Patterns
from .websocket import WebSocket

_RUNS: Final = (Call.run.__code__, Instance.run.__code__)  # of tasks that last as long as a consumer


class BacklineChannelLayer(BaseChannelLayer):  # type: ignore[misc]  # Channels has no types
    """Takes the options of other layers: ``capacity`` (100), ``channel_capacity``, ``expiry`` (60 s),
    ``group_expiry`` (86,400 s; a membership ends with its process in any case), ``prefix`` (empty): groups are
    "prefix.name" for everybody else, so that layers with different ones do not see each other's. ``hosts`` and whatever
    else is about Redis is ignored."""

    extensions = ("groups", "flush")

    def __init__(
        self,
        hosts: Any = None,
        expiry: float = EXPIRY,
        group_expiry: float = GROUP_EXPIRY,
        capacity: int = CAPACITY,
        channel_capacity: Patterns | None = None,
        prefix: str = "",
        **_: Any,
    ) -> None:
        super().__init__(expiry=expiry, capacity=capacity, channel_capacity=None)
        self.channel_capacity = self.compile_capacities(channel_capacity or {})
        self.group_expiry = group_expiry
        self.ChannelFull, self.MessageTooLarge = ChannelFull, MessageTooLarge
        self._check_channel = getattr(self, "require_valid_channel_name", None) or self.valid_channel_name
        self._check_group = getattr(self, "require_valid_group_name", None) or self.valid_group_name
        self._prefix = check_group(prefix) + "." if prefix else ""
        self._channels = plain.Endpoint(
            capacity=capacity, channel_capacity=channel_capacity, expiry=expiry, group_expiry=group_expiry
        )
        self._calls: dict[str, Call | Instance] = {}  # whose consumers have these channels

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Send a message to a channel. Raises ChannelFull."""
        assert isinstance(message, dict), "message is not a dict"
        self._check_channel(channel)
        assert "__asgi_channel__" not in message
        with _translated():
            await self._channels.asend(channel, message)

    async def receive(self, channel: str) -> dict[str, Any]:
        """The next message. Whoever is cancelled has taken none."""
        self._check_channel(channel)
        return await self._channels.areceive(channel)

    async def new_channel(self, prefix: str = "specific") -> str:
        """A channel of this process: a name, for which nothing has to be sent. That of a consumer ends with its
        connection, however the consumer ends: one that fails leaves no group by itself."""
        channel = self._channels.new_channel(prefix)
        task = asyncio.current_task()
        coroutine = task and task.get_coro()
        # Of the call itself, which makes its channel first thing: what async_to_sync runs has a task for a moment.
        if task is not None and getattr(coroutine, "cr_code", None) in _RUNS:
            self._calls[channel] = coroutine.cr_frame.f_locals["self"]  # type: ignore[union-attr]
            task.add_done_callback(lambda _: self._end(channel))
        return channel

    def _end(self, channel: str) -> None:
        self._calls.pop(channel, None)
        self._channels.end(channel)

    async def group_add(
        self,
        group: str,
        channel: str,
        edge: bool = False,
        *,
        user: str | None = None,
        info: Any = None,
        since: str | None = None,
    ) -> None:
        """Put a channel into a group. With ``edge`` the WebSocket whose consumer has this channel joins instead: the
        server writes to it what ``group_broadcast`` sends, the consumer hears of neither that nor ``group_send``.

        With ``edge`` there may be a ``user``, who is then present in the group by this channel, with ``info``: anything
        that JSON has, of at most 4096 bytes. And ``since``, the last ``"__position__"`` that the client saw: it gets
        what came after that first, or the consumer's method ``backline_group_gap`` is called with ``event["group"]``.
        With "" it gets all that the group remembers. Messages that are JSON objects have their position in them then.
        """
        name = self._group(group)
        self._check_channel(channel)
        if edge:
            socket = self._socket(channel)
            await _on_its_loop(socket, partial(socket.join, name, user, info, since, socket=channel, told=group))
            return
        if not (user is None and info is None and since is None):
            raise TypeError(
                "user, info and since are for a socket that the server delivers to: group_add(..., edge=True); "
                "for a channel there are backline.channels.enter() and history()"
            )
        await self._channels.agroup_add(name, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        """Take a channel out of a group; it need not be in it."""
        group = self._group(group)
        self._check_channel(channel)
        socket = self._calls.get(channel)
        if isinstance(socket, WebSocket):
            await _on_its_loop(socket, partial(socket.part, group))
        await self._channels.agroup_discard(group, channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send a message to every channel of a group. Full ones lose it."""
        assert isinstance(message, dict), "message is not a dict"
        group = self._group(group)
        with _translated():
            await self._channels.agroup_send(group, message)

    async def group_broadcast(self, group: str, text: str | None = None, bytes: bytes | None = None) -> None:
        """Send a WebSocket message to every socket that joined by ``group_add(..., edge=True)``, without a worker."""
        group = self._group(group)
        with _translated():
            await self._channels.agroup_broadcast(group, plain.socket_message(text, bytes))

    def _group(self, name: str) -> str:
        """A group's name as everybody else knows it."""
        self._check_group(name)
        return check_group(self._prefix + name) if self._prefix else name

    def _socket(self, channel: str) -> WebSocket:
        socket = self._calls.get(channel)
        if not isinstance(socket, WebSocket):
            raise ValueError(
                f"{channel} is not the channel of a WebSocket's consumer in this process that is still connected; "
                "edge=True is for the consumer's own channel_name"
            )
        return socket

    async def flush(self) -> None:
        """Forget every message and every membership, of all processes."""
        await self._channels.aflush()

    async def close(self) -> None:
        """End a connection that nobody needs: nothing that was sent or joined is forgotten."""
        self._channels.close()

    async def close_pools(self) -> None:
        """The same under the name that channels_redis has for it."""
        self._channels.close()


@contextmanager
def _translated() -> Iterator[None]:
    """The errors as Channels names them."""
    try:
        yield
    except plain.ChannelFull as error:
        raise ChannelFull(str(error)) from None
    except plain.MessageTooLarge as error:
        raise MessageTooLarge(str(error)) from None


async def _on_its_loop(socket: WebSocket, do: Callable[[], None]) -> None:
    """Have a socket join or part from whatever loop this is: synchronous consumers may have another one."""
    loop = socket.task and socket.task.get_loop()
    if loop is None or loop is asyncio.get_running_loop():  # None in the call's first step
        do()
        return

    async def call() -> None:
        do()

    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), loop))
