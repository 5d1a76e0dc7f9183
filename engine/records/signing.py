"""What a signature covers, and whether a signed report is still that.

The signed content is one canonical JSON text: the words, where each came from, the drafts behind them (model, prompt
and settings by hash), the images by sha256, the patient as known at that moment, and the signature's own name, meaning
and time. It is stored as it was hashed, so that it can be checked and read without this program. A signature here says
who approved; it is not a cryptographic proof against somebody who owns the whole machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from engine.errors import Conflict, NotReviewed, UsageError
from engine.records import rows
from engine.records.canonical import canonical, parsed, sha256
from engine.records.ids import stamp
from engine.records.types import (
    MEANING,
    DraftRow,
    Report,
    ReportDetail,
    Revision,
    Sentence,
    SignatureCheck,
    StoredImage,
)

FORMAT = "interval-signature-1"


def refuse_unready(detail: ReportDetail) -> None:
    """Raise NotReviewed or UsageError unless every word of the report is a person's decision and there are words."""
    revision = detail.newest
    open_sentences = revision.unreviewed if revision else 0
    if open_sentences:
        count = "One sentence is" if open_sentences == 1 else f"{open_sentences} sentences are"
        raise NotReviewed(f"{count} not reviewed yet. Accept, edit or reject every sentence, then sign.")
    if revision is None or not revision.text.strip():
        raise UsageError("The report is empty. Accept or write at least one sentence before signing.")
    cut_short = {
        sentence.id for draft in detail.drafts if draft.finished == "cancelled" for sentence in draft.sentences
    }
    if any(s.id in cut_short and s.origin == "ai" and s.status == "accepted" for s in revision.sentences):
        raise NotReviewed(
            "The report holds sentences of a draft that was stopped before its end. Edit or reject them, or draft "
            "again."
        )


def refuse_stale(report: Report, based_on: int) -> None:
    """Raise Conflict unless ``based_on`` is the newest revision."""
    if based_on != report.revision:
        raise Conflict(
            "This report was saved elsewhere after you opened it, so nothing was overwritten. Reload it to see the "
            "newest version."
        )


def refuse_mislabelled(sentences: Sequence[Sentence], drafts: Sequence[DraftRow]) -> None:
    """Raise UsageError where a sentence is not what its origin says.

    One called "ai" must be a draft's, to the letter; a draft's sentence that was changed must be called "edited" and
    keep the model's words.
    """
    written = {sentence.id: sentence.text for draft in drafts for sentence in draft.sentences}
    for sentence in sentences:
        models = {"ai": sentence.text, "edited": sentence.original, "human": None}[sentence.origin]
        if written.get(sentence.id) != models:
            raise UsageError("A sentence is not what its origin says. Reload the report and make the change again.")


def content(detail: ReportDetail, *, name: str, who: str, signed_at: datetime, application: str) -> str:
    """The canonical JSON that is signed: the newest revision of ``detail``, which must have one."""
    revision = detail.revisions[-1]
    patient = detail.patient
    images = [("current", detail.current), *([("prior", detail.prior)] if detail.prior else [])]
    return canonical(
        {
            "format": FORMAT,
            "report": _report_facts(detail, revision),
            "patient": {
                "key": patient.key,
                "issuer": patient.issuer,
                "patient_id": patient.id,
                "name": patient.name,
                "birth_date": patient.birth_date.isoformat() if patient.birth_date else None,
                "sex": patient.sex,
            },
            "accession": detail.accession,
            "images": [{"role": role} | _image_facts(image) for role, image in images],
            "signature": {
                "name": name,
                "meaning": MEANING,
                "signed_at": stamp(signed_at),
                "account": who,
                "application": application,
            },
        }
    )


def _report_facts(detail: ReportDetail, revision: Revision) -> dict[str, Any]:
    """What can be made again from the rows at any later time."""
    report = detail.report
    return {
        "id": report.id,
        "section": report.section,
        "current": report.current_sha256,
        "prior": report.prior_sha256,
        "revision": revision.number,
        "indication": revision.indication,
        "text": revision.text,
        "sentences": [rows.sentence_facts(sentence) for sentence in revision.sentences],
        "drafts": [
            {
                "id": draft.id,
                "number": draft.number,
                "model_name": draft.model_name,
                "model_sha256": draft.model_sha256,
                "prompt_sha256": draft.prompt_sha256,
                "settings": draft.settings,
                "checks": list(draft.checks),
                "text_sha256": sha256(draft.text),
                "finished": draft.finished,
                "demonstration": draft.demonstration,
            }
            for draft in detail.drafts
        ],
    }


def _image_facts(image: StoredImage) -> dict[str, Any]:
    return {
        "sha256": image.sha256,
        "study": image.study,
        "source": image.source,
        "format": image.format,
        "sop_uid": image.sop_uid,
        "modality": image.modality,
        "view": image.view,
        "view_basis": image.view_basis,
        "laterality": image.laterality,
        "acquired": image.acquired.isoformat() if image.acquired else None,
        "acquired_basis": image.acquired_basis,
        "date_reliable": image.date_reliable,
        "rows": image.rows,
        "columns": image.columns,
    }


def check(db: Database, detail: ReportDetail) -> SignatureCheck:
    """Compare the signed content with its hash, with the rows of the report, and with the event log."""
    problems = tuple(_differences(db, detail))
    return SignatureCheck(not problems, problems)


def _differences(db: Database, detail: ReportDetail) -> Iterator[str]:
    row = rows.one(db, "SELECT * FROM signature WHERE report = ?", [detail.report.id])
    if row is None:
        yield "The report is not signed."
        return
    if detail.report.state != "signed":
        yield "The report is signed, but not marked as signed."
    if sha256(row["content"]) != row["sha256"]:
        yield "The signed content does not match its checksum."
    signed = parsed(row["content"])
    if (
        signed["signature"] | {"name": row["name"], "meaning": row["meaning"], "signed_at": row["signed_at"]}
        != (signed["signature"])
    ):
        yield "The name, meaning or time of the signature was changed."
    revision = next((one for one in detail.revisions if one.number == row["revision"]), None)
    if revision is None or revision is not detail.newest:
        yield "The signed revision is missing or is not the last one."
    # Through JSON once more, so that both sides hold the same plain types.
    elif signed["report"] != parsed(canonical(_report_facts(detail, revision))):
        yield "The text, its sentences, drafts or images differ from what was signed."
    if not any(event.kind == "signed" and event.detail.get("sha256") == row["sha256"] for event in detail.events):
        yield "The event log does not know this signature."
