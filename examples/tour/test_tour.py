"""The tour, called in this process through wsgiref's validator, which enforces PEP 3333 on both sides."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

PAGES = ["/", "/services", "/talk", "/reload", "/upload", "/request"]
GETTABLE = ["/", "/hello", "/sleep", "/services", "/stream", "/events", "/talk", "/reload", "/upload", "/request"]


class Answer(NamedTuple):
    status: str
    headers: dict[str, str]
    chunks: list[bytes]

    @property
    def text(self) -> str:
        return b"".join(self.chunks).decode()


class Tour:
    """The application, and the pauses it asked for instead of taking them."""

    def __init__(self, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        self.module = module
        self.pauses: list[float] = []
        monkeypatch.setattr(module, "sleep", self.pauses.append)
        monkeypatch.setattr(module.services, "sleep", self.pauses.append)

    def call(self, method: str, path: str, body: bytes = b"", **environ: Any) -> Answer:
        environ |= {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": BytesIO(body), "SCRIPT_NAME": "/at"}
        environ.setdefault("QUERY_STRING", "")
        if body:
            environ.setdefault("CONTENT_LENGTH", str(len(body)))
        setup_testing_defaults(environ)
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            started.append((status, headers))
            return lambda data: pytest.fail("write() is not needed")

        result = validator(self.module.app)(environ, start_response)
        try:
            chunks = [chunk for chunk in result if chunk]
        finally:
            result.close()  # type: ignore[attr-defined]  # the validator's always has it
        [(status, headers)] = started
        assert len(dict(headers)) == len(headers), "a header was set twice"
        return Answer(status, dict(headers), chunks)


@pytest.fixture
def tour(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tour]:
    # Imported as the server does it: from its own folder, as "app". Other examples are called that too.
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    yield Tour(importlib.import_module("app"), monkeypatch)
    for name in ("app", "pages", "services", "talk"):
        sys.modules.pop(name, None)


# What a page's links and scripts go to.
URLS = {"href", "src", "action", "data-url", "data-process", "data-news", "data-count"}


class Page(HTMLParser):
    """A page's links, and the tags that were left open."""

    VOID = frozenset({"meta", "link", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.urls: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.urls += [value or "" for key, value in attrs if key in URLS]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes something else"


@pytest.mark.parametrize("path", GETTABLE)
def test_get_and_head_have_the_same_headers(tour: Tour, path: str) -> None:
    got, head = tour.call("GET", path), tour.call("HEAD", path)
    assert got.status == head.status == "200 OK"
    assert got.headers.keys() == head.headers.keys()
    assert got.chunks and not head.chunks
    assert got.headers["Cache-Control"] == "no-store"
    if "Content-Length" in got.headers:
        assert got.headers["Content-Length"] == str(len(b"".join(got.chunks)))


@pytest.mark.parametrize("path", [*PAGES, "/nowhere"])
def test_pages_are_whole_and_load_nothing(tour: Tour, path: str) -> None:
    answer = tour.call("GET", path)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    page = Page(answer.text)
    assert page.open == []
    assert not re.search(r"\$\{?[a-z]", answer.text), "a template has a hole"
    outside = [url for url in page.urls if not url.startswith(("/at/", "data:"))]
    assert outside == [], "links stay below the folder where the application is mounted"
    assert "@import" not in answer.text and "url(" not in answer.text


def test_index_links_every_page(tour: Tour) -> None:
    urls = Page(tour.call("GET", "/").text).urls
    assert {f"/at{path}" for path in GETTABLE[1:]} <= set(urls)


def test_hello_says_who(tour: Tour) -> None:
    assert re.fullmatch(r"Hello from thread .+ of process \d+\.\n", tour.call("GET", "/hello").text)


def test_sleep_blocks_for_a_second(tour: Tour) -> None:
    answer = tour.call("GET", "/sleep")
    assert tour.pauses == [1.0]
    assert json.loads(answer.text).keys() == {"process", "thread", "threads", "seconds"}


def test_sleeps_run_side_by_side(tour: Tour, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(8, timeout=30)
    monkeypatch.setattr(tour.module, "sleep", lambda seconds: together.wait())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: tour.call("GET", "/sleep"), range(8)))
    assert {answer.status for answer in answers} == {"200 OK"}
    assert len({json.loads(answer.text)["thread"] for answer in answers}) == 8


def test_stream_is_a_chunk_per_line(tour: Tour) -> None:
    answer = tour.call("GET", "/stream")
    assert "Content-Length" not in answer.headers
    assert len(answer.chunks) == 15 and all(chunk.endswith(b"\n") for chunk in answer.chunks)
    assert tour.pauses == [0.2] * 14


def test_head_does_not_run_a_stream(tour: Tour) -> None:
    tour.call("HEAD", "/stream")
    tour.call("HEAD", "/events")
    assert tour.pauses == []


@pytest.mark.parametrize(
    ("seen", "first"), [(None, 1), ("", 1), ("20", 21), ("0", 1), ("x", 1), ("-3", 1), ("²", 1), ("9" * 5000, 1)]
)
def test_events_go_on_after_the_last_one_seen(tour: Tour, seen: str | None, first: int) -> None:
    environ: dict[str, Any] = {} if seen is None else {"HTTP_LAST_EVENT_ID": seen}
    answer = tour.call("GET", "/events", **environ)
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.chunks[0] == b"retry: 1000\n\n"
    assert [int(number) for number in re.findall(r"^id: (\d+)$", answer.text, re.M)] == list(range(first, first + 20))
    for chunk in answer.chunks[1:]:
        event, data = re.fullmatch(r"id: (\d+)\ndata: (.+)\n\n", chunk.decode()).groups()  # type: ignore[union-attr]
        assert json.loads(data)["number"] == int(event)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 1_000_000])
def test_upload_counts(tour: Tour, size: int) -> None:
    answer = tour.call("POST", "/upload", b"x" * size, HTTP_ACCEPT="application/json")
    assert json.loads(answer.text)["bytes"] == size
    assert f"<h1>{size:,} bytes</h1>" in tour.call("POST", "/upload", b"x" * size).text


def test_upload_reads_no_further_than_the_length(tour: Tour) -> None:
    answer = tour.call("POST", "/upload", b"four of these bytes", CONTENT_LENGTH="4", HTTP_ACCEPT="application/json")
    assert json.loads(answer.text)["bytes"] == 4


def test_upload_without_length_where_the_server_marks_the_end(tour: Tour) -> None:
    environ: dict[str, Any] = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "", "HTTP_ACCEPT": "application/json"}
    assert json.loads(tour.call("POST", "/upload", b"x" * 100_000, **environ).text)["bytes"] == 100_000


def test_upload_cut_short(tour: Tour) -> None:
    answer = tour.call("POST", "/upload", b"abc", CONTENT_LENGTH="10", HTTP_ACCEPT="application/json")
    assert json.loads(answer.text)["bytes"] == 3


def test_request_is_escaped_and_keeps_the_servers_environment_to_itself(
    tour: Tour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOUR_SECRET", "hidden")
    answer = tour.call("GET", "/request", QUERY_STRING="a=<script>", HTTP_X="&\"'", TOUR_SECRET="hidden")
    assert "a=&lt;script&gt;" in answer.text and "<script>alert" not in answer.text
    assert "&amp;&quot;&#x27;" in answer.text
    assert "wsgi.version" in answer.text and "(1, 0)" in answer.text
    assert "TOUR_SECRET" not in answer.text


@pytest.mark.parametrize("path", ["/nowhere", "/hello/", "//", "/<b>", "/\xc3\xa9"])
def test_not_found(tour: Tour, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = tour.call(method, path)
        assert answer.status == "404 Not Found"
    assert "<b>" not in answer.text
    assert "\xc3" not in answer.text, "the path is shown as UTF-8"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/hello", "GET, HEAD"),
        ("PUT", "/upload", "GET, HEAD, POST"),
        ("DELETE", "/talk/poll", "GET, HEAD, POST"),
        ("OPTIONS", "/stream", "GET, HEAD"),
        ("get", "/hello", "GET, HEAD"),
    ],
)
@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD:wsgiref.validate.WSGIWarning")
def test_not_allowed(tour: Tour, method: str, path: str, allow: str) -> None:
    answer = tour.call(method, path)
    assert (answer.status, answer.headers["Allow"]) == ("405 Method Not Allowed", allow)
    assert method in answer.text


def test_services_are_asked_in_turn_and_at_once(tour: Tour) -> None:
    text = tour.call("GET", "/services").text
    assert sorted(tour.pauses) == sorted([0.3, 0.45, 0.6, 0.15] * 2)
    assert text.count("<svg role=img") == 2 and text.count("<rect class=lane") == 8


def said(tour: Tour, text: str) -> Any:
    """The line of the room that a browser's text becomes."""
    return importlib.import_module("talk").line(text, "view")


def test_what_is_said_is_a_line(tour: Tour) -> None:
    line = said(tour, json.dumps({"name": " Ada ", "text": "x" * 600}))
    assert (line["name"], line["text"], line["way"]) == ("Ada", "x" * 500, "view")
    assert said(tour, '{"name": "", "text": "?"}')["name"] == "Somebody"
    assert said(tour, '{"name": "", "text": "?"}')["id"] != line["id"]


WRONG = [
    "",
    "x",
    "1",
    '"x"',
    "[]",
    "{}",
    '{"name": "a", "text": " "}',
    '{"text": "a"}',
    r'{"name": "", "text": "\ud800"}',
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_line(tour: Tour, text: str) -> None:
    assert said(tour, text) is None
    answer = tour.call("POST", "/talk/poll", text.encode())
    assert (answer.status, json.loads(answer.text)) == ("400 Bad Request", {"said": False})


def test_what_is_too_long_to_be_said_is_not_read(tour: Tour) -> None:
    answer = tour.call("POST", "/talk/poll", b"x" * 8193)
    assert answer.status.startswith("413 ")


@pytest.mark.parametrize("visitor", ["", "a-b", "a,b", "%C3%A9", "x" * 41])
def test_news_are_for_a_visitor(tour: Tour, visitor: str) -> None:
    for method in ("GET", "POST"):
        answer = tour.call(method, "/reload/news", QUERY_STRING=f"visitor={visitor}")
        assert answer.status == "400 Bad Request"


def test_what_waits_says_for_what(tour: Tour) -> None:
    """In header fields that the server obeys, which is all that a view has to do with its waiting client."""
    answer = tour.call("GET", "/reload/news", QUERY_STRING="visitor=abc1")
    assert json.loads(answer.text) == {"news": False}
    assert answer.headers["Grip-Hold"] == "response" and answer.headers["Grip-Channel"] == "reload-abc1"
    assert answer.headers["Grip-Timeout"] == "25"


def test_reload_page_names_the_servers_process(tour: Tour) -> None:
    assert f">kill -HUP {os.getppid()}<" in tour.call("GET", "/reload").text
    told = json.loads(tour.call("GET", "/reload/process").text)
    assert told["process"] == os.getpid() and told["started"] <= time.time()
