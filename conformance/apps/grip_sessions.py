"""Clients that say in their bodies which GRIP session they are in, and need not say what they have seen."""

JSON = [("Grip-Session-Detect", "path-prefix=/poll; sid-ptr=/session/id")]
FORM = [("Grip-Session-Detect", "path-prefix=/form; sid-ptr=/id; json-param=data")]
SESSION = [("Grip-Session-Id", "s-1")]


def view(path, last):
    """Gives the body of an answer, which is what the server says of the session, and fields."""
    if path == "/open":
        return "", [*JSON, *FORM, *SESSION, ("Grip-Last", "news; last-id=1")]
    if path == "/poll":
        return last, [*SESSION, ("Grip-Hold", "response"), ("Grip-Channel", "news")]
    return last, []


def application(environ, start_response):
    environ["wsgi.input"].read()
    body, fields = view(environ["PATH_INFO"], environ.get("HTTP_GRIP_LAST", ""))
    start_response("200 OK", [("Content-Type", "text/plain"), *fields])
    return [body.encode()]


async def asgi(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    last = [value.decode() for name, value in scope["headers"] if name == b"grip-last"]
    body, fields = view(scope["path"], ",".join(last))
    headers = [(name.lower().encode(), value.encode()) for name, value in fields]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
