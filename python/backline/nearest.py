"""What exists near a name that does not: the hints of import failures. Nothing here imports or runs the application."""

from __future__ import annotations

import difflib
import inspect
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any

from . import interface

# More would push the hint off the screen.
_LISTED = 8

FACTORIES = ("create_app", "make_app")


def describe_search(missing: str, folders: Sequence[str]) -> str:
    """Name the folders a module was looked for in, those of the interpreter only by their number."""
    package = _parent_folders(missing)
    if package:
        return listing(package)
    own = _application_folders(folders)
    rest = len(folders) - len(own)
    others = f"{rest} folder{'s' if rest > 1 else ''} of {sys.executable}" if rest else ""
    return " and ".join(filter(None, [listing(own), others]))


def module_hint(module: str, missing: str, folders: Sequence[str]) -> str:
    """Say where ``module`` is, or what may have been meant, when its part ``missing`` does not exist."""
    package = _parent_folders(missing)
    places = package or _application_folders(folders)
    if not package:
        for folder in places:
            found = _folder_nearby(folder, module)
            if found:
                return f"it is in {found}: add --chdir {os.path.relpath(found)}"
    for folder in places:
        near = difflib.get_close_matches(missing.rpartition(".")[2], list(modules(folder)), n=1)
        if near:
            parts = module.split(".")
            parts[missing.count(".")] = near[0]
            return f"did you mean {'.'.join(parts)}?"
    if package:
        return (
            f"{missing.rpartition('.')[0]} has {listing(sorted(modules(package[0])))}"
            if any(modules(package[0]))
            else ""
        )
    return f"start in the folder that holds {missing}, or name that folder with --chdir"


def file_hint(path: str) -> str:
    """Say which file may have been meant instead of ``path``, which does not exist."""
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        return f"there is no folder {folder} either"
    near = difflib.get_close_matches(name, [f"{module}.py" for module in modules(folder)], n=1)
    return f"did you mean {os.path.relpath(os.path.join(folder, near[0]))}?" if near else ""


def install_hint(missing: str) -> str:
    """Say how a module that the application imports comes to exist."""
    if _parent_folders(missing):
        return module_hint(missing, missing, ())
    where = "" if sys.prefix != sys.base_prefix else " (in no virtual environment)"
    return f"pip install {missing} for {sys.executable}{where}, or name the interpreter that has it with --python"


def modules(folder: str) -> Iterator[str]:
    """Name the modules and packages that lie directly in ``folder``, without importing any."""
    for entry in _entries(folder):
        name = entry.removesuffix(".py")
        if name.isidentifier() and name != "__init__" and (name != entry or _is_package(os.path.join(folder, name))):
            yield name


def attributes(owner: Any) -> list[str]:
    """Name the public attributes of ``owner``: what it defines and can be called first, what it imported last."""
    home = getattr(owner, "__name__", None) if isinstance(owner, ModuleType) else type(owner).__module__

    def rank(name: str) -> int:
        # Statically, since asking a property or a lazy module for its value runs code.
        value = inspect.getattr_static(owner, name)
        if isinstance(value, ModuleType):
            return 4
        if not callable(value):
            return 3
        local = getattr(value, "__module__", home) == home
        if inspect.isclass(value):
            return 1 if local else 2
        return 0 if local or not inspect.isroutine(value) else 2

    names = vars(owner) if isinstance(owner, ModuleType) else dir(owner)
    return sorted((name for name in names if not name.startswith("_")), key=rank)


def attribute_hint(prefix: str, owner: Any, name: str, existing: Sequence[str]) -> str:
    """Say what may have been meant; ``name`` is empty when none was given. ``prefix`` is "module:" or "module:obj."."""
    near = difflib.get_close_matches(name, existing, n=1)
    if near:
        return f"did you mean {prefix}{near[0]}?"
    if not isinstance(owner, ModuleType):
        return ""
    for folder in getattr(owner, "__path__", ()):
        below = sorted(modules(folder))
        # Without a name: the package of Django's settings was given instead of one of the two modules in it.
        meant = [f"{owner.__name__}.{module}" for module in below if module in ((name,) if name else ("asgi", "wsgi"))]
        if meant:
            return f"did you mean {' or '.join(meant)}?"
    for factory in FACTORIES:
        if factory in existing:
            return f"did you mean {prefix}{factory}()?"
    for candidate in existing:
        value = inspect.getattr_static(owner, candidate)
        if callable(value) and not inspect.isclass(value) and len(interface.guess(value).fits) == 1:
            return f"did you mean {prefix}{candidate}?"
    return ""


def listing(names: Iterable[str]) -> str:
    """Join names for a sentence, the first few of many."""
    names = list(names)
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _parent_folders(missing: str) -> list[str]:
    """Give the folders of the package that ``missing`` should be in; none where it is a top-level name."""
    return list(getattr(sys.modules.get(missing.rpartition(".")[0]), "__path__", ()))


def _application_folders(folders: Sequence[str]) -> list[str]:
    """Leave out the interpreter's own folders: no application lies there, and every name is near one of theirs."""
    own = {os.path.dirname(os.path.abspath(os.__file__)), os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}
    ends = ("site-packages", "dist-packages", "lib-dynload", ".zip")
    absolute = dict.fromkeys(os.path.abspath(folder) for folder in folders)
    return [folder for folder in absolute if folder not in own and not folder.endswith(ends)]


def _folder_nearby(folder: str, module: str) -> str:
    """Find ``module`` one folder down, or one up, where somebody stands who started inside the package itself."""
    steps = os.path.join(*module.split("."))

    def holds(candidate: str) -> bool:
        path = os.path.join(candidate, steps)
        return os.path.isfile(path + ".py") or _is_package(path)

    below = [os.path.join(folder, entry) for entry in sorted(_entries(folder)) if not entry.startswith(".")]
    return next((candidate for candidate in [*below, os.path.dirname(folder)] if holds(candidate)), "")


def _is_package(path: str) -> bool:
    # A folder without __init__.py is a package as well; one without any module in it is nothing worth naming.
    return any(entry.endswith(".py") for entry in _entries(path))


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
