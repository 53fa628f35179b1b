"""Answers of every kind, right and wrong. A path names the events that are sent."""

import asyncio
import http
import time

from asgi_notes import NOTES, answer, note, route, whole_body

TEXT = [(b"content-type", b"text/plain")]


def start(status=200, headers=TEXT, **more):
    return {"type": "http.response.start", "status": status, "headers": headers, **more}


def body(data=b"", **more):
    return {"type": "http.response.body", "body": data, **more}


def part(data=b""):
    return body(data, more_body=True)


class Bytes(bytes):
    pass


SIZED = [(b"content-length", b"5")]

# What is simply sent, in this order; after it the application returns.
SENT = {
    "/plain": [start(), body(b"hello")],
    "/no-headers": [{"type": "http.response.start", "status": 200}, {"type": "http.response.body"}],
    "/extra": [start(surprise=1, trailers=False), body(b"extra", surprise=1)],
    "/enum": [start(http.HTTPStatus.CREATED), body(b"x")],
    "/bytearray": [start(headers=[(bytearray(b"x-a"), bytearray(b"1"))]), body(bytearray(b"hello"))],
    "/memoryview": [start(), part(memoryview(b"hel")), body(memoryview(b"lo"))],
    "/subclass": [start(headers=[(Bytes(b"x-a"), Bytes(b"1"))]), body(Bytes(b"hello"))],
    "/upper": [start(headers=[(b"Content-Type", b"text/html"), (b"CONTENT-LENGTH", b"5")]), body(b"hello")],
    "/cookies": [
        start(headers=[(b"set-cookie", b"a=1"), (b"x", b"1"), (b"set-cookie", b"b=2"), (b"set-cookie", b"a=3")]),
        body(b"x"),
    ],
    "/date": [start(headers=[(b"date", b"mine"), (b"server", b"mine")]), body(b"x")],
    "/chunks": [start(), part(b"one"), part(b""), part(b"two"), body(b"three")],
    "/empty-last": [start(), part(b"one"), body(b"")],
    "/transfer": [start(headers=[(b"transfer-encoding", b"chunked")]), body(b"hello")],
    "/transfer-chunks": [start(headers=[(b"transfer-encoding", b"chunked")]), part(b"hel"), body(b"lo")],
    "/hop": [start(headers=[(b"connection", b"upgrade"), (b"upgrade", b"x"), (b"keep-alive", b"1")]), body(b"hello")],
    "/close": [start(headers=[(b"connection", b"close")]), body(b"hello")],
    "/after": [start(), body(b"hello"), body(b"more"), start(500), part(b"x")],
    "/sized": [start(headers=SIZED), part(b"hel"), body(b"lo")],
    "/too-long": [start(headers=SIZED), body(b"hello, world")],
    "/too-long-chunks": [start(headers=SIZED), part(b"hel"), part(b"lo, w"), body(b"orld")],
    "/too-short": [start(headers=SIZED), body(b"hel")],
    "/too-short-chunks": [start(headers=SIZED), part(b"hel"), body(b"")],
    "/204": [start(204), body(b"")],
    "/204-body": [start(204, [(b"content-length", b"5")]), body(b"hello")],
    "/304": [start(304, [(b"content-length", b"5"), (b"etag", b'"x"')]), body(b"hello")],
    "/head": [start(headers=SIZED), body(b"hello")],
    "/head-chunks": [start(), part(b"hel"), body(b"lo")],
    "/large": [start(), body(bytes(range(256)) * 8192)],
    "/many-headers": [start(headers=[(b"x-%d" % n, b"v" * 50) for n in range(1000)]), body(b"x")],
    # Wrong ones. What send() raises is noted, and "/kept" answers after it.
    "!unknown": [{"type": "http.response.nonsense"}],
    "!websocket": [{"type": "websocket.accept"}],
    "!no-type": [{}],
    "!no-status": [{"type": "http.response.start"}],
    "!status-str": [start("200")],
    "!status-bool": [start(True)],
    "!status-99": [start(99)],
    "!status-101": [start(101)],
    "!status-199": [start(199)],
    "!status-1000": [start(1000)],
    "!header-str": [start(headers=[("x", "1")])],
    "!header-str-in-generator": [start(headers=(pair for pair in [("x", "1"), (b"y", b"2")]))],
    "!header-triple": [start(headers=[(b"x", b"1", b"2")])],
    "!header-none": [start(headers=None)],
    "!crlf-value": [start(headers=[(b"x", b"1\r\nset-cookie: stolen=1")])],
    "!lf-value": [start(headers=[(b"x", b"1\nb: 2")])],
    "!cr-value": [start(headers=[(b"x", b"1\rb: 2")])],
    "!nul-value": [start(headers=[(b"x", b"1\0")])],
    "!crlf-name": [start(headers=[(b"x\r\ny", b"1")])],
    "!space-name": [start(headers=[(b"x y", b"1")])],
    "!colon-name": [start(headers=[(b"x:", b"1")])],
    "!empty-name": [start(headers=[(b"", b"1")])],
    "!too-many-headers": [start(headers=[(b"x", b"1")] * 1001)],
    "!too-large-headers": [start(headers=[(b"x", b"1" * 200_000)])],
    "!body-first": [body(b"x")],
    "!start-twice": [start(), start()],
    "!body-str": [start(), body("text")],
    "!body-none": [start(), body(None)],
    "!body-list": [start(), body([1])],
}


async def sends(scope, receive, send):
    for event in SENT[scope["path"]]:
        await send(event)


async def wrong(scope, receive, send):
    """Send something wrong and answer with the name of what is raised; a start that was good stays."""
    raised = "nothing"
    started = False
    for event in SENT["!" + scope["query_string"].decode()]:
        try:
            await send(event)
            started = True
        except Exception as error:
            raised = f"{type(error).__name__}: {error}"
    if not started:
        await send(start())
    await send(body(raised.encode()))


async def uncaught(scope, receive, send):
    """The same, without catching it."""
    for event in SENT["!" + scope["query_string"].decode()]:
        await send(event)


async def raises(scope, receive, send):
    """Raise before the answer, after its start, within it or after it."""
    when, _, kind = scope["query_string"].decode().partition("=")
    error = {"exit": SystemExit(4), "interrupt": KeyboardInterrupt(), "cancel": asyncio.CancelledError()}.get(
        kind, ZeroDivisionError(when)
    )
    await asyncio.sleep(0)
    if when == "before":
        raise error
    await send(start())
    if when == "started":
        raise error
    await send(part(b"partial"))
    if when == "within":
        raise error
    await send(body(b""))
    raise error


async def returns(scope, receive, send):
    """Return before the answer, after its start or within it."""
    when = scope["query_string"].decode()
    if when == "before":
        return
    await send(start())
    if when == "within":
        await send(part(b"partial"))


async def generator(scope, receive, send):
    """Headers are any iterable of two-item iterables (H22)."""
    await send(start(headers=([name, value] for name, value in [(b"x-a", b"1"), (b"x-b", b"2")])))
    await send(body(b"generated"))


gates = {}


async def gated(scope, receive, send):
    """Events that are sent one at a time, when the client says so: NAME=start,empty,data,end."""
    name, _, events = scope["query_string"].decode().partition("=")
    gate = gates[name] = asyncio.Queue()
    kinds = {"start": start(), "empty": part(b""), "data": part(b"data"), "end": body(b"")}
    for event in events.split(","):
        await send(kinds[event])
        note(name, event)
        await gate.get()


async def step(scope, receive, send):
    gates[scope["query_string"].decode()].put_nowait(None)
    await answer(send, 200, b"stepped")


async def computes(scope, receive, send):
    """Computes for 0.6 s after a piece: it must have left before (H26)."""
    await send(start())
    await send(part(b"before"))
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        pass
    await send(body(b"after"))


async def background(scope, receive, send):
    """Works on after the answer."""
    await answer(send, 200, b"answered")
    await asyncio.sleep(0.05)
    note("background", "done")


async def echo(scope, receive, send):
    whole, _ = await whole_body(receive)
    await answer(send, 200, whole)


app = route(
    {**{path: sends for path in SENT if path.startswith("/")}, "/wrong": wrong, "/uncaught": uncaught,
     "/raises": raises, "/returns": returns, "/generator": generator, "/gated": gated, "/step": step,
     "/computes": computes, "/background": background, "/echo": echo}
)  # fmt: skip
assert NOTES == {}
