"""How far a command is: a line on standard error and, in a job, a file for whoever watches it."""

from __future__ import annotations

import sys
import time

from engine.errors import Cancelled
from engine.jobs import progress

EVERY = 10.0
"""Seconds between two lines where standard error is no terminal."""


class Progress:
    """Called with what is done and the total: a line rewritten in place on a terminal, one every ten seconds elsewhere.

    Raises Cancelled where the job has been asked to stop and there is something left to do.

    Args:
        what: what is being done, first in the line.
        units: what is counted.
    """

    def __init__(self, what: str, units: str) -> None:
        self._what, self._units = what, units
        self._begun = self._spoken = time.monotonic()
        self._day = time.time()

    def __call__(self, done: int, total: int) -> None:
        progress.report(done, total, self._units, began=self._day)
        if done < total and progress.stop_requested():
            raise Cancelled("Stopped.")
        now = time.monotonic()
        terminal = sys.stderr.isatty()
        if not done or (not terminal and now - self._spoken < EVERY):
            return
        self._spoken = now
        left = (now - self._begun) / done * (total - done)
        line = f"{self._what}: {done} of {total} {self._units}, {left:.0f} s left"
        end = "" if terminal and done < total else "\n"
        print(f"\r{line}   " if terminal else line, end=end, file=sys.stderr, flush=True)
