"""Streams of events whose clients go on from their Last-Event-ID: plain WSGI, and Starlette, with the same paths."""

import os
from urllib.parse import parse_qs

from backline import channels
from backline.realtime import apublish, events, publish
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route

PAGE = """<!doctype html><link rel="icon" href="data:,"><script>
const heard = [], source = new EventSource("/events?groups=room,other");
source.onmessage = (event) => heard.push(event.data);
source.addEventListener("backline.gap", (event) => heard.push("gap in " + event.data));
let opened = 0;
source.onopen = () => opened++;
</script>"""


class Response:
    """As much of a framework's response as backline.realtime needs."""

    def __init__(self, body=""):
        self.body, self.headers = body, {"Content-Type": "text/html"}


def view(environ, query):
    path, group = environ["PATH_INFO"], query.get("group", "room")
    if path == "/events":
        groups = query.get("groups", "room").split(",")
        return events(Response("retry: 10\n\n"), groups, since=environ.get("HTTP_LAST_EVENT_ID"))
    if path == "/say":
        publish(group, event={"id": "own", "data": query["text"]})
    elif path == "/polled":
        publish(group, "for polls")
    elif path == "/send":
        channels.group_send(group, {"text": query["text"]})
    elif path == "/history":
        return Response(" ".join(message["text"] for _, message in channels.history(group).messages))
    elif path == "/close":
        publish(group, close=True)
    elif path == "/page":
        return Response(PAGE)
    return Response(str(os.getpid()))


def wsgi(environ, start_response):
    query = {key: values[0] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
    response = view(environ, query)
    start_response("200 OK", list(response.headers.items()))
    return [response.body.encode()]


async def stream(request):
    groups = request.query_params.get("groups", "room").split(",")
    return events(PlainTextResponse("retry: 10\n\n"), groups, since=request.headers.get("Last-Event-ID"))


async def say(request):
    await apublish(request.query_params.get("group", "room"), event={"id": "own", "data": request.query_params["text"]})
    return PlainTextResponse(str(os.getpid()))


async def polled(request):
    await apublish(request.query_params.get("group", "room"), "for polls")
    return PlainTextResponse(str(os.getpid()))


async def send(request):
    await channels.agroup_send("room", {"text": request.query_params["text"]})
    return PlainTextResponse(str(os.getpid()))


async def history(_request):
    found = await channels.ahistory("room")
    return PlainTextResponse(" ".join(message["text"] for _, message in found.messages))


async def page(_request):
    return HTMLResponse(PAGE)


asgi = Starlette(
    routes=[
        Route("/events", stream),
        *[Route(f"/{each.__name__}", each) for each in (say, polled, send, history, page)],
    ]
)
