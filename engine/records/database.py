"""The history database as one file: opened with every safeguard, one writer, a few readers, and copies of it.

Settings and why: WAL with synchronous=FULL (what was acknowledged survives a power cut), foreign keys, trusted_schema
off (a doctored file cannot call functions), cell_size_check and quick_check at open (damage is seen, not spread). All
writes go through one connection, behind one lock, in BEGIN IMMEDIATE transactions, from whatever thread. Readers are
opened read-only. The file vanishing while it is in use is an error: SQLite alone would go on writing into nothing.
This module knows no table but the migrations' record.
"""

from __future__ import annotations

import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlite_utils import Database

from engine.errors import NotFound, RecordsError, ResourceError
from engine.records import migrations
from engine.records.faults import of_sqlite, translated
from engine.records.ids import Clock

log = logging.getLogger(__name__)

BUSY_MILLISECONDS = 10_000
MOST_READERS = 4

_LOST = (
    "The history database was removed or replaced while Interval was running, so nothing more can be saved. "
    "Close Interval; everything saved until now is in '{rescued}' in the data folder."
)
_LOST_SIDE = (
    "A part of the history database was removed while Interval was running. Everything saved until now was written "
    "back to it; close Interval and start it again."
)


def connect(path: Path, *, write: bool) -> Database:
    """Open ``path`` with every setting this program relies on. A missing file is made only with ``write``.

    Raises ``sqlite3.Error``; the caller translates. The connection may be used by any thread, by one at a time.
    """
    connection = _opened(path, "mode=rwc" if write else "mode=ro")
    if not write and not _readable(connection):
        # A folder nobody may write to has no room for the index of the log; without a log none is needed.
        connection.close()
        immutable = not path.with_name(path.name + "-wal").exists()
        connection = _opened(path, "mode=ro&immutable=1" if immutable else "mode=ro")
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA cache_size = -16384")
        if write:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            if mode != "wal":
                raise sqlite3.OperationalError(f"write-ahead log not available, journal mode is {mode}")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
        else:
            connection.execute("PRAGMA query_only = ON")
        return Database(connection, execute_plugins=False)
    except BaseException:
        connection.close()
        raise


def _opened(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.resolve().as_uri()}?{how}",
        uri=True,
        timeout=BUSY_MILLISECONDS / 1000,
        isolation_level=None,
        check_same_thread=False,
    )


def _readable(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
    return True


class HistoryFile:
    """The open database. ``writing`` and ``reading`` are the only doors; both raise errors of ``engine.errors``."""

    def __init__(self, path: Path, backups: Path, clock: Clock, *, read_only: bool = False) -> None:
        """Open, check and migrate ``path``; a database with rows is first copied to ``backups``.

        Raises RecordsError for a file that is damaged, newer than this program or not ours, ResourceError for a full
        disk.
        """
        self.path = path
        self.lock = threading.RLock()
        self._backups = backups
        self._clock = clock
        self._readers: queue.LifoQueue[Database] = queue.LifoQueue()
        self._reader_slots = threading.BoundedSemaphore(MOST_READERS)
        self._closed = False
        self._lost = ""
        self._identity: tuple[tuple[int, int] | None, ...] = ()
        if read_only and not path.exists():
            raise NotFound("There is no history in this data folder yet.")
        with translated():
            fresh = not path.exists() or path.stat().st_size == 0
            if not fresh:
                _refuse_foreign(path)
            if fresh and not read_only:
                path.touch(mode=0o600)
            self._db = connect(path, write=not read_only)
        self.read_only = read_only
        try:
            self._prepare(fresh)
            self._identity = self._identities()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, fresh: bool) -> None:
        with translated():
            verdict = "ok" if fresh else self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                log.error("quick_check: %s", verdict)
                raise _corrupt()
            missing = migrations.pending(self._db)
        if not missing:
            return
        if self.read_only:
            raise RecordsError(
                "The history database is of an older version. Start the viewer once to bring it up to date."
            )
        self._migrate(fresh, missing[0])

    def _migrate(self, fresh: bool, first: str) -> None:
        """Bring the tables up to date; a database that already holds any is copied first."""
        kept = None
        if not fresh:
            kept = self._backups / copy_name(f"before-{first}", self._clock())
            self.copy_to(kept)
        try:
            migrations.migrate(self._db)
        except Exception as error:
            reason = of_sqlite(error) if isinstance(error, sqlite3.Error) else None
            if isinstance(reason, ResourceError):
                raise reason from error
            raise RecordsError(
                "The history database could not be brought up to date and was left as it was."
                + (f" A copy is in 'backups/{kept.name}' of the data folder." if kept else "")
            ) from error

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """One transaction of the one writer: committed when the block ends, rolled back if it raises."""
        if self.read_only:
            raise RecordsError("The history was opened for reading only, so nothing was saved.")
        with self.lock:
            self._check_present()
            with translated():
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    self._db.rollback()
                    raise
            self._check_present()

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """A read-only connection with one unchanging view of the database for the length of the block."""
        self._check_present()
        with translated(), self._reader_slots:
            try:
                db = self._readers.get_nowait()
            except queue.Empty:
                db = connect(self.path, write=False)
            try:
                db.execute("BEGIN")
                yield db
            finally:
                db.rollback()
                if self._closed:
                    db.close()
                else:
                    self._readers.put(db)

    def copy_to(self, target: Path) -> None:
        """Write a complete, checked copy of the database to ``target`` while others go on writing.

        Raises RecordsError if ``target`` is the database itself, ResourceError for a full disk; a copy that failed
        leaves nothing behind.
        """
        if target.resolve() == self.path.resolve():
            raise RecordsError("A backup cannot replace the history database itself. Choose another file.")
        self._check_present()
        with translated():
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = target.with_name(f".{target.name}.part")
            part.unlink(missing_ok=True)
            part.touch(mode=0o600)
            try:
                source = connect(self.path, write=False)
                try:
                    _copy(source, part)
                finally:
                    source.close()
                part.replace(target)
                sync_folder(target.parent)
            except BaseException:
                part.unlink(missing_ok=True)
                raise

    def close(self) -> None:
        """Close every connection; the last one folds the log into the file. Calling it again does nothing."""
        with self.lock:
            if self._closed:
                return
            self._closed = True
            while not self._readers.empty():
                self._readers.get_nowait().close()
            self._db.close()

    def _identities(self) -> tuple[tuple[int, int] | None, ...]:
        """Which files on disk are the database, its log and its index of the log."""
        self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return tuple(_identity(self.path.with_name(self.path.name + end)) for end in ("", "-wal", "-shm"))

    def _check_present(self) -> None:
        """Raise RecordsError once the files in use are not those on disk any more; what was saved is rescued first."""
        if self._closed:
            raise RecordsError("The history is closed.")
        if self.read_only or not self._identity:
            return
        if not self._lost:
            now = tuple(_identity(self.path.with_name(self.path.name + end)) for end in ("", "-wal", "-shm"))
            if now == self._identity:
                return
            with self.lock:
                self._lost = self._lost or self._rescue(same_file=now[0] == self._identity[0])
        raise RecordsError(self._lost)

    def _rescue(self, *, same_file: bool) -> str:
        """Save what only our open connection still sees, and say where it is."""
        log.error("the files of the history database were removed or replaced")
        try:
            if same_file:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                return _LOST_SIDE
            self._backups.mkdir(parents=True, exist_ok=True, mode=0o700)
            rescued = self._backups / copy_name("rescued", self._clock())
            _copy(self._db, rescued)
            return _LOST.format(rescued=f"{rescued.parent.name}/{rescued.name}")
        except (sqlite3.Error, OSError):
            log.exception("the open history database could not be copied")
            return (
                "The history database was removed while Interval was running, so nothing more can be saved. Close "
                "Interval and put the newest copy from the folder 'backups' of the data folder in its place."
            )


def copy_name(prefix: str, moment: datetime) -> str:
    """The file name of a copy made at ``moment`` (UTC)."""
    return f"{prefix}-{moment:%Y%m%dT%H%M%S%fZ}.db"


def sync_folder(folder: Path) -> None:
    """Make new names in ``folder`` survive a power cut (POSIX; Windows does it by itself)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _copy(source: Database, target: Path) -> None:
    """Copy ``source`` to ``target`` by SQLite's backup API, as a single file, and check the copy."""
    copy = sqlite3.connect(target, isolation_level=None)
    try:
        source.conn.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        if copy.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
            raise _corrupt()
    finally:
        copy.close()
    descriptor = os.open(target, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _corrupt() -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _refuse_foreign(path: Path) -> None:
    """Raise RecordsError for a file that is a database, but not a history of ours."""
    with path.open("rb") as file:
        header = file.read(100)
    if header[:16] == b"SQLite format 3\0" and int.from_bytes(header[68:72], "big") not in (
        0,
        migrations.APPLICATION_ID,
    ):
        raise RecordsError("The file history.db in the data folder is not a history of Interval. Move it away.")
