"""Applications of ASGI 2: called twice."""


class Class:
    def __init__(self, scope):
        self.scope = scope

    async def __call__(self, receive, send):
        if self.scope["type"] == "lifespan":
            raise ValueError("no lifespan")
        event = await receive()
        body = f"{self.scope['path']} {event['body'].decode()}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


def function(scope):
    async def instance(receive, send):
        await Class(scope)(receive, send)

    return instance
