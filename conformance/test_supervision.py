"""Workers come up, die, hang, grow and are replaced; what clients and the log see of it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import APPS, BINARY, PATIENCE, Server, eventually, in_parallel
from ports import free_port
from processes import alive

Serve = Callable[..., Server]


def pids(server: Server) -> set[int]:
    """The workers of a server."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    if not children.exists():
        pytest.skip("this kernel does not list children")
    found: set[int] = set()
    for thread in Path(f"/proc/{server.process.pid}/task").iterdir():
        found |= {int(pid) for pid in (thread / "children").read_text().split()}
    return {pid for pid in found if alive(pid)}


def all_up(server: Server, count: int) -> set[int]:
    """The workers of a server with --log-level debug, once the first ``count`` are up."""
    for number in range(1, count + 1):
        server.wait_for(rf"\[web\.{number}\] worker up")
    return pids(server)


def pid_of(server: Server) -> int:
    return int(server.get("/").text)


# Coming up.


def test_slow_import_is_waited_for(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(1.5)\nfrom supervised import application\n")
    server = serve("slow", "-w", "1", "--pythonpath", str(APPS), "--timeout", "1", cwd=tmp_path)
    assert server.get("/").status == 200


def test_clients_that_come_before_the_first_worker_wait_for_it(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(1)\nfrom supervised import application\n")
    port = free_port()
    server = serve("slow", "-w", "1", "--pythonpath", str(APPS), cwd=tmp_path, bind=f"127.0.0.1:{port}", wait=False)
    server.port = port
    eventually(lambda: connects(port), "the address is bound")
    assert server.get("/").status == 200


def connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_one_worker_of_two_that_fails_at_first_is_tried_again(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "moody.py").write_text(
        "import os\n"
        "try:\n"
        "    os.mkdir('failed')\n"
        "except FileExistsError:\n"
        "    from supervised import application\n"
        "else:\n"
        "    raise RuntimeError('not this time')\n"
    )
    server = serve("moody", "-w", "2", "--pythonpath", str(APPS), cwd=tmp_path)
    server.wait_for("worker did not come up.*not this time")
    eventually(lambda: len(pids(server)) == 2, "two workers")
    assert server.get("/").status == 200


# Dying.


def test_killed_worker_is_replaced_at_once(serve: Serve) -> None:
    server = serve("supervised", "-w", "1")
    before = pid_of(server)
    os.kill(before, signal.SIGKILL)
    server.wait_for(rf"worker died pid={before} reason=killed status=\"killed by signal 9 \(out of memory\?\)\"")
    server.wait_for(r"\[web\.2\] worker up")
    eventually(lambda: pid_of(server) != before, "another worker answers")


@pytest.mark.parametrize(("path", "status", "died"), [("/leave/5", 500, False), ("/vanish/5", 502, True)])
def test_application_that_ends_its_process_in_a_request(serve: Serve, path: str, status: int, died: bool) -> None:
    server = serve("supervised", "-w", "1")
    before = pid_of(server)
    assert server.request("POST", path).status == status
    if died:
        server.wait_for(r"worker died .*reason=crashed status=\"exit status 5\"")
        eventually(lambda: pid_of(server) != before, "another worker answers")
    else:  # sys.exit is an exception, and a request's exceptions end the request
        server.wait_for("SystemExit: 5")
        assert pid_of(server) == before


def test_crash_loop_is_slowed_down(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "mortal.py").write_text(
        "import threading, os, time\n"
        "from supervised import application\n"
        "threading.Thread(target=lambda: (time.sleep(0.4), os._exit(9)), daemon=True).start()\n"
    )
    server = serve("mortal", "-w", "1", "--pythonpath", str(APPS), cwd=tmp_path)
    server.wait_for(r"worker .*re(start|try)_in=(400|800)ms")
    pauses = re.findall(r"worker .*re(?:start|try)_in=(\S+)", server.log)
    assert pauses[:3] == ["0s", "100ms", "200ms"], pauses


def test_dead_server_takes_its_workers_along(serve: Serve) -> None:
    server = serve("supervised", "-w", "2", "--log-level", "debug")
    workers = all_up(server, 2)
    server.kill()
    eventually(lambda: not any(map(alive, workers)), "the workers end themselves")


def test_dead_server_takes_a_busy_and_an_importing_worker_along(serve: Serve, tmp_path: Path) -> None:
    busy = serve("supervised", "-w", "1", "--timeout", "0")
    worker = pid_of(busy)
    with busy.connect() as client:
        client.send_request("GET", "/spin")
        (tmp_path / "hanging.py").write_text("print('importing', flush=True)\nimport time\ntime.sleep(1000)\n")
        importing = serve("hanging", "-w", "1", cwd=tmp_path, wait=False)
        importing.wait_for("importing")
        hanging = pids(importing)
        assert len(hanging) == 1
        busy.kill()
        importing.kill()
    eventually(lambda: not any(map(alive, {worker, *hanging})), "both workers end themselves")


def test_child_of_a_worker_ends_with_it(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        "print('child', child.pid)\n"
        "from supervised import application\n"
    )
    server = serve("parent", "-w", "1", "--pythonpath", str(APPS), cwd=tmp_path)
    child = int(server.wait_for("child ").rpartition(" ")[2])
    assert alive(child)
    os.kill(pid_of(server), signal.SIGKILL)
    eventually(lambda: not alive(child), "the child ends too")


# Hanging.


def test_timeout_gives_504_and_the_stack_of_a_thread(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "--timeout", "500ms")
    before = pid_of(server)
    answer = server.get("/nap/30")
    assert answer.status == 504
    line = server.wait_for("a request took too long")
    assert "method=GET" in line and "target=/nap/30" in line
    server.wait_for(r"supervised\.py\", line \d+, in nap")
    server.wait_for(r"    time\.sleep\(float\(argument\)\)")
    assert "backline/loops" not in server.log
    server.wait_for(r"worker up, takes over .*reason=stuck")
    eventually(lambda: not alive(before), "the stuck worker ends")
    eventually(lambda: pid_of(server) != before, "another worker answers")


def test_timeout_of_a_thread_that_never_lets_go(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "--timeout", "500ms")
    before = pid_of(server)
    assert server.get("/spin").status == 504
    server.wait_for(r"supervised\.py\", line \d+, in spin")
    server.wait_for(r"takes over .*reason=stuck")
    eventually(lambda: not alive(before), "the spinning worker ends")
    eventually(lambda: pid_of(server) != before, "another worker answers")


def test_stuck_worker_finishes_its_other_requests(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "--timeout", "700ms")
    server.get("/")
    with server.connect() as other, server.connect() as stuck:
        other.send_request("GET", "/lines/2.5")
        assert other.head().status == 200
        stuck.send_request("GET", "/nap/30")
        assert stuck.answer().status == 504
        server.wait_for("takes over .*reason=stuck")
        assert b"".join(chunk or b"" for chunk in other.chunks()) == b"first\nsecond\n"


def test_timeout_of_a_task_that_waits_for_ever(serve: Serve) -> None:
    server = serve("supervised_asgi", "-w", "1", "--timeout", "500ms")
    before = pid_of(server)
    assert server.get("/forever").status == 504
    server.wait_for(r"supervised_asgi\.py\", line \d+, in wait_forever")
    server.wait_for(r"    await asyncio\.get_running_loop\(\)\.create_future\(\)")
    assert pid_of(server) == before, "a task can be cancelled, so its worker stays"


def test_timeout_of_a_task_that_blocks_the_loop(serve: Serve) -> None:
    server = serve("supervised_asgi", "-w", "1", "--timeout", "500ms")
    server.get("/")
    with server.connect() as blocking, server.connect() as waiting:
        blocking.send_request("GET", "/block/2")
        assert blocking.answer().status == 504
        server.wait_for(r"supervised_asgi\.py\", line \d+, in block")
        server.wait_for(r"    time\.sleep\(seconds\)")
        waiting.send_request("GET", "/")
        assert waiting.answer().status in (200, 504)
    assert eventually(lambda: server.get("/").status == 200, "the loop goes on")


def test_timeout_does_not_limit_an_answer_that_has_begun(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "--timeout", "500ms")
    assert server.get("/lines/1.5").text == "first\nsecond\n"


def test_stream_timeout_cuts_a_silent_answer(serve: Serve) -> None:
    server = serve("supervised_asgi", "-w", "1", "--stream-timeout", "500ms")
    answer = server.get("/silent")
    assert (answer.status, answer.complete) == (200, False)
    server.wait_for(r"supervised_asgi\.py\", line \d+, in wait_forever")
    threads = serve("supervised", "-w", "1", "--stream-timeout", "500ms")
    assert not threads.get("/lines/30").complete
    threads.wait_for(r"supervised\.py\", line \d+, in lines")
    threads.wait_for("takes over .*reason=stuck")


# Enough of them.


def test_max_requests_replaces_workers_and_no_request_fails(serve: Serve) -> None:
    server = serve("supervised", "-w", "2", "--max-requests", "20", "--max-requests-jitter", "5")
    seen: set[str] = set()

    def client(_: int) -> None:
        with server.connect() as connection:

            def enough() -> bool:
                answer = connection.request("GET", "/")
                assert answer.status == 200
                seen.add(answer.text)
                return len(seen) >= 5

            eventually(enough, "five workers, one after the other, behind one connection")

    in_parallel(4, client)
    server.wait_for("takes over .*reason=max-requests")


def test_max_requests_jitter_keeps_workers_apart(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "--max-requests", "3", "--max-requests-jitter", "10")
    lives: dict[str, int] = {}

    def enough() -> bool:
        answer = server.get("/").text
        lives[answer] = lives.get(answer, 0) + 1
        return len(lives) > 8

    eventually(enough, "eight workers")
    assert min(lives.values()) >= 3 or len(lives) > 8
    assert len(set(list(lives.values())[:-1])) > 1, lives


def test_max_worker_memory(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "--max-worker-memory", "120MiB")
    before = pid_of(server)
    assert server.get("/grow/150").text == str(before)
    server.wait_for(r"worker takes too much memory .*bytes=\d+ limit=125829120")
    server.wait_for(r"takes over .*reason=memory")
    eventually(lambda: pid_of(server) != before, "another worker answers")


def test_memory_limit_below_the_application_is_not_applied(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "fat.py").write_text("ballast = b'x' * (64 << 20)\nfrom supervised import application\n")
    server = serve("fat", "-w", "1", "--max-worker-memory", "32MiB", "--pythonpath", str(APPS), cwd=tmp_path)
    server.wait_for("memory limit is below what the application takes.*raise --max-worker-memory")
    assert server.get("/").status == 200


# What workers print.


def test_printed_lines_carry_the_workers_name(serve: Serve) -> None:
    server = serve("supervised", "-w", "1", "--log-level", "error")
    server.get("/say/hello")
    for text in ("hello", "hello on stderr", "hello on wsgi.errors"):
        server.wait_for(rf"^\d{{4}}-\d\d-\d\d [\d:.]{{12}} info  \[web\.1\] {text}$")


def test_traceback_of_a_request_is_readable_and_the_applications_own(serve: Serve) -> None:
    server = serve("supervised", "-w", "1")
    assert server.get("/fail/why").status == 500
    server.wait_for("RuntimeError: why")
    text = "\n".join(line.partition("[web.1] ")[2] for line in server.lines if "[web.1]" in line)
    assert re.search(
        r"error while answering GET /fail/why\n"
        r"Traceback \(most recent call last\):\n"
        r'  File "\S+supervised\.py", line \d+, in application\n'
        r"(.*\n)*"
        r'  File "\S+supervised\.py", line \d+, in fail\n'
        r"    raise RuntimeError\(argument\)\n"
        r"RuntimeError: why",
        text,
    ), text
    assert "backline/wsgi.py" not in text


def test_crash_in_c_code_shows_where(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "crashing.py").write_text(
        "import ctypes\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    if environ['PATH_INFO'] == '/crash':\n"
        "        ctypes.string_at(0)\n"
        "    return [b'fine']\n"
    )
    server = serve("crashing", "-w", "1", cwd=tmp_path)
    assert server.request("POST", "/crash").status == 502
    server.wait_for("Fatal Python error: Segmentation fault")
    server.wait_for(r'crashing\.py", line 5 in app')
    server.wait_for(r"worker died .*killed by signal 11")
    assert server.get("/").text == "fine"


def test_json_log(serve: Serve) -> None:
    command = [str(BINARY), "serve", "supervised", "-b", "127.0.0.1:0", "-w", "1", "--python", sys.executable]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("BACKLINE_")}
    process = subprocess.Popen(
        [*command, "--log-format", "json"], cwd=APPS, env=environ, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        record = json.loads(process.stderr.readline())
    finally:
        process.terminate()
        rest = process.communicate(timeout=PATIENCE)[1]
    assert record["msg"] == "serving" and record["application"] == "supervised:application"
    assert record["on"][0].startswith("http://127.0.0.1:") and record["workers"] == 1
    stopping = json.loads(rest.splitlines()[0])
    assert stopping["graceful_timeout"] == "30s"


def test_log_file(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    server = serve("supervised", "-w", "1", "--log-file", str(path))
    server.get("/say/into-the-file")
    eventually(lambda: "[web.1] into-the-file\n" in path.read_text(), "a line in the file")
    assert "into-the-file" not in server.log


@pytest.mark.parametrize("app", ["supervised", "supervised_asgi"])
def test_workers_wait_without_work(serve: Serve, app: str) -> None:
    server = serve(app, "-w", "1")
    worker = pid_of(server)

    def ticks(pid: int) -> int:
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))

    before = ticks(worker) + ticks(server.process.pid)
    assert server.get("/nap/1").status == 200
    used = ticks(worker) + ticks(server.process.pid) - before
    assert used <= 15, f"{used} ticks of 10 ms in a second of waiting"
