"""Which requests the application has been called with, written where kill -9 does not reach.

The server shares this memory: a byte for each stream number, set to 1 before the application is called with that
stream's request. When this process dies, requests without a mark go to another worker, whatever their method. From an
event loop that does not turn, the server takes requests back: it marks them 2, and they are to be skipped
(wire/begun.go).
"""

from __future__ import annotations

import mmap
import os
from typing import Final

from . import host

BEGUN_FD: Final = 5
STREAMS: Final = 1 << 16
TAKEN: Final = 2
MASK: Final = STREAMS - 1  # a stream that has no byte of its own sets another's, which errs on the safe side


def nowhere() -> memoryview:
    """Marks that nobody reads."""
    return memoryview(bytearray(STREAMS))


def shared() -> memoryview:
    """The memory that came with this process; nowhere() if none did."""
    descriptor = BEGUN_FD if host.begun is None else host.begun
    try:
        # The size tells it from a file that happens to have the number.
        if os.fstat(descriptor).st_size != STREAMS + 1:
            return nowhere()
        memory = memoryview(mmap.mmap(descriptor, STREAMS + 1))
    except OSError:
        return nowhere()
    os.set_inheritable(descriptor, False)
    memory[STREAMS] = 1  # from now on the server may rely on it
    return memory
