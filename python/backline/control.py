"""The control connection, served by a thread that the application cannot occupy: it answers with stacks, and it ends
the process when the server has gone, even while every other thread is busy."""

from __future__ import annotations

import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from types import FrameType

from . import wire


class Control:
    """Answers on ``conn``. ``running`` says which thread runs which stream; ``extra`` adds what is not a thread."""

    def __init__(
        self, conn: socket.socket, running: Mapping[int, int], extra: Callable[[int], str | None] | None = None
    ) -> None:
        self._conn = conn
        self._running = running
        self._extra = extra

    def start(self) -> None:
        threading.Thread(target=self._serve, name="backline-control", daemon=True).start()

    def _serve(self) -> None:
        decoder = wire.Decoder()
        while True:
            try:
                data = self._conn.recv(65536)
            except OSError:
                data = b""
            if not data:
                os._exit(1)  # the server has gone: what still runs runs for nobody
            for message in decoder.feed(data):
                if message[0] == wire.STACKS:
                    text = self.stacks(message[2])
                    self._conn.sendall(wire.encode([(wire.TRACE, message[1], text)]))

    def stacks(self, streams: list[int]) -> str:
        """What runs behind these streams, or in every thread for none."""
        frames = sys._current_frames()
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        found = []
        for ident, frame in frames.items():
            if ident == threading.get_ident() or (streams and self._running.get(ident) not in streams):
                continue
            found.append(f"thread {names.get(ident, ident)}:\n{_format(frame)}")
        if self._extra is not None:
            found += [text for stream in streams if (text := self._extra(stream))]
        return "\n".join(found) or "(it ended meanwhile)"


def _format(frame: FrameType) -> str:
    """The stack as a traceback has it, innermost last, without the frames of ours that called the application."""
    ours = os.path.dirname(os.path.abspath(__file__)) + os.sep
    entries = traceback.extract_stack(frame)
    first = next((n for n, entry in enumerate(entries) if entry.filename.startswith(ours)), 0)
    own = [entry for entry in entries[first:] if not entry.filename.startswith(ours)]
    return "".join(traceback.format_list(own or entries))
