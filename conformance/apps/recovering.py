"""Sockets that are present in their groups and get what they missed, for test_socket_presence.py."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

from backline import channels
from backline.sockets import Socket, Sockets

chat = Sockets()


@chat.connect("/room/<name>")
def joined(socket: Socket, name: str) -> None:
    socket.accept()
    user = socket.query.get("user")
    info = {"device": socket.query["device"]} if "device" in socket.query else None
    socket.join(name, user=user, info=info, since=socket.query.get("since"))
    socket.join(socket.id)


@chat.connect("/watch/<name>")
def watches(socket: Socket, name: str) -> None:
    socket.accept()
    socket.join(channels.watchers(name))


@chat.receive("/room/<name>")
def said(socket: Socket, what: str, name: str) -> None:
    command, _, rest = what.partition(" ")
    if command == "say":
        socket.group(name).send(json.dumps({"text": rest}))
    if command == "bare":
        socket.group(name).send(rest)
    if command == "wait":
        # Until there is a file, so that a test can hold it for as long as it wants.
        socket.send("waiting")
        socket.flush()
        while not Path(rest).exists():
            time.sleep(0.005)
    if command == "leave":
        socket.leave(name)
    if command == "as":
        socket.join(name, user=rest)
    if command in ("leave", "as", "pid"):
        socket.send(str(os.getpid()))
    if command == "who":
        socket.send(json.dumps(asdict(channels.presence(name))))


@chat.gap("/room/<name>")
def missed(socket: Socket, group: str, name: str) -> None:
    assert group == name
    socket.send(json.dumps({"gap": group}))
