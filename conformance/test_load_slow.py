"""Clients that are slow on purpose, 4,000 at a time, and one address that asks without end: others wait no longer."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crowds import allow
from harness import Client, Server, eventually
from processes import children, resident
from proxies import connect

pytestmark = [pytest.mark.load, pytest.mark.timeout(180)]

SLOW = 4_000
MEGABYTE = 1_000_000
GROWN = 50 * MEGABYTE
FACTOR = 2.0
FLOOR = 1.0  # milliseconds below which a p99 is the machine's, not the server's
BUSY_FLOOR = 5.0  # the same while slowhttptest is not slow: 500 new connections a second take processors too
TRIES = 6  # times that are taken before one is believed to be too long: other programs run here too
PER_ADDRESS, RATE = 50, 20  # connections, and requests in a second, that one address has in the last test
WINDOWS, WINDOW = 5, 0.3  # how often, and for how many seconds each, the other client's time is taken
LARGE = 64_000

# slowhttptest's ways to be slow. They say something every 5 s: 4,000 that did each second would be plain load.
ATTACKS = {
    "slow_headers": ["-H", "-r", "3000", "-i", "5", "-x", "24"],
    "slow_body": ["-B", "-r", "3000", "-i", "5", "-s", "8192", "-x", "10"],
    "slow_read": ["-X", "-r", "3000", "-w", "1", "-y", "8", "-n", "5", "-z", "8", "-k", "3"],
    "range": ["-R", "-r", "500", "-a", "1", "-b", "3000"],  # is answered at once; so many come in a second
}
ESTABLISHED, LISTEN = "01", "0A"  # states in /proc/net/tcp
Serve = Callable[..., Server]


@pytest.fixture(autouse=True)
def descriptors() -> None:
    allow(2 * SLOW)


def p99(client: Client, windows: int = WINDOWS) -> float:
    """Of one client that asks again and again for a while, in milliseconds; the median of several whiles."""
    found = []
    for _ in range(windows):
        taken: list[float] = []
        end = time.monotonic() + WINDOW
        while (begun := time.monotonic()) < end or len(taken) < 100:
            answer = client.request("GET", "/")
            taken.append(1000 * (time.monotonic() - begun))
            assert (answer.status, answer.body) == (200, b"ok\n")
        found.append(statistics.quantiles(taken, n=100)[98])
    return statistics.median(found)


def connections(server: Server) -> int:
    """How many are open and accepted, by the kernel's own count."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    own = [row for row in rows if row[1].endswith(f":{server.port:04X}")]
    # A listening socket's receive queue is those that nobody has accepted.
    waiting = sum(int(row[4].partition(":")[2], 16) for row in own if row[3] == LISTEN)
    return sum(row[3] == ESTABLISHED for row in own) - waiting


def memory(server: Server) -> int:
    """Of the server and its worker."""
    return sum(resident(pid) for pid in (server.process.pid, *children(server)))


@contextlib.contextmanager
def slow(server: Server, target: str, flags: list[str]) -> Iterator[None]:
    program = shutil.which("slowhttptest") or pytest.fail("slowhttptest is not installed; ci/setup.sh does it")
    command = [
        program, *flags, "-c", str(SLOW), "-l", "120", "-p", "20", "-v", "0",
        "-u", f"http://127.0.0.1:{server.port}{target}",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    said: list[bytes] = []
    assert process.stdout is not None
    reader = threading.Thread(target=said.extend, args=(process.stdout,), daemon=True)
    reader.start()
    try:
        yield
        assert process.poll() is None, b"".join(said)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("attack", ATTACKS)
def test_slow_clients_are_in_nobodys_way(serve: Serve, tmp_path: Path, attack: str) -> None:
    (tmp_path / "large").write_bytes(bytes(LARGE))
    log = tmp_path / "access.log"
    # By default they are thrown out after 10 s, before all are there on a slow machine. So they are harder to bear.
    patient = ["--header-timeout", "150", "--body-rate-window", "150"]
    server = serve(
        "under_load:wsgi", "-w", "1", "--static", f"/static/={tmp_path}", "--access-logfile", str(log), *patient
    )

    def under_way() -> bool:
        if attack == "range":
            return log.read_bytes().count(b"/static/large") >= SLOW // 10
        return connections(server) > SLOW  # and the one that is not slow

    with server.connect() as client:
        p99(client, 1)  # what the first requests allocate for good
        before, quiet = memory(server), p99(client)
        with slow(server, "/static/large" if attack in ("slow_read", "range") else "/", ATTACKS[attack]):
            eventually(under_way, f"{SLOW} slow clients", timeout=60)
            most = FACTOR * max(quiet, BUSY_FLOOR if attack == "range" else FLOOR)
            seen: list[float] = []
            while len(seen) < TRIES and (not seen or min(seen) > most):
                seen.append(p99(client))
            grown = memory(server) - before
            still = connections(server)
    took = ", ".join(f"{each:.2f}" for each in seen)
    told = f"{attack}: p99 {quiet:.2f} -> {took} ms, {grown / MEGABYTE:+.1f} MB, {still} connections"
    print(told)
    assert attack == "range" or still > SLOW, told
    assert min(seen) <= most, told
    assert grown < GROWN, told


def ask_without_end(server: Server, stop: threading.Event, statuses: list[int]) -> None:
    """One more of the attacker's connections. Whatever becomes of it, it tries again."""
    while not stop.is_set():
        with contextlib.suppress(OSError, AssertionError), connect(server.port, "127.0.0.9") as client:
            while not stop.is_set():
                statuses.append(client.request("GET", "/").status)


@pytest.mark.skipif(sys.platform != "linux", reason="clients get addresses of 127.0.0.0/8, which Linux has")
def test_one_address_that_floods_is_alone_refused(serve: Serve) -> None:
    limits = ["--limit-connections-per-address", str(PER_ADDRESS), "--limit-rate", f"{RATE}/s"]
    server = serve("under_load:wsgi", "-w", "1", *limits)
    stop, statuses, begun = threading.Event(), list[int](), time.monotonic()
    attackers = [threading.Thread(target=ask_without_end, args=(server, stop, statuses)) for _ in range(4)]
    held = [connect(server.port, "127.0.0.9") for _ in range(2 * PER_ADDRESS)]
    for thread in attackers:
        thread.start()
    try:
        server.wait_for("more connections than limit_connections_per_address allows.*address=127.0.0.9")
        for client in held[PER_ADDRESS:]:
            assert client.at_end()
        for client in held[: PER_ADDRESS // 2]:
            client.close()  # which makes room for those that ask
        eventually(lambda: statuses.count(429) > 10 * RATE, "many refusals")
        with connect(server.port, "127.0.0.2") as other:
            assert [other.request("GET", "/").status for _ in range(RATE)] == [200] * RATE
    finally:
        stop.set()
        for thread in attackers:
            thread.join()
        for client in held:
            client.close()
    assert set(statuses) == {200, 429}
    assert statuses.count(200) <= RATE * (1 + time.monotonic() - begun) + 1
