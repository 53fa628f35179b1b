"""A project whose consumer works off a channel: `manage.py runworker thumbs`."""

import os

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="conformance",
    INSTALLED_APPS=["channels"],
    ASGI_APPLICATION="thumbs.app",
    CHANNEL_LAYERS={"default": {"BACKEND": "backline.layer.BacklineChannelLayer"}},
)
django.setup()

from channels.consumer import AsyncConsumer  # noqa: E402
from channels.routing import ChannelNameRouter, ProtocolTypeRouter  # noqa: E402


class Thumbs(AsyncConsumer):
    async def make(self, message):
        await self.channel_layer.group_send("made", {"thumb": message["picture"], "pid": os.getpid()})


app = ProtocolTypeRouter({"channel": ChannelNameRouter({"thumbs": Thumbs.as_asgi()})})


def main():
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", "runworker", "thumbs"])
