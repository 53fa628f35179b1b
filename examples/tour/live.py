"""The tour's WebSockets: an ASGI application beside the WSGI one, again with the standard library alone.

    backline serve app:app --websocket live:app --chdir examples/tour

The room of /live/chat lives in this process, so it needs the one process that --websocket has by default. That of
/live/talk does not: its members are channels, which the server sends to in whatever process they are.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

NAME_LENGTH, TEXT_LENGTH = 24, 500  # characters
REMEMBERED = 30  # what who comes late gets to read
UNREAD = 64  # messages that may wait for a member; one who does not read loses the oldest


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Find the WebSocket for the path."""
    if scope["type"] != "websocket":
        raise ValueError(f"expected a WebSocket, got {scope['type']!r}: this application has no pages")
    await receive()  # websocket.connect
    path = scope["path"].removeprefix(scope["root_path"])
    converse = {"/live/echo": echo, "/live/chat": chat, "/live/talk": consumer}.get(path)
    if converse is None:
        await send({"type": "websocket.close"})  # before accepting: 403
        return
    await send({"type": "websocket.accept"})
    await converse(receive, send)


async def echo(receive: Receive, send: Send) -> None:
    """Send back what comes, and who did it."""
    while (message := await receive())["type"] == "websocket.receive":
        answer = {"text": message.get("text") or "", "process": os.getpid()}
        await send({"type": "websocket.send", "text": json.dumps(answer)})


class Room:
    """Everybody who is here, and what was said last."""

    def __init__(self) -> None:
        self.members: dict[asyncio.Queue[str], str] = {}
        self.said: deque[str] = deque(maxlen=REMEMBERED)

    def join(self, name: str) -> asyncio.Queue[str]:
        """A queue of what is said from now on."""
        inbox: asyncio.Queue[str] = asyncio.Queue(UNREAD)
        for line in self.said:
            inbox.put_nowait(line)
        self.members[inbox] = name
        self.tell({"kind": "joined", "name": name})
        return inbox

    def leave(self, inbox: asyncio.Queue[str]) -> None:
        self.tell({"kind": "left", "name": self.members.pop(inbox)})

    def say(self, inbox: asyncio.Queue[str], text: str) -> None:
        line = self.tell({"kind": "said", "name": self.members[inbox], "text": text})
        self.said.append(line)

    def tell(self, event: dict[str, Any]) -> str:
        """Put an event into every member's queue. Nobody waits for a member who is slow."""
        line = json.dumps({**event, "members": len(self.members), "time": time.strftime("%H:%M")})
        for inbox in self.members:
            if inbox.full():
                inbox.get_nowait()
            inbox.put_nowait(line)
        return line


ROOM = Room()


async def chat(receive: Receive, send: Send) -> None:
    """The first message is the name, all others are said to everybody."""
    first = await receive()
    if first["type"] != "websocket.receive":
        return
    inbox = ROOM.join((first.get("text") or "").strip()[:NAME_LENGTH] or "somebody")
    reading = asyncio.ensure_future(forward(inbox, send))
    try:
        while (message := await receive())["type"] == "websocket.receive":
            text = (message.get("text") or "").strip()[:TEXT_LENGTH]
            if text:
                ROOM.say(inbox, text)
    finally:
        reading.cancel()
        ROOM.leave(inbox)


async def forward(inbox: asyncio.Queue[str], send: Send) -> None:
    """Send a member what waits for it."""
    while True:
        await send({"type": "websocket.send", "text": await inbox.get()})


async def consumer(receive: Receive, send: Send) -> None:
    """A member of a group by a channel of its own, as a consumer of Django Channels is."""
    # Here and not above, because the rest of these sockets run under any ASGI server.
    import talk
    from backline import channels

    channel = channels.new_channel()
    await channels.agroup_add(talk.GROUP, channel)
    reading = asyncio.ensure_future(hear(channel, send))
    try:
        while (message := await receive())["type"] == "websocket.receive":
            line = talk.line(message.get("text") or "", "coroutine")
            if line:
                await talk.asay(line)
    finally:
        reading.cancel()
        await channels.agroup_discard(talk.GROUP, channel)


async def hear(channel: str, send: Send) -> None:
    """Send a member what was said, and then what comes to its channel."""
    import talk
    from backline import channels

    await send({"type": "websocket.send", "text": json.dumps(await talk.apast())})
    while True:
        line = await channels.areceive(channel)
        await send({"type": "websocket.send", "text": json.dumps({"lines": [line]})})
