"""How a test lets an application go on that waits for it."""

from __future__ import annotations

import os
from pathlib import Path

from harness import eventually


class Gate:
    """A named pipe that the application opens and reads one byte from, once for every step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)

    def __str__(self) -> str:
        return f"gate={self.path}"

    def open(self) -> None:
        """Wait until the application is at the gate and let it through, once."""
        eventually(self.pass_one, "the application is at the gate")

    def pass_one(self) -> bool:
        """Let the application through if it is at the gate."""
        try:
            pipe = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # ENXIO: nobody has it open for reading
            return False
        os.write(pipe, b"x")
        os.close(pipe)
        return True
