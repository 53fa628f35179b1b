"""Many clients at once."""

from __future__ import annotations

import resource

from harness import Client, Server
from sockets import Socket, ask

BATCH = 500  # handshakes that are under way at once: as many as wait to be accepted on a usual machine
OFFER = {"Sec-WebSocket-Extensions": "permessage-deflate"}
LONG = "is worth compressing " * 20


def allow(descriptors: int) -> None:
    """Raises the limit of this process where it is lower; the server and others that it starts inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == resource.RLIM_INFINITY or hard >= descriptors, f"ulimit -Hn is {hard}; this test wants {descriptors}"
    if soft != resource.RLIM_INFINITY and soft < descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))


def open_many(server: Server, number: int, target: str, headers: dict[str, str], said: str = "") -> list[Socket]:
    """WebSockets that are open, each of which has said something and has had an answer where ``said`` is not empty."""
    found: list[Socket] = []
    while len(found) < number:
        batch: list[Client] = [server.connect() for _ in range(min(BATCH, number - len(found)))]
        for client in batch:
            ask(client, target, headers)
        for client in batch:
            answer = client.head()
            assert answer.status == 101, (answer, server.log)
            found.append(Socket(client, answer))
            if said:
                found[-1].send(said)
        for socket in found[-len(batch) :] if said else ():
            size = len(socket.next_frame().payload)
            assert headers is not OFFER or size < len(said) / 2, "it is not compressed"
    return found
