"""django-grip and django-eventstream, as they are installed, over the server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from harness import PATIENCE, Server, eventually
from sockets import connect, refused


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("grip")
    with socket.create_server(("127.0.0.1", 0)) as admin:
        # The libraries are told where to publish before the server runs, so its port is opened for it.
        env = {
            "GRIP_URL": f"http://127.0.0.1:{admin.getsockname()[1]}/?iss=backline&key=changeme",
            "GRIP_DATABASE": str(folder / "database"),
        }
        bind = ("--admin-bind", f"fd://{admin.fileno()}")
        with Server(
            "grip_django",
            *(*bind, "--workers", "1", "--threads", "1", "--grip-key", "backline=changeme", "--websocket-over-http"),
            env=env,
            pass_fds=[admin.fileno()],
        ) as server:
            yield server


@pytest.fixture
def client(site: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{site.port}", timeout=PATIENCE) as client:
        yield client


class Stream:
    """An answer that goes on."""

    def __init__(self, client: httpx.Client, target: str, **headers: str) -> None:
        self._context = client.stream("GET", target, headers=headers)
        self.answer = self._context.__enter__()
        self._lines = self.answer.iter_lines()

    def line(self) -> str:
        return next(self._lines)

    def event(self) -> dict[str, str]:
        """The next event of server-sent events that is one."""
        found: dict[str, str] = {}
        for line in self._lines:
            if not line and found.get("event") not in (None, "keep-alive"):
                return found
            if line and not line.startswith(":"):
                name, _, value = line.partition(":")
                found[name] = value.removeprefix(" ")
            elif not line:
                found = {}
        return {}

    def close(self) -> None:
        self._context.__exit__(None, None, None)


def test_requests_are_known_to_be_proxied_and_signed(client: httpx.Client) -> None:
    said = client.get("/about/").text
    assert said.startswith("True True") and "'filter:build-id'" in said and "'link:next'" in said
    assert client.get("/about/", headers={"Grip-Sig": "forged"}).text.startswith("True True")


def test_a_long_poll_and_a_stream_of_django_grip(site: Server, client: httpx.Client) -> None:
    with site.connect() as poll, site.connect() as other:
        poll.send_request("GET", "/poll/")
        other.send_request("GET", "/poll/?modified")
        stream = Stream(client, "/stream/")
        assert stream.line() == "open"
        assert site.get("/say/").text == "said"
        answer = poll.answer()
        assert (answer.text, answer.header("x-a")) == ("news\n", "1")
        assert other.answer().text == "news\n"
        assert stream.line() == "news"
        site.get("/close/")
        with pytest.raises(StopIteration):
            stream.line()


def test_events_reach_clients_and_reconnects_miss_none(site: Server, client: httpx.Client) -> None:
    first = Stream(client, "/events/")
    assert first.event()["event"] == "stream-open"
    site.get("/event/?channel=room&n=100%25")
    got = first.event()
    assert got["data"] == '{"n": "100%"}' and got["event"] == "message"
    last = got["id"]
    assert dict(part.split(":") for part in last.split(","))["room"] == "1"
    first.close()
    site.get("/event/?channel=room&n=2")
    site.get("/event/?channel=other&n=3")
    again = Stream(client, "/events/", **{"Last-Event-ID": last})
    assert again.event()["event"] == "stream-open"
    missed = {again.event()["data"], again.event()["data"]}
    assert missed == {'{"n": "2"}', '{"n": "3"}'}
    site.get("/event/?channel=room&n=4")
    assert again.event()["data"] == '{"n": "4"}'
    again.close()


def test_an_event_whose_publication_was_lost_is_asked_for(site: Server, client: httpx.Client) -> None:
    stream = Stream(client, "/events/")
    assert stream.event()["event"] == "stream-open"
    site.get("/event/?channel=room&n=a")
    assert stream.event()["data"] == '{"n": "a"}'
    site.get("/silently/?channel=room")
    site.get("/event/?channel=room&n=b")
    assert [stream.event()["data"] for _ in range(2)] == ['{"n": "lost"}', '{"n": "b"}']
    stream.close()


def test_who_is_skipped_or_kicked(site: Server, client: httpx.Client) -> None:
    stream = Stream(client, "/events/")
    assert stream.event()["event"] == "stream-open"
    site.get("/event/?channel=other&n=1&skip=anonymous")
    site.get("/event/?channel=other&n=2")
    assert stream.event()["data"] == '{"n": "2"}'
    site.get("/kick/?channel=elsewhere")
    site.get("/kick/?channel=other")
    assert stream.event()["event"] == "stream-error"
    assert stream.event() == {}


def test_websockets_of_a_synchronous_view(site: Server, client: httpx.Client) -> None:
    """django-grip's WebSocket-over-HTTP, with one worker of one thread for all sockets."""
    with connect(site, "/chat/?who=ann") as ann, connect(site, "/chat/?who=bob") as bob:
        for n in range(20):
            ann.send(f"{n} \u20ac")
        bob.send(bytes(range(256)))
        bob.send("x" * 200_000)
        assert [ann.message() for _ in range(20)] == [f"ann: {n} \u20ac" for n in range(20)]
        assert bob.message() == bytes(range(256))[::-1]
        assert bob.message() == "bob: " + "x" * 200_000
        site.get("/broadcast/?text=all")
        assert (ann.message(), bob.message()) == ("all", "all")
        ann.send("bye")
        assert ann.closed()[0] == 4001
        assert bob.close(4002) == (4002, "")
    with connect(site, "/chat/?who=cat") as cat:
        cat.send("x")
        assert cat.message() == "cat: x"
    told = "bob left with 4002 and cat vanished"
    eventually(lambda: client.get("/who_left/").text == told, "the view hears of both")
    assert refused(site, "/chat/").text == "log in"
    assert client.get("/chat/").status_code == 400
    forged = {"Content-Type": "application/websocket-events", "Meta-Who": "ann", "Connection-Id": "1"}
    assert client.post("/chat/", content=b"TEXT 2\r\nhi\r\n", headers=forged).status_code == 400


def test_websockets_outlive_the_worker(site: Server) -> None:
    with connect(site, "/chat/?who=ann") as ann:
        ann.send("die")
        site.wait_for("a worker ended in the middle of a WebSocket's message")
        ann.send("still here")
        assert ann.message() == "ann: still here"
        site.get("/broadcast/?text=all")
        assert ann.message() == "all"
