"""The control connection, served by a thread that the application cannot occupy: it answers with stacks, takes the
results of what was offloaded, and ends the process when the server has gone, even while every other thread is busy."""

from __future__ import annotations

import importlib
import os
import socket
import sys
import threading
import traceback

# Names of our own: gevent gives those in threading another meaning.
from _thread import allocate_lock, get_ident, start_new_thread
from collections.abc import Callable, Mapping
from itertools import count
from types import FrameType
from typing import Any, Final

from . import wire

_OURS: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
_NOT_THEIRS: Final = (_OURS, "<frozen importlib", os.path.join(os.path.dirname(importlib.__file__), ""))
_AWAITED: Final = ("cr_await", "gi_yieldfrom", "ag_await")  # where a coroutine keeps what it waits for
BOOT: Final = -1  # in place of a stream: the start of the application


class Control:
    """Answers on ``conn``. A loop says in ``running`` which thread runs which stream, and gives with ``extra`` the
    stack of what is no thread."""

    def __init__(self, conn: socket.socket) -> None:
        self.running: Mapping[int, int] = {}
        self.extra: Callable[[int], str | None] | None = None
        self._conn = conn
        self._ending = False
        self._ended = allocate_lock()
        self._sending = allocate_lock()  # one thread at a time writes
        self._tokens = count()
        self._offloaded: dict[int, Callable[[int, bytes], object]] = {}

    def start(self) -> None:
        """Begin to listen."""
        self._ended.acquire()
        start_new_thread(self._serve, ())

    def end(self) -> None:
        """Listen no more: a process that is about to fork must not have threads of ours."""
        self._ending = True
        self._conn.shutdown(socket.SHUT_RD)  # wakes the thread
        self._ended.acquire()
        self._conn.detach()  # and not closed: nobody else may get the number, which the forked worker's will have

    def _serve(self) -> None:
        decoder = wire.Decoder()
        while True:
            try:
                data = self._conn.recv(65536)
            except OSError:
                data = b""
            if not data and self._ending:
                self._ended.release()
                return
            if not data:
                os._exit(1)  # the server has gone: what still runs runs for nobody
            for message in decoder.feed(data):
                self.take(message)

    def take(self, message: wire.Incoming) -> None:
        """Do what the server asks, or pass a result on. Called on this connection's thread."""
        if message[0] == wire.STACKS:
            self._send((wire.TRACE, message[1], self.stacks(message[2])))
        elif message[0] == wire.RESULT:
            settle = self._offloaded.pop(message[1], None)
            if settle is not None:
                settle(message[2], message[3])

    def _send(self, message: wire.Outgoing) -> None:
        data = wire.encode([message])
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

    def stacks(self, streams: list[int]) -> str:
        """What runs behind these streams; for none, in every thread and in the start of the application."""
        frames = sys._current_frames()
        # Not threading.enumerate(): under gevent its lock is one for greenlets.
        names = {ident: thread.name for ident, thread in getattr(threading, "_active", {}).copy().items()}
        found = []
        for ident, frame in frames.items():
            if ident == get_ident() or (streams and self.running.get(ident) not in streams):
                continue
            found.append(f"thread {names.get(ident, ident)}:\n{thread_stack(frame)}")
        if self.extra is not None:
            found += [text for stream in streams or [BOOT] if (text := self.extra(stream))]
        return "\n".join(found) or "(it ended meanwhile)"


def thread_stack(frame: FrameType, *others: str) -> str:
    """The stack of a thread as a traceback has it, innermost last, without our frames around the application, those of
    the import system, and those of files whose names begin with one of ``others``."""
    entries = traceback.extract_stack(frame)
    first = next((n for n, entry in enumerate(entries) if entry.filename.startswith(_OURS)), 0)
    own = [entry for entry in entries[first:] if not entry.filename.startswith((*_NOT_THEIRS, *others))]
    return "".join(traceback.format_list(own or entries))


def coroutine_stack(coroutine: Any) -> str:
    """The same of a coroutine that waits: asyncio's own Task.get_stack() ends where the first await is."""
    entries = traceback.StackSummary()
    while coroutine is not None:
        for kind in ("cr", "gi", "ag"):
            frame = getattr(coroutine, f"{kind}_frame", None)
            if frame is not None:
                entries.extend(traceback.StackSummary.extract([(frame, frame.f_lineno)]))
                break
        coroutine = next(filter(None, (getattr(coroutine, name, None) for name in _AWAITED)), None)
    own = [entry for entry in entries if not entry.filename.startswith(_NOT_THEIRS)]
    return "".join(traceback.format_list(own or entries))
