"""Django with persistent connections, which say when they are closed."""

from __future__ import annotations

import os
from pathlib import Path

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="not secret",
    ROOT_URLCONF=__name__,
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"], "CONN_MAX_AGE": None}
    },
)
django.setup()


def descriptors(request: HttpRequest) -> HttpResponse:
    """How many descriptors of the database this process has, its own request's included."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master")
    opened = [fd for fd in Path("/proc/self/fd").iterdir() if fd.exists()]
    return HttpResponse(str([os.readlink(fd) for fd in opened].count(os.environ["DATABASE"])))


urlpatterns = [path("", descriptors)]
application = get_wsgi_application()
