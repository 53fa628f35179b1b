"""WebSockets that an application hears of by POST (WebSocket-over-HTTP), without any library: it echoes, in a group."""

import os


def events(body):
    """The events of a request, as (type, content)."""
    while body:
        line, _, body = body.partition(b"\r\n")
        kind, _, size = line.partition(b" ")
        content = b""
        if size:
            length = int(size, 16)
            content, body = body[:length], body[length + 2 :]
        yield kind, content


def event(kind, content=None):
    return kind + b"\r\n" if content is None else b"%s %x\r\n%s\r\n" % (kind, len(content), content)


def answer(body):
    said = b""
    for kind, content in events(body):
        if kind == b"OPEN":
            said += event(b"OPEN") + event(b"TEXT", b'c:{"type": "subscribe", "channel": "all"}')
        elif kind == b"TEXT":
            said += event(b"TEXT", b"m:%s by %d" % (content, os.getpid()))
        elif kind == b"CLOSE":
            said += event(b"CLOSE", content)
    return said


FIELDS = [("Content-Type", "application/websocket-events"), ("Sec-WebSocket-Extensions", "grip")]


def wsgi(environ, start_response):
    assert environ["CONTENT_TYPE"] == environ["HTTP_ACCEPT"] == "application/websocket-events"
    start_response("200 OK", FIELDS)
    return [answer(environ["wsgi.input"].read())]


async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    fields = [(name.lower().encode(), value.encode()) for name, value in FIELDS]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": answer(body)})
