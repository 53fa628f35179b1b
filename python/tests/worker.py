"""A worker with the asyncio loop, without its process: what the server sends goes in, what it would get comes out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any

from backline import wire
from backline.asgi import Runner
from backline.loops.asyncio import Connection

SETTINGS: dict[str, Any] = {
    "asgi_window": 1000,
    "asgi_spec_version": "2.4",
    "scheme": "http",
    "root_path": "",
    "server": ["127.0.0.1", 8000],
    "websocket_window": 1000,
}

TURNS = 50  # of the loop: more than anything here takes, and nothing here waits for time


def on_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a test on an event loop of its own."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def inner() -> None:
            await asyncio.wait_for(test(*args, **kwargs), 60)

        asyncio.run(inner())

    return run


class Worker(asyncio.WriteTransport):
    """The transport of its own connection. Made and used inside a running loop."""

    def __init__(self, application: Any, **settings: Any) -> None:
        super().__init__()
        self.runner = Runner(application, {**SETTINGS, **settings})
        self.connection = Connection(self.runner, asyncio.get_running_loop())
        self.runner.link = self.connection
        self.connection.connection_made(self)
        self.packets: list[list[Any]] = []
        self._decoder = wire.Decoder()

    def write(self, data: Any) -> None:
        self.packets.append([tuple(message) for message in self._decoder.feed(bytes(data))])

    async def tell(self, *messages: wire.Outgoing) -> list[Any]:
        """Send one packet; gives what the worker says to it."""
        self.connection.data_received(wire.encode(list(messages)))
        return await self.heard()

    async def heard(self) -> list[Any]:
        """What the worker has said since the last time, signs of life apart."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        packets, self.packets = self.packets, []
        return [message for packet in packets for message in packet if message[0] != wire.ALIVE]

    async def get(self, stream: int = 0, **scope: Any) -> list[Any]:
        """A request without a body."""
        return await self.tell((wire.REQUEST, stream, {**_scope("/"), "method": "GET", **scope}, b"", 0))

    async def connect(self, stream: int = 0, **scope: Any) -> list[Any]:
        """A WebSocket's handshake."""
        return await self.tell((wire.REQUEST, stream, {**_scope("/ws"), "type": "websocket", **scope}, b"", 0))


def _scope(path: str) -> dict[str, Any]:
    return {"path": path, "raw_path": path.encode(), "client": ("127.0.0.1", 5), "headers": [(b"host", b"testserver")]}


ACCEPTED: tuple[Any, ...] = (wire.ACCEPT, 0, None, [])

Receive = Callable[[], Coroutine[Any, Any, dict[str, Any]]]
Send = Callable[[dict[str, Any]], Coroutine[Any, Any, None]]


class Application:
    """Leaves ``receive`` and ``send`` to the test, and ends when, and how, ``ends`` says."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []
        self.ends: asyncio.Future[BaseException | None]

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        self.receive, self.send = receive, send
        self.ends = asyncio.get_running_loop().create_future()
        error = await self.ends
        if error is not None:
            raise error

    async def accept(self, **fields: Any) -> None:
        await self.receive()
        await self.send({"type": "websocket.accept", **fields})

    async def text(self, text: str) -> None:
        await self.send({"type": "websocket.send", "text": text})


async def opened(**settings: Any) -> tuple[Worker, Application]:
    """A socket that has been accepted."""
    app = Application()
    worker = Worker(app, **settings)
    assert await worker.connect() == []
    await app.accept()
    assert await worker.heard() == [ACCEPTED]
    return worker, app


def waiting(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task for what is expected to wait."""
    return asyncio.get_running_loop().create_task(coroutine)
