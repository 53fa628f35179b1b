"""From what a person typed ("mysite.wsgi", "app:create_app('prod')", "src/app.py") to the application object.

Reading order: load, _parse, _import, _find, _speak. What can go wrong is told apart, because "cannot import app" sends
people to look in the wrong place: every failure is an ImportFailure with its kind and what to do about it, and
whatever the application itself raised keeps its own traceback without a frame of ours.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Final, Literal, TypeAlias, TypeVar

from . import nearest
from ._types import Interface
from .interface import Guess, is_sockets, refuses_connections, single
from .interface import guess as guess_interface

T = TypeVar("T")
Kind: TypeAlias = Literal["no-module", "no-attribute", "not-callable", "raised", "bad-spec", "wrong-interface"]

# What Django and gunicorn call it, then what Flask, FastAPI and uvicorn's examples call it.
DEFAULT_NAMES = ("application", "app")
CONNECTION_NAMES = ("handle",)  # what gevent's examples call a function of (socket, address)

_FORMS = (
    "write module, module:attribute, module:factory(...) or path/to/file.py:attribute, such as mysite.wsgi or app:app"
)
_MISSING: Final = object()


class ImportFailure(Exception):
    """The application cannot be had. ``str()`` is the message; ``traceback`` is the application's own, or empty."""

    def __init__(self, kind: Kind, message: str, hint: str = "", traceback: str = "") -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.hint = hint
        self.traceback = traceback


@dataclass(frozen=True, slots=True)
class Loaded:
    """An application, ready to be called by ``interface``."""

    application: Any
    interface: Interface | Literal["tcp", "sockets"]
    spec: str  # complete, whatever was left out: "mysite.wsgi:application"
    django: bool  # Django's own WSGIHandler or ASGIHandler, or a subclass
    note: str = ""  # why the interface had to be assumed, for the log; empty where it was clear


@dataclass(frozen=True, slots=True)
class _Spec:
    module: str
    attribute: str  # dotted; empty where the defaults are meant
    call: ast.Call | None = None
    file: str = ""  # absolute, where the module was named by its file

    @property
    def text(self) -> str:
        return f"{self.module}:{ast.unparse(self.call) if self.call else self.attribute}"


def load(
    spec: str,
    *,
    factory: bool = False,
    interface: Literal["auto", "wsgi", "asgi", "tcp"] = "auto",
    search: Sequence[str] | None = None,
) -> Loaded:
    """Import the application that ``spec`` names and find out which interface it speaks.

    With ``factory`` the attribute is called without arguments and what it returns is the application; a spec that
    ends in a call does so by itself. With ``interface`` other than "auto" an application that clearly speaks the
    other one is refused; with "tcp" it is a function of (socket, address). ``search`` are the folders to look in,
    sys.path where it is None; those that sys.path lacks are put in front of it.

    An application whose arguments fit both interfaces, or cannot be inspected, is taken for WSGI unless its module is
    called "asgi", and ``note`` says so. ASGI 2 applications come back wrapped as ASGI 3.

    Raises ImportFailure for every mistake; only KeyboardInterrupt passes.
    """
    parsed = _parse(spec)
    folders = _extend_path(parsed, sys.path if search is None else search)
    module = _import(parsed, folders)
    parsed, found = _find(parsed, module, _default_names(factory, interface))
    if parsed.call or factory:
        found = _call_factory(parsed, found)
    if is_sockets(found) and interface != "tcp":
        return Loaded(application=found, interface="sockets", spec=parsed.text, django=False)
    if not callable(found):
        raise _not_callable(parsed, found)
    if interface == "tcp":
        return _connect(parsed, found)
    return _speak(parsed, found, interface)


def _default_names(factory: bool, interface: str) -> tuple[str, ...]:
    if interface == "tcp":
        return CONNECTION_NAMES
    return tuple(nearest.FACTORIES) if factory else DEFAULT_NAMES


def _parse(spec: str) -> _Spec:
    name, colon, expression = spec.strip().partition(":")
    if not name:
        raise ImportFailure("bad-spec", f"{spec!r} names no module", _FORMS)
    if colon and not expression.strip():
        raise ImportFailure("bad-spec", f"{spec!r} names no attribute after the colon", _FORMS)
    attribute, call = _parse_attribute(spec, expression.strip()) if colon else ("", None)
    if os.sep in name or name.endswith(".py"):
        module, file = _module_of_file(name)
        return _Spec(module, attribute, call, file)
    if not all(part and part.replace("-", "_").isidentifier() for part in name.split(".")):
        raise ImportFailure("bad-spec", f"{name!r} is not the name of a module", _FORMS)
    return _Spec(name, attribute, call)


def _parse_attribute(spec: str, expression: str) -> tuple[str, ast.Call | None]:
    """Take apart what follows the colon. It is never evaluated: a command line is not a place for code."""
    try:
        node = ast.parse(expression, mode="eval").body
    except SyntaxError as exc:
        raise ImportFailure("bad-spec", f"{expression!r} in {spec!r} is not an attribute or a call", _FORMS) from exc
    call = node if isinstance(node, ast.Call) else None
    target = call.func if call else node
    names = []
    while isinstance(target, ast.Attribute):
        names.append(target.attr)
        target = target.value
    if not isinstance(target, ast.Name):
        raise ImportFailure("bad-spec", f"{expression!r} in {spec!r} is not an attribute or a call", _FORMS)
    if call:
        _literal_arguments(call)
    return ".".join([target.id, *reversed(names)]), call


def _literal_arguments(call: ast.Call) -> tuple[list[Any], dict[str, Any]]:
    try:
        keywords = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg}
        if len(keywords) == len(call.keywords):
            return [ast.literal_eval(argument) for argument in call.args], keywords
    except ValueError:
        pass
    raise ImportFailure(
        "bad-spec",
        f"the arguments in {ast.unparse(call)!r} are not all literal values",
        'write strings, numbers, True, False, None, lists, tuples and dicts as they are, such as create_app("prod")',
    )


def _module_of_file(name: str) -> tuple[str, str]:
    path = os.path.abspath(name)
    if os.path.isdir(path):
        path = os.path.join(path, "__init__.py")
    elif not path.endswith(".py"):
        path += ".py"
    if not os.path.isfile(path):
        raise ImportFailure("no-module", f"there is no file {path}", nearest.file_hint(path))
    folder, base = os.path.split(path.removesuffix(".py"))
    parts = [] if base == "__init__" else [base]
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, base = os.path.split(folder)
        parts.insert(0, base)
    if any("." in part for part in parts):
        raise ImportFailure("bad-spec", f"{path} has a dot in its name, so it cannot be imported", "rename it")
    return ".".join(parts), path


def _extend_path(spec: _Spec, search: Sequence[str]) -> list[str]:
    folders = list(search)
    if spec.file:
        # As many steps up as the module's name has parts: to where the outermost package lies.
        steps = spec.module.count(".") + (os.path.basename(spec.file) == "__init__.py")
        folders.insert(0, os.path.normpath(os.path.join(os.path.dirname(spec.file), *[os.pardir] * steps)))
    sys.path[:0] = [folder for folder in dict.fromkeys(folders) if folder not in sys.path]
    return folders


def _import(spec: _Spec, folders: Sequence[str]) -> ModuleType:
    def run() -> ModuleType:
        try:
            return importlib.import_module(spec.module)
        except ModuleNotFoundError as exc:
            # What is missing is the application's module, or a package it lies in, only if no other code asked for it.
            if exc.name and f"{spec.module}.".startswith(f"{exc.name}.") and not _own_traceback(exc).stack:
                raise _no_module(spec, exc.name, folders) from exc
            raise

    module = guarded(f"importing {spec.module}", run)
    held = getattr(module, "__file__", None) or ""
    if spec.file and not (os.path.exists(held) and os.path.samefile(held, spec.file)):
        message = f"{spec.file} cannot be imported as {spec.module!r}, because that is {held or 'a built-in module'}"
        raise ImportFailure("bad-spec", message, "rename the file")
    return module


def _no_module(spec: _Spec, missing: str, folders: Sequence[str]) -> ImportFailure:
    parent, _, last = spec.module.rpartition(".")
    if missing == spec.module and hasattr(sys.modules.get(parent), last):
        hint = f"{last} is an attribute of the module {parent}: write {parent}:{last}"
    else:
        hint = nearest.module_hint(spec.module, missing, folders)
    looked = nearest.describe_search(missing, folders)
    return ImportFailure("no-module", f"there is no module {missing!r}; looked in {looked}", hint)


def _find(spec: _Spec, module: ModuleType, names: Sequence[str]) -> tuple[_Spec, Any]:
    """Follow the attribute, or find the first of the default ones; the spec comes back with its name."""
    if spec.attribute:
        return spec, _walk(spec, module)
    for name in names:
        found = _get(module, name)
        if found is not _MISSING:
            return replace(spec, attribute=name), found
    raise _no_attribute(f"module {spec.module!r} has no {' or '.join(map(repr, names))}", f"{spec.module}:", module, "")


def _walk(spec: _Spec, module: ModuleType) -> Any:
    owner: Any = module
    what, prefix = f"module {spec.module!r}", f"{spec.module}:"
    for name in spec.attribute.split("."):
        found = _get(owner, name)
        if found is _MISSING:
            raise _no_attribute(f"{what} has no attribute {name!r}", prefix, owner, name)
        owner = found
        prefix += f"{name}."
        what = f"{prefix.removesuffix('.')!r}, of type {type(owner).__name__},"
    return owner


def _get(owner: Any, name: str) -> Any:
    return guarded(f"reading {name!r}", lambda: getattr(owner, name, _MISSING))


def _no_attribute(message: str, prefix: str, owner: Any, name: str) -> ImportFailure:
    existing = nearest.attributes(owner)
    message += f"; it has {nearest.listing(existing)}" if existing else "; it is empty"
    return ImportFailure("no-attribute", message, nearest.attribute_hint(prefix, owner, name, existing))


def _call_factory(spec: _Spec, function: Any) -> Any:
    if not callable(function):
        raise _not_callable(spec, function)
    positional, keywords = _literal_arguments(spec.call) if spec.call else ([], {})
    made = guarded(f"calling {spec.text}", lambda: function(*positional, **keywords))
    if inspect.iscoroutine(made):
        made.close()  # or Python warns that it was never awaited, below the message that matters
        raise ImportFailure(
            "not-callable",
            f"{spec.text} is an async function, so calling it gave a coroutine, not an application",
            "make the factory a plain def, and do what has to be awaited in the lifespan's startup",
        )
    return made


def _not_callable(spec: _Spec, found: Any) -> ImportFailure:
    if isinstance(found, ModuleType):
        hint = f"name what is in it, such as {found.__name__}:application"
        return ImportFailure("not-callable", f"{spec.text} is a module, which cannot be called", hint)
    shown = repr(found)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    message = f"{spec.text} is of type {type(found).__name__} ({shown}), which cannot be called"
    return ImportFailure("not-callable", message, "name a WSGI or ASGI application, or a function that returns one")


def _connect(spec: _Spec, function: Any) -> Loaded:
    """Make sure that a connection can be given to a function."""
    why = guarded(f"inspecting {spec.text}", lambda: refuses_connections(function))
    if why:
        raise ImportFailure(
            "wrong-interface",
            f"{spec.text} cannot serve connections: {why}",
            "name a function that reads and writes one connection until it ends: def handle(socket, address)",
        )
    return Loaded(application=function, interface="tcp", spec=spec.text, django=False)


def _speak(spec: _Spec, application: Any, wanted: Literal["auto", "wsgi", "asgi"]) -> Loaded:
    guess = guarded(f"inspecting {spec.text}", lambda: guess_interface(application))
    if not guess.fits or wanted not in ("auto", *guess.fits):
        raise _wrong_interface(spec, application, guess, wanted)
    chosen: Interface = guess.fits[0] if wanted == "auto" else wanted
    note = ""
    if wanted == "auto" and len(guess.fits) > 1:
        chosen = "asgi" if spec.module.rpartition(".")[2] == "asgi" else "wsgi"
        note = f"{spec.text} is taken for {chosen.upper()}: {guess.reason}; -k says which it is"
    return Loaded(
        application=single(application) if guess.double else application,
        interface=chosen,
        spec=spec.text,
        django=guess.django,
        note=note,
    )


def _wrong_interface(spec: _Spec, application: Any, guess: Guess, wanted: str) -> ImportFailure:
    if guess.fits:
        message = f"{spec.text} is a {guess.fits[0].upper()} application ({guess.reason}), not {wanted.upper()}"
        return ImportFailure(
            "wrong-interface",
            message,
            f"leave -k away, or choose a class for {guess.fits[0].upper()}; "
            "--websocket and --channels want an ASGI application",
        )
    hint = f"if calling it makes the application, write {spec.text}()" if _callable_bare(application) else ""
    return ImportFailure("wrong-interface", f"{spec.text} is no application: {guess.reason}", hint)


def _callable_bare(function: Any) -> bool:
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        return False
    return True


def guarded(doing: str, run: Callable[[], T]) -> T:
    """Run code of the application; whatever it raises becomes a failure that shows where in the application."""
    try:
        return run()
    except (ImportFailure, KeyboardInterrupt):
        raise
    except BaseException as exc:
        own = _own_traceback(exc)
        last = traceback.format_exception_only(type(exc), exc)[-1].strip()
        message = f"{doing} ended with {last}"
        raise ImportFailure("raised", message, _advice(exc, bool(own.stack)), "".join(own.format())) from exc


def _advice(exc: BaseException, reached: bool) -> str:
    if isinstance(exc, ModuleNotFoundError) and exc.name:
        return nearest.install_hint(exc.name)
    if isinstance(exc, SyntaxError):
        return f"it was read by Python {sys.version_info.major}.{sys.version_info.minor}, {sys.executable}"
    if isinstance(exc, SystemExit):
        return 'put what should only run as a program under if __name__ == "__main__":'
    if isinstance(exc, TypeError) and not reached:
        # The call itself failed, before any line of the application ran.
        return 'give the factory its arguments, such as app:create_app("prod", debug=True)'
    return ""


def _own_traceback(exc: BaseException) -> traceback.TracebackException:
    """Take the frames of this package and of the import machinery out of a traceback and of those it chains to."""
    whole = traceback.TracebackException.from_exception(exc)
    pending: list[traceback.TracebackException | None] = [whole]
    while pending:
        part = pending.pop()
        if part is None:
            continue
        part.stack[:] = [frame for frame in part.stack if not frame.filename.startswith(_NOT_THEIRS)]
        pending += [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or ())]
    return whole


# By the name that compiled code carries, which is what a traceback has.
_NOT_THEIRS = (
    os.path.join(os.path.dirname(guarded.__code__.co_filename), ""),
    os.path.join(os.path.dirname(importlib.__file__), ""),
    "<frozen importlib",
)
