"""The access log as an operator gets it: what a line says about a request, whoever answered or gave up."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import APPS, BINARY, PATIENCE, Server, eventually

Serve = Callable[..., Server]
ATOMS = "%(m)s %(U)s|%(q)s %(s)s %(b)s %(W)s %(x)s"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def lines(path: Path, count: int = 1) -> list[str]:
    """The lines, once there are so many."""
    found = eventually(
        lambda: len(seen := path.read_text().splitlines()) >= count and seen, f"{count} lines in the log"
    )
    assert isinstance(found, list)
    return found


def records(path: Path, count: int = 1) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(path, count)]


def test_off_by_default(serve: Serve) -> None:
    server = serve("supervised", "-w", "1")
    server.get("/not-in-the-log")
    server.stop()
    assert "not-in-the-log" not in server.log


@pytest.mark.parametrize("flags", [["--access-logfile", "-"], ["--access-log"]], ids=" ".join)
def test_standard_output(flags: list[str]) -> None:
    command = [str(BINARY), "serve", "supervised", "-b", "127.0.0.1:0", "-w", "1", "--python", sys.executable, *flags]
    process = subprocess.Popen(command, cwd=APPS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        address = next(line for line in process.stderr if line.startswith("  on"))
        port = address.strip().rpartition(":")[2]
        next(line for line in process.stderr if line.startswith("  ready in"))
        subprocess.run(
            [sys.executable, "-c", f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}/a?b=c')"],
            check=True,
            timeout=PATIENCE,
        )
    finally:
        process.terminate()
    out, err = process.communicate(timeout=PATIENCE)
    assert re.fullmatch(
        r'127\.0\.0\.1 - - \[[^]]+\] "GET /a\?b=c HTTP/1\.1" 200 \d+ "-" "Python-urllib/[\d.]+" '
        r"\d+\.\d{3} \d+\.\d{3} web\.1\n",
        out,
    ), out
    assert "GET /a" not in err


def test_each_line_has_duration_queue_wait_and_worker(serve: Serve, log: Path) -> None:
    server = serve(
        "supervised", "-w", "1", "--threads", "1", "--access-logfile", str(log), "--access-logformat", "json"
    )
    with server.connect() as first, server.connect() as second:
        first.send_request("GET", "/lines/0.6")
        assert first.head().status == 200  # the one thread is taken
        second.send_request("POST", "/nap/0.1", body=b"x")  # a POST waits in the server, never in the worker
        assert b"".join(chunk or b"cut" for chunk in first.chunks()) == b"first\nsecond\n"
        assert second.answer().status == 200
    by_path = {record["path"]: record for record in records(log, 2)}
    slow, waited = by_path["/lines/0.6"], by_path["/nap/0.1"]
    assert 600 <= slow["duration_ms"] < 3000 and slow["queue_ms"] < 300
    assert waited["queue_ms"] > 200
    assert waited["duration_ms"] >= waited["queue_ms"] + 100
    for record in (slow, waited):
        assert record["worker"] == "web.1" and record["pid"] > 0
        assert record["status"] == 200 and record["client"] == "127.0.0.1" and record["aborted"] == ""


def test_atoms(serve: Serve, log: Path) -> None:
    form = '%({x-id}i)s %({content-type}o)s "%(r)s" %(a)s %(f)s %(B)s %(p)s %(D)s %(L)s'
    server = serve("supervised", "-w", "1", "--access-logfile", str(log), "--access-logformat", form)
    answer = server.request("GET", "/%41?q=1", {"X-Id": "7", "User-Agent": 'a"b', "Referer": "http://from"})
    assert re.fullmatch(
        r'7 text/plain "GET /%41\?q=1 HTTP/1\.1" a\\x22b http://from '
        rf"{len(answer.body)} <{answer.text}> \d+ 0\.\d{{6}}",
        lines(log)[0],
    ), lines(log)[0]


@pytest.mark.parametrize(
    ("sent", "line"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", r"GET \S+\| 400 \d+ - client"),
        (b"nonsense\r\n\r\n", r"\S+ \S+\| 400 \d+ - client"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", r"\S+ \S+\| 414 \d+ - client"),
        (b"GET /a HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", r"\S+ \S+\| 431 \d+ - client"),
        (b"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999999\r\n\r\n", r"POST /a\|b 413 \d+ - client"),
    ],
    ids=["400-no-host", "400-nonsense", "414", "431", "413"],
)
def test_answers_of_the_edge_are_logged(serve: Serve, log: Path, sent: bytes, line: str) -> None:
    server = serve("supervised", "-w", "1", "--access-logfile", str(log), "--access-logformat", ATOMS)
    with server.connect() as client:
        client.send(sent)
        client.answer()
    assert re.fullmatch(line, lines(log)[0]), lines(log)[0]


def test_head_that_never_ends_is_logged(serve: Serve, log: Path) -> None:
    server = serve(
        "supervised", "-w", "1", "--header-timeout", "500ms", "--access-logfile", str(log), "--access-logformat", ATOMS
    )
    with server.connect() as client:
        client.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n")
        assert client.answer().status == 408
    assert re.search(r" 408 \d+ - client$", lines(log)[0]), lines(log)[0]


def test_busy_server_dead_worker_and_timeout_are_logged(serve: Serve, log: Path) -> None:
    server = serve(
        *("supervised", "-w", "1", "--threads", "1", "--queue-size", "0", "--timeout", "1s"),
        *("--access-logfile", str(log), "--access-logformat", ATOMS),
    )
    assert server.request("POST", "/vanish/1").status == 502
    server.wait_for("worker up")
    with server.connect() as busy:
        busy.send_request("POST", "/nap/30")
        eventually(lambda: server.request("POST", "/refused").status == 503, "the only thread is busy")
        assert busy.answer().status == 504
    seen = lines(log, 3)
    assert any(re.fullmatch(r"POST /refused\| 503 \d+ - queue-full", line) for line in seen), seen
    assert any(re.fullmatch(r"POST /nap/30\| 504 \d+ web\.2 timeout", line) for line in seen), seen
    assert any(re.fullmatch(r"POST /vanish/1\| 502 \d+ web\.1 worker", line) for line in seen), seen


def test_client_that_goes_away_is_logged(serve: Serve, log: Path) -> None:
    server = serve(
        "supervised_asgi",
        "-w",
        "1",
        "--access-logfile",
        str(log),
        "--access-logformat",
        ATOMS,
        "--disconnect-grace",
        "0",
    )
    with server.connect() as client:
        client.send_request("GET", "/silent")
        assert client.head().status == 200
    assert re.fullmatch(r"GET /silent\| 200 \d+ web\.1 client", lines(log)[0]), lines(log)[0]
    with server.connect() as client:
        client.send_request("GET", "/forever")
        server.get("/")
    assert eventually(
        lambda: any(re.fullmatch(r"GET /forever\| 0 - web\.1 client", line) for line in lines(log)), "the second line"
    )


def test_a_client_cannot_forge_a_line(serve: Serve, log: Path) -> None:
    server = serve("supervised", "-w", "1", "--access-logfile", str(log))
    server.request("GET", "/", {"User-Agent": 'x" 200 "\xff'})
    assert r"x\x22 200 \x22\xff" in lines(log)[0]


def test_lines_of_the_last_requests_are_not_lost(serve: Serve, log: Path) -> None:
    server = serve("supervised", "-w", "1", "--access-logfile", str(log))
    for number in range(20):
        server.get(f"/{number}")
    assert server.stop() == 0
    assert len(log.read_text().splitlines()) == 20


def test_file_is_appended_to_and_not_for_everybody(serve: Serve, log: Path) -> None:
    for _ in range(2):
        server = serve("supervised", "-w", "1", "--access-logfile", str(log))
        server.get("/")
        server.stop()
    assert len(log.read_text().splitlines()) == 2
    assert log.stat().st_mode & 0o777 == 0o640


def test_full_disk_is_said_and_costs_no_request(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "--access-logfile", "/dev/full")
    assert server.get("/").status == 200
    server.wait_for("the access log lost lines lines=1 error=.*no space left")
    assert server.get("/").status == 200
