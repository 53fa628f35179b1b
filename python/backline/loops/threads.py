"""The ``threads`` loop: a WSGI request runs on a thread of a fixed pool.

There is no thread that reads and hands out work. A thread that has run out of work takes the lead: it reads the next
packet, puts its requests into a queue that all threads share, and takes one; whoever finishes takes the next; whoever
finds answers waiting writes them all.

While requests do not block, the leader keeps the lead and runs all of them itself: a second thread could only run while
it has the interpreter's lock, and waking one for every packet took nine futex calls a packet (measured). Two things end
that for a second. The leader looks now and then how often the kernel has seen it wait during a packet: an application
that waits for a database, however shortly, can serve others meanwhile. And a pulse thread looks every two milliseconds
whether the leader is still in the same request; then it takes the lead from it.

``_reading`` is the lead; ``_writing`` is held while a packet is written; neither is ever waited for with the other
held. Work, answers and the kept lead are deques, whose ends are safe to use from any thread.
"""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from .. import begun, host, wire
from ..control import Control
from ..handshake import TooManySockets
from ..wsgi import Request, Runner, runner_for

# Bytes asked for at a time: a whole batch of requests. From 128 KiB on, malloc would map and unmap memory each time.
RECEIVE = 64 * 1024
PULSE = 0.002  # seconds after which a request counts as long
HOLD = 1.0  # seconds for which every packet wakes another thread, after requests were seen to block
SAMPLE = 8  # one packet of so many is looked at for requests that block
BATCH = 16  # answers that may wait while there is more work; then they leave


def _voluntary_switches() -> int:
    """How often the kernel has seen this thread wait."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


# Where the kernel does not count for each thread (macOS), the lead is never kept.
_switches = _voluntary_switches if hasattr(resource, "RUSAGE_THREAD") else None


class Threads:
    """A fixed pool of threads that share one connection. It implements wsgi.Link."""

    def __init__(self, conn: socket.socket, runner: Runner, threads: int, sockets: int) -> None:
        self._conn = conn
        self._runner = runner
        self._count = threads
        self._decoder = wire.Decoder()
        self._work: deque[wire.Incoming] = deque()
        self._out: deque[wire.Outgoing] = deque()
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._kept: deque[int] = deque()  # the leader's thread while it runs requests: who pops it has the lead
        self._quick = _switches is not None  # requests do not block, so the leader keeps the lead
        self._slow_until = 0.0  # when that is to be tried again
        self._packets = 0  # read with the lead kept
        self._sample: tuple[int, int] | None = None  # switches and requests begun when a packet was read
        self._blocked = 0  # packets in a row whose requests seemed to block
        self._begun = 0  # requests begun, to see whether there is any progress
        self._watching = False  # the pulse thread looks after what waits
        self._pulse = threading.Event()  # wakes it
        self._requests: dict[int, Request] = {}  # those that get messages of their own
        self._waiting: list[Request] = []  # of these, those whose threads wait
        self._gone: set[int] = set()  # streams whose clients have gone before they were opened
        self._early: dict[int, list[wire.Incoming]] = {}  # bodies of requests that no thread has begun
        self._opening = threading.Lock()  # nothing is kept for a request in the moment in which it is opened
        self._stopping = False
        self._most_sockets = sockets
        self._away: dict[int, int] = {}  # threads that have become a WebSocket's, to its stream
        self._others: set[threading.Thread] = set()  # all but the main thread
        self._joined = 1  # threads that there have been
        self.running: dict[int, int] = {}  # thread to stream, for stack dumps

    def run(self) -> None:
        """Serve until the server says stop or goes away."""
        for _ in range(1, self._count):
            self._add_thread()
        threading.Thread(target=self._watch, name="backline-pulse", daemon=True).start()
        self._serve()
        while others := list(self._others):
            for thread in others:
                thread.join()
                self._others.discard(thread)
        self.flush()

    def _add_thread(self) -> None:
        self._joined += 1
        thread = threading.Thread(target=self._serve, name=f"backline-{self._joined}", daemon=True)
        thread.start()
        self._others.add(thread)  # not before: the main thread, once it has left the pool, joins whoever is there

    def _serve(self) -> None:
        work, out, serve, me = self._work, self._out, self._runner.serve, threading.get_ident()
        while True:
            try:
                message = work.popleft()
            except IndexError:
                self.flush()
                if not self._lead(me):
                    return
                continue
            stream = message[1]
            if self._gone and stream in self._gone:
                self._skip(stream)
                continue
            self.running[me] = stream
            self._begun += 1
            serve(message)
            self.running[me] = -1
            if self._away and me in self._away:
                self._leave_pool(me)
                return
            # An answer may only wait behind the next request while the pulse looks after it.
            if len(out) >= BATCH or not work or not self._watching:
                self.flush()

    def _leave_pool(self, me: int) -> None:
        """The WebSocket that this thread had become has ended; another thread has its place in the pool."""
        del self._away[me], self.running[me]
        self.flush()
        self._others.discard(threading.current_thread())

    def _skip(self, stream: int) -> None:
        """A request that nobody waits for any more, before it has begun."""
        self._gone.discard(stream)
        self._early.pop(stream, None)
        self.emit((wire.DONE, stream))

    # The lead.

    def _lead(self, me: int) -> bool:
        """Wait for work, or for the thread that does. False when there will be none."""
        if self._take_back(me):
            self._judge()
        else:
            self._reading.acquire()
            self._sample = None
            if self._work or self._stopping:
                self._reading.release()
                return not self._stopping or bool(self._work)
        if self._stopping:
            self._reading.release()
            return False
        self._receive(0)
        if self._quick or self._try_quick():
            self._keep_lead(me)
        else:
            self._reading.release()
        self._promote()
        return True

    def _keep_lead(self, me: int) -> None:
        """Go on leading while running what was read, until somebody takes the lead."""
        if self._packets % SAMPLE == 0 and _switches is not None:
            self._sample = _switches(), self._begun
        self._packets += 1
        self._kept.append(me)
        if not self._watching:
            self._watching = True
            self._pulse.set()

    def _judge(self) -> None:
        """If a packet's requests were looked at: did they block? Being preempted does not count, only waiting does."""
        if self._sample is not None and _switches is not None:
            waits, requests = _switches() - self._sample[0], self._begun - self._sample[1]
            self._sample = None
            if self._count == 1 or 2 * waits < requests or not requests:
                self._blocked = 0
            elif self._blocked < 2:
                self._blocked += 1  # it may have been the pulse, which took the interpreter's lock: look again
                self._packets = 0
            else:
                self._be_slow()

    def _be_slow(self) -> None:
        self._quick, self._blocked, self._slow_until = False, 0, time.monotonic() + HOLD

    def _try_quick(self) -> bool:
        """After a while, find out whether requests still block."""
        if _switches is not None and self._count > 1 and time.monotonic() >= self._slow_until:
            self._quick, self._packets = True, 0
        return self._quick

    def _take_back(self, me: int) -> bool:
        """Go on leading, if this thread has kept the lead and nobody has taken it."""
        if self._kept:
            try:
                self._kept.remove(me)
                return True
            except ValueError:
                pass  # it was taken, and the one that is kept now is another thread's
        return False

    def _try_lead(self) -> bool:
        """Take the lead if nobody reads: because it is free, or from a thread that keeps it while it runs a request."""
        if self._reading.acquire(False):
            return True
        try:
            self._kept.pop()
        except IndexError:
            return False
        return True  # the lock was acquired by the other thread, and is now this one's to release

    def _watch(self) -> None:
        """The pulse: see that nothing waits behind a request that takes long."""
        begun, quiet = -1, 0
        while True:
            self._pulse.wait()
            time.sleep(PULSE)
            if self._out:
                self.flush()
            if not self._kept:
                quiet += 1
                if quiet > 5:  # nobody runs anything with the lead kept; the next one who does sets the pulse again
                    self._pulse.clear()
                    self._watching = False
                    if self._kept or self._out:  # somebody may have relied on it just before
                        self._watching = True
                        self._pulse.set()
            else:
                quiet = 0
                if begun == self._begun and self._count > 1:
                    self._end_quick()
            begun = self._begun

    def _end_quick(self) -> None:
        """The leader is in a long request: let others lead."""
        self._be_slow()
        try:
            self._kept.pop()
        except IndexError:
            return
        self._reading.release()
        self._promote()

    def _receive(self, flags: int) -> None:
        """Read what there is and hand it out. Called with the lead."""
        data = self._conn.recv(RECEIVE, flags)
        if not data:
            host.server_gone()
            self._stopping = True
            return
        for message in self._decoder.feed(data):
            if message[0] == wire.REQUEST or message[0] == wire.EVENT:
                if self._gone:
                    self._gone.discard(message[1])
                if self._early:
                    self._early.pop(message[1], None)
                self._work.append(message)
            else:
                self._take(message)

    def _take(self, message: wire.Incoming) -> None:
        kind, stream = message[0], message[1]
        if kind == wire.STOP:
            self._stopping = True
            return
        request = self._requests.get(stream)
        if request is None:
            with self._opening:
                request = self._requests.get(stream)
                if request is None:
                    self._keep(message)
                    return
        request.take(message)
        request.signal.set()

    def _keep(self, message: wire.Incoming) -> None:
        """A message for a request that no thread has begun, or that is over."""
        kind, stream = message[0], message[1]
        if kind == wire.BODY:
            self._early.setdefault(stream, []).append(message)
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

    event = staticmethod(threading.Event)
    lock = staticmethod(threading.Lock)

    def open(self, request: Request) -> None:
        request.signal = threading.Event()
        with self._opening:
            for message in self._early.pop(request.stream, ()):
                request.take(message)
            self._requests[request.stream] = request
            if self._gone and request.stream in self._gone:
                self._gone.discard(request.stream)
                request.gone = True

    def forget(self, request: Request) -> None:
        self._requests.pop(request.stream, None)

    def keep(self, request: Request) -> None:
        # A socket lasts for hours, and the server does not count it among the requests that run: if its thread stayed
        # in the pool, as many sockets as threads would be the end of requests.
        with self._opening:
            if len(self._away) >= self._most_sockets:
                raise TooManySockets(
                    f"this worker has {self._most_sockets} WebSockets, as many as worker_connections allows; "
                    "raise it, or add workers"
                )
            thread = next(thread for thread, stream in list(self.running.items()) if stream == request.stream)
            self._away[thread] = request.stream
            self._add_thread()
        if self._take_back(thread):  # else the pulse would find out, later
            self._reading.release()
            self._promote()

    def call(self, do: Callable[[], object]) -> None:
        do()

    def rest(self, waiter: Any) -> None:
        # Without trying for the lead: the pool has its threads for that, and there may be a thousand who rest.
        self.flush()
        waiter.signal.wait()
        waiter.signal.clear()

    def poll(self, request: Request) -> None:
        # When another thread leads, it will see what comes.
        if self._try_lead():
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
            if self._try_lead():
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
    control: Control,
    application: Any,
    settings: dict[str, Any],
    announce: Callable[[dict[str, Any]], None],
) -> None:
    """Serve ``application`` until told to stop."""
    count = settings["threads"]
    runner = runner_for(application, settings, multithread=count > 1)
    threads = Threads(conn, runner, count, settings["worker_connections"])
    runner.link = threads
    runner.begun = begun.shared()
    control.running = threads.running
    announce({"loop": "threads", "concurrency": count})
    threads.run()
