"""The worker package as a script imports it that is no worker."""

from __future__ import annotations

import sys

from harness import ROOT

sys.path.insert(0, str(ROOT / "python"))
# The package is embedded as it lies there: nothing compiled may come into its folder.
sys.pycache_prefix = sys.pycache_prefix or str(ROOT / "build" / "pycache")

from backline import channels, connection, layer, sockets, testing, wire  # noqa: E402

__all__ = ["channels", "connection", "fresh", "layer", "sockets", "testing", "wire"]


def fresh() -> None:
    """As if the process had not had channels yet."""
    line, connection._line = connection._line, None
    if isinstance(line, connection.SocketLine):
        line.session._groups.clear()
        line.session._boxes.clear()
        line.close()
