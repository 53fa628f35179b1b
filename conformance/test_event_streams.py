"""Streams of events that go on from the Last-Event-ID of clients that come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from authority import Authority
from browser import find
from harness import PATIENCE, Server, eventually
from http2 import Connection
from processes import alive, children, kill
from test_nodes import Nodes, free_address
from test_nodes import start as start

Serve = Callable[..., Server]
APPS = ["goes_on:wsgi", "goes_on:asgi"]


class Source:
    """What a browser's EventSource does: it keeps the last id, and says it when it opens the stream again."""

    def __init__(self, server: Server, groups: str = "room", last: str = "") -> None:
        self.server, self.groups, self.last = server, groups, last
        self.open()

    def open(self) -> None:
        self.client = self.server.connect()
        self.client.send_request(
            "GET", f"/events?groups={self.groups}", {"Last-Event-ID": self.last} if self.last else {}
        )
        head = self.client.head()
        assert head.status == 200 and head.header("content-type") == "text/event-stream", self.server.log
        assert not [name for name, _ in head.headers if name.lower().startswith(("grip", "backline"))]
        self.texts = self.parse(self.client.chunks())

    def parse(self, chunks: Iterator[bytes | None]) -> Iterator[str]:
        buffer = b""
        for chunk in chunks:
            if chunk is None:
                return
            buffer += chunk
            while b"\n\n" in buffer:
                event, _, buffer = buffer.partition(b"\n\n")
                fields = [line.partition(": ") for line in event.decode().split("\n")]
                found = {name: value for name, _, value in fields}  # the last of a name counts
                self.last = found.get("id", self.last)
                if "data" in found:
                    yield f"{found['event']} {found['data']}" if "event" in found else found["data"]

    def take(self, count: int) -> list[str]:
        return [next(self.texts) for _ in range(count)]

    def close(self) -> None:
        self.client.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def say(server: Server, *texts: str, group: str = "room") -> None:
    for text in texts:
        assert server.get(f"/say?group={group}&text={text}").status == 200, server.log


@pytest.mark.parametrize("app", APPS)
def test_a_client_that_comes_back_gets_what_it_missed(serve: Serve, app: str) -> None:
    server = serve(app, "-w", "2", "--history", "*=10/1h")
    say(server, "0")
    with Source(server, "room,other") as source:
        assert source.take(1) == ["0"], "all that is remembered, for a first visit"
        say(server, "1", "2")
        assert source.take(2) == ["1", "2"]
    say(server, "3")
    say(server, "a", group="other")
    source.open()
    assert source.take(2) == ["3", "a"]
    say(server, "4")
    assert source.take(1) == ["4"]
    source.close()


@pytest.mark.parametrize("app", APPS)
def test_streams_outlive_their_worker(serve: Serve, app: str) -> None:
    server = serve(app, "-w", "1", "--history", "*=10/1h")
    with Source(server) as source:
        say(server, "1")
        assert source.take(1) == ["1"]
        (worker,) = children(server)
        kill(worker)
        eventually(lambda: not alive(worker) and children(server), "another worker")
        say(server, "2")
        assert source.take(1) == ["2"], "the server holds the stream"
    say(server, "3")
    source.open()
    assert source.take(1) == ["3"], "and what was published"
    source.close()


@pytest.mark.parametrize("app", APPS)
def test_a_client_that_comes_back_too_late_is_told(serve: Serve, app: str) -> None:
    server = serve(app, "-w", "1", "--history", "room=2/1h", "--history", "other=2/1h")
    with Source(server, "room,other") as source:
        say(server, "1")
        assert source.take(1) == ["1"]
    say(server, "2", "3", "4")
    say(server, "a", group="other")
    source.open()
    assert source.take(2) == ["backline.gap room", "a"], "in one of the groups"
    say(server, "5")
    assert source.take(1) == ["5"], "it goes on from now"
    source.close()
    source.open()
    say(server, "6")
    assert source.take(1) == ["6"], "and from there without a gap"
    source.close()
    with serve(app, "-w", "1", "--history", "*=2/1h") as fresh:
        source.server = fresh
        source.open()
        assert sorted(source.take(2)) == ["backline.gap other", "backline.gap room"], "after a start of the server"
        source.close()
        for nonsense in ("7", "nonsense", "x" * 5000):
            with Source(fresh, last=nonsense) as lost:
                assert lost.take(1) == ["backline.gap room"]


@pytest.mark.parametrize("app", APPS)
def test_what_other_readers_get_displaces_nothing(serve: Serve, app: str) -> None:
    """Messages, events and answers for polls of one group are remembered each for those who read them."""
    server = serve(app, "-w", "1", "--history", "room=3/1h")
    with Source(server) as source:
        say(server, "1")
        assert source.take(1) == ["1"]
    for text in ("m1", "m2"):
        server.get(f"/send?text={text}")
    for _ in range(8):
        server.get("/polled")
    say(server, "2", "3", "4")
    for n in range(3, 5):
        server.get(f"/send?text=m{n}")
    assert server.get("/history").text == "m2 m3 m4"
    source.open()
    assert source.take(3) == ["2", "3", "4"]
    source.close()


@pytest.mark.parametrize("app", APPS)
def test_over_http2(serve: Serve, app: str, tmp_path: Path) -> None:
    cert, key = Authority(tmp_path).issue("localhost")
    server = serve(app, "-w", "1", "--history", "*=10/1h", "--certfile", str(cert), "--keyfile", str(key))
    with Connection(server) as connection:
        first = connection.open("GET", "/events")
        connection.until(lambda: b"\nid: " in first.body)
        connection.get("/say?text=1")
        connection.until(lambda: b"data: 1\n" in first.body)
        connection.reset(first)
        connection.get("/say?text=2")
        last = first.body.decode().rpartition("\nid: ")[2].strip()
        second = connection.open("GET", "/events", [("last-event-id", last)])
        connection.until(lambda: b"data: 2\n" in second.body)
        assert b"data: 1\n" not in second.body and b"gap" not in second.body


MESSAGES = 120


@pytest.mark.parametrize("app", APPS)
def test_nothing_is_lost_and_nothing_comes_twice(serve: Serve, app: str) -> None:
    server = serve(app, "-w", "2", "--history", "room=1000/1h")
    got: list[str] = []

    def publishes() -> None:
        say(server, *map(str, range(MESSAGES)))

    source = Source(server)
    publisher = Thread(target=publishes)
    publisher.start()
    while len(got) < MESSAGES:
        got += source.take(1 + len(got) % 5)[: MESSAGES - len(got)]
        source.close()  # while others publish
        if len(got) < MESSAGES:
            source.open()
    publisher.join(PATIENCE)
    assert got == [str(n) for n in range(MESSAGES)]


def test_a_stream_goes_on_at_another_server(start: Nodes) -> None:
    """A client comes to a server that has never heard of its groups, and to one that starts only then."""
    addresses = [free_address() for _ in range(2)]
    first, second = start("goes_on:wsgi", addresses, "--history", "*=100/1h")
    for each in (first, second):
        each.wait_for("servers=2")
    with Source(first, "room,other") as here:
        say(first, "0")
        here.take(1)
        while not all("." in each for each in here.last.split(",")):  # until other servers understand both
            say(first, "0", "0")
            say(first, "0", group="other")
            here.take(3)
        seen = here.last
        say(first, "1")
        say(second, "2", group="other")
        assert sorted(here.take(2)) == ["1", "2"]
        with Source(second, "room,other", seen) as there:
            missed = sorted(there.take(2))
            assert missed == ["1", "2"], second.log
            say(second, "3")
            assert there.take(1) == here.take(1) == ["3"]
            seen = there.last
    say(first, "4")
    (third,) = start("goes_on:wsgi", [free_address()], "--history", "*=100/1h", "--bus-peers", addresses[1])
    third.wait_for("servers=3")
    first.kill()
    for each in (second, third):
        each.wait_for("a server is silent")
    with Source(third, "room,other", seen) as there:
        assert there.take(1) == ["4"]
        say(third, "5")
        assert there.take(1) == ["5"]
    with Source(third, last="1f-9.1-1") as lost:
        assert lost.take(1) == ["backline.gap room"]


@pytest.mark.skipif(not find(), reason="no Chromium here")
def test_a_browser_goes_on_by_itself(serve: Serve, request: pytest.FixtureRequest) -> None:
    server = serve("goes_on:wsgi", "-w", "2", "--history", "*=100/1h")
    page = request.getfixturevalue("browser").visit(f"http://127.0.0.1:{server.port}/page", width=600)
    page.wait("opened === 1")
    say(server, "first")
    page.wait("heard.length === 1")
    for n in range(10):
        say(server, f"a{n}")
        server.get("/close")  # the stream ends, and the browser opens it again by itself
        say(server, f"b{n}")
    page.wait("heard.length >= 21")
    say(server, "last", group="other")
    page.wait("heard.at(-1) === 'last'")
    wanted = ["first", *[f"{which}{n}" for n in range(10) for which in "ab"], "last"]
    assert page.evaluate("heard") == wanted
    assert page.evaluate("opened") > 1
    page.close()
