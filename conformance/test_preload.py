"""--preload: the application is imported once, and workers are forked from the process that has it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import APPS, PATIENCE, Server, eventually, in_parallel
from interpreters import PROJECTS
from processes import alive, children, forked, kill, proportional, template
from test_reload import TEMPLATES, steady_client, write

Serve = Callable[..., Server]


def facts(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(server.get("/").body)
    return found


def workers(server: Server, count: int) -> set[int]:
    """The forked processes, once there are so many and no others."""
    found = eventually(lambda: len(all_workers(server)) == count and all_workers(server), f"{count} workers")
    assert isinstance(found, set)
    return found


def all_workers(server: Server) -> set[int]:
    return {each for parent in children(server) if alive(parent) for each in forked(parent) if alive(each)}


def descriptors(pid: int) -> list[str]:
    """What a process has open."""
    return [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]


def template_with(server: Server, count: int) -> int:
    """The one template, once it alone is there and has so many workers."""

    def settled() -> int | None:
        parents = [pid for pid in children(server) if alive(pid)]
        return parents[0] if len(parents) == 1 and len(forked(parents[0])) == count else None

    pid = eventually(settled, f"one template with {count} workers")
    assert isinstance(pid, int)
    return pid


# What workers have in common, and what not.


def test_workers_are_forked_from_one_import(serve: Serve) -> None:
    server = serve("preloaded", "-w", "2", "--preload", "--env", "COLOUR=blue")
    parent = template_with(server, 2)
    seen: dict[int, dict[str, Any]] = {}

    def both() -> bool:
        in_parallel(4, lambda _: (lambda told: seen.update({told["pid"]: told}))(facts(server)))
        return len(seen) == 2

    eventually(both, "answers of both workers")
    assert seen.keys() == forked(parent)
    one, two = seen.values()
    for told in (one, two):
        assert told["parent"] == told["imported_by"] == parent
        assert told["group"] == told["pid"], "each has a group of its own, which ends with it"
        assert (told["cwd"], told["colour"], told["workers"]) == (str(APPS), "blue", "2")
        # Output and error; connection and control. Nothing of the template, nothing of a sibling.
        assert told["open"] == ["pipe", "pipe", "socket", "socket"]
    assert one["random"] != two["random"]
    sockets = [link for link in descriptors(parent) if link.startswith("socket:")]
    assert len(sockets) == 2, "the template keeps nothing of its workers, which the server would take for living"


def test_output_has_the_name_of_its_worker(serve: Serve) -> None:
    server = serve("preloaded", "-w", "1", "--preload")
    facts(server)
    server.get("/say")
    server.wait_for(r"\[web\.1\] a word$")
    server.wait_for(r"\[web\.1\] a word aside$")


def test_output_of_the_import_comes_once(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "chatty.py").write_text("import sys\nsys.stdout.write('half a ')\nfrom preloaded import application\n")
    server = serve("chatty", "-w", "2", "--preload", "--pythonpath", str(APPS), cwd=tmp_path)
    template_with(server, 2)
    server.stop()
    assert server.count("half a") == 1, "what waits in a buffer is written before a fork copies it"


def test_lifespan_runs_in_each_worker_after_the_fork(serve: Serve) -> None:
    server = serve("preloaded_asgi", "-w", "2", "--preload")
    parent = template_with(server, 2)
    for number in (1, 2):
        server.wait_for(rf"\[web\.{number}\] lifespan started")
    told = facts(server)
    assert told["started"] == [told["pid"]] and told["loops"] == 1
    assert told["imported_by"] == parent
    assert server.stop() == 0
    assert server.count("lifespan started") == server.count("lifespan stopped") == 2


def test_threads_of_the_import_are_named(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading\n"
        "def poll():\n"
        "    threading.Event().wait()\n"
        "threading.Thread(target=poll, name='metrics', daemon=True).start()\n"
        "from preloaded import application\n"
    )
    server = serve("threaded", "-w", "2", "--preload", "--pythonpath", str(APPS), cwd=tmp_path)
    line = server.wait_for("importing the application started a thread that no worker will have")
    assert " warn" in line and "metrics (threaded.poll)" in line and "os.register_at_fork" in line
    assert server.get("/").status == 200
    assert server.stop() == 0
    assert server.count("importing the application started") == 1, "once, not for each worker"
    assert server.count("DeprecationWarning") == 0, "Python's own warning would name no thread"


# Memory.


def test_memory_saved_for_django(tmp_path: Path) -> None:
    site = PROJECTS / "django_site"
    environ = {"DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "mysite.settings", "PYTHONPATH": str(site)}
    migrate = [sys.executable, "-m", "django", "migrate", "--run-syncdb", "--verbosity", "0"]
    subprocess.run(migrate, cwd=site, env={**os.environ, **environ}, check=True, timeout=3 * PATIENCE)
    used: dict[str, list[int]] = {}
    for how in ("alone", "preload"):
        flags = ["--preload"] if how == "preload" else []
        with Server("mysite.wsgi", "-w", "4", "--log-level", "debug", *flags, cwd=site, env=environ) as server:
            for number in range(1, 5):
                server.wait_for(rf"\[web\.{number}\] worker up")
            used[how] = [memory_of(server)]
            for _ in range(25):
                pages = in_parallel(8, lambda _: server.get("/notes/", Host="127.0.0.1").status)
                assert set(pages) == {200}
            used[how].append(memory_of(server))
    for when, before, after in zip(("at first", "after 200 pages"), used["alone"], used["preload"], strict=True):
        saved = 100 - 100 * after // before
        print(f"Django, 4 workers, PSS {when}: {before >> 20} MiB, with --preload {after >> 20} MiB: {saved} % less")
        # Measured 66 % and 35 % for this small project; the more an application imports, the more is shared.
        assert saved >= (45 if when == "at first" else 15)


def memory_of(server: Server) -> int:
    parents = [pid for pid in children(server) if alive(pid)]
    return sum(proportional(pid) for parent in parents for pid in (parent, *forked(parent)))


# Django's connections.


def test_connections_of_the_import_are_not_shared(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "eager.py").write_text(
        "import os, django\n"
        "from django.conf import settings\n"
        "settings.configure(ROOT_URLCONF='eager', SECRET_KEY='x', ALLOWED_HOSTS=['*'], DATABASES={'default':\n"
        "    {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'eager.sqlite3'}})\n"
        "django.setup()\n"
        "from django.core.wsgi import get_wsgi_application\n"
        "from django.db import connection\n"
        "from django.http import JsonResponse\n"
        "from django.urls import path\n"
        "connection.ensure_connection()\n"
        "early = connection.connection\n"
        "def names():\n"
        "    links = [f'/proc/self/fd/{n}' for n in os.listdir('/proc/self/fd')]\n"
        "    return [os.readlink(link) for link in links if os.path.lexists(link)]\n"
        "inherited = lambda: [name for name in names() if name.endswith('eager.sqlite3')]\n"
        "urlpatterns = [path('', lambda request: JsonResponse({'inherited': inherited()}))]\n"
        "application = get_wsgi_application()\n"
    )
    server = serve("eager", "-w", "1", "--preload", cwd=tmp_path)
    assert facts(server) == {"inherited": []}


# Ends of processes.


@pytest.mark.parametrize("kind", ["threads", "gevent"])
def test_crashed_worker_is_forked_anew(serve: Serve, kind: str) -> None:
    server = serve("preloaded", "-w", "1", "--preload", "-k", kind)
    parent = template_with(server, 1)
    (worker,) = forked(parent)
    assert server.request("POST", "/vanish").status == 502
    line = server.wait_for("worker died")
    assert f"pid={worker} reason=crashed" in line and 'status="exit status 5"' in line
    server.wait_for(r"\[web\.2\] worker up")
    told = facts(server)
    assert told["pid"] != worker and told["parent"] == parent, "nothing was imported again"
    os.kill(told["pid"], signal.SIGKILL)
    server.wait_for(rf"worker died pid={told['pid']} reason=killed status=\"killed by signal 9 \(out of memory\?\)\"")
    eventually(lambda: facts(server)["pid"] != told["pid"], "another worker answers")


def test_workers_go_on_without_their_template(serve: Serve) -> None:
    server = serve("preloaded", "-w", "2", "--preload")
    first = template_with(server, 2)
    orphans = forked(first)
    with steady_client(server):
        kill(first)
        server.wait_for(r"\[web\.template\.1\] template died .*status=\"killed by signal 9")
        server.wait_for(r"\[web\.template\.2\] template up")
        assert all(alive(pid) for pid in orphans)
    second = template(server)
    victim = facts(server)["pid"]
    assert victim in orphans
    os.kill(victim, signal.SIGKILL)
    # Its parent is now the system's first process, and only a parent is told how a process ends.
    server.wait_for(rf"worker died pid={victim} .*exit status unknown")
    eventually(lambda: len(forked(second)) == 1, "a worker of the new template")
    assert server.stop() == 0
    eventually(lambda: not any(alive(pid) for pid in orphans), "the end of all workers")


@pytest.mark.parametrize("importing", [False, True])
def test_nothing_outlives_the_server(serve: Serve, tmp_path: Path, importing: bool) -> None:
    (tmp_path / "slow.py").write_text("import time\nprint('importing')\ntime.sleep(600)\n")
    if importing:
        server = serve("slow", "-w", "2", "--preload", cwd=tmp_path, wait=False)
        server.wait_for(r"\[web\.template\.1\] importing")
        processes = {template(server)}
    else:
        server = serve("preloaded", "-w", "2", "--preload")
        parent = template_with(server, 2)
        processes = {parent, *forked(parent)}
    server.kill()
    eventually(lambda: not any(alive(pid) for pid in processes), "the end of the template and its workers")


def test_stop_during_the_import(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\nprint('importing')\ntime.sleep(600)\n")
    server = serve("slow", "-w", "2", "--preload", cwd=tmp_path, wait=False)
    server.wait_for(r"\[web\.template\.1\] importing")
    pid = template(server)
    assert server.stop() == 0
    assert not alive(pid)


def test_import_that_hangs_says_where(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(600)  # here\n")
    server = serve("slow", "-w", "2", "--preload", "--worker-boot-timeout", "2", cwd=tmp_path, wait=False)
    assert server.wait() == 3
    server.wait_for("not imported and started within 2s")
    server.wait_for("slow.py.*line 2")


# Failures of the import.


def test_import_failure_at_start(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nowhere_at_all\n")
    server = serve("broken", "-w", "4", "--preload", cwd=tmp_path, wait=False)
    assert server.wait() == 3
    assert server.count("ModuleNotFoundError: No module named 'nowhere_at_all'") >= 1
    assert server.count(r"broken\.py") >= 1, "the application's own traceback"


def test_lifespan_failure_at_start(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "async def app(scope, receive, send):\n    raise RuntimeError('no database') if scope['type'] else None\n"
    )
    server = serve("broken", "-w", "2", "--preload", "--lifespan", "on", cwd=tmp_path, wait=False)
    assert server.wait() == 3
    assert server.count("RuntimeError: no database") >= 1


def test_reload_waits_for_an_application_that_cannot_be_imported_at_first(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "versioned.py").write_text("def app(:\n")
    server = serve("versioned", "-w", "2", "--reload", "--preload", cwd=tmp_path, wait=False)
    server.wait_for("the application does not come up; waiting for it to be mended")
    write(tmp_path, "mended-code")
    server.ready()
    assert server.get("/").text == "mended-code"
    write(tmp_path, "and-changed-again")
    eventually(lambda: server.get("/").text == "and-changed-again", "the next code")


# Reloads.


@pytest.mark.parametrize(("kind", "loop"), [*((kind, "auto") for kind in TEMPLATES), ("wsgi", "gevent")])
def test_hup_under_load(serve: Serve, tmp_path: Path, kind: str, loop: str) -> None:
    write(tmp_path, "old", TEMPLATES[kind])
    server = serve("versioned", "-w", "2", "--preload", "-k", loop, cwd=tmp_path)
    old = template_with(server, 2)
    with steady_client(server) as answers:
        eventually(lambda: "old" in answers, "answers of the old code")
        write(tmp_path, "brand-new", TEMPLATES[kind])
        server.signal(signal.SIGHUP)
        server.wait_for("reload complete")
        eventually(lambda: answers[-1] == "brand-new", "answers of the new code")
    assert template_with(server, 2) != old
    assert not alive(old), "it ends with its last worker"
    assert server.count("template up") == 1, "one import for all workers"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("raise ValueError('half a deploy')\n", "ValueError: half a deploy"),
        # It is imported, and the template is up, but no worker of it: the old template is needed again.
        (
            "async def app(scope, receive, send):\n"
            "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n",
            "no database",
        ),
    ],
)
def test_broken_code_leaves_the_old_template(serve: Serve, tmp_path: Path, broken: str, said: str) -> None:
    write(tmp_path, "old", TEMPLATES["asgi"])
    server = serve("versioned", "-w", "2", "--preload", cwd=tmp_path)
    old = template_with(server, 2)
    before = forked(old)
    with steady_client(server):
        (tmp_path / "versioned.py").write_text(broken)
        server.signal(signal.SIGHUP)
        server.wait_for("reload abandoned: the new code does not come up, the old workers go on")
        server.wait_for(said)
        assert template_with(server, 2) == old and forked(old) == before
    (victim, _) = before
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(forked(old) - before) == 1, "the old template still gives workers")
    assert server.get("/").text == "old"
    write(tmp_path, "mended-code", TEMPLATES["asgi"])
    server.signal(signal.SIGHUP)
    server.wait_for("reload complete")
    assert server.get("/").text == "mended-code"


def test_many_hups_at_once_end_in_new_code(serve: Serve, tmp_path: Path) -> None:
    write(tmp_path, "old")
    server = serve("versioned", "-w", "2", "--preload", cwd=tmp_path)
    with steady_client(server) as answers:
        for number in range(8):
            write(tmp_path, "new" * (number + 1))
            server.signal(signal.SIGHUP)
        server.wait_for("reload complete", timeout=60)
        eventually(lambda: answers[-1] == "new" * 8, "answers of the last code")
    template_with(server, 2)


# Everything else that replaces workers.


def test_worker_that_has_served_enough_is_forked_anew(serve: Serve) -> None:
    server = serve("preloaded", "-w", "1", "--preload", "--max-requests", "5")
    parent = template_with(server, 1)
    before = facts(server)["pid"]
    eventually(lambda: facts(server)["pid"] != before, "a second worker answers")
    server.wait_for("reason=max-requests")
    assert facts(server)["parent"] == parent


def test_more_workers_and_fewer(serve: Serve) -> None:
    server = serve("preloaded", "-w", "1", "--preload")
    parent = template_with(server, 1)
    server.signal(signal.SIGTTIN)
    assert template_with(server, 2) == parent
    server.signal(signal.SIGTTOU)
    assert template_with(server, 1) == parent


def test_upgrade(serve: Serve, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    server = serve("preloaded", "-w", "2", "--preload", "--pid", str(pid))
    processes = {(parent := template_with(server, 2)), *forked(parent)}
    try:
        server.signal(signal.SIGUSR2)
        server.wait_for("upgrade: a new process serves, this one ends")
        eventually(lambda: not any(alive(each) for each in processes), "the end of the old template and its workers")
        assert facts(server)["imported_by"] not in processes
    finally:
        os.kill(int(pid.read_text()), signal.SIGTERM)
    eventually(lambda: not pid.exists(), "the end of the new process")
