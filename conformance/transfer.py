"""A gibibyte up and a gibibyte down through slow clients, with somebody else who wants to be served meanwhile."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from harness import Server
from processes import resident

RATE = 10_000_000  # bytes per second and client
PIECE = 1 << 16
BLOCK = 1 << 20
GIBIBYTE = 1 << 30


def block(number: int) -> bytes:
    """What apps/under_load.py sends as its block of this number."""
    return number.to_bytes(8, "big") * (BLOCK // 8)


class Pace:
    """Keeps to a rate: ``take(n)`` returns when n more are due."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._due = time.monotonic()
        self._never = threading.Event()

    def take(self, n: int) -> None:
        self._due += n / self._rate
        self._never.wait(max(0.0, self._due - time.monotonic()))


def upload(server: Server) -> None:
    """Send a gibibyte; what the application says of it has to be right."""
    pace, digest = Pace(RATE), hashlib.sha1(usedforsecurity=False)
    with server.connect() as client:
        client.sock.settimeout(60)
        client.send(f"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: {GIBIBYTE}\r\n\r\n".encode())
        for number in range(GIBIBYTE // BLOCK):
            data = block(number)
            digest.update(data)
            for at in range(0, BLOCK, PIECE):
                client.send(data[at : at + PIECE])
                pace.take(PIECE)
        answer = client.answer("POST")
    assert answer.status == 200, answer
    assert json.loads(answer.body) == {"length": GIBIBYTE, "sha1": digest.hexdigest()}


def download(server: Server) -> None:
    """Take a gibibyte, which has to be the right one."""
    pace, digest, left = Pace(RATE), hashlib.sha1(usedforsecurity=False), GIBIBYTE
    with server.connect() as client:
        client.sock.settimeout(60)
        client.send_request("GET", "/download")
        assert client.head().header("content-length") == str(GIBIBYTE)
        while left:
            data, client.buffer = client.buffer or client.sock.recv(PIECE), b""
            assert data, f"cut with {left} bytes to come"
            digest.update(data)
            left -= len(data)
            pace.take(len(data))
    wanted = hashlib.sha1(usedforsecurity=False)
    for number in range(GIBIBYTE // BLOCK):
        wanted.update(block(number))
    assert digest.hexdigest() == wanted.hexdigest()


class Transfer:
    """Both under way, against one worker with one thread."""

    def __init__(self) -> None:
        # A small request may come while the application keeps its only thread busy, which a slow disk draws out to more
        # than the ten seconds after which a request that waits for a thread is answered 503.
        self.server = Server("under_load:wsgi", "--workers", "1", "--threads", "1", "--queue-timeout", "60s")
        for _ in range(100):
            assert self.server.get("/").status == 200
        self._before = self._highest = resident(self.server.process.pid)
        self._pool = ThreadPoolExecutor(4)
        self._transfers = [self._pool.submit(way, self.server) for way in (upload, download)]
        self._asking = self._pool.submit(self._ask)
        self._watching = self._pool.submit(self._watch)

    def _going_on(self) -> bool:
        return not all(transfer.done() for transfer in self._transfers)

    def _watch(self) -> None:
        pace = Pace(10)
        while self._going_on():
            self._highest = max(self._highest, resident(self.server.process.pid))
            pace.take(1)

    def _ask(self) -> list[tuple[float, float]]:
        """Ask for something small ten times a second. Gives when each request began and ended."""
        pace, times = Pace(10), []
        with self.server.connect() as client:
            while self._going_on():
                begun = time.monotonic()
                answer = client.request("GET", "/")
                assert answer.body == b"ok\n", answer
                times.append((begun, time.monotonic()))
                pace.take(1)
        return times

    def wait(self) -> None:
        """Until both have ended well."""
        for future in (*self._transfers, self._watching):
            future.result()

    @property
    def grown(self) -> int:
        """Bytes by which the server's memory grew at most."""
        return self._highest - self._before

    def busy(self) -> list[tuple[float, float]]:
        """When the application itself, so it says, occupied its only thread: making a gibibyte, reading one."""
        return [(float(begun), float(ended)) for begun, ended in re.findall(r"busy (\S+) (\S+)", self.server.log)]

    def waits(self) -> list[float]:
        """How long each small request took that did not come while the thread was busy, sorted."""
        times, busy = self._asking.result(), self.busy()
        return sorted(
            ended - begun
            for begun, ended in times
            if not any(begun <= until and since <= ended for since, until in busy)
        )

    def close(self) -> None:
        self.server.kill()
        self._pool.shutdown()
