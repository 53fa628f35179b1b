"""A Starlette application with one route for each thing that servers get wrong."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTasks
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

DATA = Path(os.environ["DATA"])


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    (DATA / "started").write_text("yes")
    yield {"greeting": "set up by the lifespan", "hits": []}
    (DATA / "stopped").write_text("yes")


async def state(request: Request) -> Response:
    request.state.hits.append(1)
    return JSONResponse({"greeting": request.state.greeting, "hits": len(request.state.hits)})


async def background(request: Request) -> Response:
    """Its second task waits for a file that the client makes when it has the answer."""
    mark = request.path_params["mark"]
    tasks = BackgroundTasks()
    tasks.add_task((DATA / f"{mark}.begun").touch)
    tasks.add_task(_wait_then_touch, DATA / f"{mark}.answered", DATA / f"{mark}.done")
    return PlainTextResponse("accepted\n", status_code=202, background=tasks)


async def _wait_then_touch(wanted: Path, made: Path) -> None:
    while not wanted.exists():
        await asyncio.sleep(0.01)
    made.touch()


async def stream(request: Request) -> Response:
    async def pieces() -> AsyncIterator[str]:
        for n in range(int(request.query_params["n"])):
            yield f"piece {n}\n"
            await asyncio.sleep(0)

    return StreamingResponse(pieces(), media_type="text/plain")


async def file(request: Request) -> Response:
    return FileResponse(DATA / "data.bin", filename="daten.bin")


async def extensions(request: Request) -> Response:
    return JSONResponse(sorted(request.scope["extensions"]))


async def disconnect(request: Request) -> Response:
    """Waits until its client has gone, and leaves word of it."""
    mark = request.path_params["mark"]
    (DATA / f"{mark}.begun").touch()
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    (DATA / f"{mark}.disconnected").touch()
    return PlainTextResponse("nobody reads this\n")


async def endless(request: Request) -> Response:
    """A stream without an end: its generator has to be closed when the client has gone."""
    mark = request.path_params["mark"]

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick\n"
                await asyncio.sleep(0.01)
        finally:
            (DATA / f"{mark}.closed").touch()

    return StreamingResponse(pieces(), media_type="text/event-stream")


async def body(request: Request) -> Response:
    sizes = [len(chunk) async for chunk in request.stream()]
    return JSONResponse({"bytes": sum(sizes)})


async def form(request: Request) -> Response:
    async with request.form() as fields:
        file = fields["file"]
        assert not isinstance(file, str)
        return JSONResponse({"name": file.filename, "bytes": len(await file.read()), "note": fields["note"]})


async def fail(request: Request) -> Response:
    raise LookupError("this route always fails")


async def teapot(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=418)


app = Starlette(
    routes=[
        Route("/state", state),
        Route("/background/{mark}", background, methods=["POST"]),
        Route("/stream", stream),
        Route("/file", file),
        Route("/extensions", extensions),
        Route("/disconnect/{mark}", disconnect),
        Route("/endless/{mark}", endless),
        Route("/body", body, methods=["POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/fail", fail),
    ],
    lifespan=lifespan,
    exception_handlers={LookupError: teapot},
)
