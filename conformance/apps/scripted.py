"""Answers what it is asked to, and so knows nothing of the tests: WSGI, under Backline and under wsgiref.

A request says in its query (base64 of JSON) how it is to be answered: ``answer``, or, when it comes with Grip-Last,
what ``again`` says. ``{Grip-Last}`` in a body stands for the request's field of that name. Of WebSocket-over-HTTP, OPEN
is answered with what the query says, and each TEXT with what the message says: ``events`` and ``fields``.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs


def given(environ: dict[str, Any], text: str) -> str:
    """A text with the request's fields that it names. Lists are sorted: nobody promises which channel comes first."""

    def value(found: re.Match[str]) -> str:
        said = environ.get(f"HTTP_{found[1].upper().replace('-', '_')}", "-")
        return ",".join(sorted(re.split(r", *", said)))

    return re.sub(r"\{([A-Za-z-]+)\}", value, text)


def events(body: bytes) -> Iterator[tuple[str, bytes]]:
    while body:
        line, _, body = body.partition(b"\r\n")
        name, _, size = line.partition(b" ")
        content = b""
        if size:
            content, body = body[: int(size, 16)], body[int(size, 16) + 2 :]
        yield name.decode(), content


def encoded(name: str, text: str | None = None) -> bytes:
    if text is None:
        return name.encode() + b"\r\n"
    data = base64.b64decode(text[7:]) if text.startswith("base64:") else text.encode()
    return b"%s %x\r\n%s\r\n" % (name.encode(), len(data), data)


def reply(environ: dict[str, Any], script: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """An answer to a WebSocket's events."""
    fields, body = [("Content-Type", "application/websocket-events")], b""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    for name, content in events(environ["wsgi.input"].read(length)) if length else [("NOTHING", b"")]:
        if name == "OPEN":
            said = script
        elif name == "TEXT" and content.startswith(b"{"):
            said = json.loads(content)
        else:
            said = {"events": [["TEXT", f"{name} {content.decode('latin-1')}"]]}
        fields += [tuple(each) for each in said.get("fields", [])]
        for event in said.get("events", []) if name not in ("CLOSE", "DISCONNECT") else []:
            body += encoded(event[0], *(given(environ, text) for text in event[1:]))
    return "200 OK", fields, body


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    asked = parse_qs(environ.get("QUERY_STRING", "")).get("script", ["e30="])[0]
    script = json.loads(base64.urlsafe_b64decode(asked))
    print("asked", environ["PATH_INFO"], file=sys.stderr, flush=True)
    if environ.get("CONTENT_TYPE") == "application/websocket-events":
        status, fields, body = reply(environ, script)
    else:
        answer = script["again" if "HTTP_GRIP_LAST" in environ and "again" in script else "answer"]
        status, fields = answer.get("status", "200 OK"), [tuple(each) for each in answer.get("fields", [])]
        body = given(environ, answer.get("body", "")).encode()
    start_response(status, [*fields, ("Content-Length", str(len(body)))])
    return [body]
