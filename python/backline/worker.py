"""The start of a worker process: hello, welcome, import, loop. Boot only; requests never come through here."""

from __future__ import annotations

import faulthandler
import gc
import os
import platform
import signal
import socket
import sys
from typing import Any, Final, NoReturn

from . import __version__, host, wire
from .control import Control
from .errors import without_ours
from .importer import ImportFailure, Loaded, load
from .lifespan import LifespanFailed
from .stacks import remember_greenlets

# What the parent leaves open in a worker.
CONNECTION_FD = 3
CONTROL_FD = 4

# As it is before gevent exchanges it, which a forked worker comes after.
_Socket: Final = socket.socket


def main() -> None:
    """Run one worker to its end."""
    conn, control = connect()
    settings = greet(conn)
    serve(conn, control, import_application(conn, control, settings), settings)


def connect() -> tuple[socket.socket, Control]:
    """Take what the server left open, and listen to it."""
    # Ctrl-C in a terminal is the server's to handle; it tells its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()  # a crash in C code leaves the Python stack in the log
    conn = _inherit(CONNECTION_FD)
    # Before the import, which may hang: then the server asks where, and the process must not outlive the server.
    control = Control(_inherit(CONTROL_FD))
    control.start()
    return conn, control


def greet(conn: socket.socket) -> dict[str, Any]:
    """Say hello; the answer are the settings."""
    conn.sendall(wire.encode([(wire.HELLO, _hello())]))
    host.settings = settings = _welcome(conn)
    if _computes(settings):
        os.nice(settings["compute_nice"])  # before the import, which takes time too
    return settings


def import_application(conn: socket.socket, control: Control, settings: dict[str, Any]) -> Loaded:
    """Import it, or say why that cannot be done, and end."""
    host.connection = control
    os.environ["BACKLINE_WORKERS"] = str(settings["workers"])  # for whoever shares between processes
    sys.path[:0] = [path for path in (*settings["pythonpath"], os.getcwd()) if path not in sys.path]
    if settings.get("worker_class") == "gevent":
        _patch(conn, control)
    try:
        return load(settings["app"], factory=settings["factory"], interface=settings["interface"])
    except ImportFailure as failure:
        _fail(conn, failure.kind, failure.message, failure.hint, failure.traceback)


def serve(conn: socket.socket, control: Control, loaded: Loaded, settings: dict[str, Any]) -> None:
    """Say that the application is up, and serve it to the end."""
    said = up(loaded, settings)

    def announce(how: dict[str, Any]) -> None:
        # What has been imported stays for good: the garbage collector need not look through it again and again.
        remember_greenlets()
        if not host.embedded:
            gc.freeze()
        conn.sendall(wire.encode([(wire.UP, {**said, **how})]))
        host.up = True

    host.connection = control
    if not _computes(settings):
        host.control = control
    try:
        loop(loaded, settings)(conn, control, loaded.application, settings, announce)
    except LifespanFailed as failure:
        _fail(conn, "lifespan", f"the application's lifespan did not start: {failure}", "", _trace(failure.error))


def _patch(conn: socket.socket, control: Control) -> None:
    """Have gevent replace what blocks, before the application is imported and binds any of it."""
    try:
        import gevent  # noqa: F401  # is it there?
    except ImportError as error:
        _fail(
            conn, "no-module", f"the worker class gevent needs the package gevent, and {sys.executable}: {error}",
            f"install it for the application's interpreter: {sys.executable} -m pip install gevent", "",
        )  # fmt: skip
    from . import cooperative

    cooperative.patch(control)


def _computes(settings: dict[str, Any]) -> bool:
    return settings.get("worker_class") == "compute"


def loop(loaded: Loaded, settings: dict[str, Any]) -> Any:
    """How requests are waited for. A template imports it too, which makes no event loop."""
    if _computes(settings):
        from .loops import compute as chosen
    elif loaded.interface == "tcp":
        from .loops import connections as chosen  # type: ignore[no-redef]
    elif settings.get("worker_class") == "gevent":
        from .loops import gevent as chosen  # type: ignore[no-redef]
    elif loaded.interface == "wsgi" or (loaded.interface == "sockets" and _on_threads(loaded, settings)):
        from .loops import threads as chosen  # type: ignore[no-redef]
    else:
        from .loops import asyncio as chosen  # type: ignore[no-redef]
    return chosen.run


def _on_threads(loaded: Loaded, settings: dict[str, Any]) -> bool:
    """Whether an application of sockets runs on threads: unless it is said, where it has no coroutine."""
    chosen = settings.get("worker_class")
    return chosen == "threads" or (chosen != "asyncio" and not loaded.application.has_coroutines())


def _inherit(fd: int) -> socket.socket:
    try:
        inherited = _Socket(fileno=fd)
    except OSError:
        sys.exit("this is the worker half of Backline; it is started by `backline serve`, not by hand")
    inherited.set_inheritable(False)
    return inherited


def _hello() -> dict[str, Any]:
    return {"protocol": wire.PROTOCOL_VERSION, "package": __version__, "language": "python", "pid": os.getpid()}


def _welcome(conn: socket.socket) -> dict[str, Any]:
    decoder = wire.Decoder()
    while True:
        data = conn.recv(65536)
        if not data:
            sys.exit(1)  # the server refused the hello and says why itself
        for kind, fields in decoder.feed(data):
            if kind == wire.WELCOME:
                settings: dict[str, Any] = fields["settings"]
                return settings


def up(loaded: Loaded, settings: dict[str, Any]) -> dict[str, Any]:
    """What a worker and a template say of the application."""
    return {
        "interface": loaded.interface,
        "interpreter": f"{platform.python_implementation()} {platform.python_version()}",
        "application": loaded.spec,
        "notes": [*([loaded.note] if loaded.note else []), *_advice(loaded, settings)],
    }


def _advice(loaded: Loaded, settings: dict[str, Any]) -> list[str]:
    if loaded.interface == "wsgi" and settings.get("worker_class") != "gevent" and _socketio_on_gevent():
        return [
            "Socket.IO runs on gevent here, as it does by itself where gevent is installed, and waits for ever in a "
            'worker that has threads: serve with -k gevent, or make it SocketIO(app, async_mode="threading")'
        ]
    if loaded.interface != "asgi" or "django" not in sys.modules:
        return []
    from .project import advice

    channels = bool(settings.get("channels"))
    return advice(loaded.application, loaded.spec, requests=settings.get("requests", True), channels=channels)


def _socketio_on_gevent() -> bool:
    """python-engineio imports the one driver that a server of its runs on."""
    return not sys.modules.keys().isdisjoint({"engineio.async_drivers.gevent", "engineio.async_drivers.gevent_uwsgi"})


def _fail(conn: socket.socket, kind: str, message: str, hint: str, traceback: str) -> NoReturn:
    fields = {"kind": kind, "message": message, "hint": hint, "traceback": traceback}
    conn.sendall(wire.encode([(wire.FAILED, fields)]))
    sys.exit(3)


def _trace(error: BaseException | None) -> str:
    if error is None:
        return ""
    import traceback

    return "".join(traceback.format_exception(type(error), error, without_ours(error.__traceback__)))
