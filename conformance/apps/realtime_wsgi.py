"""Long polls and event streams from plain WSGI, with a store that looks can miss nothing of."""

import threading
from urllib.parse import parse_qs

from backline.realtime import cursor_of, events, hold, publish, stream

stored = {}
lock = threading.Lock()


class Response:
    """As much of a framework's response as backline.realtime needs."""

    def __init__(self, body="", status="200 OK"):
        self.body, self.status, self.headers = body, status, {"Content-Type": "text/plain"}


def view(environ, query):
    path = environ["PATH_INFO"]
    if path == "/poll":
        group, after = query.get("group", "room"), int(query.get("after", 0))
        with lock:
            now = stored.get(group, 0)
        if now > after:
            return Response(str(now))
        return hold(Response("nothing"), [group, "everybody"], timeout=float(query.get("timeout", 25)))
    if path == "/say":
        group = query.get("group", "room")
        with lock:
            now = stored[group] = stored.get(group, 0) + 1
        publish(group, str(now), stream=f"{now}\n")
        return Response(str(now))
    if path == "/stream":
        return stream(Response("open\n"), ["room"], keep_alive=".\n", keep_alive_every=1)
    if path == "/events":
        return events(Response(), ["room"])
    if path == "/event":
        publish("room", event={"event": "news", "id": 7, "data": {"a": [1]}})
        return Response("said")
    if path == "/close":
        publish("room", close=True)
        return Response("said")
    if path == "/cursor":
        return Response(repr(cursor_of(environ)))
    if path == "/long":
        return hold(Response("x" * int(query["size"])), ["room"])
    return Response(" ".join(sorted(key for key in environ if key.startswith("HTTP_GRIP"))))


def application(environ, start_response):
    query = {key: values[0] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
    response = view(environ, query)
    start_response(response.status, list(response.headers.items()))
    return [response.body.encode()]
