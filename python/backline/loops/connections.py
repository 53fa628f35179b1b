"""The loop of interface ``tcp``: each connection that the server hands over is served by a call of the application's
function, on a thread or a greenlet.

The main thread, or greenlet, reads: a packet says whose connection comes, and its descriptor comes with it. The server
counts, and never hands over more than were promised, so nothing is queued here. Under gevent everything has been
patched when this runs, and the names of the standard library are gevent's.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, TypeAlias

from .. import wire
from ..control import Control
from ..tcp import CLOSE_ON_EXEC, Inbox, descriptors, serve

RECEIVE: Final = 64 * 1024  # bytes asked for at a time
# Room for what comes with one packet, and for more than the kernel ever delivers at once.
ROOM: Final = socket.CMSG_SPACE(16 * 4)

Handle: TypeAlias = Callable[[socket.socket, Any], object]


class Connections:
    """At most ``limit`` of the server's connections, each on a thread of a fixed pool. A thread of its own for each
    managed a third of the connections a second (3,000 for 11,000, measured)."""

    def __init__(self, conn: socket.socket, handle: Handle, limit: int) -> None:
        self._conn = conn
        self._handle = handle
        self._limit = limit
        self._inbox = Inbox()
        self._sending = threading.Lock()
        self._work: SimpleQueue[tuple[int, Any, int] | None] = SimpleQueue()  # never waits: there are as many threads
        self.running: dict[int, int] = {}  # thread to stream, for stack dumps

    def run(self) -> None:
        """Serve until the server says stop or goes away. It says stop when the last connection has ended."""
        threads = [
            threading.Thread(target=self._work_off, name=f"backline-{n}", daemon=True)
            for n in range(1, self._limit + 1)
        ]
        for thread in threads:
            thread.start()
        self.read()
        for _ in threads:
            self._work.put(None)
        for thread in threads:
            thread.join()

    def read(self) -> None:
        """Take what the server sends until it says stop."""
        while not self._inbox.stopping:
            data, ancillary, _, _ = self.receive()
            if not data:
                os._exit(1)  # the server has gone, and with it whoever could begin anything
            for stream, address, descriptor in self._inbox.feed(data, descriptors(ancillary)):
                self.begin(stream, address, descriptor)

    def receive(self) -> Any:
        """Wait for a packet, and what comes with it."""
        return self._conn.recvmsg(RECEIVE, ROOM, CLOSE_ON_EXEC)

    def begin(self, stream: int, address: Any, descriptor: int) -> None:
        """Serve a connection beside all others."""
        self._work.put((stream, address, descriptor))

    def _work_off(self) -> None:
        me = threading.get_ident()
        while (connection := self._work.get()) is not None:
            self.running[me] = connection[0]
            self.serve(*connection)
            self.running[me] = -1

    def serve(self, stream: int, address: Any, descriptor: int) -> None:
        """Serve a connection to its end, and tell the server."""
        try:
            serve(self._handle, address, descriptor)
        finally:
            with self._sending:
                self._conn.sendall(wire.encode([(wire.DONE, stream)]))


def _greenlets(conn: socket.socket, handle: Handle) -> Any:
    import gevent

    from ..cooperative import close_django_connections

    class Greenlets(Connections):
        """The same on a greenlet for each, as many as the server promises. ``running`` is stream to greenlet."""

        def __init__(self) -> None:
            # What is sent is sent by one that waits cooperatively; conn was made before gevent had patched.
            super().__init__(socket.socket(fileno=os.dup(conn.fileno())), handle, 0)
            self._hub: Any = gevent.get_hub()
            self._readable = self._hub.loop.io(conn.fileno(), 1)
            # In a process that the application forks, this would go on reading beside this one.
            os.register_at_fork(after_in_child=self._readable.stop)

        def receive(self) -> Any:
            while True:
                try:
                    return conn.recvmsg(RECEIVE, ROOM, CLOSE_ON_EXEC | socket.MSG_DONTWAIT)
                except BlockingIOError:
                    self._hub.wait(self._readable)

        def begin(self, stream: int, address: Any, descriptor: int) -> None:
            self.running[stream] = gevent.spawn(self._run, stream, address, descriptor)

        def _run(self, stream: int, address: Any, descriptor: int) -> None:
            try:
                self.serve(stream, address, descriptor)
                close_django_connections()
            finally:
                self.running.pop(stream, None)

        def run(self) -> None:
            self.read()
            everybody: list[Any] = list(self.running.values())  # they have a few lines left
            gevent.joinall(everybody)

    return Greenlets()


def run(
    conn: socket.socket,
    control: Control,
    application: Any,
    settings: dict[str, Any],
    announce: Callable[[dict[str, Any]], None],
) -> None:
    """Serve connections with ``application`` until told to stop."""
    if settings["worker_class"] == "gevent":
        from ..cooperative import Stacks

        limit = settings["worker_connections"]
        announce({"loop": "gevent", "event_loop": True, "concurrency": limit})
        connections = _greenlets(conn, application)
        control.extra = Stacks(connections.running).of
    else:
        limit = settings["threads"]
        announce({"loop": "threads", "concurrency": limit})
        connections = Connections(conn, application, limit)
        control.running = connections.running
    connections.run()
