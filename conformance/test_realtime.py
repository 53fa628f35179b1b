"""Long polls and event streams that the server holds for plain views."""

from __future__ import annotations

import base64
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import APPS, Answer, Client, Server, eventually


def admin_port(server: Server) -> int:
    found = re.search(r"/-/health on http://\S+:(\d+)", server.log)
    assert found, server.log
    return int(found.group(1))


def one(*flags: str) -> Server:
    """A server with one worker of one thread: what comes after another request is answered after it."""
    return Server("realtime_wsgi", "--workers", "1", "--threads", "1", *flags)


@pytest.fixture(scope="module")
def wsgi() -> Iterator[Server]:
    with one() as server:
        yield server


@pytest.fixture(scope="module")
def asgi() -> Iterator[Server]:
    with Server("realtime_asgi:application", "--workers", "1") as server:
        yield server


def waiting(server: Server, target: str) -> Client:
    client = server.connect()
    client.send_request("GET", target)
    return client


def held(server: Server, target: str, count: int = 1) -> list[Client]:
    """Clients that wait: the worker has one thread, so whatever it answers after them comes when they are held."""
    clients = [waiting(server, target) for _ in range(count)]
    server.get("/")
    return clients


def test_one_thread_holds_many_polls(wsgi: Server) -> None:
    clients = held(wsgi, "/poll?group=many", 50)
    assert wsgi.get("/say?group=many").text == "1"
    answers = [client.answer() for client in clients]
    assert {(answer.status, answer.text) for answer in answers} == {(200, "1")}
    assert not [name for answer in answers for name, _ in answer.headers if name.lower().startswith("grip")]


def test_a_view_that_finds_something_answers_at_once(wsgi: Server) -> None:
    wsgi.get("/say?group=known")
    assert wsgi.get("/poll?group=known").text == "1"


def test_time_is_up(wsgi: Server) -> None:
    # 1 is raised to the 5 s that are the least.
    assert wsgi.get("/poll?group=nobody&timeout=1").text == "nothing"


def test_a_stream_gets_what_is_published_and_is_kept_alive(wsgi: Server) -> None:
    (client,) = held(wsgi, "/stream")
    head = client.head()
    assert head.header("transfer-encoding") == "chunked" and head.header("content-length") is None
    chunks = client.chunks()
    assert next(chunks) == b"open\n"
    assert next(chunks) == b".\n"
    said = wsgi.get("/say?group=room").text
    assert f"{said}\n".encode() in (next(chunks), next(chunks))
    wsgi.get("/close")
    assert set(chunks) <= {b".\n"}


def test_server_sent_events(wsgi: Server) -> None:
    (client,) = held(wsgi, "/events")
    head = client.head()
    assert head.header("content-type") == "text/event-stream"
    wsgi.get("/event")
    assert next(client.chunks()) == b'event: news\nid: 7\ndata: {"a": [1]}\n\n'
    client.close()


def test_what_clients_say_in_the_servers_place_is_taken_out(wsgi: Server) -> None:
    assert wsgi.get("/", **{"Grip-Sig": "x", "grip-last": "y"}).text == ""


def test_the_cursor_is_told_once_something_was_held(wsgi: Server) -> None:
    held(wsgi, "/poll?group=cursor")
    before = int(wsgi.get("/cursor").text)
    wsgi.get("/say?group=cursor")
    assert int(wsgi.get("/cursor").text) > before


def test_a_body_that_is_too_long_to_be_kept(wsgi: Server) -> None:
    assert wsgi.get("/long?size=70000").status == 500
    wsgi.wait_for("longer than hold_body allows")
    assert wsgi.get("/long?size=200000").status == 500


def test_asgi(asgi: Server) -> None:
    clients = [waiting(asgi, "/poll"), waiting(asgi, "/pieces"), waiting(asgi, "/stream")]
    events = clients[2]
    assert events.head().status == 200
    eventually(lambda: asgi.get("/cursor").text != "None", "an answer is held")
    # Which of them is held already nobody tells; whoever came before misses nothing.
    asgi.get("/say")
    for client in clients[:2]:
        answer = client.answer()
        assert (answer.status, answer.text, answer.header("x-from")) in [
            (201, '{"text": "\\u00e9"}', "apublish"),
            (200, "nothing", None),
        ]
    events.close()


def test_a_script_publishes(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with one("--control-socket", str(place)) as server:
        clients = held(server, "/poll?group=script")
        code = "from backline.realtime import publish; publish('script', 'from a script')"
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            env={"BACKLINE_SOCKET": str(place), "PYTHONPATH": str(APPS.parent.parent / "python")},
            timeout=60,
        )
        assert clients[0].answer().text == "from a script"


def publish(port: int, items: object, authorization: str = "") -> Answer:
    client = Client(socket.create_connection(("127.0.0.1", port), timeout=20))
    headers = {"Authorization": authorization} if authorization else {}
    with client:
        return client.request("POST", "/publish/", headers, json.dumps({"items": items}).encode())


ITEM = {"channel": "everybody", "http-response": {"body": "published", "headers": {"X-A": "1"}}}


def test_publish_on_the_address_for_operators() -> None:
    with one("--admin-bind", "127.0.0.1:0") as server:
        port = admin_port(server)
        clients = held(server, "/poll?group=a", 3)
        assert publish(port, [{"channel": "b"}]).status == 400
        answer = publish(port, [ITEM])
        assert (answer.status, answer.text) == (200, "Published\n")
        for client in clients:
            got = client.answer()
            assert (got.text, got.header("x-a")) == ("published", "1")
        long = {"channel": "everybody", "http-response": {"body": "x" * 500_000}}
        (client,) = held(server, "/poll?group=a")
        assert publish(port, [long]).status == 200
        assert len(client.answer().body) == 500_000


def test_publish_with_a_key() -> None:
    flags = ("--admin-bind", "127.0.0.1:0", "--grip-key", "backline=changeme")
    with one(*flags) as server:
        port = admin_port(server)
        assert publish(port, [ITEM]).status == 401
        wrong = base64.b64encode(b"backline:wrong").decode()
        assert publish(port, [ITEM], f"Basic {wrong}").status == 401
        right = base64.b64encode(b"backline:changeme").decode()
        assert publish(port, [ITEM], f"Basic {right}").status == 200
        assert server.get("/").text == "HTTP_GRIP_FEATURE HTTP_GRIP_SIG"


def test_off() -> None:
    with one("--no-grip") as server:
        assert server.get("/", **{"Grip-Sig": "x"}).text == "HTTP_GRIP_SIG"
        answer = server.get("/poll")
        assert (answer.text, answer.header("grip-hold")) == ("nothing", "response")


def test_who_waits_is_answered_when_the_server_stops() -> None:
    with one() as server:
        (client,) = held(server, "/poll?group=end")
        assert server.stop() == 0
        assert client.answer().text == "nothing"


def test_who_waits_outlives_the_workers() -> None:
    with one() as server:
        (client,) = held(server, "/poll?group=reload")
        server.signal(signal.SIGHUP)
        server.wait_for("reload complete")
        server.get("/say?group=reload")
        assert client.answer().text == "1"
