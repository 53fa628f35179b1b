"""A WSGI application with WebSockets, by wsgi.websocket as gevent-websocket has it."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

waiting: dict[str, Any] = {}


def app(environ: dict[str, Any], start_response: Any) -> Any:
    path = environ["PATH_INFO"]
    socket = environ.get("wsgi.websocket")
    if socket is None or path == "/page":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{os.getpid()} {threading.active_count()} {environ.get('HTTP_UPGRADE')}".encode()]
    return globals()["at" + path.replace("/", "_")](environ, socket) or []


def at_echo(environ: dict[str, Any], socket: Any) -> None:
    while (message := socket.receive()) is not None:
        socket.send(message)
    print("echo ended", socket.closed, flush=True)


def at_about(environ: dict[str, Any], socket: Any) -> None:
    keys = ("wsgi.url_scheme", "REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "HTTP_SEC_WEBSOCKET_EXTENSIONS")
    socket.send(repr([environ.get(key) for key in keys]))
    socket.send(repr([socket.path, socket.origin, socket.protocol, socket.version, socket.closed]))
    socket.send(str(os.getpid()))


def at_close(environ: dict[str, Any], socket: Any) -> None:
    code, _, reason = environ["QUERY_STRING"].partition("-")
    socket.close(int(code), reason.encode())
    socket.close()


def at_fail(environ: dict[str, Any], socket: Any) -> None:
    socket.send("soon")
    raise LookupError("on purpose")


def at_refuse(environ: dict[str, Any], socket: Any) -> None:
    raise LookupError("before it was accepted")


def at_chosen(environ: dict[str, Any], socket: Any) -> None:
    socket.accept("chat.v2", [("X-Answer", "42")])
    socket.send("chosen")


def at_named(environ: dict[str, Any], socket: Any) -> None:
    """Waits, without receiving, as Heroku's chat example does; others send to it."""
    name = environ["QUERY_STRING"]
    waiting[name] = socket
    while not socket.closed:
        time.sleep(0.01)
    del waiting[name]
    print("left", name, flush=True)


def at_tell(environ: dict[str, Any], socket: Any) -> None:
    """Sends what it gets, from several threads, to a socket of another request."""
    target = waiting[environ["QUERY_STRING"]]
    text = socket.receive()
    threads = [threading.Thread(target=target.send, args=(str(n) * len(text),)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    socket.send("told")


def at_late(environ: dict[str, Any], socket: Any) -> Any:
    """Does it all after it has returned."""

    def body() -> Any:
        socket.send(socket.receive())
        yield b"goes nowhere"

    return body()


def at_flood(environ: dict[str, Any], socket: Any) -> None:
    socket.receive()
    try:
        for n in range(10_000):
            socket.send(b"x" * 60_000)
            if n == 20:
                print("flooding", flush=True)
    except OSError as error:
        print("flood ended:", type(error).__name__, error, flush=True)
