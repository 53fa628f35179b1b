"""An ASGI application that does what its tests ask for by the path: wait, block, print. Its lifespan prints too."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from supervised import gate


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    name, _, argument = scope["path"].strip("/").partition("/")
    if name == "forever":
        await wait_forever()
    elif name == "block":
        block(float(argument))
    elif name == "nap":
        await asyncio.sleep(float(argument))
    elif name == "gate":
        await asyncio.to_thread(gate, argument, {})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode(), "more_body": name == "silent"})
    if name == "silent":
        await wait_forever()


async def wait_forever() -> None:
    await asyncio.get_running_loop().create_future()


def block(seconds: float) -> None:
    time.sleep(seconds)


async def lifespan(receive: Any, send: Any) -> None:
    await receive()
    print("lifespan started")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("lifespan stopped")
    await send({"type": "lifespan.shutdown.complete"})
