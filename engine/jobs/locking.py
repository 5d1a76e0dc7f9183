"""A lock between processes: a file that the operating system gives back when its holder dies.

The lock is the system's (flock; on Windows a locked byte), never the mere presence of the file. It also excludes
threads of one process from each other. It does not outlive its holder and is not inherited by the holder's children.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine import paths


class Lock:
    """Held from ``take`` to ``release``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self, *, wait: bool) -> bool:
        """Take it, and say whether that succeeded; with ``wait``, whenever the holder lets go. Raises OSError."""
        paths.ensure(self._path.parent)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor, wait)
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let go. Doing so again does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """The lock at ``path`` for the block, after whoever holds it now. Raises OSError where it cannot be had."""
    lock = Lock(path)
    while not lock.take(wait=True):
        pass  # Windows gives up after ten seconds of waiting
    try:
        yield
    finally:
        lock.release()


def _lock(descriptor: int, wait: bool) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
