"""Groups that remember, and who is in them: every path calls a function of backline.channels."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qsl

from backline import channels

PID = os.getpid()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Synchronous."""
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    did = do(environ["PATH_INFO"], query)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"pid": os.getpid(), "did": did}).encode()]


def do(path: str, query: dict[str, str]) -> Any:
    group = query.pop("group", "room")
    if path == "/send":
        return channels.group_send(group, query)
    if path == "/keep":
        return channels.keep(group, int(query["messages"]), int(query["seconds"]))
    if path == "/history":
        return asdict(channels.history(group, query.get("after", "")))
    if path == "/enter":
        return channels.enter(group, query["user"], query["socket"], {"device": query["socket"]})
    if path == "/leave":
        return channels.leave(group, query["user"], query["socket"])
    return asdict(channels.presence(group)) if path == "/presence" else None


async def live(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Asynchronous: comes to "room", and answers with what it and its watchers were told until a message says "end"."""
    if scope["type"] != "http":
        return
    name = channels.new_channel()
    await channels.agroup_add("room", name)
    await channels.agroup_add(channels.watchers("room"), name)
    await channels.akeep("room", 10, 60)
    await channels.aenter("room", "ann", name)
    told = []
    channels.leave("room", "ann", name)
    while len(told) < 2:
        told.append(await channels.areceive(name))
    await channels.agroup_send("room", {"text": "end"})
    told.append(await channels.areceive(name))
    there, then = await channels.apresence("room"), await channels.ahistory("room")
    body = json.dumps({"told": told, "there": asdict(there), "then": asdict(then)}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def resuming(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An event stream, or a WebSocket, that goes on after the position that its client says; /send sends to all."""
    if scope["type"] == "lifespan":
        return
    query = dict(parse_qsl(scope["query_string"].decode()))
    if scope["path"] == "/send":
        await channels.agroup_send("room", query)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        return
    after = dict(scope["headers"]).get(b"last-event-id", b"").decode() or query.get("after", "")
    emit = await (_socket if scope["type"] == "websocket" else _events)(receive, send)
    name = channels.new_channel()
    await channels.agroup_add("room", name)
    found = await channels.ahistory("room", after)
    if after and not found.complete:
        await emit("", "lost")
    for position, message in found.messages if after else []:
        await emit(position, message["text"])
    await emit("", "ready")
    while True:
        message = await channels.areceive(name)
        if found.is_new(message):
            await emit(message["__position__"], message["text"])


Emit = Callable[[str, str], Awaitable[None]]


async def _socket(receive: Any, send: Any) -> Emit:
    await receive()
    await send({"type": "websocket.accept"})

    async def emit(position: str, text: str) -> None:
        await send({"type": "websocket.send", "text": f"{position} {text}"})

    return emit


async def _events(_receive: Any, send: Any) -> Emit:
    kind = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": kind})

    async def emit(position: str, text: str) -> None:
        event = f"id: {position}\ndata: {text}\n\n" if position else f": {text}\n\n"
        await send({"type": "http.response.body", "body": event.encode(), "more_body": True})

    return emit
