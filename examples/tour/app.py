"""A tour of what a WSGI application can do, with the standard library alone.

    backline serve app:app --websocket live:app --chdir examples/tour

The views are ordinary blocking functions: they sleep, read and yield where they stand. That many clients can be served
at once, slow ones among them, is the server's business. Pages are made in pages.py, slow services asked in services.py,
WebSockets answered in live.py by coroutines and in plain.py by functions; talk.py is a room for all of them.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs
from wsgiref.headers import Headers

import pages
import services

Environ = dict[str, Any]
StartResponse = Callable[..., object]
View = Callable[[Environ, StartResponse], Iterable[bytes]]

NAP = 1.0  # seconds that /sleep blocks its thread
STREAM_LINES, STREAM_PAUSE = 15, 0.2
EVENTS, EVENT_PAUSE = 20, 0.5
READ_SIZE = 64 * 1024
SAID_SIZE = 8 * 1024  # bytes of what somebody may say to /talk at once
POLL = 25  # seconds that a client waits before it asks again; proxies cut connections that are silent for longer
STARTED = time.time()

# Under this name for the tests, which want to know about pauses and not to wait for them.
sleep = time.sleep


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Find the view for the path and the method."""
    views = ROUTES.get(environ.get("PATH_INFO") or "/")
    if views is None:
        return not_found(environ, start_response)
    method = environ["REQUEST_METHOD"]
    view = views.get("GET" if method == "HEAD" else method)
    if view is None:
        return not_allowed(environ, start_response, allowed(views))
    # A server discards the body of an answer to HEAD. What has not been started, such as a stream, need not be.
    body = view(environ, start_response)
    if method == "HEAD":
        close = getattr(body, "close", None)
        if close:
            close()
        return []
    return body


def index(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return html(start_response, pages.index(environ, worker()))


def hello(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    me = worker()
    text = f"Hello from thread {me['thread']} of process {me['process']}.\n"
    return complete(start_response, HTTPStatus.OK, "text/plain; charset=utf-8", text.encode())


def nap(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Block this thread, as a slow query or a call to another service does."""
    started = time.monotonic()
    sleep(NAP)
    return as_json(start_response, {**worker(), "seconds": round(time.monotonic() - started, 3)})


def stream(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer bit by bit: each chunk goes out when it is yielded, and its length is known to nobody beforehand."""

    def lines() -> Iterator[bytes]:
        started = time.monotonic()
        for number in range(1, STREAM_LINES + 1):
            yield f"line {number:2} of {STREAM_LINES}, after {time.monotonic() - started:.1f} s\n".encode()
            if number < STREAM_LINES:
                sleep(STREAM_PAUSE)

    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), *COMMON_HEADERS])
    return lines()


def events(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Server-sent events. The browser comes back by itself after the last one and says which one it has seen."""
    seen = environ.get("HTTP_LAST_EVENT_ID", "")
    first = int(seen) + 1 if seen.isascii() and seen.isdigit() and len(seen) < 10 else 1

    def messages() -> Iterator[bytes]:
        yield b"retry: 1000\n\n"
        for number in range(first, first + EVENTS):
            data = json.dumps({"number": number, "time": time.strftime("%H:%M:%S"), **worker()})
            yield f"id: {number}\ndata: {data}\n\n".encode()
            if number < first + EVENTS - 1:
                sleep(EVENT_PAUSE)

    start_response("200 OK", [("Content-Type", "text/event-stream"), *COMMON_HEADERS])
    return messages()


def upload_form(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return html(start_response, pages.upload_form(environ))


def upload(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Count the bytes of the request's body. They are read in pieces, so the size is limited by the server alone."""
    started = time.monotonic()
    size = sum(map(len, body_pieces(environ)))
    result = {"bytes": size, "seconds": round(time.monotonic() - started, 4), **worker()}
    if "application/json" in environ.get("HTTP_ACCEPT", ""):
        return as_json(start_response, result)
    return html(start_response, pages.uploaded(environ, result))


def chat(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return html(start_response, pages.chat(environ))


def talk_page(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return html(start_response, pages.talk(environ))


def poll(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """What was said after a position. If that is nothing the client waits, and this thread goes."""
    import talk  # here, as it needs Backline: the rest of the tour runs under any WSGI server

    heard = talk.past(parameter(environ, "after"))
    return as_json(start_response, heard, [] if heard["lines"] else hold(talk.GROUP))


def say(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    import talk

    if int(environ.get("CONTENT_LENGTH") or 0) > SAID_SIZE:
        return as_json(start_response, {"said": False}, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    line = talk.line(b"".join(body_pieces(environ)), "view")
    if line is None:
        return as_json(start_response, {"said": False}, status=HTTPStatus.BAD_REQUEST)
    talk.say(line)
    return as_json(start_response, {"said": True})


def reload_page(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return html(start_response, pages.reload(environ, server=os.getppid(), now=time.time()))


def process(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return as_json(start_response, {**worker(), "started": STARTED})


def wait_for_news(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Leave the client waiting until somebody has news for it, whichever process that will be."""
    group = visitor(environ)
    if group is None:
        return as_json(start_response, {"news": False}, status=HTTPStatus.BAD_REQUEST)
    return as_json(start_response, {"news": False}, hold(group))


def tell_news(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    from backline import realtime

    group = visitor(environ)
    if group is None:
        return as_json(start_response, {"news": False}, status=HTTPStatus.BAD_REQUEST)
    realtime.publish(group, json={"news": True, **worker()})
    return as_json(start_response, worker())


def four_services(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Ask four slow services, in turn and at once; see services.py."""
    return html(start_response, pages.services(environ, services.one_by_one(), services.all_at_once()))


def request(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return html(start_response, pages.request(environ, worker()))


def not_found(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return html(start_response, pages.not_found(environ), HTTPStatus.NOT_FOUND)


def not_allowed(environ: Environ, start_response: StartResponse, methods: str) -> Iterable[bytes]:
    page = pages.not_allowed(environ, methods)
    return html(start_response, page, HTTPStatus.METHOD_NOT_ALLOWED, [("Allow", methods)])


ROUTES: dict[str, dict[str, View]] = {
    "/": {"GET": index},
    "/hello": {"GET": hello},
    "/sleep": {"GET": nap},
    "/stream": {"GET": stream},
    "/events": {"GET": events},
    "/upload": {"GET": upload_form, "POST": upload},
    "/services": {"GET": four_services},
    "/chat": {"GET": chat},
    "/request": {"GET": request},
    "/talk": {"GET": talk_page},
    "/talk/poll": {"GET": poll, "POST": say},
    "/reload": {"GET": reload_page},
    "/reload/process": {"GET": process},
    "/reload/news": {"GET": wait_for_news, "POST": tell_news},
}

# Each answer is of its moment and of one worker; a cache would make every page lie.
COMMON_HEADERS = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
# The pages bring their style and script along and load nothing from anywhere else.
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def allowed(views: dict[str, View]) -> str:
    return ", ".join(sorted({*views, *(["HEAD"] if "GET" in views else [])}))


def worker() -> dict[str, Any]:
    """Tell which of the server's workers this is."""
    thread = threading.current_thread()
    return {"process": os.getpid(), "thread": thread.name, "threads": threading.active_count()}


def parameter(environ: Environ, name: str) -> str:
    return parse_qs(str(environ.get("QUERY_STRING", ""))).get(name, [""])[0]


def visitor(environ: Environ) -> str | None:
    """The group of one open page of /reload, by the name that the page has made up."""
    name = parameter(environ, "visitor")
    return f"reload-{name}" if name.isascii() and name.isalnum() and len(name) <= 40 else None


def hold(group: str) -> list[tuple[str, str]]:
    """The header fields by which the server holds an answer until something is published to the group."""
    from backline import realtime

    return realtime.hold(Headers([]), [group], timeout=POLL).items()


def body_pieces(environ: Environ) -> Iterator[bytes]:
    """Yield the body of the request in pieces.

    The length is what PEP 3333 promises; a server that marks the end of its input itself also takes bodies without one.
    """
    terminated = environ.get("wsgi.input_terminated", False)
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while terminated or left > 0:
        piece = environ["wsgi.input"].read(READ_SIZE if terminated else min(READ_SIZE, left))
        if not piece:
            return
        left -= len(piece)
        yield piece


def complete(
    start_response: StartResponse,
    status: HTTPStatus,
    content_type: str,
    body: bytes,
    headers: Iterable[tuple[str, str]] = (),
) -> Iterable[bytes]:
    """Answer with a body that is there as a whole."""
    own = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    start_response(f"{status.value} {status.phrase}", [*own, *COMMON_HEADERS, *headers])
    return [body]


def html(
    start_response: StartResponse,
    page: str,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Iterable[tuple[str, str]] = (),
) -> Iterable[bytes]:
    policy = ("Content-Security-Policy", PAGE_POLICY)
    return complete(start_response, status, "text/html; charset=utf-8", page.encode(), [policy, *headers])


def as_json(
    start_response: StartResponse,
    value: dict[str, Any],
    headers: Iterable[tuple[str, str]] = (),
    status: HTTPStatus = HTTPStatus.OK,
) -> Iterable[bytes]:
    return complete(start_response, status, "application/json", json.dumps(value).encode() + b"\n", headers)
