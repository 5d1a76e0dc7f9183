"""A report of the history as the document that is exported. Pure functions of records' values."""

from __future__ import annotations

import engine
from app.services import review
from engine.records import DraftRow, ReportDetail
from engine.reports.document import Provenance, ReportDocument
from engine.reports.language import LANGUAGES

SECTIONS = {"findings": "Findings", "impression": "Impression"}

APART = ("served", "language")
"""Settings of a draft that are printed in a line of their own."""


def build(detail: ReportDetail) -> ReportDocument:
    """The newest revision of the report, signed or not, with where it comes from."""
    report, revision = detail.report, detail.newest
    draft = shown_draft(detail)
    texts = tuple(s.text for s in revision.sentences if s.status == "accepted") if revision is not None else ()
    return ReportDocument(
        report_id=report.id,
        patient_name=detail.patient.name,
        patient_id=detail.patient.id,
        birth_date=detail.patient.birth_date,
        sex=detail.patient.sex,
        accession=detail.accession,
        study_date=detail.current.acquired,
        view=detail.current.view,
        prior_date=detail.prior.acquired if detail.prior is not None else None,
        has_prior=detail.prior is not None,
        indication=revision.indication if revision is not None else report.indication,
        sections=((SECTIONS.get(report.section, report.section.capitalize()), texts),),
        state="signed" if detail.signature is not None else "unsigned",
        signer=detail.signature.name if detail.signature is not None else "",
        signed_at=detail.signature.signed_at if detail.signature is not None else None,
        provenance=provenance(detail, draft) if draft is not None else None,
        demonstration=any(row.demonstration for row in detail.drafts),
    )


def shown_draft(detail: ReportDetail) -> DraftRow | None:
    """The newest draft, whose sentences the report is made of; None where a person wrote it all.

    An answer that was put into the report counts only where nothing else was drafted.
    """
    own = [draft for draft in detail.drafts if not draft.answer]
    return (own or detail.drafts or (None,))[-1]


def provenance(detail: ReportDetail, draft: DraftRow) -> Provenance:
    """Which model, which words, which images, and how far the reader went from the draft."""
    images = [("current", detail.current.sha256)]
    if detail.prior is not None:
        images.append(("prior", detail.prior.sha256))
    revision = detail.newest
    return Provenance(
        model_name=draft.model_name,
        model_sha256=draft.model_sha256,
        prompt_sha256=draft.prompt_sha256,
        language=LANGUAGES.get(str(draft.settings.get("language")), ""),
        settings=", ".join(
            f"{name} {value}" for name, value in draft.settings.items() if value is not None and name not in APART
        ),
        image_sha256=tuple(images),
        application=f"Interval {engine.__version__}",
        sentences=review.counts(revision) if revision is not None else (),
        edit_distance=review.edit_distance(draft.text, revision.text if revision is not None else ""),
        served=str(draft.settings.get("served", "")),
    )
