"""The history: finding reports and putting one on the screen again. Knows no widget."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import cast, get_args

from app.services import wording
from app.services.opening import Opening
from app.services.reporting import Reporting
from app.services.sessions import notify
from app.services.state import Case, Session
from app.services.views import HistoryRow, HistoryView
from engine.errors import NotFound, UsageError
from engine.imaging.types import Image, Patient, Study
from engine.records import Records, ReportDetail, StoredImage, Summary
from engine.records.types import State

PAGE = 50
LONGEST_QUERY = 500
STATES: tuple[str, ...] = get_args(State)


@dataclass(frozen=True)
class Filters:
    """What the reader looks for. Dates are days of this machine's own calendar, "" for no bound."""

    query: str = ""
    state: str = ""
    patient: str = ""
    since: str = ""
    until: str = ""
    offset: int = 0


def day(text: str) -> date | None:
    """A day as typed, None for an empty field. Raises UsageError."""
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError as cause:
        raise UsageError("A date is written as year-month-day, for example 2026-03-02.") from cause


class Searching:
    """Reads the history; opening a report is noted in its event log."""

    def __init__(self, records: Records, opening: Opening, reporting: Reporting) -> None:
        self.records = records
        self.opening = opening
        self.reporting = reporting

    def search(self, filters: Filters) -> HistoryView:
        """The reports that match, newest first, at most PAGE of them."""
        if filters.state and filters.state not in STATES:
            raise UsageError("A report is a draft, reviewed or signed.")
        offset = max(0, filters.offset)
        query = " ".join((filters.query[:LONGEST_QUERY], filters.patient[:LONGEST_QUERY])).strip()
        page = self.records.search(
            query,
            state=cast(State, filters.state) if filters.state else None,
            since=day(filters.since),
            until=day(filters.until),
            limit=PAGE,
            offset=offset,
        )
        asked = any((filters.query, filters.state, filters.patient, filters.since, filters.until))
        message = ""
        if not page.total:
            message = (
                "No report matches."
                if asked
                else "No reports yet. They appear here with their first draft or sentence."
            )
        return HistoryView(tuple(map(_row, page.rows)), page.total, offset, PAGE, message)

    def reopen(self, session: Session, report_id: str) -> None:
        """Put a report and its images on the screen; a signed one can only be read."""
        detail = self.records.report(report_id)
        if session.job is not None and not session.job.sight.done:
            raise UsageError("A draft is being written. Wait for it, or stop it, before opening another report.")
        case = self._case(session, detail)
        self.opening.show(session, case)
        self.reporting.show(session, detail)
        session.question = None
        self.records.record_event("opened", report_id, action="R")

    def _case(self, session: Session, detail: ReportDetail) -> Case:
        """The images of the report as it was made, and the patient's others beside them."""
        who = Patient(
            detail.patient.id, detail.patient.issuer, detail.patient.name, detail.patient.birth_date, detail.patient.sex
        )
        current = self._image(session, detail.current, detail)
        prior = self._image(session, detail.prior, detail) if detail.prior is not None else None
        images = [image for image in (current, prior) if image is not None]
        studies = tuple(_study(image, who) for image in images)
        if studies and who.id:
            studies = self.opening.with_stored(session, studies)
        reason = (
            f"Prior: {wording.title(prior)}, as in the report." if prior is not None else "No prior in this report."
        )
        confirmed = frozenset({frozenset(image.sha256 for image in images)}) if len(images) == 2 else frozenset()
        return Case(studies, current=current, prior=prior, reason=reason, confirmed=confirmed)

    def _image(self, session: Session, row: StoredImage, detail: ReportDetail) -> Image | None:
        try:
            return self.opening.read_back(row, detail.patient)
        except NotFound:
            raise
        except Exception:
            notify(
                session, "An image of this report could not be read from the history. Its text is complete.", "warning"
            )
            return None


def _study(image: Image, who: Patient) -> Study:
    return Study(
        image.study_uid or f"sha256:{image.sha256}",
        who,
        image.acquired,
        image.date_reliable,
        image.accession,
        image.study_description,
        (image,),
    )


def _row(summary: Summary) -> HistoryRow:
    study = " ".join(
        part
        for part in (
            summary.view if summary.view not in ("", "UNKNOWN") else "",
            summary.study_date.strftime("%Y-%m-%d %H:%M") if summary.study_date is not None else "date unknown",
        )
        if part
    )
    return HistoryRow(
        report_id=summary.report_id,
        state=summary.state,
        patient=wording.name(summary.patient_name) or wording.NOT_IDENTIFIED,
        patient_id=summary.patient_id,
        study=study + (", with prior" if summary.has_prior else ""),
        text=summary.text,
        updated=summary.updated_at.astimezone().strftime("%Y-%m-%d %H:%M"),
        signer=summary.signer,
        demonstration=summary.demonstration,
    )
