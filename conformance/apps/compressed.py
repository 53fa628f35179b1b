"""Text in every way, for --compress: WSGI as ``wsgi``, ASGI as ``asgi``."""

import asyncio
import os

TEXT = b"".join(b"<tr><td>%d</td></tr>\n" % (n * 7919) for n in range(3000))
HEADERS = {
    "/plain": [],
    "/sized": [("Content-Length", str(len(TEXT)))],
    "/tagged": [("ETag", '"x"'), ("Vary", "Cookie"), ("Accept-Ranges", "bytes")],
    "/encoded": [("Content-Encoding", "x-own")],
    "/kept": [("Cache-Control", "no-transform")],
    "/image": [("Content-Type", "image/png")],
}


def fields(path):
    more = HEADERS.get(path, [])
    return more if any(name == "Content-Type" for name, _ in more) else [("Content-Type", "text/html"), *more]


def body(path):
    return b"short" if path == "/short" else TEXT


def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    start_response("206 Partial Content" if path == "/part" else "200 OK", fields(path))
    if path == "/stream":
        return iter([TEXT[:100], TEXT[100:50_000], TEXT[50_000:]])
    return [body(path)]


async def steps(scope, send):
    """A piece whenever the test writes to the named pipe."""
    gate = os.open(scope["query_string"].decode(), os.O_RDWR)
    kind = b"text/event-stream" if scope["path"] == "/events" else b"text/html"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    for n in range(10):
        await asyncio.get_running_loop().run_in_executor(None, os.read, gate, 1)
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % n, "more_body": True})
    await send({"type": "http.response.body"})
    os.close(gate)


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("HTTP only")
    path = scope["path"]
    if path in ("/events", "/steps"):
        await steps(scope, send)
        return
    headers = [(name.lower().encode(), value.encode()) for name, value in fields(path)]
    await send({"type": "http.response.start", "status": 206 if path == "/part" else 200, "headers": headers})
    pieces = [TEXT[:100], TEXT[100:]] if path == "/stream" else [body(path)]
    for n, piece in enumerate(pieces, 1):
        await send({"type": "http.response.body", "body": piece, "more_body": n < len(pieces)})
