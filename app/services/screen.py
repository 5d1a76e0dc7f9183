"""A session as the reading page shows it. Reads the session and changes nothing."""

from __future__ import annotations

from typing import Any

from app.services import review, wording
from app.services.chosen import Chosen
from app.services.document import shown_draft
from app.services.models import ModelHost
from app.services.state import NUMBERS, Case, Session
from app.services.views import AskView, CaseView, ImageLine, Line, Panes, Person, QuestionView, ReportView, Screen
from engine.imaging.types import Image, Patient
from engine.records import DraftRow, ReportDetail, Revision

EMPTY = "No report yet. Press Draft, or write the first sentence."
NO_IMAGE = "Open a current and a prior chest radiograph to begin."
SECTION_TITLES = {"findings": "Findings", "impression": "Impression"}


def screen(session: Session, models: ModelHost, model: Chosen, ask: AskView) -> Screen:
    """Everything the page shows. ``model`` is what is chosen under Settings. Hold the session's lock."""
    report = report_view(session, models, model)
    return Screen(next(NUMBERS), session.sheet, case_view(session), panes(session), report, ask)


def case_view(session: Session) -> CaseView:
    """The top bar."""
    case = session.case
    question = session.question
    asked = QuestionView(question.id, question.text, question.options) if question is not None else None
    if case is None:
        return CaseView(False, "", False, Person("", "", "", ""), "", "", 0, False, (), False, session.notices, asked)
    lines = tuple(_line(image, case) for image in case.images)
    current = case.current
    return CaseView(
        open=True,
        patient=wording.patient(case.patient, current.acquired if current is not None else None),
        identified=bool(case.patient.id),
        person=_person(case.patient),
        study=f"{wording.title(current)}{_described(current)}" if current is not None else "",
        prior=case.reason,
        older=len(case.older),
        swap=case.current is not None and case.prior is not None,
        images=lines,
        ask=case.current is None,
        notices=session.notices,
        question=asked,
    )


def _person(patient: Patient) -> Person:
    born = patient.birth_date.isoformat() if patient.birth_date is not None else ""
    return Person(patient.id, patient.name, born, patient.sex)


def _described(image: Image) -> str:
    return f" · {image.study_description}" if image.study_description else ""


def _line(image: Image, case: Case) -> ImageLine:
    role = ""
    if case.current is not None and image.sha256 == case.current.sha256:
        role = "current"
    elif case.prior is not None and image.sha256 == case.prior.sha256:
        role = "prior"
    known = bool(image.patient.id)
    detail = f"{image.columns} x {image.rows}" if known else f"{image.source} · {wording.NOT_IDENTIFIED}"
    acquired = image.acquired.isoformat(timespec="minutes") if image.acquired is not None else ""
    return ImageLine(image.sha256, wording.title(image), detail, role, known, acquired, image.view.value)


def panes(session: Session) -> Panes:
    """The two viewports. ``stamp`` changes when what is known of an image has changed."""
    case = session.case
    if case is None:
        return Panes(None, None, (), 0)
    said = tuple((i.sha256, i.patient, i.acquired, i.view) for i in (case.current, case.prior) if i is not None)
    return Panes(
        case.current.sha256 if case.current is not None else None,
        case.prior.sha256 if case.prior is not None else None,
        case.warnings,
        hash(said) & 0xFFFFFFFF,
    )


def report_view(session: Session, models: ModelHost, model: Chosen) -> ReportView:
    """The report column."""
    case, detail = session.case, session.report
    signed = detail is not None and detail.signature is not None
    drafting = session.job is not None and not session.job.sight.done
    status = models.status(model)
    ready = case is not None and case.current is not None
    return ReportView(
        lines=_lines(session, status.words, status.name if status.demonstration else "", signed),
        editor=editor(session),
        indication=session.indication,
        history=session.history,
        can_write=ready and not signed and not drafting,
        can_draft=ready and not signed and not drafting and status.state != "none",
        draft_label="Draft again" if detail is not None and detail.drafts and _on_screen(detail, case) else "Draft",
        drafting=drafting,
        signed=signed,
        can_export=detail is not None and detail.newest is not None and not drafting,
        exports=session.exports,
    )


def _on_screen(detail: ReportDetail, case: Case | None) -> bool:
    """Whether the report is about the pair that the panes show."""
    if case is None or case.current is None:
        return False
    prior = case.prior.sha256 if case.prior is not None else None
    return (detail.report.current_sha256, detail.report.prior_sha256) == (case.current.sha256, prior)


def _lines(session: Session, model_words: str, demonstration: str, signed: bool) -> tuple[Line, ...]:
    lines: list[Line] = []
    detail = session.report
    if detail is not None and detail.signature is not None:
        at = detail.signature.signed_at.strftime("%Y-%m-%d %H:%M UTC")
        lines.append(
            Line(f"Signed by {detail.signature.name}, {at}. It can be read and exported, not changed.", "signed")
        )
    draft = shown_draft(detail) if detail is not None else None
    shown = detail.drafts[-1:] if detail is not None else ()
    if any(row.demonstration for row in (*shown, *([draft] if draft is not None else []))) or (
        draft is None and demonstration
    ):
        lines.append(Line(wording.DEMONSTRATION, "mark"))
    if model_words and not signed:
        lines.append(Line(model_words, "info"))
    if detail is not None and not _on_screen(detail, session.case):
        prior = f"compared with {_stored(detail)}" if detail.prior is not None else "without a prior"
        lines.append(
            Line(
                f"This report was made {prior}; the panes show another pair. A new draft becomes a new report.",
                "warning",
            )
        )
    if draft is not None and not signed:
        lines.extend(_draft_lines(draft, detail))
    return tuple(lines)


def _stored(detail: ReportDetail) -> str:
    prior = detail.prior
    assert prior is not None
    day = prior.acquired.strftime("%Y-%m-%d") if prior.acquired is not None else prior.source
    return f"{prior.view if prior.view not in ('', 'UNKNOWN') else 'image'} of {day}"


def _draft_lines(draft: DraftRow, detail: ReportDetail | None) -> list[Line]:
    lines = []
    if draft.finished == "cancelled":
        lines.append(
            Line(
                "Stopped draft: its sentences cannot be signed as they are. Draft again, or write them yourself.",
                "warning",
            )
        )
    unchecked = any(check.get("code") == "comparison_not_checked" for check in draft.checks)  # which says it as well
    if detail is not None and detail.prior is None and draft.finished != "cancelled" and not unchecked:
        lines.append(Line("Drafted from one image: no prior, so nothing in it compares.", "info"))
    for check in draft.checks:
        message = str(check.get("message", ""))
        if message and check.get("code") not in ("cancelled", "no_prior"):
            lines.append(Line(message, "warning"))
    return lines


def editor(session: Session) -> dict[str, Any]:
    """The state for the sentence editor's ``update``; ``number`` is the last change of the page that it includes."""
    detail, job = session.report, session.job
    section = detail.report.section if detail is not None else ""
    title = SECTION_TITLES.get(section, "Findings")
    state: dict[str, Any] = {"title": title, "sheet": session.sheet, "number": session.edit_number}
    if job is not None and not job.sight.done:
        return state | {"mode": "stream", "text": job.sight.text, "status": job.sight.status}
    if session.case is None or session.case.current is None:
        return state | {"mode": "empty", "note": NO_IMAGE}
    if detail is None or detail.newest is None:
        return state | {"mode": "edit", "sentences": [], "note": EMPTY}
    rows = _sentences(detail, detail.newest)
    if detail.signature is None:
        return state | {"mode": "edit", "sentences": rows}
    return state | {"mode": "signed", "sentences": [row for row in rows if row["status"] == "accepted"], "note": ""}


def _sentences(detail: ReportDetail, revision: Revision) -> list[dict[str, str | None]]:
    cut_short = {s.id for draft in detail.drafts if draft.finished == "cancelled" for s in draft.sentences}
    has_prior = detail.prior is not None
    return [
        {
            "id": sentence.id,
            "text": sentence.text,
            "origin": sentence.origin,
            "status": sentence.status,
            "original": sentence.original,
            "flag": review.flag(sentence, has_prior=has_prior, cancelled=sentence.id in cut_short),
        }
        for sentence in revision.sentences
    ]
