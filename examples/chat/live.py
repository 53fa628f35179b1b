"""A chat: rooms, names, who is there. Any worker may have any message; none of them has a socket.

backline serve page:app --websocket live:chat --chdir examples/chat
"""

import json

from backline.sockets import Socket, Sockets

chat = Sockets()


@chat.connect("/chat/<slug:room>")
def joined(socket: Socket, room: str) -> None:
    name = socket.query.get("name", "").strip()[:40]
    if not name:
        socket.refuse(400)
        return
    socket.accept()
    socket.join(f"chat-{room}")
    socket.state.update(room=room, name=name)
    tell(socket, f"{name} has come")


@chat.receive
def said(socket: Socket, text: str) -> None:
    tell(socket, text, by=socket.state["name"])


@chat.disconnect
def left(socket: Socket, code: int) -> None:
    tell(socket, f"{socket.state['name']} has gone")


def tell(socket: Socket, text: str, by: str = "") -> None:
    socket.group(f"chat-{socket.state['room']}").send(json.dumps({"by": by, "text": text}))
