"""A worker that speaks the handshake of wire/messages.go and then does what it is told.

Before it is up it does what the file named by CODE says, which is "the application" of these tests. Afterwards it
obeys lines of text on its connection, in place of requests.
"""

from __future__ import annotations

import marshal
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import Any, BinaryIO

HELLO, WELCOME, UP, FAILED = 1, 2, 3, 4


def send(conn: socket.socket, kind: int, fields: dict[str, Any]) -> None:
    packet = marshal.dumps([(kind, fields)], 2)
    conn.sendall(struct.pack("<I", len(packet)) + packet)


def receive(stream: BinaryIO) -> tuple[int, dict[str, Any]]:
    (size,) = struct.unpack("<I", stream.read(4))
    ((kind, fields),) = marshal.loads(stream.read(size))
    return kind, fields


def boot(conn: socket.socket, code: str) -> None:
    """Import "the application"."""
    if code == "raise":
        send(
            conn,
            FAILED,
            {
                "kind": "raised",
                "message": "mysite.wsgi raised NameError",
                "hint": "mend it",
                "traceback": "Traceback:\n  mysite/wsgi.py, line 3\nNameError: x",
            },
        )
        sys.exit(3)
    if code == "exit":
        print("giving up: no database", file=sys.stderr)
        sys.exit(7)
    if code == "rival":
        try:
            os.close(os.open(os.environ["CODE"] + ".lock", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            sys.exit("somebody else was first")
        with open(os.environ["CODE"] + ".gate") as gate:
            gate.read()
    if code == "hang":
        print("hanging as", os.getpid(), flush=True)
        signal.pause()


def obey(conn: socket.socket, words: list[str], kept: list[Any]) -> bool:
    """Do what a line says; tell whether to go on."""
    command, arguments = words[0], words[1:]
    if command == "exit":
        os._exit(int(arguments[0]))
    elif command == "abort":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif command == "print":
        print(*arguments, flush=True)
    elif command == "print-error":
        print(*arguments, end="", file=sys.stderr, flush=True)
    elif command == "grow":
        kept.append(bytearray(b"x" * (int(arguments[0]) << 20)))
    elif command == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        conn.sendall(b"done\n")
        time.sleep(3600)
    elif command == "child":
        kept.append(subprocess.Popen(["sleep", "3600"]))
        conn.sendall(b"%d\n" % kept[-1].pid)
    elif command == "descriptors":
        links = (f"/proc/self/fd/{number}" for number in range(64))
        sockets = [link for link in links if os.path.lexists(link) and os.readlink(link).startswith("socket:")]
        conn.sendall(b"%d\n" % len(sockets))
    elif command == "parent":
        conn.sendall(b"%d\n" % os.getppid())
    elif command == "stop":
        return False
    return True


def read_code() -> str:
    with open(os.environ["CODE"]) as file:
        code = file.read().strip()
    if code == "mute":
        print("cannot even begin", file=sys.stderr)
        sys.exit(1)
    return code


def greet(conn: socket.socket, stream: BinaryIO, code: str) -> dict[str, Any]:
    version = "0.0.1" if code == "old" else os.environ["VERSION"]
    send(conn, HELLO, {"protocol": 1, "package": version, "language": "python", "pid": os.getpid()})
    kind, fields = receive(stream)
    assert kind == WELCOME, kind
    return fields


def say_up(conn: socket.socket, fields: dict[str, Any], code: str, *notes: str) -> None:
    send(
        conn,
        UP,
        {
            "interface": "wsgi",
            "loop": "threads",
            "concurrency": 8,
            "interpreter": "CPython",
            "application": fields["settings"]["app"] + " as " + code,
            "notes": list(notes),
        },
    )


def connect() -> tuple[socket.socket, BinaryIO]:
    conn = socket.socket(fileno=3)
    conn.set_inheritable(False)
    stream: Any = conn.makefile("rb", buffering=0)
    return conn, stream


def serve(conn: socket.socket, stream: BinaryIO) -> None:
    kept: list[Any] = []  # what must not be collected: memory, children
    for line in stream:
        if not obey(conn, line.decode().split(), kept):
            break


def main() -> None:
    code = read_code()
    conn, stream = connect()
    fields = greet(conn, stream, code)
    boot(conn, code)
    say_up(conn, fields, code)
    serve(conn, stream)


if __name__ == "__main__":
    main()
