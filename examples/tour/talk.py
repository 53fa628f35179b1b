"""One room with three doors: what is said at one is heard at all. This is what they share; the doors are `consumer` in
live.py, a coroutine as in Django Channels; plain.py, functions that are called for what happens to a socket; and `poll`
in app.py, a view that leaves its client waiting without waiting itself.

The server passes on what is said, between whatever processes there are. It also remembers the last of it, as
`history` in backline.toml says.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from typing import Any

from backline import channels, realtime

GROUP = "talk"
NAME_LENGTH, TEXT_LENGTH = 24, 500  # characters

Line = dict[str, Any]


def line(said: str | bytes, way: str) -> Line | None:
    """What a browser has sent, {"name": ..., "text": ...}, as everybody gets it. None: it is not that."""
    try:
        given = json.loads(said)
        name, text = str(given["name"]).strip()[:NAME_LENGTH], str(given["text"]).strip()[:TEXT_LENGTH]
        (name + text).encode()  # half a character, which JSON can have, cannot be sent
    except (ValueError, TypeError, LookupError):
        return None
    if not text:
        return None
    # Who comes in hears some lines twice, as past and as present: by the id a browser knows them.
    who = {"id": secrets.token_hex(8), "name": name or "Somebody", "text": text}
    return who | {"way": way, "process": os.getpid(), "time": time.strftime("%H:%M:%S")}


def say(line: Line) -> None:
    channels.group_send(GROUP, line)  # to channels, and into the history
    channels.group_broadcast(GROUP, text=json.dumps({"lines": [line]}))  # to sockets that the server holds
    realtime.publish(GROUP, json={"lines": [line]})  # to polls that the server holds


async def asay(line: Line) -> None:
    await channels.agroup_send(GROUP, line)
    await channels.agroup_broadcast(GROUP, text=json.dumps({"lines": [line]}))
    await realtime.apublish(GROUP, json={"lines": [line]})


def past(after: str = "") -> dict[str, Any]:
    """What was said after a position in the history, and the position to ask from next."""
    found = channels.history(GROUP, after)
    if not found.complete:  # so long ago that there are gaps, or before the server was started anew
        found = channels.history(GROUP)
    return {"lines": [line for _, line in found.messages], "position": found.position}


async def apast() -> dict[str, Any]:
    found = await channels.ahistory(GROUP)
    return {"lines": [line for _, line in found.messages], "position": found.position}
