"""backline.layer: the groups of one worker process, and its refusal to be taken for more."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack

from harness import Server
from sockets import connect, refused

LAYER = {"LAYER": "backline.layer.BacklineChannelLayer"}
SITE = {"Origin": "http://testserver"}


def test_groups_of_one_worker(serve: Callable[..., Server]) -> None:
    server = serve("asgi_channels:app", "--workers", "1", env=LAYER)
    with ExitStack() as stack:
        sockets = [stack.enter_context(connect(server, "/room/layer", SITE)) for _ in range(3)]
        sockets[0].send('{"text": "hello"}')
        assert [json.loads(socket.message()) for socket in sockets] == [{"text": "hello"}] * 3
        assert server.get("/announce/layer?text=from+a+view").text == "announced"
        assert [json.loads(socket.message()) for socket in sockets] == [{"text": "from a view"}] * 3


def test_two_workers_are_refused(serve: Callable[..., Server]) -> None:
    server = serve("asgi_channels:app", "--workers", "2", env=LAYER)
    assert refused(server, "/room/layer", SITE).status == 500
    server.wait_for("this process is one of 2 workers; serve with --workers 1")
