"""Every limit of the edge, and the answer that tells of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import Answer, Client, Server, eventually
from wsgi_gate import Gate


@pytest.fixture
def server(shared: Callable[..., Server]) -> Server:
    return shared("wsgi_http:app", "--workers", "1", "--threads", "8")


@pytest.fixture
def strict(shared: Callable[..., Server]) -> Server:
    """The shortest times and the smallest sizes."""
    return shared(
        "wsgi_http:app", "--workers", "1", "--threads", "1", "--limit-request-body", "1MiB", "--header-timeout", "1s",
        "--keep-alive", "1s", "--body-min-rate", "1000", "--body-rate-window", "1s", "--limit-request-line", "300",
        "--limit-header-block", "1KiB", "--limit-request-fields", "8",
    )  # fmt: skip


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


def line_of(length: int) -> str:
    """A target that makes the request line ``length`` bytes long."""
    return "/" + "a" * (length - len("GET / HTTP/1.1"))


def ended(client: Client, status: int) -> Answer:
    """The error, after which the connection ends."""
    answer = client.answer()
    assert (answer.status, answer.complete) == (status, True), answer
    assert answer.header("connection") == "close"
    assert client.at_end()
    return answer


@pytest.mark.parametrize(("name", "limit"), [("server", 8192), ("strict", 300)])
def test_http_request_line(request: pytest.FixtureRequest, name: str, limit: int) -> None:
    server = request.getfixturevalue(name)
    assert server.get(line_of(limit)).status == 404  # it reached the application
    with server.connect() as client:
        client.send_request("GET", line_of(limit + 1))
        ended(client, 414)


def test_http_request_line_without_an_end(server: Server) -> None:
    with server.connect() as client:
        client.send(b"GET /" + b"a" * 9000)
        ended(client, 414)


@pytest.mark.parametrize(("name", "limit"), [("server", 65536), ("strict", 1024)])
def test_http_header_block(request: pytest.FixtureRequest, name: str, limit: int) -> None:
    server = request.getfixturevalue(name)
    rest = len("Host: testserver\r\nX: \r\n\r\n")
    assert server.get("/", X="a" * (limit - rest)).status == 200
    with server.connect() as client:
        client.send_request("GET", "/", {"X": "a" * (limit - rest + 1)})
        ended(client, 431)


def test_http_header_block_without_an_end(server: Server) -> None:
    with server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nX: " + b"a" * 66_000)
        ended(client, 431)


@pytest.mark.parametrize(("name", "limit"), [("server", 100), ("strict", 8)])
def test_http_number_of_fields(request: pytest.FixtureRequest, name: str, limit: int) -> None:
    server = request.getfixturevalue(name)
    assert server.get("/", **{f"X{n}": "y" for n in range(limit - 1)}).status == 200
    with server.connect() as client:
        client.send_request("GET", "/", {f"X{n}": "y" for n in range(limit)})
        ended(client, 431)


def test_http_body_at_the_limit(strict: Server) -> None:
    assert len(strict.request("POST", "/echo", body=b"b" * (1 << 20)).body) == 1 << 20


def test_http_body_over_the_limit_is_refused_before_it_comes(strict: Server) -> None:
    with strict.connect() as client:
        client.send_request("POST", "/echo", {"Content-Length": str((1 << 20) + 1)})
        ended(client, 413)


def test_http_body_over_the_limit_that_comes_all_the_same(strict: Server) -> None:
    """The answer must arrive although the client is still sending: a reset would lose it."""
    with strict.connect() as client:
        client.send_request("POST", "/echo", body=b"b" * (3 << 20))
        ended(client, 413)


def test_http_expected_body_over_the_limit_is_not_asked_for(strict: Server) -> None:
    with strict.connect() as client:
        client.send_request("POST", "/echo", {"Content-Length": str(2 << 20), "Expect": "100-continue"})
        assert ended(client, 413).interim == []


def test_http_chunked_body_over_the_limit(strict: Server) -> None:
    with strict.connect() as client:
        client.send_request("POST", "/echo", {"Transfer-Encoding": "chunked"})
        client.send(b"10000\r\n" + b"b" * 65536 + b"\r\n")
        client.send((b"10000\r\n" + b"b" * 65536 + b"\r\n") * 16)
        ended(client, 413)


def test_http_streamed_chunked_body_over_the_limit(strict: Server) -> None:
    with strict.connect() as client:
        client.send_request("POST", "/digest", {"Transfer-Encoding": "chunked", "Expect": "100-continue"})
        assert client.head().status == 100
        client.send((b"10000\r\n" + b"b" * 65536 + b"\r\n") * 17)
        ended(client, 413)
    assert strict.get("/").status == 200


def test_http_streamed_malformed_body(strict: Server) -> None:
    with strict.connect() as client:
        client.send_request("POST", "/digest", {"Transfer-Encoding": "chunked", "Expect": "100-continue"})
        assert client.head().status == 100
        client.send(b"3\r\nabc\r\nxyz\r\n" + b"more that nobody reads" * 100)
        ended(client, 400)
    assert strict.get("/").status == 200


@contextmanager
def taking(least: float, most: float) -> Iterator[None]:
    """That what is done takes so many seconds. What the machine is late with anything meanwhile is not the server's:
    with a load of 17 on two processors 1 s has become more than 4."""
    late, over = 0.0, threading.Event()

    def watch() -> None:
        nonlocal late
        while not over.is_set():
            begun = time.monotonic()
            over.wait(0.05)
            late += max(0.0, time.monotonic() - begun - 0.05)

    watcher = threading.Thread(target=watch)
    begun = time.monotonic()
    watcher.start()
    try:
        yield
    finally:
        took = time.monotonic() - begun
        over.set()
        watcher.join()
    assert least <= took <= most + late, (took, late)


def test_http_head_that_does_not_arrive(strict: Server) -> None:
    with taking(0.7, 4), strict.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n")
        ended(client, 408)


def test_http_head_that_trickles(strict: Server) -> None:
    """Sending a byte now and then does not buy more time."""
    with strict.connect() as client:
        client.sock.settimeout(0.2)
        sent = 0

        def trickled() -> bool:
            nonlocal sent
            sent += 1
            client.send(b"G" if sent < 40 else b" ")
            try:
                return client.fill()
            except TimeoutError:
                return False

        eventually(trickled, "408 for a head that trickles", 5)
        client.sock.settimeout(20)
        ended(client, 408)


def test_http_second_head_that_does_not_arrive(strict: Server) -> None:
    with strict.connect() as client:
        assert client.request("GET", "/").status == 200
        client.send(b"GET / HT")
        ended(client, 408)


def test_http_body_that_stops(strict: Server) -> None:
    with strict.connect() as client:
        client.send_request("POST", "/echo", {"Content-Length": "5000"}, b"half")
        ended(client, 408)


@pytest.mark.parametrize("expect", [False, True], ids=["collected", "streamed"])
def test_http_body_that_trickles(strict: Server, expect: bool) -> None:
    """It is the rate that counts: a byte now and then does not buy more time."""
    with strict.connect() as client:
        expected = {"Expect": "100-continue"} if expect else {}
        client.send_request("POST", "/digest", {"Content-Length": "5000", **expected})
        if expect:
            assert client.head().status == 100
        client.sock.settimeout(0.1)

        def trickled() -> bool:
            client.send(b"b")
            try:
                return client.fill()
            except TimeoutError:
                return False

        eventually(trickled, "408 for a body that trickles", 10)
        client.sock.settimeout(20)
        ended(client, 408)
    assert strict.get("/").status == 200


def test_http_streamed_body_that_stops(strict: Server) -> None:
    with strict.connect() as client:
        client.send_request("POST", "/digest", {"Content-Length": "5000", "Expect": "100-continue"})
        assert client.head().status == 100
        client.send(b"half")
        ended(client, 408)
    assert strict.get("/").status == 200  # the one thread is free again


def test_http_body_that_is_fast_enough(strict: Server) -> None:
    with strict.connect() as client:
        client.send_request("POST", "/echo", {"Content-Length": "30000"})
        since, sent = time.monotonic(), 0

        def all_sent() -> bool:
            nonlocal sent
            due = min(30_000, int(12_000 * (time.monotonic() - since)))
            client.send(b"b" * (due - sent))
            sent = due
            return sent == 30_000

        eventually(all_sent, "an upload of 12 kB/s")
        assert len(client.answer().body) == 30_000


def test_http_a_slow_application_is_no_slow_body(strict: Server, gate: Gate) -> None:
    """While the application does not read, the client cannot be blamed."""
    with strict.connect() as client:
        client.send_request("POST", f"/slow?n=4&{gate}", {"Content-Length": "4", "Expect": "100-continue"})
        client.sock.settimeout(2.5)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)
        client.sock.settimeout(20)
        gate.open()
        assert client.head().status == 100
        client.send(b"body")
        assert client.answer().body == b"body"


@pytest.mark.parametrize("first", [True, False], ids=["before the first request", "after a request"])
def test_http_idle_connection_closes(strict: Server, first: bool) -> None:
    with strict.connect() as client:
        if not first:
            assert client.request("GET", "/").status == 200
        with taking(0.7, 4):
            assert client.at_end()  # without a word: there is no request to answer


def test_http_limit_connections_evicts_idle_ones(serve: Callable[..., Server]) -> None:
    server = serve("wsgi_http:app", "--workers", "1", "--limit-connections", "10")
    clients = [server.connect() for _ in range(10)]
    for client in clients:
        assert client.request("GET", "/").status == 200
    with server.connect() as eleventh:
        assert eleventh.request("GET", "/").status == 200
    assert sum(1 for client in clients if still_open(client)) in range(7, 10)
    for client in clients:
        client.close()


def still_open(client: Client) -> bool:
    try:
        return client.request("GET", "/").status == 200
    except (AssertionError, OSError):
        return False


def test_http_limit_connections_spares_busy_ones(serve: Callable[..., Server], gate: Gate) -> None:
    server = serve("wsgi_http:app", "--workers", "1", "--threads", "8", "--limit-connections", "3")
    busy = [server.connect() for _ in range(3)]
    for client in busy:
        client.send_request("GET", f"/steps?n=1&{gate}")
        assert client.head().status == 200
    with server.connect() as waiting:
        waiting.send_request("GET", "/")
        waiting.sock.settimeout(0.6)
        with pytest.raises(TimeoutError):
            waiting.sock.recv(1)  # it waits in the kernel's backlog
        waiting.sock.settimeout(20)
        for _ in busy:
            gate.open()
        for client in busy:
            assert b"".join(chunk or b"" for chunk in client.chunks()) == b"step 0"
        assert waiting.answer().text == "hello"  # an idle one was closed in its favour
    for client in busy:
        client.close()
