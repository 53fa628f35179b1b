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
from django_grip import publish, set_hold_longpoll, set_hold_stream  # noqa: E402
from gripcontrol import Channel, HttpResponseFormat, HttpStreamFormat  # noqa: E402

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


urlpatterns = [
    *(path(f"{each.__name__}/", each) for each in (poll, stream, say, close, event, silently, kick, about)),
    path("events/", include("django_eventstream.urls"), {"channels": ["room", "other"]}),
]
application = get_wsgi_application()
