"""A Django site with sessions and users, served by WSGI, and sockets beside it that know both."""

from __future__ import annotations

import os
from typing import Any

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="conformance",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="sockets_django",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
)
django.setup()

from backline.sockets import Socket, Sockets  # noqa: E402
from django.contrib.auth import get_user_model, login  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402


def enter(request: Any) -> HttpResponse:
    call_command("migrate", verbosity=0)
    user = get_user_model().objects.create_user("ada", password="x")
    login(request, user)
    request.session["colour"] = "green"
    return HttpResponse("in")


urlpatterns = [path("login", enter)]
application = get_wsgi_application()
chat = Sockets()


@chat.connect("/me")
def me(socket: Socket) -> None:
    if not socket.user.is_authenticated:
        socket.refuse(401)
        return
    socket.accept()
    socket.state["user"] = socket.user.pk
    socket.send(f"{socket.user.username} {socket.session['colour']} {socket.request.path}")


@chat.receive
def said(socket: Socket, text: str) -> None:
    user = get_user_model().objects.get(pk=socket.state["user"])
    socket.send(f"{user.username}: {text}")
