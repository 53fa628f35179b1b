"""Filters that ask the application about each publication (GRIP's http-check and http-modify), without any library."""

import json
import threading

from posted import event, events

released = threading.Event()
asked = []


def held(environ, mode):
    """An answer that is held, with one filter; who waits, and whom the filter asks, stand in the query."""
    name, _, url = environ["QUERY_STRING"].partition("&")
    kind, _, user = name.partition("=")
    fields = [
        ("Content-Type", "text/plain"),
        ("Grip-Hold", mode),
        ("Grip-Channel", f"room; filter={kind}, other"),
        ("Grip-Set-Meta", f'user="{user}", url="{url or "/filter"}"'),
    ]
    return "200 OK", fields, b"open\n" if mode == "stream" else b"nothing"


def asks(environ):
    """What a filter asks: the publication's text may say for whom it is, and the user what is to happen."""
    body = environ["wsgi.input"].read()
    subscriber, publisher = json.loads(environ["HTTP_SUB_META"]), json.loads(environ["HTTP_PUB_META"])
    user = subscriber["user"]
    asked.append([user, body.decode(), sorted(key for key in environ if key.startswith(("HTTP_", "CONTENT_")))])
    if user == "slow":
        released.wait(20)
    if user == "broken":
        return "500 Oops", [], b""
    if publisher.get("for", user) != user:
        return "200 OK", [("Action", "drop")], b""
    if user == "same":
        return "204 No Content", [], b""
    return "200 OK", [("Content-Type", "text/plain")], b"%s for %s" % (body, user.encode())


def socket(environ):
    said = b""
    for kind, _ in events(environ["wsgi.input"].read()):
        if kind == b"OPEN":
            user, _, filters = environ["QUERY_STRING"].partition("=")
            said += event(b"OPEN")
            for control in (
                {"type": "set-meta", "name": "url", "value": "/filter"},
                {"type": "set-meta", "name": "user", "value": user},
                {"type": "subscribe", "channel": "room", "filters": [filters]},
                {"type": "subscribe", "channel": "other"},
            ):
                said += event(b"TEXT", b"c:" + json.dumps(control).encode())
            said += event(b"TEXT", b"m:ready")
    return "200 OK", [("Content-Type", "application/websocket-events"), ("Sec-WebSocket-Extensions", "grip")], said


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path in ("/response", "/stream"):
        status, fields, body = held(environ, path[1:])
    elif path == "/filter":
        status, fields, body = asks(environ)
    elif path == "/socket":
        status, fields, body = socket(environ)
    else:
        if path == "/release":
            released.set()
        status, fields, body = "200 OK", [], json.dumps([environ.get("HTTP_GRIP_FEATURE"), asked]).encode()
    start_response(status, fields)
    return [body]
