"""The loop of interface ``tcp``: each connection that the server hands over is served by a call of the application's
function, on a thread or a greenlet of its own.

The main thread, or greenlet, reads: a packet says whose connection comes, and its descriptor comes with it. The server
counts, and never hands over more than were promised, so nothing is queued here. Under gevent everything has been
patched when this runs, and the names of the standard library are gevent's.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from .. import wire
from ..control import Control
from ..tcp import Inbox, descriptors, serve

RECEIVE: Final = 64 * 1024  # bytes asked for at a time
# Room for what comes with one packet, and for more than the kernel ever delivers at once.
ROOM: Final = socket.CMSG_SPACE(16 * 4)


class Connections:
    """The server's connections, each on a thread of its own."""

    def __init__(self, conn: socket.socket, handle: Callable[[socket.socket, Any], object]) -> None:
        self._conn = conn
        self._handle = handle
        self._inbox = Inbox()
        self._sending = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self.running: dict[int, int] = {}  # thread to stream, for stack dumps

    def run(self) -> None:
        """Serve until the server says stop or goes away. It says stop when the last connection has ended."""
        while not self._inbox.stopping:
            self.await_packet()
            data, ancillary, _, _ = self._conn.recvmsg(RECEIVE, ROOM, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
            if not data:
                os._exit(1)  # the server has gone, and with it whoever could begin anything
            for stream, address, descriptor in self._inbox.feed(data, descriptors(ancillary)):
                self.begin(stream, address, descriptor)
        self.join()

    def await_packet(self) -> None:
        """Wait until there is something to read, where reading does not wait by itself."""

    def begin(self, stream: int, address: Any, descriptor: int) -> None:
        """Serve a connection beside all others."""
        thread = threading.Thread(
            target=self._run, args=(stream, address, descriptor), name=f"backline-tcp-{stream}", daemon=True
        )
        self._threads.add(thread)
        thread.start()

    def _run(self, stream: int, address: Any, descriptor: int) -> None:
        me = threading.get_ident()
        self.running[me] = stream
        self.serve(stream, address, descriptor)
        del self.running[me]
        self._threads.discard(threading.current_thread())

    def serve(self, stream: int, address: Any, descriptor: int) -> None:
        """Serve a connection to its end, and tell the server."""
        try:
            serve(self._handle, address, descriptor)
        finally:
            with self._sending:
                self._conn.sendall(wire.encode([(wire.DONE, stream)]))

    def join(self) -> None:
        """Wait for whoever has said that a connection has ended, and has a few lines left."""
        for thread in list(self._threads):
            thread.join()


def _greenlets(conn: socket.socket, handle: Callable[[socket.socket, Any], object]) -> Any:
    import gevent

    from ..cooperative import close_django_connections

    class Greenlets(Connections):
        """The same on greenlets. ``running`` is stream to greenlet."""

        def __init__(self) -> None:
            # One that waits cooperatively, in the place of the one that was made before gevent had patched.
            super().__init__(socket.socket(fileno=conn.detach()), handle)
            self._hub: Any = gevent.get_hub()
            self._readable = self._hub.loop.io(self._conn.fileno(), 1)
            # In a process that the application forks, this would go on reading beside this one.
            os.register_at_fork(after_in_child=self._readable.stop)

        def await_packet(self) -> None:
            self._hub.wait(self._readable)

        def begin(self, stream: int, address: Any, descriptor: int) -> None:
            self.running[stream] = gevent.spawn(self._run, stream, address, descriptor)

        def _run(self, stream: int, address: Any, descriptor: int) -> None:
            try:
                self.serve(stream, address, descriptor)
                close_django_connections()
            finally:
                self.running.pop(stream, None)

        def join(self) -> None:
            everybody: Iterable[Any] = list(self.running.values())
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
        connections = Connections(conn, application)
        control.running = connections.running
    connections.run()
