"""Long answers, and applications whose client goes away."""

import asyncio
import builtins
import gc
import time

from asgi_notes import NOTES, answer, answer_json, note, route

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}

sent = {}


def arguments(scope):
    return dict(pair.split("=") for pair in scope["query_string"].decode().split("&"))


async def endless(scope, receive, send):
    """Sends pieces for ever and counts what send() has taken."""
    given = arguments(scope)
    name, piece = given["name"], b"x" * int(given["size"])
    sent[name] = 0
    await send(START)
    try:
        while True:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            sent[name] += len(piece)
    except OSError as error:
        note(name, type(error).__name__)
        raise


async def finite(scope, receive, send):
    given = arguments(scope)
    piece = b"x" * int(given["size"])
    await send(START)
    for _ in range(int(given["count"])):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def one(scope, receive, send):
    """One event with all of it."""
    given = arguments(scope)
    await send(START)
    note(given["name"], "started")
    await send({"type": "http.response.body", "body": b"x" * int(given["size"])})
    note(given["name"], "sent")


async def how_far(scope, receive, send):
    await answer_json(send, sent.get(scope["query_string"].decode(), 0))


async def tasks(scope, receive, send):
    """Four tasks send large events at once: each event arrives in one piece of the body."""
    await send(START)

    async def sender(letter):
        for _ in range(3):
            await send({"type": "http.response.body", "body": letter * 300_000, "more_body": True})

    await asyncio.gather(*(sender(letter) for letter in (b"a", b"b", b"c", b"d")))
    await send({"type": "http.response.body", "body": b"end"})


async def cancelled_send(scope, receive, send):
    """A send() that is cancelled while it waits for the client loses nothing (A11)."""
    name, size = arguments(scope)["name"], int(arguments(scope)["size"])
    await send(START)
    for letter in (b"a", b"b", b"c"):
        body = {"type": "http.response.body", "body": letter * size, "more_body": letter != b"c"}
        try:
            await asyncio.wait_for(send(body), 0.05)
        except asyncio.TimeoutError:
            note(name, "cancelled")


async def watches(scope, receive, send):
    """Waits for the disconnect beside its work, as Django and Starlette do."""
    name = arguments(scope)["name"]
    assert (await receive())["type"] == "http.request"
    note(name, "waiting")
    note(name, [(await receive())["type"] for _ in range(2)])


async def sends_after(scope, receive, send):
    """Learns of the disconnect by receive(); then every send() raises an OSError (H31)."""
    name = arguments(scope)["name"]
    await receive()
    note(name, "waiting")
    await receive()
    for event in (START, {"type": "http.response.body", "body": b"x"}):
        try:
            await send(event)
        except OSError as error:
            note(name, type(error).__name__)
    await send(START)  # not caught: the server takes it back


async def sleeps(scope, receive, send):
    """Never looks at the client. Notes how it ends."""
    name = arguments(scope)["name"]
    note(name, "sleeping")
    began = time.monotonic()
    try:
        await asyncio.sleep(float(arguments(scope).get("for", 30)))
        note(name, "slept")
    except asyncio.CancelledError:
        note(name, ["cancelled", time.monotonic() - began])
        raise
    finally:
        note(name, "cleaned")


async def stubborn(scope, receive, send):
    """A cancelled receive() gives CancelledError to the application, which cleans up after it."""
    name = arguments(scope)["name"]
    await receive()
    note(name, "waiting")
    await receive()
    try:
        note(name, "blocked")
        await asyncio.Event().wait()
    except BaseException as error:
        note(name, type(error).__name__)
        raise


class Translated(Exception):
    pass


class Group(Exception):
    """What anyio raises under Python 3.10, which has no groups of its own: exceptions in an attribute."""

    def __init__(self, *exceptions):
        self.exceptions = exceptions


Group = (getattr(builtins, "ExceptionGroup", None) and (lambda *found: builtins.ExceptionGroup("some", found))) or Group


async def translates(scope, receive, send):
    """Makes an error of its own out of the server's, as Starlette does."""
    name = arguments(scope)["name"]
    kind = arguments(scope)["kind"]
    await receive()
    note(name, "waiting")
    await receive()
    try:
        await send(START)
    except OSError as error:
        note(name, "raising")
        if kind == "own":
            raise Translated()  # noqa: B904
        if kind == "from":
            raise Translated() from error
        if kind == "group":
            raise Group(error, error)  # noqa: B904
        undefined  # noqa: B018, F821


async def note_of(scope, receive, send):
    await answer_json(send, NOTES)


async def plain(scope, receive, send):
    await answer(send, 200, b"plain")


async def polls(scope, receive, send):
    """Asks for the disconnect again and again with a timeout, as request.is_disconnected() does."""
    name = arguments(scope)["name"]
    await receive()
    for _ in range(200):
        try:
            await asyncio.wait_for(receive(), 0.001)
        except asyncio.TimeoutError:
            continue
    futures = sum(isinstance(found, asyncio.Future) for found in gc.get_objects())
    note(name, futures)
    await answer(send, 200, str(futures).encode())


app = route(
    {"/endless": endless, "/finite": finite, "/one": one, "/how-far": how_far, "/tasks": tasks,
     "/cancelled-send": cancelled_send, "/watches": watches, "/sends-after": sends_after, "/sleeps": sleeps,
     "/stubborn": stubborn, "/translates": translates, "/notes": note_of, "/plain": plain, "/polls": polls}
)  # fmt: skip
