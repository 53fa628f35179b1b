"""What an application receives, and when: handlers note it, and some answer with it."""

import asyncio

from asgi_notes import answer, answer_json, note, route, whole_body

gates = {}


def gate(name):
    return gates.setdefault(name, asyncio.Event())


def shown(event):
    return {**event, **({"body": event["body"].decode("latin-1")} if "body" in event else {})}


async def body(scope, receive, send):
    """The body's length and sum, and the events that it came in."""
    whole, events = await whole_body(receive)
    sizes = [len(event["body"]) for event in events]
    more = [event["more_body"] for event in events]
    types = sorted({type(event["body"]).__name__ + type(event["more_body"]).__name__ for event in events})
    text = whole.decode("latin-1") if len(whole) < 100 else f"{len(whole)} {sum(whole)}"
    await answer_json(send, {"body": text, "sizes": sizes, "more": more, "types": types})


async def blocks(scope, receive, send):
    """After the whole body receive() waits; after the answer it says disconnect, each time (H19, H21)."""
    await whole_body(receive)
    try:
        second = await asyncio.wait_for(receive(), 0.1)
    except asyncio.TimeoutError:
        second = None
    await answer_json(send, second)
    note("after", [await receive() for _ in range(3)])


async def waits(scope, receive, send):
    """A receive() that waits during the answer ends with it."""
    await whole_body(receive)
    listener = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    await answer(send, 200, b"answered")
    note("listener", await listener)


async def early(scope, receive, send):
    """Answers before it has read, then reads."""
    await answer(send, 200, b"early")
    note("early", [(await receive())["type"] for _ in range(3)])


async def upload(scope, receive, send):
    """Notes every event of an upload; goes on at the gate after the first."""
    name = scope["query_string"].decode()
    event = await receive()
    note(name, shown(event))
    await gate(name).wait()
    while event["type"] == "http.request" and event["more_body"]:
        event = await receive()
        note(name, shown(event) if len(event.get("body", b"")) < 100 else event["type"])
    if event["type"] == "http.request":
        await answer(send, 200, b"complete")


async def open_gate(scope, receive, send):
    gate(scope["query_string"].decode()).set()
    await answer(send, 200, b"opened")


async def cancelled(scope, receive, send):
    """A receive() that is cancelled again and again loses nothing (A11)."""
    got, cancels = b"", 0
    more = True
    while more:
        task = asyncio.ensure_future(receive())
        done, _ = await asyncio.wait([task], timeout=0.005)
        if not done:
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                cancels += 1
                if cancels == 5:
                    note("cancels", cancels)
                continue
        event = task.result()
        got += event["body"]
        more = event["more_body"]
    await answer_json(send, {"body": got.decode(), "cancels": cancels})


async def parallel(scope, receive, send):
    """Several tasks receive at once (A10): every byte reaches exactly one of them."""
    got = []

    async def reader():
        while True:
            event = await receive()
            if event["type"] != "http.request":
                return
            got.append(event["body"])
            if not event["more_body"]:
                return

    readers = [asyncio.ensure_future(reader()) for _ in range(4)]
    note("parallel", "reading")
    await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED)
    while sum(map(len, got)) < int(scope["query_string"]):
        await asyncio.sleep(0.005)
    await answer_json(send, {"total": sum(map(len, got)), "waiting": sum(not one.done() for one in readers)})
    await asyncio.wait(readers)
    note("parallel", "all ended")


async def lazy(scope, receive, send):
    """Never reads."""
    await answer(send, 200, b"not read")


async def expect(scope, receive, send):
    """Reads only when the gate is open, which the client may look at before it sends its body."""
    note("expect", "called")
    await gate("expect").wait()
    whole, _ = await whole_body(receive)
    await answer(send, 200, whole)


async def slow_reader(scope, receive, send):
    """Reads one event, then waits for the gate: what the client can send meanwhile is what the server keeps (H18)."""
    await receive()
    note("slow", "one")
    await gate("slow").wait()
    whole, _ = await whole_body(receive)
    await answer(send, 200, str(len(whole)).encode())


app = route(
    {"/body": body, "/blocks": blocks, "/waits": waits, "/early": early, "/upload": upload, "/open": open_gate,
     "/cancelled": cancelled, "/parallel": parallel, "/lazy": lazy, "/expect": expect, "/slow": slow_reader}
)  # fmt: skip
