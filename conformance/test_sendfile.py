"""Files that an application names and the server sends: wsgi.file_wrapper, pathsend, X-Sendfile, X-Accel-Redirect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Server, eventually, in_parallel
from wsgi_loops import GEVENT

CONTENT = bytes(range(256)) * 2000
Serve = Callable[..., Server]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("files")
    (root / "file.txt").write_bytes(CONTENT)
    (root / "empty.txt").write_bytes(b"")
    (root / "private").mkdir()
    (root / "private" / "file.txt").write_bytes(b"private")
    (root / "out").symlink_to("/etc")
    return root


@pytest.fixture(scope="module")
def servers(folder: Path) -> Iterator[dict[str, Server]]:
    """One without declared folders, one with, one with greenlets."""
    env = {"FILES": str(folder)}
    declared = ("--sendfile-root", str(folder), "--accel", f"/protected/={folder}/private")
    running = {
        "open": Server("files_site:app", env=env),
        "declared": Server("files_site:app", *declared, env=env),
        "gevent": Server("files_site:app", *GEVENT, env=env),
    }
    yield running
    for server in running.values():
        server.kill()


@pytest.fixture(params=["open", "declared", "gevent"])
def server(servers: dict[str, Server], request: pytest.FixtureRequest) -> Server:
    return servers[request.param]


@pytest.fixture
def declared(servers: dict[str, Server]) -> Server:
    return servers["declared"]


@pytest.mark.parametrize("how", ["plain", "proxy", "unbuffered", "relative", "memory"])
def test_file_wrapper(server: Server, how: str) -> None:
    with server.connect() as client:
        for _ in range(2):
            answer = client.request("GET", f"/wrapper/{how}/file.txt")
            assert (answer.status, answer.body, answer.header("content-type")) == (200, CONTENT, "application/x-test")
            assert client.request("GET", f"/wrapper/{how}/empty.txt").body == b""
            assert client.request("GET", "/").text == "from the application"


def test_file_wrapper_leaves_it_to_the_server(server: Server) -> None:
    """The length shows it: the application gave none, so what is read in Python comes in chunks."""
    assert server.get("/wrapper/plain/file.txt").header("content-length") == str(len(CONTENT))
    assert server.get("/wrapper/memory/file.txt").header("transfer-encoding") == "chunked"


def test_file_wrapper_begins_where_the_file_stands(server: Server) -> None:
    assert server.get("/wrapper/further/file.txt").body == CONTENT[5:]


def test_file_wrapper_keeps_to_the_content_length(server: Server) -> None:
    with server.connect() as client:
        assert client.request("GET", "/short/file.txt").body == CONTENT[:4]
        assert client.request("GET", "/").text == "from the application"


def test_file_wrapper_and_head(server: Server) -> None:
    with server.connect() as client:
        assert client.request("HEAD", "/wrapper/plain/file.txt").header("content-length") == str(len(CONTENT))
        assert client.request("GET", "/").text == "from the application"


@pytest.mark.parametrize("how", ["gone", "removing"])
def test_file_wrapper_and_files_that_do_not_stay(server: Server, folder: Path, how: str) -> None:
    """One has been removed when the answer begins, the other is removed in its close."""

    def one(n: int) -> None:
        name = f"{how}-{n}-{id(server)}"
        (folder / name).write_bytes(CONTENT)
        assert server.get(f"/wrapper/{how}/{name}").body == CONTENT

    in_parallel(12, one)
    eventually(lambda: not list(folder.glob(f"{how}-*")), "all of them are removed")


def test_file_wrapper_and_clients_that_leave(server: Server) -> None:
    def one(n: int) -> None:
        with server.connect() as client:
            client.send_request("GET", "/wrapper/plain/file.txt")
            if n % 2:
                assert client.answer().body == CONTENT

    in_parallel(20, one)
    assert server.get("/").text == "from the application"


def test_x_sendfile(declared: Server) -> None:
    with declared.connect() as client:
        for target in ("/sendfile/file.txt", "/stream/file.txt"):
            answer = client.request("GET", target)
            assert (answer.status, answer.body) == (200, CONTENT)
            assert answer.all("content-length") == [str(len(CONTENT))]
            assert answer.header("x-sendfile") is None
            assert answer.header("content-type") == "text/plain; charset=utf-8"
            assert answer.header("etag") and answer.header("last-modified")
        assert client.request("GET", "/sendfile/file.txt").header("x-own") == "1"
        answer = client.request("GET", "/sendfile/file.txt", {"Range": "bytes=1-3"})
        assert (answer.status, answer.body) == (206, CONTENT[1:4])
        etag = answer.header("etag") or ""
        assert client.request("GET", "/sendfile/file.txt", {"If-None-Match": etag}).status == 304
        assert client.request("HEAD", "/sendfile/file.txt").header("content-length") == str(len(CONTENT))
        assert client.request("GET", "/").text == "from the application"


def test_x_accel_redirect(declared: Server) -> None:
    answer = declared.get("/accel/protected/file.txt")
    assert (answer.status, answer.text, answer.header("content-type")) == (200, "private", "application/x-test")
    assert answer.header("x-accel-redirect") is None
    assert declared.get("/protected/file.txt").text == "from the application"


@pytest.mark.parametrize(
    ("target", "logged"),
    [
        ("/sendfile/missing", "no such file"),
        ("/sendfile/../x", "escapes"),
        ("/sendfile/out/passwd", "escapes"),
        ("/sendfile//etc/passwd", "sendfile_root"),
        ("/accel/protected/missing", "no such file"),
        ("/accel/protected/../file.txt", "no file's name"),
        ("/accel/other/file.txt", "--accel"),
    ],
)
def test_what_cannot_be_sent_is_a_500_and_logged(declared: Server, target: str, logged: str) -> None:
    lines = len(declared.lines)
    with declared.connect() as client:
        answer = client.request("GET", target)
        assert (answer.status, b"instead" in answer.body) == (500, False)
        assert client.request("GET", "/").text == "from the application"
    declared.wait_for(logged, after=lines)


def test_without_declared_folders_the_fields_are_for_a_proxy_in_front(servers: dict[str, Server], folder: Path) -> None:
    answer = servers["open"].get("/sendfile/file.txt")
    assert (answer.text, answer.header("x-sendfile")) == ("instead", str(folder / "file.txt"))
    answer = servers["open"].get("/accel/protected/file.txt")
    assert (answer.text, answer.header("x-accel-redirect")) == ("instead", "/protected/file.txt")


@pytest.fixture
def starlette(serve: Serve, folder: Path) -> Callable[..., Server]:
    return lambda *flags: serve("pathsend_site:app", *flags, env={"FILES": str(folder)})


def test_starlette_responses(starlette: Serve, folder: Path) -> None:
    server = starlette()
    with server.connect() as client:
        for _ in range(2):
            answer = client.request("GET", "/response/file.txt")
            assert (answer.body, answer.all("content-length")) == (CONTENT, [str(len(CONTENT))])
            assert client.request("GET", "/response/file.txt", {"Range": "bytes=1-3"}).body == CONTENT[1:4]
            assert client.request("HEAD", "/response/file.txt").header("content-length") == str(len(CONTENT))
    assert server.get(f"/bare?path={folder}/private/file.txt").text == "private"
    assert server.get("/bare?path=/etc/hostname").status == 200
    assert server.get("/named?path=/protected/file.txt").text == "instead"


def test_a_file_that_is_removed_after_the_answer(starlette: Serve, folder: Path) -> None:
    server = starlette()

    def one(n: int) -> None:
        name = f"removed-{n}"
        (folder / name).write_bytes(CONTENT)
        assert server.get(f"/removed/{name}").body == CONTENT

    in_parallel(20, one)
    eventually(lambda: not list(folder.glob("removed-*")), "all of them are removed")


def test_pathsend_within_declared_folders(starlette: Serve, folder: Path) -> None:
    server = starlette("--sendfile-root", str(folder), "--accel", f"/protected/={folder}/private")
    assert server.get("/response/file.txt").body == CONTENT
    assert server.get("/named?path=/protected/file.txt").text == "private"
    for path in ("/etc/hostname", f"{folder}/../x", f"{folder}/out/passwd", f"{folder}"):
        lines = len(server.lines)
        with server.connect() as client:
            assert client.request("GET", f"/bare?path={path}").status == 500
            assert client.request("GET", "/").text == "from the application"
        server.wait_for("cannot be opened", after=lines)
        server.wait_for("sent", after=lines)  # the application's send() returns


def test_pathsend_and_clients_that_leave(starlette: Serve) -> None:
    server = starlette()

    def one(n: int) -> None:
        with server.connect() as client:
            client.send_request("GET", "/response/file.txt")
            if n % 2:
                assert client.answer().body == CONTENT

    in_parallel(20, one)
    assert server.get("/").text == "from the application"
