"""Django under ASGI, unchanged: its synchronous views run in parallel on a few threads that stay."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from asgi_variants import LOOPS, VARIANTS, SharedServers, Variant, seen
from harness import APPS, Server, eventually, in_parallel

THREADS = 4


@pytest.fixture(params=VARIANTS, ids=str)
def variant(request: pytest.FixtureRequest) -> Variant:
    found: Variant = request.param
    return found


@pytest.fixture
def server(shared: SharedServers, variant: Variant) -> Server:
    return shared("asgi_django:app", *variant.flags, "--threads", str(THREADS))


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


def json_of(server: Server, target: str) -> Any:
    answer = server.get(target)
    assert answer.status == 200, server.log
    return json.loads(answer.body)


def test_django_answers(server: Server) -> None:
    with server.connect() as client:
        assert client.request("GET", "/plain/a%20b/caf%C3%A9").text.startswith("GET /plain/a b/café")
        assert client.request("HEAD", "/plain/x").body == b""
        assert client.request("GET", "/nowhere").status == 404
        assert client.request("GET", "/plain/x").status == 200


def test_django_reads_bodies(server: Server) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert json.loads(server.request("POST", "/form", form, b"a=1&b=%C3%A9").body) == {
        "post": {"a": "1", "b": "é"},
        "length": 12,
    }
    data = b"x" * 3_000_000  # above FILE_UPLOAD_MAX_MEMORY_SIZE
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + data + b"\r\n--b--\r\n"
    answer = server.request("POST", "/upload", {"Content-Type": "multipart/form-data; boundary=b"}, part)
    assert json.loads(answer.body) == {"name": "f", "size": len(data)}


def test_django_cookies(server: Server) -> None:
    answer = server.get("/cookies", Cookie="x=1; y=2")
    assert json.loads(answer.body) == {"x": "1", "y": "2"}
    assert [value.split(";")[0] for value in answer.all("set-cookie")] == ["a=1", "b=2"]


def test_django_files(server: Server) -> None:
    assert server.get("/file").body == (APPS / "asgi_django.py").read_bytes()


def test_django_errors_are_its_own_500(server: Server) -> None:
    answer = server.get("/broken")
    assert (answer.status, answer.header("content-type")) == (500, "text/html; charset=utf-8")
    assert "<h1>Server Error (500)</h1>" in answer.text


def test_sync_views_run_in_parallel(server: Server, name: str) -> None:
    """asgiref #218: on one thread, none of these would ever go on."""
    found = in_parallel(THREADS, lambda _: server.get(f"/together/{name}/{THREADS}"))
    assert [answer.status for answer in found if hasattr(answer, "status")] == [200] * THREADS
    assert len({answer.text for answer in found if hasattr(answer, "text")}) == THREADS


def test_sync_views_reuse_a_few_threads_and_their_database_connections(server: Server) -> None:
    found = in_parallel(40, lambda _: tuple(json_of(server, "/query")))
    threads = {one[0] for one in found if isinstance(one, tuple)}
    connections = {one[1] for one in found if isinstance(one, tuple)}
    assert 1 <= len(threads) <= THREADS
    assert len(connections) == len(threads)
    assert len(seen(server, "connections")) <= THREADS  # Django opened no others, before or since


def test_more_requests_than_threads_wait_and_are_answered(server: Server) -> None:
    found = in_parallel(4 * THREADS, lambda _: server.get("/blocks/50").text)
    assert len(set(found)) <= THREADS


def test_all_synchronous_work_of_a_request_is_on_one_thread(server: Server) -> None:
    for _ in range(5):
        assert len(set(json_of(server, "/same-thread"))) == 1


def test_signals_come_on_the_requests_thread(server: Server) -> None:
    """close_old_connections listens to them, and connections belong to threads."""
    before = len(seen(server, "request_finished"))
    ident = int(server.get("/plain/x").text.rsplit(" ", 1)[1])

    def finished() -> bool:
        return len(seen(server, "request_finished")) > before

    eventually(finished, "request_finished")
    assert ident in seen(server, "request_started")
    assert ident in seen(server, "request_finished")
    assert set(seen(server, "request_finished")) <= set(seen(server, "request_started"))


def test_an_async_view_is_cancelled_when_its_client_goes(server: Server, name: str) -> None:
    lines = len(server.lines)
    with server.connect() as client:
        client.send_request("GET", f"/asleep/{name}")
        seen(server, name)
    assert seen(server, name, 2) == ["sleeping", "cancelled"]
    assert server.get("/plain/x").status == 200
    assert not [line for line in server.lines[lines:] if "error while" in line]


def test_streams_do_not_keep_their_threads_from_others(server: Server, name: str) -> None:
    """Twice as many open event streams as threads: the site must go on."""
    clients = [server.connect() for _ in range(2 * THREADS)]
    try:
        for client in clients:
            client.send_request("GET", f"/stream/{name}")
        for client in clients:
            assert client.head().status == 200
            assert next(client.chunks()) == b"data: first\n\n"
        assert server.get("/plain/x").status == 200
        assert server.get(f"/stop/{name}").text == "stopped"
        for client in clients:
            rest = b"".join(chunk or b"<cut>" for chunk in client.chunks())
            assert rest.startswith(b"data: last ") and rest.endswith(b"\n\n")
    finally:
        for client in clients:
            client.close()


def test_a_task_that_outlives_its_request_still_gets_a_thread(server: Server, name: str) -> None:
    lines = len(server.lines)
    assert server.get(f"/outlives/{name}").text == "answered"
    assert seen(server, name) == ["ran"]
    assert "RuntimeError" not in "\n".join(server.lines[lines:])


def test_l5_django_knows_no_lifespan(server: Server) -> None:
    assert server.get("/plain/x").status == 200
    assert "ValueError" not in server.log


def test_h8_django_mounted_below_a_prefix(shared: SharedServers) -> None:
    server = shared("asgi_django:app", *LOOPS[0].flags, "--root-path", "/site")
    assert server.get("/site/plain/x").text.startswith("GET /site/plain/x ")
    assert server.get("/plain/x").text.startswith("GET /site/plain/x ")
