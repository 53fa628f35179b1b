"""A Flask site with sessions, and sockets beside it that know them."""

from __future__ import annotations

from backline.channels import group_broadcast
from backline.sockets import Socket, Sockets
from flask import Flask, request, session

app = Flask(__name__)
app.secret_key = "conformance"
chat = Sockets()


@app.get("/login")
def login() -> str:
    session["user"] = "ada"
    return "in"


@app.get("/broadcast")
def broadcast() -> str:
    group_broadcast("all", "from a view")
    return "sent"


@chat.connect("/me")
def me(socket: Socket) -> None:
    with app.request_context(socket.environ):
        if "user" not in session:
            socket.refuse(401)
            return
        socket.accept()
        socket.join("all")
        socket.send(f"{session['user']} {request.path} {request.args['q']}")
