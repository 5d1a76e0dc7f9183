"""The full examination of a history: slower than the check at every start, and it never repairs anything.

It reads every page of the database, every event, every signature and every stored file.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlite_utils import Database

from engine.records import fulltext, log, reports, signing
from engine.records.files import FileStore
from engine.records.types import Fault

MOST_FAULTS = 100


def examine(db: Database, files: FileStore) -> tuple[Fault, ...]:
    """Every fault found, at most ``MOST_FAULTS`` of each check."""
    return (*_database(db), *_log(db), *_signatures(db, files), *_files(db, files))


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
        for problem in signing.check(db, reports.detail(db, files, report_id)).problems:
            yield Fault("signature", problem, report_id)


def _files(db: Database, files: FileStore) -> Iterator[Fault]:
    known = {sha256 for (sha256,) in db.execute("SELECT DISTINCT sha256 FROM image")}
    for sha256 in sorted(known):
        if (state := files.state(sha256)) != "ok":
            yield Fault("files", f"The stored copy of an image is {state}.", sha256)
    for orphan in files.others(known):
        yield Fault("orphans", "A stored file belongs to no image; a crash left it.", orphan.name)
