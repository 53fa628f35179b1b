"""http.response.pathsend and http.response.early_hint, and the extensions that there are not."""

import os
import tempfile
from pathlib import Path

from asgi_notes import answer, route

FOLDER = Path(tempfile.gettempdir())
SIZE = 3_000_000


def file(size):
    path = FOLDER / f"asgi-pathsend-{size}"
    if not path.exists():
        own = FOLDER / f"asgi-pathsend-{size}-{os.getpid()}"
        own.write_bytes((bytes(range(256)) * (size // 256 + 1))[:size])
        own.rename(path)
    return str(path)


def start(headers=(), status=200):
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def path(value):
    return {"type": "http.response.pathsend", "path": value}


def length(n):
    return [(b"content-length", str(n).encode())]


def events(name):
    if name == "large":
        return [start(), path(file(SIZE))]
    if name == "sized":
        return [start(length(SIZE)), path(file(SIZE))]
    if name == "small":
        return [start([(b"content-type", b"text/x")]), path(file(10))]
    if name == "empty":
        return [start(), path(file(0))]
    if name == "length-too-long":
        return [start(length(20)), path(file(10))]
    if name == "length-too-short":
        return [start(length(5)), path(file(10))]
    if name == "204":
        return [start(status=204), path(file(10))]
    if name == "missing":
        return [start(), path("/nowhere/at/all")]
    if name == "folder":
        return [start(), path("/")]
    if name == "relative":
        return [start(), path("asgi_extensions.py")]
    if name == "bytes":
        return [start(), path(b"/etc/passwd")]
    if name == "before-start":
        return [path(file(10))]
    if name == "after-body":
        return [start(), {"type": "http.response.body", "body": b"x", "more_body": True}, path(file(10))]
    if name == "twice":
        return [start(), path(file(10)), path(file(10)), {"type": "http.response.body", "body": b"ignored"}]
    raise KeyError(name)


async def pathsend(scope, receive, send):
    for event in events(scope["query_string"].decode()):
        await send(event)


LINKS = [b"</style.css>; rel=preload; as=style", b"</script.js>; rel=preload; as=script"]


async def hint(scope, receive, send):
    """Hints before the answer; one after its start is too late and ignored."""
    kind = scope["query_string"].decode()
    links = ["text"] if kind == "wrong" else [b"x\r\ny: 1"] if kind == "smuggled" else LINKS
    await send({"type": "http.response.early_hint", "links": links})
    if kind == "twice":
        await send({"type": "http.response.early_hint", "links": [b"</later.css>; rel=preload"]})
    await send(start())
    await send({"type": "http.response.early_hint", "links": [b"</late>; rel=preload"]})
    await send({"type": "http.response.body", "body": b"hinted"})


OTHERS = {
    "http.response.zerocopysend": {"file": 1},
    "http.response.trailers": {"headers": [(b"x-trailer", b"1")]},
    "http.response.push": {"path": "/style.css", "headers": []},
    "http.response.debug": {"info": {}},
}


async def other(scope, receive, send):
    """What comes of the event that the query names, before the answer and within it."""
    kind = scope["query_string"].decode()
    told = [f"offered {kind in scope['extensions']}"]
    for within in (False, True):
        if within:
            await send({**start(), "trailers": True})
        try:
            await send({"type": kind, **OTHERS[kind]})
        except Exception as error:
            told.append(f"{type(error).__name__}: {error}")
    await send({"type": "http.response.body", "body": "\n".join(told).encode()})


async def plain(scope, receive, send):
    await answer(send, 200, b"plain")


app = route({"/pathsend": pathsend, "/hint": hint, "/other": other, "/plain": plain})
