"""Flask-SocketIO, flask-sock and flask-sockets as their users write them."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, request
from flask_sock import Sock
from flask_socketio import SocketIO, emit, join_room
from flask_sockets import Sockets
from gevent import monkey
from werkzeug.routing import Rule

app = Flask(__name__)
app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": 0.2}
sock = Sock(app)
sockets = Sockets(app)
mode = "gevent" if monkey.is_module_patched("threading") else "threading"
socketio = SocketIO(app, async_mode=mode, ping_interval=5)


@app.get("/")
def index() -> str:
    return str(os.getpid())


@sock.route("/sock")
def echo(ws: Any) -> None:
    while True:
        message = ws.receive()
        if message == "leave":
            return
        if message == "who":
            message = str(os.getpid())
        if message == "close":
            ws.close(4002, "as you wish")
        if message == "fail":
            raise LookupError("in flask-sock")
        ws.send(message)


def plain(ws: Any) -> None:
    while not ws.closed:
        message = ws.receive()
        if message is not None:
            ws.send(message)


# Its decorator makes a rule that Werkzeug since 1.0 does not take for a WebSocket's.
sockets.url_map.add(Rule("/sockets", endpoint=plain, websocket=True))


@socketio.on("connect")
def connected(auth: Any = None) -> None:
    emit("welcome", {"pid": os.getpid(), "sid": request.sid})  # type: ignore[attr-defined]


@socketio.on("ask")
def ask(data: Any) -> Any:
    return {"pid": os.getpid(), "data": data}


@socketio.on("join")
def join(room: str) -> None:
    join_room(room)
    emit("joined", room, to=room)


@socketio.on("disconnect")
def disconnected(reason: Any = None) -> None:
    print(f"disconnected {request.sid}\n", end="", flush=True)  # type: ignore[attr-defined]
