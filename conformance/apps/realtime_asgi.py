"""The same from Starlette."""

from backline.realtime import apublish, cursor_of, events, hold
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route


async def poll(request):
    return hold(PlainTextResponse("nothing"), [request.query_params.get("group", "room")])


async def pieces(request):
    async def body():
        yield "not"
        yield "hing"

    return hold(StreamingResponse(body(), media_type="text/plain"), ["room"])


async def say(request):
    await apublish("room", json={"text": "é"}, status=201, headers={"X-From": "apublish"}, event="hello\nworld")
    return PlainTextResponse("said")


async def stream(request):
    return events(PlainTextResponse(""), ["room"])


async def cursor(request):
    return PlainTextResponse(repr(cursor_of(request)))


application = Starlette(
    routes=[Route(f"/{each.__name__}", each) for each in (poll, pieces, say, stream, cursor)],
)
