"""An ASGI application that counts its lifespans and tells what it has inherited."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

IMPORTED_BY = os.getpid()
started: list[int] = []
loops: set[int] = set()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    loops.add(id(asyncio.get_running_loop()))
    if scope["type"] == "lifespan":
        await receive()
        started.append(os.getpid())
        print("lifespan started")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("lifespan stopped")
        await send({"type": "lifespan.shutdown.complete"})
        return
    await asyncio.sleep(0.001)
    told = {"pid": os.getpid(), "started": started, "imported_by": IMPORTED_BY, "loops": len(loops)}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
