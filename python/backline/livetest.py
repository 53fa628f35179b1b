"""The live server test case of Django Channels with a Backline in it. It is the one of Channels, without Daphne, which
channels.testing cannot be imported without."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from channels.routing import get_default_application
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.test.testcases import TransactionTestCase
from django.test.utils import modify_settings

from .testing import BacklineServerProcess


def make_application(static_wrapper: Any) -> Any:
    """A function of the module's, which can be pickled where processes are not forked."""
    application = get_default_application()
    return application if static_wrapper is None else static_wrapper(application)


def use_databases(names: dict[str, str]) -> None:
    """In the server's process: the databases of the tests."""
    from django.conf import settings

    for alias, name in names.items():
        settings.DATABASES[alias]["NAME"] = connections[alias].settings_dict["NAME"] = name


class ChannelsLiveServerTestCase(TransactionTestCase):  # type: ignore[misc]  # Django has no types
    """Runs ASGI_APPLICATION behind a server, in a process of its own, at ``live_server_url`` and at
    ``live_server_ws_url``. ``server_settings`` are those of backline.toml."""

    host: ClassVar[str] = "localhost"
    ProtocolServerProcess: ClassVar[Any] = BacklineServerProcess
    static_wrapper: ClassVar[Any] = ASGIStaticFilesHandler
    serve_static: ClassVar[bool] = True
    server_settings: ClassVar[dict[str, Any]] = {}

    @property
    def live_server_url(self) -> str:
        """Where pages are."""
        return f"http://{self.host}:{self._port}"

    @property
    def live_server_ws_url(self) -> str:
        """Where WebSockets are."""
        return f"ws://{self.host}:{self._port}"

    @classmethod
    def setUpClass(cls) -> None:
        """Start the server."""
        for each in connections.all():
            if each.vendor == "sqlite" and each.is_in_memory_db():
                raise ImproperlyConfigured(
                    "the server's process cannot see a database in memory: give the tests one in a file, "
                    'DATABASES = {"default": {..., "TEST": {"NAME": BASE_DIR / "test.sqlite3"}}}'
                )
        super().setUpClass()
        cls._allowed = modify_settings(ALLOWED_HOSTS={"append": cls.host})
        cls._allowed.enable()
        cls.addClassCleanup(cls._allowed.disable)
        names = {alias: str(connections[alias].settings_dict["NAME"]) for alias in connections}
        cls._server_process = cls.ProtocolServerProcess(
            cls.host,
            partial(make_application, cls.static_wrapper if cls.serve_static else None),
            kwargs=cls.server_settings,
            setup=partial(use_databases, names),
        )
        cls._server_process.start()
        cls.addClassCleanup(cls._end)
        while not cls._server_process.ready.wait(timeout=0.2):
            if not cls._server_process.is_alive():
                raise RuntimeError("the server stopped before it was ready; what it said stands above")
        cls._port = cls._server_process.port.value

    @classmethod
    def _end(cls) -> None:
        cls._server_process.terminate()
        cls._server_process.join()
