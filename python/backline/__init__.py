"""The Python half of Backline: worker processes that run WSGI and ASGI applications for the server.

What applications import from here is loaded when it is first asked for: a worker that uses none of it starts without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .job import OffloadError as OffloadError
    from .offloading import ComputeBusy as ComputeBusy
    from .offloading import aoffload as aoffload
    from .offloading import offload as offload
    from .parallel import Handle as Handle
    from .parallel import Unfinished as Unfinished
    from .parallel import agather as agather
    from .parallel import gather as gather
    from .parallel import spawn as spawn

# The server reads this line from the package it carries, and both ends compare it in their hello.
__version__ = "0.1.0"

_WHERE = {
    **dict.fromkeys(("Handle", "Unfinished", "agather", "gather", "spawn"), "parallel"),
    **dict.fromkeys(("ComputeBusy", "aoffload", "offload"), "offloading"),
    "OffloadError": "job",
}


def __getattr__(name: str) -> Any:
    module = _WHERE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
