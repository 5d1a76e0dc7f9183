"""Patients, studies and images: who is who, and what a later word about the same file changes.

A patient is (issuer, id); the name never joins two patients. A plain picture has no id, so each makes a patient of its
own until somebody says who it is; then its study, and reports on it that are not signed, follow to the named patient.
What is said later replaces what was said before; silence erases nothing. Signed reports are untouched: they keep the
patient and images they were signed with. Functions work inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sqlite_utils import Database

from engine.records import fulltext, rows
from engine.records.canonical import cut

if TYPE_CHECKING:
    from engine.imaging.types import Image, Patient, Study

Value = str | int | None


def add(db: Database, study: Study, new_id: Callable[[], str]) -> tuple[str, bool]:
    """File ``study`` and its images. Returns the key of the study and whether anything is new or different."""
    before = _filed(db, study)
    patient_key, changed = _patient(db, study, before, new_id)
    study_key, different = _study(db, study, patient_key, new_id)
    changed |= different
    for image in study.images:
        changed |= _image(db, image, study_key)
    if changed:
        _follow(db, patient_key, study_key, before)
    return study_key, changed


def find_patient(db: Database, issuer: str, patient_id: str) -> str | None:
    """The key of the patient with this identity; None if unknown or if ``patient_id`` is empty."""
    if not patient_id:
        return None
    found = rows.one(db, "SELECT key FROM patient WHERE issuer = ? AND patient_id = ?", [cut(issuer), cut(patient_id)])
    return None if found is None else str(found["key"])


def _filed(db: Database, study: Study) -> list[tuple[str, str]]:
    """(study key, patient key) under which images of ``study`` are filed by now."""
    found: set[tuple[str, str]] = set()
    for image in study.images:
        sql = "SELECT y.key, y.patient FROM image i JOIN study y ON y.key = i.study WHERE i.sha256 = ?"
        found.update(db.execute(sql, [image.sha256]).fetchall())
    return sorted(found)


def _patient(db: Database, study: Study, before: list[tuple[str, str]], new_id: Callable[[], str]) -> tuple[str, bool]:
    patient: Patient = study.patient
    said: dict[str, Value] = {
        "name": cut(patient.name),
        "birth_date": patient.birth_date.isoformat() if patient.birth_date else None,
        "sex": cut(patient.sex),
    }
    key = find_patient(db, patient.issuer, patient.id)
    if key is None and not patient.id and before:
        # Nobody says who it is now, but somebody may have said so about the same bytes before.
        key = before[0][1]
    if key is not None:
        return key, _revise(db, "patient", "key", key, said)
    key = new_id()
    identity = {"key": key, "issuer": cut(patient.issuer), "patient_id": cut(patient.id)}
    db.table("patient").insert(identity | said)
    return key, True


def _study(db: Database, study: Study, patient_key: str, new_id: Callable[[], str]) -> tuple[str, bool]:
    uid = cut(study.uid)
    said: dict[str, Value] = {
        "acquired": study.acquired.isoformat() if study.acquired else None,
        "date_reliable": int(study.date_reliable),
        "accession": cut(study.accession),
        "description": cut(study.description),
    }
    found = rows.one(db, "SELECT key FROM study WHERE patient = ? AND uid = ?", [patient_key, uid])
    if found is not None:
        return str(found["key"]), _revise(db, "study", "key", found["key"], said)
    key = new_id()
    db.table("study").insert({"key": key, "uid": uid, "patient": patient_key} | said)
    return key, True


def _image(db: Database, image: Image, study_key: str) -> bool:
    said: dict[str, Value] = {
        "study": study_key,
        "source": cut(image.source),
        "format": image.format,
        "sop_uid": cut(image.sop_uid),
        "modality": cut(image.modality),
        "view": str(image.view) if str(image.view) != "UNKNOWN" else "",
        "view_basis": cut(image.view_basis),
        "laterality": cut(image.laterality),
        "acquired": image.acquired.isoformat() if image.acquired else None,
        "acquired_basis": cut(image.acquired_basis),
        "date_reliable": int(image.date_reliable),
    }
    if rows.one(db, "SELECT 1 FROM image WHERE sha256 = ?", [image.sha256]) is not None:
        return _revise(db, "image", "sha256", image.sha256, said)
    size = {"sha256": image.sha256, "rows": image.rows, "columns": image.columns}
    db.table("image").insert(said | size | {"view": str(image.view)})
    return True


def _revise(db: Database, table: str, column: str, key: str, said: Mapping[str, Value]) -> bool:
    """Update the row with what ``said`` states (neither "" nor None) and report whether that changed anything."""
    present = rows.one(db, f"SELECT * FROM {table} WHERE {column} = ?", [key]) or {}
    stated = {name: value for name, value in said.items() if value not in ("", None)}
    if stated.get("date_reliable") is not None and said["acquired"] is None:
        del stated["date_reliable"]  # a statement about the date only where there is one
    news = {name: value for name, value in stated.items() if present[name] != value}
    if news:
        settings = ", ".join(f'"{name}" = :{name}' for name in news)
        db.execute(f"UPDATE {table} SET {settings} WHERE {column} = :_key", news | {"_key": key})
    return bool(news)


def _follow(db: Database, patient_key: str, study_key: str, before: list[tuple[str, str]]) -> None:
    """Let unsigned reports follow their image, drop what nothing refers to any more, and index again."""
    db.execute(
        "UPDATE report SET patient = ? WHERE state <> 'signed' AND patient <> ?"
        " AND current IN (SELECT sha256 FROM image WHERE study = ?)",
        [patient_key, patient_key, study_key],
    )
    for old_study, old_patient in before:
        db.execute(
            "DELETE FROM study WHERE key = ? AND NOT EXISTS (SELECT 1 FROM image WHERE study = study.key)", [old_study]
        )
        db.execute(
            "DELETE FROM patient WHERE key = ? AND patient_id = ''"
            " AND NOT EXISTS (SELECT 1 FROM study WHERE patient = patient.key)"
            " AND NOT EXISTS (SELECT 1 FROM report WHERE patient = patient.key)",
            [old_patient],
        )
    for row in list(
        db.query(
            "SELECT r.row, p.name AS patient_name, p.patient_id, y.accession FROM report r"
            " JOIN patient p ON p.key = r.patient JOIN image i ON i.sha256 = r.current JOIN study y ON y.key = i.study"
            " WHERE r.patient = ? OR r.current IN (SELECT sha256 FROM image WHERE study = ?)",
            [patient_key, study_key],
        )
    ):
        fulltext.change(db, row.pop("row"), row)
