"""The ``gevent`` loop: a WSGI request runs on a greenlet of its own, and the hub moves the messages.

The hub reads a packet, puts its requests into a queue and switches to a greenlet, which works the queue off for as long
as requests do not wait; one that waits gives the hub back, which then switches to another greenlet for the rest. All
answers of a turn leave in one packet.

A greenlet that served a request serves the next one only if nobody could tell it from a new one: nothing refers to it
any more, whoever watches for its end has been told that it has come (greenlet locals, above all), and its context is a
new one. To make sure of this takes 0.3 us, to make a greenlet 60: the interpreter maps memory for its frames.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable
from sys import getrefcount
from typing import Any, Final
from weakref import getweakrefcount, getweakrefs

import gevent
from gevent.event import Event
from gevent.lock import Semaphore
from gevent.monkey import get_original
from greenlet import GreenletExit, getcurrent, greenlet

from .. import begun, wire
from ..control import Control
from ..cooperative import Stacks, close_django_connections
from ..errors import report
from ..handshake import TooManySockets
from ..interface import is_sockets
from ..watchdog import Nothing, Watch
from ..wsgi import Request, Runner, runner_for

RECEIVE: Final = 64 * 1024  # bytes asked for at a time: a whole batch of requests
BATCH: Final = 16  # answers that may wait while there is more work; then they leave
get_thread_ident: Final = get_original("threading", "get_ident")
SPARE: Final = 128  # greenlets kept for requests to come, some 10 KB each


class GivenUp(GreenletExit):  # type: ignore[misc]  # greenlet has no types
    """Thrown into a request that the server has given up."""


class Serving(greenlet):  # type: ignore[misc]
    """A greenlet that serves one request after the other."""

    __slots__ = ("references",)

    references: int  # to it while it waits for work and nobody else knows it


class Greenlets:
    """At most ``limit`` greenlets that share one connection. It implements wsgi.Link and stacks.Loop.

    Methods that the hub calls must not wait.
    """

    def __init__(self, conn: socket.socket, runner: Runner, limit: int) -> None:
        self._conn = conn
        self._runner = runner
        self._limit = limit
        self._hub: Any = gevent.get_hub()
        self._decoder = wire.Decoder()
        self._work: deque[wire.Incoming] = deque()
        self._out: list[wire.Outgoing] = []
        self._rest = memoryview(b"")  # of a packet that the server has not taken whole
        self._leaving = False  # what is queued leaves in this turn of the hub
        self._readable = self._hub.loop.io(conn.fileno(), 1)
        self._writable = self._hub.loop.io(conn.fileno(), 2)
        self._spare: list[Serving] = []
        self._beginning = False  # the hub switches to greenlets for work
        self._turn = 0  # counts the times that one of them gave the hub back
        self._next: Serving | None = None  # who is being switched to for work
        self._requests: dict[int, Request] = {}  # those that get messages of their own
        self._gone: set[int] = set()  # streams whose clients have gone before they were opened
        self._early: dict[int, list[wire.Incoming]] = {}  # bodies of requests that have not begun
        self._sockets: set[int] = set()  # streams that have become WebSockets
        self._stopping = False
        self._ended = Event()
        self.running: dict[int, greenlet] = {}
        self.thread: int = self._hub.thread_ident
        self.watch: Watch | Nothing = Nothing()
        self._packets = 0
        self._pokes = 0
        self._calls: deque[Callable[[], object]] = deque()  # from other threads
        self._poked = self._hub.loop.async_(ref=False)
        self._poked.start(self._count_poke)

    def run(self) -> None:
        """Serve until the server says stop. The main greenlet waits here."""
        self._conn.setblocking(False)
        os.register_at_fork(after_in_child=self._let_go)
        self._readable.start(self._receive)
        self._ended.wait()
        self._readable.stop()
        self._writable.stop()
        self._conn.setblocking(True)
        self._conn.sendall(self._rest)
        if self._out:
            self._conn.sendall(wire.encode(self._out))

    def _let_go(self) -> None:
        """In a process that the application forks: its hub would go on reading and writing beside this one's."""
        self._readable.stop()
        self._writable.stop()
        self._work.clear()
        self._rest = memoryview(b"never sent")  # and so nothing behind it

    # The hub.

    def _receive(self) -> None:
        """Read what there is and have it worked off."""
        try:
            data = self._conn.recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            os._exit(1)  # the server has gone, and nobody will ever ask for anything again
        self._packets += 1
        if not self.watch.armed:
            self.watch.arm()
        for message in self._decoder.feed(data):
            if message[0] == wire.REQUEST or message[0] == wire.EVENT:
                if self._gone:
                    self._gone.discard(message[1])
                if self._early:
                    self._early.pop(message[1], None)
                self._work.append(message)
            else:
                self._take(message)
        self._leaving = True
        self._begin()
        if not self._out:
            self._out.append((wire.ALIVE, 0))  # which also says that there are requests that do not hold the hub up
        self._leave()

    def _take(self, message: wire.Incoming) -> None:
        kind, stream = message[0], message[1]
        if kind == wire.STOP:
            self._stopping = True
            self._end()
            return
        request = self._requests.get(stream)
        if request is not None:
            request.take(message)
            request.signal.set()
        elif kind == wire.BODY:
            self._early.setdefault(stream, []).append(message)
        elif kind in (wire.DISCONNECT, wire.CANCEL):
            self._gone.add(stream)
        if kind == wire.CANCEL and stream in self.running:
            self._hub.loop.run_callback(self._give_up, stream, self.running[stream])

    def _give_up(self, stream: int, serving: Any) -> None:
        if stream in self.running and self.running[stream] is serving:
            serving.throw(GivenUp())

    def _begin(self) -> None:
        """Switch to greenlets until nothing is left that may begin."""
        self._beginning = True
        while self._work and not self._is_full():
            self._next = serving = self._unused()
            serving.switch()
            del serving  # _unused counts references
            self._turn += 1
        self._beginning = False

    def _is_full(self) -> bool:
        return len(self.running) - len(self._sockets) >= self._limit

    def _unused(self) -> Serving:
        """A greenlet that nobody has met."""
        while self._spare:
            serving = self._spare.pop()
            if serving and getrefcount(serving) == serving.references:
                return serving
            if serving:
                serving.throw(GreenletExit())
        serving = Serving(self._serve, self._hub)
        serving.switch()
        serving.references = getrefcount(serving)
        return serving

    def _leave(self) -> None:
        """Send what this turn of the hub has brought."""
        self._leaving = False
        self.flush()

    def _write(self, data: memoryview) -> None:
        try:
            sent = self._conn.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            os._exit(1)
        self._rest = data[sent:]
        if self._rest:
            self._writable.start(self._go_on)

    def _go_on(self) -> None:
        self._writable.stop()
        self._write(self._rest)
        self.flush()

    # The greenlets.

    def _serve(self) -> None:
        me: Any = getcurrent()
        work = self._work
        while self._wait_for_work(me):
            turn, references = self._turn, getrefcount(me)
            while True:
                self._serve_one(me, work.popleft())
                if (getweakrefcount(me) or me.__dict__ or me.gr_context is not None) and not self._is_over(me):
                    return
                if turn != self._turn or not work or getrefcount(me) != references or self._is_full():
                    break  # who may have kept a reference is found out when it is known how many there should be
                if len(self._out) >= BATCH:
                    self.flush()
            if len(self._spare) >= SPARE:
                return
            self._spare.append(me)

    def _wait_for_work(self, me: Serving) -> bool:
        """Wait in the spare ones. False where somebody threw something at a request that was over."""
        try:
            self._hub.switch()
            while self._next is not me:  # somebody wakes a request that is over
                self._hub.switch()
        except BaseException:
            return False
        self._next = None
        return True

    def _serve_one(self, me: Serving, message: wire.Incoming) -> None:
        stream = message[1]
        if (self._gone and stream in self._gone) or (
            self._runner.begun[stream & begun.MASK] == begun.TAKEN and stream <= begun.MASK
        ):
            self._gone.discard(stream)
            self._early.pop(stream, None)
            self.emit((wire.DONE, stream))
            if self._stopping:
                self._end()
            return
        self.running[stream] = me
        try:
            self._runner.serve(message)
        finally:
            del self.running[stream]
            if self._sockets:
                self._sockets.discard(stream)
            if self._stopping:
                self._end()
            elif self._work and not self._beginning:
                self._hub.loop.run_callback(self._begin)  # it was the limit that kept the next one back

    def _is_over(self, me: Serving) -> bool:
        """Tell whoever watches for the greenlet's end that it has come. Whether nothing of the request is left then."""
        try:
            close_django_connections()
            me.__dict__.clear()
            for reference in getweakrefs(me):
                if reference.__callback__ is not None:
                    reference.__callback__(reference)
            me.gr_context = None
        except BaseException as error:
            if not isinstance(error, GreenletExit):
                report(error, "ending a request's greenlet")
            return False
        reference = None
        return not me.__dict__ and not getweakrefcount(me)

    def _end(self) -> None:
        if not self.running and not self._work:
            self._ended.set()

    # stacks.Loop

    def turns(self) -> int:
        return self._packets + self._turn + self._pokes

    def poke(self) -> None:
        self._poked.send()

    def _count_poke(self) -> None:
        self._pokes += 1
        while self._calls:
            self._calls.popleft()()

    def requests(self) -> dict[int, Any]:
        return self.running.copy()

    # Link.

    def emit(self, message: wire.Outgoing) -> None:
        self._out.append(message)
        if not self._leaving:
            self._leaving = True
            self._hub.loop.run_callback(self._leave)

    def flush(self) -> None:
        if self._out and not self._rest:
            out, self._out = self._out, []
            self._write(memoryview(wire.encode(out)))

    def open(self, request: Request) -> None:
        request.signal = Event()
        for message in self._early.pop(request.stream, ()):
            request.take(message)
        self._requests[request.stream] = request
        if self._gone and request.stream in self._gone:
            self._gone.discard(request.stream)
            request.gone = True

    def forget(self, request: Request) -> None:
        self._requests.pop(request.stream, None)

    event = staticmethod(Event)
    lock = staticmethod(Semaphore)

    def keep(self, request: Request) -> None:
        if len(self._sockets) >= self._limit:
            raise TooManySockets(
                f"this worker has {self._limit} WebSockets, as many as worker_connections allows; "
                "raise it, or add workers"
            )
        self._sockets.add(request.stream)
        if self._work and not self._beginning:
            self._hub.loop.run_callback(self._begin)

    def call(self, do: Callable[[], object]) -> None:
        self._calls.append(do)
        self._poked.send()

    def rest(self, waiter: Any) -> None:
        self.flush()
        waiter.signal.wait()
        waiter.signal.clear()

    def poll(self, request: Request) -> None:
        # A turn of the hub, also for the sake of the others: an answer in many pieces may never wait for anything else.
        gevent.sleep(0)

    def wait(self, request: Request) -> None:
        self.flush()
        request.signal.wait()
        request.signal.clear()


def _run_coroutines(runner: Any, greenlets: Greenlets) -> None:
    """Coroutines of an application of sockets run on event loops in threads of gevent's pool: asyncio allows one
    running loop a thread, and here every greenlet may want one."""
    from ..events import failure_of

    hub, own, flush = gevent.get_hub(), runner.run, runner.flush

    def flush_from_there(message: wire.Outgoing) -> None:
        if get_thread_ident() == greenlets.thread:
            flush(message)
        else:
            hub.loop.run_callback_threadsafe(flush, message)

    def run_there(coroutine: Any) -> None:
        failure = hub.threadpool.apply(failure_of, (own, coroutine))
        try:
            if failure is not None:
                raise failure
        finally:
            del failure  # its traceback refers to this frame

    runner.run = run_there
    runner.flush = flush_from_there


def run(
    conn: socket.socket,
    control: Control,
    application: Any,
    settings: dict[str, Any],
    announce: Callable[[dict[str, Any]], None],
) -> None:
    """Serve ``application`` until told to stop."""
    limit = settings["worker_connections"]
    runner = runner_for(application, settings, multithread=limit > 1)
    greenlets = Greenlets(conn, runner, limit)
    runner.link = greenlets
    runner.begun = begun.shared()
    runner.given_up = GivenUp
    control.extra = Stacks(greenlets.running).of
    if is_sockets(application):
        _run_coroutines(runner, greenlets)
    greenlets.watch = control.watch(greenlets, settings.get("loop_stall", 0))
    announce({"loop": "gevent", "event_loop": True, "concurrency": limit})
    greenlets.run()
