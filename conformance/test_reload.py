"""HUP and --reload: new workers come up, take over, and nobody notices but by the new code."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import Server, eventually
from test_supervision import all_up, pids

Serve = Callable[..., Server]

WSGI = """
import time

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return answer(environ["PATH_INFO"])

def answer(path):
    if path == "/long":
        yield b"begun\\n"
        time.sleep(2.5)
    yield {version!r}.encode()
"""

ASGI = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await send({{"type": "http.response.start", "status": 200}})
    if scope["path"] == "/long":
        await send({{"type": "http.response.body", "body": b"begun\\n", "more_body": True}})
        await asyncio.sleep(2.5)
    await send({{"type": "http.response.body", "body": {version!r}.encode()}})
"""

TEMPLATES = {"wsgi": WSGI, "asgi": ASGI}


def write(folder: Path, version: str, template: str = WSGI) -> None:
    """New code. Compiled files are told apart by second and size, so each version has a length of its own."""
    (folder / "versioned.py").write_text(template.format(version=version))


@contextmanager
def steady_client(server: Server) -> Iterator[list[str]]:
    """A client that asks over one connection all the time. Its answers; none of them may fail."""
    answers: list[str] = []
    stop = threading.Event()
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            with server.connect() as client:
                while not stop.is_set():
                    answer = client.request("GET", "/")
                    assert (answer.status, answer.complete) == (200, True), answer
                    answers.append(answer.text)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures, failures[0]


@pytest.mark.parametrize("kind", TEMPLATES)
def test_hup_serves_new_code_without_a_failed_request(serve: Serve, tmp_path: Path, kind: str) -> None:
    write(tmp_path, "old", TEMPLATES[kind])
    server = serve("versioned", "-w", "2", "--log-level", "debug", cwd=tmp_path)
    before = all_up(server, 2)
    with server.connect() as idle, steady_client(server) as answers:
        assert idle.request("GET", "/").text == "old"
        eventually(lambda: "old" in answers, "answers of the old code")
        write(tmp_path, "brand-new", TEMPLATES[kind])
        server.signal(signal.SIGHUP)
        server.wait_for("reload complete")
        eventually(lambda: answers[-1] == "brand-new", "answers of the new code")
        assert idle.request("GET", "/").text == "brand-new", "an idle connection lives on"
    assert not before & pids(server)
    assert server.count("worker up, takes over") == 2
    assert server.count("reason=reloaded") == 4, "two take over, two end"


@pytest.mark.parametrize("kind", TEMPLATES)
def test_hup_while_a_long_request_runs(serve: Serve, tmp_path: Path, kind: str) -> None:
    write(tmp_path, "old", TEMPLATES[kind])
    server = serve("versioned", "-w", "1", cwd=tmp_path)
    with server.connect() as client:
        client.send_request("GET", "/long")
        assert client.head().status == 200
        chunks = client.chunks()
        assert next(chunks) == b"begun\n"
        write(tmp_path, "brand-new", TEMPLATES[kind])
        server.signal(signal.SIGHUP)
        server.wait_for("takes over")
        eventually(lambda: server.get("/").text == "brand-new", "the new code")
        assert b"".join(chunk or b"" for chunk in chunks) == b"old", "it ends in the worker in which it began"
        assert client.request("GET", "/").text == "brand-new", "and its connection goes on"
    server.wait_for("reload complete")


def test_hup_with_a_request_beyond_the_graceful_timeout(serve: Serve, tmp_path: Path) -> None:
    write(tmp_path, "old")
    server = serve("versioned", "-w", "1", "--graceful-timeout", "500ms", cwd=tmp_path)
    with server.connect() as client:
        client.send_request("GET", "/long")
        assert client.head().status == 200
        server.signal(signal.SIGHUP)
        server.wait_for("worker has requests after the graceful timeout; they are lost")
        assert None in list(client.chunks()), "the answer is cut, so that the client sees that it is not whole"
    server.wait_for("reload complete")
    assert server.get("/").status == 200


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("raise ValueError('half a deploy')\n", "ValueError: half a deploy"),
        ("def app(:\n", "SyntaxError"),
        ("nothing = 1\n", "has no 'application' or 'app'"),
    ],
)
def test_broken_code_leaves_the_old_workers(serve: Serve, tmp_path: Path, broken: str, said: str) -> None:
    write(tmp_path, "old")
    server = serve("versioned", "-w", "2", "--log-level", "debug", cwd=tmp_path)
    before = all_up(server, 2)
    with steady_client(server):
        (tmp_path / "versioned.py").write_text(broken)
        server.signal(signal.SIGHUP)
        line = server.wait_for("reload abandoned: the new code does not come up, the old workers go on")
        assert " error " in line
        server.wait_for(said)
        eventually(lambda: pids(server) == before, "the same workers as before")
    assert server.get("/").text == "old"
    write(tmp_path, "mended-code")
    server.signal(signal.SIGHUP)
    server.wait_for("reload complete")
    assert server.get("/").text == "mended-code"


def test_many_hups_at_once_end_in_new_code(serve: Serve, tmp_path: Path) -> None:
    write(tmp_path, "old")
    server = serve("versioned", "-w", "2", cwd=tmp_path)
    with steady_client(server) as answers:
        for number in range(8):
            write(tmp_path, "new" * (number + 1))
            server.signal(signal.SIGHUP)
        server.wait_for("reload complete", timeout=60)
        eventually(lambda: answers[-1] == "new" * 8, "answers of the last code")


def test_reload_watches_files(serve: Serve, tmp_path: Path) -> None:
    write(tmp_path, "old")
    server = serve("versioned", "-w", "1", "--reload", cwd=tmp_path)
    assert server.get("/").text == "old"
    write(tmp_path, "brand-new")
    server.wait_for(rf"a file changed file={tmp_path}/versioned\.py")
    server.wait_for("reload complete")
    assert server.get("/").text == "brand-new"
    (tmp_path / "versioned.py").write_text("def app(:\n")
    server.wait_for("reload abandoned")
    assert server.get("/").text == "brand-new", "a half-written file does not take the page away"
    write(tmp_path, "third-version")
    eventually(lambda: server.get("/").text == "third-version", "the mended code")


def test_reload_waits_for_an_application_that_cannot_be_imported_at_first(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "versioned.py").write_text("def app(:\n")
    server = serve("versioned", "-w", "2", "--reload", cwd=tmp_path, wait=False)
    server.wait_for("the application does not come up; waiting for it to be mended")
    server.wait_for("SyntaxError")
    (tmp_path / "versioned.py").write_text("nothing = 1\n")
    server.wait_for("has no 'application' or 'app'")
    write(tmp_path, "mended-code")
    server.ready()
    assert server.get("/").text == "mended-code"
    assert server.stop() == 0


def test_reload_ends_when_stopped_before_the_application_is_mended(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "versioned.py").write_text("def app(:\n")
    server = serve("versioned", "-w", "1", "--reload", cwd=tmp_path, wait=False)
    server.wait_for("waiting for it to be mended")
    assert server.stop() == 0


def test_reload_dir(serve: Serve, tmp_path: Path) -> None:
    app, templates = tmp_path / "app", tmp_path / "templates"
    app.mkdir()
    templates.mkdir()
    (templates / "page.html").write_text("old page")
    (app / "paged.py").write_text(
        f"TEXT = open({str(templates / 'page.html')!r}).read()\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [TEXT.encode()]\n"
    )
    server = serve("paged", "-w", "1", "--reload", "--reload-extra-file", str(templates / "page.html"), cwd=app)
    assert server.get("/").text == "old page"
    (templates / "page.html").write_text("new page")
    eventually(lambda: server.get("/").text == "new page", "the new page")


def test_reload_does_not_wait_for_open_streams(serve: Serve, tmp_path: Path) -> None:
    write(tmp_path, "old")
    server = serve("versioned", "-w", "1", "--reload", cwd=tmp_path)
    old = pid_of_worker(server)
    with server.connect() as client:
        client.send_request("GET", "/long")
        assert client.head().status == 200
        write(tmp_path, "second-version")
        server.wait_for("takes over")
        write(tmp_path, "the-third-version")
        eventually(lambda: server.get("/").text == "the-third-version", "the newest code", timeout=10)
    assert old not in pids(server)


def pid_of_worker(server: Server) -> int:
    (pid,) = pids(server)
    return pid


def test_what_cannot_be_watched_is_said(tmp_path: Path) -> None:
    write(tmp_path, "old")
    server = Server("versioned", "-w", "1", "--reload", "--reload-dir", "nowhere/at/all.html", cwd=tmp_path, wait=False)
    try:
        assert server.wait() == 2
    finally:
        server.kill()
    server.wait_for(r"backline: watch \S*nowhere/at/all\.html: no such file or folder")
