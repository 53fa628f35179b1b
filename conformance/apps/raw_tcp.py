"""Functions of raw connections, and an application beside them. What a client says first chooses what becomes of it."""

from __future__ import annotations

import os
import socket
import sys

from backline import gather, offload

VERSION = os.environ.get("VERSION", "1")


def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def handle(connection, address):
    """Echo lines, until one is an order."""
    assert isinstance(connection, socket.socket)
    with connection.makefile("rwb") as lines:
        for line in lines:
            word, _, rest = line.strip().partition(b" ")
            if word == b"who":
                answer = f"{os.getpid()} {VERSION} {type(connection).__module__} {address!r} {connection.gettimeout()}"
                lines.write(answer.encode() + b"\n")
            elif word == b"many":
                lines.write(b"x" * int(rest))
            elif word == b"raise":
                raise ValueError(rest.decode())
            elif word == b"exit":
                sys.exit(int(rest))
            elif word == b"die":
                os._exit(1)
            elif word == b"offload":
                lines.write(b"%d\n" % offload(os.getpid, timeout=10))
            elif word == b"gather":
                lines.write(b"%d\n" % sum(gather(lambda: 1, lambda: 2)))
            elif word == b"bye":
                return
            else:
                lines.write(line)
            lines.flush()
        lines.write(b"end\n")  # for a client that has only closed its own side


def greet(connection, address):
    connection.sendall(b"hello\n")


async def coroutine(connection, address):
    pass


def three(connection, address, server):
    pass


value = 7
