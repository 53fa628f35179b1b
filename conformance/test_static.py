"""--static: files from disk, without the application."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import APPS, BINARY, PATIENCE, Server, eventually, in_parallel

CONTENT = bytes(range(256)) * 4000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("static")
    (root / "css").mkdir()
    (root / "css" / "site.css").write_text("body {}")
    (root / "css" / "site.css.gz").write_bytes(gzip.compress(b"body {}"))
    (root / "css" / "site.css.br").write_bytes(b"br")
    (root / "app.3f2a1b4c5d6e.js").write_text("x")
    (root / "large.bin").write_bytes(CONTENT)
    (root / ".env").write_text("secret")
    (root / "index.html").write_text("index")
    (root / "out").symlink_to("/etc")
    (root / "passwd").symlink_to("/etc/passwd")
    os.mkfifo(root / "fifo")
    return root


@pytest.fixture(scope="module")
def server(shared: Callable[..., Server], folder: Path) -> Server:
    return shared("files_site:app", "--static", f"/static/={folder}")


def test_a_file(server: Server) -> None:
    answer = server.get("/static/css/site.css?v=2")
    assert (answer.status, answer.text) == (200, "body {}")
    assert answer.header("content-type") == "text/css; charset=utf-8"
    assert answer.header("content-length") == "7"
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("cache-control") == "public, max-age=60"
    assert answer.header("vary") == "Accept-Encoding"
    assert re.fullmatch(r'"[-0-9a-z]+"', answer.header("etag") or "")
    assert answer.header("date") and answer.header("server")


def test_everything_else_is_the_applications(server: Server) -> None:
    for target in ("/", "/static", "/other/static/css/site.css", "/static%2fcss/site.css"):
        assert server.get(target).text == "from the application"


def test_a_connection_goes_on_after_each_kind_of_answer(server: Server) -> None:
    with server.connect() as client:
        for _ in range(2):
            assert client.request("GET", "/static/large.bin").body == CONTENT
            assert client.request("HEAD", "/static/large.bin").header("content-length") == str(len(CONTENT))
            assert client.request("GET", "/static/missing").status == 404
            assert client.request("GET", "/").text == "from the application"
            etag = client.request("GET", "/static/large.bin").header("etag") or ""
            assert client.request("GET", "/static/large.bin", {"If-None-Match": etag}).status == 304
            assert client.request("GET", "/static/large.bin", {"Range": "bytes=-3"}).body == CONTENT[-3:]
            assert client.request("GET", "/static/large.bin", {"Range": f"bytes={len(CONTENT)}-"}).status == 416


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    with server.connect() as client:
        for target in ("/static/css/site.css", "/static/large.bin", "/", "/static/missing", "/static/css/site.css"):
            client.send_request("GET", target)
        answers = [client.answer() for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 404, 200]
    assert (answers[1].body, answers[2].text, answers[4].text) == (CONTENT, "from the application", "body {}")


def test_an_old_client_gets_the_file(server: Server) -> None:
    with server.connect() as client:
        assert client.request("GET", "/static/large.bin", version="1.0").body == CONTENT
        assert client.at_end()


def test_ranges(server: Server) -> None:
    answer = server.get("/static/large.bin", Range="bytes=256-511")
    assert (answer.status, answer.body) == (206, bytes(range(256)))
    assert answer.header("content-range") == f"bytes 256-511/{len(CONTENT)}"
    answer = server.get("/static/large.bin", Range="bytes=0-1,5-6,-1")
    kind, _, boundary = (answer.header("content-type") or "").partition("; boundary=")
    assert (answer.status, kind) == (206, "multipart/byteranges")
    parts = answer.body.split(b"--" + boundary.encode())
    assert [part.partition(b"\r\n\r\n")[2] for part in parts[1:-1]] == [b"\0\1\r\n", b"\5\6\r\n", b"\xff\r\n"]
    assert parts[-1] == b"--\r\n"
    many = ",".join(f"{n}-{n}" for n in range(0, 200, 2))
    for abusive in (f"bytes={many}", "bytes=" + ",".join(["0-"] * 10)):
        answer = server.get("/static/large.bin", Range=abusive)
        assert (answer.status, answer.body) == (200, CONTENT)


def test_compressed_neighbours(server: Server) -> None:
    answer = server.get("/static/css/site.css", **{"Accept-Encoding": "gzip"})
    assert (gzip.decompress(answer.body), answer.header("content-encoding")) == (b"body {}", "gzip")
    assert answer.header("content-type") == "text/css; charset=utf-8"
    best = server.get("/static/css/site.css", **{"Accept-Encoding": "gzip, br"})
    assert (best.body, best.header("content-encoding")) == (b"br", "br")
    assert len({answer.header("etag"), best.header("etag"), server.get("/static/css/site.css").header("etag")}) == 3
    plain = server.get("/static/css/site.css", **{"Accept-Encoding": "br;q=0, gzip;q=0"})
    assert (plain.text, plain.header("content-encoding")) == ("body {}", None)


def test_names_with_a_hash_are_kept_for_ever(server: Server) -> None:
    cached = server.get("/static/app.3f2a1b4c5d6e.js").header("cache-control")
    assert cached == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    "name",
    [
        "", "css", "css/", "css//site.css", ".env", "%2eenv", "../static/css/site.css", "css/../css/site.css",
        "%2e%2e/", "..%2f..%2fetc", "..%5c..%5cetc", "%252e%252e%252fetc", "%c0%ae%c0%ae/etc", "css/site.css%00", "%zz",
        "out/passwd", "passwd", "fifo", "a" * 4000,
    ],
)  # fmt: skip
def test_what_is_not_to_be_reached_does_not_exist(server: Server, name: str) -> None:
    answer = server.get("/static/" + name)
    assert (answer.status, answer.text) == (404, "There is no such file.\n")


def test_other_methods(server: Server) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = server.request(method, "/static/css/site.css")
        assert (answer.status, answer.header("allow")) == (405, "GET, HEAD")


def test_a_body_that_nobody_reads_is_no_request(server: Server) -> None:
    with server.connect() as client:
        answer = client.request("GET", "/static/css/site.css", body=b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (answer.status, answer.text, answer.header("connection")) == (200, "body {}", "close")
        assert client.at_end()


def test_many_downloads_at_once(server: Server) -> None:
    def download(n: int) -> bytes:
        with server.connect() as client:
            client.send_request("GET", "/static/large.bin")
            client.head()
            return client.read_exactly(len(CONTENT) if n % 4 else 1000)[0]

    results = in_parallel(24, download)
    assert all(body == CONTENT for n, body in enumerate(results) if n % 4)


def test_the_access_log_has_them(serve: Callable[..., Server], folder: Path) -> None:
    server = serve("files_site:app", "--static", f"/static/={folder}", "--access-logfile", "-", "--workers", "1")
    server.get("/static/css/site.css")
    server.get("/static/missing")
    server.wait_for(r'"GET /static/css/site.css HTTP/1.1" 200 7 ')
    server.wait_for(r'"GET /static/missing HTTP/1.1" 404 ')


def test_files_need_no_worker(serve: Callable[..., Server], folder: Path) -> None:
    """Not a busy one's time, and not even one that lives."""
    server = serve("files_site:app", "--static", f"/static/={folder}", "--workers", "1", "--threads", "1")
    with server.connect() as waiting:
        waiting.send_request("GET", "/wait")
        for _ in range(3):
            assert server.get("/static/css/site.css").text == "body {}"
    broken = serve("files_site:app", "--static", f"/static/={folder}", "--workers", "1")
    lines = len(broken.lines)
    with broken.connect() as client:
        client.send_request("GET", "/die")
        broken.wait_for("worker died", after=lines)
        assert broken.get("/static/css/site.css").text == "body {}"


def test_the_settings(serve: Callable[..., Server], folder: Path) -> None:
    server = serve(
        "files_site:app", "--static", f"/={folder}", "--static", f"/site.css={folder}/css/site.css", "--static-index",
        "--static-fallthrough", "--static-max-age", "0", "--static-open-files", "0", "--no-sendfile",
    )  # fmt: skip
    for _ in range(2):
        answer = server.get("/")
        assert (answer.text, answer.header("cache-control")) == ("index", "no-cache")
        assert server.get("/site.css").text == "body {}"
        assert server.get("/large.bin").body == CONTENT
        assert server.get("/elsewhere").text == "from the application"
        assert server.request("POST", "/large.bin").text == "from the application"
        assert server.get("/.env").text == "from the application"


def test_a_deploy_that_turns_a_link(serve: Callable[..., Server], tmp_path: Path) -> None:
    for release in ("1", "2"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "version").write_text(release)
    current = tmp_path / "current"
    current.symlink_to("1")
    server = serve("files_site:app", "--static", f"/static/={current}")
    assert server.get("/static/version").text == "1"
    (tmp_path / "next").symlink_to("2")
    (tmp_path / "next").rename(current)
    eventually(lambda: server.get("/static/version").text == "2", "the new release is served")
    shutil.rmtree(tmp_path / "1")
    assert server.get("/static/version").text == "2"


def test_an_edited_file_is_seen_at_once(serve: Callable[..., Server], tmp_path: Path) -> None:
    """And a relative folder starts from --chdir."""
    server = serve("files_site:app", "--static", "/static/=.", "--chdir", str(tmp_path), "--pythonpath", str(APPS))
    seen: set[str | None] = set()
    for content in ("one", "three", ""):
        (tmp_path / "file.txt").write_text(content)
        answer = server.get("/static/file.txt")
        assert answer.text == content
        seen.add(answer.header("etag"))
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--static", "/static/=./missing"], "there is no folder .*/missing: create it"),
        (["--static", "/static/=./files_site.py"], "files_site.py is not a folder"),
        (["--static", "static"], "is no PREFIX=FOLDER"),
        (["--accel", "/protected/=./missing"], "there is no folder"),
        (["--sendfile-root", "./missing"], "there is no folder"),
    ],
)
@pytest.mark.parametrize("command", ["serve", "check"])
def test_mistakes_are_found_at_start(command: str, flags: list[str], expected: str) -> None:
    done = subprocess.run(
        [BINARY, command, "files_site:app", *flags],
        cwd=APPS,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert re.search(expected, done.stderr), done.stderr
    assert flags[0].removeprefix("--") in done.stderr.replace("_", "-")
