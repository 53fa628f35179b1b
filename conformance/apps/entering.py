"""Sockets that the server delivers to, which are present and get what they missed, for test_edge_presence.py.

/room/NAME joins the group NAME when it is accepted, /early/NAME before, with the query's user, device and since. Then
each does what its client says: see heard()."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qsl

from backline import channels


def wishes(query: bytes) -> dict[str, Any]:
    """What the client wants to enter with."""
    found: dict[str, Any] = dict(parse_qsl(query.decode(), keep_blank_values=True))
    if "device" in found:
        found["info"] = {"device": found.pop("device")}
    return found


async def heard(name: str, text: str) -> str | None:
    """What is the same for every kind of application: say, pid, who. Anything else is None."""
    command, _, rest = text.partition(" ")
    if command == "say":
        await channels.agroup_broadcast(name, text=json.dumps({"text": rest}))
        return ""
    if command == "pid":
        return str(os.getpid())
    if command == "who":
        return json.dumps(asdict(await channels.apresence(name)))
    return None


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        return
    _, when, name = scope["path"].split("/")
    enter = {"type": "backline.group.add", "group": name, **wishes(scope["query_string"])}
    await receive()
    for message in (enter, {"type": "websocket.accept"})[:: 1 if when == "early" else -1]:
        await send(message)
    while (event := await receive())["type"] != "websocket.disconnect":
        if event["type"] == "backline.group.gap":
            await send({"type": "websocket.send", "text": json.dumps({"gap": event["group"]})})
            continue
        command, _, rest = event["text"].partition(" ")
        if command == "leave":
            await send({"type": "backline.group.discard", "group": name})
        elif command == "as":
            await send({"type": "backline.group.add", "group": name, "user": rest})
        answer = await heard(name, event["text"])
        if answer != "":
            await send({"type": "websocket.send", "text": answer or command})
