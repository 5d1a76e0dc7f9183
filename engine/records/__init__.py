"""The history of a data folder: what was opened, drafted, changed, signed and by whom.

    with Records.open(paths.home()) as records:
        records.add_study(study, files)
        report = records.new_report(current.sha256, prior.sha256, "Chest pain.", "findings")
        draft = records.save_draft(report.id, NewDraft(...), sentences)
        revision = records.save_revision(report.id, reviewed, based_on=draft.revision)
        records.sign(report.id, name="Dr. A. Reader", based_on=revision.number)

SQLite in ``history.db``, the images' files beside it by sha256. See ``store.py`` for the contract.
"""

from __future__ import annotations

from engine.records.store import Records
from engine.records.types import (
    MEANING,
    AnswerRow,
    DraftRow,
    Event,
    Fault,
    LogCheck,
    NewDraft,
    Page,
    Report,
    ReportDetail,
    Revision,
    Sentence,
    Signature,
    SignatureCheck,
    StoredImage,
    StoredPatient,
    StoredStudy,
    Summary,
    joined,
)

__all__ = [
    "MEANING",
    "AnswerRow",
    "DraftRow",
    "Event",
    "Fault",
    "LogCheck",
    "NewDraft",
    "Page",
    "Records",
    "Report",
    "ReportDetail",
    "Revision",
    "Sentence",
    "Signature",
    "SignatureCheck",
    "StoredImage",
    "StoredPatient",
    "StoredStudy",
    "Summary",
    "joined",
]
