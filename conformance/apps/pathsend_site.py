"""ASGI: files by pathsend, bare and as Starlette does it. ``FILES`` is the folder that they lie in."""

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

FILES = Path(os.environ.get("FILES", "."))


async def response(request):
    return FileResponse(FILES / request.path_params["name"])


async def removed(request):
    """The file goes as soon as the answer is given."""
    path = FILES / request.path_params["name"]
    return FileResponse(path, background=BackgroundTask(path.unlink))


class Bare:
    def __init__(self, path):
        self.path = path

    async def __call__(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": self.path})
        print("sent", flush=True)


async def bare(request):
    return Bare(request.query_params["path"])


async def named(request):
    return Response("instead", headers={"X-Accel-Redirect": request.query_params["path"], "Content-Type": "text/x"})


async def hello(request):
    return PlainTextResponse("from the application")


app = Starlette(
    routes=[
        Route("/response/{name}", response),
        Route("/removed/{name}", removed),
        Route("/bare", bare),
        Route("/named", named),
        Route("/", hello),
    ]
)
