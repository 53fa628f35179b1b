"""The same file by pathsend, for every server that knows it. FILE is its absolute path."""

import os

FILE = os.environ["FILE"]
HEADERS = [(b"content-type", b"text/css"), (b"content-length", str(os.path.getsize(FILE)).encode())]


async def asgi(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.pathsend", "path": FILE})
