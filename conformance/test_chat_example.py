"""examples/chat: the page, and people who talk while workers come and go."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

from harness import ROOT, Server, eventually
from processes import children
from sockets import Socket, connect, refused


def heard(socket: Socket) -> Any:
    return json.loads(socket.message())


def test_people_talk_while_workers_come_and_go(serve: Callable[..., Server]) -> None:
    server = serve(
        "page:app", "--websocket", "live:chat", "--chdir", str(ROOT / "examples" / "chat"), "--workers", "1", cwd=ROOT
    )
    assert "new WebSocket(" in server.get("/").text
    assert refused(server, "/chat/lobby").status == 400
    with connect(server, "/chat/lobby?name=ada") as ada:
        assert heard(ada) == {"by": "", "text": "ada has come"}
        with connect(server, "/chat/lobby?name=bob") as bob:
            assert heard(ada) == heard(bob) == {"by": "", "text": "bob has come"}
            before = set(children(server))
            server.signal(signal.SIGHUP)
            eventually(lambda: not before & set(children(server)), "all workers are new")
            bob.send("still here")
            assert heard(ada) == heard(bob) == {"by": "bob", "text": "still here"}
        assert heard(ada) == {"by": "", "text": "bob has gone"}
