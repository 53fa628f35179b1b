"""Fixtures: servers that several tests share, one for each application and set of flags."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from browser import Browser
from harness import Server


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "load: takes long and wants the machine for itself; `-m 'not load'` leaves it out"
    )


@pytest.fixture(scope="session")
def shared() -> Iterator[Callable[..., Server]]:
    """``shared("module:app", "--threads", "4")``: started when first asked for, stopped after the last test."""
    running: dict[tuple[str, ...], Server] = {}

    def start(app: str, *flags: str) -> Server:
        key = (app, *flags)
        if key not in running or running[key].process.poll() is not None:
            # They live to the end, and as many as a folder's names for control sockets would leave none for others.
            running[key] = Server(app, *flags, env={"BACKLINE_CONTROL_SOCKET": "off"})
        return running[key]

    yield start
    for server in running.values():
        server.kill()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Like Server(...), stopped at the end of the test."""
    running: list[Server] = []

    def start(*args: object, **kwargs: object) -> Server:
        server = Server(*args, **kwargs)  # type: ignore[arg-type]
        running.append(server)
        return server

    yield start
    for server in running:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser, for the tests of one file."""
    with Browser() as chromium:
        yield chromium
