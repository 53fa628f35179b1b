"""The ways in which a worker runs WSGI, for tests that hold for all of them."""

from __future__ import annotations

import pytest

GEVENT = ("--worker-class", "gevent")

# Parameters of a fixture: the flags of a server.
WSGI_LOOPS = [
    pytest.param(("--threads", "8"), id="threads8"),
    pytest.param(("--threads", "1"), id="threads1"),
    pytest.param(GEVENT, id="gevent"),
]
