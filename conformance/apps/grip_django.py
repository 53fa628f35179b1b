"""django-grip and django-eventstream as they are installed, in a site of one file."""

import os

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="a key that only this test knows, and long enough",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django_grip.GripMiddleware"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_eventstream"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["GRIP_DATABASE"]}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    GRIP_URL=os.environ["GRIP_URL"],
    EVENTSTREAM_STORAGE_CLASS="django_eventstream.storage.DjangoModelStorage",
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse, HttpResponseNotModified  # noqa: E402
from django.urls import include, path  # noqa: E402
from django_eventstream import send_event  # noqa: E402
from django_eventstream.channelmanager import DefaultChannelManager  # noqa: E402
from django_eventstream.utils import publish_kick  # noqa: E402
from django_grip import publish, set_hold_longpoll, set_hold_stream, websocket_only  # noqa: E402
from gripcontrol import Channel, HttpResponseFormat, HttpStreamFormat, WebSocketMessageFormat  # noqa: E402

call_command("migrate", verbosity=0, run_syncdb=True)
assert DefaultChannelManager


def poll(request):
    set_hold_longpoll(request, Channel("polls", prev_id="1"), timeout=20)
    return HttpResponse("nothing\n") if "modified" not in request.GET else HttpResponseNotModified()


def stream(request):
    set_hold_stream(request, "lines", keep_alive_data=".\n", keep_alive_timeout=20)
    return HttpResponse("open\n", content_type="text/plain")


def say(request):
    publish("polls", HttpResponseFormat(body="news\n", headers={"X-A": "1"}), id="2", prev_id="1", blocking=True)
    publish("lines", HttpStreamFormat("news\n"), blocking=True)
    return HttpResponse("said")


def close(request):
    publish("lines", HttpStreamFormat(close=True), blocking=True)
    return HttpResponse("said")


def event(request):
    skip = request.GET.getlist("skip")
    send_event(request.GET["channel"], "message", {"n": request.GET["n"]}, skip_user_ids=skip, async_publish=False)
    return HttpResponse("sent")


def silently(request):
    """An event that is stored and whose publication is lost."""
    from django_eventstream.utils import get_storage

    get_storage().append_event(request.GET["channel"], "message", '{"n": "lost"}')
    return HttpResponse("stored")


def kick(request):
    publish_kick("anonymous", request.GET["channel"])
    return HttpResponse("kicked")


def about(request):
    return HttpResponse(f"{request.grip.proxied} {request.grip.signed} {sorted(request.grip.features)}")


@websocket_only
def chat(request):
    ws = request.wscontext
    if ws.is_opening():
        if request.GET.get("who") is None:
            return HttpResponse("log in", status=401)
        ws.accept()
        ws.subscribe("chat")
        ws.meta["who"] = request.GET["who"]
    while ws.can_recv():
        try:
            message = ws.recv()
        except OSError:
            left.append(ws.meta["who"] + " vanished")
            break
        if message is None:
            left.append(f"{ws.meta['who']} left with {ws.close_code}")
            ws.close(ws.close_code)
            break
        if message == "bye":
            ws.close(4001)
        elif message == "die":
            os.kill(os.getpid(), 9)
        elif isinstance(message, bytes):
            ws.send_binary(message[::-1])
        else:
            ws.send(f"{ws.meta['who']}: {message}")


left: list[str] = []


def who_left(request):
    return HttpResponse(" and ".join(left))


def broadcast(request):
    publish("chat", WebSocketMessageFormat(request.GET["text"]), blocking=True)
    return HttpResponse("said")


views = (poll, stream, say, close, event, silently, kick, about, chat, who_left, broadcast)
urlpatterns = [
    *(path(f"{each.__name__}/", each) for each in views),
    path("events/", include("django_eventstream.urls"), {"channels": ["room", "other"]}),
]
application = get_wsgi_application()
