"""Patients, studies and images: who is who, and what a later word about the same file changes.

A patient is (issuer, id); the name never joins two patients. An image is filed under the study, and so the patient,
that it was said to be of. A plain picture says nothing, so it is filed under a nameless patient of its own until
somebody says who it is; then it, and reports on it that are not signed, follow to that patient. The same bytes said to
be of two patients are filed under both, and neither learns of the other; dropped again without a word they are
nameless again, not whoever they were before. What is said later replaces what was said before; silence erases nothing.
Signed reports keep the patient and images they were signed with. Functions work inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sqlite_utils import Database

from engine.records import fulltext, rows
from engine.records.canonical import cut

if TYPE_CHECKING:
    from engine.imaging.types import Image, Study

Value = str | int | None


def add(db: Database, study: Study, new_id: Callable[[], str]) -> tuple[str, bool]:
    """File ``study`` and its images. Returns the key of the study and whether anything is new or different."""
    patient_key, changed = _patient(db, study, new_id)
    study_key, different = _study(db, study, patient_key, new_id)
    changed |= different
    for image in study.images:
        changed |= _image(db, image, study_key)
        if study.patient.id:
            changed |= _recognise(db, image.sha256, patient_key, study_key)
    if changed:
        _index(db, patient_key)
    return study_key, changed


def find_patient(db: Database, issuer: str, patient_id: str) -> str | None:
    """The key of the patient with this identity; None if unknown or if ``patient_id`` is empty."""
    if not patient_id:
        return None
    found = rows.one(db, "SELECT key FROM patient WHERE issuer = ? AND patient_id = ?", [cut(issuer), cut(patient_id)])
    return None if found is None else str(found["key"])


def _patient(db: Database, study: Study, new_id: Callable[[], str]) -> tuple[str, bool]:
    who = study.patient
    said: dict[str, Value] = {
        "name": cut(who.name),
        "birth_date": who.birth_date.isoformat() if who.birth_date else None,
        "sex": cut(who.sex),
    }
    key = find_patient(db, who.issuer, who.id) if who.id else _nameless(db, study)
    if key is not None:
        return key, _revise(db, "patient", {"key": key}, said)
    key = new_id()
    db.table("patient").insert({"key": key, "issuer": cut(who.issuer), "patient_id": cut(who.id)} | said)
    return key, True


def _nameless(db: Database, study: Study) -> str | None:
    """The nameless patient under whom this study, or one of its images, is filed already."""
    sql = "SELECT p.key FROM patient p JOIN study y ON y.patient = p.key WHERE p.patient_id = '' AND y.uid = ?"
    found = rows.one(db, sql, [_uid(study)])
    return None if found is None else str(found["key"])


def _uid(study: Study) -> str:
    """The uid in the files, whatever else was opened with them; an image without one is a study of its own."""
    first = study.images[0]
    return cut(first.study_uid) or f"sha256:{first.sha256}"


def _study(db: Database, study: Study, patient_key: str, new_id: Callable[[], str]) -> tuple[str, bool]:
    uid = _uid(study)
    said: dict[str, Value] = {"accession": cut(study.accession), "description": cut(study.description)}
    if study.acquired is not None:
        said |= {"acquired": study.acquired.isoformat(), "date_reliable": int(study.date_reliable)}
    found = rows.one(db, "SELECT key FROM study WHERE patient = ? AND uid = ?", [patient_key, uid])
    if found is not None:
        return str(found["key"]), _revise(db, "study", {"key": found["key"]}, said)
    key = new_id()
    db.table("study").insert({"key": key, "uid": uid, "patient": patient_key, "date_reliable": 0} | said)
    return key, True


def _image(db: Database, image: Image, study_key: str) -> bool:
    said: dict[str, Value] = {
        "source": cut(image.source),
        "format": image.format,
        "sop_uid": cut(image.sop_uid),
        "modality": cut(image.modality),
        "laterality": cut(image.laterality),
    }
    filed: dict[str, Value] = {"sha256": image.sha256, "study": study_key}
    present = rows.one(db, "SELECT 1 FROM image WHERE sha256 = :sha256 AND study = :study", filed) is not None
    # A view or a date that is not known says nothing, and neither does its basis.
    if not present or str(image.view) != "UNKNOWN":
        said |= {"view": str(image.view), "view_basis": cut(image.view_basis)}
    if not present or image.acquired is not None:
        said |= {
            "acquired": image.acquired.isoformat() if image.acquired else None,
            "acquired_basis": cut(image.acquired_basis),
            "date_reliable": int(image.date_reliable),
        }
    latest = int(
        db.execute("SELECT coalesce(max(stated), 0) FROM image WHERE sha256 = ?", [image.sha256]).fetchone()[0]
    )
    if not present:
        size = {"rows": image.rows, "columns": image.columns}
        db.table("image").insert(filed | said | size | {"stated": latest + 1})
        return True
    changed = _revise(db, "image", filed, said)
    bumped = db.execute(
        "UPDATE image SET stated = ? WHERE sha256 = ? AND study = ? AND stated < ?",
        [latest + 1, image.sha256, study_key, latest],
    )
    return changed or bumped.rowcount > 0


def _revise(db: Database, table: str, key: Mapping[str, Value], said: Mapping[str, Value]) -> bool:
    """Update the row with what ``said`` states (neither "" nor None) and report whether that changed anything."""
    where = " AND ".join(f"{name} = :_{name}" for name in key)
    keys = {f"_{name}": value for name, value in key.items()}
    present = next(db.query(f"SELECT * FROM {table} WHERE {where}", keys))
    news = {name: value for name, value in said.items() if value not in ("", None) and present[name] != value}
    if news:
        settings = ", ".join(f'"{name}" = :{name}' for name in news)
        db.execute(f"UPDATE {table} SET {settings} WHERE {where}", {**news, **keys})
    return bool(news)


def _recognise(db: Database, sha256: str, patient_key: str, study_key: str) -> bool:
    """Let a nameless filing of the same file go over to the patient who was just named.

    Its unsigned reports and the answers about it go with it.
    """
    nameless = db.execute(
        "SELECT i.study, y.patient FROM image i JOIN study y ON y.key = i.study JOIN patient p ON p.key = y.patient"
        " WHERE i.sha256 = ? AND p.patient_id = ''",
        [sha256],
    ).fetchall()
    moved_rows = 0
    for old_study, old_patient in nameless:
        for role in ("prior", "current"):
            moved = ", patient = :patient" if role == "current" else ""
            moved_rows += db.execute(
                f"UPDATE report SET {role}_study = :study{moved}"
                f" WHERE state <> 'signed' AND {role} = :sha256 AND {role}_study = :old",
                {"study": study_key, "patient": patient_key, "sha256": sha256, "old": old_study},
            ).rowcount
        moved_rows += db.execute(
            "UPDATE answer SET patient = ? WHERE current = ? AND patient = ?", [patient_key, sha256, old_patient]
        ).rowcount
        for table, condition in (
            (
                "image",
                "sha256 = :sha256 AND study = :study AND NOT EXISTS (SELECT 1 FROM report WHERE"
                " (current = :sha256 AND current_study = :study) OR (prior = :sha256 AND prior_study = :study))",
            ),
            ("study", "key = :study AND NOT EXISTS (SELECT 1 FROM image WHERE study = :study)"),
            (
                "patient",
                "key = :patient AND NOT EXISTS (SELECT 1 FROM study WHERE patient = :patient)"
                " AND NOT EXISTS (SELECT 1 FROM report WHERE patient = :patient)"
                " AND NOT EXISTS (SELECT 1 FROM answer WHERE patient = :patient)",
            ),
        ):
            moved_rows += db.execute(
                f"DELETE FROM {table} WHERE {condition}", {"sha256": sha256, "study": old_study, "patient": old_patient}
            ).rowcount
    return moved_rows > 0


def _index(db: Database, patient_key: str) -> None:
    """Bring the search index up to date for every report of the patient."""
    for row in list(
        db.query(
            "SELECT r.row, p.name AS patient_name, p.patient_id, y.accession FROM report r"
            " JOIN patient p ON p.key = r.patient JOIN study y ON y.key = r.current_study WHERE r.patient = ?",
            [patient_key],
        )
    ):
        fulltext.change(db, row.pop("row"), row)
