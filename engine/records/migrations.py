"""The tables of the history, step by step.

A step that has been released is never edited; a change is a new step at the end. All pending steps and their records
are one transaction: they happen together or not at all. Rules that must hold whatever program holds the pen (what is
signed stays, the log only grows) are triggers here, not only code elsewhere. The order of reports is
``report.changed``, the number of the event that changed them last: the clock may go backwards, that number does not.
"""

from __future__ import annotations

import sqlite3
from functools import cache

from sqlite_utils import Database, Migrations

from engine.errors import RecordsError
from engine.records import fulltext

APPLICATION_ID = 0x494E5456  # "INTV"; lets file(1) and us tell this database from any other

SIGNED = "signed report is final"  # what the triggers say, so that errors can be told apart
APPEND_ONLY = "rows of this table are only ever added"

steps = Migrations("records")


@steps()
def first_tables(db: Database) -> None:
    """Patients, studies, images, reports with drafts, revisions and signature, the search index and the event log."""
    for statement in (*_TABLES, *_INDEXES, *_SEARCH, *_triggers()):
        db.execute(statement)


@steps()
def answers(db: Database) -> None:
    """Questions about a comparison and their answers: conversations, beside the reports."""
    for statement in _ANSWERS:
        db.execute(statement)


@steps()
def characters(db: Database) -> None:
    """The words of Chinese in the reports can be searched for, in those there are already as well."""
    for statement in _CHARACTERS:
        db.execute(statement)
    for report in list(db.query("SELECT * FROM report_search")):
        if fulltext.spaced(report):
            fulltext.index_characters(db, report["row"], report)


# json_valid() would say more, but SQLite refuses it in a schema that is not trusted.
_TABLES = (
    """CREATE TABLE patient (
        key TEXT PRIMARY KEY CHECK (length(key) = 26),
        issuer TEXT NOT NULL,
        patient_id TEXT NOT NULL,
        name TEXT NOT NULL,
        birth_date TEXT,
        sex TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE study (
        key TEXT PRIMARY KEY CHECK (length(key) = 26),
        uid TEXT NOT NULL CHECK (uid <> ''),
        patient TEXT NOT NULL REFERENCES patient (key),
        acquired TEXT,
        date_reliable INTEGER NOT NULL CHECK (date_reliable IN (0, 1)),
        accession TEXT NOT NULL,
        description TEXT NOT NULL,
        UNIQUE (patient, uid)
    ) STRICT""",
    """CREATE TABLE image (
        sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
        study TEXT NOT NULL REFERENCES study (key),
        stated INTEGER NOT NULL,
        source TEXT NOT NULL,
        format TEXT NOT NULL,
        sop_uid TEXT NOT NULL,
        modality TEXT NOT NULL,
        view TEXT NOT NULL,
        view_basis TEXT NOT NULL,
        laterality TEXT NOT NULL,
        acquired TEXT,
        acquired_basis TEXT NOT NULL,
        date_reliable INTEGER NOT NULL CHECK (date_reliable IN (0, 1)),
        "rows" INTEGER NOT NULL CHECK ("rows" > 0),
        columns INTEGER NOT NULL CHECK (columns > 0),
        PRIMARY KEY (sha256, study)
    ) STRICT""",
    """CREATE TABLE report (
        row INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE CHECK (length(id) = 26),
        state TEXT NOT NULL CHECK (state IN ('draft', 'reviewed', 'signed')),
        patient TEXT NOT NULL REFERENCES patient (key),
        current TEXT NOT NULL,
        current_study TEXT NOT NULL,
        prior TEXT,
        prior_study TEXT,
        section TEXT NOT NULL,
        revision INTEGER NOT NULL CHECK (revision >= 0),
        demonstration INTEGER NOT NULL CHECK (demonstration IN (0, 1)),
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        changed INTEGER NOT NULL,
        signed_at TEXT,
        CHECK ((state = 'signed') = (signed_at IS NOT NULL)),
        CHECK (state = 'draft' OR revision > 0),
        CHECK ((prior IS NULL) = (prior_study IS NULL)),
        FOREIGN KEY (current, current_study) REFERENCES image (sha256, study),
        FOREIGN KEY (prior, prior_study) REFERENCES image (sha256, study)
    ) STRICT""",
    """CREATE TABLE draft (
        id TEXT PRIMARY KEY CHECK (length(id) = 26),
        report TEXT NOT NULL REFERENCES report (id),
        number INTEGER NOT NULL CHECK (number > 0),
        created_at TEXT NOT NULL,
        text TEXT NOT NULL,
        token_ids TEXT NOT NULL CHECK (substr(token_ids, 1, 1) = '['),
        sentences TEXT NOT NULL CHECK (substr(sentences, 1, 1) = '['),
        model_name TEXT NOT NULL,
        model_sha256 TEXT NOT NULL,
        prompt TEXT NOT NULL,
        prompt_sha256 TEXT NOT NULL CHECK (length(prompt_sha256) = 64),
        settings TEXT NOT NULL CHECK (substr(settings, 1, 1) = '{'),
        checks TEXT NOT NULL CHECK (substr(checks, 1, 1) = '['),
        timings TEXT NOT NULL CHECK (substr(timings, 1, 1) = '{'),
        finished TEXT NOT NULL CHECK (finished IN ('stop', 'length', 'cancelled')),
        demonstration INTEGER NOT NULL CHECK (demonstration IN (0, 1)),
        revision INTEGER NOT NULL,
        UNIQUE (report, number)
    ) STRICT""",
    """CREATE TABLE revision (
        report TEXT NOT NULL REFERENCES report (id),
        number INTEGER NOT NULL CHECK (number > 0),
        created_at TEXT NOT NULL,
        who TEXT NOT NULL,
        draft TEXT REFERENCES draft (id),
        indication TEXT NOT NULL,
        sentences TEXT NOT NULL CHECK (substr(sentences, 1, 1) = '['),
        PRIMARY KEY (report, number)
    ) STRICT""",
    """CREATE TABLE signature (
        report TEXT PRIMARY KEY REFERENCES report (id),
        revision INTEGER NOT NULL,
        name TEXT NOT NULL CHECK (trim(name) <> ''),
        meaning TEXT NOT NULL CHECK (meaning <> ''),
        signed_at TEXT NOT NULL,
        sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
        content TEXT NOT NULL CHECK (substr(content, 1, 1) = '{'),
        FOREIGN KEY (report, revision) REFERENCES revision (report, number)
    ) STRICT""",
    """CREATE TABLE event (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        who TEXT NOT NULL,
        action TEXT NOT NULL CHECK (action IN ('C', 'R', 'U', 'D', 'E')),
        kind TEXT NOT NULL CHECK (kind <> ''),
        subject TEXT NOT NULL,
        outcome TEXT NOT NULL CHECK (outcome IN ('success', 'refused', 'failure')),
        source TEXT NOT NULL,
        detail TEXT NOT NULL CHECK (substr(detail, 1, 1) = '{'),
        previous TEXT NOT NULL,
        hash TEXT NOT NULL CHECK (length(hash) = 64)
    ) STRICT""",
)

_INDEXES = (
    "CREATE UNIQUE INDEX patient_identity ON patient (issuer, patient_id) WHERE patient_id <> ''",
    "CREATE INDEX study_uid ON study (uid)",
    "CREATE INDEX image_study ON image (study)",
    "CREATE INDEX report_changed ON report (changed)",
    "CREATE INDEX report_state ON report (state, changed)",
    "CREATE INDEX report_patient ON report (patient, changed)",
    "CREATE INDEX report_updated ON report (updated_at, changed)",
    "CREATE INDEX report_current ON report (current, current_study)",
    "CREATE INDEX report_prior ON report (prior, prior_study)",
    "CREATE INDEX event_subject ON event (subject)",
)

# The words of a report live beside it, so that lists and sorts read the narrow table alone; fulltext.py writes both.
_SEARCH = (
    """CREATE TABLE report_search (
        row INTEGER PRIMARY KEY REFERENCES report (row),
        patient_name TEXT NOT NULL,
        patient_id TEXT NOT NULL,
        accession TEXT NOT NULL,
        indication TEXT NOT NULL,
        text TEXT NOT NULL
    ) STRICT""",
    """CREATE VIRTUAL TABLE report_fts USING fts5 (
        patient_name, patient_id, accession, indication, text,
        content = 'report_search', content_rowid = 'row',
        tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    )""",
)

# Reports with Chinese in them a second time, with each of its characters by itself (fulltext.py).
_CHARACTERS = (
    """CREATE TABLE report_characters (
        row INTEGER PRIMARY KEY REFERENCES report (row),
        words TEXT NOT NULL CHECK (words <> '')
    ) STRICT""",
    """CREATE VIRTUAL TABLE report_characters_fts USING fts5 (
        words, content = 'report_characters', content_rowid = 'row',
        tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    )""",
)


def _guard(name: str, moment: str, table: str, condition: str, message: str) -> str:
    """A trigger that refuses ``moment`` (such as BEFORE UPDATE) on ``table`` while ``condition`` holds."""
    return f"CREATE TRIGGER {name} {moment} ON {table} WHEN {condition} BEGIN SELECT RAISE(ABORT, '{message}'); END"


def _triggers() -> list[str]:
    """What is signed stays as it is; drafts, revisions and events are only ever added.

    INSERT OR REPLACE deletes without firing delete triggers in a connection that has recursive_triggers off (the
    default of other programs), hence the guards on INSERT as well.
    """
    guards = [
        _guard("report_signed_update", "BEFORE UPDATE", "report", "old.state = 'signed'", SIGNED),
        _guard("report_signed_delete", "BEFORE DELETE", "report", "old.state = 'signed'", SIGNED),
        _guard(
            "report_signed_replace",
            "BEFORE INSERT",
            "report",
            "EXISTS (SELECT 1 FROM report WHERE state = 'signed' AND (id = new.id OR row = new.row))",
            SIGNED,
        ),
        _guard(
            "report_identity", "BEFORE UPDATE OF row, id", "report", "new.row <> old.row OR new.id <> old.id", SIGNED
        ),
        _guard("report_born_draft", "BEFORE INSERT", "report", "new.state <> 'draft'", "a report begins as a draft"),
        _guard(
            "report_signed_by",
            "BEFORE UPDATE OF state",
            "report",
            "new.state = 'signed' AND NOT EXISTS (SELECT 1 FROM signature WHERE report = new.id)",
            "a report is signed by its signature",
        ),
        _guard(
            "report_search_signed_update",
            "BEFORE UPDATE OF row, indication, text",
            "report_search",
            "EXISTS (SELECT 1 FROM report WHERE row = old.row AND state = 'signed')",
            SIGNED,
        ),
        _guard(
            "report_search_signed_delete",
            "BEFORE DELETE",
            "report_search",
            "EXISTS (SELECT 1 FROM report WHERE row = old.row AND state = 'signed')",
            SIGNED,
        ),
        _guard("signature_update", "BEFORE UPDATE", "signature", "1", SIGNED),
        _guard("signature_delete", "BEFORE DELETE", "signature", "1", SIGNED),
        _guard(
            "signature_insert",
            "BEFORE INSERT",
            "signature",
            "EXISTS (SELECT 1 FROM signature WHERE report = new.report)"
            " OR EXISTS (SELECT 1 FROM report WHERE id = new.report AND state = 'signed')",
            SIGNED,
        ),
        _guard("event_update", "BEFORE UPDATE", "event", "1", APPEND_ONLY),
        _guard("event_delete", "BEFORE DELETE", "event", "1", APPEND_ONLY),
        _guard(
            "event_insert",
            "BEFORE INSERT",
            "event",
            "new.seq <> 1 + coalesce((SELECT max(seq) FROM event), 0)"
            " OR new.previous <> coalesce((SELECT hash FROM event ORDER BY seq DESC LIMIT 1), '')",
            APPEND_ONLY,
        ),
    ]
    present = {"draft": "id = new.id", "revision": "report = new.report AND number = new.number"}
    for table, same in present.items():
        for side, report in (("update", "old.report"), ("delete", "old.report"), ("insert", "new.report")):
            signed = f"EXISTS (SELECT 1 FROM report WHERE id = {report} AND state = 'signed')"
            changed = "1" if side != "insert" else f"EXISTS (SELECT 1 FROM {table} WHERE {same})"
            moment = f"BEFORE {side.upper()}"
            guards.append(_guard(f"{table}_signed_{side}", moment, table, signed, SIGNED))
            guards.append(_guard(f"{table}_{side}", moment, table, f"NOT {signed} AND {changed}", APPEND_ONLY))
    return guards


# An answer stays with its comparison; only one about a picture without a patient goes over to whom it is said to be of.
_ANSWERS = (
    """CREATE TABLE answer (
        row INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE CHECK (length(id) = 26),
        patient TEXT NOT NULL REFERENCES patient (key),
        current TEXT NOT NULL CHECK (length(current) = 64),
        prior TEXT CHECK (length(prior) = 64),
        created_at TEXT NOT NULL,
        question TEXT NOT NULL CHECK (trim(question) <> ''),
        text TEXT NOT NULL,
        token_ids TEXT NOT NULL CHECK (substr(token_ids, 1, 1) = '['),
        model_name TEXT NOT NULL,
        model_sha256 TEXT NOT NULL,
        prompt TEXT NOT NULL,
        prompt_sha256 TEXT NOT NULL CHECK (length(prompt_sha256) = 64),
        settings TEXT NOT NULL CHECK (substr(settings, 1, 1) = '{'),
        checks TEXT NOT NULL CHECK (substr(checks, 1, 1) = '['),
        timings TEXT NOT NULL CHECK (substr(timings, 1, 1) = '{'),
        finished TEXT NOT NULL CHECK (finished IN ('stop', 'length', 'cancelled')),
        demonstration INTEGER NOT NULL CHECK (demonstration IN (0, 1))
    ) STRICT""",
    "CREATE INDEX answer_comparison ON answer (patient, current, prior)",
    _guard(
        "answer_update",
        "BEFORE UPDATE OF row, id, current, prior, created_at, question, text, token_ids, model_name, model_sha256,"
        " prompt, prompt_sha256, settings, checks, timings, finished, demonstration",
        "answer",
        "1",
        APPEND_ONLY,
    ),
    _guard(
        "answer_patient",
        "BEFORE UPDATE OF patient",
        "answer",
        "EXISTS (SELECT 1 FROM patient WHERE key = old.patient AND patient_id <> '')",
        APPEND_ONLY,
    ),
    _guard("answer_delete", "BEFORE DELETE", "answer", "1", APPEND_ONLY),
    _guard(
        "answer_insert",
        "BEFORE INSERT",
        "answer",
        "EXISTS (SELECT 1 FROM answer WHERE id = new.id OR row = new.row)",
        APPEND_ONLY,
    ),
)


def pending(db: Database) -> tuple[str, ...]:
    """Names of the steps this database still lacks. Raises RecordsError if it has steps this program does not know."""
    applied = {row.name for row in steps.applied(db)}
    known = [step.name for step in steps.pending(db)]
    unknown = applied - {step.name for step in steps.pending(Database(memory=True, execute_plugins=False))}
    if unknown:
        raise RecordsError(
            "The history database was written by a newer version of Interval. Use that version; nothing was changed."
        )
    return tuple(known)


def migrate(db: Database) -> None:
    """Apply all pending steps in one transaction, ``user_version`` included; on any error nothing has happened."""
    db.execute("BEGIN IMMEDIATE")
    try:
        steps.apply(db)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {len(steps.applied(db))}")
        db.execute("COMMIT")
    except BaseException:
        db.rollback()
        raise


@cache
def expected_schema() -> dict[str, str]:
    """Name to SQL of every table, index and trigger as this program makes them."""
    db = Database(memory=True, execute_plugins=False)
    try:
        migrate(db)
        return schema(db)
    finally:
        db.close()


def schema(db: Database) -> dict[str, str]:
    """Name to SQL of every table, index and trigger that ``db`` has; the inner tables of FTS5 and SQLite left out."""
    found: sqlite3.Cursor = db.execute(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'report\\_fts\\_%' ESCAPE '\\'"
        " AND name NOT LIKE 'report\\_characters\\_fts\\_%' ESCAPE '\\'"
        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    return dict(found.fetchall())
