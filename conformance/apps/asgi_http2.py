"""An application for several requests at once on one connection."""

import asyncio
import hashlib
import os

from asgi_notes import answer, answer_json, note, route

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}

gates = {}


async def scope_(scope, receive, send):
    await answer(send, 200, repr(scope).encode())


async def shout(scope, receive, send):
    """Sends each piece of the body back in capitals as soon as it has come."""
    await send(START)
    while True:
        event = await receive()
        await send({"type": "http.response.body", "body": event["body"].upper(), "more_body": event["more_body"]})
        if not event["more_body"]:
            return


async def digest(scope, receive, send):
    sha, more = hashlib.sha256(), True
    while more:
        event = await receive()
        sha.update(event.get("body", b""))
        more = event.get("more_body", False)
    await answer(send, 200, sha.hexdigest().encode())


async def endless(scope, receive, send):
    await send(START)
    while True:
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})


async def ignore(scope, receive, send):
    """Answers when a test says so, and never reads the body."""
    await gates.setdefault(scope["query_string"], asyncio.Event()).wait()
    await answer(send, 200, b"at last")


async def open_(scope, receive, send):
    gates.setdefault(scope["query_string"], asyncio.Event()).set()
    await answer(send, 200, b"opened")


async def watch(scope, receive, send):
    name = scope["query_string"].decode()
    await receive()
    note(name, "waiting")
    note(name, (await receive())["type"])


async def hints(scope, receive, send):
    await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
    await answer(send, 200, b"hinted")


async def fails(scope, receive, send):
    await send(START)
    await send({"type": "http.response.body", "body": b"some", "more_body": True})
    raise RuntimeError("in the middle")


async def pid(scope, receive, send):
    await answer_json(send, os.getpid())


async def echo(scope, receive, send):
    """A WebSocket that sends back what comes."""
    await receive()
    await send({"type": "websocket.accept", "headers": [(b"x-version", scope["http_version"].encode())]})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


app = route(
    {
        "/shout": shout,
        "/digest": digest,
        "/endless": endless,
        "/ignore": ignore,
        "/open": open_,
        "/watch": watch,
        "/hints": hints,
        "/fails": fails,
        "/pid": pid,
        "/echo": echo,
        "*": scope_,
    },
)
