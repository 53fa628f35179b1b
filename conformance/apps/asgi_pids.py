"""An ASGI application that says which process it is: to each request, and to each message of a WebSocket."""

from __future__ import annotations

import os
from typing import Any

PID = str(os.getpid())


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": PID})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": PID.encode()})
