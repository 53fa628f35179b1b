"""The interpreters that real applications are tested on: BACKLINE_PYTHONS, or the one that runs the tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PROJECTS = HERE / "projects"

PYTHONS = os.environ.get("BACKLINE_PYTHONS", sys.executable).split(":")

# Named by their virtual environment's folder: ".venv", "3.10".
on_every_python = pytest.mark.parametrize(
    "python", [pytest.param(path, id=Path(path).parent.parent.name) for path in PYTHONS], scope="module"
)
