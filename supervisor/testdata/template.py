"""A template that forks workers like those of worker.py: the code is read once, before it is up.

Some codes are about the template itself: "refuse" cannot fork at first, "babble" breaks the protocol when it is to,
"late" gives workers that cannot come up, "threaded" has something to say of its threads.
"""

from __future__ import annotations

import array
import os
import select
import signal
import socket
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from worker import FAILED, boot, connect, greet, read_code, say_up, send, serve


def become(conn: socket.socket, descriptors: list[int], code: str) -> None:
    """Be the worker that has these descriptors."""
    conn.detach()
    for descriptor, place in zip(descriptors, (3, 4, 5, 1, 2)):
        os.dup2(descriptor, place)
        os.close(descriptor)
    mine, stream = connect()
    fields = greet(mine, stream, code)
    if code == "late":
        send(mine, FAILED, {"kind": "lifespan", "message": "no database", "hint": "", "traceback": ""})
        sys.exit(3)
    say_up(mine, fields, code)
    serve(mine, stream)


def reap(conn: socket.socket, children: set[int]) -> None:
    for pid in tuple(children):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            children.discard(pid)
            conn.sendall(b"ended %d %d\n" % (pid, status))


def main() -> None:
    code = read_code()
    conn, stream = connect()
    fields = greet(conn, stream, code)
    boot(conn, code)
    say_up(conn, fields, code, *(["a thread called metrics"] if code == "threaded" else []))
    look, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    children: set[int] = set()
    refused = code != "refuse"
    while True:
        ready: list[Any] = select.select([conn, look], [], [])[0]
        if look in ready:
            os.read(look, 4096)
            reap(conn, children)
        if conn not in ready:
            continue
        line, ancillary, _, _ = conn.recvmsg(4096, 1024)
        if not line:
            return
        descriptors = array.array("i", ancillary[0][2]).tolist()
        token = line.split()[1]
        pid = -1
        if code == "babble":
            conn.sendall(b"forked %s nothing\n" % token)
        elif not refused:
            refused = True
            conn.sendall(b"failed %s no room\n" % token)
        elif (pid := os.fork()) == 0:
            os.setpgid(0, 0)
            return become(conn, descriptors, code)
        else:
            children.add(pid)
            conn.sendall(b"forked %s %d\n" % (token, pid))
        for descriptor in descriptors:
            os.close(descriptor)


main()
