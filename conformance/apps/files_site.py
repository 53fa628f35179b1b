"""WSGI: names files in every way there is. ``FILES`` is the folder that they lie in."""

import io
import os
import threading
from pathlib import Path

FILES = Path(os.environ.get("FILES", "."))


class Proxy:
    """A file of a framework's own, which passes everything on."""

    def __init__(self, file):
        self.file = file

    def __getattr__(self, name):
        return getattr(self.file, name)


class Removing:
    """Takes a file away when the answer is closed, as ``call_on_close`` of Flask is used for."""

    def __init__(self, path):
        self.path = path
        self.file = path.open("rb")
        self.read = self.file.read

    def close(self):
        self.file.close()
        self.path.unlink()
        print(f"removed {self.path.name}", flush=True)


def opened(how, name):
    if how == "plain":
        return (FILES / name).open("rb")
    if how == "proxy":
        return Proxy((FILES / name).open("rb"))
    if how == "unbuffered":
        return (FILES / name).open("rb", buffering=0)
    if how == "relative":
        return open(os.path.relpath(FILES / name), "rb")
    if how == "further":
        file = (FILES / name).open("rb")
        file.read(5)
        return file
    if how == "gone":
        file = (FILES / name).open("rb")
        (FILES / name).unlink()
        return file
    if how == "removing":
        return Removing(FILES / name)
    if how == "memory":
        return io.BytesIO((FILES / name).read_bytes())
    raise KeyError(how)


def app(environ, start_response):
    _, first, *rest = environ["PATH_INFO"].split("/")
    headers = [("Content-Type", "application/x-test")]
    if first == "wrapper":
        start_response("200 OK", headers)
        return environ["wsgi.file_wrapper"](opened(rest[0], rest[1]))
    if first == "short":
        start_response("200 OK", [*headers, ("Content-Length", "4")])
        return environ["wsgi.file_wrapper"](opened("plain", rest[0]))
    if first == "sendfile":
        start_response("200 OK", [("X-Sendfile", str(FILES / "/".join(rest))), ("X-Own", "1"), ("Content-Length", "7")])
        return [b"instead"]
    if first == "stream":
        start_response("200 OK", [("X-Sendfile", str(FILES / rest[0]))])
        return (b"x" * 65536 for _ in range(64))
    if first == "accel":
        start_response("200 OK", [("X-Accel-Redirect", "/" + "/".join(rest)), *headers])
        return [b"instead"]
    if first == "die":
        os._exit(1)
    if first == "wait":
        threading.Event().wait()
    start_response("200 OK", headers)
    return [b"from the application"]
