"""Which files the server may send for wsgi.file_wrapper: exactly those whose bytes reading them would give."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from backline.files import locate

CONTENT = bytes(range(256)) * 100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "file.bin"
    file.write_bytes(CONTENT)
    return file


class Proxy:
    """As Django's File does it: the methods of another file."""

    def __init__(self, file: Any) -> None:
        self.file = file

    @property
    def read(self) -> Any:
        return self.file.read


class Upper(io.BufferedReader):
    """Reads something else than what is in the file."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size).upper()


class Scrambled(io.FileIO):
    """The same, one layer below."""


def test_a_buffered_file_from_its_beginning(path: Path) -> None:
    with path.open("rb") as file:
        assert locate(file, ()) == (os.fsencode(path), 0)
        assert locate(Proxy(file), ()) == (os.fsencode(path), 0)


def test_an_unbuffered_file(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        file.seek(7)
        assert locate(file, ()) == (os.fsencode(path), 7)


def test_from_where_it_stands_not_from_what_is_buffered(path: Path) -> None:
    with path.open("rb") as file:
        file.read(5)
        assert locate(file, ()) == (os.fsencode(path), 5)
        file.seek(0, os.SEEK_END)
        assert locate(file, ()) == (os.fsencode(path), len(CONTENT))


def test_a_relative_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    with open(path.name, "rb") as file:
        assert locate(file, ()) == (os.fsencode(path), 0)
        monkeypatch.chdir("/")
        assert locate(file, ()) is None


def test_a_name_of_bytes_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff"
    with open(name, "wb") as written:
        written.write(CONTENT)
    for spelled in (name, os.fsdecode(name)):
        with open(spelled, "rb") as file:
            assert locate(file, ()) == (name, 0)


def test_what_is_not_what_the_name_leads_to(path: Path) -> None:
    with path.open("rb") as file:
        path.rename(path.with_name("moved"))
        assert locate(file, ()) is None
        path.write_bytes(b"another")
        assert locate(file, ()) is None


@pytest.mark.parametrize("content", [CONTENT, b""])
def test_what_has_to_be_read_here(path: Path, content: bytes) -> None:
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(content))
    with (
        gzip.open(packed) as unpacked,
        io.BufferedReader(gzip.GzipFile(packed)) as twice,
        Upper(io.FileIO(path)) as upper,
        io.BufferedReader(Scrambled(path)) as scrambled,
        path.open("r+b") as writable,
        path.open(encoding="latin-1") as text,
        tempfile.TemporaryFile() as nameless,
        open(os.open(path, os.O_RDONLY), "rb") as numbered,
    ):
        for file in (unpacked, twice, upper, scrambled, writable, text, nameless, numbered, io.BytesIO(content), None):
            assert locate(file, ()) is None, file


def test_a_closed_file(path: Path) -> None:
    file = path.open("rb")
    file.close()
    assert locate(file, ()) is None


def test_no_regular_file() -> None:
    with open("/dev/null", "rb") as file:
        assert locate(file, ()) is None


def test_roots(path: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    inside = tmp_path / "in" / "file"
    inside.write_bytes(CONTENT)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "in")
    for root in (tmp_path / "in", link):
        for name in (inside, link / "file", tmp_path / "in" / ".." / "in" / "file"):
            with name.open("rb") as file:
                assert locate(file, [str(root)]) == (os.fsencode(os.path.realpath(inside)), 0)
        with path.open("rb") as file:
            assert locate(file, [str(root)]) is None
            assert locate(file, [str(root), str(tmp_path)]) is not None
    (tmp_path / "in" / "out").symlink_to(path)
    with (tmp_path / "in" / "out").open("rb") as file:
        assert locate(file, [str(tmp_path / "in")]) is None
    namesake = tmp_path / "inside"
    namesake.write_bytes(CONTENT)
    with namesake.open("rb") as file:
        assert locate(file, [str(tmp_path / "in")]) is None
