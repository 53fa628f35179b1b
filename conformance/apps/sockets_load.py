"""What test_load_events.py opens 15,000 of."""

from __future__ import annotations

from backline.sockets import Socket, Sockets

chat = Sockets()


@chat.connect("/counted")
def counted(socket: Socket) -> None:
    socket.accept()
    socket.state["count"] = 0
    socket.join("all")


@chat.receive
def said(socket: Socket, text: str) -> None:
    socket.state["count"] += 1
    socket.send(f"{socket.state['count']} {text}")
