"""Rows and JSON of the database as the values of ``types.py``, and sentences as JSON.

The one place that knows column names on the way out. It runs single selects on the connection it is given and writes
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlite_utils import Database

from engine.errors import NotFound
from engine.records.canonical import canonical, parsed
from engine.records.files import FileStore
from engine.records.ids import moment, optional_date, optional_moment
from engine.records.types import (
    AnswerRow,
    DraftRow,
    Report,
    Revision,
    Sentence,
    Signature,
    StoredImage,
    StoredPatient,
    StoredStudy,
)

Row = Mapping[str, Any]

_REPORT = "SELECT r.*, s.indication FROM report r JOIN report_search s ON s.row = r.row WHERE r.id = ?"


def sentences_json(sentences: Sequence[Sentence]) -> str:
    """``sentences`` as they are stored and hashed."""
    return canonical([sentence_facts(sentence) for sentence in sentences])


def sentence_facts(sentence: Sentence) -> dict[str, str | None]:
    """A sentence as plain data."""
    return {
        "id": sentence.id,
        "text": sentence.text,
        "origin": sentence.origin,
        "status": sentence.status,
        "original": sentence.original,
    }


def sentences(text: str) -> tuple[Sentence, ...]:
    """The sentences that ``sentences_json`` wrote."""
    return tuple(Sentence(**facts) for facts in parsed(text))


def one(db: Database, sql: str, parameters: Sequence[object] | dict[str, Any]) -> dict[str, Any] | None:
    """The first row as a dict, or None."""
    return next(db.query(sql, parameters), None)


def report(db: Database, report_id: str) -> Report:
    """The report. Raises NotFound."""
    row = one(db, _REPORT, [report_id])
    if row is None:
        raise NotFound("There is no such report in this history.")
    return Report(
        id=row["id"],
        state=row["state"],
        patient_key=row["patient"],
        current_sha256=row["current"],
        current_study=row["current_study"],
        prior_sha256=row["prior"],
        prior_study=row["prior_study"],
        indication=row["indication"],
        section=row["section"],
        revision=row["revision"],
        demonstration=bool(row["demonstration"]),
        created_at=moment(row["created_at"]),
        updated_at=moment(row["updated_at"]),
        signed_at=optional_moment(row["signed_at"]),
    )


def drafts(db: Database, report_id: str) -> tuple[DraftRow, ...]:
    """Every draft of the report, oldest first."""
    return tuple(_draft(row) for row in db.query("SELECT * FROM draft WHERE report = ? ORDER BY number", [report_id]))


def _draft(row: Row) -> DraftRow:
    return DraftRow(
        id=row["id"],
        report_id=row["report"],
        number=row["number"],
        revision=row["revision"],
        created_at=moment(row["created_at"]),
        text=row["text"],
        token_ids=tuple(parsed(row["token_ids"])),
        sentences=sentences(row["sentences"]),
        model_name=row["model_name"],
        model_sha256=row["model_sha256"],
        prompt=row["prompt"],
        prompt_sha256=row["prompt_sha256"],
        settings=parsed(row["settings"]),
        checks=tuple(parsed(row["checks"])),
        timings=parsed(row["timings"]),
        finished=row["finished"],
        demonstration=bool(row["demonstration"]),
    )


def answer(db: Database, answer_id: str) -> AnswerRow:
    """The answer. Raises NotFound."""
    row = one(db, "SELECT * FROM answer WHERE id = ?", [answer_id])
    if row is None:
        raise NotFound("There is no such answer in this history.")
    return _answer(row)


def answers(db: Database, patient: str, current: str, prior: str | None) -> tuple[AnswerRow, ...]:
    """Every answer about these images of the patient with this key, oldest first."""
    found = db.query(
        "SELECT * FROM answer WHERE patient = ? AND current = ? AND prior IS ? ORDER BY row", [patient, current, prior]
    )
    return tuple(_answer(row) for row in found)


def _answer(row: Row) -> AnswerRow:
    return AnswerRow(
        id=row["id"],
        patient_key=row["patient"],
        current_sha256=row["current"],
        prior_sha256=row["prior"],
        created_at=moment(row["created_at"]),
        question=row["question"],
        text=row["text"],
        token_ids=tuple(parsed(row["token_ids"])),
        model_name=row["model_name"],
        model_sha256=row["model_sha256"],
        prompt=row["prompt"],
        settings=parsed(row["settings"]),
        checks=tuple(parsed(row["checks"])),
        timings=parsed(row["timings"]),
        finished=row["finished"],
        demonstration=bool(row["demonstration"]),
    )


def revisions(db: Database, report_id: str) -> tuple[Revision, ...]:
    """Every revision of the report, oldest first."""
    found = db.query("SELECT * FROM revision WHERE report = ? ORDER BY number", [report_id])
    return tuple(_revision(row) for row in found)


def revision(db: Database, report_id: str, number: int) -> Revision:
    """One revision. Raises NotFound."""
    row = one(db, "SELECT * FROM revision WHERE report = ? AND number = ?", [report_id, number])
    if row is None:
        raise NotFound("There is no such revision of this report.")
    return _revision(row)


def _revision(row: Row) -> Revision:
    return Revision(
        report_id=row["report"],
        number=row["number"],
        created_at=moment(row["created_at"]),
        who=row["who"],
        draft_id=row["draft"],
        indication=row["indication"],
        sentences=sentences(row["sentences"]),
    )


def signature(row: Row) -> Signature:
    """The signature in a row of its table."""
    return Signature(
        report_id=row["report"],
        revision=row["revision"],
        name=row["name"],
        meaning=row["meaning"],
        signed_at=moment(row["signed_at"]),
        sha256=row["sha256"],
        text=parsed(row["content"])["report"]["text"],
    )


def patient(row: Row) -> StoredPatient:
    """The patient in a row of its table, or in the signed content, which uses the same names."""
    return StoredPatient(
        key=row["key"],
        issuer=row["issuer"],
        id=row["patient_id"],
        name=row["name"],
        birth_date=optional_date(row["birth_date"]),
        sex=row["sex"],
    )


def image(row: Row, files: FileStore) -> StoredImage:
    """The image in a row of its table, or in the signed content, which uses the same names."""
    return StoredImage(
        sha256=row["sha256"],
        study=row["study"],
        source=row["source"],
        format=row["format"],
        sop_uid=row["sop_uid"],
        modality=row["modality"],
        view=row["view"],
        view_basis=row["view_basis"],
        laterality=row["laterality"],
        acquired=optional_moment(row["acquired"]),
        acquired_basis=row["acquired_basis"],
        date_reliable=bool(row["date_reliable"]),
        rows=row["rows"],
        columns=row["columns"],
        path=files.path(row["sha256"]),
    )


def image_of(db: Database, sha256: str, study: str | None, files: FileStore) -> StoredImage:
    """The image as filed under ``study``, or, for None, as it was described last. Raises NotFound."""
    row = one(
        db,
        "SELECT * FROM image WHERE sha256 = ? AND study = coalesce(?, study) ORDER BY stated DESC LIMIT 1",
        [sha256, study],
    )
    if row is None:
        raise NotFound("The image is not in this history. Open its file again.")
    return image(row, files)


def filing(db: Database, sha256: str, patient: str | None) -> tuple[str, str]:
    """(study key, patient key) under which the image is filed: of ``patient`` if possible, else as described last.

    Raises NotFound.
    """
    row = one(
        db,
        "SELECT y.key, y.patient FROM image i JOIN study y ON y.key = i.study WHERE i.sha256 = ?"
        " ORDER BY y.patient IS ? DESC, i.stated DESC LIMIT 1",
        [sha256, patient],
    )
    if row is None:
        raise NotFound("The image is not in this history. Open its file again.")
    return str(row["key"]), str(row["patient"])


def patient_by_key(db: Database, key: str) -> StoredPatient:
    """The patient with this key. Raises NotFound."""
    row = one(db, "SELECT * FROM patient WHERE key = ?", [key])
    if row is None:
        raise NotFound("The patient is not in this history.")
    return patient(row)


def patient_of_study(db: Database, study: str) -> StoredPatient:
    """The patient of the study with this key. Raises NotFound."""
    row = one(db, "SELECT patient FROM study WHERE key = ?", [study])
    return patient_by_key(db, "" if row is None else row["patient"])


def accession(db: Database, study: str) -> str:
    """The accession number of the study with this key; "" where there is none."""
    row = one(db, "SELECT accession FROM study WHERE key = ?", [study])
    return "" if row is None else str(row["accession"])


def studies(db: Database, patient_key: str, files: FileStore) -> tuple[StoredStudy, ...]:
    """Every study of the patient with its images, newest first; studies without a date come last."""
    try:
        owner = patient_by_key(db, patient_key)
    except NotFound:
        return ()
    images: dict[str, list[StoredImage]] = {}
    for row in db.query(
        "SELECT i.* FROM image i JOIN study y ON y.key = i.study WHERE y.patient = ? ORDER BY i.rowid", [patient_key]
    ):
        images.setdefault(row["study"], []).append(image(row, files))
    rows = db.query(
        "SELECT * FROM study WHERE patient = ? ORDER BY acquired DESC NULLS LAST, rowid DESC", [patient_key]
    )
    return tuple(
        StoredStudy(
            key=row["key"],
            uid=row["uid"],
            patient=owner,
            acquired=optional_moment(row["acquired"]),
            date_reliable=bool(row["date_reliable"]),
            accession=row["accession"],
            description=row["description"],
            images=tuple(images.get(row["key"], ())),
        )
        for row in rows
    )
