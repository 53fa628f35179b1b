"""Consumers of Django Channels whose sockets the server delivers to: /async and /sync. Pages as in edge_groups.py."""

from __future__ import annotations

from typing import Any

from django.conf import settings

settings.configure(
    SECRET_KEY="conformance",
    CHANNEL_LAYERS={"default": {"BACKEND": "backline.layer.BacklineChannelLayer"}},
)

import django  # noqa: E402

django.setup()

from asgiref.sync import async_to_sync  # noqa: E402
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402
from edge_groups import message  # noqa: E402


class Async(AsyncWebsocketConsumer):  # type: ignore[misc]
    async def connect(self) -> None:
        await self.channel_layer.group_add("all", self.channel_name, edge=True)
        await self.channel_layer.group_add("woken", self.channel_name)
        await self.accept()

    async def receive(self, text_data: str = "", bytes_data: bytes = b"") -> None:
        order, _, group = text_data.partition(" ")
        if order == "add":
            await self.channel_layer.group_add(group, self.channel_name, edge=True)
        else:
            await self.channel_layer.group_discard(group, self.channel_name)
        await self.send(order)

    async def say(self, event: dict[str, Any]) -> None:
        await self.send(event["text"])


class Sync(WebsocketConsumer):  # type: ignore[misc]
    def connect(self) -> None:
        async_to_sync(self.channel_layer.group_add)("all", self.channel_name, edge=True)
        async_to_sync(self.channel_layer.group_add)("woken", self.channel_name)
        self.accept()

    def receive(self, text_data: str = "", bytes_data: bytes = b"") -> None:
        order, _, group = text_data.partition(" ")
        if order == "add":
            async_to_sync(self.channel_layer.group_add)(group, self.channel_name, edge=True)
        else:
            async_to_sync(self.channel_layer.group_discard)(group, self.channel_name)
        self.send(order)

    def say(self, event: dict[str, Any]) -> None:
        self.send(event["text"])


async def pages(scope: dict[str, Any], receive: Any, send: Any) -> None:
    _, page, group = scope["path"].split("/")
    layer = get_channel_layer()
    if page == "broadcast":
        await layer.group_broadcast(group, **message(scope["query_string"].decode()))
    elif page == "wrong":
        await layer.group_add(group, await layer.new_channel(), edge=True)
    else:
        await layer.group_send(group, {"type": "say", **message(scope["query_string"].decode())})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


app = ProtocolTypeRouter(
    {"http": pages, "websocket": URLRouter([path("async", Async.as_asgi()), path("sync", Sync.as_asgi())])}
)
