"""The handlers of test_sockets.py that are coroutines."""

from __future__ import annotations

import asyncio
import os

from backline.sockets import Socket, Sockets

chat = Sockets()


@chat.connect("/echo")
async def echo(socket: Socket) -> None:
    await asyncio.sleep(0)
    socket.accept()
    socket.state["seen"] = 0


@chat.receive
async def back(socket: Socket, data: str) -> None:
    if data == "raise":
        raise LookupError("of course")
    socket.send(f"first {data}")
    socket.flush()
    await asyncio.sleep(0.001)
    socket.state["seen"] += 1
    socket.send(f"{socket.state['seen']} {os.getpid()} {data}")


@chat.connect("/plain")
def plain(socket: Socket) -> None:
    """Plain functions go together with coroutines."""
    socket.accept()
    socket.state["seen"] = 10
