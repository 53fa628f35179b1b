"""Applications that tell which pool answers, one of which can be held up. Served by several pools at once."""

import json
import os
import sys


def wsgi(environ, start_response):
    """What the application sees of a request. One that ends in /hold waits until it is let through the gate."""
    path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    if path.endswith("/hold"):
        print("held", flush=True)
        wait_at(os.environ["GATE"])
    seen = {
        "name": os.environ.get("NAME", ""),
        "shared": os.environ.get("SHARED", ""),
        "script": environ["SCRIPT_NAME"],
        "path": environ["PATH_INFO"],
        "host": environ.get("HTTP_HOST", ""),
        "body": len(environ["wsgi.input"].read()),
        "length": environ.get("CONTENT_LENGTH", ""),
        "cwd": os.getcwd(),
        "pid": os.getpid(),
        "python": sys.executable,
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]


def wait_at(path):
    """Wait for a byte. Who comes to the gate before it is closed behind another one finds none, and waits anew."""
    byte = b""
    while not byte:
        with open(path, "rb") as gate:
            byte = gate.read(1)


async def asgi(scope, receive, send):
    """The same by ASGI. A WebSocket is told the pool and its path; a body is counted piece by piece."""
    if scope["type"] == "lifespan":
        return
    name = os.environ.get("NAME", "")
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": f"{name} {scope['path']}"})
        await send({"type": "websocket.close"})
        return
    pieces = []
    more = True
    while more:
        message = await receive()
        pieces.append(len(message.get("body", b"")))
        more = message.get("more_body", False)
        if more:
            print(f"{name} has a piece of {pieces[-1]}", flush=True)
    seen = {"name": name, "root": scope["root_path"], "path": scope["path"], "body": sum(pieces)}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})
