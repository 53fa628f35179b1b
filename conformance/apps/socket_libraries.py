"""Flask-SocketIO, flask-sock and flask-sockets as their users write them."""

from __future__ import annotations

import os
from threading import Thread
from typing import Any

from flask import Flask, request
from flask_sock import Sock
from flask_socketio import SocketIO, emit, join_room
from flask_sockets import Sockets
from gevent import monkey
from simple_websocket import ConnectionClosed, Server
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


@app.route("/simple", websocket=True)
def simple() -> str:
    """simple-websocket by itself, which asks for no descriptor unless it is to send pings."""
    ws = Server.accept(request.environ, subprotocols=["chat.v2"])
    try:
        while (message := ws.receive()) != "leave":
            ws.send(message)
        ws.close(4003, "as asked")
    except ConnectionClosed as end:
        print(f"simple ended {end.reason}\n", end="", flush=True)
    return ""


@app.route("/together", websocket=True)
def together() -> str:
    """Several threads that write at once, as the library itself does: its pings come from a thread of its own."""
    ws = Server.accept(request.environ, ping_interval=25)
    threads = [Thread(target=repeatedly, args=(ws, number)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ws.close()
    return ""


def repeatedly(ws: Any, number: int) -> None:
    for _ in range(3):
        ws.send(bytes([number]) * 1_000_000)


@app.route("/written", websocket=True)
def written() -> str:
    """What no library does: bytes as they come to mind."""
    raw = request.environ["gunicorn.socket"]
    raw.send(b"HTTP/1.1 101 Switching Protocols\r\nX-Answer: 4")
    raw.sendall(b"2\r\n\r\n\x01\x02ab")
    raw.send(b"\x80\x01c\x89\x01!")
    kind = raw.recv(1)
    assert (kind, raw.recv(100)) == (b"\x8a", b"\x81" + bytes(4) + b"!")  # the pong
    if request.args.get("then") == "raise":
        raise LookupError("over a raw socket")
    if request.args.get("then") == "break":
        raw.send(b"\x83\x00")
    if request.args.get("then") == "close":
        raw.close()
        assert raw.recv(100) == b"\x88\x82" + bytes(4) + b"\x03\xe8"
        assert raw.recv(100) == b""
    return ""


@app.route("/real", websocket=True)
def real() -> str:
    """More of a socket than sending and receiving: the same bytes through a file."""
    raw = request.environ["gunicorn.socket"]
    raw.settimeout(10)
    with raw.makefile("rwb") as file:
        # The ping first: the client answers the message, and that may otherwise come before the pong.
        file.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x89\x00\x82\x01a")
        file.flush()
        assert file.read(6) == b"\x8a\x80" + bytes(4)  # the pong
        assert file.read(8) == b"\x81\x82" + bytes(4) + b"hi"
        file.write(b"\x88\x02\x0f\xa5")
        file.flush()
        assert file.read() == b"\x88\x82" + bytes(4) + b"\x0f\xa5"
    return ""


@app.route("/declined", websocket=True)
def declined() -> tuple[str, int]:
    """A library that does not accept leaves the answer to the application."""
    raw = request.environ["gunicorn.socket"]
    raw.send(b"HTTP/1.1 426 Upgrade Required\r\n\r\nnever seen")
    if "descriptor" in request.args:
        raw.fileno()
    return "declined", 409


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
