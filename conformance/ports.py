"""Ports for those who have to be told one and cannot inherit a socket."""

from __future__ import annotations

import random
import socket

# Below what systems choose from for connections that go out, of which the tests make many: a port from among those can
# be somebody's by the time that its server is there, and then is not free for a minute.
_RANGE = range(15_000, 32_000)


def free_port() -> int:
    """A port that nobody has, on 127.0.0.1."""
    source = random.SystemRandom()
    while True:
        port = source.choice(_RANGE)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
