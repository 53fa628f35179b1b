"""Says what it was asked, so that a request which should never arrive is seen, and answers wrongly when told to."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import unquote_to_bytes

PLAIN = ("Content-Type", "text/plain")


def told(method: str, path: str, query: bytes, body: bytes, fields: dict[str, str]) -> tuple[bytes, bytes | None]:
    """The body of the answer, and what shall be one more field of it."""
    print(f"called {path!r}", flush=True)
    if path == "/pid":
        return str(os.getpid()).encode(), None
    if path == "/fields":
        return json.dumps(fields).encode(), None
    if path == "/split":  # the query is NAME:VALUE, escaped
        return b"split", unquote_to_bytes(query)
    target = path + (f"?{query.decode('latin-1')}" if query else "")
    return f"{method} {target} {body!r}".encode(), None


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    fields = {key[5:].lower().replace("_", "-"): value for key, value in environ.items() if key.startswith("HTTP_")}
    unread = environ["PATH_INFO"] == "/unread"
    body, field = told(
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"],
        environ["QUERY_STRING"].encode("latin-1"),
        b"" if unread else environ["wsgi.input"].read(),
        fields,
    )
    more = [tuple(field.decode("latin-1").split(":", 1))] if field else []
    start_response("200 OK", [PLAIN, ("Content-Length", str(len(body))), *more])
    return [body]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await socket(scope, receive, send)
        return
    assert scope["type"] == "http"
    fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    content, more = b"", scope["path"] != "/unread"
    while more:
        event = await receive()
        content += event.get("body", b"")
        more = event.get("more_body", False)
    body, field = told(scope["method"], scope["path"], scope["query_string"], content, fields)
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    if field:
        headers.append(tuple(field.split(b":", 1)))  # type: ignore[arg-type]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def socket(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Gives each message back; the query is a field of the handshake's answer, as for /split."""
    await receive()
    more = [tuple(unquote_to_bytes(scope["query_string"]).split(b":", 1))] if scope["query_string"] else []
    await send({"type": "websocket.accept", "headers": more})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})
