"""Django 5.2 as projects run it, by WSGI and by ASGI."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from harness import PATIENCE, Server
from interpreters import PROJECTS, on_every_python

SITE = PROJECTS / "django_site"
FILE = bytes(range(256)) * 8192  # 2 MiB

pytestmark = [on_every_python, pytest.mark.parametrize("interface", ["wsgi", "asgi"], scope="module")]


@pytest.fixture(scope="module")
def data(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with an administrator, and a file to serve."""
    folder = tmp_path_factory.mktemp("site")
    environ = {**os.environ, "DATA": str(folder), "DJANGO_SETTINGS_MODULE": "mysite.settings", "PYTHONPATH": str(SITE)}
    environ |= {f"DJANGO_SUPERUSER_{key}": value for key, value in
                {"USERNAME": "anna", "PASSWORD": "geheim", "EMAIL": "anna@example.org"}.items()}  # fmt: skip
    for command in (["migrate", "--run-syncdb", "--verbosity", "0"], ["createsuperuser", "--noinput"]):
        subprocess.run([python, "-m", "django", *command], cwd=SITE, env=environ, check=True, timeout=3 * PATIENCE)
    (folder / "data.bin").write_bytes(FILE)
    return folder


@pytest.fixture(scope="module")
def server(python: str, interface: str, data: Path) -> Iterator[Server]:
    flags = ("--workers", "2", "--threads", "4")
    with Server(f"mysite.{interface}", *flags, python=python, cwd=SITE, env={"DATA": str(data)}) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=PATIENCE) as client:
        yield client


def token(page: httpx.Response) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert page.status_code == 200 and found, page
    return found.group(1)


def log_in(client: httpx.Client) -> httpx.Response:
    page = client.get("/admin/login/?next=/admin/")
    fields = {"username": "anna", "password": "geheim", "next": "/admin/", "csrfmiddlewaretoken": token(page)}
    return client.post("/admin/login/?next=/admin/", data=fields)


def test_admin_login(client: httpx.Client) -> None:
    answer = client.get("/admin/")
    assert (answer.status_code, answer.headers["location"]) == (302, "/admin/login/?next=/admin/")
    answer = log_in(client)
    assert (answer.status_code, answer.headers["location"]) == (302, "/admin/")
    assert "sessionid" in client.cookies
    assert "Site administration" in client.get("/admin/").text


def test_admin_adds_and_lists(client: httpx.Client) -> None:
    log_in(client)
    fields = {"text": "written by the admin", "csrfmiddlewaretoken": token(client.get("/admin/mysite/note/add/"))}
    answer = client.post("/admin/mysite/note/add/", data=fields, follow_redirects=True)
    assert answer.status_code == 200 and "was added successfully" in answer.text
    assert "written by the admin" in answer.text


def test_form_post_and_redirect(client: httpx.Client, interface: str) -> None:
    text = f"Grüße über {interface} & <mehr>"
    answer = client.post("/notes/", data={"text": text, "csrfmiddlewaretoken": token(client.get("/notes/"))})
    assert (answer.status_code, answer.headers["location"]) == (302, "/notes/")
    assert f"<li>Grüße über {interface} &amp; &lt;mehr&gt;</li>" in client.get("/notes/").text


def test_form_post_without_token_is_refused(client: httpx.Client) -> None:
    assert client.post("/notes/", data={"text": "forged"}).status_code == 403


def test_upload_of_5_mb_goes_to_disk(client: httpx.Client) -> None:
    content = os.urandom(5_000_000)
    answer = client.post("/upload/", data={"note": "é"}, files={"file": ("big.bin", content)})
    assert answer.json() == {
        "name": "big.bin", "size": len(content), "sha1": hashlib.sha1(content).hexdigest(),
        "kept": "TemporaryUploadedFile", "note": "é",
    }  # fmt: skip


def test_chunked_upload_that_asks_first(server: Server, interface: str) -> None:
    """As "curl -T -" sends it. By ASGI no server can help Django, which reads no form without a length."""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nasked\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nDATA\r\n--b--\r\n'
    )
    fields = {"Content-Type": "multipart/form-data; boundary=b", "Transfer-Encoding": "chunked"}
    with server.connect() as client:
        client.send_request("POST", "/upload/", {"Host": "127.0.0.1", **fields, "Expect": "100-continue"})
        assert client.head().status == 100
        client.send(b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
        answer = client.answer()
    if interface == "wsgi":
        seen = json.loads(answer.body)
        assert (seen["name"], seen["size"], seen["note"]) == ("f", 4, "asked")


def test_file_response(client: httpx.Client) -> None:
    answer = client.get("/files/data.bin")
    assert answer.status_code == 200 and answer.content == FILE
    assert answer.headers["content-length"] == str(len(FILE))
    again = client.get("/files/data.bin", headers={"If-Modified-Since": answer.headers["last-modified"]})
    assert (again.status_code, again.content) == (304, b"")
    head = client.head("/files/data.bin")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(FILE)))


def test_streaming_response(client: httpx.Client) -> None:
    with client.stream("GET", "/stream/") as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.read() == b"".join(b"piece %d\n" % n for n in range(1000))


def test_not_found_and_slash(client: httpx.Client) -> None:
    assert client.get("/nothing/here/").status_code == 404
    answer = client.get("/notes")
    assert (answer.status_code, answer.headers["location"]) == (301, "/notes/")


def test_failing_view_is_500_and_logged(client: httpx.Client, server: Server) -> None:
    after = len(server.lines)
    assert client.get("/fail/").status_code == 500
    server.wait_for("ValueError: this view always fails", after=after)
    assert client.get("/notes/").status_code == 200
