"""Sockets whose application is called with events, for test_sockets.py. Handlers are plain functions; those of
sockets_async.py are coroutines."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from backline.sockets import Socket, Sockets

chat = Sockets(origins=["https://friends.example"])
kept: list[Socket] = []


@chat.connect("/chat/<room>")
def joined(socket: Socket, room: str) -> None:
    socket.accept()
    socket.join(f"chat-{room}")
    socket.state["room"] = room


@chat.receive("/chat/<room>")
def said(socket: Socket, text: str, room: str) -> None:
    assert socket.state["room"] == room
    if text == "leave":
        socket.leave(f"chat-{room}")
    socket.group(f"chat-{room}").send(text, others=text.startswith("psst"))


@chat.connect("/count")
def count(socket: Socket) -> None:
    socket.accept("counted" if "counted" in socket.headers.get("sec-websocket-protocol", "") else None, [("X-A", "b")])
    socket.state["count"] = 0


@chat.receive("/count")
def counted(socket: Socket, data: str) -> None:
    socket.state["count"] += 1
    socket.send(f"{socket.state['count']} {os.getpid()} {data}")


@chat.connect("/echo")
def echo(socket: Socket) -> None:
    socket.accept()


@chat.receive("/echo")
def back(socket: Socket, data: str | bytes) -> None:
    socket.send(data)


@chat.connect("/does")
def does(socket: Socket) -> None:
    socket.accept()
    socket.state["begun"] = True


@chat.receive("/does")
def do(socket: Socket, what: str) -> None:
    """What the client says."""
    name, _, rest = what.partition(" ")
    if name == "raise":
        socket.send("never sent")
        socket.state["raised"] = True
        raise LookupError(rest)
    if name == "die":
        with Path(rest).open("a") as file:
            file.write("begun\n")
        os._exit(9)
    if name == "wait":
        # Until there is a file, so that a test can hold it for as long as it wants.
        socket.send(f"waiting {os.getpid()}")
        socket.flush()
        while not Path(rest).exists():
            time.sleep(0.005)
    if name == "state":
        socket.state["more"] = {"int": int(rest), "large": "x" * int(rest), "list": [None, True, 1.5, (b"b",)]}
    if name == "object":
        socket.state["object"] = threading
    if name == "close":
        socket.close(int(rest), "as asked")
    if name == "keep":
        kept.append(socket)
    if name == "kept":
        kept[-1].send("too late")
    if name == "many":
        for number in range(int(rest)):
            socket.send(str(number))
        return
    if name in ("id", "to"):
        by_name(socket, rest)
        return
    if name == "headers":
        socket.send(socket.headers["host"])
    socket.send(f"did {name}: {sorted(socket.state)}")


def by_name(socket: Socket, rest: str) -> None:
    """Says the socket's name, or sends to another one by its."""
    target, _, text = rest.partition(" ")
    if target:
        socket.group(target).send(text)
    else:
        socket.send(socket.id)


@chat.connect("/refused")
def refused(socket: Socket) -> None:
    socket.refuse(int(socket.query["status"]))


@chat.connect("/silent")
def silent(socket: Socket) -> None:
    """Neither accepts nor refuses."""


@chat.connect("/early")
def early(socket: Socket) -> None:
    socket.send("hello")


@chat.connect("/raises")
def raises(socket: Socket) -> None:
    if "accepted" in socket.query:
        socket.accept()
        socket.flush()
    raise LookupError("on connect")


@chat.connect("/item/<int:number>/<path:rest>")
def item(socket: Socket, number: int, rest: str) -> None:
    socket.accept()
    socket.send(f"{number + 1} {rest} {socket.cookies.get('a')} {socket.query.get('q')} {socket.path}")


@chat.connect("/slow")
def slow(socket: Socket) -> None:
    socket.accept()
    while not Path(socket.query["until"]).exists():
        time.sleep(0.005)


@chat.disconnect
def left(socket: Socket, code: int) -> None:
    sys.stdout.write(f"left {socket.path} with {code}: {sorted(socket.state)}\n")
    sys.stdout.flush()
