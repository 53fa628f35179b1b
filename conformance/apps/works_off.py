"""A plain ASGI application that works channels off, and says in the group "made" what it has done."""

import os

from backline import channels


async def app(scope, receive, send):
    if scope["type"] != "channel":
        raise RuntimeError("only channels")
    count = 0
    while True:
        message = await receive()
        count += 1
        if message["type"] == "fail":
            raise ZeroDivisionError("while a message was worked off")
        if message["type"] == "end":
            return
        if message["type"] == "send":
            await send({"type": "nonsense"})
        said = {"channel": scope["channel"], "n": message["n"], "pid": os.getpid(), "count": count}
        if message["type"] == "hold":
            await channels.agroup_send("made", {**said, "holds": True})
            await channels.areceive(message["until"])
        await channels.agroup_send("made", said)
