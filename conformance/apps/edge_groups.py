"""WebSockets in groups that the server delivers to: `app` is ASGI, `site` WSGI, `consumers` Django Channels.

Each socket joins "all" before it is accepted, and then does what its client says: "add GROUP", "discard GROUP". Pages:
/broadcast/GROUP?text=... or ?bytes=HEX, /hello, and /sent, the number of messages that a socket's application sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from backline import channels

TEXT = [("Content-Type", "text/plain")]


def message(query: str) -> dict[str, Any]:
    found = {key: values[0] for key, values in parse_qs(query, keep_blank_values=True).items()}
    if "repeat" in found:
        found["text"] *= int(found.pop("repeat"))
    return {key: bytes.fromhex(value) if key == "bytes" else value for key, value in found.items()}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        assert scope["extensions"]["backline.groups"] == {}
        await receive()
        if scope["path"] == "/denied":
            await send({"type": "backline.group.add", "group": "all"})
            await send({"type": "websocket.close"})
            return
        await socket(scope, receive, send)
    elif scope["type"] == "http":
        _, page, *rest = scope["path"].split("/")
        if page == "broadcast":
            await channels.agroup_broadcast(rest[0], **message(scope["query_string"].decode()))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


async def socket(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "backline.group.add", "group": "all"})
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        order, _, group = event["text"].partition(" ")
        if order == "end":
            return
        try:
            await send({"type": "backline.group." + order, "group": group})
            told = order
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
        await send({"type": "websocket.send", "text": told})


def site(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    client = environ.get("wsgi.websocket")
    if client is None:
        _, page, *rest = environ["PATH_INFO"].split("/")
        if page == "broadcast":
            channels.group_broadcast(rest[0], **message(environ["QUERY_STRING"]))
        start_response("200 OK", TEXT)
        return [b"done"]
    client.group_add("all")
    while (order := client.receive()) is not None:
        what, _, group = order.partition(" ")
        if what == "end":
            break
        try:
            getattr(client, "group_" + what)(group)
            told = what
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
        client.send(told)
    return []
