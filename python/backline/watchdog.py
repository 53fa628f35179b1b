"""Sees from outside that an event loop does not turn: the application holds it, in a call that blocks or computes.

A loop that waits in its selector must not be woken for that, nor counted as stuck. So it is only watched while it may
be busy: a loop says when it has got something to do (``if not watch.armed: watch.arm()``, once for each packet), and
after a second in which it neither turned nor held a request the watch sleeps. While it watches, it looks at two things
that cost the loop nothing: a number that grows with the packets it answers, and the frame in which its thread is. Only
when the number stands and the frame is not where loops wait is the loop asked, by a callback, to let the number grow;
what does not for the threshold is stuck.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import monotonic
from typing import Final

from .stacks import Loop, frames_of, lines_of, running_stream, text_of, theirs, waits

LOOKS: Final = 4  # in the time of the threshold
QUIET: Final = 1.0  # seconds after which the watch sleeps


class Watch:
    """Watches one loop for whoever calls look() every ``interval`` seconds while it is ``armed``."""

    def __init__(
        self, loop: Loop, threshold: float, wake: Callable[[], None], tell: Callable[[int | None, float, str], None]
    ) -> None:
        self.armed = False
        self.interval = threshold / LOOKS
        self._loop = loop
        self._threshold = threshold
        self._wake = wake
        self._tell = tell
        self._seen = -1
        self._held: float | None = None  # since when the loop has been asked to turn, and has not
        self._told = False
        self._quiet = 0.0  # since when there was nothing to see

    def arm(self) -> None:
        """The loop has got something to do. From any thread."""
        self.armed = True
        self._wake()

    def look(self) -> None:
        """Is it still in the same turn?"""
        now, turns = monotonic(), self._loop.turns()
        if turns != self._seen:
            self._seen, self._held, self._told, self._quiet = turns, None, False, now
            return
        frame = sys._current_frames().get(self._loop.thread)
        if frame is None or waits(frame):
            self._held, self._told = None, False
            if now - self._quiet > QUIET and not self._loop.requests():
                self._sleep(turns)
        elif self._held is None:
            self._held = now
            self._loop.poke()
        elif now - self._held >= self._threshold and not self._told and self._loop.turns() == turns:
            self._told = True
            lines = lines_of(frames_of(self._loop.thread))
            self._tell(running_stream(self._loop), now - self._held, text_of(theirs(lines) or lines))

    def _sleep(self, turns: int) -> None:
        self.armed = False
        if self._loop.turns() != turns:
            self.armed = True  # it relied on the watch a moment ago


class Nothing:
    """What a loop gets that is not watched."""

    armed = True

    def arm(self) -> None:
        """Never called."""
