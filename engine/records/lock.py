"""One process for one data folder: a lock file that the operating system gives back when its owner dies.

The lock is the system's (flock, on Windows a locked byte), never the mere presence of the file, so that a lock left by
a crash does not exist. The file holds the owner's process id for the message to the second. It says nothing about
threads of one process.
"""

from __future__ import annotations

import os
import sys
import weakref
from pathlib import Path

from engine.errors import RecordsError

_BYTE = 1 << 20  # the byte locked on Windows: far behind the process id, which others must be able to read


class FolderLock:
    """Held from construction to ``release``. Raises RecordsError if another process (or object) holds it."""

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = None
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise RecordsError(
                "The data folder cannot be written to. Choose another folder with INTERVAL_HOME or change its rights."
            ) from error
        try:
            _take(descriptor)
        except OSError as error:
            os.lseek(descriptor, 0, os.SEEK_SET)
            owner = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise RecordsError(
                f"This data folder is already in use by another Interval (process {owner or 'unknown'}). "
                "Use that window, or close it first."
            ) from error
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor
        self._owner = os.getpid()
        if hasattr(os, "register_at_fork"):
            # A forked child shares the lock and would keep it after its parent's death.
            os.register_at_fork(after_in_child=_Dropper(self))

    def release(self) -> None:
        """Give the folder back. Calling it again does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        if os.getpid() == self._owner:
            _give_back(descriptor)  # for all who share it: a child that has just been forked may not have closed it yet
        os.close(descriptor)


class _Dropper:
    """Closes the lock's descriptor in a forked child, without keeping the lock alive in the parent."""

    def __init__(self, lock: FolderLock) -> None:
        self._lock = weakref.ref(lock)

    def __call__(self) -> None:
        if (lock := self._lock()) is not None:
            lock.release()


def _take(descriptor: int) -> None:
    """Lock ``descriptor`` at once or raise OSError."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _give_back(descriptor: int) -> None:
    """Undo ``_take``."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)
