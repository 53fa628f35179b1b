"""What is done when a module is imported. That it makes psycopg2 cooperative is the conformance tests' to say."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from backline.cooperative import WhenImported


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package whose inside is imported by itself, as psycopg2's is."""
    name = "some_driver"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("from some_driver import inside\n")
    (tmp_path / name / "inside.py").write_text("loaded = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = list(sys.meta_path)
    yield name
    sys.meta_path[:] = before
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


def test_called_once_with_the_module_as_it_is_after_its_import(package: str) -> None:
    seen: list[ModuleType] = []

    def then(module: ModuleType) -> None:
        assert module.loaded
        seen.append(module)

    finder = WhenImported("some_driver.inside", then)
    sys.meta_path.insert(0, finder)
    importlib.import_module(package)
    assert seen == [sys.modules["some_driver.inside"]]
    assert finder not in sys.meta_path
    importlib.reload(seen[0])
    assert len(seen) == 1


def test_a_module_that_is_not_there_stays_missing() -> None:
    finder = WhenImported("no_such_driver", lambda module: None)
    sys.meta_path.insert(0, finder)
    with pytest.raises(ModuleNotFoundError, match="no_such_driver"):
        importlib.import_module("no_such_driver")
    assert finder not in sys.meta_path


def test_other_modules_are_not_touched(package: str) -> None:
    seen: list[ModuleType] = []
    sys.meta_path.insert(0, WhenImported("something.else", seen.append))
    importlib.import_module(package)
    assert seen == []
