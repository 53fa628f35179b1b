"""The control connection, served by a thread that the application cannot occupy: it tells what runs (stacks, a
profile), watches the event loop, takes the results of what was offloaded and the clients' connections that are given
away, and ends the process when the server has gone, even while every other thread is busy.

What it is made of is imported here, before the application can replace it: gevent puts greenlets where threads were.
"""

from __future__ import annotations

import os
import socket
import sys
from _socket import AF_UNIX, CMSG_SPACE, SOCK_STREAM, socketpair
from _thread import allocate_lock, get_ident, start_new_thread
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from . import host, wire
from .profiler import Profile
from .stacks import DEEPEST, Everything, Line, Loop, awaited_by, frames_of, lines_of, text_of, theirs, thread_names
from .tcp import CLOSE_ON_EXEC, descriptors
from .watchdog import Nothing, Watch

if TYPE_CHECKING:
    import _socket

NONE: Final = -1  # in place of a descriptor
BOOT: Final = -1  # in place of a stream: the start of the application


class Control:
    """Answers on ``conn``. A loop says in ``running`` which thread runs which stream, and gives with ``extra`` the
    stack of what is no thread; one that can be stuck has itself watched."""

    def __init__(self, conn: socket.socket) -> None:
        self.running: Mapping[int, int] = {}
        self.extra: Callable[[int], str | None] | None = None
        self._conn = conn
        self.pid = 0  # whose it is: a process that the application forks has the object too
        self.channels: Callable[[list[wire.Incoming]], object] | None = None  # takes what is about channels
        self._ending = False
        self._ended = allocate_lock()
        self._sending = allocate_lock()  # one thread at a time writes
        self._tokens = count()
        self._offloaded: dict[int, Callable[[int, bytes], object]] = {}
        self._claimed: dict[int, Callable[[int], object]] = {}
        self._descriptors: deque[int] = deque()  # in the order of the packets that they came with
        self._loop: Loop | None = None
        self._watch: Watch | None = None
        self._profile: Profile | None = None
        self._hidden: set[int] = set()  # threads that are nobody's concern

    def start(self) -> None:
        """Begin to listen."""
        self.pid = os.getpid()
        self._ended.acquire()
        start_new_thread(self._serve, ())

    def end(self) -> None:
        """Listen no more: a process that is about to fork must not have threads of ours."""
        self._ending = True
        self._conn.shutdown(socket.SHUT_RD)  # wakes the thread
        self._ended.acquire()
        self._conn.detach()  # and not closed: nobody else may get the number, which the forked worker's will have

    def watch(self, loop: Loop, milliseconds: int) -> Watch | Nothing:
        """Tell the server when the loop has not turned for so long; never with 0. Called once, by the loop's thread."""
        self._loop = loop
        if milliseconds <= 0:
            return Nothing()
        ours, woken = socketpair(AF_UNIX, SOCK_STREAM)
        ours.setblocking(False)

        def wake() -> None:
            with suppress(BlockingIOError):  # then it has been woken often enough
                ours.send(b".")

        self._watch = watch = Watch(loop, milliseconds / 1000, wake, self._tell)
        # On a thread of its own, because stacks take their time, and then the watch would see nothing.
        start_new_thread(self._keep_watch, (watch, woken))
        return watch

    def _serve(self) -> None:
        self._hidden.add(get_ident())
        decoder = wire.Decoder()
        while True:
            try:
                data, ancillary, _, _ = self._conn.recvmsg(65536, CMSG_SPACE(64), CLOSE_ON_EXEC)
            except OSError:
                data, ancillary = b"", []
            self._descriptors.extend(descriptors(ancillary))
            if not data and not self._ending:
                host.server_gone()
            if not data:
                self._ended.release()
                return
            messages = decoder.feed(data)
            for message in messages:
                if message[0] < wire.ATTACH:
                    self.take(message)
            if self.channels is not None and (theirs := [each for each in messages if each[0] >= wire.ATTACH]):
                self.channels(theirs)

    def take(self, message: wire.Incoming) -> None:
        """Do what the server asks, or pass a result on. Called on this connection's thread."""
        kind, token = message[0], message[1]
        if kind == wire.STACKS:
            self._send((wire.TRACE, token, self.stacks(message[2])))
        elif kind == wire.WATCH and self._watch is not None:
            self._watch.arm()
        elif kind == wire.SNAPSHOT:
            self._report(token, Everything(self.running, self._loop, self._hidden).collect())
        elif kind == wire.PROFILE:
            self._begin_profile(token, message[2], message[3])
        elif kind == wire.RESULT:
            settle = self._offloaded.pop(token, None)
            if settle is not None:
                settle(message[2], message[3])
        elif kind == wire.GIVEN:
            self._give(token, self._descriptors.popleft() if message[2] else NONE)

    def _give(self, token: int, descriptor: int) -> None:
        taker = self._claimed.pop(token, None)
        if taker is not None:
            taker(descriptor)
        elif descriptor != NONE:
            os.close(descriptor)

    def _begin_profile(self, token: int, milliseconds: int, rate: int) -> None:
        if milliseconds == 0:
            if self._profile is not None:
                self._profile.cancelled = True
        elif self._profile is not None:
            self._report(token, {"error": "another profile of this worker is being taken"})
        else:
            self._profile = Profile(milliseconds / 1000, rate, self.running, self._loop)
            start_new_thread(self._take_profile, (self._profile, token))

    def _take_profile(self, profile: Profile, token: int) -> None:
        me = get_ident()
        self._hidden.add(me)
        try:
            found = profile.run(self._hidden)
        finally:
            self._profile = None  # before the answer, after which the next may be asked for
            self._hidden.discard(me)
        self._report(token, found)

    def _keep_watch(self, watch: Watch, woken: _socket.socket) -> None:
        self._hidden.add(get_ident())
        while True:
            woken.setblocking(True)
            woken.recv(256)
            woken.settimeout(watch.interval)
            while watch.armed:
                try:
                    woken.recv(256)
                except TimeoutError:
                    watch.look()

    def _tell(self, stream: int | None, seconds: float, text: str) -> None:
        self._send((wire.STALL, wire.NO_STREAM if stream is None else stream, int(seconds * 1000), text))

    def tell_crowd(self, threads: str, waiting: int, seconds: float) -> None:
        """Tell the server that work waits for threads whose names begin so. It takes no time of the caller's."""

        def tell() -> None:
            busy = [ident for ident, name in thread_names().items() if name.startswith(threads)]
            self._send((wire.CROWD, waiting, int(seconds * 1000), self._texts(busy)))

        start_new_thread(tell, ())

    def _report(self, token: int, what: dict[str, Any]) -> None:
        import json  # costs every worker memory, and most are never asked

        self._send((wire.REPORT, token, json.dumps(what)))

    def _send(self, message: wire.Outgoing) -> None:
        self.send([message])

    def send(self, messages: list[wire.Outgoing]) -> None:
        """Tell the server; from any thread."""
        data = wire.encode(messages)
        with self._sending:
            self._conn.sendall(data)

    def offload(self, function: str, arguments: bytes, timeout: int, settle: Callable[[int, bytes], object]) -> int:
        """Have a function run elsewhere; from any thread. ``settle`` is called with the outcome and its data, on this
        connection's thread. Gives the token for forget()."""
        token = next(self._tokens) & 0x7FFFFFFF
        self._offloaded[token] = settle
        self._send((wire.OFFLOAD, token, function, arguments, timeout))
        return token

    def forget(self, token: int) -> None:
        """Nobody waits for that result any more."""
        self._offloaded.pop(token, None)

    def claim(self, taker: Callable[[int], object]) -> int:
        """A token for TAKE. ``taker`` is called with the descriptor, or NONE, on this connection's thread."""
        token = next(self._tokens) & 0x7FFFFFFF
        self._claimed[token] = taker
        return token

    def unclaim(self, token: int) -> bool:
        """The taker wants it no more. False where it is being called, or has been."""
        return self._claimed.pop(token, None) is not None

    def stacks(self, streams: list[int]) -> str:
        """What runs behind these streams; for none, in every thread and in the start of the application."""
        threads = [ident for ident in sys._current_frames() if not streams or self.running.get(ident) in streams]
        texts = [found] if (found := self._texts(threads)) else []
        if self.extra is not None:
            texts += [text for stream in streams or [BOOT] if (text := self.extra(stream))]
        return "\n".join(texts) or "(it ended meanwhile)"

    def _texts(self, threads: list[int]) -> str:
        """The stacks of threads, as one where they are the same."""
        names = thread_names()
        found: dict[str, list[str]] = {}
        for ident in threads:
            stack = "" if ident in self._hidden else _text(lines_of(frames_of(ident)))
            if stack:  # or it has ended meanwhile
                found.setdefault(stack, []).append(str(names.get(ident, ident)))
        return "\n".join(f"thread {_several(who)}:\n{stack}" for stack, who in found.items())


def _several(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def thread_stack(frame: FrameType | None, *others: str) -> str:
    """The stack of a thread as a traceback has it, innermost last, without our frames around the application, those of
    the import system, and those of files whose names begin with one of ``others``."""
    frames: list[FrameType] = []
    while frame is not None and len(frames) < DEEPEST:
        frames.append(frame)
        frame = frame.f_back
    return _text([line for line in lines_of(frames) if not line[0].co_filename.startswith(others)])


def coroutine_stack(coroutine: Any) -> str:
    """The same of a coroutine that waits."""
    return _text(awaited_by(coroutine))


def _text(lines: list[Line]) -> str:
    return text_of(theirs(lines) or lines)
