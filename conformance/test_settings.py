"""Settings from end to end: what a flag, a variable or a line of backline.toml changes in the running server."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import APPS, BINARY, PATIENCE, Answer, Server, in_parallel
from test_messages import run

Serve = Callable[..., Server]


def surroundings(server: Server, path: str = "/surroundings") -> dict[str, Any]:
    """What the application sees."""
    found: dict[str, Any] = json.loads(server.get(path).text)
    return found


def test_environment_of_workers(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "-e", "GREETING=hello=you", "--env", "OTHER=2", env={"INHERITED": "yes"})
    environ = surroundings(server)["environ"]
    assert (environ["GREETING"], environ["OTHER"], environ["INHERITED"]) == ("hello=you", "2", "yes")


def test_chdir_and_pythonpath(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "found.py").write_text("from supervised import application\n")
    server = serve("found", "-w", "1", "--chdir", str(tmp_path), "--pythonpath", f"modules,{APPS}")
    seen = surroundings(server)
    assert seen["cwd"] == str(tmp_path)
    assert seen["path"][:3] == [str(tmp_path / "modules"), str(APPS), str(tmp_path)]


def test_app_dir_is_uvicorns_word_for_chdir(serve: Serve, tmp_path: Path) -> None:
    assert surroundings(serve("supervised", "-w", "1", "--app-dir", str(APPS), cwd=tmp_path))["cwd"] == str(APPS)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["supervised:create_app()"], "factory"),
        (["supervised:create_app('other')"], "other"),
        (["supervised:create_app(name='third')"], "third"),
        (["supervised:create_app", "--factory"], "factory"),
        (["supervised", "--factory"], "factory"),
        (["supervised.py:create_app()"], "factory"),
    ],
    ids=" ".join,
)
def test_factories(serve: Serve, arguments: list[str], answer: str) -> None:
    assert serve(*arguments, "-w", "1").get("/").text == answer


@pytest.mark.parametrize(
    ("app", "name", "kind"),
    [
        ("supervised", "auto", "WSGI, 3 threads each"),
        ("supervised", "gthread", "WSGI, 3 threads each"),
        ("supervised", "gunicorn.workers.gthread.ThreadWorker", "WSGI, 3 threads each"),
        ("supervised", "wsgi", "WSGI, 3 threads each"),
        ("supervised", "gevent", "WSGI, 1,000 greenlets each"),
        ("supervised", "gunicorn.workers.ggevent.GeventWorker", "WSGI, 1,000 greenlets each"),
        ("supervised_asgi", "auto", "ASGI, one event loop each"),
        ("supervised_asgi", "uvicorn.workers.UvicornWorker", "ASGI, one event loop each"),
        ("supervised_asgi", "uvicorn_worker.UvicornWorker", "ASGI, one event loop each"),
        ("supervised_asgi", "asgi3", "ASGI, one event loop each"),
    ],
)
def test_names_of_worker_classes(serve: Serve, app: str, name: str, kind: str) -> None:
    server = serve(app, "-w", "1", "--threads", "3", "-k", name)
    assert kind in server.log
    assert server.get("/").status == 200


def test_sync_is_one_thread(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "-k", "sync")
    assert "WSGI, 1 thread each" in server.log
    assert surroundings(server)["threads"] is False


def test_root_path(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "--root-path", "/mounted")
    assert surroundings(server)["script_name"] == "/mounted"
    assert surroundings(server, "/mounted/surroundings")["script_name"] == "/mounted"


def test_variables_and_file_and_flags_in_order_of_strength(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "backline.toml").write_text(
        f'app = "supervised"\nworkers = 3\nthreads = 5\npythonpath = ["{APPS}"]\nenv = ["FROM=file"]\n'
    )
    weak = serve("supervised", cwd=tmp_path, env={"WEB_CONCURRENCY": "4"})
    assert "3 workers" in weak.log and "5 threads each" in weak.log
    assert surroundings(weak)["environ"]["FROM"] == "file"
    strong = serve("supervised", "--workers", "1", cwd=tmp_path, env={"BACKLINE_WORKERS": "2", "BACKLINE_THREADS": "6"})
    assert "1 worker," in strong.log and "6 threads each" in strong.log


def test_application_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(f'app = "supervised"\nchdir = "{APPS}"\n')
    done = run("check", "-c", "site.toml", "--python", sys.executable, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "supervised:application starts" in done.stdout


def test_mistakes_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "backline.toml").write_text('workers = "many"\n\nwrokers = 2\n')
    done = run("serve", "supervised", cwd=tmp_path)
    assert done.returncode == 2
    assert "file backline.toml:1 workers" in done.stderr
    assert "backline.toml:3" in done.stderr and "did you mean workers" in done.stderr


def test_mistaken_variables_are_warned_of(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", env={"BACKLINE_WROKERS": "2", "GUNICORN_CMD_ARGS": "--workers 2"})
    assert "BACKLINE_WROKERS is not a setting and was ignored; did you mean BACKLINE_WORKERS?" in server.log
    assert "GUNICORN_CMD_ARGS is not used" in server.log


def test_port_of_a_platform(serve: Serve, tmp_path: Path) -> None:
    table = run("settings", cwd=tmp_path, env={"PORT": "5000"}).stdout
    assert re.search(r"bind +0\.0\.0\.0:5000 +environment PORT", table), table


def test_settings_shows_values_and_where_they_came_from(tmp_path: Path) -> None:
    (tmp_path / "backline.toml").write_text('threads = 5\nenv = ["PASSWORD=xyzzy"]\n')
    done = run(
        "settings",
        "mysite.wsgi",
        "--workers",
        "3",
        cwd=tmp_path,
        env={"BACKLINE_TIMEOUT": "1m", "BACKLINE_BUS": "redis://me:xyzzy@127.0.0.1", "BACKLINE_BUS_SECRET": "xyzzy"},
    )
    assert done.returncode == 0, done.stderr
    for row in (
        r"bus +redis://me:xxxxx@127\.0\.0\.1 ",
        r"bus_secret +\.\.\. ",
        r"app +mysite\.wsgi +argument APP",
        r"workers +3 +flag --workers",
        r"threads +5 +file backline\.toml:1",
        r"timeout +(1m|60s) +environment BACKLINE_TIMEOUT",
        r"keep_alive +75s +default",
    ):
        assert re.search(row, done.stdout), (row, done.stdout)
    assert "xyzzy" not in done.stdout, "the table is pasted into tickets"


def test_host_and_port_as_uvicorn_has_them(tmp_path: Path) -> None:
    table = run("settings", "--host", "0.0.0.0", "--port", "9000", cwd=tmp_path).stdout
    assert re.search(r"bind +0\.0\.0\.0:9000", table), table


def test_several_addresses(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "second.sock"
    server = serve("supervised", "-w", "1", "--bind", f"unix:{path}", "--socket-mode", "0600")
    assert server.get("/").status == 200
    assert path.stat().st_mode & 0o777 == 0o600
    server.path = str(path)
    assert server.get("/").status == 200
    assert server.stop() == 0
    assert not path.exists()


def test_inherited_socket(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = [
            str(BINARY),
            "serve",
            "supervised",
            "-b",
            f"fd://{listening.fileno()}",
            "-w",
            "1",
            "--python",
            sys.executable,
        ]
        process = subprocess.Popen(command, cwd=APPS, pass_fds=[listening.fileno()], stderr=subprocess.PIPE, text=True)
        try:
            with socket.create_connection(listening.getsockname(), timeout=PATIENCE) as client:
                client.settimeout(PATIENCE)
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        finally:
            process.terminate()
            process.wait(PATIENCE)


def test_keep_alive_zero_closes_after_every_answer(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "--keep-alive", "0")
    with server.connect() as client:
        answer = client.request("GET", "/")
        assert answer.status == 200
        assert answer.header("connection") == "close"
        assert client.at_end()


def test_queue_timeout_zero_lets_nobody_wait(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "--threads", "1", "--queue-timeout", "0")
    with server.connect() as busy:
        busy.send_request("GET", "/lines/1")
        busy.read_until(b"first")
        refused = server.get("/")
    assert refused.status == 503
    assert refused.header("retry-after")


def test_a_full_queue_and_a_long_wait_are_503_with_retry_after(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "--threads", "1", "--queue-size", "1", "--queue-timeout", "1s")
    with server.connect() as busy:
        busy.send_request("GET", "/lines/60")
        busy.read_until(b"first")
        # A POST waits in the server, never in the worker: one of them as long as it may, the others not at all.
        refused: list[Answer] = []
        in_parallel(3, lambda _: refused.append(server.request("POST", "/", body=b"x")))
    assert [(answer.status, answer.header("retry-after")) for answer in refused] == [(503, "1")] * 3
    assert sorted(answer.text for answer in refused) == [
        "The server is busy and its queue is full. Try again in a moment.\n",
        "The server is busy and its queue is full. Try again in a moment.\n",
        "The server is busy. Try again in a moment.\n",
    ]


def test_body_memory_zero_and_answer_file_zero_still_serve(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "--body-memory", "0", "--answer-file", "0")
    assert server.request("POST", "/", body=b"x" * 300_000).status == 200


def test_smallest_stream_window(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "big.py").write_text(
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'lifespan':\n"
        "        return\n"
        "    await send({'type': 'http.response.start', 'status': 200})\n"
        "    for n in range(64):\n"
        "        await send({'type': 'http.response.body', 'body': b'x' * 65536, 'more_body': n < 63})\n"
    )
    server = serve("big", "-w", "1", "--stream-window", "64KiB", cwd=tmp_path)
    assert len(server.get("/").body) == 64 * 65536


def test_own_headers_can_be_left_out(serve: Serve) -> None:
    plain = serve("supervised", "-w", "1").get("/")
    bare = serve("supervised", "-w", "1", "--no-server-header", "--no-date-header").get("/")
    assert plain.header("server") == "backline" and plain.header("date")
    assert bare.header("server") is None and bare.header("date") is None


def test_threads_run_at_once(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "--threads", "12")
    server.get("/")
    answers = in_parallel(12, lambda _: server.get("/nap/0.5").status)
    assert answers == [200] * 12


def test_pid_file(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "backline.pid"
    server = serve("supervised", "-w", "1", "-p", str(path))
    assert path.read_text() == f"{server.process.pid}\n"
    assert surroundings(server)["parent"] == server.process.pid
    assert server.stop() == 0
    assert not path.exists()


def test_virtual_environment_beside_the_application(tmp_path: Path) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python3").symlink_to(sys.executable)
    (tmp_path / "good.py").write_text("def app(environ, start_response):\n    pass\n")
    done = run("check", "good", cwd=tmp_path, env={"VIRTUAL_ENV": ""})
    assert done.returncode == 0, done.stderr
    assert "good:app starts" in done.stdout
