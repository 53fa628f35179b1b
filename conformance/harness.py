"""Starts the real server on a free port and talks to it over raw sockets: nothing here knows the server's inside."""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BINARY = Path(os.environ.get("BACKLINE", ROOT / "bin" / "backline"))
APPS = HERE / "apps"
# Where servers keep their control sockets, for the whole run. It has to be short: a socket's path may have 103 bytes.
STATE = tempfile.TemporaryDirectory(prefix="backline-")
PATIENCE = 20.0  # seconds that anything may take before the test fails


class Server:
    """One `backline serve`, its log, and where it listens."""

    def __init__(
        self,
        app: str,
        *flags: str,
        python: str = sys.executable,
        env: dict[str, str] | None = None,
        cwd: Path = APPS,
        wait: bool = True,
        bind: str = "127.0.0.1:0",
        binary: Path | str = BINARY,
        launcher: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
    ) -> None:
        environ = {key: value for key, value in os.environ.items() if not key.startswith("BACKLINE_")}
        address = ("--bind", bind) if bind else ()
        command = [*launcher, str(binary), "serve", app, *address, "--python", python, *flags]
        self.lines: list[str] = []
        self._arrived = threading.Condition()
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**environ, "XDG_STATE_HOME": STATE.name, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=pass_fds,
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.port = 0
        self.path = bind.removeprefix("unix:") if bind.startswith("unix:") else ""
        if wait:
            try:
                self.ready()
            except BaseException:
                self.kill()
                raise

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._arrived:
                self.lines.append(line.rstrip("\n"))
                self._arrived.notify_all()
        with self._arrived:
            self.lines.append("<end of output>")
            self._arrived.notify_all()

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def ready(self) -> None:
        """Wait for the greeting and learn the port from it."""
        self.wait_for("ready in")
        if not self.path:
            found = re.search(r"on +https?://\S+:(\d+)", self.log)
            assert found, self.log
            self.port = int(found.group(1))

    def wait_for(self, pattern: str, *, after: int = 0, timeout: float = PATIENCE) -> str:
        """The first line of the log, from line ``after`` on, in which ``pattern`` is found."""
        compiled = re.compile(pattern)
        deadline = time.monotonic() + timeout
        with self._arrived:
            seen = after
            while True:
                for line in self.lines[seen:]:
                    if compiled.search(line):
                        return line
                    if line == "<end of output>":
                        raise AssertionError(f"the server ended without {pattern!r}:\n{self.log}")
                seen = len(self.lines)
                if not self._arrived.wait(max(0.0, deadline - time.monotonic())):
                    raise AssertionError(f"no {pattern!r} in the log within {timeout} s:\n{self.log}")

    def count(self, pattern: str) -> int:
        return len(re.findall(pattern, self.log))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """The exit status, once the process has ended."""
        return self.process.wait(timeout)

    def stop(self) -> int:
        """End it as an operator does. Gives the exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not stop:\n{self.log}") from None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()

    def connect(self) -> Client:
        if self.path:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(self.path)
        else:
            sock = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(PATIENCE)
        return Client(sock)

    def get(self, target: str = "/", **headers: str) -> Answer:
        """One request on a connection of its own."""
        with self.connect() as client:
            return client.request("GET", target, headers)

    def request(self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        with self.connect() as client:
            return client.request(method, target, headers, body)


@dataclass
class Answer:
    """One answer as it came over the wire."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    complete: bool = True  # framed whole: not cut off
    interim: list[Answer] = field(default_factory=list)  # 1xx answers before it

    def header(self, name: str, default: str | None = None) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(found) if found else default

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """A client's connection: raw bytes out, answers in."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""
        self.closed = False

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send_request(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"", version: str = "1.1"
    ) -> None:
        fields = {"Host": "testserver", **(headers or {})}
        if body and "Content-Length" not in fields and "Transfer-Encoding" not in fields:
            fields["Content-Length"] = str(len(body))
        head = f"{method} {target} HTTP/{version}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"
        self.send(head.encode("latin-1") + body)

    def request(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"", version: str = "1.1"
    ) -> Answer:
        self.send_request(method, target, headers, body, version)
        return self.answer(method)

    def fill(self) -> bool:
        """Read more; False at the end."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        self.closed = self.closed or not data
        self.buffer += data
        return bool(data)

    def read_until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            if not self.fill():
                raise AssertionError(f"the server closed before {mark!r}: {self.buffer!r}")
        found, self.buffer = self.buffer.split(mark, 1)
        return found

    def read_exactly(self, n: int) -> tuple[bytes, bool]:
        while len(self.buffer) < n:
            if not self.fill():
                found, self.buffer = self.buffer, b""
                return found, False
        found, self.buffer = self.buffer[:n], self.buffer[n:]
        return found, True

    def head(self) -> Answer:
        """A status line and header fields; the body is left unread."""
        first, *rest = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, reason = [*first.split(" ", 2), ""][:3]
        assert version == "HTTP/1.1", first
        return Answer(int(status), reason, [(k, v.strip()) for k, _, v in (line.partition(":") for line in rest)])

    def answer(self, method: str = "GET") -> Answer:
        """The next answer, whole; 1xx answers before it are in ``interim``."""
        answer, interim = self.head(), []
        while 100 <= answer.status < 200 and answer.status != 101:
            interim.append(answer)
            answer = self.head()
        answer.interim = interim
        if method == "HEAD" or answer.status in (204, 304) or answer.status < 200:
            return answer
        if (answer.header("transfer-encoding") or "").lower() == "chunked":
            self._chunks(answer)
        elif answer.header("content-length") is not None:
            answer.body, answer.complete = self.read_exactly(int(answer.header("content-length") or 0))
        else:
            while self.fill():
                pass
            answer.body, self.buffer = self.buffer, b""
        return answer

    def _chunks(self, answer: Answer) -> None:
        for chunk in self.chunks():
            if chunk is None:
                answer.complete = False
                return
            answer.body += chunk

    def chunks(self) -> Iterator[bytes | None]:
        """The chunks of a body as they come; None when it was cut off."""
        while True:
            try:
                size = int(self.read_until(b"\r\n"), 16)
                if size == 0:
                    assert self.read_until(b"\r\n") == b""
                    return
                data, whole = self.read_exactly(size + 2)
            except AssertionError:
                yield None
                return
            if not whole:
                yield None
                return
            yield data[:-2]

    def at_end(self) -> bool:
        """Whether the server closes the connection without another byte."""
        return not self.buffer and not self.fill()


def eventually(check: Callable[[], object], what: str, timeout: float = PATIENCE) -> object:
    """Poll for a state that no signal announces, such as another process's memory; gives the first true value."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        pause.wait(0.02)


def within_a_second(check: Callable[[], bool], what: str) -> None:
    """Poll for a state that has to be there a second from now: no later look may find another one. How long the look
    itself takes is the machine's business."""
    begun = time.monotonic()

    def right() -> bool:
        asked = time.monotonic() - begun
        found = check()
        assert found or asked < 1, f"{what}: not after {asked:.2f} s"
        return found

    eventually(right, what)


def in_parallel(count: int, work: Callable[[int], object], *, patience: float = 3 * PATIENCE) -> list[object]:
    """Run ``work(0)`` to ``work(count - 1)`` at once; results in order; the first exception is raised."""
    results: list[object] = [None] * count
    failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def one(n: int) -> None:
        try:
            results[n] = work(n)
        except BaseException as error:  # handed to the test's own thread
            failures.put(error)

    threads = [threading.Thread(target=one, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patience)
    if not failures.empty():
        raise failures.get()
    return results
