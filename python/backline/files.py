"""Which file an application sends through ``wsgi.file_wrapper``, where the server can send it by itself."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Sequence
from typing import Any


def locate(filelike: Any, roots: Sequence[str]) -> tuple[bytes, int] | None:
    """The path under which the server finds the file that reading ``filelike`` reads, and the byte to begin with.

    None where it has to be read here: what decompresses or makes up its content while it is read, what has no name (any
    more), and what lies outside of ``roots`` where there are any.
    """
    # The object whose method really is called, because Django's File and others only pass read() on. Exact types: a
    # subclass may read something else than what is in the file, and GzipFile has a fileno() too.
    reader: Any = getattr(getattr(filelike, "read", None), "__self__", None)
    raw = reader.raw if type(reader) is io.BufferedReader else reader
    if type(raw) is not io.FileIO or not isinstance(raw.name, (str, bytes)):
        return None
    path = os.fsencode(raw.name)
    try:
        path = _inside(path, roots) if roots else os.path.abspath(path)
        named, opened = os.stat(path), os.fstat(raw.fileno())
        if not stat.S_ISREG(opened.st_mode) or not os.path.samestat(named, opened):
            return None
        return path, reader.tell()  # the descriptor itself stands further on, at the end of what is buffered
    except (OSError, ValueError):
        return None


def _inside(path: bytes, roots: Sequence[str]) -> bytes:
    """The path without symbolic links, below one of the roots."""
    real = os.path.realpath(path)
    for root in roots:
        if real.startswith(os.path.join(os.path.realpath(os.fsencode(root)), b"")):
            return real
    raise ValueError("the file is not below a root")


class FileWrapper:
    """``wsgi.file_wrapper``: a file as an iterable of blocks from where it stands; its ``close`` closes the file."""

    def __init__(self, filelike: Any, block_size: int = 65536) -> None:
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> FileWrapper:
        return self

    def __next__(self) -> bytes:
        block: bytes = self.filelike.read(self.block_size)
        if not block:
            raise StopIteration
        return block
