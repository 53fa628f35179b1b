"""The tour in a real browser: what its scripts do, over the real server."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from browser import Browser, Page, find
from harness import ROOT, Server

PICTURES = ROOT / "build" / "tour"

if not find() and os.environ.get("CI") != "true":
    pytest.skip("no Chromium here", allow_module_level=True)


@pytest.fixture(scope="module")
def tour() -> Iterator[Server]:
    server = Server("app:app", "--websocket", "live:app", "--chdir", str(ROOT / "examples" / "tour"), cwd=ROOT)
    yield server
    server.stop()


# Left and right of each bar, as it is drawn.
BARS = """[...document.querySelectorAll('.visits rect:not(.lane)')].map((bar) => {
  const box = bar.getBoundingClientRect();
  return [Math.round(box.left), Math.round(box.right)];
})"""


def visit(browser: Browser, tour: Server, path: str) -> Page:
    return browser.visit(f"http://127.0.0.1:{tour.port}{path}", width=1100)


def test_echo(browser: Browser, tour: Server) -> None:
    page = visit(browser, tour, "/")
    page.evaluate("document.querySelector('#echo button').click()")
    page.wait("document.querySelectorAll('#echo .trips i').length === 10")
    page.wait(r"/^Back in [0-9.]+ ms, from process \d+\.$/.test(document.querySelector('#echo output').textContent)")
    page.wait("!document.querySelector('#echo button').disabled")
    page.picture(PICTURES / "index.png")
    page.resize(390, 844, dark=True)
    page.picture(PICTURES / "index-phone-dark.png")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the phone"
    assert not page.complaints
    page.close()


def test_services(browser: Browser, tour: Server) -> None:
    page = visit(browser, tour, "/services")
    ends = page.evaluate(BARS)
    assert len(ends) == 8
    begun, ended = zip(*ends, strict=True)
    assert all(earlier <= later for earlier, later in zip(ended[:3], begun[1:4], strict=True)), "each behind the other"
    assert max(begun[4:]) < ended[6], "all have begun before the longest has ended"
    page.picture(PICTURES / "services.png")
    page.resize(390, 844, dark=True)
    page.picture(PICTURES / "services-phone-dark.png")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the phone"
    assert not page.complaints
    page.close()


def enter(page: Page, name: str) -> None:
    submit(page, "name", name)
    page.wait("/here|alone/.test(document.querySelector('form.chat output').textContent)")


def say(page: Page, text: str) -> None:
    submit(page, "text", text)


def submit(page: Page, field: str, value: str) -> None:
    page.evaluate(f"document.querySelector('[name={field}]').value = {value!r}")
    page.evaluate("document.querySelector('form.chat').requestSubmit()")


def heard(text: str) -> str:
    return f"[...document.querySelectorAll('.room .said')].some((line) => line.textContent === {text!r})"


def test_chat(browser: Browser, tour: Server) -> None:
    ada, grace = visit(browser, tour, "/chat"), visit(browser, tour, "/chat")
    enter(ada, "Ada")
    say(ada, "Is anybody here?")
    ada.wait(heard("Ada Is anybody here?"))
    enter(grace, "Grace")
    grace.wait(heard("Ada Is anybody here?"))  # who comes late reads what was said
    say(grace, "<b>I am</b>")
    ada.wait(heard("Grace <b>I am</b>"))
    ada.wait("document.querySelector('form.chat output').textContent === '2 are here.'")
    ada.picture(PICTURES / "chat.png")
    grace.resize(390, 844, dark=True)
    grace.picture(PICTURES / "chat-phone-dark.png")
    assert grace.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the phone"
    grace.close()
    ada.wait("[...document.querySelectorAll('.room .left')].some((line) => line.textContent.startsWith('Grace left'))")
    ada.wait("document.querySelector('form.chat output').textContent === 'You are alone.'")
    assert not ada.complaints
    ada.close()


WHO = """
new Promise((resolve) => {
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/live/echo");
  socket.onopen = () => socket.send("");
  socket.onmessage = (event) => { socket.close(); resolve(JSON.parse(event.data).process); };
})
"""


def test_room_opens_again_after_its_process_has_gone(browser: Browser, tour: Server) -> None:
    page = visit(browser, tour, "/chat")
    enter(page, "Ada")
    gone = page.evaluate(WHO)
    # What the room says of its members has to be new: it says the same when the socket is open again.
    page.evaluate("document.querySelector('form.chat output').textContent = ''")
    os.kill(gone, signal.SIGKILL)
    tour.wait_for(rf"worker died pid={gone}")
    page.wait("/here|alone/.test(document.querySelector('form.chat output').textContent)")
    say(page, "still here")
    page.wait(heard("Ada still here"))
    assert page.evaluate(WHO) != gone
    page.close()
