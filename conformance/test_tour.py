"""`make demo`: each link of examples/tour over the real server, with the standard library alone."""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from harness import ROOT, Client, Server, eventually, in_parallel

TOUR = ROOT / "examples" / "tour"


@pytest.fixture(scope="module")
def tour() -> Iterator[Server]:
    server = Server("app:app", "--websocket", "live:app", "--chdir", str(TOUR), cwd=ROOT)
    yield server
    server.stop()


def test_demo_is_what_make_demo_runs() -> None:
    shown = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "bin/backline serve app:app --websocket live:app --chdir examples/tour" in shown


def test_standard_library_alone() -> None:
    listing = "import sys; sys.path.insert(0, '.'); import app, live; print(*{n.split('.')[0] for n in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", listing], cwd=TOUR, capture_output=True, text=True, check=True
    )
    foreign = set(done.stdout.split()) - set(sys.stdlib_module_names) - {"app", "live", "pages", "services", "__main__"}
    assert not foreign


def test_index_links_to_everything(tour: Server) -> None:
    answer = tour.get("/")
    assert answer.status == 200
    links = set(re.findall(r'href="(/\w*)"', answer.text))
    assert links >= {
        "/hello",
        "/sleep",
        "/services",
        "/stream",
        "/events",
        "/chat",
        "/talk",
        "/reload",
        "/upload",
        "/request",
    }
    for link in links - {"/sleep", "/stream", "/events"}:
        assert tour.get(link).status == 200, link
    assert tour.get("/nowhere").status == 404
    assert tour.request("DELETE", "/hello").status == 405


def test_hello(tour: Server) -> None:
    assert tour.get("/hello").text.startswith("Hello from thread ")


def test_eight_clients_sleep_in_one_second(tour: Server) -> None:
    began = time.monotonic()
    answers = in_parallel(8, lambda _: json.loads(tour.get("/sleep").text))
    took = time.monotonic() - began
    assert all(isinstance(answer, dict) and answer["seconds"] >= 1 for answer in answers)
    assert took < 2.5, f"eight seconds of sleep took {took:.2f} s"


def test_streamed_lines_arrive_one_by_one(tour: Server) -> None:
    with tour.connect() as client:
        client.send_request("GET", "/stream")
        assert client.head().status == 200
        arrived = [(time.monotonic(), chunk) for chunk in client.chunks()]
    assert [chunk[:7] for _, chunk in arrived if chunk] == [f"line {n:2}".encode() for n in range(1, 16)]
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(arrived)]
    assert sorted(gaps)[len(gaps) // 2] > 0.1, gaps


def test_events_arrive_as_they_happen(tour: Server) -> None:
    with tour.connect() as client:
        client.send_request("GET", "/events", {"Last-Event-ID": "41"})
        head = client.head()
        assert head.header("content-type") == "text/event-stream"
        chunks = client.chunks()
        assert next(chunks) == b"retry: 1000\n\n"
        first = next(chunks)
        assert first is not None and first.startswith(b"id: 42\ndata: ")


@pytest.mark.parametrize("size", [0, 1, 100_000, 5_000_000])
def test_upload_counts(tour: Server, size: int) -> None:
    answer = tour.request("POST", "/upload", {"Accept": "application/json", "Content-Length": str(size)}, b"x" * size)
    assert json.loads(answer.text)["bytes"] == size


def test_upload_in_chunks_counts(tour: Server) -> None:
    with tour.connect() as client:
        client.send_request("POST", "/upload", {"Accept": "application/json", "Transfer-Encoding": "chunked"})
        for _ in range(10):
            client.send(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        client.send(b"0\r\n\r\n")
        assert json.loads(client.answer().text)["bytes"] == 10_000


def test_request_shows_what_came(tour: Server) -> None:
    page = tour.get("/request?colour=blue", **{"X-Colour": "<green>"}).text
    assert "colour=blue" in page
    assert "HTTP_X_COLOUR" in page and "&lt;green&gt;" in page


def test_poll_waits_for_what_is_said(tour: Server) -> None:
    said = tour.request("POST", "/talk/poll", {}, b'{"name": "Ada", "text": "first"}')
    assert json.loads(said.text) == {"said": True}
    heard = json.loads(tour.get("/talk/poll").text)
    assert (heard["lines"][-1]["name"], heard["lines"][-1]["text"]) == ("Ada", "first")
    with tour.connect() as client:
        client.send_request("GET", f"/talk/poll?after={heard['position']}")
        assert tour.request("POST", "/talk/poll", {}, b'{"name": "", "text": "second"}').status == 200
        lines = json.loads(client.answer().text)["lines"]
        if not lines:  # the server may wake a client too early, but never let it miss anything
            lines = json.loads(client.request("GET", f"/talk/poll?after={heard['position']}").text)["lines"]
    assert [(line["name"], line["text"]) for line in lines] == [("Somebody", "second")]
    again = json.loads(tour.get(f"/talk/poll?after={heard['position']}").text)
    assert again["lines"][0]["id"] == lines[0]["id"], "by the id a browser knows what it has heard already"


def test_news_reach_the_visitor_they_are_for(tour: Server) -> None:
    def told(client: Client, visitor: str) -> bool:
        """Whether the client is answered now. What is published before its request has come reaches nobody."""
        assert tour.request("POST", f"/reload/news?visitor={visitor}").status == 200
        return bool(select.select([client.sock], [], [], 0.1)[0])

    def hears(client: Client, visitor: str) -> bool:
        """Whether the news are what it gets; while it is about to wait, it may be sent away to ask again."""
        client.send_request("GET", f"/reload/news?visitor={visitor}")
        eventually(lambda: told(client, visitor), "the request is answered")
        return json.loads(client.answer().text)["news"] is True

    with tour.connect() as ann, tour.connect() as bob:
        bob.send_request("GET", "/reload/news?visitor=bob")
        eventually(lambda: hears(ann, "ann"), "Ann hears the news")
        assert not select.select([bob.sock], [], [], 0)[0]


def test_pages_load_nothing_from_elsewhere(tour: Server) -> None:
    answer = tour.get("/")
    assert "default-src 'none'" in (answer.header("content-security-policy") or "")
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text)


def test_readme_shows_exactly_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    commands = re.findall(r"^    make (\w+)", text, flags=re.MULTILINE)
    assert commands[:2] == ["demo", "test"]
