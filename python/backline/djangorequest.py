"""A Django request for what has not come through Django's handler."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def request(environ: dict[str, Any]) -> Any:
    """With ``session`` and ``user`` as Django's own middleware gives them, each made when it is looked at."""
    import django
    from django.apps import apps
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIRequest
    from django.utils.functional import SimpleLazyObject

    if not apps.ready:
        django.setup()
    made: Any = WSGIRequest(environ)
    engine: Any = import_module(settings.SESSION_ENGINE)
    made.session = engine.SessionStore(made.COOKIES.get(settings.SESSION_COOKIE_NAME))
    if apps.is_installed("django.contrib.auth"):
        from django.contrib.auth import get_user

        made.user = SimpleLazyObject(lambda: get_user(made))
    return made
