"""The tour's WebSockets without coroutines: plain functions, called by the server for each thing that happens to one.

The server holds the sockets, and may call any worker: backline.toml gives them a pool of their own. What belongs to a
socket is in its state, which travels with it. So a worker can be replaced, or killed, and no socket is closed.
"""

from __future__ import annotations

import json
import os
import time

import talk
from backline.sockets import Socket, Sockets

app = Sockets()


@app.connect("/plain/talk")
def came(socket: Socket) -> None:
    socket.accept()
    socket.join(talk.GROUP)
    socket.flush()  # first into the group, then the past: nothing is missed between them
    socket.send(json.dumps(talk.past()))


@app.receive("/plain/talk")
def said(socket: Socket, data: str | bytes) -> None:
    line = talk.line(data, "plain function")
    if line:
        talk.say(line)


@app.connect("/plain/count")
def begin(socket: Socket) -> None:
    socket.accept()
    socket.state.update(opened=time.time(), messages=0)


@app.receive("/plain/count")
def count(socket: Socket, data: str | bytes) -> None:
    """Say how old the socket is, how many messages came by it, and which process has this one."""
    socket.state["messages"] += 1
    seconds = time.time() - socket.state["opened"]
    answer = {"process": os.getpid(), "messages": socket.state["messages"], "seconds": round(seconds, 1)}
    socket.send(json.dumps(answer))
