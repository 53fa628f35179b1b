"""A template: a process that imports the application once and is then forked, once for each worker.

Reading order: main, Template.run, Template._fork, become. The handshake is a worker's (hello, welcome, import, up or
failed); after it the connection carries lines, see docs/protocol.md:

    fork TOKEN          with five descriptors: connection, control, marks, stdout, stderr
    forked TOKEN PID    the worker, which now says hello on its own connection
    failed TOKEN WHY    there is none
    ended PID STATUS    it has ended; the status is that of waitpid(2)

Two things a fork does not copy shape this file: threads, so that none of ours lives when it happens, and the kernel's
idea of a descriptor, so that what was connected during the import is closed before (inherit.py).
"""

from __future__ import annotations

import array
import gc
import os
import signal
import socket
import sys
from collections import deque
from contextlib import suppress

# By name: gevent exchanges them in their modules when it patches, and a template does not turn its event loop; even
# close() would wait for that.
from os import close, waitpid
from select import POLLIN, poll
from signal import signal as handle
from typing import Any, NoReturn

from . import begun, inherit, wire, worker
from .importer import Loaded

# In the order in which a fork's descriptors come; the numbers are those that worker.py and begun.py expect.
PLACES = (worker.CONNECTION_FD, worker.CONTROL_FD, begun.BEGUN_FD, 1, 2)


def main() -> None:
    """Run one template to its end, or, in a process that was forked, the worker."""
    conn, control = worker.connect()
    settings = worker.greet(conn)
    loaded = worker.import_application(conn, control, settings)
    worker.loop(loaded, settings)  # imports it, which makes no event loop
    control.end()
    notes = [*inherit.settle(), *inherit.lost_threads()]
    up = {**worker.up(loaded, settings), "loop": "template", "concurrency": 1, "notes": notes}
    conn.sendall(wire.encode([(wire.UP, up)]))
    become(Template(conn).run(), loaded)


def become(descriptors: list[int], loaded: Loaded) -> None:
    """Be the worker whose descriptors these are."""
    for descriptor, place in zip(descriptors, PLACES, strict=True):
        os.dup2(descriptor, place)  # over the template's own; it lives on in the parent
        close(descriptor)
    inherit.renew()
    conn, control = worker.connect()
    worker.serve(conn, control, loaded, worker.greet(conn))


class Template:
    """Forks, and tells how what it forked has ended: the kernel tells only the parent."""

    def __init__(self, conn: socket.socket) -> None:
        self._conn = conn
        self._text = b""
        self._descriptors: deque[list[int]] = deque()  # one list for each fork line that has not been obeyed
        self._children: set[int] = set()
        self._look, self._wake = os.pipe()  # what a signal writes to, so that none is missed between two looks
        os.set_blocking(self._look, False)
        os.set_blocking(self._wake, False)

    def run(self) -> list[int]:
        """Obey until the server closes the connection. Returns only in a forked process, with its descriptors."""
        theirs: tuple[Any, int] = handle(signal.SIGCHLD, lambda *_: None), signal.set_wakeup_fd(self._wake)
        gc.freeze()  # the collector would write to every object it looks at, and each write copies a page
        descriptors = self._obey()
        signal.set_wakeup_fd(theirs[1])
        handle(signal.SIGCHLD, signal.SIG_DFL if theirs[0] is None else theirs[0])
        self._conn.detach()  # its number is the worker's from now on
        for descriptor in (self._look, self._wake, *(each for kept in self._descriptors for each in kept)):
            close(descriptor)
        return descriptors

    def _obey(self) -> list[int]:
        waiting = poll()
        waiting.register(self._conn, POLLIN)
        waiting.register(self._look, POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in waiting.poll()]
            if self._look in ready:
                self._reap()
            if self._conn.fileno() in ready:
                for token in self._read():
                    descriptors = self._descriptors.popleft()
                    if self._fork(token, descriptors):
                        return descriptors

    def _read(self) -> list[bytes]:
        """The tokens of the fork lines that have come."""
        data, ancillary, _, _ = self._conn.recvmsg(4096, socket.CMSG_SPACE(len(PLACES) * array.array("i").itemsize))
        if not data:
            self._end()
        for level, kind, packed in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                found = array.array("i")
                found.frombytes(packed[: len(packed) - len(packed) % found.itemsize])
                self._descriptors.append(list(found))
        *lines, self._text = (self._text + data).split(b"\n")
        return [line.split()[1] for line in lines]

    def _fork(self, token: bytes, descriptors: list[int]) -> bool:
        """Fork once. True in the new process."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # or what waits in their buffers would be printed by each worker
        try:
            pid = inherit.fork()
        except OSError as exc:
            self._say(b"failed %s %s" % (token, str(exc).encode()))
            pid = -1
        if pid == 0:
            os.setpgid(0, 0)
            return True
        if pid > 0:
            with suppress(OSError):  # it was quicker, or has ended
                os.setpgid(pid, pid)  # here too, because the server may kill the group at once
            self._children.add(pid)
            self._say(b"forked %s %d" % (token, pid))
        for descriptor in descriptors:
            close(descriptor)
        return False

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._look, 4096):
                pass
        for pid in tuple(self._children):  # and no other: a child of the application is the application's to wait for
            found, status = waitpid(pid, os.WNOHANG)
            if found:
                self._children.discard(pid)
                self._say(b"ended %d %d" % (pid, status))

    def _say(self, line: bytes) -> None:
        try:
            self._conn.sendall(line + b"\n")
        except OSError:
            self._end()

    @staticmethod
    def _end() -> NoReturn:
        # What the application registered with atexit runs here too: this process has imported it.
        sys.exit(0)
