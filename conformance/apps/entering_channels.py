"""entering.py's sockets as consumers of Django Channels, whose groups have a prefix: /async/NAME and /sync/NAME."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings

settings.configure(
    SECRET_KEY="conformance",
    CHANNEL_LAYERS={"default": {"BACKEND": "backline.layer.BacklineChannelLayer", "CONFIG": {"prefix": "site"}}},
)

import django  # noqa: E402

django.setup()

from asgiref.sync import async_to_sync  # noqa: E402
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer  # noqa: E402
from channels.routing import URLRouter  # noqa: E402
from django.urls import path  # noqa: E402
from entering import heard, wishes  # noqa: E402


class Async(AsyncWebsocketConsumer):  # type: ignore[misc]
    async def connect(self) -> None:
        self.name = self.scope["url_route"]["kwargs"]["name"]
        keys = wishes(self.scope["query_string"])
        await self.channel_layer.group_add(self.name, self.channel_name, edge=True, **keys)
        await self.accept()

    async def receive(self, text_data: str = "", bytes_data: bytes = b"") -> None:
        command, _, rest = text_data.partition(" ")
        if command == "leave":
            await self.channel_layer.group_discard(self.name, self.channel_name)
        elif command == "as":
            await self.channel_layer.group_add(self.name, self.channel_name, edge=True, user=rest)
        elif command == "channel":
            command = self.channel_name
        answer = await heard(f"site.{self.name}", text_data)
        if answer != "":
            await self.send(answer or command)

    async def backline_group_gap(self, event: dict[str, Any]) -> None:
        await self.send(json.dumps({"gap": event["group"]}))


class Sync(WebsocketConsumer):  # type: ignore[misc]
    def connect(self) -> None:
        self.name = self.scope["url_route"]["kwargs"]["name"]
        self.add = async_to_sync(self.channel_layer.group_add)
        self.add(self.name, self.channel_name, edge=True, **wishes(self.scope["query_string"]))
        self.accept()

    def receive(self, text_data: str = "", bytes_data: bytes = b"") -> None:
        command, _, rest = text_data.partition(" ")
        if command == "leave":
            async_to_sync(self.channel_layer.group_discard)(self.name, self.channel_name)
        elif command == "as":
            self.add(self.name, self.channel_name, edge=True, user=rest)
        elif command == "channel":
            command = self.channel_name
        answer = async_to_sync(heard)(f"site.{self.name}", text_data)
        if answer != "":
            self.send(answer or command)

    def backline_group_gap(self, event: dict[str, Any]) -> None:
        self.send(json.dumps({"gap": event["group"]}))


app = URLRouter([path("async/<name>", Async.as_asgi()), path("sync/<name>", Sync.as_asgi())])
