"""What is said to people who serve Django by ASGI, and how a project's settings are named."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.handlers import asgi

from backline.project import _spec, advice


def handler() -> Any:
    """Make Django's, without a project to load middleware from."""
    return object.__new__(asgi.ASGIHandler)


class Router:
    """What is looked at of a ProtocolTypeRouter."""

    def __init__(self, **mapping: Any) -> None:
        self.application_mapping = mapping


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """Some application."""


@pytest.mark.parametrize(
    ("application", "requests", "said"),
    [
        (handler(), True, "mysite.asgi:application is Django's ASGI handler"),
        (Router(http=handler(), websocket=plain), True, "mysite.asgi:application is Django's ASGI handler"),
        (Router(http=plain, websocket=plain), True, ""),
        (plain, True, ""),
        (Router(http=handler(), websocket=plain), False, ""),
        (Router(http=handler()), False, "mysite.asgi:application answers no WebSockets"),
        (handler(), False, "mysite.asgi:application answers no WebSockets"),
        (plain, False, ""),
    ],
)
def test_advice(application: Any, requests: bool, said: str) -> None:
    notes = advice(application, "mysite.asgi:application", requests=requests)
    assert [note[: len(said)] for note in notes] == ([said] if said else [])


def test_advice_names_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    (note,) = advice(handler(), "mysite.asgi:application", requests=True)
    assert note.endswith("backline serve mysite.wsgi --websocket mysite.asgi:application")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "mysite.settings")
    (note,) = advice(handler(), "mysite.asgi:application", requests=True)
    assert note.endswith("backline serve --django mysite.settings")


@pytest.mark.parametrize(
    ("dotted", "spec"),
    [("mysite.wsgi.application", "mysite.wsgi:application"), (None, ""), ("", ""), ("application", "")],
)
def test_spec(dotted: str | None, spec: str) -> None:
    assert _spec(dotted) == spec
