"""The tour's room with three ways in, and its picture of a reload, in a real browser over the real server."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest
from browser import Browser, Page, find
from harness import ROOT, Server, eventually

PICTURES = ROOT / "build" / "tour"
WAYS = {"coroutine": "Ada", "plain": "Grace", "poll": "Mary"}

if not find() and os.environ.get("CI") != "true":
    pytest.skip("no Chromium here", allow_module_level=True)


@pytest.fixture
def tour() -> Iterator[Server]:
    """A server of each test's own: they end workers."""
    server = Server("app:app", "--websocket", "live:app", "--chdir", str(ROOT / "examples" / "tour"), cwd=ROOT)
    yield server
    server.stop()


def visit(browser: Browser, tour: Server, path: str) -> Page:
    return browser.visit(f"http://127.0.0.1:{tour.port}{path}", width=1240)


def enter(browser: Browser, tour: Server, name: str) -> Page:
    page = visit(browser, tour, "/talk")
    page.evaluate(f"document.getElementById('name').value = {name!r}")
    for way in ("coroutine", "plain"):
        page.wait(f"{state(way)} === 'Open'")
    page.wait(f"{state('poll')} === 'Waiting for an answer'")
    return page


def state(way: str) -> str:
    return f"document.querySelector('#{way} output').textContent"


def say(page: Page, way: str, text: str) -> None:
    page.evaluate(f"document.querySelector('#{way} input').value = {text!r}")
    page.evaluate(f"document.querySelector('#{way} form').requestSubmit()")
    page.wait(f"document.querySelector('#{way} input').value === ''")


def heard(page: Page, way: str, who: str, text: str) -> int:
    """Wait until this has been heard by that way, once; the process that took it."""
    line = page.wait(
        f"[...document.querySelectorAll('#{way} .room li')].map((line) => line.innerText)"
        f".filter((line) => line.startsWith({f'{who} {text}'!r})).join('|')"
    )
    assert line.count(text) == 1, f"heard twice by {way}: {line}"
    found = re.search(r"process (\d+)$", line)
    assert found, line
    return int(found[1])


def test_three_visitors_hear_each_other_by_different_ways(browser: Browser, tour: Server) -> None:
    visitors = {way: enter(browser, tour, name) for way, name in WAYS.items()}
    for way, name in WAYS.items():
        say(visitors[way], way, f"<i>by</i> {way}")
        for other, page in visitors.items():
            heard(page, other, name, f"<i>by</i> {way}")
    for way, name in WAYS.items():  # and each of them all, by the other ways too
        for other in WAYS:
            heard(visitors["plain"], other, name, f"<i>by</i> {way}")
    late = enter(browser, tour, "Late")  # who comes late reads what was said
    for way in WAYS:
        for spoken, name in WAYS.items():
            heard(late, way, name, f"<i>by</i> {spoken}")
    late.picture(PICTURES / "talk.png")
    late.resize(390, 844, dark=True)
    late.picture(PICTURES / "talk-phone-dark.png")
    assert late.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the phone"
    for page in (*visitors.values(), late):
        assert not page.complaints
        page.close()


def reload(tour: Server) -> None:
    """Have all workers replaced, and wait until the pools have said that they are."""
    tour.signal(signal.SIGHUP)
    eventually(lambda: tour.count("reload complete") == 3, "web, live and plain are reloaded")


@pytest.mark.parametrize("how", ["reload", "kill"])
def test_talk_goes_on(browser: Browser, tour: Server, how: str) -> None:
    ada, mary = enter(browser, tour, "Ada"), enter(browser, tour, "Mary")
    say(ada, "plain", "before")
    old = heard(mary, "poll", "Ada", "before")
    if how == "reload":
        reload(tour)
    else:
        os.kill(old, signal.SIGKILL)
        tour.wait_for(rf"worker died pid={old}")
    say(ada, "plain", "after")
    new = heard(mary, "poll", "Ada", "after")
    assert new != old
    assert heard(mary, "plain", "Ada", "after") == new
    say(mary, "poll", "I am here")
    heard(ada, "plain", "Mary", "I am here")
    for page in (ada, mary):
        assert page.evaluate(state("plain")) == "Open", "opened once, and never again"
        page.close()


PROCESSES = """[...document.querySelectorAll('#processes tr[data-kind="%s"] th')]
  .map((each) => +each.textContent.match(/[0-9]+$/)[0])"""
FUNCTIONS, VIEWS = f"({PROCESSES % 'plain functions'})", f"({PROCESSES % 'views'})"
SOCKET = r"""document.querySelector('#kept tr').lastChild.textContent
  .match(/open for (\d+) s, (\d+) messages, opened (.+)/)"""
REQUEST = r"document.querySelectorAll('#kept tr')[1].lastChild.textContent"
TOLD = "document.getElementById('told').textContent"
ANSWERED = REQUEST + r".match(/before, process (\d+) answered after \d+ s/)"


def count(page: Page) -> tuple[int, int, str]:
    _, seconds, messages, opened = page.wait(SOCKET)
    return int(seconds), int(messages), opened


def test_a_socket_and_a_request_outlive_a_reload(browser: Browser, tour: Server) -> None:
    page = visit(browser, tour, "/reload")
    assert page.evaluate("document.getElementById('command').textContent") == f"kill -HUP {tour.process.pid}"
    [old] = page.wait(f"{SOCKET} && {FUNCTIONS}")
    before = count(page)
    page.wait(f"{VIEWS}.length")
    lines = len(tour.lines)
    reload(tour)
    [_, new] = page.wait(f"{FUNCTIONS}.length === 2 && {FUNCTIONS}")
    page.wait(f"{TOLD}.startsWith('Process {new} has the socket\\'s messages now, {old} had them before.')")
    [_, answered] = page.wait(f"/lost/.test({REQUEST}) ? ['lost', 0] : {ANSWERED}")
    tour.wait_for(rf"worker up.* pid={answered} ", after=lines)  # it was not there when the request came
    page.wait(f"{SOCKET}[2] > {before[1] + 4}")
    seconds, _, opened = count(page)
    assert seconds > before[0] and opened == "once"
    page.picture(PICTURES / "reload.png")
    page.resize(390, 844, dark=True)
    page.picture(PICTURES / "reload-phone-dark.png")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the phone"
    assert not page.complaints
    page.close()


def test_a_socket_outlives_its_functions_process(browser: Browser, tour: Server) -> None:
    page = visit(browser, tour, "/reload")
    [old] = page.wait(f"{SOCKET} && {FUNCTIONS}")
    before = count(page)
    os.kill(old, signal.SIGKILL)
    tour.wait_for(rf"worker died pid={old}")
    page.wait(f"{FUNCTIONS}.length === 2")
    page.wait(f"{SOCKET}[2] > {before[1] + 2}")
    assert count(page)[2] == "once"
    assert not page.complaints
    page.close()
