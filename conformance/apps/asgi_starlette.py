"""A Starlette application: the features that lean on the server most."""

import asyncio
import contextlib
import gc
from pathlib import Path

from asgi_notes import NOTES, note
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route


@contextlib.asynccontextmanager
async def lifespan(app):
    print("lifespan: started", flush=True)
    yield {"pool": "of the lifespan"}
    print("lifespan: stopped", flush=True)


async def passes(request, call_next):
    response = await call_next(request)
    response.headers["x-passed"] = "1"
    return response


async def state(request):
    return PlainTextResponse(request.state.pool)


async def echo(request):
    return JSONResponse({"length": len(await request.body()), "disconnected": await request.is_disconnected()})


def sync(request):
    return PlainTextResponse("from a thread")


async def file(request):
    return FileResponse(Path(__file__))


async def stream(request):
    name = request.path_params["name"]

    async def pieces():
        note(name, "began")
        try:
            while True:
                yield b"x" * 10_000
                await asyncio.sleep(0.001)
        finally:
            note(name, "ended")

    return StreamingResponse(pieces())


async def background(request):
    async def later():
        note(request.path_params["name"], "ran")

    return PlainTextResponse("answered", background=BackgroundTask(later))


async def broken(request):
    raise ZeroDivisionError("in an endpoint")


async def seen(request):
    gc.collect()  # a generator whose task was cancelled elsewhere ends when it is collected
    await asyncio.sleep(0)
    return JSONResponse(NOTES[request.url.query])


routes = [
    Route("/state", state),
    Route("/echo", echo, methods=["POST"]),
    Route("/sync", sync),
    Route("/file", file),
    Route("/stream/{name}", stream),
    Route("/background/{name}", background),
    Route("/broken", broken),
    Route("/seen", seen),
]
app = Starlette(routes=routes, lifespan=lifespan)
wrapped = Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(BaseHTTPMiddleware, dispatch=passes)])


@contextlib.asynccontextmanager
async def refuses(app):
    raise RuntimeError("no database")
    yield


cannot_start = Starlette(lifespan=refuses)
