"""How a test lets an application go on that waits for it."""

from __future__ import annotations

import os
from pathlib import Path


class Gate:
    """A named pipe that the application opens and reads one byte from, once for every step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)

    def __str__(self) -> str:
        return f"gate={self.path}"

    def open(self) -> None:
        """Blocks until the application is at the gate."""
        self.path.write_bytes(b"x")
