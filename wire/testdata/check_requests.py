"""Reads requests as JSON lines, each with what the server made of it, and compares that with what the specifications
say, written down here as plainly as can be. Prints what differs."""

from __future__ import annotations

import json
import marshal
import sys
from typing import Any
from urllib.parse import unquote_to_bytes

DROPPED = ("transfer-encoding", "proxy")


def text(value: str) -> bytes:
    return value.encode("latin-1")


def without_root(path: bytes, root: bytes) -> bytes | None:
    if root and (path == root or path.startswith(root + b"/")):
        return path[len(root) :]
    return None


def environ(r: dict[str, Any]) -> dict[str, Any]:
    """PEP 3333, "environ Variables"."""
    path, root = unquote_to_bytes(text(r["path"])), r["root_path"].encode()
    stripped = without_root(path, root)
    found: dict[str, Any] = {
        "REQUEST_METHOD": r["method"],
        "SCRIPT_NAME": root.decode("latin-1"),
        "PATH_INFO": (path if stripped is None else stripped).decode("latin-1"),
        "RAW_URI": r["target"],
        "QUERY_STRING": r["query"],
        "SERVER_PROTOCOL": "HTTP/" + r["version"],
        "wsgi.url_scheme": r["scheme"],
        "SERVER_NAME": r["server"][0],
        "SERVER_PORT": str(r["server"][1]),
        "REMOTE_ADDR": r["client"][0],
    }
    if r["client"][1]:
        found["REMOTE_PORT"] = str(r["client"][1])
    for name, value in r["fields"]:
        if name.lower() in DROPPED:
            continue
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
        glue = "; " if key == "HTTP_COOKIE" else ","
        found[key] = found[key] + glue + value if key in found else value
    if r["length"] >= 0:
        found["CONTENT_LENGTH"] = str(r["length"])
    return found


def scope(r: dict[str, Any]) -> dict[str, Any]:
    """ASGI www 2.1, "HTTP Connection Scope"."""
    path, root = unquote_to_bytes(text(r["path"])), r["root_path"].encode()
    if without_root(path, root) is None:
        path = root + path
    return {
        "method": r["method"],
        "path": path.decode("utf-8"),
        "raw_path": text(r["path"]),
        "query_string": text(r["query"]),
        "root_path": r["root_path"],
        "http_version": r["version"],
        "scheme": r["scheme"],
        "server": tuple(r["server"]),
        "client": tuple(r["client"]),
        "headers": [(text(name.lower()), text(value)) for name, value in r["fields"]],
    }


def defaults(r: dict[str, Any]) -> dict[str, Any]:
    """What a worker begins with."""
    scheme, root, (host, port) = r["default"]["scheme"], r["default"]["root_path"], r["default"]["server"]
    if not r["wsgi"]:
        constants = {"query_string": b"", "http_version": "1.1"}
        return {**constants, "scheme": scheme, "root_path": root, "server": (host, port)}
    constants = {"QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": host, "SERVER_PORT": str(port)}
    return {**constants, "wsgi.url_scheme": scheme, "SCRIPT_NAME": root.encode().decode("latin-1")}


for line in sys.stdin:
    request = json.loads(line)
    kind, stream, entries, body, more = marshal.loads(bytes.fromhex(request["marshal"]))
    got = (kind, stream, defaults(request) | entries, body, more)
    want = environ(request) if request["wsgi"] else scope(request)
    expected = (16, 0, want, bytes.fromhex(request["body"]), request["more"])
    if got != expected:
        print(f"for {line.strip()[:600]}\n got {got}\nwant {expected}")
    for entry, value in entries.items():
        if request["wsgi"] and type(value) is not str:
            print(f"{entry} is a {type(value).__name__}")
