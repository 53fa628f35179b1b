"""A Starlette application with WebSockets, as its documentation writes them, and the same for FastAPI."""

import asyncio
import contextlib
from typing import Annotated

from asgi_notes import NOTES, note
from fastapi import Depends, FastAPI, Query, WebSocket, WebSocketDisconnect, WebSocketException
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute


@contextlib.asynccontextmanager
async def lifespan(app):
    yield {"pool": "of the lifespan"}


class Endpoint(WebSocketEndpoint):
    """Takes one kind of message and closes with 1003 on others."""

    async def on_receive(self, websocket, data):
        if self.encoding == "json":
            await websocket.send_json(data)
        elif self.encoding == "bytes":
            await websocket.send_bytes(data)
        else:
            await websocket.send_text(data)

    async def on_disconnect(self, websocket, close_code):
        note(websocket.query_params["name"], close_code)


class Text(Endpoint):
    encoding = "text"


class Bytes(Endpoint):
    encoding = "bytes"


class Json(Endpoint):
    encoding = "json"


async def iterates(websocket):
    await websocket.accept(subprotocol=(websocket.scope["subprotocols"] or [None])[0], headers=[(b"x-app", b"yes")])
    async for value in websocket.iter_json():
        await websocket.send_json({"pool": websocket.state.pool, "value": value})
    note(websocket.query_params["name"], "ended")


async def denied(websocket):
    await websocket.send_denial_response(PlainTextResponse("no entry", 401, headers={"x-why": "no ticket"}))


async def raises_http(websocket):
    raise HTTPException(402, "pay first")


async def closes(websocket):
    await websocket.accept()
    await websocket.close(4001, "bye")


async def broken(websocket):
    await websocket.accept()
    raise ZeroDivisionError("in an endpoint")


async def streams(websocket):
    """Sends until the client has gone, without looking."""
    name = websocket.query_params["name"]
    await websocket.accept()
    try:
        while True:
            await websocket.send_text("x" * 1000)
            await asyncio.sleep(0)
    finally:
        note(name, "ended")


sockets = set()


async def broadcasts(websocket):
    await websocket.accept()
    sockets.add(websocket)
    try:
        while True:
            text = await websocket.receive_text()
            await asyncio.gather(*(each.send_text(text) for each in sockets))
    finally:
        sockets.discard(websocket)


async def seen(request):
    return JSONResponse(NOTES[request.url.query])


async def passes(request, call_next):
    return await call_next(request)


routes = [
    WebSocketRoute("/text", Text),
    WebSocketRoute("/bytes", Bytes),
    WebSocketRoute("/json", Json),
    WebSocketRoute("/iterates", iterates),
    WebSocketRoute("/denied", denied),
    WebSocketRoute("/raises-http", raises_http),
    WebSocketRoute("/closes", closes),
    WebSocketRoute("/broken", broken),
    WebSocketRoute("/streams", streams),
    WebSocketRoute("/broadcasts", broadcasts),
    Route("/seen", seen),
]
app = Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(BaseHTTPMiddleware, dispatch=passes)])


# FastAPI

api = FastAPI(lifespan=lifespan)


@api.websocket("/items/{item}")
async def items(websocket: WebSocket, item: int, q: Annotated[str, Query(min_length=2)]):
    await websocket.accept()
    while True:
        data = await websocket.receive_text()  # raises WebSocketDisconnect, which nobody catches
        await websocket.send_text(f"{item} {q} {data}")


async def resource(name: str):
    note(name, "opened")
    yield "resource"
    note(name, "closed")


def of_a_thread() -> str:
    return "sync"


@api.websocket("/depends")
async def depends(
    websocket: WebSocket, held: Annotated[str, Depends(resource)], sync: Annotated[str, Depends(of_a_thread)]
):
    await websocket.accept()
    await websocket.send_json([held, sync])
    try:
        await websocket.receive_bytes()
    except WebSocketDisconnect as error:
        note(websocket.query_params["name"], [error.code, error.reason])


@api.websocket("/policy")
async def policy(websocket: WebSocket):
    await websocket.accept()
    raise WebSocketException(code=1008, reason="not like this")


@api.get("/seen")
async def seen_by_api(name: str = ""):
    return NOTES[name]
