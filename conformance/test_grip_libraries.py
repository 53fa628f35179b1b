"""django-grip and django-eventstream, as they are installed, over the server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from harness import PATIENCE, Server


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
            *(*bind, "--workers", "1", "--threads", "1", "--grip-key", "backline=changeme"),
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
