"""WebSockets: handlers do one thing each and note what they see. Query: name=... names the notes."""

import asyncio
import os
import time
from urllib.parse import parse_qs

from asgi_notes import answer, note, route

gates = {}


def gate(name):
    return gates.setdefault(name, asyncio.Event())


def query(scope):
    return {key: values[0] for key, values in parse_qs(scope["query_string"].decode(), keep_blank_values=True).items()}


def shown(event):
    return {**event, **({"bytes": event["bytes"].hex()} if "bytes" in event else {})}


async def accept(receive, send, **fields):
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", **fields})


async def echo(scope, receive, send):
    name = query(scope).get("name")
    await accept(receive, send)
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            if name:
                note(name, event)
            return
        await send({**event, "type": "websocket.send"})


async def events(scope, receive, send):
    """Notes every event, and answers each message with what it was, unless it is to be quiet."""
    name, quiet = query(scope)["name"], "quiet" in query(scope)
    await accept(receive, send)
    while True:
        event = await receive()
        note(name, shown(event))
        if event["type"] == "websocket.disconnect":
            return
        if not quiet:
            await send({"type": "websocket.send", "text": repr(event)})


async def scope_(scope, receive, send):
    await accept(receive, send)
    await send({"type": "websocket.send", "text": repr(scope)})


async def mutate(scope, receive, send):
    before = repr(scope)
    scope["asgi"]["version"] = scope["extensions"]["spoilt"] = scope["spoilt"] = {}
    scope["subprotocols"].append("spoilt")
    scope["headers"].append((b"spoilt", b"1"))
    await accept(receive, send)
    await send({"type": "websocket.send", "text": before})


async def held(scope, receive, send):
    """Keeps the handshake open until the gate is."""
    name = query(scope)["name"]
    note(name, (await receive())["type"])
    listener = asyncio.ensure_future(receive())
    opened = asyncio.ensure_future(gate(name).wait())
    await asyncio.wait([listener, opened], return_when=asyncio.FIRST_COMPLETED)
    if listener.done():
        note(name, listener.result())
        return
    await send({"type": "websocket.accept"})
    note(name, await listener)


async def accepts(scope, receive, send):
    wanted = query(scope)
    headers = [(key.encode(), value.encode()) for key, value in wanted.items() if key.startswith("x-")]
    protocols = scope["subprotocols"]
    await accept(receive, send, subprotocol=protocols[-1] if protocols else None, headers=headers)
    await send({"type": "websocket.send", "text": "accepted"})


async def refuses(scope, receive, send):
    name = query(scope)["name"]
    await receive()
    await send({"type": "websocket.close", "code": 4401})
    note(name, await receive())
    try:
        await send({"type": "websocket.accept"})
    except OSError as error:
        note(name, type(error).__name__)


async def ends(scope, receive, send):
    """Returns or raises, before it has accepted or after."""
    wanted = query(scope)
    if wanted["when"] == "after":
        await accept(receive, send)
    if wanted["how"] == "raise":
        raise ZeroDivisionError("in a WebSocket")


async def denies(scope, receive, send):
    wanted = query(scope)
    assert "websocket.http.response" in scope["extensions"]
    await receive()
    start = {"type": "websocket.http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Basic")]}
    await send(start)
    for _ in range(int(wanted.get("pieces", 0))):
        await send({"type": "websocket.http.response.body", "body": b"x" * 50_000, "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"no entry"})
    note(wanted["name"], await receive())


SENDS = {
    "text": {"text": "t"},
    "bytes": {"bytes": b"b"},
    "text-and-none": {"text": "t", "bytes": None},
    "none-and-bytes": {"text": None, "bytes": b"b"},
    "empty-text": {"text": "", "bytes": None},
    "empty-bytes": {"bytes": b""},
    "buffer": {"bytes": bytearray(b"b")},
    "odd": {"text": "\0 \N{GRINNING FACE}"},
}


async def sends(scope, receive, send):
    await accept(receive, send)
    await send({"type": "websocket.send", **SENDS[query(scope)["what"]]})
    await receive()


WRONG = {
    "both": {"text": "t", "bytes": b"b"},
    "neither": {},
    "nones": {"text": None, "bytes": None},
    "text-bytes": {"text": b"t"},
    "bytes-str": {"bytes": "b"},
    "surrogate": {"text": "\ud800"},
    "unknown": {"type": "websocket.nonsense"},
    "http": {"type": "http.response.start", "status": 200},
    "accept-twice": {"type": "websocket.accept"},
    "code": {"type": "websocket.close", "code": 1005},
}


async def wrong(scope, receive, send):
    await accept(receive, send)
    try:
        await send({"type": "websocket.send", **WRONG[query(scope)["what"]]})
    except Exception as error:
        await send({"type": "websocket.send", "text": type(error).__name__})


async def early(scope, receive, send):
    """Breaks a rule before it accepts."""
    what = query(scope)["what"]
    await receive()
    try:
        if what == "send":
            await send({"type": "websocket.send", "text": "t"})
        else:
            await send({"type": "websocket.accept", "headers": [(b"Sec-WebSocket-Protocol", b"v1")]})
    except Exception as error:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": type(error).__name__})


async def closes(scope, receive, send):
    wanted = query(scope)
    fields = {key: int(value) if key == "code" else value for key, value in wanted.items() if key in ("code", "reason")}
    await accept(receive, send)
    await send({"type": "websocket.close", **fields})
    note(wanted["name"], [await receive(), await receive()])
    try:
        await send({"type": "websocket.send", "text": "t"})
    except OSError as error:
        note(wanted["name"], type(error).__name__)
        await send({"type": "websocket.close"})
        raise


async def watches(scope, receive, send):
    """Waits for the client to go, and lets the error of send() pass."""
    name = query(scope)["name"]
    await accept(receive, send)
    await send({"type": "websocket.send", "text": "watching"})
    note(name, await receive())
    try:
        await send({"type": "websocket.send", "text": "t"})
    except OSError as error:
        note(name, type(error).__name__)
        raise


async def floods(scope, receive, send):
    """Sends until somebody stops it; the number of messages so far is noted."""
    wanted = query(scope)
    data = {"text": "x" * int(wanted["size"])} if "text" in wanted else {"bytes": b"x" * int(wanted["size"])}
    await accept(receive, send)
    try:
        for _ in range(int(wanted["count"])):
            await send({"type": "websocket.send", **data})
            note(wanted["name"], 1)
    except OSError:
        note(wanted["name"], "gone")
        raise
    await send({"type": "websocket.close"})


async def tasks(scope, receive, send):
    """Long messages of several tasks, some of which are cancelled while they wait."""
    size = 300_000
    await accept(receive, send)
    sending = [asyncio.ensure_future(send({"type": "websocket.send", "bytes": bytes([n]) * size})) for n in range(12)]
    await asyncio.sleep(0)
    for task in sending[::3]:
        task.cancel()
    await asyncio.wait(sending)
    await send({"type": "websocket.send", "text": "end"})
    await receive()


async def unread(scope, receive, send):
    """Receives nothing until the gate is open, then all; the answer is how much it was."""
    name = query(scope)["name"]
    await accept(receive, send)
    note(name, "waiting")
    await gate(name).wait()
    total = 0
    while (event := await receive())["type"] == "websocket.receive":
        total += len(event["bytes"])
        if event["bytes"] == b"last":
            await send({"type": "websocket.send", "text": str(total)})


async def computes(scope, receive, send):
    """Blocks the whole loop until the file is there, right after it has sent something."""
    await accept(receive, send)
    await send({"type": "websocket.send", "text": "begun"})
    end = time.monotonic() + 20
    while not os.path.exists(query(scope)["file"]) and time.monotonic() < end:
        time.sleep(0.01)
    await send({"type": "websocket.send", "text": "done" if time.monotonic() < end else "too late"})


async def polls(scope, receive, send):
    """Asks for events with a short patience, as a handler does that has other things to do, and loses none."""
    await accept(receive, send)
    cancelled = 0
    while True:
        try:
            event = await asyncio.wait_for(receive(), 0.005)
        except asyncio.TimeoutError:
            cancelled += 1
            if cancelled == 3:
                await send({"type": "websocket.send", "text": "polling"})
            continue
        if event["type"] == "websocket.disconnect":
            return
        await send({**event, "type": "websocket.send"})


async def open_gate(scope, receive, send):
    gate(scope["query_string"].decode()).set()
    await answer(send, 200, b"opened")


app = route(
    {"/echo": echo, "/events": events, "/scope": scope_, "/mutate": mutate, "/held": held, "/accepts": accepts,
     "/refuses": refuses, "/ends": ends, "/denies": denies, "/sends": sends, "/wrong": wrong, "/early": early,
     "/closes": closes, "/watches": watches, "/floods": floods, "/tasks": tasks, "/unread": unread,
     "/computes": computes, "/polls": polls, "/open": open_gate, "*": scope_}
)  # fmt: skip
