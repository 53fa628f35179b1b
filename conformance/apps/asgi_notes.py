"""What applications remember for the tests, which ask for it at /seen?NAME. One list for each name, in this worker."""

import json
from collections import defaultdict

NOTES = defaultdict(list)


def note(name, value):
    NOTES[name].append(value)


async def answer(send, status, body, content_type=b"text/plain"):
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", content_type)]})
    await send({"type": "http.response.body", "body": body})


async def answer_json(send, value):
    await answer(send, 200, json.dumps(value).encode(), b"application/json")


async def seen(scope, receive, send):
    await answer_json(send, NOTES[scope["query_string"].decode()])


def route(table):
    """An application that looks its handler up by path."""
    table = {"/seen": seen, **table}

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            raise NotImplementedError("no lifespan")
        handler = table.get(scope["path"], table.get("*"))
        await handler(scope, receive, send)

    return app


async def whole_body(receive):
    """The body, and the events that it came in."""
    pieces, events = [], []
    while True:
        event = await receive()
        events.append(event)
        if event["type"] != "http.request":
            return None, events
        pieces.append(event.get("body", b""))
        if not event.get("more_body", False):
            return b"".join(pieces), events
