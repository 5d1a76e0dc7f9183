"""What SQLite and the operating system complain about, as sentences a person can act on.

One place: every ``sqlite3.Error`` and ``OSError`` of this package becomes an error of ``engine.errors`` here. Paths and
values stay out of the messages; they are in the cause, for the log.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import IntervalError, RecordsError, ResourceError, SignedIsFinal
from engine.records.migrations import SIGNED

SIGNED_SENTENCE = "This report is signed and cannot be changed. Start a new report for the same images instead."
DISK_FULL = "The disk of the data folder is full, so nothing was saved. Free some space and try again."
_DISK_ERROR = "The disk of the data folder is full or failing, so nothing was saved. Check it and try again."
_READ_ONLY = "The data folder cannot be written to, so nothing was saved. Check its rights, then try again."
_DAMAGED = (
    "The history database is damaged, so nothing was changed. Close Interval and put the newest good copy from the "
    "folder 'backups' of the data folder in its place."
)
_BUSY = "Another program is holding the history database. Close it and try again."
_OTHER = "The history database refused the request; nothing was changed. The log file says why."


@contextmanager
def translated() -> Iterator[None]:
    """Turn ``sqlite3.Error`` and ``OSError`` of the block into errors of ``engine.errors``."""
    try:
        yield
    except sqlite3.Error as error:
        raise of_sqlite(error) from error
    except OSError as error:
        raise of_system(error) from error


def of_sqlite(error: sqlite3.Error) -> IntervalError:
    """The error a caller is told for ``error``."""
    if SIGNED in str(error):
        return SignedIsFinal(SIGNED_SENTENCE)
    # Extended result codes keep the primary code in their low byte.
    code = getattr(error, "sqlite_errorcode", None)
    match code & 0xFF if isinstance(code, int) else None:
        case sqlite3.SQLITE_FULL:
            return ResourceError(DISK_FULL)
        case sqlite3.SQLITE_IOERR:
            return ResourceError(_DISK_ERROR)
        case sqlite3.SQLITE_NOMEM:
            return ResourceError("There is not enough memory for the history database. Close other programs.")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return RecordsError(_READ_ONLY)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return RecordsError(_DAMAGED)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return RecordsError(_BUSY)
    return RecordsError(_OTHER)


def of_system(error: OSError) -> IntervalError:
    """The error a caller is told for ``error``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ResourceError(DISK_FULL)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return ResourceError("Too many files are open. Close Interval and start it again.")
    return RecordsError(_READ_ONLY)
