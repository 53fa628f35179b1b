"""Pools and routes: which pool answers a request, and that none of them takes anything from another."""

from __future__ import annotations

import json
import re
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import APPS, Client, Server, eventually, in_parallel
from sockets import connect
from test_messages import run

Serve = Callable[..., Server]

SITE = """
pythonpath = [APPS]
workers = 1
env = ["SHARED=yes", "NAME=web"]

[pool.reports]
app = "pooled:wsgi"
threads = 2
env = ["NAME=reports"]

[pool.async]
app = "pooled:asgi"
env = ["NAME=async"]
root_path = "/async"

[[route]]
path = "/reports"
pool = "reports"

[[route]]
path = "/reports/upload"
method = ["POST", "PUT"]
pool = "async"

[[route]]
path = "/async"
pool = "async"

[[route]]
host = "*.async.example.com"
protocol = "http"
pool = "async"

[[route]]
path = "/reports"
protocol = "websocket"
pool = "async"
"""


def folder(path: Path, text: str) -> Path:
    (path / "backline.toml").write_text(text.replace("APPS", json.dumps(str(APPS))))
    return path


def seen(server: Server, target: str, method: str = "GET", body: bytes = b"", **headers: str) -> dict[str, Any]:
    answer = server.request(method, target, headers, body)
    assert answer.status == 200, answer
    found: dict[str, Any] = json.loads(answer.text)
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Server("pooled:wsgi", cwd=folder(tmp_path_factory.mktemp("site"), SITE)) as server:
        yield server


@pytest.mark.parametrize(
    ("target", "headers", "name"),
    [
        ("/", {}, "web"),
        ("/reportsx", {}, "web"),
        ("/reports", {}, "reports"),
        ("/reports/", {}, "reports"),
        ("/reports/2026?x=/async", {}, "reports"),
        ("/rep%6frts/2026", {}, "reports"),
        ("/reports/upload", {}, "reports"),
        ("/", {"Host": "EU.async.example.com:8000"}, "async"),
        ("/", {"Host": "async.example.com"}, "web"),
        ("/reports", {"Host": "eu.async.example.com"}, "async"),
    ],
)
def test_most_specific_route_answers(site: Server, target: str, headers: dict[str, str], name: str) -> None:
    assert seen(site, target, **headers)["name"] == name


def test_env_of_a_pool_is_added_to_the_servers(site: Server) -> None:
    found = seen(site, "/reports")
    assert (found["name"], found["shared"]) == ("reports", "yes")


def test_prefix_is_stripped_only_for_a_pool_with_root_path(site: Server) -> None:
    found = seen(site, "/reports/2026")
    assert (found["script"], found["path"]) == ("", "/reports/2026")
    found = seen(site, "/async/x")
    assert (found["root"], found["path"]) == ("/async", "/async/x")  # ASGI: path has root_path in front


def test_body_is_collected_for_wsgi_and_streamed_to_asgi(site: Server) -> None:
    chunked = {"Transfer-Encoding": "chunked"}
    with site.connect() as client:
        client.send_request("POST", "/reports/upload", chunked)
        client.send(b"5\r\nhello\r\n")
        site.wait_for("async has a piece of 5")  # the application has the first half before there is a second one
        client.send(b"0\r\n\r\n")
        answer = client.answer("POST")
        assert json.loads(answer.text) == {"name": "async", "root": "/async", "path": "/async/reports/upload", "body": 5}
        # The same connection, and a WSGI application, which learns how long the whole was.
        client.send_request("POST", "/reports", chunked)
        client.send(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        found = json.loads(client.answer("POST").text)
    assert (found["name"], found["body"], found["length"]) == ("reports", 11, "11")


@pytest.mark.parametrize(
    ("target", "told"),
    [("/reports/ws", "async /async/reports/ws"), ("/async/ws", "async /async/ws")],
)
def test_websockets_have_routes_of_their_own(site: Server, target: str, told: str) -> None:
    with connect(site, target) as socket:
        assert socket.message() == told


def test_websocket_that_no_pool_takes_is_an_ordinary_request(site: Server) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    assert seen(site, "/", **headers, **{"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})["name"] == "web"


def test_greeting_has_a_line_for_each_pool(site: Server) -> None:
    assert re.search(r"^  reports   pooled:wsgi \(WSGI, 2 threads each\), 1 worker, for /reports$", site.log, re.M), site.log
    assert re.search(
        r"^  async     pooled:asgi \(ASGI, one event loop each\), 1 worker, for \*\.async\.example\.com over HTTP, ", site.log, re.M
    ), site.log
