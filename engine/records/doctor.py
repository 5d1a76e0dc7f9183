"""The full examination of a history: slower than the check at every start, and it never repairs anything.

It reads every page of the database, every event, every signature and every stored file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from sqlite_utils import Database

from engine.errors import RecordsError, UsageError
from engine.records import fulltext, log, reports, signing
from engine.records.files import FileStore
from engine.records.types import Fault

MOST_FAULTS = 100


def examine(db: Database, files: FileStore) -> tuple[Fault, ...]:
    """Every fault found, at most ``MOST_FAULTS`` of each check."""
    checks = {
        "database": _database(db),
        "log": _log(db),
        "signature": _signatures(db, files),
        "files": _files(db, files),
    }
    return tuple(fault for name, faults in checks.items() for fault in _as_far_as_possible(name, faults))


def _as_far_as_possible(name: str, faults: Iterator[Fault]) -> Iterator[Fault]:
    """``faults``, and one more if the database is too damaged for the check to be finished."""
    try:
        yield from faults
    except sqlite3.Error as error:
        yield Fault(name, f"This check could not be finished: {error}")


def examine_index(db: Database) -> tuple[Fault, ...]:
    """Whether every report can be found by its words. Needs the writer, though it changes nothing."""
    if fulltext.agrees(db):
        return ()
    return (Fault("search", "The search index does not agree with the reports, so a search may miss some."),)


def _database(db: Database) -> Iterator[Fault]:
    for (verdict,) in db.execute(f"PRAGMA integrity_check({MOST_FAULTS})").fetchall():
        if verdict != "ok":
            yield Fault("database", f"The database is damaged: {verdict}")
    for table, row, parent, _ in db.execute("PRAGMA foreign_key_check").fetchmany(MOST_FAULTS):
        yield Fault("database", f"A row of '{table}' refers to a row of '{parent}' that is not there.", str(row))


def _log(db: Database) -> Iterator[Fault]:
    for problem in log.verify(db).problems:
        yield Fault("log", problem)


def _signatures(db: Database, files: FileStore) -> Iterator[Fault]:
    for (report_id,) in db.execute(
        "SELECT id FROM report WHERE state = 'signed' UNION SELECT report FROM signature"
    ).fetchall():
        for problem in _signature(db, files, report_id):
            yield Fault("signature", problem, report_id)


def _signature(db: Database, files: FileStore, report_id: str) -> tuple[str, ...]:
    try:
        return signing.check(db, reports.detail(db, files, report_id)).problems
    except (RecordsError, UsageError, ValueError, KeyError, TypeError):  # whatever stands in a damaged row
        return ("The report is damaged and cannot be read.",)


def _files(db: Database, files: FileStore) -> Iterator[Fault]:
    known = {sha256 for (sha256,) in db.execute("SELECT DISTINCT sha256 FROM image")}
    for sha256 in sorted(known):
        if (state := files.state(sha256)) != "ok":
            yield Fault("files", f"The stored copy of an image is {state}.", sha256)
    for orphan in files.others(known):
        yield Fault("orphans", "A stored file belongs to no image; a crash left it.", orphan.name)
