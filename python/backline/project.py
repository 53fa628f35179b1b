"""What a Django project says of itself: to `backline serve --django`, and to people whose split would be better.

Only the settings are read: importing the applications as well would make every start as long as two.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from typing import Any

from .importer import ImportFailure, guarded
from .interface import guess

# Where the server waits for the answer: what settings print goes to standard output.
ANSWER_FD = 3


def main() -> None:
    """Answer on descriptor 3 with a line of JSON: the project, or why its settings cannot be read."""
    answer = os.fdopen(ANSWER_FD, "w", encoding="utf-8")
    os.set_inheritable(ANSWER_FD, False)
    sys.path[:0] = [path for path in (*sys.argv[1:], os.getcwd()) if path not in sys.path]
    try:
        said = guarded("reading Django's settings", learn)
    except ImportFailure as failure:
        said = {"failure": failure.message, "hint": failure.hint, "traceback": failure.traceback}
    with answer:
        json.dump(said, answer)
    if "failure" in said:
        sys.exit(3)


def learn() -> dict[str, Any]:
    """Read what the server needs to know from the settings that DJANGO_SETTINGS_MODULE names."""
    _require(os.environ["DJANGO_SETTINGS_MODULE"])
    from django.conf import settings

    said = {
        "wsgi": _spec(settings.WSGI_APPLICATION) or "django.core.wsgi:get_wsgi_application()",
        "asgi": "",
        # Not settings.STATIC_URL, which imports django.urls to put SCRIPT_NAME in front: the server does that.
        "static_url": str(getattr(settings._wrapped, "STATIC_URL", "") or ""),
        "static_root": os.path.abspath(settings.STATIC_ROOT) if settings.STATIC_ROOT else "",
    }
    # Django itself never looks at ASGI_APPLICATION: who sets it has Channels. Whether its router has an entry for
    # WebSockets, only importing it would tell.
    if importlib.util.find_spec("channels") is not None:
        said["asgi"] = _spec(getattr(settings, "ASGI_APPLICATION", None))
    return said


def _require(module: str) -> None:
    """Tell a wrong name from an import that fails inside the settings."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        name = ".".join(parts[:end])
        if importlib.util.find_spec(name) is None:
            raise ImportFailure(
                "no-module",
                f"there is no module {name!r}, of the settings {module!r}, in {os.getcwd()} or on the import path",
                "name the settings as manage.py has them, such as --django mysite.settings, or the folder with --chdir",
            )


def _spec(dotted: str | None) -> str:
    """Write mysite.wsgi.application as mysite.wsgi:application."""
    module, _, attribute = (dotted or "").rpartition(".")
    return f"{module}:{attribute}" if module else ""


def advice(application: Any, spec: str, *, requests: bool, channels: bool = False) -> list[str]:
    """Say what is better done otherwise with this ASGI application; ``requests``: it gets more than WebSockets,
    ``channels``: it gets neither, but messages."""
    mapping = getattr(application, "application_mapping", None)  # a ProtocolTypeRouter of Channels
    routes = mapping if isinstance(mapping, dict) else {}
    if channels:
        none = routes and "channel" not in routes
        return [f'{spec} works no channels off: its ProtocolTypeRouter has no entry "channel"'] if none else []
    handler = routes.get("http", application)
    if requests and guess(handler).django:
        return [_split(spec)]
    if not requests and "websocket" not in routes and (routes or guess(application).django):
        return [f"{spec} answers no WebSockets: its ProtocolTypeRouter has no entry for them, or there is none"]
    return []


def _split(spec: str) -> str:
    module = os.environ.get("DJANGO_SETTINGS_MODULE")
    how = "backline serve mysite.wsgi --websocket " + spec
    if module:
        how = f"backline serve --django {module}"
    return (
        f"{spec} is Django's ASGI handler, which hands every request with a synchronous view or middleware between "
        "threads: 1.3 to 1.4 ms more for each than by WSGI. Unless the views are async, serve pages by WSGI and "
        f"WebSockets by ASGI: {how}"
    )
