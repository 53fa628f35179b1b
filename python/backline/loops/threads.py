"""The ``threads`` loop: a WSGI request runs on a thread of a fixed pool.

There is no thread that reads and hands out work. A thread that has run out of work takes the lead: it reads the next
packet, puts its requests into a queue that all threads share, and takes one; whoever finishes takes the next; whoever
finds answers waiting writes them all. Threads only switch when one of them blocks, which is what made the prototype ten
times as fast as a reader thread with hand-offs.

Three locks, never held together with another of them but in the order reading, writing:
``_reading`` is the lead, ``_writing`` is held while a packet is written. The queues are deques, whose ends are safe to
use from any thread.
"""

from __future__ import annotations

import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from .. import wire
from ..control import Control
from ..wsgi import Request, Runner

# Bytes asked for at a time: a whole batch of requests. From 128 KiB on, malloc would map and unmap memory for every call.
RECEIVE = 64 * 1024
BATCH = 16  # answers that may wait while there is more work; then they leave


class Threads:
    """A fixed pool of threads that share one connection. It implements wsgi.Link."""

    def __init__(self, conn: socket.socket, runner: Runner, threads: int) -> None:
        self._conn = conn
        self._runner = runner
        self._count = threads
        self._decoder = wire.Decoder()
        self._work: deque[wire.Incoming] = deque()
        self._out: deque[wire.Outgoing] = deque()
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._requests: dict[int, Request] = {}  # those that get messages of their own
        self._waiting: list[Request] = []  # of these, those whose threads wait
        self._gone: set[int] = set()  # streams whose clients have gone before they were opened
        self._stopping = False
        self.running: dict[int, int] = {}  # thread to stream, for stack dumps

    def run(self) -> None:
        """Serve until the server says stop or goes away."""
        others = [
            threading.Thread(target=self._serve, name=f"backline-{n}", daemon=True) for n in range(2, self._count + 1)
        ]
        for thread in others:
            thread.start()
        self._serve()
        for thread in others:
            thread.join()
        self.flush()

    def _serve(self) -> None:
        work, serve, me = self._work, self._runner.serve, threading.get_ident()
        while True:
            try:
                message = work.popleft()
            except IndexError:
                self.flush()
                if not self._lead():
                    return
                continue
            stream = message[1]
            if self._gone and stream in self._gone:
                self._skip(stream)
                continue
            self.running[me] = stream
            serve(message)
            self.running[me] = -1
            if self._requests:
                self._requests.pop(stream, None)
            if len(self._out) >= BATCH or not work:
                self.flush()

    def _skip(self, stream: int) -> None:
        """A request that nobody waits for any more, before it has begun."""
        self._gone.discard(stream)
        self.emit((wire.DONE, stream))

    # Reading.

    def _lead(self) -> bool:
        """Wait for work, or for the thread that does. False when there will be none."""
        with self._reading:
            if self._work:
                return True
            if self._stopping:
                return False
            self._receive(0)
        self._promote()
        return True

    def _receive(self, flags: int) -> None:
        """Read what there is and hand it out. Called with the lead."""
        data = self._conn.recv(RECEIVE, flags)
        if not data:
            os._exit(1)  # the server has gone, and nobody will ever ask for anything again
        for message in self._decoder.feed(data):
            if message[0] == wire.REQUEST:
                if self._gone:
                    self._gone.discard(message[1])
                self._work.append(message)
            else:
                self._take(message)

    def _take(self, message: wire.Incoming) -> None:
        kind, stream = message[0], message[1]
        if kind == wire.STOP:
            self._stopping = True
            return
        request = self._requests.get(stream)
        if request is not None:
            request.take(message)
            request.signal.set()
        elif kind in (wire.DISCONNECT, wire.CANCEL):
            self._gone.add(stream)

    def _promote(self) -> None:
        """Wake the threads that wait for messages of their own, so that one of them takes the lead: the one that had
        it is about to run an application."""
        if self._waiting:
            for request in list(self._waiting):
                request.signal.set()

    # Link.

    def emit(self, message: wire.Outgoing) -> None:
        self._out.append(message)

    def flush(self) -> None:
        # Whoever holds the lock looks again after giving it back, so what was queued by one who failed to take it is
        # not left behind.
        out = self._out
        while out and self._writing.acquire(False):
            try:
                batch = []
                try:
                    while True:
                        batch.append(out.popleft())
                except IndexError:
                    pass
                if batch:
                    self._conn.sendall(wire.encode(batch))
            finally:
                self._writing.release()

    def open(self, request: Request) -> None:
        request.signal = threading.Event()
        self._requests[request.stream] = request
        if self._gone and request.stream in self._gone:
            self._gone.discard(request.stream)
            request.gone = True

    def poll(self, request: Request) -> None:
        # When another thread leads, it will see what comes.
        if self._reading.acquire(False):
            try:
                self._receive(socket.MSG_DONTWAIT)
            except BlockingIOError:
                pass
            finally:
                self._reading.release()
            self._promote()

    def wait(self, request: Request) -> None:
        # In the list before the lead is tried: whoever gives the lead up looks at the list afterwards, so one of the
        # two sees the other.
        self._waiting.append(request)
        try:
            self.flush()
            if self._reading.acquire(False):
                try:
                    if not request.signal.is_set():
                        self._receive(0)
                finally:
                    self._reading.release()
            else:
                request.signal.wait()
            request.signal.clear()
        finally:
            self._waiting.remove(request)
            self._promote()


def run(
    conn: socket.socket,
    control: socket.socket,
    application: Any,
    settings: dict[str, Any],
    announce: Callable[[dict[str, Any]], None],
) -> None:
    """Serve ``application`` until told to stop."""
    count = settings["threads"]
    runner = Runner(application, settings, multithread=count > 1)
    threads = Threads(conn, runner, count)
    runner.link = threads
    Control(control, threads.running).start()
    announce({"loop": "threads", "concurrency": count})
    threads.run()
