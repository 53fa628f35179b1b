"""The ``asyncio`` loop: an ASGI request runs as a task on the one event loop, uvloop's where it is installed."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from .. import wire
from ..asgi import Exchange, Runner
from ..control import Control
from ..lifespan import Lifespan
from ..slots import Slots, around

LIFESPAN_STOP = 8.0  # seconds for an application to shut down; then the server sends SIGTERM, after 10 s
PACKET = 256  # messages: with pieces of 64 KiB and headers of 128 KiB they stay below the server's 64 MiB (wire.MaxPacket)


class Connection(asyncio.Protocol):
    """The connection to the server. It implements asgi.Link."""

    def __init__(self, runner: Runner, loop: asyncio.AbstractEventLoop) -> None:
        self.turn = 0
        self.exchanges: dict[int, Exchange] = {}
        self.stopped = loop.create_future()
        self._runner = runner
        self._loop = loop
        self._decoder = wire.Decoder()
        self._out: list[wire.Outgoing] = []
        self._scheduled = False
        self._transport: asyncio.Transport
        self._eager: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}
        self.future = loop.create_future

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's does not inherit from asyncio.Transport

    def data_received(self, data: bytes) -> None:
        for message in self._decoder.feed(data):
            if message[0] == wire.REQUEST:
                exchange = self._runner.begin(message)
                self.exchanges[exchange.stream] = exchange
                self._start(exchange)
            elif message[0] == wire.STOP:
                self._stop()
            else:
                exchange_or_none = self.exchanges.get(message[1])
                if exchange_or_none is not None:
                    exchange_or_none.take(message)
        if not self._scheduled:
            # A sign of life is due even when nothing is answered yet: it tells that the loop turns.
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.stopped.done():
            os._exit(1)  # the server has gone, and nobody will ever ask for anything again

    def close(self) -> None:
        self._transport.close()

    # asgi.Link

    def emit(self, message: wire.Outgoing) -> None:
        self._out.append(message)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def forget(self, stream: int) -> None:
        self.exchanges.pop(stream, None)

    def _flush(self) -> None:
        self._scheduled = False
        self.turn += 1
        out, self._out = self._out, []
        while len(out) > PACKET:
            self._transport.write(wire.encode(out[:PACKET]))
            del out[:PACKET]
        self._transport.write(wire.encode(out or [(wire.ALIVE, 0)]))

    # Tasks.

    def _start(self, exchange: Exchange) -> None:
        # A task of its own for every request, so that current_task(), timeouts and task groups work in the application
        # from its first line. With eager_start an application that never waits costs no turn of the loop.
        task: asyncio.Task[None] = asyncio.Task(exchange.run(), loop=self._loop, **self._eager)
        exchange.task = task

    def _stop(self) -> None:
        if not self.stopped.done():
            self.stopped.set_result(None)

    def stack(self, stream: int) -> str | None:
        """Where the task behind a stream waits. Called from the control thread."""
        exchange = self.exchanges.get(stream)
        if exchange is None or exchange.task is None:
            return None
        lines = ["task:\n"]
        for frame in exchange.task.get_stack():
            code = frame.f_code
            lines.append(f'  File "{code.co_filename}", line {frame.f_lineno}, in {code.co_name}\n')
        return "".join(lines)


async def _serve(
    conn: socket.socket,
    control: socket.socket,
    application: Any,
    settings: dict[str, Any],
    announce: Callable[[dict[str, Any]], None],
) -> None:
    loop = asyncio.get_running_loop()
    lifespan = Lifespan(application, settings["lifespan"], loop.create_future)
    task = None
    if settings["lifespan"] != "off":
        task = loop.create_task(lifespan.run())
        await lifespan.startup()
    else:
        lifespan.state = None
    runner = Runner(application, settings, lifespan.state)
    runner.around = around(Slots(settings["threads"]))
    connection = Connection(runner, loop)
    runner.link = connection
    Control(control, {}, connection.stack).start()
    announce({"loop": "asyncio", "concurrency": settings["worker_connections"]})
    await loop.create_connection(lambda: connection, sock=conn)
    await connection.stopped
    if task is not None:
        try:
            await asyncio.wait_for(lifespan.shutdown(), LIFESPAN_STOP)
        except asyncio.TimeoutError:
            sys.stderr.write(f"the application's lifespan did not shut down within {LIFESPAN_STOP:g} s\n")
    connection.close()


def run(
    conn: socket.socket,
    control: socket.socket,
    application: Any,
    settings: dict[str, Any],
    announce: Callable[[dict[str, Any]], None],
) -> None:
    """Serve ``application`` until told to stop."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(conn, control, application, settings, announce))
        return
    if sys.version_info >= (3, 11):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(conn, control, application, settings, announce))
    else:
        uvloop.install()
        asyncio.run(_serve(conn, control, application, settings, announce))
