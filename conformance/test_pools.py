"""Pools and routes: which pool answers a request, and that none of them takes anything from another."""

from __future__ import annotations

import json
import re
import select
import signal
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from harness import APPS, ROOT, Client, Server, eventually
from sockets import connect
from test_messages import run
from wsgi_gate import Gate

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


def seen(server: Server, target: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    answer = server.request("GET", target, headers)
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
    assert seen(site, target, headers)["name"] == name


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
        assert json.loads(answer.text) == {
            "name": "async",
            "root": "/async",
            "path": "/async/reports/upload",
            "body": 5,
        }
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
    headers["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    assert seen(site, "/", headers)["name"] == "web"


def test_greeting_has_a_line_for_each_pool(site: Server) -> None:
    site.wait_for(r"^  reports   pooled:wsgi \(WSGI, 2 threads each\), 1 worker, for /reports$")
    site.wait_for(
        r"^  async     pooled:asgi \(ASGI, one event loop each\), 1 worker, for \*\.async\.example\.com over HTTP, "
    )


HELD = """
pythonpath = [APPS]
workers = 1
health_paths = ["/healthz", "/reports/healthz"]

[pool.reports]
threads = 1
queue_size = 2
queue_timeout = "1h"
timeout = "1h"

[[route]]
path = "/reports"
pool = "reports"
"""


@pytest.fixture
def held(serve: Serve, tmp_path: Path) -> tuple[Server, Gate, list[Client]]:
    """A server whose pool "reports" runs one request that waits at the gate, with two more in its full queue."""
    gate = Gate(tmp_path / "gate")
    server = serve(
        "pooled:wsgi",
        "--admin-bind",
        f"unix:{tmp_path}/admin",
        cwd=folder(tmp_path, HELD),
        env={"GATE": str(gate.path)},
    )
    clients = [server.connect() for _ in range(3)]
    for n, client in enumerate(clients):
        client.send_request("POST", "/reports/hold")
        if n == 0:
            server.wait_for("held")
    eventually(lambda: load(tmp_path / "admin") == {"running": 1, "waiting": 2}, "one runs and two wait")
    return server, gate, clients


def load(admin: Path) -> object:
    """What the pool "reports" has to do, as operators are told."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(admin))
        pools = json.loads(Client(sock).request("GET", "/-/health").text)["pools"]
    return next(pool["requests"] for pool in pools if pool["name"] == "reports")


def release(gate: Gate, clients: list[Client]) -> None:
    """Let the held requests end, one after the other."""
    for client in clients:
        gate.open()
        assert client.answer("POST").status == 200


def test_flooded_pool_does_not_delay_another(held: tuple[Server, Gate, list[Client]]) -> None:
    server, gate, clients = held
    over = threading.Event()

    def flood(_: int) -> int:
        refused = 0
        with server.connect() as client:
            while not over.is_set():
                answer = client.request("POST", "/reports/hold")
                assert (answer.status, answer.header("retry-after")) == (503, "1")
                refused += 1
        return refused

    def visit() -> list[float]:
        times = []
        with server.connect() as client:
            for _ in range(200):
                began = time.monotonic()
                assert client.request("GET", "/").status == 200
                times.append(time.monotonic() - began)
        return times

    quiet = visit()
    with ThreadPoolExecutor(4) as pool:
        floods = [pool.submit(flood, n) for n in range(4)]
        try:
            busy = visit()
        finally:
            over.set()
        refused = sum(each.result() for each in floods)
    quick, slow = statistics.median(quiet), statistics.median(busy)
    print(f"median {quick * 1e3:.2f} ms, flooded {slow * 1e3:.2f} ms; {refused} refused")
    assert refused > 200
    # Whoever had to wait for the flooded pool would wait for the gate, which is closed. The flood itself costs time.
    assert slow < 1
    release(gate, clients)


def test_health_paths_wait_in_front_of_the_queue(held: tuple[Server, Gate, list[Client]]) -> None:
    server, gate, clients = held
    assert server.get("/healthz").status == 200  # another pool's, which is idle
    with server.connect() as health, server.connect() as other:
        health.send_request("GET", "/reports/health%7A")
        assert other.request("GET", "/reports/healthz/more").status == 503  # exactly the path
        assert other.request("POST", "/reports/healthz").status == 503  # GET and HEAD
        # One request ends. The two that have waited longer are at the gate, so only who passes them is answered.
        gate.open()
        assert health.answer().status == 200
    assert clients[0].answer("POST").status == 200
    release(gate, clients[1:])


def test_health_requests_that_wait_are_bounded(held: tuple[Server, Gate, list[Client]]) -> None:
    server, gate, clients = held
    asking = [server.connect() for _ in range(70)]
    for client in asking:
        client.send_request("GET", "/reports/healthz")
    # 64 wait, 6 are refused. Which ones, nobody can tell: connections are read by several.
    eventually(lambda: len(select.select([c.sock for c in asking], [], [], 0)[0]) == 6, "six are refused")
    release(gate, clients[:1])
    assert sorted(client.answer().status for client in asking) == [200] * 64 + [503] * 6
    for client in asking:
        client.close()
    release(gate, clients[1:])


def test_signals_concern_all_pools(serve: Serve, tmp_path: Path) -> None:
    text = SITE + '[pool.sockets]\napp = "pooled:asgi"\n[[route]]\nprotocol = "websocket"\npool = "sockets"\n'
    server = serve("pooled:wsgi", cwd=folder(tmp_path, text))
    pids = {target: seen(server, target)["pid"] for target in ("/", "/reports")}
    server.signal(signal.SIGHUP)
    for name in ("web", "reports", "async", "sockets"):
        server.wait_for(f"reload complete pool={name}")
    assert all(seen(server, target)["pid"] != pid for target, pid in pids.items())
    server.signal(signal.SIGTTIN)
    for name in ("web", "reports", "async"):
        server.wait_for(f"scale pool={name} from=1 to=2")
        server.wait_for(rf"\[{name}\.3\] worker up")
    server.signal(signal.SIGTTOU)
    for name in ("web", "reports", "async"):
        server.wait_for(f"scale pool={name} from=2 to=1")
        server.wait_for(rf"\[{name}\.\d\] worker ended .*reason=(?!reloaded)")
    # The pool for WebSockets alone has kept its number: what one socket sends to others would have to cross processes.
    assert server.stop() == 0
    assert "scale pool=sockets" not in server.log


def test_pool_may_have_a_folder_and_time_limits_of_its_own(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "pages.py").write_text("from pooled import wsgi as app\n")
    pool = '[pool.other]\nchdir = "other"\napp = "pages"\ntimeout = "200ms"\n'
    text = SITE + pool + '[[route]]\npath = "/other"\npool = "other"\n'
    gate = Gate(tmp_path / "gate")
    server = serve("pooled:wsgi", cwd=folder(tmp_path, text), env={"GATE": str(gate.path)})
    assert seen(server, "/other")["cwd"] == str(tmp_path / "other")
    assert seen(server, "/")["cwd"] == str(tmp_path)
    assert server.get("/other/hold").status == 504


def test_access_log_names_the_pools_worker(serve: Serve, tmp_path: Path) -> None:
    log = tmp_path / "access"
    server = serve(
        "pooled:wsgi", "--access-logfile", str(log), "--access-logformat", "json", cwd=folder(tmp_path, SITE)
    )
    seen(server, "/reports")
    assert server.stop() == 0
    assert json.loads(log.read_text())["worker"] == "reports.1"


def refused(tmp_path: Path, text: str, *arguments: str) -> str:
    """What the server says that does not start."""
    done = run("serve", *arguments, "--bind", "127.0.0.1:0", "--python", sys.executable, cwd=folder(tmp_path, text))
    assert done.returncode == 2, done
    return done.stderr


REPORTS = '[pool.reports]\napp = "pooled:wsgi"\n'
TO_REPORTS = '[[route]]\npath = "/a"\npool = "reports"\n'


@pytest.mark.parametrize(
    ("text", "wants"),
    [
        (
            '[[route]]\npath = "/a"\npool = "report"\n' + REPORTS,
            ['backline.toml:1 [[route]]: there is no pool "report"', "mean reports?"],
        ),
        (
            '[[route]]\npath = "/a"\npool = "zebra"\n',
            ['there is no pool "zebra"', "there are web; another one is made by [pool.zebra]"],
        ),
        (
            REPORTS + TO_REPORTS + TO_REPORTS,
            ["backline.toml:6 [[route]]: another route has the same requests: /a", "leave one"],
        ),
        (REPORTS + '[[route]]\npath = "a"\npool = "reports"\n', ['[[route]] path: "a" does not begin with /']),
        (REPORTS + '[[route]]\nprotocol = "wss"\npool = "reports"\n', ["written websocket"]),
        (
            "pythonpath = [APPS]\n" + REPORTS + '[[route]]\nprotocol = "websocket"\npool = "reports"\n',
            [
                "route WebSockets: it leads to the pool reports, and pooled:wsgi is a WSGI application",
                "name an ASGI application",
            ],
        ),
    ],
)
def test_mistakes_in_routes(tmp_path: Path, text: str, wants: list[str]) -> None:
    said = refused(tmp_path, text, "pooled:wsgi")
    for want in wants:
        assert want in said, said


def test_pool_without_requests_is_warned_of(serve: Serve, tmp_path: Path) -> None:
    server = serve("pooled:wsgi", cwd=folder(tmp_path, "pythonpath = [APPS]\nworkers = 1\n[pool.idle]\n"))
    assert "no route leads to a pool: its workers have nothing to do pool=idle" in server.log


def test_pools_without_an_application_for_all(serve: Serve, tmp_path: Path) -> None:
    text = "pythonpath = [APPS]\nworkers = 1\n" + REPORTS
    said = refused(tmp_path, text + TO_REPORTS)
    assert "nobody answers the requests that fit no route" in said
    assert 'path = "/"' in said
    done = run(
        "check", "--python", sys.executable, cwd=folder(tmp_path, text + '[[route]]\npath = "/"\npool = "reports"\n')
    )
    assert done.returncode == 0, done
    assert "pooled:wsgi starts" in done.stdout


def test_check_and_settings_know_all_pools(tmp_path: Path) -> None:
    done = run("check", "pooled:wsgi", "--python", sys.executable, cwd=folder(tmp_path, SITE))
    assert (done.returncode, done.stdout.count(" starts (")) == (0, 3), done
    done = run("settings", "pooled:wsgi", cwd=tmp_path)
    assert re.search(
        r"^# Pool reports\napp +pooled:wsgi +file backline\.toml:7 \[pool\.reports\]$", done.stdout, re.M
    ), done.stdout
    assert re.search(r"^threads +2 +file backline\.toml:8 \[pool\.reports\]$", done.stdout, re.M), done.stdout
    assert re.search(
        r"^async +path=/reports/upload method=POST,PUT +file backline\.toml:20 \[\[route\]\]$", done.stdout, re.M
    ), done.stdout


def test_example_of_the_documentation(serve: Serve, tmp_path: Path) -> None:
    """docs/pools.md: its file, and the requests that it says go where."""
    page = (ROOT / "docs" / "pools.md").read_text()
    (tmp_path / "backline.toml").write_text(page.split("```toml\n")[1].split("```")[0])
    (tmp_path / "mysite").mkdir()
    (tmp_path / "mysite" / "wsgi.py").write_text("from pooled import wsgi as application\n")
    (tmp_path / "api.py").write_text("from pooled import asgi as app\nimport os\nos.environ['NAME'] = 'api'\n")
    server = serve("mysite.wsgi", "--pythonpath", str(APPS), cwd=tmp_path)
    for line in re.findall(r"^      ((?:reports|api) .*)$", page, re.M):
        server.wait_for(f"^  {re.escape(line)}$")
    assert seen(server, "/api")["name"] == "api"
    assert seen(server, "/", {"Host": "api.example.com"})["name"] == "api"
    assert json.loads(server.request("DELETE", "/api/admin/1").text)["name"] == ""
    assert seen(server, "/api/admin/1")["name"] == "api"
    site = {seen(server, "/")["pid"] for _ in range(50)}
    assert seen(server, "/reports/2026")["pid"] not in site
