"""What the parts that applications import may know of the worker process around them.

worker.py fills this in before it imports the application. In a script, a shell or a test nobody does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .control import Control

control: Control | None = None  # through which functions are offloaded; None also in a process that computes
connection: Control | None = None  # the same, in every worker
up = False  # the server reads what the control connection carries
settings: dict[str, Any] | None = None  # of the welcome; None outside a worker
embedded = False  # the worker is a thread of a process that goes on without it (testing.py)
begun: int | None = None  # the descriptor of begun.py's memory, where it is not the usual one


def server_gone() -> None:
    """Nobody will ever ask for anything again, and what still runs runs for nobody: end the process, unless it is more
    than a worker. Then the caller ends what it does."""
    if not embedded:
        os._exit(1)
