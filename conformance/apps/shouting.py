"""A WSGI application that has examples/go-worker say things louder, over its channel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from backline import channels


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    mine = channels.new_channel()
    text = environ["wsgi.input"].read().decode()
    channels.send("go.lines", {"text": text, "reply": mine})
    answer = channels.receive(mine, timeout=10)
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{answer['text']} by {answer['by']}".encode()]
