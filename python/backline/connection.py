"""How this process reaches the server's hub: in a worker over the control connection, whose thread reads; elsewhere
over a connection to the server's control socket, with a native thread that reads, opens it anew when it is lost, and
ends when nobody waits for anything.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from _socket import AF_UNIX, SHUT_RDWR, SOCK_STREAM, socket  # as it is without gevent
from contextlib import suppress
from typing import Final

from . import host, wire
from .control import Control
from .session import Session
from .waiting import native

PATIENCE: Final = 5.0  # seconds for the server to accept a connection
FIRST_RETRY, LAST_RETRY = 0.05, 2.0  # seconds

_REQUEST: Final = (
    b"GET /v1/channels HTTP/1.1\r\nHost: backline\r\nConnection: Upgrade\r\nUpgrade: backline-channels\r\n\r\n"
)


class NoServer(ConnectionError):
    """There is no server to send to, or it went before it answered."""


class NoRoom(Exception):
    """The server holds as much as its settings allow."""


class WorkerLine:
    """A worker's."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._attached = False
        self.session = Session(self._write)
        self.session.answered = lambda: host.up
        control.channels = self.session.take

    def _write(self, messages: list[wire.Outgoing]) -> None:
        if not self._attached:
            self._attached = True
            messages = self.session.resume() + messages
        self._control.send(messages)

    def forget(self) -> None:
        """It is another process's."""


class SocketLine:
    """Any other process's."""

    def __init__(self) -> None:
        self._conn: socket | None = None
        self.session = Session(self._write)

    def _write(self, messages: list[wire.Outgoing]) -> None:
        try:
            if self._conn is None:
                conn = self._conn = connect()
                conn.sendall(wire.encode(self.session.resume()))
                native("start_new_thread")(self._serve, (conn,))
            if messages:
                self._conn.sendall(wire.encode(messages))
        except OSError as error:
            self._give_up()
            if isinstance(error, NoServer):
                raise
            raise NoServer(f"the server has gone: {error}") from error

    def _serve(self, conn: socket) -> None:
        decoder = wire.Decoder()
        while True:
            try:
                data = conn.recv(65536)
            except OSError:
                data = b""
            if not data:
                break
            messages = decoder.feed(data)
            if messages:
                with suppress(NoServer):  # then the next read finds the end
                    self.session.take(messages)
        with self.session.writing:
            ours = self._conn is conn  # or it was given up, and there may be another by now
            if ours:
                self._conn = None
                waited_for = self.session.lost()
        conn.close()
        if ours and waited_for:
            self._retry()

    def _retry(self) -> None:
        """Open another connection, as long as somebody waits for what would come over it."""
        pause, wait = FIRST_RETRY, native("allocate_lock")()
        wait.acquire()
        while True:
            wait.acquire(timeout=pause)
            if not self.session.waited_for():
                return
            try:
                self.session.reconnect()
            except NoServer:
                pause = min(2 * pause, LAST_RETRY)
            else:
                return

    def close(self) -> None:
        """End the connection; its thread ends with it."""
        with self.session.writing:
            self._give_up()

    def _give_up(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            with suppress(OSError):
                conn.shutdown(SHUT_RDWR)
        self.session.lost()

    def forget(self) -> None:
        """The process was forked: the connection is the parent's."""
        if self._conn is not None:
            os.close(self._conn.detach())


_line: WorkerLine | SocketLine | None = None
_starting = native("allocate_lock")()


def current() -> Session:
    """The session of this process."""
    line = _line
    return (line or _begin()).session


def close() -> None:
    """End the connection of a process that is no worker, if nobody waits for anything."""
    line = _line
    if isinstance(line, SocketLine) and not line.session.waited_for():
        line.close()


def reset() -> None:
    """Another connection is to be used from now on; what the old one was in is over."""
    global _line
    with _starting:
        line, _line = _line, None
    if isinstance(line, SocketLine):
        line.close()


def _begin() -> WorkerLine | SocketLine:
    global _line
    with _starting:
        if _line is None:
            control = host.connection
            ours = control is not None and control.pid == os.getpid()
            _line = WorkerLine(control) if ours and control is not None else SocketLine()
        return _line


def _forked() -> None:
    global _line, _starting
    if _line is not None:
        _line.forget()
    _line, _starting = None, native("allocate_lock")()


os.register_at_fork(after_in_child=_forked)


# The server.


def connect() -> socket:
    """A connection to the server, on which packets go both ways."""
    path = find()
    conn = socket(AF_UNIX, SOCK_STREAM)
    conn.settimeout(PATIENCE)
    try:
        conn.connect(path)
        conn.sendall(_REQUEST)
        answer = b""
        while b"\r\n\r\n" not in answer:
            data = conn.recv(1)  # what follows is packets
            if not data:
                raise NoServer(f"the server on {path} closed the connection")
            answer += data
        status = answer.split(b"\r\n", 1)[0].decode("latin-1")
        if " 101 " not in status:
            raise NoServer(f"the server on {path} gives no channels: {status}; {_rest(conn, answer)}")
    except OSError as error:
        conn.close()
        if isinstance(error, NoServer):
            raise
        raise NoServer(
            f"the server on {path} cannot be reached: {error}; start it (backline serve), or name the control "
            "socket of one that runs with BACKLINE_SOCKET"
        ) from error
    conn.settimeout(None)
    return conn


def _rest(conn: socket, head: bytes) -> str:
    """What the server says about its refusal."""
    found = re.search(rb"(?i)content-length: *(\d+)", head)
    size, body = int(found[1]) if found else 0, b""
    while len(body) < size and (data := conn.recv(size - len(body))):
        body += data
    return body.decode(errors="replace").strip()


def find() -> str:
    """The server's control socket: the one that BACKLINE_SOCKET names, that of the server of this folder, or the only
    one there is, as for `backline ps`."""
    named = os.environ.get("BACKLINE_SOCKET", "")
    if named == "off":
        raise NoServer(
            "the server has no control socket (BACKLINE_SOCKET is off), over which processes that are no workers have "
            "channels: serve without --control-socket off"
        )
    if named:
        return named
    folder = _folder()
    own: list[str] = []
    others: list[str] = []
    for path in _sockets(folder):
        name = os.path.basename(path).removesuffix(".sock")
        (own if re.fullmatch(re.escape(_name(os.getcwd())) + r"(-\d+)?", name) else others).append(path)
    found = own or others
    if len(found) == 1:
        return found[0]
    if found:
        raise NoServer(
            f"{len(found)} servers run: say which one with BACKLINE_SOCKET={found[0]} (backline ps lists them), "
            f"or {'serve each in a folder of its own' if own else 'call this where the server was started'}"
        )
    raise NoServer(
        f"no server runs that has a socket in {folder}: start one (backline serve) as this user, "
        "or name its control socket with BACKLINE_SOCKET"
    )


def _folder() -> str:
    for variable, below in (
        ("BACKLINE_STATE_DIR", ""), ("BACKLINE_STATE", ""), ("STATE_DIRECTORY", ""),
        ("XDG_STATE_HOME", "backline"), ("HOME", ".local/state/backline"),
    ):  # fmt: skip
        value = os.environ.get(variable, "").split(":")[0]
        if value:
            return os.path.join(value, below, "control")
    return "control"


def _sockets(folder: str) -> list[str]:
    """Those on which somebody listens."""
    found = []
    with suppress(OSError):
        for entry in sorted(os.listdir(folder)):
            path = os.path.join(folder, entry)
            if entry.endswith(".sock") and stat.S_ISSOCK(os.lstat(path).st_mode):
                probe = socket(AF_UNIX, SOCK_STREAM)
                with suppress(OSError):
                    probe.settimeout(PATIENCE)
                    probe.connect(path)
                    found.append(path)
                probe.close()
    return found


def _name(folder: str) -> str:
    """As the server names the socket of a folder."""
    base = re.sub(r"[^-_.0-9a-zA-Z]", "", os.path.basename(folder))[:24].lstrip(".")
    return f"{base}-{hashlib.sha256(folder.encode()).hexdigest()[:8]}"
