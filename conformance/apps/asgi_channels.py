"""A Django site with Channels in one file: consumers of every kind, sessions, groups in memory."""

import os
import tempfile
import threading
import time

import django
from asgi_notes import NOTES, note
from django.conf import settings

settings.configure(
    SECRET_KEY="conformance",
    ALLOWED_HOSTS=["testserver", "127.0.0.1"],
    ROOT_URLCONF="asgi_channels",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "channels"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.path.join(tempfile.mkdtemp(prefix="channels-"), "db.sqlite3"),
        }
    },
    CHANNEL_LAYERS={"default": {"BACKEND": os.environ.get("LAYER", "channels.layers.InMemoryChannelLayer")}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from asgiref.sync import async_to_sync  # noqa: E402
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.generic.websocket import (  # noqa: E402
    AsyncJsonWebsocketConsumer,
    AsyncWebsocketConsumer,
    JsonWebsocketConsumer,
    WebsocketConsumer,
)
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.contrib.auth import get_user_model, login  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

call_command("migrate", verbosity=0)
lock = threading.Lock()
meetings = {}


class Sync(WebsocketConsumer):
    def receive(self, text_data=None, bytes_data=None):
        self.send(text_data=text_data, bytes_data=bytes_data)

    def disconnect(self, code):
        note(self.scope["url_route"]["kwargs"]["name"], code)


class Async(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data=text_data, bytes_data=bytes_data)

    async def disconnect(self, code):
        note(self.scope["url_route"]["kwargs"]["name"], code)


class SyncJson(JsonWebsocketConsumer):
    def receive_json(self, content):
        self.send_json({"got": content})


class AsyncJson(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content):
        await self.send_json({"got": content})


class Room(AsyncJsonWebsocketConsumer):
    """The chat of Channels' tutorial."""

    async def connect(self):
        self.room = "room-" + self.scope["url_route"]["kwargs"]["name"]
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.room, self.channel_name)
        note(self.room, code)

    async def receive_json(self, content):
        await self.channel_layer.group_send(self.room, {"type": "chat.message", "text": content["text"]})

    async def chat_message(self, event):
        await self.send_json({"text": event["text"]})


class Fails(AsyncWebsocketConsumer):
    groups = ("fragile",)

    async def receive(self, text_data=None, bytes_data=None):
        raise ZeroDivisionError("in a consumer that is in a group")


class Who(WebsocketConsumer):
    """Sees who is logged in, with the database."""

    def connect(self):
        user = self.scope["user"]
        if user.is_anonymous:
            self.close()
            return
        self.accept()
        self.send(text_data=f"{user.username} of {get_user_model().objects.count()}")


class Chooses(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept(subprotocol=self.scope["subprotocols"][1])

    async def receive(self, text_data=None, bytes_data=None):
        await self.close(code=4001, reason="enough")


class Meets(WebsocketConsumer):
    """Blocks its thread until another consumer has come to the same place."""

    def receive(self, text_data=None, bytes_data=None):
        with lock:
            barrier = meetings.setdefault(text_data, threading.Barrier(2))
        try:
            barrier.wait(5)
            self.send(text_data="met")
        except threading.BrokenBarrierError:
            self.send(text_data="alone")


class Slow(WebsocketConsumer):
    def receive(self, text_data=None, bytes_data=None):
        time.sleep(float(text_data))
        self.send(text_data=threading.current_thread().name)


class Broken(WebsocketConsumer):
    def receive(self, text_data=None, bytes_data=None):
        raise ZeroDivisionError("in a consumer")


def enter(request, name):
    user, _ = get_user_model().objects.get_or_create(username=name)
    login(request, user)
    return HttpResponse("entered")


def announce(request, name):
    message = {"type": "chat.message", "text": request.GET["text"]}
    async_to_sync(get_channel_layer().group_send)(f"room-{name}", message)
    return HttpResponse("announced")


def memberships(request):
    from backline import connection

    return JsonResponse(sorted(connection.current()._groups), safe=False)


def seen(request):
    return JsonResponse(NOTES[request.META["QUERY_STRING"]], safe=False)


urlpatterns = [
    path("enter/<name>", enter),
    path("announce/<name>", announce),
    path("seen", seen),
    path("memberships", memberships),
]
sockets = [
    path("sync/<name>", Sync.as_asgi()),
    path("async/<name>", Async.as_asgi()),
    path("sync-json", SyncJson.as_asgi()),
    path("async-json", AsyncJson.as_asgi()),
    path("room/<name>", Room.as_asgi()),
    path("who", Who.as_asgi()),
    path("chooses", Chooses.as_asgi()),
    path("meets", Meets.as_asgi()),
    path("slow", Slow.as_asgi()),
    path("broken", Broken.as_asgi()),
    path("fails", Fails.as_asgi()),
]
app = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(sockets))),
    }
)
