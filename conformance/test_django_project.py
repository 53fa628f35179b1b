"""`--django`: a project is split into pages by WSGI, WebSockets by ASGI and static files; what is wrong with one."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Server
from sockets import connect
from test_messages import run

Serve = Callable[..., Server]

SETTINGS = """
import os
print("settings are read")
SECRET_KEY = "x" * 50
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "mysite.urls"
INSTALLED_APPS = ["channels"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
DATABASES = {}
STATIC_URL = "static/"
STATIC_ROOT = "collected"
WSGI_APPLICATION = "mysite.wsgi.application"
ASGI_APPLICATION = "mysite.asgi.application"
"""
URLS = """
import os, sys, threading
from django.http import HttpResponse
from django.urls import path
def page(request):
    return HttpResponse(f"{type(request).__name__} {os.environ['DJANGO_SETTINGS_MODULE']}")
urlpatterns = [path("", page), path("reports/", page)]
"""
APPLICATION = """
import os
from django.core.{kind} import get_{kind}_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.other")
application = get_{kind}_application()
"""
ROUTER = """
async def live(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "live"})
    await send({"type": "websocket.close"})
from channels.routing import ProtocolTypeRouter
http = application
application = ProtocolTypeRouter({"http": http, "websocket": live})
"""
MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with Channels, a manage.py and collected static files."""
    files = {
        "manage.py": MANAGE,
        "mysite/__init__.py": "",
        "mysite/settings.py": SETTINGS,
        "mysite/urls.py": URLS,
        "mysite/wsgi.py": APPLICATION.format(kind="wsgi"),
        "mysite/asgi.py": APPLICATION.format(kind="asgi") + ROUTER,
        "collected/style.css": "body {}",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def also(project: Path, text: str) -> None:
    """Add to the project's settings."""
    with (project / "mysite" / "settings.py").open("a") as file:
        file.write(text)


@pytest.mark.parametrize(
    "arguments",
    [("mysite.settings", "--django"), ("--django=mysite.settings",), ("--django",), ()],
    ids=["module", "with-equals", "bare", "found"],
)
def test_project_is_split(serve: Serve, project: Path, arguments: tuple[str, ...]) -> None:
    server = serve(*(arguments or ("--workers=1",)), "-w", "1", cwd=project)
    assert server.get("/").text == "WSGIRequest mysite.settings"
    with connect(server, "/ws") as socket:
        assert socket.message() == "live"
    assert server.get("/static/style.css").text == "body {}"
    assert re.search(r"serves mysite\.wsgi:application \(WSGI, ", server.log), server.log
    assert re.search(
        r"  live      mysite\.asgi:application \(ASGI, .*\), 1 worker, for WebSockets$", server.log, re.M
    ), server.log
    assert "1.3 to 1.4 ms" not in server.log


def test_project_in_the_file_with_a_pool_of_its_own(serve: Serve, project: Path) -> None:
    (project / "backline.toml").write_text(
        'django = "mysite.settings"\nworkers = 1\n[pool.reports]\nthreads = 2\n'
        '[[route]]\npath = "/reports"\npool = "reports"\n'
    )
    log = project / "access"
    server = serve(f"--access-logfile={log}", "--access-logformat=json", cwd=project)
    assert server.get("/reports/").text == "WSGIRequest mysite.settings"
    assert server.stop() == 0
    assert '"worker":"reports.1"' in log.read_text()


def test_project_without_applications_or_static_files_of_its_own(serve: Serve, project: Path) -> None:
    also(project, "WSGI_APPLICATION = ASGI_APPLICATION = None\nSTATIC_ROOT = 'nowhere'\n")
    server = serve("--django", "-w", "1", cwd=project)
    assert server.get("/").text == "WSGIRequest mysite.settings"
    assert "serves django.core.wsgi:get_wsgi_application()" in server.log
    assert "STATIC_ROOT does not exist" in server.log
    assert "python manage.py collectstatic" in server.log
    assert "live" not in server.log


def test_router_without_websockets_is_said(serve: Serve, project: Path) -> None:
    (project / "mysite" / "asgi.py").write_text(APPLICATION.format(kind="asgi"))
    server = serve("--django", "-w", "1", cwd=project)
    server.wait_for(r"mysite\.asgi:application answers no WebSockets")


def test_django_by_asgi_says_what_it_costs(serve: Serve, project: Path) -> None:
    server = serve("mysite.asgi", "-w", "1", cwd=project, env={"DJANGO_SETTINGS_MODULE": "mysite.settings"})
    line = server.wait_for("1.3 to 1.4 ms")
    assert line.endswith("backline serve --django mysite.settings pool=web")
    assert server.count("1.3 to 1.4 ms") == 1
    beside = serve(
        "mysite.wsgi",
        "--websocket",
        "mysite.asgi",
        "-w",
        "1",
        cwd=project,
        env={"DJANGO_SETTINGS_MODULE": "mysite.settings"},
    )
    assert beside.get("/").status == 200
    assert "1.3 to 1.4 ms" not in beside.log


def failing(project: Path, *arguments: str) -> tuple[int, str]:
    done = run("serve", *arguments, "--bind", "127.0.0.1:0", "--python", sys.executable, cwd=project)
    return done.returncode, done.stderr


def test_settings_that_fail(project: Path) -> None:
    also(project, "def connect():\n    raise ValueError('no key')\nconnect()\n")
    status, said = failing(project, "--django")
    assert status == 3
    assert "read Django's settings: reading Django's settings ended with ValueError: no key" in said
    assert re.search(r'File ".*mysite/settings\.py", line \d+, in connect', said), said
    assert "backline/project.py" not in said


def test_settings_that_end_the_interpreter(project: Path) -> None:
    also(project, "print('last words', flush=True)\nos._exit(4)\n")
    status, said = failing(project, "--django")
    assert status == 3
    assert "the interpreter ended before it had read them" in said
    assert "last words" in said


def test_settings_that_hang(project: Path) -> None:
    also(project, "import time\ntime.sleep(1000)\n")
    status, said = failing(project, "--django", "--worker-boot-timeout", "500ms")
    assert status == 3
    assert "they were not read within 500ms" in said


@pytest.mark.parametrize(
    ("arguments", "status", "wants"),
    [
        (("--django", "mysite.setings"), 3, ["no module 'mysite.setings'", "as manage.py has them"]),
        (("--django", "nowhere.settings"), 3, ["no module 'nowhere'", "or the folder with --chdir"]),
        (
            ("--django=mysite/settings.py",),
            2,
            ["is no module: expected the settings as DJANGO_SETTINGS_MODULE has them"],
        ),
        (("--django=mysite.settings", "mysite.wsgi"), 2, ["argument APP and flag --django both say what to serve"]),
        (("--django", "--chdir", "mysite"), 2, ["there is no ", "which would name the settings"]),
    ],
)
def test_wrong_names(project: Path, arguments: tuple[str, ...], status: int, wants: list[str]) -> None:
    got, said = failing(project, *arguments)
    assert got == status, said
    for want in wants:
        assert want in said


def test_check_imports_both_applications(project: Path) -> None:
    done = run("check", "--django", "--python", sys.executable, cwd=project)
    assert done.returncode == 0, done
    assert "mysite.wsgi:application starts (WSGI" in done.stdout
    assert "mysite.asgi:application starts (ASGI" in done.stdout
