"""load() against real modules, written to a folder of each test's own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, cast, get_args

import pytest

import backline
from backline._types import Interface
from backline.importer import ImportFailure, Loaded, load

WSGI = "def {}(environ, start_response): return [b'']\n"
ASGI = "async def {}(scope, receive, send): pass\n"

Write = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Write]:
    """Give a function that writes {path: source} below a fresh folder, and undo what imports leave behind."""
    path, modules = sys.path[:], set(sys.modules)

    def write(files: dict[str, str]) -> str:
        for name, source in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dedent(source))
        return str(tmp_path)

    yield write
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__spec__", "")):
            del sys.modules[name]


def failure(spec: str, folder: str, **options: Any) -> ImportFailure:
    with pytest.raises(ImportFailure) as caught:
        load(spec, search=[folder], **options)
    assert str(caught.value) == caught.value.message
    return caught.value


FACTORY = """
    def create_app(name="none", *, debug=False, extra=()):
        def app(environ, start_response): return [name, debug, extra]
        return app
    class box:
        class inner:
            application = staticmethod(create_app("boxed"))
            make = staticmethod(create_app)
"""


@pytest.mark.parametrize(
    ("spec", "resolved", "answer"),
    [
        ("made:create_app()", "made:create_app()", ["none", False, ()]),
        ("made:create_app('prod')", "made:create_app('prod')", ["prod", False, ()]),
        ('made:create_app("a:b", debug=True)', "made:create_app('a:b', debug=True)", ["a:b", True, ()]),
        (
            "made:create_app(extra={'k': [1, -2]})",
            "made:create_app(extra={'k': [1, -2]})",
            ["none", False, {"k": [1, -2]}],
        ),
        ("made:box.inner.application", "made:box.inner.application", ["boxed", False, ()]),
        ("made:box.inner.make('x')", "made:box.inner.make('x')", ["x", False, ()]),
        (" made : create_app() ", None, None),
    ],
)
def test_attribute_and_call(project: Write, spec: str, resolved: str | None, answer: object) -> None:
    folder = project({"made.py": FACTORY})
    if resolved is None:
        assert failure(spec, folder).kind == "bad-spec"
        return
    loaded = load(spec, search=[folder])
    assert loaded.spec == resolved
    assert loaded.application({}, None) == answer


@pytest.mark.parametrize(
    ("files", "spec", "resolved"),
    [
        ({"one.py": WSGI.format("application")}, "one", "one:application"),
        ({"one.py": WSGI.format("app")}, "one", "one:app"),
        ({"one.py": WSGI.format("app") + WSGI.format("application")}, "one", "one:application"),
        (
            {"site1/__init__.py": "", "site1/wsgi.py": WSGI.format("application")},
            "site1.wsgi",
            "site1.wsgi:application",
        ),
        ({"space1/deep/mod.py": WSGI.format("app")}, "space1.deep.mod:app", "space1.deep.mod:app"),
        ({"with-dash.py": WSGI.format("app")}, "with-dash", "with-dash:app"),
    ],
)
def test_default_attribute(project: Write, files: dict[str, str], spec: str, resolved: str) -> None:
    assert load(spec, search=[project(files)]).spec == resolved


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        ("src/one.py", "one:app"),
        ("src/one.py:other", "one:other"),
        ("src/one", "one:app"),
        ("src/pack/sub/two.py:app", "pack.sub.two:app"),
        ("src/pack", "pack:app"),
        ("src/pack/__init__.py", "pack:app"),
    ],
)
def test_named_by_file(project: Write, given: str, resolved: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = WSGI.format("app")
    folder = project(
        {
            "src/one.py": app + "other = app\n",
            "src/pack/__init__.py": app,
            "src/pack/sub/__init__.py": "",
            "src/pack/sub/two.py": "from .. import app\n",
        }
    )
    monkeypatch.chdir(folder)
    assert load(given, search=[]).spec == resolved
    assert sys.path[0] == os.path.join(folder, "src")


def test_file_whose_name_is_taken(project: Write) -> None:
    folder = project({"json.py": WSGI.format("app")})
    found = failure(f"{folder}/json.py", folder)
    assert (found.kind, found.hint) == ("bad-spec", "rename the file")
    assert "cannot be imported as 'json'" in found.message


def test_factory_flag(project: Write) -> None:
    folder = project({"made.py": FACTORY, "late.py": "def make_app(): return make_app\nnumber = 1\n"})
    assert load("made", factory=True, search=[folder]).spec == "made:create_app"
    assert load("made:create_app", factory=True, search=[folder]).application({}, None) == ["none", False, ()]
    assert load("made:create_app('x')", factory=True, search=[folder]).application({}, None)[0] == "x"
    assert failure("late:number", folder, factory=True).kind == "not-callable"
    assert failure("late", folder, factory=True).kind == "wrong-interface"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "names no module"),
        (":app", "names no module"),
        ("app:", "names no attribute"),
        ("app:a b", "is not an attribute or a call"),
        ("app:1", "is not an attribute or a call"),
        ("app:make()()", "is not an attribute or a call"),
        ("app:make()[0]", "is not an attribute or a call"),
        ("app:make(open('/etc/passwd'))", "not all literal values"),
        ("app:make(**{'a': 1})", "not all literal values"),
        ("app:make(*[1])", "not all literal values"),
        ("app:make(x=y)", "not all literal values"),
        (".app", "is not the name of a module"),
        ("my app", "is not the name of a module"),
    ],
)
def test_bad_spec(project: Write, spec: str, message: str) -> None:
    found = failure(spec, project({"app.py": "raise SystemError('must not be imported')"}))
    assert found.kind == "bad-spec"
    assert message in found.message
    assert found.hint
    assert found.traceback == ""


@pytest.mark.parametrize(
    ("files", "spec", "missing", "hint"),
    [
        ({"shop.py": ""}, "shopp", "shopp", "did you mean shop?"),
        ({"shop/wsgi.py": ""}, "shob.wsgi:app", "shob", "did you mean shop.wsgi?"),
        ({"shop/__init__.py": "", "shop/wsgi.py": ""}, "shop.wsgj", "shop.wsgj", "did you mean shop.wsgi?"),
        ({"shop/__init__.py": "", "shop/views.py": ""}, "shop.wsgi", "shop.wsgi", "shop has views"),
        ({"project/shop/wsgi.py": ""}, "shop.wsgi", "shop", "add --chdir"),
        ({"one.py": WSGI.format("app")}, "one.app", "one.app", "write one:app"),
        ({"one.py": ""}, "entirely_else", "entirely_else", "start in the folder that holds entirely_else"),
        ({".hidden/shop.py": ""}, "shop", "shop", "start in the folder that holds shop"),
    ],
)
def test_no_module(project: Write, files: dict[str, str], spec: str, missing: str, hint: str) -> None:
    folder = project(files)
    found = failure(spec, folder)
    assert found.kind == "no-module"
    assert f"there is no module {missing!r}; looked in {folder}" in found.message
    assert hint in found.hint
    assert found.traceback == ""


def test_no_module_from_inside_the_package(project: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project({"inside/wsgi.py": ""}) + "/inside"
    monkeypatch.chdir(folder)
    assert failure("inside.wsgi", folder).hint.endswith("add --chdir ..")


def test_no_module_counts_the_interpreters_folders(project: Write) -> None:
    folder = project({})
    with pytest.raises(ImportFailure) as caught:
        load("nowhere_at_all", search=[folder, os.path.dirname(os.__file__)])
    assert caught.value.message.endswith(f"looked in {folder} and 1 folder of {sys.executable}")


def test_no_file(project: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project({"src/main.py": ""})
    monkeypatch.chdir(folder)
    found = failure("src/mian.py", folder)
    assert (found.kind, found.hint) == ("no-module", "did you mean src/main.py?")
    assert failure("scr/main.py", folder).hint == f"there is no folder {folder}/scr either"


@pytest.mark.parametrize(
    ("source", "spec", "message", "hint"),
    [
        (
            WSGI.format("application"),
            "mod:aplication",
            "has no attribute 'aplication'",
            "did you mean mod:application?",
        ),
        (WSGI.format("api"), "mod", "has no 'application' or 'app'; it has api", "did you mean mod:api?"),
        (
            "from json import loads\nX = 1\ndef create_app(): ...\n",
            "mod",
            "it has create_app, loads, X",
            "mod:create_app()?",
        ),
        ("class Box: pass\nbox = Box()\nbox.inner = 1\n", "mod:box.iner", "'mod:box', of type Box,", "mod:box.inner?"),
        ("", "mod", "it is empty", ""),
        ("\n".join(f"def f{n}(): ..." for n in range(12)), "mod", "f0, f1, f2, f3, f4, f5, f6, f7 and 4 more", ""),
    ],
)
def test_no_attribute(project: Write, source: str, spec: str, message: str, hint: str) -> None:
    found = failure(spec, project({"mod.py": source}))
    assert found.kind == "no-attribute"
    assert message in found.message
    assert hint in found.hint
    assert bool(hint) == bool(found.hint)


def test_no_attribute_names_the_module_of_a_django_project(project: Write) -> None:
    folder = project({"dj/__init__.py": "", "dj/asgi.py": "", "dj/wsgi.py": ""})
    assert failure("dj", folder).hint == "did you mean dj.asgi or dj.wsgi?"
    assert failure("dj:wsgi", folder).hint == "did you mean dj.wsgi?"


@pytest.mark.parametrize(
    ("source", "spec", "message"),
    [
        ("app = 'hello'", "mod", "mod:app is of type str ('hello'), which cannot be called"),
        ("app = 'x' * 99", "mod", "xxx...), which cannot be called"),
        ("import json as app", "mod", "mod:app is a module, which cannot be called"),
        ("def make(): return None", "mod:make()", "mod:make() is of type NoneType (None)"),
        ("async def make(): ...", "mod:make()", "mod:make() is an async function"),
        ("make = 3", "mod:make()", "mod:make() is of type int (3)"),
    ],
)
def test_not_callable(project: Write, source: str, spec: str, message: str) -> None:
    found = failure(spec, project({"mod.py": source}))
    assert found.kind == "not-callable"
    assert message in found.message
    assert found.hint


@pytest.mark.parametrize(
    ("source", "spec", "last", "hint"),
    [
        ("1 / 0", "mod", "ZeroDivisionError: division by zero", ""),
        ("import sys\nsys.exit(3)", "mod", "SystemExit: 3", "__main__"),
        ("def f(:\n  pass", "mod", "SyntaxError: invalid syntax", "it was read by Python"),
        ("import nowhere_at_all", "mod", "No module named 'nowhere_at_all'", "pip install nowhere_at_all for"),
        ("import mod.below", "mod", "'mod' is not a package", "pip install"),
        ("import json.tol", "mod", "No module named 'json.tol'", "did you mean json.tool?"),
        (
            "from importlib import import_module\nimport_module('gone')",
            "mod",
            "No module named 'gone'",
            "pip install gone",
        ),
        ("def make(): return {}['key']", "mod:make()", "KeyError: 'key'", ""),
        (
            "def make(name): ...",
            "mod:make()",
            "missing 1 required positional argument",
            "give the factory its arguments",
        ),
        ("def __getattr__(name): raise OSError(name)", "mod:app", "OSError: app", ""),
        ("try: {}['a']\nexcept KeyError: raise ValueError('b') from None", "mod", "ValueError: b", ""),
    ],
)
def test_raised(project: Write, source: str, spec: str, last: str, hint: str) -> None:
    folder = project({"mod.py": source})
    found = failure(spec, folder)
    assert found.kind == "raised"
    assert last in found.message
    assert last in found.traceback.splitlines()[-1]
    assert hint in found.hint
    assert bool(hint) == bool(found.hint)
    files = [line for line in found.traceback.splitlines() if line.startswith("  File ")]
    assert all(line.startswith(f'  File "{folder}/mod.py"') or "/json/" in line for line in files), found.traceback
    assert ("Traceback" in found.traceback) == (bool(files) and "SyntaxError" not in last)


def test_raised_keeps_the_chain_without_our_frames(project: Write) -> None:
    folder = project(
        {"outer.py": "try:\n    import inner\nexcept KeyError as exc:\n    raise ValueError('outer') from exc\n"}
    )
    project({"inner.py": "{}['deep']\n"})
    text = failure("outer", folder).traceback
    assert "direct cause" in text and "KeyError: 'deep'" in text and text.rstrip().endswith("ValueError: outer")
    assert text.count("  File ") == 3, text  # outer.py twice, inner.py once
    assert "importlib" not in text and os.path.dirname(backline.__file__) not in text


def test_missing_package_of_the_applications_own_import_is_not_no_module(project: Write) -> None:
    folder = project({"pkg/__init__.py": "import pkg.wsgi\n"})
    found = failure("pkg.wsgi", folder)
    assert (found.kind, found.traceback.count("  File ")) == ("raised", 1)


def test_interrupt_passes(project: Write) -> None:
    with pytest.raises(KeyboardInterrupt):
        load("mod", search=[project({"mod.py": "raise KeyboardInterrupt"})])


def test_clear_applications_are_not_taken_for_the_other_interface(project: Write) -> None:
    folder = project({"pages.py": WSGI.format("app"), "live.py": ASGI.format("app")})
    for spec, right, wrong in (("pages", "wsgi", "asgi"), ("live", "asgi", "wsgi")):
        loaded = load(spec, search=[folder])
        assert loaded == Loaded(sys.modules[spec].app, cast("Interface", right), f"{spec}:app", django=False)
        assert load(spec, search=[folder], interface=cast("Interface", right)) == loaded
        found = failure(spec, folder, interface=wrong)
        assert found.kind == "wrong-interface"
        assert f"is a {right.upper()} application" in found.message and f"not {wrong.upper()}" in found.message


def test_asgi2_comes_wrapped_as_asgi3(project: Write) -> None:
    source = "def app(scope):\n  async def instance(receive, send): await send(await receive())\n  return instance"
    loaded = load("mod", search=[project({"mod.py": source})])
    sent = []

    async def receive() -> str:
        return "message"

    async def send(message: str) -> None:
        sent.append(message)

    asyncio.run(loaded.application({"type": "http"}, receive, send))
    assert (loaded.interface, sent) == ("asgi", ["message"])


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("mod", "def app(*args): pass", "wsgi"),
        ("asgi", "def app(*args): pass", "asgi"),
        ("mod", "def app(one, two, three=None): pass", "wsgi"),
    ],
)
def test_unclear_is_assumed_and_said(project: Write, module: str, source: str, expected: str) -> None:
    folder = project({f"{module}.py": source})
    loaded = load(module, search=[folder])
    assert loaded.interface == expected
    assert loaded.note.startswith(f"{module}:app is taken for {expected.upper()}: ")
    for asked in get_args(Interface):
        again = load(module, search=[folder], interface=asked)
        assert (again.interface, again.note) == (asked, "")


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("def app(): pass", "its arguments are ()", "write mod:app()"),
        ("def app(request: int) -> int: pass", "its arguments are (request), where", ""),
        ("async def app(request): pass", "a coroutine function of (request), where", ""),
        (
            "class app:\n  async def __call__(self, scope, receive, send): pass",
            "the class app, not an instance",
            "mod:app()",
        ),
        ("class app:\n  def __call__(self, one): pass\napp = app()", "its arguments are (one)", ""),
    ],
)
def test_fits_neither(project: Write, source: str, message: str, hint: str) -> None:
    found = failure("mod", project({"mod.py": source}))
    assert found.kind == "wrong-interface"
    assert message in found.message
    assert hint in found.hint
    assert bool(hint) == bool(found.hint)


@pytest.mark.parametrize(
    ("framework", "source", "interface"),
    [
        ("flask", "from flask import Flask\napp = Flask(__name__)", "wsgi"),
        ("starlette", "from starlette.applications import Starlette\napp = Starlette()", "asgi"),
        ("fastapi", "from fastapi import FastAPI\napp = FastAPI()", "asgi"),
        ("asgiref", "from asgiref.wsgi import WsgiToAsgi\napp = WsgiToAsgi(lambda e, s: [])", "asgi"),
    ],
)
def test_frameworks(project: Write, framework: str, source: str, interface: str) -> None:
    pytest.importorskip(framework)
    loaded = load("mod", search=[project({"mod.py": source})])
    assert (loaded.interface, loaded.note) == (interface, "")


def run_python(source: str, folder: str, *flags: str) -> str:
    """Run in an interpreter of its own: Django's settings are one per process."""
    code = f"import sys; sys.path.insert(0, {os.path.dirname(os.path.dirname(backline.__file__))!r})\n{dedent(source)}"
    done = subprocess.run([sys.executable, *flags, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_django(project: Write) -> None:
    pytest.importorskip("django")
    start = "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'mysite.settings'\n"
    make = "from django.core.{0} import get_{0}_application\napplication = get_{0}_application()\n"
    folder = project(
        {
            "mysite/__init__.py": "",
            "mysite/settings.py": "SECRET_KEY = 'x'\nROOT_URLCONF = 'mysite.urls'\n",
            "mysite/urls.py": "urlpatterns = []\n",
            "mysite/wsgi.py": (start + make).format("wsgi"),
            "mysite/asgi.py": (start + make).format("asgi"),
        }
    )
    said = run_python(
        """
        from backline.importer import load
        for spec in ("mysite.wsgi", "mysite.asgi", "mysite/wsgi.py"):
            loaded = load(spec)
            print(loaded.spec, loaded.interface, loaded.django, type(loaded.application).__name__)
        """,
        folder,
    )
    assert said.splitlines() == [
        "mysite.wsgi:application wsgi True WSGIHandler",
        "mysite.asgi:application asgi True ASGIHandler",
        "mysite.wsgi:application wsgi True WSGIHandler",
    ]


def test_importing_the_importer_leaves_gevent_something_to_patch(project: Write) -> None:
    said = run_python(
        "import backline.importer; print(*{'asyncio', 'socket', 'select', 'ssl', 'queue'} & set(sys.modules))",
        project({}),
        "-S",  # without site-packages, whose .pth files import what they like
    )
    assert said.strip() == ""


def test_loaded_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Loaded(None, "wsgi", "a:b", False).spec = "c:d"  # type: ignore[misc]


@pytest.mark.parametrize("spec", ["mod", "mod:handle", "mod:Server.handle"])
def test_function_of_connections(project: Write, spec: str) -> None:
    source = "def handle(socket, address): pass\nclass Server:\n  @staticmethod\n  def handle(s, a, *more): pass\n"
    folder = project({"mod.py": source})
    loaded = load(spec, search=[folder], interface="tcp")
    assert (loaded.interface, loaded.spec) == ("tcp", spec if ":" in spec else "mod:handle")
    assert loaded.application("socket", "address") is None


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("async def handle(socket, address): pass", "wrong-interface", "calling it gives a coroutine"),
        ("def handle(socket): pass", "wrong-interface", "its arguments are (socket), where a connection comes as"),
        (WSGI.format("handle"), "wrong-interface", "its first argument is called environ, so it is a WSGI application"),
        ("handle = 1", "not-callable", "mod:handle is of type int"),
        ("def app(socket, address): pass", "no-attribute", "module 'mod' has no 'handle'; it has app"),
    ],
)
def test_no_function_of_connections(project: Write, source: str, kind: str, message: str) -> None:
    found = failure("mod", project({"mod.py": source}), interface="tcp")
    assert (found.kind, message in found.message) == (kind, True), found.message
