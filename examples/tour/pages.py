"""The tour's pages. Each is one document with its style and script inside, made from the files in templates/."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from services import Visit

FOLDER = Path(__file__).parent / "templates"


def read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


BASE = Template(read("base.html"))
INDEX = Template(read("index.html"))
UPLOAD = Template(read("upload.html"))
CHAT = Template(read("chat.html"))
SERVICES = Template(read("services.html"))
TALK = Template(read("talk.html"))
RELOAD = Template(read("reload.html"))
STYLE, SCRIPT = read("style.css"), read("script.js")
TALK_SCRIPT, RELOAD_SCRIPT = SCRIPT + read("talk.js"), SCRIPT + read("reload.js")


def index(environ: dict[str, Any], worker: dict[str, Any]) -> str:
    body = INDEX.substitute(
        escaped(worker),
        root=root(environ),
        upload=UPLOAD.substitute(root=root(environ)),
        host=escape(f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST') or environ['SERVER_NAME']}")
        + root(environ),
        server=escape(environ.get("SERVER_SOFTWARE") or "the server"),
    )
    return document(environ, "A tour of Backline", body, SCRIPT)


def upload_form(environ: dict[str, Any]) -> str:
    body = f"<h1>Upload</h1><section>{UPLOAD.substitute(root=root(environ))}</section>{back(environ)}"
    return document(environ, "Upload", body, SCRIPT)


def uploaded(environ: dict[str, Any], result: dict[str, Any]) -> str:
    body = f"""<h1>{result["bytes"]:,} bytes</h1>
<p>That is the whole body of the request; a form adds a few lines around the file. Thread {escape(result["thread"])} of
process {result["process"]} read them in {result["seconds"] * 1000:.1f} ms. If that seems too quick for your connection:
the server had collected them before it called the application.</p>{back(environ)}"""
    return document(environ, "Uploaded", body)


def chat(environ: dict[str, Any]) -> str:
    return document(environ, "Chat", CHAT.substitute(root=root(environ)), SCRIPT)


def talk(environ: dict[str, Any]) -> str:
    return document(environ, "One room, three ways in", TALK.substitute(root=root(environ)), TALK_SCRIPT)


def reload(environ: dict[str, Any], server: int, now: float) -> str:
    body = RELOAD.substitute(root=root(environ), server=server, now=now)
    return document(environ, "A reload, seen from a socket", body, RELOAD_SCRIPT)


def services(environ: dict[str, Any], slow: list[Visit], fast: list[Visit]) -> str:
    span = max(visit.ended for visit in slow + fast)
    body = SERVICES.substitute(
        root=root(environ),
        slow=f"{max(visit.ended for visit in slow):.2f}",
        fast=f"{max(visit.ended for visit in fast):.2f}",
        slow_picture=timeline("One by one", slow, span),
        fast_picture=timeline("All at once", fast, span),
    )
    return document(environ, "Four services", body)


def timeline(title: str, visits: list[Visit], span: float) -> str:
    """A bar for each visit from when it began to when it ended. Both pictures of the page have one scale, or the bars
    of one could not be compared with those of the other."""
    bars = []
    for row, visit in enumerate(visits):
        left, right = (100 * moment / max(span, 0.001) for moment in (visit.begun, visit.ended))
        bars.append(
            f"""<rect class=lane y="{30 * row}" width="100%" height=26 rx=4 />
<rect x="{left:.2f}%" y="{30 * row}" width="{max(0.3, right - left):.2f}%" height=26 rx=4 />"""
        )
    names = "".join(
        f"<tr><th scope=row>{visit.name}</th><td>{1000 * visit.begun:.0f} to {1000 * visit.ended:.0f} ms</td>"
        f"<td>{escape(visit.thread)}</td></tr>"
        for visit in visits
    )
    label = "; ".join(f"{visit.name} {1000 * visit.begun:.0f} to {1000 * visit.ended:.0f} ms" for visit in visits)
    return f"""<div class=visits><table>{names}</table>
<svg role=img aria-label="{title}: {label}" height="{30 * len(visits)}">{"".join(bars)}</svg></div>"""


def request(environ: dict[str, Any], worker: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><th scope=row>{escape(key)}</th><td>{escape(value if isinstance(value, str) else repr(value))}</td></tr>"
        for key, value in sorted(environ.items())
        # Some servers put their whole environment here, which may hold secrets.
        if os.environ.get(key) != value
    )
    body = f"""<h1>Your request</h1>
<p>This is the <code>environ</code> that thread {escape(worker["thread"])} of process {worker["process"]} was called
with. <a href="{root(environ)}/request?colour=blue&amp;word=caf%C3%A9">Ask with a query</a> and look for
<code>QUERY_STRING</code>.</p>
<div class=scroll><table>{rows}</table></div>{back(environ)}"""
    return document(environ, "Your request", body)


def not_found(environ: dict[str, Any]) -> str:
    body = f"<h1>Not found</h1><p>There is no page at <code>{shown_path(environ)}</code>.</p>{back(environ)}"
    return document(environ, "Not found", body)


def not_allowed(environ: dict[str, Any], methods: str) -> str:
    body = f"""<h1>Method not allowed</h1><p><code>{shown_path(environ)}</code> answers to {methods}, not to
<code>{escape(environ["REQUEST_METHOD"])}</code>.</p>{back(environ)}"""
    return document(environ, "Method not allowed", body)


def document(environ: dict[str, Any], title: str, body: str, script: str = "") -> str:
    return BASE.substitute(
        title=escape(title), style=STYLE, body=body, script=f"<script>\n{script}</script>" if script else ""
    )


def back(environ: dict[str, Any]) -> str:
    return f'<p><a href="{root(environ)}/">Back to the tour</a></p>'


def root(environ: dict[str, Any]) -> str:
    """Where the application is mounted, for links: empty, or "/prefix"."""
    return escape(text(environ.get("SCRIPT_NAME", "")))


def shown_path(environ: dict[str, Any]) -> str:
    return escape(text(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")))


def text(value: str) -> str:
    """Undo PEP 3333's latin-1: paths are bytes in the guise of str, and nearly always UTF-8."""
    return value.encode("latin-1").decode("utf-8", "replace")


def escaped(values: dict[str, Any]) -> dict[str, str]:
    return {key: escape(str(value)) for key, value in values.items()}
