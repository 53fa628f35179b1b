"""Answers in every shape: lists, generators, write(), files, wrong lengths, statuses without a body."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

from wsgi_routes import Closing, Environ, Routes, argument, passed, text

routes = Routes()


@routes.at("/")
def hello(environ: Environ, start_response: Any) -> Iterable[bytes]:
    text(start_response)
    return [b"hello"]


@routes.at("/list")
def as_list(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """``n`` pieces in a list."""
    text(start_response)
    return [b"piece"] * int(argument(environ, "n"))


@routes.at("/tuple")
def as_tuple(environ: Environ, start_response: Any) -> Iterable[bytes]:
    text(start_response)
    return (b"tuple",)


class OneItem:
    """Neither list nor tuple, but it has a length."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[bytes]:
        yield b"one item"


@routes.at("/sized")
def sized(environ: Environ, start_response: Any) -> Iterable[bytes]:
    text(start_response)
    return OneItem()


@routes.at("/bytearray")
def as_bytearray(environ: Environ, start_response: Any) -> Iterable[bytes]:
    text(start_response)
    return [bytearray(b"array")] if argument(environ, "one") else iter([bytearray(b"array "), memoryview(b"view")])


@routes.at("/str")
def as_str(environ: Environ, start_response: Any) -> Iterable[Any]:
    text(start_response)
    return ["text"]


@routes.at("/steps")
def steps(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Each piece is made when the test says so."""
    text(start_response, "200 OK", ("X-Accel-Buffering", "no"))

    def pieces() -> Iterator[bytes]:
        for n in range(int(argument(environ, "n"))):
            yield b"step %d" % n
            passed(environ)

    return Closing(pieces(), environ)


@routes.at("/empty-first")
def empty_first(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Empty pieces emit nothing, so the head may still be replaced."""
    text(start_response)
    yield b""
    passed(environ)
    yield b"a"
    yield b""
    yield b"b"
    yield b""


@routes.at("/write")
def by_write(environ: Environ, start_response: Any) -> Iterable[bytes]:
    write = text(start_response)
    write(b"written ")
    if argument(environ, "gate"):
        passed(environ)
    write(b"twice ")
    return [b"and returned"]


@routes.at("/length")
def length(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Promise ``promise`` bytes, send ``n`` in two pieces."""
    text(start_response, "200 OK", ("Content-Length", argument(environ, "promise")))
    n = int(argument(environ, "n"))
    return Closing([b"x" * (n // 2), b"x" * (n - n // 2)], environ)


@routes.at("/length-list")
def length_list(environ: Environ, start_response: Any) -> Iterable[bytes]:
    text(start_response, "200 OK", ("Content-Length", argument(environ, "promise")))
    return [b"x" * int(argument(environ, "n"))]


@routes.at("/status")
def status(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """A body where there may be none."""
    code, how = argument(environ, "code"), argument(environ, "how", "list")
    length = [("Content-Length", "4")] if argument(environ, "length") else []
    start_response(f"{code} As Asked", [("X-Code", code), *length])
    return {"list": [b"body"], "none": [], "generator": iter([b"bo", b"dy"])}[how]


@routes.at("/closing")
def closing(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Says when it is closed; ``how`` is what happens before."""
    how = argument(environ, "how")
    if how != "unstarted":
        text(start_response)

    def pieces() -> Iterator[bytes]:
        if how == "fails-first":
            raise RuntimeError("first")
        yield b"one"
        if how == "fails-late":
            raise RuntimeError("late")
        if how == "str":
            yield "text"  # type: ignore[misc]
        yield b"two"

    return Closing(pieces(), environ)


@routes.at("/endless")
def endless(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Never ends by itself."""
    text(start_response)

    def pieces() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    return Closing(pieces(), environ)


@routes.at("/endless-write")
def endless_write(environ: Environ, start_response: Any) -> Iterable[bytes]:
    write = text(start_response)
    try:
        while True:
            write(b"x" * 65536)
    except OSError as error:
        print(f"write raised {type(error).__name__}, an OSError", flush=True)
        raise


@routes.at("/large")
def large(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """``n`` numbered blocks of 16 KiB: the test sees what is lost or in another order."""
    text(start_response)

    def pieces() -> Iterator[bytes]:
        for n in range(int(argument(environ, "n"))):
            yield b"%08d" % n * 2048
        print(f"all {argument(environ, 'token')} made", flush=True)

    return Closing(pieces(), environ)


@routes.at("/file")
def file(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """A real file by wsgi.file_wrapper, from ``at``; ``how`` says what is done with the wrapper."""
    how = argument(environ, "how")
    if how == "memory":
        opened: Any = io.BytesIO(b"0123456789" * 20_000)
    else:
        opened = tempfile.TemporaryFile()  # noqa: SIM115 - the wrapper closes it
        opened.write(b"0123456789" * 20_000)
    opened.seek(int(argument(environ, "at", "0")))
    text(start_response)
    real, token = opened.close, argument(environ, "token")

    def close() -> None:
        print(f"file {token} closed", flush=True)
        real()

    opened = Named(opened, close)
    wrapper = environ["wsgi.file_wrapper"](opened, 4096)
    if how == "upper":
        return Closing((block.replace(b"0", b"z") for block in wrapper), environ)
    return wrapper  # type: ignore[no-any-return]


class Named:
    """A file whose ``close`` is somebody else's, as Django's FileResponse has it."""

    def __init__(self, opened: Any, close: Any) -> None:
        self.read, self.fileno, self.close = opened.read, getattr(opened, "fileno", None), close


@routes.at("/hints")
def hints(environ: Environ, start_response: Any) -> Iterable[bytes]:
    environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload; as=style")])
    text(start_response)
    return [b"hinted"]


@routes.at("/fields")
def fields(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Fields of the application's own for what the server usually writes."""
    own = ("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("Server", "mine"), ("Connection", "close")
    text(start_response, "200 OK", *own)
    return [b"mine"]


@routes.at("/cookies")
def cookies(environ: Environ, start_response: Any) -> Iterable[bytes]:
    text(start_response, "200 OK", ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Empty", ""), ("X-Latin", "größe"))
    return [b""]


app = validator(routes)
raw = routes
