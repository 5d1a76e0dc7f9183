"""The event log: append-only, each row chained to the one before by its hash.

Fields follow FHIR AuditEvent: who, action (C R U D E), kind (its subtype), subject (the record), outcome, source, when.
The hash of a row is sha256(hash of the row before + canonical JSON of the row), so that changing, removing or
inserting a row shows. ``head`` (the last hash) can be noted elsewhere; then cutting off the end shows as well. This
module does not know which events there are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sqlite_utils import Database

from engine.records import migrations
from engine.records.canonical import canonical, field, parsed, sha256, tidy
from engine.records.ids import Clock, moment, stamp
from engine.records.types import Event, LogCheck, Outcome, Scalar

_COLUMNS = "seq, at, who, action, kind, subject, outcome, source, detail, previous, hash"


@dataclass(frozen=True)
class Author:
    """In whose name this process writes: account, program, clock and the source of new ids."""

    who: str
    source: str
    clock: Clock
    new_id: Callable[[], str]

    def append(
        self,
        db: Database,
        action: str,
        kind: str,
        subject: str,
        detail: Mapping[str, Scalar] | None = None,
        outcome: Outcome = "success",
    ) -> Event:
        """Add one event inside the caller's transaction and return it; ``seq`` counts from 1 without gaps."""
        last = db.execute("SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1").fetchone()
        seq, previous = (last[0] + 1, last[1]) if last else (1, "")
        row: dict[str, str | int] = {
            "seq": seq,
            "at": stamp(self.clock()),
            "who": field(self.who, "name of the account", 200),
            "action": action,
            "kind": field(kind, "kind of the event", 100),
            "subject": field(subject, "subject of the event", 200),
            "outcome": outcome,
            "source": field(self.source, "name of the program", 200),
            "detail": tidy(canonical(dict(detail or {}))),
        }
        row |= {"previous": previous, "hash": sha256(previous + canonical(row))}
        db.execute(
            "INSERT INTO event VALUES"
            " (:seq, :at, :who, :action, :kind, :subject, :outcome, :source, :detail, :previous, :hash)",
            row,
        )
        return _event(tuple(row.values()))


def of_subject(db: Database, subject: str) -> tuple[Event, ...]:
    """Every event about ``subject``, oldest first."""
    found = db.execute(f"SELECT {_COLUMNS} FROM event WHERE subject = ? ORDER BY seq", (subject,))
    return tuple(_event(row) for row in found)


def verify(db: Database) -> LogCheck:
    """Walk the whole chain and compare tables and triggers with those this program makes."""
    problems = list(_schema_problems(db))
    count, first_bad, head = 0, None, ""
    # A row may hold bytes that are not text; it must be named, not end the check.
    db.conn.text_factory = lambda data: data.decode(errors="replace")
    try:
        for row in db.execute(f"SELECT {_COLUMNS} FROM event ORDER BY seq"):
            count += 1
            if first_bad is None and (row[0] != count or row[9] != head or row[10] != _hash(row)):
                first_bad = min(count, row[0])
            head = row[10]
        ever = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchone()
        if first_bad is None and (ever[0] if ever else 0) != count:
            first_bad = count + 1
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        first_bad = 1
    finally:
        db.conn.text_factory = str
    if first_bad is not None:
        problems.append(
            f"The event log was changed from outside: row {first_bad} is the first that is wrong or missing."
        )
    return LogCheck(not problems, count, first_bad, head, tuple(problems))


def _schema_problems(db: Database) -> Iterator[str]:
    present = migrations.schema(db)
    for name, sql in migrations.expected_schema().items():
        if name not in present:
            yield f"'{name}', a part of the database that protects the records, is missing."
        elif present[name] != sql:
            yield f"'{name}', a part of the database that protects the records, was changed."
    for name in sorted(present.keys() - migrations.expected_schema().keys()):
        yield f"'{name}' was added to the database by another program."


def _hash(row: tuple[object, ...]) -> str:
    """The hash that a stored row must have; "" for values that no row of ours has (flipped bytes, wrong types)."""
    names = _COLUMNS.split(", ")
    try:
        return sha256(str(row[9]) + canonical(dict(zip(names[:9], row[:9], strict=True))))
    except (ValueError, TypeError):
        return ""


def _event(row: tuple[object, ...]) -> Event:
    seq, at, who, action, kind, subject, outcome, source, detail, previous, digest = row
    return Event(
        seq=seq,  # type: ignore[arg-type]
        at=moment(str(at)),
        who=str(who),
        action=str(action),
        kind=str(kind),
        subject_id=str(subject),
        outcome=outcome,  # type: ignore[arg-type]
        source=str(source),
        detail=parsed(str(detail)),
        previous=str(previous),
        hash=str(digest),
    )
