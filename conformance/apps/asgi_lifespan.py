"""Applications with lifespans of every kind. What they do in it they write to standard output, which is the log."""

import asyncio
import os
import sys

SHARED = {"list": [1]}


def say(text):
    print(f"lifespan: {text}", flush=True)


async def respond(scope, receive, send):
    state = scope.get("state")
    text = repr(state)
    if state is not None:
        state["own"] = "spoilt"  # of this request's copy
        state.get("shared", {}).setdefault("list", []).append(2)
        state["counter"] = state.get("counter", 0) + 1
    if scope["path"] == "/slow":
        say("request")
        await asyncio.sleep(0.5)
    if scope["path"] == "/forever":
        say("request")
        try:
            await asyncio.sleep(1000)
        finally:
            say("request cancelled")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})


def lifespan(handler):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await handler(scope, receive, send)
        else:
            await respond(scope, receive, send)

    return app


async def up(receive, send):
    event = await receive()
    assert event == {"type": "lifespan.startup"}, event
    await send({"type": "lifespan.startup.complete"})


async def down(receive, send):
    event = await receive()
    assert event == {"type": "lifespan.shutdown"}, event
    await send({"type": "lifespan.shutdown.complete"})


@lifespan
async def good(scope, receive, send):
    say(f"scope {sorted(scope)} {scope['type']} {scope['asgi']['spec_version']} {scope['state']}")
    scope["state"]["shared"] = SHARED
    scope["state"]["own"] = "value"
    await up(receive, send)
    say("started")
    await down(receive, send)
    say("stopped")


@lifespan
async def waits_to_start(scope, receive, send):
    await receive()
    await asyncio.sleep(0.3)
    scope["state"]["waited"] = True
    say("started")
    await send({"type": "lifespan.startup.complete"})
    await down(receive, send)


@lifespan
async def fails(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is not there"})


@lifespan
async def fails_and_raises(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is not there"})
    raise RuntimeError("raised after it")


@lifespan
async def raises(scope, receive, send):
    raise ValueError("I know no lifespan")


@lifespan
async def raises_later(scope, receive, send):
    await receive()
    raise ValueError("the start went wrong")


@lifespan
async def exits(scope, receive, send):
    await receive()
    sys.exit("no licence")


@lifespan
async def returns(scope, receive, send):
    await receive()


@lifespan
async def returns_after_start(scope, receive, send):
    await up(receive, send)


@lifespan
async def dies_later(scope, receive, send):
    await up(receive, send)
    await asyncio.sleep(0)
    raise RuntimeError("the lifespan broke")


@lifespan
async def polls(scope, receive, send):
    """Receives with a timeout, again and again: cancelling must lose nothing."""
    await up(receive, send)
    while True:
        try:
            event = await asyncio.wait_for(receive(), 0.01)
        except asyncio.TimeoutError:
            continue
        say(event["type"])
        await send({"type": "lifespan.shutdown.complete"})
        return


@lifespan
async def stops_slowly(scope, receive, send):
    await up(receive, send)
    await receive()
    say("stopping")
    await asyncio.sleep(0.5)
    say("stopped")
    await send({"type": "lifespan.shutdown.complete"})


@lifespan
async def stop_fails(scope, receive, send):
    await up(receive, send)
    await receive()
    await send({"type": "lifespan.shutdown.failed", "message": "the cache could not be written"})


@lifespan
async def never_stops(scope, receive, send):
    await up(receive, send)
    await receive()
    say("not stopping")
    await asyncio.sleep(1000)


@lifespan
async def wrong(scope, receive, send):
    await receive()
    try:
        await send({"type": "lifespan.nonsense"})
    except RuntimeError as error:
        say(error)
    await send({"type": "lifespan.startup.complete"})
    await down(receive, send)


@lifespan
async def by_file(scope, receive, send):
    """Fails where the file named by START_FAILS exists."""
    await receive()
    if os.path.exists(os.environ["START_FAILS"]):
        await send({"type": "lifespan.startup.failed", "message": "the new code is wrong"})
        return
    say("started")
    await send({"type": "lifespan.startup.complete"})
    await down(receive, send)


async def unaware(scope, receive, send):
    """Does not look at the type, as many small examples do not."""
    assert scope["type"] == "http"
    await respond(scope, receive, send)
