"""WebSockets in numbers: /echo answers, /flood sends as fast as it may, GET tells how often it has."""

sent = 0


async def echo(receive, send):
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def flood(receive, send):
    global sent
    while True:
        await send({"type": "websocket.send", "bytes": bytes(50_000)})
        sent += 1


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await {"/echo": echo, "/flood": flood}[scope["path"]](receive, send)
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(sent).encode()})
    else:
        raise RuntimeError("no lifespan")
